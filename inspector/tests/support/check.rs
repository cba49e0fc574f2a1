//! What has to hold in every scenario, whatever the scenario is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{Answer, Ours, containers, list, strings};
use super::run::{inspector, patience};
use super::truth::{KINDS, Truth, host_namespace, processes_in};
use super::world::{Container, World};

/// A socket that is not there: what the runtime knows has to come from its files.
pub const NO_SOCKET: &str = "--socket=docker=/nonexistent/docker.sock";

/// Asks for the pods as JSON.
pub fn pods(arguments: &[&str]) -> Answer {
    Answer::of(inspector([&["pods", "-o", "json"], arguments].concat()))
}

/// Asks by every source and checks what has to hold always:
///
/// * the iterator and /proc give the same pods and findings, down to the wording;
/// * so do two runs of the same;
/// * the runtime's socket and its files give the same pods and findings but for the wording, which says where
///   a fact is from;
/// * every container is what /proc and `docker inspect` say;
/// * no gap names any of the containers.
///
/// Left out of these comparisons is what is not about the containers: `node.time`, `coverage` and other pods.
pub fn agreed(world: &World, ours: &[&Container]) -> Ours {
    agreed_with(world, ours, &[])
}

/// The same with further arguments (`--all`).
pub fn agreed_with(world: &World, ours: &[&Container], arguments: &[&str]) -> Ours {
    let ids: Vec<&str> = ours.iter().map(|container| container.id.as_str()).collect();
    let socket = world.with_socket();
    let ask = |source: &str, socket: &str| {
        let answer = pods(&[&[source, socket], arguments].concat());
        for gap in answer.gaps() {
            assert!(!ids.iter().any(|id| gap.contains(&id[..12])), "a gap about our containers: {gap}");
        }
        answer.ours(&ids)
    };
    for _ in 0..5 {
        let before = facts(ours);
        let bpf = ask("--source=bpf", &socket);
        let procfs = ask("--source=procfs", &socket);
        let again = ask("--source=bpf", &socket);
        let files = ask("--source=procfs", NO_SOCKET);
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
        for container in ours {
            is_true(container, before[&container.id].as_ref(), &bpf);
        }
        for pod in &bpf.pods {
            shares_what_it_shares(pod, &before);
        }
        return bpf;
    }
    panic!("the containers kept changing");
}

/// What /proc says of a living container's init, and how many processes are in its cgroup.
type Facts = BTreeMap<String, Option<(Truth, usize)>>;

fn facts(ours: &[&Container]) -> Facts {
    let fact = |container: &Container| {
        let truth = Truth::of(container.pid())?;
        assert!(truth.cgroup.contains(&container.id), "{truth:?} is not the init of {}", container.name);
        let processes = processes_in(&truth.cgroup).len();
        Some((truth, processes))
    };
    ours.iter().map(|container| (container.id.clone(), fact(container))).collect()
}

/// A container's row says what /proc and Docker say.
fn is_true(container: &Container, fact: Option<&(Truth, usize)>, ours: &Ours) {
    let inspect = container.inspect();
    if fact.is_none() && !ours.pods.iter().flat_map(containers).any(|row| row["id"] == container.id) {
        return; // Exited, and its pod was not asked for.
    }
    let row = ours.container(&container.id);
    assert_eq!(row["name"], container.name);
    assert_eq!(row["runtime"], "docker");
    assert_eq!(row["image"], inspect["Config"]["Image"], "{row:#}");
    assert_eq!(row["identity"], "confirmed");
    assert_eq!(ours.pod_of(&container.id)["origin"], "docker");
    let Some((truth, processes)) = fact else {
        assert_eq!(
            (&row["state"], &row["initPid"], &row["processes"]),
            (&"exited".into(), &0.into(), &0.into())
        );
        assert_eq!(row["namespaces"], Value::Object(serde_json::Map::new()));
        assert_eq!(row["exit"]["code"], inspect["State"]["ExitCode"]);
        return;
    };
    assert_eq!((&row["state"], &row["initPid"]), (&"running".into(), &truth.pid.into()), "{row:#}");
    assert_eq!(row["processes"], *processes, "processes of {}", container.name);
    assert_eq!(row["cgroup"], truth.cgroup);
    assert_eq!(row["namespaces"], serde_json::to_value(&truth.namespaces).unwrap(), "of {}", container.name);
    assert_eq!(row.get("exit"), None);
    let moment = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let apart = moment(&row["startedAt"]).duration_since(moment(&inspect["State"]["StartedAt"]));
    assert!(
        apart.unsigned_abs() < patience(Duration::from_secs(2)),
        "{} started {apart:?} off",
        container.name
    );
}

/// A pod lists exactly the namespaces that it has to, with those who are in them.
fn shares_what_it_shares(pod: &Value, facts: &Facts) {
    let rows = containers(pod);
    let living = rows.iter().filter_map(|row| {
        let id = row["id"].as_str().unwrap();
        let fact = facts.get(id).unwrap_or_else(|| panic!("{id} is not of this test: {pod:#}"));
        Some((id, &fact.as_ref()?.0))
    });
    let mut members: BTreeMap<(&str, u64), BTreeSet<&str>> = BTreeMap::new();
    for (id, truth) in living {
        for kind in KINDS {
            members.entry((kind, truth.namespaces[kind])).or_default().insert(id);
        }
    }
    members.retain(|(kind, inode), who| *inode != host_namespace(kind) && (who.len() > 1 || *kind == "pid"));
    for namespace in list(pod, "namespaces") {
        let key = (namespace["kind"].as_str().unwrap(), namespace["inode"].as_u64().unwrap());
        let shared_by: BTreeSet<_> = strings(namespace, "sharedBy").into_iter().collect();
        match members.remove(&key) {
            Some(who) => assert_eq!(shared_by, who, "who is in {key:?}"),
            // Else only what was joined from an owner that is gone.
            None => assert_eq!(namespace["owner"]["alive"], false, "{key:?} is shared by nobody: {pod:#}"),
        }
        assert_eq!(namespace["generation"], 1);
    }
    assert!(members.is_empty(), "not listed: {members:?} in {pod:#}");
}
