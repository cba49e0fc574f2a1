//! Whose a namespace is: whom it was made for, dead or alive, and how we know.

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{DeclaredPod, Infra, Kind, Observation, SeenClass, Task};
use crate::state::index::{Index, PodKey};
use crate::state::links::{Link, Links, Partner, root};
use crate::state::units::{Age, Unit, UnitId, Units, short};
use crate::state::witnessed;
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
    /// A sandbox without a process, whose pins hold the namespace.
    pub pinned: bool,
    /// Of a dead one: what a watcher saw it be while it lived.
    pub seen: Option<SeenClass>,
}

impl OwnerFound {
    pub(super) fn living(unit: UnitId, units: &Units<'_>, evidence: Evidence, why: String) -> Self {
        Self {
            id: units.list.get(unit).map(|unit| unit.id.clone()),
            unit: Some(unit),
            alive: true,
            evidence,
            why,
            pinned: false,
            seen: None,
        }
    }

    fn unknown(why: &str) -> Self {
        let (evidence, why) = (Evidence::None, why.to_owned());
        Self { id: None, unit: None, alive: false, evidence, why, pinned: false, seen: None }
    }
}

/// What everything about owners is told from.
#[derive(Clone, Copy)]
pub(super) struct Facts<'m, 'a> {
    pub units: &'m Units<'a>,
    pub index: &'m Index<'a>,
    pub links: &'m Links,
    pub observation: &'a Observation,
}

impl<'m, 'a> Facts<'m, 'a> {
    pub(super) fn unit(&self, unit: UnitId) -> Option<&'m Unit<'a>> {
        self.units.list.get(unit)
    }

    pub(super) fn name(&self, unit: UnitId) -> &'m str {
        self.unit(unit).map_or("?", |unit| unit.name.as_str())
    }

    fn link(&self, unit: UnitId, kind: Kind) -> Option<&'m Link> {
        self.links.get(unit)?.get(&kind)
    }
}

/// The namespaces of a pod: those that two or more of its containers share, those that its processless sandbox pins,
/// those that a living one joined from a dead owner, and every PID namespace. Sorted by kind, then inode.
pub(super) fn of_pod(pod: &[UnitId], declared: Option<&DeclaredPod>, facts: Facts<'_, '_>) -> Vec<Owned> {
    let key = declared.map(|pod| PodKey { word_of_uid: pod.word_of_uid, id: &pod.id });
    let mut pinned: BTreeMap<Kind, BTreeSet<u32>> = BTreeMap::new();
    if declared.is_some_and(|pod| pod.infra == Infra::Processless) {
        for ((kind, inode), _) in facts.index.pinned_for.iter().filter(|(_, of)| Some(**of) == key) {
            pinned.entry(*kind).or_default().insert(*inode);
        }
    }
    let mut list = Vec::new();
    for kind in Kind::ALL {
        let mut members = members(pod, kind, facts.units, facts.observation);
        for inode in pinned.get(&kind).into_iter().flatten() {
            if let Err(at) = members.binary_search_by_key(inode, |(inode, _)| *inode) {
                members.insert(at, (*inode, Vec::new()));
            }
        }
        for (inode, members) in members {
            let everywhere = facts.index.members(kind, inode);
            let is_pinned = pinned.get(&kind).is_some_and(|inodes| inodes.contains(&inode));
            let shown = kind == Kind::Pid || members.len() > 1 || is_pinned;
            let owner = match declared.filter(|_| is_pinned) {
                Some(pod) => by_pin(kind, pod),
                None => {
                    let told = match by_declaration(kind, &members, everywhere, facts) {
                        Ok(owner) => owner,
                        Err(_) if !shown && facts.observation.history.owner(kind, inode).is_none() => {
                            continue;
                        }
                        Err(claims) => inferred(kind, inode, everywhere, facts, claims),
                    };
                    let owner = witnessed::owner(kind, inode, everywhere, told, facts);
                    // Of those that one alone is in, only what a dead one left is told.
                    let left = !owner.alive && owner.evidence != Evidence::None;
                    if !shown && !left {
                        continue;
                    }
                    owner
                }
            };
            let everywhere = everywhere.to_vec();
            let joined_by_target = |unit: &UnitId| matches!(facts.link(*unit, kind), Some(Link::Target(_)));
            let others = members.iter().filter(|unit| owner.unit != Some(**unit));
            let target_only = members.len() > 1 && { others }.all(joined_by_target);
            list.push(Owned { kind, inode, members, everywhere, owner, target_only });
        }
    }
    // Most pods are of one container, and have one.
    list.shrink_to_fit();
    list
}

/// A runtime that keeps no process for a sandbox makes its namespaces and pins them.
fn by_pin(kind: Kind, pod: &DeclaredPod) -> OwnerFound {
    let path = pod.namespaces.iter().find(|namespace| namespace.kind == kind).map(|it| it.path.as_str());
    OwnerFound {
        id: Some(pod.id.clone()),
        unit: None,
        alive: true,
        evidence: Evidence::Declared,
        why: format!(
            "the sandbox {} has no process; its runtime made its {kind} namespace and pins it at {}",
            short(&pod.id),
            path.unwrap_or("a path unknown"),
        ),
        pinned: true,
        seen: None,
    }
}

/// The non-host namespaces of one kind that living containers of the pod are in, by inode; the containers by age.
fn members(
    pod: &[UnitId],
    kind: Kind,
    units: &Units<'_>,
    observation: &Observation,
) -> Vec<(u32, Vec<UnitId>)> {
    let mut members: Vec<(u32, UnitId)> = Vec::new();
    for index in pod {
        let Some(unit) = units.list.get(*index) else { continue };
        let own = unit.namespaces.get(kind);
        // An unmanaged group has no init that speaks for it: a PID namespace below its top is its own, too.
        let below =
            unit.tasks.iter().filter(|_| unit.runtime.is_none()).filter_map(|task| task.namespaces.get(kind));
        for inode in own.into_iter().chain(below) {
            // Where the node's own is unknown, it may be this: then it is nobody's.
            if observation.host.is_host(kind, inode) == Some(false) {
                members.push((inode, *index));
            }
        }
    }
    members.sort_unstable();
    members.dedup();
    members
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|of_one| {
            let mut list: Vec<UnitId> = of_one.iter().map(|(_, unit)| *unit).collect();
            list.sort_by(|a, b| age(units, *a).cmp(&age(units, *b)));
            Some((of_one.first()?.0, list))
        })
        .collect()
}

fn age<'u>(units: &'u Units<'_>, unit: UnitId) -> Option<Age<'u>> {
    units.list.get(unit).map(Unit::age)
}

/// Whom declarations name; else how many containers claim it as made for themselves.
fn by_declaration(
    kind: Kind,
    members: &[UnitId],
    everywhere: &[UnitId],
    facts: Facts<'_, '_>,
) -> Result<OwnerFound, usize> {
    // Someone in it for whom it was made, says the specification. Two of them contradict what the kernel shows.
    let made_for: Vec<UnitId> =
        everywhere.iter().copied().filter(|unit| facts.link(*unit, kind).is_some_and(Link::is_own)).collect();
    if let [unit] = made_for[..] {
        let why = format!("{} declares its {kind} namespace as made for itself", facts.name(unit));
        return Ok(OwnerFound::living(unit, facts.units, Evidence::Declared, why));
    }
    if made_for.is_empty()
        && let Some(found) = by_declared_partner(kind, members, facts)
    {
        return Ok(found);
    }
    Err(made_for.len())
}

/// Follows what the members declare to whom they meant to join.
fn by_declared_partner(kind: Kind, members: &[UnitId], facts: Facts<'_, '_>) -> Option<OwnerFound> {
    for unit in members {
        match facts.link(*unit, kind) {
            Some(Link::Joins(partner) | Link::Target(partner)) => {
                let Some(root) = root(facts.links, kind, partner) else { continue };
                return Some(dead_partner(kind, facts.name(*unit), partner, root, facts));
            }
            Some(Link::Pod) => {
                if let Some(found) = by_sandbox(kind, *unit, facts) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// The sandbox that a container declares to share with: living in there, dead, or gone.
fn by_sandbox(kind: Kind, unit: UnitId, facts: Facts<'_, '_>) -> Option<OwnerFound> {
    let name = facts.name(unit);
    let pod = facts.unit(unit)?.declared_pod()?;
    let Some(infra) = facts.index.infra.get(&pod).copied() else {
        // The runtime may still know the pod whose infra container it no longer lists.
        let declared = declared_pod(pod, facts.observation)?;
        let Infra::Container(id) = &declared.infra else { return None };
        let why = format!(
            "{name} declares that it joins the {kind} namespace of its sandbox; nothing knows a container {} any more",
            short(id)
        );
        let id = Some(id.clone());
        return Some(OwnerFound {
            id,
            unit: None,
            alive: false,
            evidence: Evidence::Declared,
            why,
            pinned: false,
            seen: None,
        });
    };
    let sandbox = facts.unit(infra)?;
    let here = facts.unit(unit)?.namespaces.get(kind);
    let alive = sandbox.is_living() && sandbox.namespaces.get(kind) == here;
    let state = if alive {
        ""
    } else if sandbox.is_living() {
        "; that lives in another one"
    } else {
        "; that has exited"
    };
    let why = format!("{name} declares that it joins the {kind} namespace of its sandbox{state}");
    let mut found = OwnerFound::living(infra, facts.units, Evidence::Declared, why);
    found.alive = alive;
    Some(found)
}

/// What a runtime says of a pod.
pub(super) fn declared_pod<'a>(pod: PodKey<'_>, observation: &'a Observation) -> Option<&'a DeclaredPod> {
    observation.pods.iter().find(|it| it.id == pod.id && it.word_of_uid == pod.word_of_uid)
}

/// The partner at the end of the chain does not live in the namespace: it is dead, gone, or another incarnation.
fn dead_partner(
    kind: Kind,
    joiner: &str,
    partner: &Partner,
    root: Partner,
    facts: Facts<'_, '_>,
) -> OwnerFound {
    let owner = root.unit.and_then(|unit| facts.unit(unit));
    let named = owner.map_or_else(|| short(&root.id), |unit| unit.name.clone());
    let chain = if partner.id == root.id {
        String::new()
    } else {
        let via = partner.unit.and_then(|unit| facts.unit(unit));
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
    let (id, unit, evidence) = (Some(root.id), root.unit, Evidence::Declared);
    OwnerFound { id, unit, alive: false, evidence, why, pinned: false, seen: None }
}

/// Without any declaration: the init of a PID namespace, else the eldest member.
fn inferred(
    kind: Kind,
    inode: u32,
    everywhere: &[UnitId],
    facts: Facts<'_, '_>,
    claims: usize,
) -> OwnerFound {
    let units = facts.units;
    let doubt = if claims > 1 {
        format!(" ({claims} containers claim it as made for themselves)")
    } else {
        String::new()
    };
    if kind == Kind::Pid {
        let Some(init) = facts.index.inits.get(&inode) else {
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
