//! What the rules and the blast radius say of plain namespaces, against what then happens.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::holders::MountPoint;
use crate::support::answer::{expect, list};
use crate::support::helper::Helper;
use crate::support::random::{Random, topologies};
use crate::support::run::{inspector, wait_until};
use crate::support::truth::{KINDS, Truth, host_namespace, is_dead};
use crate::{Member, SLEEP};

/// What an audit by one rule finds about a namespace, by both sources.
fn findings(rule: &str, inode: u64) -> Vec<Value> {
    let [bpf, procfs] = ["--source=bpf", "--source=procfs"].map(|source| {
        let run =
            inspector(["audit", "-o", "json", "--fail-on=critical", "--rule", rule, source]).succeeded();
        let json: Value = serde_json::from_str(run.text()).unwrap();
        let about = |it: &&Value| it["subject"]["inode"] == inode;
        list(&json, "findings").iter().filter(about).cloned().collect::<Vec<_>>()
    });
    assert_eq!(bpf, procfs, "the iterator (left) and /proc (right) differ");
    bpf
}

#[test]
fn a_namespace_that_only_a_pin_or_a_descriptor_keeps_is_orphaned() {
    let mount = MountPoint::new();
    let owner = Member::new("net,uts,ipc", &SLEEP);
    let pid = owner.truth.pid;
    let namespaces = owner.truth.namespaces.clone();
    mount.pin("forgotten", &format!("/proc/{pid}/ns/net"));
    let holder = Helper::start(&["hold", &pid.to_string(), "uts"]);
    for kind in ["net", "uts", "ipc"] {
        assert_eq!(findings("PNS007", namespaces[kind]), Vec::<Value>::new(), "{kind}: somebody is in it");
    }
    drop(owner);
    wait_until("the owner is gone", || Truth::of(pid).is_none());
    let [net] = findings("PNS007", namespaces["net"]).try_into().unwrap();
    expect(
        &net,
        [("severity", json!("low")), ("subject/namespaceKind", json!("net")), ("subject/pod", Value::Null)],
    );
    assert!(net["message"].as_str().unwrap().contains("forgotten keeps it"), "{net:#}");
    let [uts] = findings("PNS007", namespaces["uts"]).try_into().unwrap();
    assert!(uts["message"].as_str().unwrap().contains(&format!("of process {}", holder.pid())), "{uts:#}");
    assert_eq!(findings("PNS007", namespaces["ipc"]), Vec::<Value>::new(), "nothing keeps it: it is gone");
    drop(mount);
    assert_eq!(findings("PNS007", namespaces["net"]), Vec::<Value>::new());
}

#[test]
fn who_dies_in_plain_groups() {
    let mut random = Random::new("plain groups");
    for number in 0..topologies(20) {
        one_group(&mut random, number);
    }
}

/// An owner and some who join it, in some kinds; one of them is killed.
fn one_group(random: &mut Random, number: u64) {
    const SHARED: [&str; 4] = ["net", "ipc", "uts", "pid"];
    let kinds = |random: &mut Random| -> Vec<&str> {
        let some: Vec<&str> = SHARED.into_iter().filter(|_| random.below(2) == 0).collect();
        if some.is_empty() { vec![SHARED[random.below(4)]] } else { some }
    };
    let own = kinds(random);
    let owner = Member::new(&own.join(","), &SLEEP);
    let mut members = vec![owner];
    for _ in 0..1 + random.below(3) {
        let joined: Vec<&str> = kinds(random).into_iter().filter(|kind| own.contains(kind)).collect();
        let joined = if joined.is_empty() { vec![own[0]] } else { joined };
        let joiner = Member::join(&members[0], &joined.join(","), &SLEEP);
        members.push(joiner);
    }
    let target = random.below(members.len());
    let before: BTreeMap<u32, BTreeMap<String, u64>> =
        members.iter().map(|it| (it.truth.pid, it.truth.namespaces.clone())).collect();
    let pid = members[target].truth.pid;
    let run = inspector(["explain", "-o", "json", &pid.to_string()]).succeeded();
    let said: Value = serde_json::from_str(run.text()).unwrap();
    let if_dies = &said["ifDies"];
    let mut predicted: BTreeSet<u32> = list(if_dies, "killed")
        .iter()
        .map(|it| u32::try_from(it["pid"].as_u64().unwrap()).unwrap())
        .collect();
    predicted.insert(pid);
    let key = |it: &Value| (it["kind"].as_str().unwrap().to_owned(), it["inode"].as_u64().unwrap());
    let destroyed: BTreeSet<(String, u64)> = list(if_dies, "destroyed").iter().map(key).collect();
    let orphaned: BTreeSet<(String, u64)> = list(if_dies, "orphaned").iter().map(key).collect();

    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    wait_until("the end of all that dies", || predicted.iter().all(|pid| is_dead(*pid)));
    let dead: BTreeSet<u32> = before.keys().copied().filter(|pid| is_dead(*pid)).collect();
    assert_eq!(dead, predicted, "group {number}: dead (left), predicted (right): {if_dies:#}");
    let of = |dies: bool| -> BTreeSet<(String, u64)> {
        before
            .iter()
            .filter(|(pid, _)| dead.contains(pid) == dies)
            .flat_map(|(_, own)| KINDS.map(|kind| (kind.to_owned(), own[kind])))
            .filter(|(kind, inode)| *inode != host_namespace(kind))
            .collect()
    };
    let (left, held) = (of(true), of(false));
    let gone: BTreeSet<_> = left.difference(&held).cloned().collect();
    assert_eq!(gone, destroyed, "group {number}: gone (left), predicted (right): {if_dies:#}");
    assert!(orphaned.is_subset(&held), "group {number}: {orphaned:?} is kept by nobody");
    // The owner's death orphans all that others keep; another's nothing.
    let kept: BTreeSet<_> = left.intersection(&held).cloned().collect();
    let expected = if target == 0 { kept } else { BTreeSet::new() };
    assert_eq!(orphaned, expected, "group {number}: {if_dies:#}");
}
