//! `inspector ps` on plain namespaces, against what /proc says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::answer::{list, validate};
use crate::support::clean::is_clean;
use crate::support::helper::folder;
use crate::support::run::{inspector, wait_until};
use crate::support::truth::{Truth, namespace as namespace_of, pids};
use crate::{Member, SLEEP};

const SOURCES: [&str; 2] = ["--source=bpf", "--source=procfs"];

/// Asks, and holds the answer against the published schema.
fn ask(arguments: &[&str]) -> Value {
    let run = inspector([&["ps", "-o", "json"], arguments].concat()).succeeded();
    let json: Value = serde_json::from_str(run.text()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/processes.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    validate(&schema, &json).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    json
}

/// The rows of one PID namespace, by both sources, which have to agree but for `state`: it changes while we look.
fn agreed(inode: u64, arguments: &[&str]) -> Vec<Value> {
    let rows = |source: &str| -> Vec<Value> {
        let answer = ask(&[&[source], arguments].concat());
        let of_this = list(&answer, "processes").iter().filter(|row| row["pidNamespace"] == inode);
        let mut rows: Vec<Value> = of_this.cloned().collect();
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("state")));
        rows
    };
    let bpf = rows(SOURCES[0]);
    assert_eq!(bpf, rows(SOURCES[1]), "the iterator (left) and /proc (right) differ");
    bpf
}

/// Every process in the namespace, as /proc has it, at that level of `NSpid`.
fn truths(inode: u64) -> BTreeSet<(u32, u32)> {
    let inside = pids().into_iter().filter(|pid| namespace_of(*pid, "pid") == Some(inode));
    inside.filter_map(Truth::of).map(|truth| (truth.nspid[1], truth.pid)).collect()
}

fn numbers(rows: &[Value]) -> BTreeSet<(u32, u32)> {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    rows.iter().map(|row| (number(&row["podPid"]), number(&row["pid"]))).collect()
}

#[test]
fn the_processes_of_a_shared_namespace_have_the_numbers_that_are_seen_inside() {
    let script = "busybox sleep 1000 & busybox sleep 1000 & wait";
    let owner = Member::new("net,ipc,uts,pid", &["sh", "-c", script]);
    let joiner = Member::join(&owner, "net,pid", &SLEEP);
    let inode = owner.truth.namespaces["pid"];
    wait_until("four processes", || truths(inode).len() == 4);
    let by_name = agreed(inode, &[&owner.truth.pid.to_string()]);
    assert_eq!(numbers(&by_name), truths(inode));
    assert_eq!(agreed(inode, &[]), by_name, "it is shared, so it is listed without a target");
    for id in [owner.id(), joiner.id(), format!("pid/{}", joiner.truth.pid)] {
        assert_eq!(agreed(inode, &[&id]), by_name, "{id}");
    }
    for row in &by_name {
        let whose = if row["pid"] == joiner.truth.pid { &joiner } else { &owner };
        assert_eq!((&row["container"], &row["uid"]), (&json!(whose.id()), &json!(0)), "{row:#}");
        assert_eq!(row["pod"]["id"], owner.id());
        assert!(row["startedAt"].is_string() && row["threads"] == 1, "{row:#}");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", row["pid"])).unwrap();
        let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap();
        assert_eq!(row["parent"].to_string(), parent, "{row:#}");
    }
    assert_eq!(by_name[0]["podPid"], 1);
    let table = inspector(["ps", &owner.id()]).succeeded();
    let radius = "its death kills the 3 other processes, 1 of ";
    assert!(
        table.text().contains("▲ PID 1 is sh of sh") && table.text().contains(radius),
        "{}",
        table.text()
    );
    // The death of PID 1 is what the heading says.
    drop(owner);
    wait_until("all of them are dead", || truths(inode).is_empty());
}

#[test]
fn a_private_namespace_is_counted_and_listed_when_asked_for() {
    let alone = Member::new("pid,net", &SLEEP);
    let inode = alone.truth.namespaces["pid"];
    let answer = ask(&["--source=procfs"]);
    assert!(list(&answer, "processes").iter().all(|row| row["pidNamespace"] != inode));
    assert!(answer["hidden"]["private"].as_u64().unwrap() >= 1, "{:#}", answer["hidden"]);
    assert_eq!(numbers(&agreed(inode, &["--all"])), [(1, alone.truth.pid)].into());
    assert_eq!(numbers(&agreed(inode, &[&alone.id()])), [(1, alone.truth.pid)].into());
}

#[test]
fn a_process_below_has_its_number_in_the_pods_namespace() {
    let helper = folder().join("helper").display().to_string();
    let owner = Member::new("net,ipc,uts,pid", &[&helper, "new", "user,pid", "busybox", "sleep", "1000"]);
    let joiner = Member::join(&owner, "net,pid", &SLEEP);
    let inode = owner.truth.namespaces["pid"];
    let below = || {
        let nested = pids().into_iter().filter_map(Truth::of).filter(|truth| {
            truth.nspid.len() == owner.truth.nspid.len() + 1
                && truth.namespaces["net"] == owner.truth.namespaces["net"]
        });
        nested.collect::<Vec<Truth>>()
    };
    wait_until("a process below", || {
        below().len() == 1
            && std::fs::read(format!("/proc/{}/comm", below()[0].pid)).is_ok_and(|comm| comm == b"busybox\n")
    });
    let nested = &below()[0];
    let rows = agreed(inode, &[&owner.id()]);
    let expected: BTreeSet<(u32, u32)> =
        truths(inode).into_iter().chain([(nested.nspid[1], nested.pid)]).collect();
    assert_eq!((numbers(&rows), rows.len()), (expected, 3));
    assert!(numbers(&rows).contains(&(joiner.truth.nspid[1], joiner.truth.pid)));
    let row = rows.iter().find(|row| row["pid"] == nested.pid).unwrap();
    assert_eq!((&row["container"], &row["parent"]), (&json!(owner.id()), &json!(owner.truth.pid)));
}

#[test]
fn a_zombie_is_listed_with_whoever_has_to_reap_it() {
    // The shell becomes a sleep, which reaps nobody.
    let owner = Member::new("net,ipc,uts,pid", &["sh", "-c", "busybox true & exec busybox sleep 1000"]);
    let joiner = Member::join(&owner, "net,pid", &SLEEP);
    let inode = owner.truth.namespaces["pid"];
    let zombies = || {
        let is_zombie = |row: &&Value| row["state"] == "Z";
        let answer = ask(&["--source=procfs", &joiner.id()]);
        list(&answer, "processes").iter().filter(is_zombie).cloned().collect::<Vec<Value>>()
    };
    wait_until("a zombie", || zombies().len() == 1);
    let zombie = &zombies()[0];
    // Who of it and the joiner came first is anybody's guess; a zombie's namespaces are not to be read, its numbers are.
    let status = std::fs::read_to_string(format!("/proc/{}/status", zombie["pid"])).unwrap();
    let inside: u32 = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().next_back()?.parse().ok())
        .unwrap();
    assert!(inside == 2 || inside == 3, "{status}");
    assert_eq!((&zombie["container"], &zombie["podPid"]), (&json!(owner.id()), &json!(inside)), "{zombie:#}");
    assert_eq!(agreed(inode, &[]).len(), 3);
}

#[test]
fn an_init_without_its_main_thread_is_still_the_init() {
    let helper = folder().join("helper").display().to_string();
    // Its namespaces can be read while it is a shell yet: a dead main thread has left most of them.
    let script = format!("busybox sleep 1; exec {helper} leaderless");
    let owner = Member::new("pid,net", &["sh", "-c", &script]);
    let joiner = Member::join(&owner, "pid", &SLEEP);
    let inode = owner.truth.namespaces["pid"];
    let ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", owner.truth.pid)).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('Z')
    };
    wait_until("the main thread ends", ended);
    let rows = agreed(inode, &[&joiner.id()]);
    let expected = [(1, owner.truth.pid), (joiner.truth.nspid[1], joiner.truth.pid)];
    assert_eq!(numbers(&rows), expected.into());
}

#[test]
fn what_nobody_is_called_is_refused_in_one_line() {
    for target in ["no-such-pod", "pod/x", "container/", "4294967295", "pid/1", "99999999999", "a\x1b[2J\nb"]
    {
        let run = inspector(["ps", target, "--source=procfs"]);
        is_clean(run.refused(2).as_bytes(), target);
    }
}

#[test]
fn every_format_is_harmless() {
    let comm = "1b5b324affe280ae0a41";
    let helper = folder().join("helper").display().to_string();
    let owner = Member::new("net,pid", &[&helper, "comm", comm]);
    let _joiner = Member::join(&owner, "net,pid", &SLEEP);
    let path = format!("/proc/{}/comm", owner.truth.pid);
    wait_until("the comm", || std::fs::read(&path).unwrap().starts_with(b"\x1b"));
    for format in ["table", "wide", "json", "yaml", "name"] {
        let run = inspector(["ps", "--all", "-o", format]).succeeded();
        is_clean(&run.stdout, format);
    }
    let strict = inspector(["ps", "--strict", "-o", "name", &owner.id()]).succeeded();
    assert!(strict.text().contains(&format!("pid/{}\n", owner.truth.pid)));
}
