//! The blast radius against reality, for any runtime: `explain` predicts, the init is killed, and what then is dead and
//! gone is compared with what was predicted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::{list, validate};
use super::keeper;
use super::run::{inspector, patience, wait_until};
use super::truth::{KINDS, Truth, host_namespace, is_dead, processes_in};

/// A namespace, by kind and inode.
pub type Namespace = (String, u64);

/// What `explain` says, which has to be by the schema.
pub fn explain(target: &str, socket: &str) -> Value {
    let run = inspector(["explain", "-o", "json", socket, target]).succeeded();
    let json: Value = serde_json::from_str(run.text()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/explanation.schema.json");
    let schema = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    validate(&schema, &json).unwrap_or_else(|error| panic!("{target}: {error}"));
    json
}

/// The namespace in an object of the answer.
pub fn key(it: &Value) -> Namespace {
    (it["kind"].as_str().unwrap().to_owned(), it["inode"].as_u64().unwrap())
}

/// A process of a container that is not its init.
pub fn child_of(init: u32) -> Option<u32> {
    processes_in(&Truth::of(init)?.cgroup).into_iter().find(|pid| *pid != init)
}

/// Asks what dies with a process, kills it, waits until its runtime knows (`settled` gets the pids that should be
/// dead), and compares. `members` are the inits of everything that could be concerned.
pub fn kill(
    what: &str,
    socket: &str,
    members: &[u32],
    (target, pid): (&str, u32),
    settled: impl FnOnce(&BTreeSet<u32>),
) {
    let before = processes(members);
    let if_dies = explain(target, socket)["ifDies"].take();
    let number = |it: &Value| u32::try_from(it["pid"].as_u64().unwrap()).unwrap();
    let mut predicted: BTreeSet<u32> = list(&if_dies, "killed").iter().map(number).collect();
    predicted.insert(pid);
    let orphaned: BTreeSet<Namespace> = list(&if_dies, "orphaned").iter().map(key).collect();
    let destroyed: BTreeSet<Namespace> = list(&if_dies, "destroyed").iter().map(key).collect();

    keeper::kill(pid);
    wait_until(&format!("{what}: the end of {if_dies:#}"), || predicted.iter().all(|pid| is_dead(*pid)));
    settled(&predicted);

    let dead: BTreeSet<u32> = before.keys().copied().filter(|pid| is_dead(*pid)).collect();
    let ours: BTreeSet<u32> = predicted.into_iter().filter(|pid| before.contains_key(pid)).collect();
    assert_eq!(dead, ours, "{what}: dead (left), predicted (right): {if_dies:#}");

    let of = |pids: &mut dyn Iterator<Item = u32>| -> BTreeSet<Namespace> {
        pids.flat_map(|pid| KINDS.map(|kind| (kind.to_owned(), before[&pid][kind])))
            .filter(|(kind, inode)| *inode != host_namespace(kind))
            .collect()
    };
    // Of the namespaces that the dead were in, some have somebody left, and some are pinned, until a runtime takes the
    // pins of the dead away.
    let left = of(&mut dead.iter().copied());
    let held = of(&mut before.keys().copied().filter(|pid| !dead.contains(pid)));
    let began = Instant::now();
    loop {
        let pinned = pinned();
        let gone: BTreeSet<Namespace> =
            left.iter().filter(|it| !held.contains(*it) && !pinned.contains(*it)).cloned().collect();
        if gone == destroyed {
            break;
        }
        assert!(
            began.elapsed() < patience(Duration::from_secs(10)),
            "{what}: gone {gone:?}, predicted {destroyed:?}: {if_dies:#}"
        );
        thread::sleep(Duration::from_millis(50));
    }
    let kept = pinned();
    for namespace in &orphaned {
        assert!(
            held.contains(namespace) || kept.contains(namespace),
            "{what}: {namespace:?} is kept by nobody: {if_dies:#}"
        );
    }
    // Of those that make a pod, `pods` lists the ones that somebody is in still: as its, who is dead.
    let makes_pod = |kind: &Value| ["net", "ipc", "pid", "uts"].iter().any(|it| kind == it);
    let said: BTreeSet<Namespace> = list(&if_dies, "orphaned")
        .iter()
        .filter(|it| makes_pod(&it["kind"]) && !list(it, "members").is_empty())
        .map(key)
        .collect();
    let run = inspector(["pods", "-o", "json", socket]).succeeded();
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let id = target.strip_prefix("container/").unwrap_or(target);
    // Who dies with it may have owned something, too.
    let dead: BTreeSet<&str> =
        list(&if_dies, "killed").iter().filter_map(|it| it["container"].as_str()).chain([id]).collect();
    let of_the_dead = |owner: &Value| {
        owner["alive"] == false && owner["container"].as_str().is_some_and(|id| dead.contains(id))
    };
    let ownerless: BTreeSet<Namespace> = list(&answer, "pods")
        .iter()
        .flat_map(|pod| list(pod, "namespaces"))
        .filter(|it| makes_pod(&it["kind"]) && of_the_dead(&it["owner"]))
        .filter(|it| !list(it, "sharedBy").is_empty())
        .map(key)
        .collect();
    assert_eq!(ownerless, said, "{what}: ownerless (left), predicted (right): {if_dies:#}");
}

/// Every process of these inits' cgroups, with the namespaces that it is in.
fn processes(inits: &[u32]) -> BTreeMap<u32, BTreeMap<String, u64>> {
    let inits = inits.iter().filter_map(|pid| Truth::of(*pid));
    inits
        .flat_map(|init| processes_in(&init.cgroup))
        .filter_map(|pid| Some((pid, Truth::of(pid)?.namespaces)))
        .collect()
}

/// The namespaces that are bind-mounted somewhere in this mount namespace.
fn pinned() -> BTreeSet<Namespace> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = |line: &str| -> Option<Namespace> {
        let (kind, rest) = line.split(' ').nth(3)?.split_once(":[")?;
        Some((kind.to_owned(), rest.strip_suffix(']')?.parse().ok()?))
    };
    text.lines().filter_map(root).collect()
}
