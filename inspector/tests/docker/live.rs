//! `inspector watch` on real containers: the article's experiments as they happen, and who gets in.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::answer::expect;
use crate::support::run::{inspector, patience};
use crate::support::watch::{self, Watch};
use crate::support::world::{Container, Scenario, World};

trials![
    the_owners_end_collapses_its_pod,
    a_pod_survives_what_pause_owns,
    an_owner_of_a_network_leaves_orphans,
    who_enters_is_told_and_who_execs_is_not,
    what_is_waited_for_ends_the_stream,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];
const SHARED: [&str; 3] = ["ipc", "net", "pid"];

fn begin(s: &Scenario, world: &World) -> Watch {
    let run = |attempt| s.run(&format!("sign{attempt}"), &[], "busybox", &IDLE);
    Watch::start(&world.with_socket(), run, |it: &Container| it.id.clone())
}

/// Whether it is of that type, about that container.
fn is(event: &Value, event_type: &str, container: &Container) -> bool {
    watch::is(event, event_type, &container.id)
}

/// Whether it is about that rule's finding, of which that container is the subject.
fn is_of(event: &Value, event_type: &str, container: &Container, rule: &str) -> bool {
    event["type"] == event_type
        && event["finding"]["rule"] == rule
        && event["finding"]["subject"]["container"] == container.id
}

fn joining(owner: &Container, kinds: &[&str]) -> Vec<String> {
    kinds.iter().map(|kind| owner.join(kind)).collect()
}

fn join(s: &Scenario, role: &str, owner: &Container, kinds: &[&str]) -> Container {
    let options = joining(owner, kinds);
    s.run(role, &options.iter().map(String::as_str).collect::<Vec<_>>(), "busybox", &IDLE)
}

fn kinds(event: &Value) -> Vec<&str> {
    let mut kinds: Vec<_> =
        event["namespaces"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

fn the_owners_end_collapses_its_pod(world: &'static World) {
    let s = Scenario::new(world, "l1");
    let mut watch = begin(&s, world);
    let nginx = s.run("nginx", &["--ipc=shareable"], "nginx", &[]);
    let at = watch.find("creation", |it| is(it, "namespace-created", &nginx));
    assert!(kinds(&watch.events[at]).contains(&"pid"), "{:#}", watch.events[at]);
    watch.find("start", |it| is(it, "container-started", &nginx));

    let busybox = join(&s, "busybox", &nginx, &SHARED);
    let at = watch.find("join", |it| is(it, "namespace-joined", &busybox));
    let joined = &watch.events[at];
    assert_eq!(kinds(joined), SHARED);
    for change in joined["namespaces"].as_array().unwrap() {
        assert!(change["generation"].as_u64().unwrap() > 0);
        expect(
            change,
            [("toPod/id", json!(nginx.id)), ("toPod/name", json!(nginx.name)), ("toOwner", json!(nginx.id))],
        );
    }
    for kind in SHARED {
        let nginx = &nginx;
        let raised = move |it: &Value| {
            is_of(it, "finding-raised", nginx, "PNS001") && it["finding"]["subject"]["namespaceKind"] == kind
        };
        watch.find("PNS001", raised);
    }

    nginx.stop();
    let collapsed = watch.find("collapse", |it| is(it, "pod-collapsed", &nginx));
    let event = &watch.events[collapsed];
    expect(event, [("victims/0/container", json!(busybox.id)), ("victims/0/signal", json!(9))]);
    assert_eq!(event["victims"].as_array().unwrap().len(), 1);
    // In the contract's order.
    let ended = watch.find("the owner's end", |it| is(it, "container-exited", &nginx));
    let killed = watch.find("the victim's end", |it| is(it, "container-exited", &busybox));
    let owner = watch.find("owner-exited", |it| is(it, "owner-exited", &nginx));
    assert!(ended < owner && killed < owner && owner < collapsed);
    expect(
        &watch.events[killed],
        [("exit/cause", json!("pid-namespace-died")), ("exit/signal", json!(9)), ("exit/code", json!(137))],
    );
    assert_ne!(watch.events[ended]["exit"]["cause"], "pid-namespace-died");
    watch.find("destruction", |it| is(it, "namespace-destroyed", &nginx) && kinds(it).contains(&"pid"));
    // Other tests' containers are on the same daemon.
    let cleared = watch.find("clearing", |it| is_of(it, "finding-cleared", &nginx, "PNS001"));
    assert!(collapsed < cleared);
    let survived = |it: &Value| it["type"] == "pod-survived" && it["pod"]["id"] == nginx.id;
    assert!(watch.position(survived).is_none());
    watch.is_sound();
}

fn a_pod_survives_what_pause_owns(world: &'static World) {
    let s = Scenario::new(world, "l2");
    let mut watch = begin(&s, world);
    let pause = s.run("pause", &["--ipc=shareable"], "pause", &[]);
    let options = joining(&pause, &SHARED);
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let nginx = s.run("nginx", &options, "nginx", &[]);
    let busybox = join(&s, "busybox", &pause, &SHARED);
    watch.find("start", |it| is(it, "namespace-joined", &busybox));
    nginx.stop();
    let ended = watch.find("end", |it| is(it, "container-exited", &nginx));
    let survived = watch.find("survival", |it| it["type"] == "pod-survived" && it["pod"]["id"] == pause.id);
    assert!(ended < survived);
    watch.find("leaving", |it| is(it, "namespace-left", &nginx));
    for unwanted in ["owner-exited", "pod-collapsed"] {
        let ours = |it: &Value| it["type"] == unwanted && it["pod"]["id"] == pause.id;
        assert!(watch.position(ours).is_none(), "{unwanted}");
    }
    watch.is_sound();
}

fn an_owner_of_a_network_leaves_orphans(world: &'static World) {
    let s = Scenario::new(world, "l3");
    let mut watch = begin(&s, world);
    let nginx = s.run("nginx", &[], "nginx", &[]);
    let busybox = join(&s, "busybox", &nginx, &["net"]);
    watch.find("join", |it| is(it, "namespace-joined", &busybox));
    nginx.stop();
    let owner = watch.find("owner-exited", |it| is(it, "owner-exited", &nginx));
    let orphaned =
        |it: &Value| it["type"] == "pod-survived" && it["container"].is_null() && it["pod"]["id"] == nginx.id;
    let survived = watch.find("survival", orphaned);
    let raised = watch.find("PNS002", |it| is_of(it, "finding-raised", &nginx, "PNS002"));
    assert!(owner < survived && survived < raised);
    // Another incarnation, in a network of its own: the split brain.
    nginx.start();
    watch.find("PNS003", |it| is_of(it, "finding-raised", &busybox, "PNS003"));
    let starts = watch.events.iter().filter(|it| is(it, "container-started", &nginx)).count();
    assert_eq!(starts, 2);
    watch.is_sound();
}

fn who_enters_is_told_and_who_execs_is_not(world: &'static World) {
    let s = Scenario::new(world, "l4");
    let mut watch = begin(&s, world);
    let app = s.run("app", &[], "busybox", &IDLE);
    watch.find("start", |it| is(it, "container-started", &app));
    app.exec_detached(&["sleep", "4000"]);
    let mut intruder = Command::new("nsenter")
        .args(["--target", &app.pid().to_string(), "--net", "--uts", "sleep", "5000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let entered = |it: &Value| it["type"] == "foreign-entered" && it["pod"]["id"] == app.id;
    let at = watch.find("entry", entered);
    let event = watch.events[at].clone();
    let _ = intruder.kill();
    let _ = intruder.wait();
    expect(
        &event,
        [
            ("pod/id", json!(app.id)),
            ("process/pid", json!(intruder.id())),
            ("namespaces/0/toPod/id", json!(app.id)),
            ("namespaces/0/toOwner", json!(app.id)),
        ],
    );
    assert_eq!(kinds(&event), ["net", "uts"]);
    for event_type in ["finding-raised", "finding-cleared"] {
        watch.find(event_type, |it| {
            it["type"] == event_type && it["finding"]["rule"] == "PNS006" && it["pod"]["id"] == app.id
        });
    }
    let entries = watch.events.iter().filter(|it| entered(it)).count();
    assert_eq!(entries, 1, "an exec by the runtime is nobody foreign");
    watch.is_sound();
}

fn what_is_waited_for_ends_the_stream(world: &'static World) {
    let s = Scenario::new(world, "l5");
    let waiting = thread::spawn(|| {
        let socket = world.with_socket();
        inspector([
            "watch",
            "--until",
            "container-started",
            "--for",
            "40s",
            "--container",
            "inspector-l5",
            &socket,
        ])
    });
    // Nothing in what is printed says that the stream has begun before the first event: so, several.
    let began = Instant::now();
    let mut number = 0;
    while !waiting.is_finished() && began.elapsed() < patience(Duration::from_secs(30)) {
        s.run_named("inspector-l5", &["--rm"], "busybox", &["sleep", "3"]);
        thread::sleep(Duration::from_millis(500));
        let _ = world.try_docker(&["rm", "--force", "inspector-l5"]);
        number += 1;
    }
    let run = waiting.join().unwrap().succeeded();
    assert!(
        number > 0 && run.text().contains("container-started   container inspector-l5 started"),
        "{}",
        run.text()
    );
    assert_eq!(inspector(["watch", "--for", "1ms", "-o", "yaml"]).refused(2).lines().count(), 1);
}
