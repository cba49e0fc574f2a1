//! What a pod's infra containers cost.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Pod, Role};
use crate::observation::{Cost, Observation};

/// What a container costs its node that only holds namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraCost {
    /// Its id.
    pub container: String,
    /// Its processes that were read.
    pub processes: u64,
    /// Their resident memory, pages shared with others included.
    pub resident_bytes: u64,
    /// Their own CPU time since they started, in milliseconds.
    pub cpu_ms: u64,
}

/// What a pod's infra containers cost, as far as their processes were read.
pub(super) fn infra_cost(
    observation: &Observation,
    containers: &HashMap<u32, String>,
    pod: &Pod,
) -> Vec<InfraCost> {
    let infra = pod.running().filter(|container| container.role == Role::Infra);
    infra
        .filter_map(|container| {
            let of = |cost: &&Cost| containers.get(&cost.process.pid) == Some(&container.id);
            let mut sum =
                InfraCost { container: container.id.clone(), processes: 0, resident_bytes: 0, cpu_ms: 0 };
            for cost in observation.costs.iter().filter(of) {
                sum.processes += 1;
                sum.resident_bytes = sum.resident_bytes.saturating_add(cost.resident_bytes);
                sum.cpu_ms = sum.cpu_ms.saturating_add(cost.cpu_ms);
            }
            (sum.processes > 0).then_some(sum)
        })
        .collect()
}
