//! Where the command line meets the rest of the program: the only place that knows which module answers what.

use crate::observation::Observation;
use crate::source::Context;
use crate::view::PodList;

use super::args::{DemoArgs, DoctorArgs};
use super::failure::Failure;
use super::resolve::Settings;

/// Looks at the node.
///
/// # Errors
/// If no task can be read at all.
pub async fn collect(_context: &Context) -> Result<Observation, Failure> {
    Err(Failure::collect("the sources are not connected yet; use --replay"))
}

/// The pods in an observation.
#[must_use]
pub fn pods(observation: &Observation, _all: bool) -> PodList {
    let node = &observation.node;
    PodList {
        api_version: crate::view::API_VERSION,
        kind: "PodList",
        node: crate::view::NodeInfo {
            name: node.name.clone(),
            kernel: node.kernel.clone(),
            time: node.time.map(|time| time.to_string()),
        },
        coverage: crate::view::Coverage {
            source: "procfs",
            tier: "none",
            tasks: observation.tasks.len() as u64,
            unreadable: observation.unreadable,
            events_lost: 0,
            partial: true,
            runtimes: vec![],
            gaps: vec![],
        },
        pods: vec![],
        hidden: crate::view::Hidden::default(),
        findings: vec![],
    }
}

/// Runs the demo.
///
/// # Errors
/// If it fails.
pub fn demo(_args: &DemoArgs, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::collect("the demo is not connected yet"))
}

/// Runs the doctor.
///
/// # Errors
/// If it fails.
pub fn doctor(_args: &DoctorArgs, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::collect("the doctor is not connected yet"))
}
