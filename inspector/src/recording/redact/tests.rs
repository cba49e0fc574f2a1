//! A redacted recording gives the same answers, and nobody's name.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::audit::{self, Baseline, Choice};
use crate::findings;
use crate::live::Engine;
use crate::observation::{
    Declaration, DeclaredPod, HeardBy, Ignore, Infra, Input, Kind, Origin, Pin, Runtime, RuntimeState,
    SandboxNamespace, Wait,
};
use crate::recording::stream::tests as stream;
use crate::state::tests::world::{World, id};
use crate::state::{self, cgroup};
use crate::view::{self, Event, Target};

const UID: &str = "9ee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f";

fn redactor() -> Redactor {
    Redactor::with_key([7; 32])
}

fn load(name: &str) -> Observation {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    crate::recording::load(&folder.join(name)).unwrap()
}

/// A node with something of everything that an answer is made of.
fn node() -> Observation {
    let mut world = World::new();
    // An application's namespaces, and a joiner that names it by the beginning of its id.
    world.docker("shop", 10);
    world.serves(10);
    world.docker("cart", 11);
    world.join("cart", "shop", &[Kind::Net, Kind::Pid, Kind::Ipc]);
    world.container("cart").declared.insert(Kind::Net, Declaration::Container(id("shop")[..12].to_owned()));
    world.container("cart").declared.insert(Kind::Ipc, Declaration::Container("shop".to_owned()));
    // Owners that only sleep, each in another way.
    for (owner, joiner, pid, comm) in [
        ("held", "held-app", 20, "pause"),
        ("dozes", "dozes-app", 30, "sleep"),
        ("tails", "tails-app", 40, "tail"),
    ] {
        world.docker(owner, pid);
        world.task(pid).comm = comm.into();
        world.docker(joiner, pid + 1);
        world.join(joiner, owner, &[Kind::Net]);
        let behaviour = world.does(pid, if comm == "pause" { Wait::Signal } else { Wait::Sleep });
        if comm == "tail" {
            behaviour.files = vec!["/dev/null".to_owned(), "anon_inode:inotify".to_owned()];
        }
        if comm == "sleep" {
            behaviour.executable = Some("busybox".to_owned());
        }
    }
    // A shell that waits for its sleeping child, and an init that does nothing.
    world.docker("loops", 50);
    world.task(50).comm = "sh".into();
    world.container("loops").command =
        ["sh", "-c", "echo acme >/dev/null; while :; do sleep 5; done"].map(str::to_owned).to_vec();
    world.docker("loops-app", 52);
    world.join("loops-app", "loops", &[Kind::Pid]);
    world.does(50, Wait::Children);
    // Owners that are gone, by what they were told to run.
    for (owner, joiner, pid, command) in [
        ("asleep", "asleep-app", 60, vec!["/usr/bin/tini", "--", "sleep", "1d"]),
        ("gone", "gone-app", 70, vec!["/srv/acme/server", "--token", "hunter2"]),
        ("script", "script-app", 80, vec!["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]),
    ] {
        world.docker(owner, pid);
        world.container(owner).command = command.into_iter().map(str::to_owned).collect();
        world.docker(joiner, pid + 1);
        world.join(joiner, owner, &[Kind::Net, Kind::Ipc]);
        world.stop(owner, "2026-01-01T00:10:00Z", 137);
    }
    // What only cgroups tell of.
    let scope = id("k8s").replace('0', "a");
    let slice = format!("kubepods-besteffort-pod{}.slice", UID.replace('-', "_"));
    for (pid, path) in [
        (100, format!("/kubepods.slice/kubepods-besteffort.slice/{slice}/cri-containerd-{scope}.scope")),
        (101, "/default/web.1".to_owned()),
        (102, "/default/not--an-id".to_owned()),
        (103, format!("/kubepods/burstable/pod{UID}/{}", id("fs"))),
        (104, format!("/machine.slice/machine-libpod_pod_{}.slice/libpod-{}.scope", id("pp"), id("pc"))),
        (105, format!("/system.slice:docker:{}", id("mis"))),
        (106, format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{}.scope", id("rl"))),
        (107, "/system.slice/acme-billing.service".to_owned()),
        (108, "/system.slice/acme-billing.service".to_owned()),
    ] {
        world.process(pid, "acmed").fresh(Kind::Net).fresh(Kind::Pid).cgroup(&path);
    }
    world
        .process(109, "acmed")
        .child_of(107)
        .with(107, &[Kind::Net])
        .cgroup("/system.slice/acme-billing.service");
    // Intruders, a runtime's helper, something that imitates one, and a zombie.
    for (pid, comm) in [(110, "nsenter"), (111, "runc:[2:INIT]"), (112, "runcible")] {
        world
            .process(pid, comm)
            .with(10, &[Kind::Net, Kind::Pid])
            .cgroup("/user.slice/user-1000.slice/session-3.scope");
    }
    world.process(113, "dead").child_of(10).with(10, &[Kind::Net, Kind::Pid]).task().zombie = true;
    // Volumes.
    world.mount("shop", "/srv/acme/data", "/data", false);
    world.mount("held", "/srv/acme/data", "/in", true);
    world.mount(
        "cart",
        &format!("/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~empty-dir/cache"),
        "/c",
        false,
    );
    // Paths, pins and pods that a runtime declares.
    let net = world.inode(100, Kind::Net);
    let uts = Some(world.inode(20, Kind::Uts));
    world
        .container("held-app")
        .declared
        .insert(Kind::Uts, Declaration::Path { path: "/proc/20/ns/uts".to_owned(), inode: uts });
    world.sandbox("0123456789abcdef0123456789abcdef", "billing");
    let seen = &mut world.seen;
    seen.pods.push(DeclaredPod {
        infra: Infra::Processless,
        namespaces: vec![SandboxNamespace {
            kind: Kind::Net,
            path: format!("/var/run/netns/{UID}"),
            inode: None,
        }],
        namespace: Some("prod".to_owned()),
        uid: Some(UID.to_owned()),
        ready: Some(true),
        ..DeclaredPod::new(id("box"), "front", Origin::Kubernetes)
    });
    for (inode, path) in [
        (net, format!("/run/netns/{UID}")),
        (9001, "/run/netns/blue".to_owned()),
        (9002, "/run/docker/netns/5f2b8c1d9a3e".to_owned()),
        (9003, "/run/user/1000/netns/netns-acme".to_owned()),
    ] {
        seen.pins.push(Pin { kind: Kind::Net, inode, path });
    }
    seen.containers[0].ignore =
        Some(Ignore { rules: "PNS001, nonsense".to_owned(), reason: Some("Bob knows".to_owned()) });
    seen.containers[1].runtime = Runtime::Docker;
    assert!(seen.containers.iter().any(|it| it.state == RuntimeState::Exited));
    seen.gaps.push(Gap::deciding("container acme-1", "/srv/acme/config.json cannot be read: denied"));
    seen.tasks.put_in_order();
    world.seen
}

/// Which text became which.
fn pairs(before: &Value, after: &Value, found: &mut HashMap<String, String>) {
    match (before, after) {
        (Value::String(a), Value::String(b)) => {
            found.insert(a.clone(), b.clone());
            found.extend(
                a.split(',').zip(b.split(',')).map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned())),
            );
            // A volume's name is a part of a path; and ids are shown short.
            if a.contains("/volumes/") {
                found.extend(a.split('/').zip(b.split('/')).map(|(a, b)| (a.to_owned(), b.to_owned())));
            }
            if cgroup::is_id(a) {
                found.insert(a[..12].to_owned(), b[..12].to_owned());
            }
            for (a, b) in cgroup::parse_all(a).zip(cgroup::parse_all(b)) {
                let short = |id: &str| id.chars().take(12).collect::<String>();
                found.insert(short(&a.id), short(&b.id));
                found.insert(a.id, b.id);
                found.extend(a.pod_uid.zip(b.pod_uid));
                found.insert(a.prefix, b.prefix);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            // A command that only sleeps is the shortest that does.
            a.iter().zip(b).for_each(|(a, b)| pairs(a, b, found));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()));
            a.values().zip(b.values()).for_each(|(a, b)| pairs(a, b, found));
        }
        (a, b) => assert_eq!(a, b),
    }
}

/// An answer whose texts are those that `texts` gives, sentences left out; in an order that names do not decide.
fn canonical(value: &Value, texts: &HashMap<String, String>) -> Value {
    const SENTENCES: [&str; 10] = [
        "message",
        "why",
        "consequence",
        "remedy",
        "detail",
        "what",
        "heldBy",
        "reason",
        "findingId",
        "restart",
    ];
    match value {
        Value::String(text) => {
            // A name may stand behind a word: `container nginx`, `container:0c61…`.
            let known = |text: &str| texts.get(text).cloned();
            let token = |token: &str| match token.split_once(':') {
                Some(("container", rest)) => {
                    format!("container:{}", known(rest).unwrap_or_else(|| rest.to_owned()))
                }
                _ => known(token).unwrap_or_else(|| token.to_owned()),
            };
            let tokens = || text.split(' ').map(token).collect::<Vec<_>>().join(" ");
            Value::String(known(text).unwrap_or_else(tokens))
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| canonical(item, texts)).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            // A finding's id is a hash of names.
            let is_finding = fields.contains_key("rule");
            let kept = fields.iter().filter(|(key, value)| {
                let is_sentence =
                    SENTENCES.contains(&key.as_str()) || (*key == "evidence" && value.is_array());
                !is_sentence && (*key != "id" || !is_finding)
            });
            let kept = kept.map(|(key, value)| (key.clone(), canonical(value, texts)));
            let mut kept: Vec<(String, Value)> = kept.collect();
            kept.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(kept.into_iter().collect())
        }
        other => other.clone(),
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// What every command answers that judges: pods, audit, and all about each thing by the name that `texts` gives it.
fn answers(seen: &Observation, targets: &[String]) -> Vec<(String, Value)> {
    let snapshot = state::snapshot(seen);
    let facts = state::facts::facts(seen);
    let node = findings::Node::new(&seen.node.name, &snapshot.pods, &facts);
    let judgement = findings::evaluate(&node);
    let report = audit::report(
        seen,
        &snapshot,
        findings::evaluate(&node),
        &Choice::default(),
        &[],
        &Baseline::default(),
    );
    let mut answers = vec![("audit".to_owned(), json(&report))];
    for target in targets {
        let resolved = Target::resolve(target, seen, &snapshot, &["pod", "container", "pid", "namespace"]);
        let answer = match resolved {
            Ok(resolved) => {
                json(&view::explain(seen, &snapshot, &facts, &judgement, resolved.narrowed(target)))
            }
            Err(_) => Value::Null,
        };
        answers.push((target.clone(), answer));
    }
    let list = view::pod_list(seen, snapshot, judgement.findings, true);
    answers.push(("pods".to_owned(), json(&list)));
    answers
}

fn targets(seen: &Observation) -> Vec<String> {
    let pods = state::snapshot(seen).pods;
    let containers = pods.iter().flat_map(|pod| &pod.containers).map(|it| format!("container/{}", it.id));
    let mut targets: Vec<String> = pods.iter().map(|pod| format!("pod/{}", pod.id)).collect();
    targets.extend(containers);
    targets.extend(seen.tasks.iter().map(|task| format!("pid/{}", task.pid)));
    targets
}

#[test]
fn answers_are_the_same_but_for_the_names() {
    let mut verdicts = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for seen in [load("article.rec"), load("article-nginx-stopped.rec"), node()] {
        let mut redacted = redactor().observation(seen.clone());
        assert_eq!(redacted.gaps.pop(), Some(pseudonyms()));
        let mut texts = HashMap::new();
        pairs(&json(&seen), &json(&redacted), &mut texts);
        let wanted = targets(&seen);
        let same = wanted.iter().map(|target| {
            let (sort, name) = target.split_once('/').unwrap();
            format!("{sort}/{}", texts.get(name).map_or(name, String::as_str))
        });
        let same: Vec<String> = same.collect();
        let none = HashMap::new();
        for ((target, before), (_, after)) in answers(&seen, &wanted).iter().zip(&answers(&redacted, &same)) {
            assert_ne!(before, &Value::Null, "{target}");
            let (before, after) = (canonical(before, &texts), canonical(after, &none));
            let lines = |value| serde_json::to_string_pretty(value).unwrap();
            let (before, after) = (lines(&before), lines(&after));
            let differ = before.lines().zip(after.lines()).position(|(a, b)| a != b);
            let around = |text: &str| -> Vec<String> {
                text.lines()
                    .skip(differ.unwrap_or_default().saturating_sub(5))
                    .take(12)
                    .map(str::to_owned)
                    .collect()
            };
            if before != after {
                wrong.push(format!("{target}: {:#?}\n{:#?}", around(&before), around(&after)));
            }
        }
        verdicts.extend(state::snapshot(&seen).pods.iter().map(|pod| format!("{:?}", pod.verdict)));
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(verdicts.len() >= 5, "the nodes are too plain: {verdicts:?}");
}

/// What a watcher would tell, but for the names.
#[test]
fn events_are_the_same_but_for_the_names() {
    let (first, inputs) = stream::inputs();
    let told = |first, inputs: Vec<Input>| {
        let mut engine = Engine::start(first, Some(HeardBy::Fexit), true);
        let events: Vec<Event> = inputs.into_iter().flat_map(|input| engine.take(input)).collect();
        events
    };
    let redactor = redactor();
    let redacted = inputs.iter().map(|input| redactor.input(input.clone())).collect();
    let (before, after) = (told(first.clone(), inputs), told(redactor.look(first), redacted));
    assert!(before.len() > 5 && before.len() == after.len());
    let names: HashMap<&str, String> =
        ["nginx", "busybox", "acmed"].into_iter().map(|name| (name, redactor.words.name(name))).collect();
    for (before, after) in before.iter().zip(&after) {
        let what = |event: &Event| {
            (event.sequence, event.event_type, event.boottime_ns, event.process.as_ref().map(|it| it.pid))
        };
        assert_eq!(what(before), what(after));
        let name = |event: &Event| event.container.as_ref().map(|it| it.name.clone());
        assert_eq!(name(before).map(|it| names.get(it.as_str()).cloned().unwrap_or(it)), name(after));
        let inodes = |event: &Event| json(&event.namespaces).to_string().matches("inode").count();
        assert_eq!(inodes(before), inodes(after));
        assert!(!after.message.contains("nginx") && !after.message.contains("acmed"), "{}", after.message);
    }
}

/// Every string of an observation that may be any, one after the other and all at once.
fn planted<T: DeserializeOwned>(value: &Value, plant: &dyn Fn(&str) -> String, least: usize) -> Value {
    fn walk(value: &mut Value, at: &mut usize, wanted: Option<usize>, plant: &dyn Fn(&str) -> String) {
        match value {
            Value::String(text) => {
                if wanted.is_none_or(|wanted| wanted == *at) {
                    *text = plant(text);
                }
                *at += 1;
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, at, wanted, plant)),
            Value::Object(fields) => fields.values_mut().for_each(|item| walk(item, at, wanted, plant)),
            _ => {}
        }
    }
    // What is no free text (a kind, a state, a time) does not come back from another text.
    let (mut count, mut whole) = (0, value.clone());
    walk(&mut value.clone(), &mut count, Some(usize::MAX), plant);
    let mut free = 0;
    for wanted in 0..count {
        let mut one = whole.clone();
        walk(&mut one, &mut 0, Some(wanted), plant);
        if serde_json::from_value::<T>(one.clone()).is_ok() {
            whole = one;
            free += 1;
        }
    }
    assert!(free >= least, "only {free} strings of {count} are free");
    whole
}

#[test]
fn no_text_comes_through_wherever_it_stands() {
    const MARKER: &str = "Zanzibar";
    let rich = crate::recording::tests::observation();
    let told = stream::inputs().1.into_iter().filter(|input| match input {
        Input::Look(_) => false,
        Input::Told(told) => !told.events.is_empty(),
        Input::Blind(_) => true,
    });
    let told: Vec<Input> = told.collect();
    assert!(told.len() > 2);
    let plants: [&dyn Fn(&str) -> String; 9] = [
        &|_| MARKER.to_owned(),
        &|text| format!("{text}{MARKER}"),
        &|text| format!("{MARKER}{text}"),
        &|text| format!("{text}/{MARKER}/pods/x/volumes/kubernetes.io~{MARKER}/{MARKER}"),
        &|_| format!("/system.slice/docker-{MARKER}.scope/{MARKER}.service/user@{MARKER}.service"),
        &|_| format!("runc:{MARKER}"),
        &|_| format!("label a={MARKER}, of {MARKER}'s ({MARKER}) 10.0.0.1"),
        &|_| format!("{MARKER}-pod{UID}.slice:docker:{MARKER}"),
        &|_| format!("6.1.0-{MARKER}+{MARKER}"),
    ];
    for plant in plants {
        let value = planted::<Observation>(&json(&rich), plant, 50);
        assert!(value.to_string().contains(MARKER));
        let seen: Observation = serde_json::from_value(value).unwrap();
        let mut redacted = json(&redactor().observation(seen)).to_string();
        for input in &told {
            let value = planted::<Input>(&json(input), plant, 1);
            let input: Input = serde_json::from_value(value).unwrap();
            redacted += &json(&redactor().input(input)).to_string();
        }
        let at = redacted.to_lowercase().find(&MARKER.to_lowercase());
        assert!(at.is_none(), "{}", &redacted[at.unwrap().saturating_sub(200)..]);
    }
}

#[test]
fn nothing_of_a_real_node_comes_through_and_keys_differ() {
    let redacted = json(&redactor().observation(node())).to_string();
    for word in
        ["acme", "shop", "hunter2", "billing", "Bob", "front", "cache", UID, "prod", "nsenter", "runcible"]
    {
        assert!(!redacted.contains(word), "{word}");
    }
    assert_eq!(redacted, json(&redactor().observation(node())).to_string());
    let (one, other) = (Redactor::new().unwrap(), Redactor::new().unwrap());
    assert_ne!(json(&one.observation(node())), json(&other.observation(node())));
}

#[test]
fn shapes_stay() {
    let words = redactor().words;
    let full = id("shop");
    for (path, runtime) in [
        (format!("/docker/{full}"), "docker"),
        (format!("/system.slice/docker-{full}.scope"), "docker-"),
        (format!("/kubepods/besteffort/pod{UID}/crio-{full}"), "/kubepods/besteffort/pod"),
        (
            format!("/machine.slice/machine-libpod_pod_{full}.slice/libpod-{full}.scope/container"),
            "libpod_pod_",
        ),
        (format!("/libpod_parent/{full}/libpod-{full}"), "libpod_parent"),
        ("/default/web.1".to_owned(), "/default/"),
        ("/default/not--an-id".to_owned(), "/default/"),
        (format!("/a.slice:cri-containerd:{full}"), ".slice:cri-containerd:"),
    ] {
        let redacted = words.cgroup(&path);
        let (before, after) = (cgroup::parse(&path), cgroup::parse(&redacted));
        assert!(redacted.contains(runtime) && redacted != path, "{redacted}");
        assert_eq!(before.is_some(), after.is_some(), "{path} {redacted}");
        if let (Some(before), Some(after)) = (before, after) {
            assert_eq!(after.runtime, before.runtime);
            assert_eq!(after.id, words.name(&before.id), "{path} {redacted}");
            assert_eq!(after.prefix, words.cgroup(&before.prefix));
            assert_eq!(after.pod_uid, before.pod_uid.map(|uid| words.name(&uid)), "{path} {redacted}");
            assert_eq!(after.podman_pod, before.podman_pod.map(|id| words.name(&id)));
        }
    }
    let hidden = words.name(&full);
    assert!(cgroup::is_id(&hidden) && hidden != full);
    assert!(hidden.starts_with(&words.name(&full[..12])), "a beginning of an id means it");
    assert_eq!(words.path("/proc/20/ns/net"), "/proc/20/ns/net");
    assert_eq!(words.comm("containerd-shim"), "containerd-shim");
    assert_eq!(words.release("6.8.0-45-generic"), "6.8.0-45-generic");
    assert_eq!((words.address("::"), words.address("127.0.0.1")), ("::".to_owned(), "127.0.0.1".to_owned()));
    assert!(
        words.address("10.1.2.3").starts_with("240.") && words.address("fd00::1").starts_with("2001:db8:")
    );
    assert_eq!(
        words.sentence("Docker 20.10.24, cgroupfs, 7 containers"),
        "Docker 20.10.24, cgroupfs, 7 containers"
    );
}

#[test]
fn what_tells_of_the_node_in_general_stays_readable() {
    let words = redactor().words;
    let tasks = vec![Task { pid: 2, tgid: 2, kernel_thread: true, ..Task::default() }];
    for mut tasks in [tasks.clone(), vec![Task { pid: 1, tgid: 1, ..Task::default() }], Vec::new()] {
        tasks.iter_mut().for_each(|task| task.namespaces.set(Kind::Net, 1));
        let evidence = crate::source::node::host_namespaces(&tasks.into()).0.evidence;
        assert_eq!(words.sentence(&evidence), evidence);
    }
    for runtime in ["io.containerd.kata.v2", "runsc"] {
        let why = crate::source::cri::opaque(runtime).unwrap();
        assert_eq!(words.sentence(&why), why);
    }
    let said =
        words.sentence("container 0c618c429b5d: /srv/acme/config.json cannot be read: permission denied");
    assert!(said.starts_with("container ") && said.ends_with(" cannot be read: permission denied"), "{said}");
}
