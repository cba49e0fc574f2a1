//! What a watcher saw of a namespace's making and of its owner, put beside what can be told without.

use crate::observation::{Creation, Kind, ProcessKey, Task};
use crate::state::ownership::{Facts, OwnerFound};
use crate::state::units::UnitId;
use crate::view::Evidence;

/// An owner as it can be told by who watched, too.
pub(super) fn owner(
    kind: Kind,
    inode: u32,
    everywhere: &[UnitId],
    told: OwnerFound,
    facts: Facts<'_, '_>,
) -> OwnerFound {
    let history = &facts.observation.history;
    let told = match history.creation(kind, inode) {
        Some(creation) => by_creation(creation, everywhere, told, facts),
        None => told,
    };
    remembered(kind, inode, told, facts)
}

/// The making was seen: whom it led to, or whom a declaration names, it was for.
fn by_creation(
    creation: &Creation,
    everywhere: &[UnitId],
    told: OwnerFound,
    facts: Facts<'_, '_>,
) -> OwnerFound {
    let led_to = |unit: &UnitId| {
        let init = facts.unit(*unit).and_then(|unit| unit.init);
        init.is_some_and(|init| creation.led_to(key(init.tgid, init.start_boottime_ns, facts)))
    };
    let declared = told.evidence == Evidence::Declared;
    match everywhere.iter().copied().find(led_to) {
        Some(unit) if told.unit == Some(unit) && told.alive || !declared => {
            let init = facts.unit(unit).and_then(|unit| unit.init);
            let how = led_to_first(creation, init, facts.name(unit));
            OwnerFound::living(unit, facts.units, Evidence::Observed, how)
        }
        // A declaration and a making that was seen: together they tell.
        _ if declared => OwnerFound {
            why: format!("{}; {}", told.why, making(creation)),
            evidence: Evidence::Observed,
            ..told
        },
        _ => told,
    }
}

/// Who made a namespace, in words.
pub(super) fn making(creation: &Creation) -> String {
    format!("its making was seen: {} ({}) made it", creation.comm, creation.process.pid)
}

/// That its making led to the first process of a container, in words.
pub(super) fn led_to_first(creation: &Creation, init: Option<&Task>, name: &str) -> String {
    let making = making(creation);
    match init {
        Some(init) if init.tgid != creation.process.pid => {
            format!("{making}, and then process {} ({}), the first of {name}", init.pid, init.comm)
        }
        _ => format!("{making} and is the first process of {name}"),
    }
}

/// Of an owner that is dead or that nothing else names: who it was when it lived.
fn remembered(kind: Kind, inode: u32, told: OwnerFound, facts: Facts<'_, '_>) -> OwnerFound {
    let Some(seen) = facts.observation.history.owner(kind, inode) else { return told };
    let is_it = told.id.as_deref() == Some(seen.container.as_str());
    if told.alive && (is_it || matches!(told.evidence, Evidence::Observed | Evidence::Declared)) {
        return told;
    }
    if is_it {
        return OwnerFound { seen: seen.class, ..told };
    }
    if told.evidence == Evidence::Declared {
        return told;
    }
    let unit = facts.units.list.iter().position(|unit| unit.id == seen.container);
    let lives = unit.and_then(|unit| facts.unit(unit)?.init).is_some_and(|init| {
        key(init.tgid, init.start_boottime_ns, facts) == seen.init && init.namespaces.get(kind) == Some(inode)
    });
    if lives {
        return told;
    }
    let evidence = if facts.observation.history.creation(kind, inode).is_some() {
        Evidence::Observed
    } else {
        Evidence::Inferred
    };
    let name = unit.map_or(seen.container.as_str(), |unit| facts.name(unit));
    OwnerFound {
        id: Some(seen.container.clone()),
        unit,
        alive: false,
        evidence,
        why: format!("it was {name}'s while that lived: {}", seen.why),
        pinned: false,
        seen: seen.class,
    }
}

fn key(tgid: u32, start_boottime_ns: u64, facts: Facts<'_, '_>) -> ProcessKey {
    ProcessKey { pid: tgid, start_ticks: facts.observation.node.ticks(start_boottime_ns) }
}
