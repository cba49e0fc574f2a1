//! What is chosen, in which order, and what stands below what.

use super::samples::node;
use super::*;
use crate::state::namespaces::Above;

fn names(rows: &NamespaceRows<'_>) -> Vec<String> {
    rows.iter().map(|it| format!("{}:{}", it.kind(), i64::from(it.inode()) - 4_026_532_000)).collect()
}

fn selected(kinds: &[Kind], pid: Option<u32>, sort: NamespaceSort) -> Vec<String> {
    let seen = node();
    let all = Namespaces::of(&seen);
    let mut list = namespace_list(&seen, &all);
    let selection = NamespaceSelection { kinds: kinds.to_vec(), pid };
    select_namespaces(&mut list.namespaces, &selection, sort).unwrap();
    names(&list.namespaces)
}

#[test]
fn each_condition_picks_its_namespaces() {
    let by = NamespaceSort::Type;
    let everything = selected(&[], None, by);
    assert_eq!(everything.len(), 30);
    assert_eq!(selected(&[Kind::User], None, by), ["user:-163", "user:1", "user:2", "user:7"]);
    assert_eq!(selected(&[Kind::Time, Kind::Uts], None, by).len(), 4);
    assert_eq!(selected(&Kind::ALL, None, by), everything);
    // Its own eight, and the one that its children will be in.
    let of_nested = selected(&[], Some(2_401), by);
    assert_eq!(of_nested.len(), 9);
    assert_eq!(selected(&[Kind::Pid], Some(2_401), by), ["pid:4", "pid:6"]);
    // A zombie has two.
    assert_eq!(selected(&[], Some(2_402), by), ["pid:4", "user:2"]);
}

#[test]
fn a_process_that_was_not_seen_is_an_error() {
    let seen = node();
    let all = Namespaces::of(&seen);
    let mut list = namespace_list(&seen, &all);
    let selection = NamespaceSelection { pid: Some(77), ..NamespaceSelection::default() };
    let error = select_namespaces(&mut list.namespaces, &selection, NamespaceSort::Type);
    assert_eq!(error, Err(NoSuchProcess(77)));
}

#[test]
fn each_order_keeps_every_namespace() {
    let sorted = |by| {
        let mut names = selected(&[], None, by);
        let first: Vec<String> = names[..3].to_vec();
        names.sort();
        let mut all = selected(&[], None, NamespaceSort::Type);
        all.sort();
        assert_eq!(names, all);
        first
    };
    assert_eq!(sorted(NamespaceSort::Type), ["mnt:-168", "mnt:3100", "mnt:3200"]);
    assert_eq!(sorted(NamespaceSort::Ns), ["mnt:-168", "uts:-167", "ipc:-166"]);
    assert_eq!(sorted(NamespaceSort::Procs), ["time:-161", "uts:-167", "ipc:-166"]);
    assert_eq!(sorted(NamespaceSort::Threads), ["time:-161", "uts:-167", "ipc:-166"]);
    assert_eq!(sorted(NamespaceSort::Pid), ["mnt:-168", "uts:-167", "ipc:-166"]);
    assert_eq!(sorted(NamespaceSort::Containers), ["time:-161", "uts:-167", "ipc:-166"]);
}

/// Each branch as its name, after as many dots as it is deep.
fn drawn(kinds: &[Kind], pid: Option<u32>, above: Above) -> Vec<String> {
    let seen = node();
    let all = Namespaces::of(&seen);
    let mut list = namespace_list(&seen, &all);
    let selection = NamespaceSelection { kinds: kinds.to_vec(), pid };
    select_namespaces(&mut list.namespaces, &selection, NamespaceSort::Type).unwrap();
    tree(&list.namespaces, above)
        .into_iter()
        .map(|branch| {
            let it = all.get(branch.position).unwrap();
            let asked = if branch.asked { "" } else { "?" };
            let name = format!("{}:{}", it.kind(), i64::from(it.inode()) - 4_026_532_000);
            format!("{}{name}{asked}", ".".repeat(branch.more.len()))
        })
        .collect()
}

#[test]
fn everything_stands_once_below_what_it_is_below() {
    assert_eq!(
        drawn(&[Kind::Pid, Kind::User], None, Above::Parent),
        [
            "pid:-165",
            ".pid:3",
            "..pid:4",
            "...pid:6",
            ".pid:3103",
            ".pid:3303",
            "user:-163",
            ".user:1",
            "..user:2",
            ".user:7"
        ]
    );
    let by_owner = drawn(&[], None, Above::Owner);
    assert_eq!(by_owner.len(), 30);
    let roots: Vec<&String> = by_owner.iter().filter(|name| !name.starts_with('.')).collect();
    // Of one that only a descriptor leads to, nothing is known.
    assert_eq!(roots, ["user:-163", "net:9"]);
    // What was asked for, with all above it.
    assert_eq!(
        drawn(&[Kind::Net], Some(2_401), Above::Owner),
        ["user:-163?", ".user:1?", "..user:2?", "...net:5"]
    );
    assert_eq!(
        drawn(&[Kind::Pid], Some(2_401), Above::Parent),
        ["pid:-165?", ".pid:3?", "..pid:4", "...pid:6"]
    );
}

#[test]
fn a_recording_in_which_namespaces_go_in_circles_is_shown_too() {
    let mut seen = Observation::default();
    let fact = |inode, above| crate::observation::NamespaceFact {
        kind: Kind::User,
        inode,
        owner: Some(above),
        parent: Some(above),
        id: None,
    };
    seen.namespaces = vec![fact(1, 2), fact(2, 3), fact(3, 1)];
    // Deeper than any kernel goes.
    seen.namespaces.extend((10..200).map(|inode| fact(inode, inode + 1)));
    let all = Namespaces::of(&seen);
    let list = namespace_list(&seen, &all);
    for above in [Above::Parent, Above::Owner] {
        let mut positions: Vec<_> = tree(&list.namespaces, above).iter().map(|it| it.position).collect();
        positions.sort_unstable();
        assert_eq!(positions, (0..all.len()).collect::<Vec<_>>());
    }
}
