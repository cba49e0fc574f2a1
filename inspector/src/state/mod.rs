//! From what was seen to what is: containers, pods, owners, verdicts. Pure: no clock, no file, no process; the same
//! observation gives the same snapshot on any machine.
//!
//! The steps, each in a file of its own: [`units`] makes out containers and whose tasks are whose, [`unmanaged`] adds
//! groups that no runtime claims, [`links`] resolves declarations, [`grouping`] forms pods, [`ownership`] tells whom
//! each namespace was made for, [`class`] what that one is, [`exits`] how dead ones ended, [`pods`] judges.

mod behaviour;
pub mod cgroup;
mod class;
mod exits;
mod grouping;
mod links;
mod ownership;
mod pods;
pub mod processes;
#[cfg(test)]
mod tests;
mod units;
mod unmanaged;

use std::collections::BTreeSet;

use crate::observation::{Gap, Observation, ProcessKey, Runtime, RuntimeState, RuntimeStatus};
use crate::view::Pod;

/// What is, as far as was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Every pod, also those without a living container; by name, then id.
    pub pods: Vec<Pod>,
    /// What could not be made out of what was seen.
    pub gaps: Vec<Gap>,
}

/// Everything between an observation and its pods.
struct Model<'a> {
    observation: &'a Observation,
    units: units::Units<'a>,
    links: links::Links,
    pods: Vec<(Vec<units::UnitId>, Vec<ownership::Owned>)>,
}

impl<'a> Model<'a> {
    fn of(observation: &'a Observation) -> Self {
        let mut units = units::Units::of(observation);
        unmanaged::add(&mut units, observation);
        let links = links::resolve(&units, observation);
        let pods = grouping::pods(&units, &links, observation)
            .into_iter()
            .map(|pod| {
                let owned = ownership::of_pod(&pod, &units, &links, observation);
                (pod, owned)
            })
            .collect();
        Self { observation, units, links, pods }
    }
}

/// Makes the snapshot of an observation.
#[must_use]
pub fn snapshot(observation: &Observation) -> Snapshot {
    let model = Model::of(observation);
    let behaviours = class::behaviours(observation);
    let mut pods: Vec<Pod> =
        model.pods.iter().map(|(pod, owned)| pods::assemble(pod, owned, &model, &behaviours)).collect();
    pods.sort_by(|a, b| (&a.name, &a.namespace, &a.id).cmp(&(&b.name, &b.namespace, &b.id)));
    Snapshot { pods, gaps: model.units.doubts }
}

/// The processes whose behaviour decides about a verdict: those of living owners that others join and that nothing
/// marks as infra. A source reads them and adds them to the observation.
#[must_use]
pub fn behaviour_needed(observation: &Observation) -> Vec<ProcessKey> {
    let model = Model::of(observation);
    let mut needed = BTreeSet::new();
    for (pod, owned) in &model.pods {
        for unit in pods::owners_judged_by_behaviour(pod, owned, &model) {
            if let Some(unit) = model.units.list.get(unit) {
                needed.extend(class::own_tasks(unit).into_iter().map(|task| class::key(task, observation)));
            }
        }
    }
    needed.into_iter().collect()
}

/// A container's cgroup is there before its runtime lists it; older ones that it does not list belong to another.
const LISTED_WITHIN_NS: u64 = 2_000_000_000;

/// Whether runtimes and tasks were seen at moments that do not fit together: a container that its runtime calls
/// running has no process among the tasks, or a container that has just started is one that its runtime does not know.
/// Looking again mends it.
#[must_use]
pub fn seen_in_motion(observation: &Observation) -> bool {
    let model = Model::of(observation);
    let answers = |runtime: Runtime| {
        observation
            .runtimes
            .iter()
            .any(|report| report.runtime == runtime && report.status == RuntimeStatus::Ok)
    };
    model.units.list.iter().any(|unit| match (unit.declared, unit.init) {
        (Some(declared), init) => declared.state == RuntimeState::Running && init.is_none(),
        (None, Some(init)) => {
            let age_ns = observation.node.boottime_ns.saturating_sub(init.start_boottime_ns);
            age_ns < LISTED_WITHIN_NS && unit.runtime.is_some_and(answers)
        }
        (None, None) => false,
    })
}
