//! `inspector demo` as its user sees it, and what it leaves behind: nothing, however it ends.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use std::collections::HashSet;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspector"));
    command.arg("demo").args(arguments).stdin(Stdio::null());
    // SAFETY: signal(2) is safe to call between fork and exec. Whoever runs the tests may ignore interrupts.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        })
    };
    command
}

/// The living (not zombie) children of a process, each with its start time and name.
fn children(of: u32) -> HashSet<(u32, String, String)> {
    processes().into_iter().filter(|(_, _, _, parent)| *parent == of).map(|(a, b, c, _)| (a, b, c)).collect()
}

/// Every process that is no zombie: pid, start time, name, parent.
fn processes() -> Vec<(u32, String, String, u32)> {
    let folder = std::fs::read_dir("/proc").unwrap();
    folder
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, rest) = stat.rsplit_once(") ")?;
            let fields: Vec<&str> = rest.split(' ').collect();
            let name = head.split_once('(')?.1.to_owned();
            (fields[0] != "Z").then(|| (pid, fields[19].to_owned(), name, fields[1].parse().unwrap()))
        })
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a demo that stays, and waits until all of its processes stand.
fn standing() -> (Child, HashSet<(u32, String, String)>) {
    let child = demo(&["--keep", "60s"]).stdout(Stdio::null()).spawn().unwrap();
    let names = |found: &HashSet<(u32, String, String)>| {
        let mut names: Vec<String> = found.iter().map(|(_, _, name)| name.clone()).collect();
        names.sort();
        names
    };
    let all = ["demo-pause", "demo-sidecar", "demo-sidecar", "demo-web", "demo-web"];
    until("five processes", || names(&children(child.id())) == all);
    let found = children(child.id());
    (child, found)
}

#[test]
fn tells_its_story_and_leaves_nothing() {
    let output = demo(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for fact in [
        "1. We kill pod A's web server.",
        "2. We kill pod B's web server.",
        "3. We kill pod A's pause.",
        "4. Pod C",
        "All processes and namespaces of the demo are gone.",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    // Who lived and who died, by the kernel's word: acts 1, 2, 3 and 4.
    let fates: Vec<(String, bool)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().filter(|name| name.starts_with("demo-"))?;
            words.next()?.parse::<u32>().ok()?;
            match words.next()? {
                "lives" => Some((name.to_owned(), true)),
                "dead:" => Some((name.to_owned(), false)),
                _ => None,
            }
        })
        .collect();
    let expected = [
        ("demo-pause", true),
        ("demo-web", false),
        ("demo-sidecar", true),
        ("demo-web", false),
        ("demo-sidecar", false),
        ("demo-pause", false),
        ("demo-sidecar", false),
        ("demo-web", false),
        ("demo-sidecar", true),
    ];
    let expected: Vec<(String, bool)> = expected.map(|(name, lives)| (name.to_owned(), lives)).into();
    assert_eq!(fates, expected, "{text}");
    let told: HashSet<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let left: Vec<_> = processes()
        .into_iter()
        .filter(|(pid, _, name, _)| name.starts_with("demo-") && told.contains(pid))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Interrupted, terminated, hung up on, or killed so that it can do nothing about it.
#[test]
fn however_it_ends_its_processes_end_with_it() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGKILL] {
        let (mut child, its) = standing();
        let pid = rustix::process::Pid::from_child(&child);
        let signal_name = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal_name).unwrap();
        let status = child.wait().unwrap();
        assert!(status.signal() == Some(signal) || status.code().is_some(), "{status:?}");
        until(&format!("all are gone after signal {signal}"), || {
            processes().iter().all(|(pid, start, name, _)| {
                !its.iter().any(|(other, since, its_name)| (pid, start, name) == (other, since, its_name))
            })
        });
    }
}

/// The processes hold namespaces of their own while they stand, in the pods that the demo tells of.
#[test]
fn its_pods_are_what_it_says() {
    let (mut child, its) = standing();
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    for kind in ["net", "ipc", "uts", "pid"] {
        let mut count = std::collections::HashMap::new();
        for (pid, _, _) in &its {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
            assert_ne!(link, host);
            *count.entry(link).or_insert(0) += 1;
        }
        let mut sizes: Vec<i32> = count.into_values().collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 3], "two pods, of two and of three: {kind}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nobody_else_may_play_a_part() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_inspector")).args(["__demo-process", "demo-web"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("inspector demo"));
}
