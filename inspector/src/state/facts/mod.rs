//! What rules judge besides the pods themselves: sandboxes that are gone, processes that got in, namespaces that
//! nobody is in, zombies. Facts only; what is wrong with them is for `findings` to say.

mod exposure;
mod foreign;
mod orphans;
mod sandboxes;
mod zombies;

use std::collections::{BTreeMap, HashMap};

pub use exposure::{Exposure, How, Reading};
pub(crate) use foreign::HELPERS;
pub use foreign::{Foreign, Unplaced, YOUNG_NS, is_helper_name};
pub use orphans::Orphan;
pub use sandboxes::{Sandbox, SandboxState};
pub use zombies::Zombies;

use crate::observation::{HostNamespaces, Observation, ProcessKey, RuntimeStatus};
use crate::state::units::UnitId;
use crate::state::{Model, pods};

/// What rules judge besides the pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The node's own namespaces.
    pub host: HostNamespaces,
    /// What holds each declared pod; sorted by the pod's id.
    pub sandboxes: Vec<Sandbox>,
    /// Processes and threads in a pod's namespaces that are of none of its containers; by pid.
    pub foreign: Vec<Foreign>,
    /// Processes in a pod's namespaces of which it could not be read whose they are; by pid.
    pub unplaced: Vec<Unplaced>,
    /// What the init of each pod's PID namespaces has not reaped, where there is any.
    pub zombies: Vec<Zombies>,
    /// Namespaces without any process that no runtime claims; by kind and inode.
    pub orphans: Vec<Orphan>,
    /// Who can read whom in each PID namespace that containers share; by inode.
    pub exposures: Vec<Exposure>,
    /// Containers whose processes run on another kernel (Kata, gVisor), with the reason; by id.
    pub opaque: BTreeMap<String, String>,
    /// Processes whose namespaces could not be read; the node's own init left out, which is in nobody's pod.
    pub unreadable: u64,
    /// Runtimes that are there and did not say what is theirs, with the reason.
    pub silent: Vec<String>,
}

/// Finds them.
#[must_use]
pub fn facts(observation: &Observation) -> Facts {
    of(&Model::of(observation))
}

pub(super) fn of(model: &Model<'_>) -> Facts {
    let observation = model.observation;
    let pod_of: HashMap<UnitId, String> = model
        .pods
        .iter()
        .flat_map(|parts| {
            let id = pods::id(parts, model);
            parts.units.iter().map(move |unit| (*unit, id.clone()))
        })
        .collect();
    let silent: Vec<String> = observation
        .runtimes
        .iter()
        .filter(|report| matches!(report.status, RuntimeStatus::Denied | RuntimeStatus::Error))
        .map(|report| format!("{} at {}: {}", report.runtime.name(), report.endpoint, report.detail))
        .collect();
    let (foreign, unplaced) = foreign::find(model, &pod_of);
    Facts {
        host: observation.host.clone(),
        sandboxes: sandboxes::find(model),
        foreign,
        unplaced,
        zombies: zombies::find(model, &pod_of),
        orphans: orphans::find(model),
        exposures: exposure::find(model, &pod_of),
        opaque: model
            .units
            .list
            .iter()
            .filter_map(|unit| Some((unit.id.clone(), unit.declared?.opaque.clone()?)))
            .collect(),
        unreadable: observation.unreadable.saturating_sub(u64::from(is_init_unread(observation))),
        silent,
    }
}

/// Whether process 1 is among those whose namespaces could not be read: some kernels hide it even from root.
fn is_init_unread(observation: &Observation) -> bool {
    !observation.tasks.iter().any(|task| task.pid == 1 && !task.namespaces.is_empty())
}

/// The processes whose credentials decide who can read whom.
pub(super) fn credentials_needed(model: &Model<'_>) -> Vec<ProcessKey> {
    exposure::needed(model).into_iter().collect()
}
