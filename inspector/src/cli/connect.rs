//! Where the command line meets the rest of the program: the only place that knows which module answers what.

use crate::observation::Observation;
use crate::source::Context;
use crate::view::PodList;
use crate::{findings, source, state, view};

use super::args::{DemoArgs, DoctorArgs};
use super::failure::Failure;
use super::resolve::Settings;

/// Looks at the node.
///
/// # Errors
/// If no task can be read at all.
pub async fn collect(context: &Context) -> Result<Observation, Failure> {
    source::collect(context)
        .await
        .map_err(|error| Failure::collect(format!("could not collect on this node: {error}")))
}

/// The pods in an observation.
#[must_use]
pub fn pods(observation: &Observation, all: bool) -> PodList {
    let snapshot = state::snapshot(observation);
    let findings = findings::evaluate(&observation.node.name, &snapshot.pods);
    view::pod_list(observation, snapshot, findings, all)
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
