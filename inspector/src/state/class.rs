//! What an owner is: a pause, or an application.
//!
//! The first that holds: *marked* (the runtime or a known label says infra), *behaviour* (of a living owner that
//! others join), *observed* (of a dead one, by who watched while it lived), *command* (of a dead one). A name proves
//! nothing.

use std::collections::{HashMap, HashSet};

use crate::observation::{Behaviour, Observation, ProcessKey, SeenClass, Task};
use crate::state::behaviour::{ClassVerdict, classify, classify_command};
use crate::state::ownership::OwnerFound;
use crate::state::units::{Unit, Units};
use crate::view::{Class, ClassEvidence};

/// A class, and how we know.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub class: Class,
    pub evidence: ClassEvidence,
    pub why: String,
}

/// What processes were seen doing, by process.
pub(super) type Behaviours<'a> = HashMap<ProcessKey, &'a Behaviour>;

/// Indexes what was read of processes.
pub(super) fn behaviours(observation: &Observation) -> Behaviours<'_> {
    observation.behaviours.iter().map(|behaviour| (behaviour.process, behaviour)).collect()
}

/// Judges the owner of a namespace. `joined` says whether others join it there.
pub(super) fn judge(
    owner: &OwnerFound,
    joined: bool,
    units: &Units<'_>,
    behaviours: &Behaviours<'_>,
    observation: &Observation,
) -> Judged {
    if owner.pinned {
        let why = "a sandbox without a process, by its runtime's design".to_owned();
        return Judged { class: Class::RuntimePinned, evidence: ClassEvidence::Marked, why };
    }
    let unit = owner.unit.and_then(|unit| units.list.get(unit));
    let mark = unit.and_then(|unit| unit.declared?.infra_mark.as_deref());
    if let (Some(seen), None, false) = (owner.seen, mark, owner.alive) {
        let (class, what) = match seen {
            SeenClass::Pause => (Class::Pause, "a pause"),
            SeenClass::Application => (Class::Application, "an application"),
        };
        let why = format!("it was seen to be {what} while it lived");
        return Judged { class, evidence: ClassEvidence::Observed, why };
    }
    let Some(unit) = unit else {
        let why = "nothing tells what it was".to_owned();
        return Judged { class: Class::Unknown, evidence: ClassEvidence::None, why };
    };
    if let Some(mark) = mark {
        return Judged { class: Class::Pause, evidence: ClassEvidence::Marked, why: mark.to_owned() };
    }
    if !owner.alive {
        return by_command(unit);
    }
    if !joined {
        let why = "no other container joins it: it holds the namespace for its own work".to_owned();
        return Judged { class: Class::Application, evidence: ClassEvidence::Behaviour, why };
    }
    let tasks = own_tasks(unit);
    let seen: Vec<(&Task, Option<&Behaviour>)> =
        tasks.iter().map(|task| (*task, behaviours.get(&key(task, observation)).copied())).collect();
    let command = unit.declared.map(|declared| declared.command.as_slice()).unwrap_or_default();
    let ClassVerdict { class, why } = classify(&seen, command, observation.node.boottime_ns);
    let evidence = if class == Class::Unknown { ClassEvidence::None } else { ClassEvidence::Behaviour };
    Judged { class, evidence, why }
}

/// Judges a dead container by what it was told to run.
pub(super) fn by_command(unit: &Unit<'_>) -> Judged {
    let command = unit.declared.map(|declared| declared.command.as_slice()).unwrap_or_default();
    let ClassVerdict { class, why } = classify_command(command);
    let evidence = if class == Class::Unknown { ClassEvidence::None } else { ClassEvidence::Command };
    Judged { class, evidence, why }
}

/// The processes of a container that it started itself: sessions that were brought in by `exec` left out.
///
/// In a PID namespace of its own, whatever a container's processes leave behind becomes its init's child; what hangs
/// below neither came in from outside. Elsewhere the two cannot be told apart, so everything counts.
pub(super) fn own_tasks<'a>(unit: &Unit<'a>) -> Vec<&'a Task> {
    let Some(init) = unit.init else { return Vec::new() };
    if !init.pid_namespace_init || unit.runtime.is_none() {
        return unit.tasks.clone();
    }
    let parents: HashMap<u32, u32> = unit.tasks.iter().map(|task| (task.pid, task.parent)).collect();
    let mut own = HashSet::from([init.pid]);
    let descends = |task: &Task, own: &mut HashSet<u32>| {
        let mut at = task.pid;
        for _ in 0..=parents.len() {
            if own.contains(&at) {
                own.insert(task.pid);
                return true;
            }
            match parents.get(&at) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    unit.tasks.iter().filter(|task| descends(task, &mut own)).copied().collect()
}

/// What tells a process from later ones with its pid.
pub(super) fn key(task: &Task, observation: &Observation) -> ProcessKey {
    ProcessKey { pid: task.tgid, start_ticks: observation.node.ticks(task.start_boottime_ns) }
}
