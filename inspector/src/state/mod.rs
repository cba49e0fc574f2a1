//! From what was seen to what is: containers, pods, owners, verdicts. Pure: no clock, no file, no process; the same
//! observation gives the same snapshot on any machine.
//!
//! The steps, each in a file of its own: [`units`] makes out containers and whose tasks are whose, [`unmanaged`] adds
//! groups that no runtime claims, [`links`] resolves declarations, [`grouping`] forms pods, [`ownership`] tells whom
//! each namespace was made for, [`class`] what that one is, [`exits`] how dead ones ended, [`pods`] judges.

mod behaviour;
pub mod blast;
pub mod cgroup;
mod class;
mod exits;
pub mod facts;
mod grouping;
pub(crate) mod hash;
mod index;
mod links;
pub mod namespaces;
mod ownership;
mod pods;
pub mod processes;
#[cfg(test)]
pub(crate) mod tests;
mod units;
pub(crate) mod unmanaged;
mod volumes;
mod witnessed;

/// Names of programs by which processes are told, whatever else they are called.
pub(crate) mod well_known {
    pub(crate) use super::behaviour::{INITS, MULTI_CALL, SHELLS, classify_command};
    pub(crate) use super::facts::HELPERS;
}

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::observation::{DeclaredPod, Gap, Observation, ProcessKey, Runtime, RuntimeState, RuntimeStatus};
use crate::view::Pod;
use facts::Facts;

/// What is, as far as was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Every pod, also those without a living container; by name, then id.
    pub pods: Vec<Arc<Pod>>,
    /// What could not be made out of what was seen.
    pub gaps: Vec<Gap>,
}

/// Everything between an observation and its pods.
struct Model<'a> {
    observation: &'a Observation,
    units: units::Units<'a>,
    index: index::Index<'a>,
    links: links::Links,
    pods: Vec<PodParts<'a>>,
}

/// A pod before it is judged.
struct PodParts<'a> {
    /// Its containers, by position; none where a runtime declares a pod that has none.
    units: Vec<units::UnitId>,
    /// The pod that a runtime declares, where one does.
    declared: Option<&'a DeclaredPod>,
    owned: Vec<ownership::Owned>,
}

impl<'a> Model<'a> {
    fn of(observation: &'a Observation) -> Self {
        let mut units = units::Units::of(observation);
        unmanaged::add(&mut units, observation);
        let index = index::Index::of(&units, observation);
        let links = links::resolve(&units, &index, observation);
        let facts = ownership::Facts { units: &units, index: &index, links: &links, observation };
        let by_key: HashMap<index::PodKey<'_>, &DeclaredPod> = observation
            .pods
            .iter()
            .map(|pod| (index::PodKey { word_of_uid: pod.word_of_uid, id: &pod.id }, pod))
            .collect();
        let mut empty: BTreeMap<&str, &DeclaredPod> =
            observation.pods.iter().map(|pod| (pod.id.as_str(), pod)).collect();
        let mut pods: Vec<PodParts<'_>> = grouping::pods(&units, &index, &links, observation)
            .into_iter()
            .map(|pod| {
                let key = pod.iter().find_map(|unit| units.list.get(*unit)?.declared_pod());
                let declared = key.and_then(|key| by_key.get(&key)).copied();
                if let Some(declared) = declared {
                    empty.remove(declared.id.as_str());
                }
                let owned = ownership::of_pod(&pod, declared, facts);
                PodParts { units: pod, declared, owned }
            })
            .collect();
        pods.extend(empty.into_values().map(|pod| {
            let owned = ownership::of_pod(&[], Some(pod), facts);
            PodParts { units: Vec::new(), declared: Some(pod), owned }
        }));
        Self { observation, units, index, links, pods }
    }
}

/// Makes the snapshot of an observation.
#[must_use]
pub fn snapshot(observation: &Observation) -> Snapshot {
    snapshot_after(observation, None)
}

/// The same. Pods that are as they were `before` are shared with that.
#[must_use]
pub fn snapshot_after(observation: &Observation, before: Option<&Snapshot>) -> Snapshot {
    snapshot_of(&Model::of(observation), before)
}

/// Makes it, and finds what rules judge besides: at little more than the price of one of the two.
#[must_use]
pub fn snapshot_and_facts(observation: &Observation, before: Option<&Snapshot>) -> (Snapshot, Facts) {
    let model = Model::of(observation);
    (snapshot_of(&model, before), facts::of(&model))
}

fn snapshot_of(model: &Model<'_>, before: Option<&Snapshot>) -> Snapshot {
    let behaviours = class::behaviours(model.observation);
    let before: HashMap<&str, &Arc<Pod>> =
        before.into_iter().flat_map(|it| &it.pods).map(|pod| (pod.id.as_str(), pod)).collect();
    let assemble = |parts| {
        let pod = pods::assemble(parts, model, &behaviours);
        match before.get(pod.id.as_str()) {
            Some(same) if ***same == pod => Arc::clone(same),
            _ => Arc::new(pod),
        }
    };
    let mut pods: Vec<Arc<Pod>> = model.pods.iter().map(assemble).collect();
    pods.sort_by(|a, b| (&a.name, &a.namespace, &a.id).cmp(&(&b.name, &b.namespace, &b.id)));
    let mut gaps = pods::opaque(&model.units);
    gaps.extend(model.units.doubts.iter().cloned());
    Snapshot { pods, gaps }
}

/// Of which processes more has to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Those whose behaviour decides about a verdict: of living owners that others join and that nothing marks as infra.
    pub behaviours: Vec<ProcessKey>,
    /// Those whose credentials decide who can read whom: of containers that share a PID namespace.
    pub credentials: Vec<ProcessKey>,
}

/// Says so. A source reads it and adds it to the observation.
#[must_use]
pub fn needed(observation: &Observation) -> Needed {
    let model = Model::of(observation);
    let mut behaviours = BTreeSet::new();
    for parts in &model.pods {
        for unit in pods::owners_judged_by_behaviour(parts, &model) {
            if let Some(unit) = model.units.list.get(unit) {
                behaviours
                    .extend(class::own_tasks(unit).into_iter().map(|task| class::key(task, observation)));
            }
        }
    }
    let credentials = facts::credentials_needed(&model);
    Needed { behaviours: behaviours.into_iter().collect(), credentials }
}

/// A container's cgroup is there before its runtime lists it; older ones that it does not list belong to another.
const LISTED_WITHIN_NS: u64 = 2_000_000_000;

/// Whether runtimes and tasks were seen at moments that do not fit together: a container that its runtime calls
/// running has no process among the tasks, or a container that has just started is one that its runtime does not know.
/// Looking again mends it.
#[must_use]
pub fn seen_in_motion(observation: &Observation) -> bool {
    // Groups that no runtime claims are no runtime's to list.
    let units = units::Units::of(observation);
    let answers = |runtime: Runtime| {
        observation
            .runtimes
            .iter()
            .any(|report| report.runtime == runtime && report.status == RuntimeStatus::Ok)
    };
    units.list.iter().any(|unit| match (unit.declared, unit.init) {
        (Some(declared), init) => declared.state == RuntimeState::Running && init.is_none(),
        (None, Some(init)) => {
            let age_ns = observation.node.boottime_ns.saturating_sub(init.start_boottime_ns);
            age_ns < LISTED_WITHIN_NS && unit.runtime.is_some_and(answers)
        }
        (None, None) => false,
    })
}
