//! Unmanaged groups: processes in namespaces of their own that no runtime claims (a systemd unit, a browser's
//! sandbox, `unshare`). Their topmost processes stand for containers.
//!
//! A process that sits in a *container's* namespace without belonging to it is no group: it is an intruder there.

use crate::observation::{Kind, Observation, Origin, Task};
use crate::state::hash::{NumberMap, NumberSet};
use crate::state::units::{Unit, UnitId, Units, own_pod_namespaces};
use crate::view::Identity;

/// Processes that no runtime claims, by pid, with the namespaces of their own.
type Members<'a> = NumberMap<u32, (&'a Task, Vec<(Kind, u32)>)>;

/// Adds the topmost processes of every unmanaged group to the units.
pub(super) fn add<'a>(units: &mut Units<'a>, observation: &'a Observation) {
    let claimed: NumberSet<(Kind, u32)> = observation
        .tasks
        .iter()
        .filter(|task| units.of_task.contains_key(&task.pid))
        .flat_map(|task| task.namespaces.iter())
        .collect();
    let free = |task: &&Task| {
        task.is_leader()
            && !task.kernel_thread
            && !task.is_dead()
            && !units.of_task.contains_key(&task.pid)
            // The inspector does not report itself.
            && task.pid != observation.reader.pid
    };
    let namespaces = |task: &'a Task| -> Vec<(Kind, u32)> {
        own_pod_namespaces(task, observation).filter(|namespace| !claimed.contains(namespace)).collect()
    };
    let members: Members<'_> = observation
        .tasks
        .iter()
        .filter(free)
        .map(|task| (task.pid, (task, namespaces(task))))
        .filter(|(_, (_, namespaces))| !namespaces.is_empty())
        .collect();

    // The group is whatever is connected by sharing; a child that shares with its parent belongs to the parent's top.
    let group_of = connect(&members);
    let mut pids: Vec<u32> = members.keys().copied().collect();
    pids.sort_unstable_by_key(|pid| members.get(pid).map(|(task, _)| (task.start_boottime_ns, *pid)));
    let mut top_of: NumberMap<u32, u32> = NumberMap::default();
    for pid in &pids {
        top_of.insert(*pid, top(*pid, &members, &group_of));
    }
    let mut index_of: NumberMap<u32, UnitId> = NumberMap::default();
    for pid in pids {
        let Some((task, _)) = members.get(&pid) else { continue };
        let top_pid = top_of.get(&pid).copied().unwrap_or(pid);
        let Some((top_task, _)) = members.get(&top_pid) else { continue };
        let index = *index_of.entry(top_pid).or_insert_with(|| {
            units.list.push(unit(top_task, observation));
            units.list.len() - 1
        });
        units.of_task.insert(pid, index);
        if let Some(unit) = units.list.get_mut(index) {
            unit.tasks.push(task);
            unit.processes += 1;
        }
    }
}

/// What a process that no runtime claims is called instead of a container's id.
pub(crate) fn id(pid: u32, start_ticks: u64) -> String {
    format!("proc:{pid}:{start_ticks}")
}

fn unit<'a>(top: &'a Task, observation: &Observation) -> Unit<'a> {
    Unit {
        id: id(top.pid, observation.node.ticks(top.start_boottime_ns)),
        name: top.comm.to_string(),
        runtime: None,
        origin: Origin::Unmanaged,
        declared: None,
        identity: Identity::Confirmed,
        init: Some(top),
        tasks: Vec::new(),
        processes: 0,
        cgroup: top.cgroup.clone(),
        namespaces: top.namespaces,
        cgroup_pod_uid: None,
    }
}

/// Follows parents upwards as long as they are in the same group.
fn top(pid: u32, members: &Members<'_>, group_of: &NumberMap<u32, u32>) -> u32 {
    let mut top = pid;
    // Bounded: a parent chain read while processes move must not make us run in circles.
    for _ in 0..members.len() {
        let Some((task, _)) = members.get(&top) else { break };
        if !members.contains_key(&task.parent) || group_of.get(&task.parent) != group_of.get(&top) {
            break;
        }
        top = task.parent;
    }
    top
}

/// Names each member's group by the lowest pid that it is connected with.
fn connect(members: &Members<'_>) -> NumberMap<u32, u32> {
    let mut by_namespace: NumberMap<(Kind, u32), Vec<u32>> = NumberMap::default();
    for (pid, (_, namespaces)) in members {
        for namespace in namespaces {
            by_namespace.entry(*namespace).or_default().push(*pid);
        }
    }
    let mut group_of = NumberMap::default();
    let mut pids: Vec<u32> = members.keys().copied().collect();
    pids.sort_unstable();
    for first in pids {
        if group_of.contains_key(&first) {
            continue;
        }
        let mut queue = vec![first];
        while let Some(pid) = queue.pop() {
            if group_of.insert(pid, first).is_some() {
                continue;
            }
            let Some((_, namespaces)) = members.get(&pid) else { continue };
            for namespace in namespaces {
                // Each namespace is walked once.
                queue.extend(by_namespace.remove(namespace).unwrap_or_default());
            }
        }
    }
    group_of
}
