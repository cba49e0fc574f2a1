//! Groups of plain Linux namespaces that no runtime claims, made by the tests themselves; and the commands that
//! need no runtime. As root, for namespaces cannot be made or read otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "these tests need no Docker")]
mod support;

mod desktop;
mod groups;
mod holders;
mod judged;
mod processes;
mod recorded;
mod shells;
mod tui;
mod unprivileged;

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use support::answer::{Ours, expect, lists_kind, namespace, strings};
use support::check::pods;
use support::clean::is_clean;
use support::executable;
use support::helper::{Helper, folder};
use support::run::{BINARY, inspector, wait_until};
use support::truth::{Truth, namespace as namespace_of, pids, running};

const SLEEP: [&str; 3] = ["busybox", "sleep", "1000"];

/// A process of a test's group.
struct Member {
    /// Ends it when dropped.
    helper: Helper,
    truth: Truth,
}

impl Member {
    fn new(kinds: &str, command: &[&str]) -> Self {
        Self::of(Helper::start(&[&["new", kinds], command].concat()))
    }

    fn join(owner: &Self, kinds: &str, command: &[&str]) -> Self {
        let pid = owner.truth.pid.to_string();
        Self::of(Helper::start(&[&["join", &pid, kinds], command].concat()))
    }

    fn of(helper: Helper) -> Self {
        assert!(rustix::process::geteuid().is_root(), "namespaces are made by root: use `cargo xtask test`");
        let truth = Truth::of(helper.command_pid()).unwrap();
        Self { helper, truth }
    }

    fn id(&self) -> String {
        self.truth.id()
    }
}

/// Asks by both sources, twice, and compares with /proc.
fn agreed(members: &[&Member], arguments: &[&str]) -> Ours {
    let ids: Vec<String> = members.iter().map(|member| member.id()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let ask = |source: &str| pods(&[&[source], arguments].concat()).ours(&ids);
    let bpf = ask("--source=bpf");
    assert_eq!(bpf, ask("--source=procfs"), "the iterator (left) and /proc (right) differ");
    assert_eq!(bpf, ask("--source=bpf"), "two runs over the same state differ");
    for member in members.iter().filter(|member| bpf.pods.iter().any(|pod| has(pod, &member.id()))) {
        let row = bpf.container(&member.id());
        expect(
            row,
            [
                ("runtime", Value::Null),
                ("image", Value::Null),
                ("identity", json!("confirmed")),
                ("state", json!("running")),
                ("initPid", json!(member.truth.pid)),
                ("namespaces", json!(member.truth.namespaces)),
                ("cgroup", json!(member.truth.cgroup)),
            ],
        );
        assert_eq!(bpf.pod_of(&member.id())["origin"], "unmanaged");
    }
    bpf
}

fn has(pod: &Value, id: &str) -> bool {
    support::answer::containers(pod).iter().any(|row| row["id"] == id)
}

fn owned_by(pod: &Value, kind: &str, owner: &Member, class: &str, mut members: Vec<String>) {
    members.sort();
    let shared = namespace(pod, kind);
    assert_eq!(strings(shared, "sharedBy"), members);
    expect(
        shared,
        [
            ("inode", json!(owner.truth.namespaces[kind])),
            ("owner/container", json!(owner.id())),
            ("owner/pid", json!(owner.truth.pid)),
            ("owner/alive", json!(true)),
            ("owner/class", json!(class)),
            ("owner/evidence", json!("inferred")),
            ("owner/classEvidence", json!("behaviour")),
        ],
    );
}

#[test]
fn an_application_that_owns_a_plain_group_is_noted() {
    let owner = Member::new("net,ipc,uts,pid", &["busybox", "httpd", "-f", "-p", "80"]);
    let joiner = Member::join(&owner, "net,ipc,pid", &SLEEP);
    let ours = agreed(&[&owner, &joiner], &[]);
    let pod = ours.the_pod();
    expect(pod, [("id", json!(owner.id())), ("verdict", json!("application-owned"))]);
    assert!(!pod["name"].as_str().unwrap().is_empty());
    for kind in ["net", "ipc", "pid"] {
        owned_by(pod, kind, &owner, "application", vec![owner.id(), joiner.id()]);
    }
    assert!(!lists_kind(pod, "uts"), "nobody else is in the owner's UTS namespace: {pod:#}");
    for member in [&owner, &joiner] {
        expect(ours.container(&member.id()), [("role", json!("unknown")), ("processes", json!(1))]);
    }
    // Good to know, no more: nobody declared a pod here.
    let id = owner.id();
    assert_eq!(ours.findings_of("PNS001"), [("ipc", id.as_str()), ("net", &id), ("pid", &id)]);
    for finding in &ours.findings {
        expect(finding, [("severity", json!("info")), ("subject/pod", json!(id))]);
    }
}

#[test]
fn a_pause_that_owns_a_plain_group_is_no_finding() {
    let pause = folder().join("pause").display().to_string();
    let owner = Member::new("net,ipc,uts,pid", &[&pause]);
    let one = Member::join(&owner, "net,ipc,uts,pid", &["busybox", "httpd", "-f", "-p", "80"]);
    let other = Member::join(&owner, "net,ipc,pid", &SLEEP);
    let ours = agreed(&[&owner, &one, &other], &[]);
    let pod = ours.the_pod();
    expect(pod, [("id", json!(owner.id())), ("verdict", json!("pause-owned"))]);
    let all = vec![owner.id(), one.id(), other.id()];
    for kind in ["net", "ipc", "pid"] {
        owned_by(pod, kind, &owner, "pause", all.clone());
    }
    owned_by(pod, "uts", &owner, "pause", vec![owner.id(), one.id()]);
    expect(ours.container(&owner.id()), [("role", json!("infra"))]);
    assert_eq!(ours.findings, Vec::<Value>::new());
}

#[test]
fn the_orphans_of_a_plain_group_are_still_a_group() {
    let owner = Member::new("net,ipc", &["busybox", "httpd", "-f", "-p", "80"]);
    let one = Member::join(&owner, "net,ipc", &SLEEP);
    let other = Member::join(&owner, "net,ipc", &SLEEP);
    let id = owner.id();
    drop(owner);
    let ours = agreed(&[&one, &other], &[]);
    let pod = ours.the_pod();
    assert!(!pod.to_string().contains(&id), "nothing names the dead owner: {pod:#}");
    for kind in ["net", "ipc"] {
        let evidence = &namespace(pod, kind)["owner"]["evidence"];
        assert!(*evidence == "inferred" || *evidence == "none", "{pod:#}");
    }
}

#[test]
fn descendants_are_counted_with_the_topmost_process() {
    let script = "busybox sleep 1000 & busybox sleep 1000 & wait";
    let owner = Member::new("net,ipc,uts,pid", &["sh", "-c", script]);
    let joiner = Member::join(&owner, "net,pid", &SLEEP);
    let children =
        || pids().into_iter().filter(|pid| namespace_of(*pid, "uts") == Some(owner.truth.namespaces["uts"]));
    wait_until("three processes", || children().count() == 3);
    let ours = agreed(&[&owner, &joiner], &[]);
    assert_eq!(support::answer::containers(ours.the_pod()).len(), 2, "children are no containers");
    expect(ours.container(&owner.id()), [("processes", json!(3))]);
    expect(ours.container(&joiner.id()), [("processes", json!(1))]);
}

#[test]
fn a_process_alone_in_its_namespaces_is_listed_when_asked_for() {
    let alone = Member::new("net,ipc,uts,pid", &SLEEP);
    let id = alone.id();
    let answer = pods(&["--source=procfs"]);
    assert!(answer.ours(&[&id]).pods.is_empty());
    assert!(answer.json["hidden"]["unmanaged"].as_u64().unwrap() >= 1);
    let ours = agreed(&[&alone], &["--all"]);
    expect(ours.the_pod(), [("verdict", json!("isolated")), ("id", json!(id))]);
    assert_eq!(ours.findings, Vec::<Value>::new());
}

#[test]
fn a_hostile_comm_is_only_text() {
    // ESC [ 2 J, an invalid byte, a right-to-left override, a C1 control, a line feed.
    let comm = "1b5b324aff e280ae c29b 0a41".replace(' ', "");
    let helper = folder().join("helper").display().to_string();
    let owner = Member::new("net,ipc,uts,pid", &[&helper, "comm", &comm]);
    let joiner = Member::join(&owner, "net,ipc,pid", &SLEEP);
    let is_set = || fs::read(format!("/proc/{}/comm", owner.truth.pid)).unwrap().starts_with(b"\x1b[2J\xff");
    wait_until("the comm", is_set);
    for source in ["--source=bpf", "--source=procfs"] {
        for format in ["table", "wide", "json", "yaml", "name"] {
            let run = inspector(["pods", "--all", "-o", format, source]).succeeded();
            is_clean(&run.stdout, &format!("pods -o {format} {source}"));
        }
    }
    let ours = agreed(&[&owner, &joiner], &[]);
    let text = serde_json::to_string(ours.the_pod()).unwrap();
    assert!(
        !text.contains("\u{fffd}") || text.contains("[2J\u{fffd}"),
        "invalid UTF-8 becomes U+FFFD: {text}"
    );
}

#[test]
fn a_stray_thread_makes_no_pod() {
    let stray = Helper::start(&["stray"]);
    assert_eq!(stray.said, "ready");
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = pods(&[source]);
        for pod in support::answer::list(&answer.json, "pods") {
            assert!(!pod.to_string().contains(&format!("proc:{}:", stray.pid())), "{pod:#}");
        }
    }
}

#[test]
fn a_reader_that_hangs_up_is_no_error() {
    for arguments in [&["pods", "--all", "-o", "json"][..], &["pods", "--all"], &["pods", "-o", "yaml"]] {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn doctor_tells_anybody_what_he_may_do() {
    let root = inspector(["doctor"]);
    is_clean(&root.stdout, "doctor");
    assert_eq!(root.code, Some(0), "{root:?}");
    assert!(root.text().contains("BTF"), "{}", root.text());
    // Below /tmp, where everybody may run it.
    let folder = public_folder();
    let binary = folder.path().join("inspector");
    executable::copy(BINARY.as_ref(), &binary);
    let nobody =
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
    let told = support::run::run(Command::new("setpriv").args(nobody).arg(&binary).arg("doctor"));
    assert!(told.code == Some(0) && told.text().contains("CAP_BPF"), "{told:?}");
}

fn public_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix("inspector-plain-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// What is on the machine that a demo could leave there.
fn left_by(binary: &Path) -> (Vec<u32>, Vec<String>) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Other tests and their daemons mount below their own folders meanwhile.
    let others = |line: &str| ["inspector-docker-", "inspector-pins-"].iter().any(|name| line.contains(name));
    let ours = mounts.lines().filter(|line| !others(line)).map(str::to_owned).collect();
    (running(binary), ours)
}

#[test]
fn the_demo_shows_both_owners_and_leaves_nothing() {
    // A file of its own, so that its processes are told from those of the other tests.
    let folder = public_folder();
    let binary = folder.path().join("inspector-demo");
    executable::copy(BINARY.as_ref(), &binary);
    let before = left_by(&binary);
    let demo = support::run::run(Command::new(&binary).arg("demo")).succeeded();
    is_clean(&demo.stdout, "demo");
    for word in ["pause", "application", "PNS001"] {
        assert!(demo.text().contains(word), "no {word} in\n{}", demo.text());
    }
    assert_eq!(left_by(&binary), before);
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let folder = public_folder();
    let binary = folder.path().join("inspector-demo");
    executable::copy(BINARY.as_ref(), &binary);
    let before = left_by(&binary);
    for (signal, later) in [(Signal::INT, 0), (Signal::TERM, 100), (Signal::INT, 400), (Signal::KILL, 200)] {
        let mut demo = Command::new(&binary)
            .arg("demo")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // There has to be something that it could leave.
        let in_namespaces = || {
            running(&binary).into_iter().any(|pid| namespace_of(pid, "net") != namespace_of(demo.id(), "net"))
        };
        wait_until("the demo makes namespaces", in_namespaces);
        thread::sleep(Duration::from_millis(later));
        assert_eq!(demo.try_wait().unwrap(), None, "the demo was over before anybody could see it");
        kill_process(Pid::from_child(&demo), signal).unwrap();
        demo.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while left_by(&binary) != before && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(left_by(&binary), before, "after {signal:?}, {later} ms into it");
    }
}
