//! What has to hold in every scenario, whatever the scenario is about.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machine::{Container, Machine};
use crate::support::answer::{Answer, Ours, containers};
use crate::support::run::inspector;
use crate::support::truth::{Truth, processes_in};

/// Asks for the pods as JSON.
pub fn pods(arguments: &[&str]) -> Answer {
    Answer::of(inspector([&["pods", "-o", "json"], arguments].concat()))
}

/// Asks by every source, exited containers included, and checks what has to hold always: the iterator and /proc give the
/// same, so do two runs; the API and the state on disk give the same but for the wording; every container is what /proc
/// and `podman inspect` say; and no gap is about any of them.
pub fn agreed(machine: &Machine, ours: &[&Container]) -> Ours {
    let ids: Vec<&str> = ours.iter().map(|container| container.id.as_str()).collect();
    let ask = |source: &str, place: &str| {
        let answer = pods(&[source, place, "--all"]);
        for gap in answer.gaps() {
            assert!(!ids.iter().any(|id| gap.contains(&id[..12])), "a gap about our containers: {gap}");
        }
        answer.ours(&ids)
    };
    let (socket, root) = (machine.with_socket(), machine.with_root());
    let mut last = String::new();
    for _ in 0..5 {
        let before = facts(ours);
        let bpf = ask("--source=bpf", &socket);
        let procfs = ask("--source=procfs", &socket);
        let again = ask("--source=bpf", &socket);
        let disk = ask("--source=procfs", &root);
        let found = ask("--source=procfs", "--socket=podman=/nonexistent/podman.sock");
        let after = facts(ours);
        if after != before {
            last = format!("{before:?}\n{after:?}");
            continue;
        }
        assert_eq!(bpf, procfs, "the iterator (left) and /proc (right) differ");
        assert_eq!(bpf, again, "two runs over the same state differ");
        assert_eq!(bpf.without_words(), disk.without_words(), "the API (left) and the disk (right) differ");
        if before.values().any(Option::is_some) {
            let found = found.without_words();
            assert_eq!(disk.without_words(), found, "the folder named (left) and found (right) differ");
        }
        for container in ours {
            is_true(container, before[&container.id].as_ref(), &bpf);
        }
        return bpf;
    }
    panic!("the containers kept changing: {last}");
}

/// What /proc says of a living container's init, and how many processes are in its cgroup.
type Facts = BTreeMap<String, Option<(Truth, usize)>>;

fn facts(ours: &[&Container]) -> Facts {
    let fact = |container: &Container| {
        let truth = Truth::of(container.pid())?;
        assert!(truth.cgroup.contains(&container.id), "{truth:?} is not the init of {}", container.id);
        let processes = processes_in(&truth.cgroup).len();
        Some((truth, processes))
    };
    ours.iter().map(|container| (container.id.clone(), fact(container))).collect()
}

/// A container's row says what /proc and Podman say.
fn is_true(container: &Container, fact: Option<&(Truth, usize)>, ours: &Ours) {
    let inspect = container.inspect();
    let row = ours.container(&container.id);
    let pod = ours.pod_of(&container.id);
    assert_eq!(row["name"], inspect["Name"]);
    assert_eq!(row["runtime"], "podman");
    assert_eq!(row["image"], inspect["ImageName"], "{row:#}");
    assert_eq!(row["identity"], "confirmed");
    assert_eq!(pod["origin"], "podman");
    if let Some(id) = inspect["Pod"].as_str().filter(|id| !id.is_empty()) {
        assert_eq!(pod["id"], id, "{} is not in its declared pod: {pod:#}", container.id);
        assert!(containers(pod).len() <= ours.pods.iter().flat_map(containers).count());
    }
    let Some((truth, processes)) = fact else {
        assert_eq!((&row["state"], &row["initPid"]), (&"exited".into(), &0.into()), "{row:#}");
        assert_eq!(row["namespaces"], Value::Object(serde_json::Map::new()));
        assert_eq!(row["exit"]["code"], inspect["State"]["ExitCode"]);
        return;
    };
    assert_eq!((&row["state"], &row["initPid"]), (&"running".into(), &truth.pid.into()), "{row:#}");
    assert_eq!(row["processes"], *processes, "processes of {}", container.id);
    assert_eq!(row["cgroup"], truth.cgroup);
    assert_eq!(row["namespaces"], serde_json::to_value(&truth.namespaces).unwrap(), "of {}", container.id);
    assert_eq!(row.get("exit"), None);
}
