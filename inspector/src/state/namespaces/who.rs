//! Which containers and pods are in which namespaces, and whom those were made for.

use std::borrow::Cow;
use std::mem;

use super::grouped::Grouped;
use super::{Namespace, Position};
use crate::observation::{Declaration, Gap, Inodes, Kind, Observation, Origin, ProcessKey, Task};
use crate::state::hash::NumberMap;
use crate::state::units::{Unit, Units};
use crate::state::{Model, class, pods, witnessed};
use crate::view::{Class, ClassEvidence, Evidence, Owner};

/// A living container, or the topmost process of an unmanaged group.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether a runtime has it.
    pub managed: bool,
    /// The number of its pod.
    pub(super) pod: u32,
    /// The number of its unit.
    unit: usize,
    init_pid: u32,
    /// Of its init.
    namespaces: Inodes,
    /// The kinds that are declared to be made for it.
    own: Vec<Kind>,
    infra_mark: Option<String>,
}

/// A pod, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodName {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its id.
    pub id: String,
    /// Whether a runtime has it.
    pub managed: bool,
}

/// Everybody.
#[derive(Default)]
pub(super) struct Who {
    /// By age.
    pub members: Vec<Member>,
    /// By name.
    pub pods: Vec<PodName>,
    /// Members by namespace.
    pub in_namespace: Grouped<u32>,
    /// Pods by namespace: those of its members, and those that list it for another reason (a sandbox's pin).
    pub pods_in: Grouped<u32>,
    /// What pods say of the owners of their namespaces, and who watched of those that one container alone is in.
    owners: NumberMap<u32, Owner>,
    /// What could not be made out.
    pub gaps: Vec<Gap>,
}

impl Who {
    pub(super) fn of(
        observation: &Observation,
        namespaces: usize,
        position: impl Fn(Kind, u32) -> Option<Position>,
    ) -> Self {
        let position = &|kind, inode| position(kind, inode).and_then(|at| u32::try_from(at).ok());
        let mut model = Model::of(observation);
        let behaviours = class::behaviours(observation);
        let mut who = Self::default();
        let mut pod_of_unit = vec![u32::MAX; model.units.list.len()];
        let mut names: Vec<(PodName, u32)> = Vec::with_capacity(model.pods.len());
        let mut pods_in: Vec<(u32, u32)> = Vec::new();
        for (number, parts) in (0_u32..).zip(mem::take(&mut model.pods)) {
            // One at a time: all of them with all that they say would take more memory than everything else.
            let assembled = pods::assemble(&parts, &model, &behaviours);
            for unit in &parts.units {
                if let Some(slot) = pod_of_unit.get_mut(*unit) {
                    *slot = number;
                }
            }
            for namespace in assembled.namespaces {
                if let Some(at) = position(namespace.kind, namespace.inode) {
                    pods_in.push((at, number));
                    who.owners.entry(at).or_insert(namespace.owner);
                }
            }
            let name = PodName {
                name: assembled.name,
                namespace: assembled.namespace,
                id: assembled.id,
                managed: assembled.origin != Origin::Unmanaged,
            };
            names.push((name, number));
        }
        let rank = who.name_pods(names);
        let Model { units, index, links, .. } = model;
        // What comes now needs the room.
        drop((index, links));
        let numbers = who.add_members(&units.list, &pod_of_unit, &rank);
        let in_namespace = members_of(observation, &units, &numbers, position);
        for (_, pod) in &mut pods_in {
            *pod = rank.get(*pod as usize).copied().unwrap_or_default();
        }
        let of_members = in_namespace
            .iter()
            .filter_map(|(at, member)| Some((*at, who.members.get(*member as usize)?.pod)));
        pods_in.extend(of_members);
        in_order(&mut pods_in);
        who.in_namespace = Grouped::of(namespaces, &in_namespace);
        who.pods_in = Grouped::of(namespaces, &pods_in);
        who.add_seen(observation, &units.list, position);
        who.gaps = pods::opaque(&units);
        who.gaps.extend(units.doubts);
        who
    }

    /// Puts the pods in order; returns the place of each.
    fn name_pods(&mut self, mut names: Vec<(PodName, u32)>) -> Vec<u32> {
        names.sort_unstable();
        let mut rank = vec![0; names.len()];
        for (place, (_, number)) in (0_u32..).zip(&names) {
            if let Some(slot) = rank.get_mut(*number as usize) {
                *slot = place;
            }
        }
        self.pods = names.into_iter().map(|(name, _)| name).collect();
        rank
    }

    /// Adds the living units by age; returns the number of each unit.
    fn add_members(&mut self, units: &[Unit<'_>], pods: &[u32], rank: &[u32]) -> Vec<Option<u32>> {
        let mut living: Vec<(usize, &Unit<'_>)> =
            units.iter().enumerate().filter(|(_, unit)| unit.is_living()).collect();
        living.sort_by(|(_, a), (_, b)| a.age().cmp(&b.age()));
        let mut numbers = vec![None; units.len()];
        for (number, (at, unit)) in (0_u32..).zip(living) {
            if let Some(slot) = numbers.get_mut(at) {
                *slot = Some(number);
            }
            let pod = pods.get(at).and_then(|pod| rank.get(*pod as usize)).copied();
            self.members.push(member(at, unit, pod.unwrap_or(u32::MAX)));
        }
        numbers
    }

    /// Adds the owners of namespaces whose making was seen, and that no pod lists.
    fn add_seen(
        &mut self,
        observation: &Observation,
        units: &[Unit<'_>],
        position: impl Fn(Kind, u32) -> Option<u32>,
    ) {
        for creation in &observation.history.creations {
            let (kind, inode) = (creation.kind, creation.inode);
            let Some(at) = position(kind, inode).filter(|at| !self.owners.contains_key(at)) else { continue };
            let Ok(member) = self.only_member(at as usize, kind, inode) else { continue };
            let init = units.get(member.unit).and_then(|unit| unit.init);
            let led_to = |init: &Task| {
                let start_ticks = observation.node.ticks(init.start_boottime_ns);
                creation.led_to(ProcessKey { pid: init.tgid, start_ticks })
            };
            let why = if init.is_some_and(led_to) {
                witnessed::led_to_first(creation, init, &member.name)
            } else if member.own.contains(&kind) {
                format!("{} declares it as made for itself; {}", member.name, witnessed::making(creation))
            } else {
                continue;
            };
            let owner = member.owns(Evidence::Observed, &why);
            self.owners.insert(at, owner);
        }
    }

    /// The only container whose first process is in a namespace; else why there is none.
    fn only_member(&self, at: usize, kind: Kind, inode: u32) -> Result<&Member, &'static str> {
        let members = self.in_namespace.get(at).iter();
        let mut inits = members
            .filter_map(|member| self.members.get(*member as usize))
            .filter(|member| member.namespaces.get(kind) == Some(inode));
        match (inits.next(), inits.next()) {
            (Some(member), None) => Ok(member),
            (Some(_), Some(_)) => Err("several containers are in it, and no pod says whose it is"),
            (None, _) => Err("no container's init is in it"),
        }
    }

    /// Whom a namespace was made for.
    pub(super) fn owner<'n>(&'n self, namespace: &Namespace<'n, '_>) -> Cow<'n, Owner> {
        let at = u32::try_from(namespace.position()).unwrap_or(u32::MAX);
        if let Some(owner) = self.owners.get(&at) {
            return Cow::Borrowed(owner);
        }
        match namespace.is_host() {
            Some(true) => return Cow::Owned(nobody("it is the node's own")),
            None => return Cow::Owned(nobody("whether it is the node's own is unknown")),
            Some(false) => {}
        }
        let (kind, inode) = (namespace.kind(), namespace.inode());
        Cow::Owned(match self.only_member(namespace.position(), kind, inode) {
            Ok(member) if member.own.contains(&kind) => {
                let why = [member.name.as_str(), " declares it as made for itself"].concat();
                member.owns(Evidence::Declared, &why)
            }
            Ok(member) => {
                let why = [member.name.as_str(), " is the only container in it"].concat();
                member.owns(Evidence::Inferred, &why)
            }
            Err(why) => nobody(why),
        })
    }
}

impl Member {
    /// As the only container in a namespace of its.
    fn owns(&self, evidence: Evidence, whose: &str) -> Owner {
        let (class, class_evidence, what) = match &self.infra_mark {
            Some(mark) => (Class::Pause, ClassEvidence::Marked, mark.as_str()),
            None => (Class::Application, ClassEvidence::Behaviour, "no other container joins it"),
        };
        Owner {
            container: Some(self.id.clone()),
            pid: self.init_pid,
            alive: true,
            class,
            evidence,
            class_evidence,
            why: [whose, "; ", class.name(), ": ", what].concat(),
        }
    }
}

fn member(at: usize, unit: &Unit<'_>, pod: u32) -> Member {
    let own =
        |declaration: &Declaration| matches!(declaration, Declaration::Private | Declaration::Shareable);
    let declared = unit.declared;
    Member {
        id: unit.id.clone(),
        name: unit.name.clone(),
        managed: unit.runtime.is_some(),
        pod,
        unit: at,
        init_pid: unit.init.map_or(0, |init| init.pid),
        namespaces: unit.namespaces,
        own: declared
            .into_iter()
            .flat_map(|declared| &declared.declared)
            .filter(|(_, declaration)| own(declaration))
            .map(|(kind, _)| *kind)
            .collect(),
        infra_mark: declared.and_then(|declared| declared.infra_mark.clone()),
    }
}

/// The members in each namespace, by both: every living task counts, wherever it is.
fn members_of(
    observation: &Observation,
    units: &Units<'_>,
    numbers: &[Option<u32>],
    position: impl Fn(Kind, u32) -> Option<u32>,
) -> Vec<(u32, u32)> {
    let mut pairs = Vec::with_capacity(observation.tasks.len());
    // Where the member's task before was: nearly all are where their siblings are.
    let mut before = vec![Inodes::default(); numbers.len()];
    for task in observation.tasks.iter().filter(|task| !task.is_dead()) {
        let unit = units.of_task.get(&task.pid).or_else(|| units.of_task.get(&task.tgid)).copied();
        let Some((unit, member)) = unit.and_then(|unit| Some((unit, (*numbers.get(unit)?)?))) else {
            continue;
        };
        let before =
            before.get_mut(unit).map_or_else(Inodes::default, |slot| mem::replace(slot, task.namespaces));
        let moved = task.namespaces.iter().filter(|(kind, inode)| before.get(*kind) != Some(*inode));
        pairs.extend(moved.filter_map(|(kind, inode)| Some((position(kind, inode)?, member))));
    }
    in_order(&mut pairs);
    pairs
}

/// Sorts pairs, each once.
fn in_order(pairs: &mut Vec<(u32, u32)>) {
    // As one number each: there are ten times as many pairs as tasks, and comparing is all that this does.
    pairs.sort_unstable_by_key(|(first, second)| u64::from(*first) << 32 | u64::from(*second));
    pairs.dedup();
}

/// Nothing tells.
fn nobody(why: &str) -> Owner {
    Owner {
        container: None,
        pid: 0,
        alive: false,
        class: Class::Unknown,
        evidence: Evidence::None,
        class_evidence: ClassEvidence::None,
        why: why.to_owned(),
    }
}
