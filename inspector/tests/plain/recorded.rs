//! Recordings over time: what happened is told again, anywhere, as often as anybody asks.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::run::{BINARY, Run, inspector, patience, run, wait_until};
use crate::unprivileged::as_nobody;
use crate::{Member, SLEEP, public_folder};

/// A recording that runs until it is ended.
struct Recorder(Child);

impl Recorder {
    /// Begins; its first look is in once this returns.
    fn start(file: &Path, arguments: &[&str]) -> Self {
        let limit = format!("{}s", patience(Duration::from_secs(60)).as_secs());
        let mut command = Command::new(BINARY);
        command.arg("record").arg(file).args(["--for", &limit]).args(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let recorder = Self(child);
        wait_until("the first look is recorded", || {
            fs::read(file).is_ok_and(|bytes| bytes.starts_with(&[0x1f, 0x8b]))
        });
        recorder
    }

    /// Ends it, and gives what it said.
    fn end(mut self, signal: Signal) -> String {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        let status = self.0.wait().unwrap();
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.success(), signal != Signal::KILL, "{said}");
        said
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn events(run: &Run) -> Vec<Value> {
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `zcat` makes of a file; of one that is cut off, what there is.
fn unpacked(file: &Path) -> String {
    let output = Command::new("zcat").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the pod of this process is in an answer.
fn shows(file: &Path, at: &[&str], id: &str) -> bool {
    let arguments = [&["pods", "--all", "-o", "json", "--replay", text(file)], at].concat();
    inspector(arguments).succeeded().text().contains(id)
}

#[test]
fn what_happened_is_told_again_to_anybody_and_at_any_moment() {
    let folder = public_folder();
    let file = folder.path().join("node.rec");
    let recorder = Recorder::start(&file, &[]);
    let owner = Member::new("net,uts,pid", &SLEEP);
    let (pid, id) = (owner.truth.pid, owner.id());
    wait_until("it is recorded", || shows_now(&file, &id));
    drop(owner);
    wait_until("its end is recorded", || !shows_now(&file, &id));
    let said = recorder.end(Signal::TERM);
    assert!(said.lines().count() == 2 && said.contains(" events of the kernel, "), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let watched = ["watch", "--all", "-o", "json", "--replay", text(&file)];
    let first = inspector(watched).succeeded();
    assert_eq!(first.stdout, inspector(watched).succeeded().stdout);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(as_nobody(&watched).succeeded().stdout, first.stdout);
    let all = events(&first);
    let of_it = |event: &&Value| event["process"]["pid"] == pid || event["container"]["id"] == id.as_str();
    let types: Vec<&str> = all.iter().filter(of_it).map(|event| event["type"].as_str().unwrap()).collect();
    for wanted in ["container-started", "container-exited"] {
        assert!(types.contains(&wanted), "no {wanted}: {types:?}");
    }

    // It was there for a while, and neither before nor after it.
    assert!(!shows(&file, &["--at", "+0s"], &id) && !shows(&file, &[], &id));
    let started = all.iter().find(|it| of_it(it) && it["type"] == "container-started").unwrap();
    let time = started["time"].as_str().unwrap();
    assert!(shows(&file, &["--at", time], &id), "not there at {time}");
    let refused = inspector(["pods", "--replay", text(&file), "--at", "+1h"]);
    let line = refused.refused(2);
    assert!(line.contains("(+0s) to ") && line.contains("node.rec"), "{line}");
    // The span that it names is one that it takes.
    let end = line.rsplit_once("(+").unwrap().1.split('s').next().unwrap();
    inspector(["pods", "--replay", text(&file), "--at", &format!("+{end}s")]).succeeded();

    let some = ["--event", "container-started", "--until", "container-started"];
    let some = inspector([&watched[..], &some].concat()).succeeded();
    assert_eq!(some.text().lines().count(), 1);
    // Of its first moment there is little to tell, if anything.
    let begin = inspector([&watched[..], &["--for", "1ms"]].concat()).succeeded().stdout;
    assert!(first.stdout.starts_with(&begin) && begin.len() < first.stdout.len());
    let explained =
        inspector(["explain", &pid.to_string(), "--replay", text(&file), "--at", time]).succeeded();
    // It may not be another program yet.
    let name = ["busybox", "helper"].map(|name| format!("process {name}, pid {pid}"));
    assert!(name.iter().any(|name| explained.text().contains(name)), "{}", explained.text());
    for command in ["namespaces", "ps", "graph"] {
        assert!(!inspector([command, "--all", "--replay", text(&file)]).succeeded().text().is_empty());
    }
    let stdin = fs::File::open(&file).unwrap();
    let piped =
        Command::new(BINARY).args(["watch", "--all", "-o", "json", "--replay", "-"]).stdin(stdin).output();
    assert_eq!(piped.unwrap().stdout, first.stdout);
}

/// As [`shows`], of a recording that goes on.
fn shows_now(file: &Path, id: &str) -> bool {
    let run = inspector(["pods", "--all", "-o", "json", "--replay", text(file)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.text().contains(id)
}

#[test]
fn a_recording_that_is_killed_is_a_shorter_one() {
    let folder = public_folder();
    let file = folder.path().join("node.rec");
    fs::write(&file, "older").unwrap();
    let recorder = Recorder::start(&file, &[]);
    let owner = Member::new("net,pid", &SLEEP);
    let id = owner.id();
    wait_until("it is recorded", || shows_now(&file, &id));
    recorder.end(Signal::KILL);
    let pods = inspector(["pods", "--all", "--replay", text(&file)]).succeeded();
    assert!(
        pods.text().contains("the end of the recording: the file is cut off after byte "),
        "{}",
        pods.text()
    );
    assert!(pods.text().contains(&owner.truth.pid.to_string()));
    // And shorter still, wherever it is cut.
    let whole = fs::read(&file).unwrap();
    let step = (whole.len() / 60).max(1);
    let cut = folder.path().join("cut.rec");
    let mut sound = 0;
    for length in (0..whole.len()).step_by(step) {
        fs::write(&cut, &whole[..length]).unwrap();
        let run = inspector(["pods", "--all", "--strict", "--replay", text(&cut)]);
        match run.code {
            Some(0) => sound += 1,
            Some(3) => assert!(sound == 0 || run.stderr.contains("partial"), "cut at {length}: {run:?}"),
            _ => panic!("cut at {length}: {run:?}"),
        }
    }
    assert!(sound > 0 || whole.len() < 100, "none of them was believed");
}

#[test]
fn only_a_regular_file_is_recorded_into_and_an_older_one_stays_until_the_first_look() {
    let folder = public_folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("older"), "older").unwrap();
    symlink(path("older"), path("link")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (name, what) in
        [("link", "a symbolic link"), ("folder", "a directory"), ("missing/file", "No such file")]
    {
        let run = inspector(["record", text(&path(name)), "--for", "1s", "--source=procfs"]);
        assert!(run.refused(3).contains(what), "{run:?}");
    }
    assert_eq!(fs::read_to_string(path("older")).unwrap(), "older");
    let run = inspector(["record", text(&path("older")), "--for", "300ms", "--source=procfs"]).succeeded();
    assert!(run.text().contains("recorded 0."), "{}", run.text());
    assert!(unpacked(&path("older")).lines().last().unwrap().starts_with("{\"end\":"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left behind");
    // Through a pipe, nothing but the recording is printed.
    let piped = inspector(["record", "-", "--for", "300ms", "--source=procfs"]).succeeded();
    fs::write(path("piped"), &piped.stdout).unwrap();
    inspector(["pods", "--replay", text(&path("piped"))]).succeeded();
}

#[test]
fn a_redacted_recording_has_no_name_of_the_node_and_the_same_verdicts() {
    let folder = public_folder();
    let binary = folder.path().join("zanzibar");
    fs::copy("/bin/sleep", &binary).unwrap();
    let owner = Member::new("net,pid,ipc", &[text(&binary), "1000"]);
    let joiner = Member::join(&owner, "net,pid", &[text(&binary), "1000"]);
    let file = folder.path().join("other.rec");
    let ids = [owner.id(), joiner.id()];
    let judged = |file: &Path| -> Vec<(Value, Value, Value)> {
        let answer = inspector(["pods", "--all", "-o", "json", "--replay", text(file)]).succeeded();
        let answer: Value = serde_json::from_str(answer.text()).unwrap();
        let pods = answer["pods"].as_array().unwrap().iter();
        let pods = pods.filter(|pod| ids.iter().any(|id| pod["id"] == id.as_str()));
        pods.map(|pod| {
            (pod["verdict"].clone(), pod["namespaces"].as_array().unwrap().len().into(), pod["id"].clone())
        })
        .collect()
    };
    let plain = folder.path().join("plain.rec");
    inspector(["record", text(&plain)]).succeeded();
    assert!(fs::read_to_string(&plain).unwrap().contains("zanzibar"));
    let expected = judged(&plain);
    assert_eq!(expected.len(), 1);
    inspector(["record", text(&file), "--redact"]).succeeded();
    assert_eq!(judged(&file), expected);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut texts = vec![fs::read_to_string(&file).unwrap()];

    let recorder = Recorder::start(&file, &["--redact"]);
    drop(joiner);
    wait_until("its end is recorded", || unpacked(&file).contains("\"exit\""));
    recorder.end(Signal::INT);
    texts.push(unpacked(&file));
    for text in texts {
        assert!(!text.contains("zanzibar") && !text.contains(&format!("\"{}\"", host.trim())), "{text}");
    }
    let told = run(Command::new(BINARY).args(["watch", "--all", "--replay", text(&file)])).succeeded();
    assert!(told.text().contains("exited"), "{}", told.text());
}
