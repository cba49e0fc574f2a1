//! What has to hold of every pod, whatever the test is about.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::answer::{Answer, Ours, containers, expect};
use crate::support::cri::{Container, Pod, World};
use crate::support::run::inspector;
use crate::support::truth::{Truth, processes_in};

/// A container's id, and what /proc says of its init and how many processes it has, if it lives.
type Facts = BTreeMap<String, Option<(Truth, usize)>>;

/// Asks for the pods as JSON.
pub fn pods(arguments: &[&str]) -> Answer {
    Answer::of(inspector([&["pods", "-o", "json"], arguments].concat()))
}

/// Asks by every source and checks what has to hold always: the iterator and /proc give the same, so do two runs, and the
/// socket and the files but for the wording; every container is what /proc and its runtime say, every pod is named as
/// Kubernetes names it, and no gap is about them.
pub fn agreed(world: &World, ours: &[(&Pod, &[&Container])]) -> Ours {
    agreed_with(world, ours, &[])
}

/// The same with further arguments (`--all`).
pub fn agreed_with(world: &World, ours: &[(&Pod, &[&Container])], arguments: &[&str]) -> Ours {
    let mut ids: Vec<&str> = ours.iter().map(|(pod, _)| pod.id.as_str()).collect();
    ids.extend(ours.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.id.as_str())));
    let socket = world.with_socket();
    let root = world.with_root();
    let ask = |source: &str, from: &str| {
        let answer = pods(&[&[source, from], arguments].concat());
        for gap in answer.gaps() {
            assert!(!ids.iter().any(|id| gap.contains(&id[..12])), "a gap about our containers: {gap}");
        }
        answer.ours(&ids)
    };
    for _ in 0..5 {
        let before = facts(ours);
        let (bpf, procfs) = (ask("--source=bpf", &socket), ask("--source=procfs", &socket));
        let (again, files) = (ask("--source=bpf", &socket), ask("--source=procfs", &root));
        if facts(ours) != before {
            continue;
        }
        assert_eq!(bpf, procfs, "the iterator (left) and /proc (right) differ");
        assert_eq!(bpf, again, "two runs over the same state differ");
        assert_eq!(
            bpf.without_words(),
            files.without_words(),
            "the socket (left) and the files (right) differ"
        );
        for (pod, rows) in ours {
            is_what_it_is(pod, rows, &before, &bpf);
        }
        return bpf;
    }
    panic!("the pods kept changing");
}

fn facts(ours: &[(&Pod, &[&Container])]) -> Facts {
    let fact = |pid: u32| {
        let truth = Truth::of(pid).filter(|_| pid != 0)?;
        let processes = processes_in(&truth.cgroup).len();
        Some((truth, processes))
    };
    let mut facts = Facts::new();
    for (pod, rows) in ours {
        facts.insert(pod.id.clone(), fact(pod.pid()));
        facts.extend(rows.iter().map(|row| (row.id.clone(), fact(row.pid()))));
    }
    facts
}

fn is_what_it_is(pod: &Pod, rows: &[&Container], facts: &Facts, ours: &Ours) {
    let living = |id: &str| facts[id].is_some();
    let listed = ours.pods.iter().find(|row| row["id"] == pod.id);
    let Some(listed) = listed else {
        assert!(
            !living(&pod.id) && !rows.iter().any(|row| living(&row.id)),
            "{} is not listed",
            pod.wish.name
        );
        return;
    };
    expect(
        listed,
        [
            ("name", json!(pod.wish.name)),
            ("namespace", json!(pod.wish.namespace)),
            ("uid", json!(pod.wish.uid)),
            ("origin", json!("kubernetes")),
        ],
    );
    let found: Vec<&Value> = containers(listed).iter().collect();
    assert_eq!(found.len(), rows.len() + 1, "the sandbox and its containers: {listed:#}");
    let row =
        |id: &str| *found.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no {id}: {listed:#}"));
    expect(
        row(&pod.id),
        [
            ("name", json!("POD")),
            ("role", json!("infra")),
            ("image", json!("localhost/pause:1")),
            ("runtime", json!("containerd")),
        ],
    );
    is_alive(row(&pod.id), facts[&pod.id].as_ref());
    for id in rows.iter().map(|row| &row.id).chain([&pod.id]).filter(|id| living(id)) {
        expect(row(id), [("cgroup", json!(pod.cgroup_of(id)))]);
    }
    for container in rows {
        let row = row(&container.id);
        expect(
            row,
            [
                ("name", json!(container.name)),
                ("image", json!(container.image)),
                ("runtime", json!("containerd")),
            ],
        );
        is_alive(row, facts[&container.id].as_ref());
    }
}

fn is_alive(row: &Value, fact: Option<&(Truth, usize)>) {
    let Some((truth, processes)) = fact else {
        expect(
            row,
            [
                ("state", json!("exited")),
                ("initPid", json!(0)),
                ("processes", json!(0)),
                ("namespaces", json!({})),
            ],
        );
        return;
    };
    expect(
        row,
        [
            ("state", json!("running")),
            ("identity", json!("confirmed")),
            ("initPid", json!(truth.pid)),
            ("processes", json!(processes)),
            ("cgroup", json!(truth.cgroup)),
            ("namespaces", serde_json::to_value(&truth.namespaces).unwrap()),
        ],
    );
    assert_eq!(row.get("exit"), None);
}

/// The declared modes of a row.
pub fn declares<const N: usize>(ours: &Ours, id: &str, modes: [(&str, &str); N]) {
    let row = ours.container(id);
    for (kind, mode) in modes {
        assert_eq!(row["declared"][kind], mode, "{kind} in {row:#}");
    }
}
