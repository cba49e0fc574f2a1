//! The answer of `inspector pods`, put together from what was seen and what was made of it.

use std::sync::Arc;

use crate::observation::{HeardBy, Observation, Origin, TaskSource};
use crate::state::Snapshot;
use crate::view::{
    API_VERSION, Class, Container, Coverage, Finding, GapInfo, Hidden, NodeInfo, Pod, PodList, RuntimeInfo,
    State,
};

impl Pod {
    /// Its living containers.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.state == State::Running)
    }

    /// Whether nothing of it is left: no living container, and no sandbox that pins hold.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running().next().is_none()
            && !self.namespaces.iter().any(|it| it.owner.class == Class::RuntimePinned)
    }

    /// Whether it is a single process in namespaces of its own, of no runtime.
    #[must_use]
    pub fn is_single_process(&self) -> bool {
        self.origin == Origin::Unmanaged
            && self.containers.iter().map(|container| container.processes).sum::<u64>() == 1
    }
}

/// The pods of a node. Without `all`, pods that have no living container and unmanaged groups of a single process are
/// counted, not listed.
#[must_use]
pub fn pod_list(observation: &Observation, snapshot: Snapshot, findings: Vec<Finding>, all: bool) -> PodList {
    let mut hidden = Hidden::default();
    let coverage = coverage(observation, &snapshot);
    let pods: Vec<Pod> = snapshot
        .pods
        .into_iter()
        .filter(|pod| {
            if all {
                return true;
            }
            let (dead, single) = (pod.is_over(), pod.is_single_process());
            hidden.exited += u64::from(dead);
            hidden.unmanaged += u64::from(single && !dead);
            !dead && !single
        })
        .map(Arc::unwrap_or_clone)
        .collect();
    let listed = |finding: &Finding| pods.iter().any(|pod| Some(&pod.id) == finding.subject.pod.as_ref());
    let findings = findings.into_iter().filter(listed).collect();
    PodList {
        api_version: API_VERSION,
        kind: "PodList",
        node: node(observation),
        coverage,
        pods,
        hidden,
        findings,
    }
}

/// The machine and the moment.
#[must_use]
pub fn node(observation: &Observation) -> NodeInfo {
    NodeInfo {
        name: observation.node.name.clone(),
        kernel: observation.node.kernel.clone(),
        time: observation.node.time.map(|time| time.to_string()),
    }
}

/// What an answer rests on, and what is missing from it.
#[must_use]
pub fn coverage(observation: &Observation, snapshot: &Snapshot) -> Coverage {
    let gaps = || observation.gaps.iter().chain(&snapshot.gaps);
    Coverage {
        source: match observation.source {
            TaskSource::Bpf => "bpf",
            TaskSource::Procfs => "procfs",
        },
        tier: match observation.history.by {
            Some(HeardBy::Fexit) => "fentry",
            Some(HeardBy::Syscall) => "syscall",
            Some(HeardBy::ForkExec) => "fork-exec",
            None => "none",
        },
        tasks: observation.tasks.len() as u64,
        unreadable: observation.unreadable,
        events_lost: observation.history.lost,
        partial: gaps().any(|gap| gap.could_change_verdict),
        runtimes: observation
            .runtimes
            .iter()
            .map(|report| RuntimeInfo {
                runtime: report.runtime,
                endpoint: report.endpoint.clone(),
                status: report.status,
                detail: report.detail.clone(),
            })
            .collect(),
        gaps: gaps().map(|gap| GapInfo { what: gap.what.clone(), why: gap.why.clone() }).collect(),
    }
}
