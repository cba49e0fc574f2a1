//! Whose a namespace is: whom it was made for, dead or alive, and how we know.

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{Kind, Observation, Task};
use crate::state::links::{Link, Links, Partner, root};
use crate::state::units::{Unit, UnitId, Units, short};
use crate::view::Evidence;

/// A namespace of a pod, with whom it was made for.
#[derive(Debug)]
pub(super) struct Owned {
    pub kind: Kind,
    pub inode: u32,
    /// The living containers in it, of this pod, by age.
    pub members: Vec<UnitId>,
    /// Those of any pod.
    pub everywhere: Vec<UnitId>,
    pub owner: OwnerFound,
    /// Shared through PID mode TARGET only: on purpose, and no matter for the verdict.
    pub target_only: bool,
}

/// What is known of an owner.
#[derive(Debug)]
pub(super) struct OwnerFound {
    /// Its id, while anything names it.
    pub id: Option<String>,
    /// The container, while anything knows it.
    pub unit: Option<UnitId>,
    /// Whether it lives, as the one that the namespace was made for.
    pub alive: bool,
    pub evidence: Evidence,
    pub why: String,
}

impl OwnerFound {
    fn living(unit: UnitId, units: &Units<'_>, evidence: Evidence, why: String) -> Self {
        Self {
            id: units.list.get(unit).map(|unit| unit.id.clone()),
            unit: Some(unit),
            alive: true,
            evidence,
            why,
        }
    }

    fn unknown(why: &str) -> Self {
        Self { id: None, unit: None, alive: false, evidence: Evidence::None, why: why.to_owned() }
    }
}

/// The namespaces of a pod: those that two or more of its containers share, those that a living one joined from a
/// dead owner, and every PID namespace. Sorted by kind, then inode.
pub(super) fn of_pod(
    pod: &[UnitId],
    units: &Units<'_>,
    links: &Links,
    observation: &Observation,
) -> Vec<Owned> {
    let mut list = Vec::new();
    for kind in Kind::ALL {
        for (inode, members) in members(pod, kind, units, observation) {
            let everywhere: Vec<UnitId> = units
                .list
                .iter()
                .enumerate()
                .filter(|(_, unit)| unit.namespaces.get(kind) == Some(inode))
                .map(|(index, _)| index)
                .collect();
            let owner = owner(kind, inode, &members, &everywhere, units, links);
            let orphaned = !owner.alive && owner.evidence == Evidence::Declared;
            if kind != Kind::Pid && members.len() < 2 && !orphaned {
                continue;
            }
            let joined_by_target = |unit: &UnitId| {
                matches!(links.get(*unit).and_then(|links| links.get(&kind)), Some(Link::Target(_)))
            };
            let others = members.iter().filter(|unit| owner.unit != Some(**unit));
            let target_only = members.len() > 1 && { others }.all(joined_by_target);
            list.push(Owned { kind, inode, members, everywhere, owner, target_only });
        }
    }
    list
}

/// The non-host namespaces of one kind that living containers of the pod are in.
fn members(
    pod: &[UnitId],
    kind: Kind,
    units: &Units<'_>,
    observation: &Observation,
) -> BTreeMap<u32, Vec<UnitId>> {
    let mut members: BTreeMap<u32, BTreeSet<UnitId>> = BTreeMap::new();
    for index in pod {
        let Some(unit) = units.list.get(*index) else { continue };
        let own = unit.namespaces.get(kind);
        // An unmanaged group has no init that speaks for it: a PID namespace below its top is its own, too.
        let below =
            unit.tasks.iter().filter(|_| unit.runtime.is_none()).filter_map(|task| task.namespaces.get(kind));
        for inode in own.into_iter().chain(below) {
            // Where the node's own is unknown, it may be this: then it is nobody's.
            if observation.host.is_host(kind, inode) == Some(false) {
                members.entry(inode).or_default().insert(*index);
            }
        }
    }
    members
        .into_iter()
        .map(|(inode, set)| {
            let mut list: Vec<UnitId> = set.into_iter().collect();
            list.sort_by(|a, b| age(units, *a).cmp(&age(units, *b)));
            (inode, list)
        })
        .collect()
}

fn age<'u>(units: &'u Units<'_>, unit: UnitId) -> Option<(u64, &'u str)> {
    units.list.get(unit).map(Unit::age)
}

fn owner(
    kind: Kind,
    inode: u32,
    members: &[UnitId],
    everywhere: &[UnitId],
    units: &Units<'_>,
    links: &Links,
) -> OwnerFound {
    let link = |unit: UnitId| links.get(unit).and_then(|links| links.get(&kind));
    let name = |unit: UnitId| units.list.get(unit).map_or("?", |unit| unit.name.as_str());

    // Someone in it for whom it was made, says the specification. Two of them contradict what the kernel shows.
    let made_for: Vec<UnitId> =
        everywhere.iter().copied().filter(|unit| link(*unit).is_some_and(Link::is_own)).collect();
    if let [unit] = made_for[..] {
        let why = format!("{} declares its {kind} namespace as made for itself", name(unit));
        return OwnerFound::living(unit, units, Evidence::Declared, why);
    }
    if made_for.is_empty()
        && let Some(found) = by_declared_partner(kind, members, units, links)
    {
        return found;
    }
    inferred(kind, inode, everywhere, units, made_for.len())
}

/// Follows what the members declare to whom they meant to join.
fn by_declared_partner(
    kind: Kind,
    members: &[UnitId],
    units: &Units<'_>,
    links: &Links,
) -> Option<OwnerFound> {
    for unit in members {
        let name = units.list.get(*unit).map_or("?", |unit| unit.name.as_str());
        match links.get(*unit).and_then(|links| links.get(&kind)) {
            Some(Link::Joins(partner) | Link::Target(partner)) => {
                let Some(root) = root(links, kind, partner) else { continue };
                return Some(dead_partner(kind, name, partner, root, units));
            }
            Some(Link::Pod) => {
                if let Some(infra) = own_sandbox(*unit, units) {
                    let alive = units.list.get(infra).is_some_and(|sandbox| {
                        sandbox.is_living()
                            && sandbox.namespaces.get(kind)
                                == units.list.get(*unit).and_then(|unit| unit.namespaces.get(kind))
                    });
                    let why = format!("{name} declares that it joins the {kind} namespace of its sandbox");
                    let mut found = OwnerFound::living(infra, units, Evidence::Declared, why);
                    found.alive = alive;
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// The partner at the end of the chain does not live in the namespace: it is dead, gone, or another incarnation.
fn dead_partner(kind: Kind, joiner: &str, partner: &Partner, root: Partner, units: &Units<'_>) -> OwnerFound {
    let owner = root.unit.and_then(|unit| units.list.get(unit));
    let named = owner.map_or_else(|| short(&root.id), |unit| unit.name.clone());
    let chain = if partner.id == root.id {
        String::new()
    } else {
        let via = partner.unit.and_then(|unit| units.list.get(unit));
        format!(" by way of {}", via.map_or_else(|| short(&partner.id), |unit| unit.name.clone()))
    };
    let state = match owner {
        Some(unit) if unit.is_living() => {
            format!("{named} was started again since and lives in another {kind} namespace")
        }
        Some(_) => format!("{named} has exited"),
        None => format!("nothing knows {named} any more"),
    };
    let why = format!("{joiner} declares that it joins the {kind} namespace of {named}{chain}; {state}");
    OwnerFound { id: Some(root.id), unit: root.unit, alive: false, evidence: Evidence::Declared, why }
}

fn own_sandbox(unit: UnitId, units: &Units<'_>) -> Option<UnitId> {
    let pod = units.list.get(unit)?.declared?.pod.as_deref()?;
    units.list.iter().position(|other| {
        other.declared.is_some_and(|other| other.pod.as_deref() == Some(pod) && other.infra_mark.is_some())
    })
}

/// Without any declaration: the init of a PID namespace, else the eldest member.
fn inferred(kind: Kind, inode: u32, everywhere: &[UnitId], units: &Units<'_>, claims: usize) -> OwnerFound {
    let doubt = if claims > 1 {
        format!(" ({claims} containers claim it as made for themselves)")
    } else {
        String::new()
    };
    if kind == Kind::Pid {
        let init = units
            .leaders
            .values()
            .find(|task| task.pid_namespace_init && task.namespaces.get(Kind::Pid) == Some(inode));
        let Some(init) = init else {
            return OwnerFound::unknown("the init of this PID namespace is not to be seen");
        };
        return match units.of_task.get(&init.pid) {
            Some(unit) => {
                let why =
                    format!("its process {} ({}) is PID 1 of the namespace{doubt}", init.pid, init.comm);
                OwnerFound::living(*unit, units, Evidence::Inferred, why)
            }
            None => OwnerFound::unknown("PID 1 of this namespace belongs to no container"),
        };
    }
    let eldest = everywhere
        .iter()
        .filter_map(|unit| Some((eldest_in(kind, inode, *unit, units)?, *unit)))
        .min_by_key(|(task, _)| (task.start_boottime_ns, task.pid));
    match eldest {
        Some((task, unit)) => {
            let why = format!(
                "process {} ({}) is the first of its living members by start time{doubt}",
                task.pid, task.comm
            );
            OwnerFound::living(unit, units, Evidence::Inferred, why)
        }
        None => OwnerFound::unknown("no living member tells whom it was made for"),
    }
}

fn eldest_in<'a>(kind: Kind, inode: u32, unit: UnitId, units: &Units<'a>) -> Option<&'a Task> {
    let unit = units.list.get(unit)?;
    unit.init
        .into_iter()
        .chain(unit.tasks.iter().copied())
        .filter(|task| task.namespaces.get(kind) == Some(inode))
        .min_by_key(|task| (task.start_boottime_ns, task.pid))
}
