//! The rules on real containers: where each has to fire, where it has to be quiet, and that what it says is so.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::answer::{Ours, expect, list, validate};
use crate::support::check::{NO_SOCKET, agreed};
use crate::support::run::{inspector, wait_until};
use crate::support::world::{Container, Scenario, World};

trials![
    who_is_in_the_hosts_namespaces,
    who_entered_from_outside,
    who_can_read_whom,
    who_shares_a_folder,
    who_does_not_reap,
    who_is_not_where_it_is_declared,
    an_audit_fails_as_it_was_told_to,
    a_label_suppresses,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

/// The kinds that a rule found about a container.
fn kinds<'o>(ours: &'o Ours, rule: &str, container: &Container) -> Vec<&'o str> {
    let found = ours.findings_of(rule).into_iter();
    found.filter(|(_, id)| *id == container.id).map(|(kind, _)| kind).collect()
}

fn who_is_in_the_hosts_namespaces(world: &'static World) {
    let s = Scenario::new(world, "r1");
    let agent = s.run("agent", &["--net=host", "--pid=host", "--uts=host"], "busybox", &IDLE);
    let plain = s.run("plain", &[], "busybox", &IDLE);
    let ours = agreed(world, &[&agent, &plain]);
    assert_eq!(kinds(&ours, "PNS005", &agent), ["net", "pid", "uts"]);
    assert_eq!(kinds(&ours, "PNS005", &plain), Vec::<&str>::new());
    for finding in &ours.findings {
        let severity = if finding["subject"]["namespaceKind"] == "pid" { "high" } else { "medium" };
        expect(finding, [("rule", json!("PNS005")), ("severity", json!(severity))]);
    }
}

/// A process of the test's, ended with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn who_entered_from_outside(world: &'static World) {
    let s = Scenario::new(world, "r2");
    let app = s.run("app", &[], "busybox", &IDLE);
    // A runtime's own exec is in the container's cgroup.
    app.exec_detached(&["sleep", "3600"]);
    let target = app.pid().to_string();
    let enter = ["-t", &target, "-n", "-u", "sleep", "3600"];
    let intruder = Process(Command::new("nsenter").args(enter).stdin(Stdio::null()).spawn().unwrap());
    let pid = intruder.0.id();
    // What is younger than a second is spared: it could be a runtime on its way.
    std::thread::sleep(Duration::from_millis(1100));
    let ours = agreed(world, &[&app]);
    let [finding] = ours.findings.as_slice() else { panic!("one finding expected: {:#?}", ours.findings) };
    expect(
        finding,
        [
            ("rule", json!("PNS006")),
            ("severity", json!("high")),
            ("subject/pid", json!(pid)),
            ("subject/pod", json!(app.id)),
            ("subject/container", Value::Null),
        ],
    );
    assert!(
        finding["message"].as_str().unwrap().contains("(sleep) is in the net and uts of pod"),
        "{finding:#}"
    );
    drop(intruder);
    assert_eq!(agreed(world, &[&app]).findings, Vec::<Value>::new());
}

/// Whether one container can really read the environment of the process that has this pid inside.
fn can_read(reader: &Container, pid_inside: &str) -> bool {
    let script = format!("cat /proc/{pid_inside}/environ >/dev/null 2>&1 && echo yes || echo no");
    reader.exec(&["sh", "-c", &script]) == "yes"
}

/// The pid that a container's init has in the PID namespace that it shares.
fn pid_inside(container: &Container) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

/// Of each pair of containers in one PID namespace the rule says what `cat /proc/PID/environ` then does.
fn who_can_read_whom(world: &'static World) {
    let cases: [(&str, &[&[&str]]); 4] = [
        ("same-root", &[&[], &[]]),
        ("uids", &[&["--user=1000:1000"], &["--user=1001:1001"]]),
        ("same-user", &[&["--user=1000:1000"], &["--user=1000:1000"], &["--user=1000:1001"]]),
        ("capable", &[&["--user=1000:1000"], &["--cap-add=SYS_PTRACE"], &["--cap-drop=ALL"]]),
    ];
    for (name, members) in cases {
        let s = Scenario::new(world, name);
        let owner = s.run("pause", &[], "pause", &[]);
        let join = owner.join("pid");
        let containers: Vec<Container> = members
            .iter()
            .enumerate()
            .map(|(number, options)| {
                s.run(&format!("m{number}"), &[&[join.as_str()], *options].concat(), "busybox", &IDLE)
            })
            .collect();
        let all: Vec<&Container> = std::iter::once(&owner).chain(&containers).collect();
        let ours = agreed(world, &all);
        let message: String = ours
            .findings
            .iter()
            .filter(|finding| finding["rule"] == "PNS009")
            .map(|finding| finding["message"].as_str().unwrap().to_owned() + ";")
            .collect();
        for reader in &containers {
            for target in containers.iter().filter(|target| target.id != reader.id) {
                let says = message
                    .split("; ")
                    .flat_map(|part| part.split("namespace, ").last())
                    .filter(|part| part.starts_with(&format!("{} can read", reader.name)))
                    .any(|part| part.contains(&target.name));
                let does = can_read(reader, &pid_inside(target));
                assert_eq!(says, does, "{name}: {} reads {}: {message}", reader.name, target.name);
            }
        }
        assert!(!message.contains(&format!("read {}", owner.name)), "there is nothing to read in a pause");
    }
}

fn who_shares_a_folder(world: &'static World) {
    let s = Scenario::new(world, "r4");
    let folder = world.scratch("r4-data").display().to_string();
    let writer = s.run("writer", &[&format!("--volume={folder}:/data")], "busybox", &IDLE);
    let reader = s.run("reader", &[&format!("--volume={folder}:/in:ro")], "busybox", &IDLE);
    let etc = world.scratch("r4-etc").display().to_string();
    let read_only = format!("--volume={etc}:/etc/x:ro");
    let quiet =
        [s.run("one", &[&read_only], "busybox", &IDLE), s.run("other", &[&read_only], "busybox", &IDLE)];
    let ours = agreed(world, &[&writer, &reader, &quiet[0], &quiet[1]]);
    let [finding] = ours.findings.as_slice() else { panic!("one finding expected: {:#?}", ours.findings) };
    expect(
        finding,
        [("rule", json!("PNS010")), ("severity", json!("low")), ("subject/pod", json!(writer.id))],
    );
    assert!(finding["message"].as_str().unwrap().contains(&folder), "{finding:#}");
}

fn who_does_not_reap(world: &'static World) {
    let s = Scenario::new(world, "r5");
    // PID 1 becomes a sleep, which reaps nobody; what dies below it stays.
    let script = "for i in $(seq 20); do (sleep 0.1 &) ; done; exec sleep 3600";
    let leaky = s.run("leaky", &[], "busybox", &["sh", "-c", script]);
    let tidy = s.run("tidy", &["--init"], "busybox", &["sh", "-c", script]);
    let dead = || {
        let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", leaky.pid())).unwrap_or_default();
        children.split_whitespace().filter(|pid| stat(pid.parse().unwrap()).contains(") Z ")).count()
    };
    wait_until("twenty zombies", || dead() == 20);
    let ours = agreed(world, &[&leaky, &tidy]);
    assert_eq!(ours.findings_of("PNS011"), [("pid", leaky.id.as_str())]);
    assert!(ours.findings[0]["message"].as_str().unwrap().contains("20 dead"), "{:#?}", ours.findings);
}

fn who_is_not_where_it_is_declared(world: &'static World) {
    let s = Scenario::new(world, "r6");
    let other = s.run("other", &[], "busybox", &IDLE);
    // Its init itself goes to the node's network: the specification says otherwise.
    let host = std::process::id().to_string();
    let command = ["nsenter", "-t", &host, "-n", "sleep", "3600"];
    let options = ["--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--pid=host"];
    let escaped = s.run("escaped", &options, "busybox", &command);
    let ours = agreed(world, &[&other, &escaped]);
    assert_eq!(kinds(&ours, "PNS008", &escaped), ["net"]);
    assert_eq!(kinds(&ours, "PNS008", &other), Vec::<&str>::new());
    assert_eq!(kinds(&ours, "PNS005", &escaped), ["net", "pid"], "and there it is");
}

fn an_audit_fails_as_it_was_told_to(world: &'static World) {
    let s = Scenario::new(world, "r7");
    let nginx = s.run("nginx", &[], "nginx", &[]);
    let busybox = s.run("busybox", &[&nginx.join("net")], "busybox", &IDLE);
    agreed(world, &[&nginx, &busybox]);
    let socket = world.with_socket();
    let audit = |arguments: &[&str]| inspector([&["audit", "-o", "json", &socket], arguments].concat());
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/findings.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let answer = |arguments: &[&str], code: i32| -> Value {
        let run = audit(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (Some(code), ""), "{arguments:?}: {}", run.text());
        let json = serde_json::from_str(run.text()).unwrap();
        validate(&schema, &json).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        json
    };
    let only_ours = |json: &Value| -> Vec<Value> {
        let about = |it: &&Value| it["subject"]["container"] == nginx.id.as_str();
        list(json, "findings").iter().filter(about).cloned().collect()
    };
    let rule = ["--rule=PNS001"];
    let [finding] = only_ours(&answer(&rule, 1)).try_into().unwrap();
    expect(
        &finding,
        [
            ("status", json!("open")),
            ("rule", json!("PNS001")),
            ("containerName", json!(nginx.name)),
            ("pod/name", json!(nginx.name)),
        ],
    );
    answer(&["--rule=non-pause-owner", "--fail-on=critical"], 0);

    // The same finding again after a restart of all: what was accepted stays accepted.
    let folder = world.scratch("r7");
    let baseline = folder.join("baseline.json");
    fs::write(&baseline, audit(&rule).stdout).unwrap();
    busybox.stop();
    nginx.stop();
    nginx.start();
    busybox.start();
    agreed(world, &[&nginx, &busybox]);
    let baseline = format!("--baseline={}", baseline.display());
    let [known] =
        only_ours(&answer(&["--rule=PNS001", &baseline, "--fail-on=critical"], 0)).try_into().unwrap();
    expect(&known, [("status", json!("baseline")), ("id", finding["id"].clone())]);

    let waivers = folder.join("waivers.yaml");
    let text = format!("waivers:\n- rule: PNS001\n  subject: '{}'\n  reason: until it moves\n", nginx.name);
    fs::write(&waivers, text).unwrap();
    let flag = format!("--waivers={}", waivers.display());
    let json = answer(&["--rule=PNS001", &flag, "--fail-on=critical"], 0);
    let [waived] = only_ours(&json).try_into().unwrap();
    expect(&waived, [("status", json!("waived")), ("waiver/reason", json!("until it moves"))]);

    // By what lies on disk it is the same finding.
    let files =
        inspector(["audit", "-o", "name", "--rule=PNS001", "--fail-on=critical", NO_SOCKET]).succeeded();
    let name = format!("finding/{}", finding["id"].as_str().unwrap());
    assert!(files.text().lines().any(|line| line == name), "{name} is not in\n{}", files.text());

    for (file, words) in [
        ("waivers:\n- rule: PNS001\n  subjet: x\n", "subjet"),
        ("waivers:\n- {rule: X, subject: a, reason: b}\n", "X"),
    ] {
        fs::write(&waivers, file).unwrap();
        let said = audit(&[&flag]);
        assert!(said.refused(2).contains(words), "{}", said.stderr);
    }
    assert!(audit(&["--rule=PNS099"]).refused(2).contains("PNS099"));
    assert!(audit(&["--waivers=/dev/zero"]).refused(2).contains("MiB"));
}

/// By the API and by what lies on disk.
fn a_label_suppresses(world: &'static World) {
    let s = Scenario::new(world, "r8");
    let label = "--label=pod-namespace-inspector/ignore=host-namespace,PNS0";
    let reason = "--label=pod-namespace-inspector/ignore-reason=it watches the node";
    let secret = "--label=password=hunter2";
    let agent = s.run("agent", &["--net=host", label, reason, secret], "busybox", &IDLE);
    let loud = s.run("loud", &["--net=host"], "busybox", &IDLE);
    agreed(world, &[&agent, &loud]);
    let socket = world.with_socket();
    let statuses = |arguments: &[&str]| -> (Vec<String>, Value) {
        let run = inspector([&["audit", "-o", "json", "--rule=PNS005"], arguments].concat());
        let json: Value = serde_json::from_str(run.text()).unwrap();
        let of = |container: &Container| {
            let found = list(&json, "findings").iter();
            let mut about = found.filter(|it| it["subject"]["container"] == container.id.as_str());
            about.next().unwrap()["status"].as_str().unwrap().to_owned()
        };
        (vec![of(&agent), of(&loud)], json)
    };
    for place in [socket.as_str(), NO_SOCKET] {
        let (found, json) = statuses(&[place]);
        assert_eq!(found, ["suppressed", "open"], "{place}");
        let about = |it: &&Value| it["subject"]["container"] == agent.id.as_str();
        let ours = list(&json, "findings").iter().find(about).unwrap();
        expect(ours, [("suppressed/reason", json!("it watches the node"))]);
        let wrong = list(&json, "idleSuppressions").iter().find(|it| it["rule"] == "PNS0").unwrap();
        assert_eq!(wrong["of"], format!("container {}", agent.name));
        assert_eq!(statuses(&[place, "--no-suppressions"]).0, ["open", "open"], "{place}");
    }
    let folder = world.scratch("r8");
    let recording = folder.join("node.rec");
    inspector(["record", &socket, recording.to_str().unwrap()]).succeeded();
    let text = fs::read_to_string(&recording).unwrap();
    assert!(text.contains("host-namespace,PNS0") && !text.contains("hunter2"), "other labels are not kept");
}
