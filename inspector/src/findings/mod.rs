//! What is wrong with a snapshot. One rule a file; each is a pure function of the pods.

mod non_pause_owner;
mod owner_gone;
mod split_brain;
mod words;

use sha2::{Digest, Sha256};

use crate::observation::{Kind, Origin};
use crate::view::{Container, Finding, Pod};

/// Judges the pods by every rule; worst first, then by pod, rule and kind.
#[must_use]
pub fn evaluate(node: &str, pods: &[Pod]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = pods
        .iter()
        .flat_map(|pod| {
            non_pause_owner::check(node, pod).into_iter().chain(owner_gone::check(node, pod, pods))
        })
        .chain(split_brain::check(node, pods))
        .collect();
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| {
            (
                finding.severity,
                finding.subject.pod.clone(),
                finding.rule,
                finding.subject.namespace_kind,
                finding.id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    findings
}

/// An id that survives restarts: made of names, never of pids, inodes or container ids.
fn stable_id(rule: &str, node: &str, kind: Kind, pod: &Pod, container: Option<&Container>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(rule);
    add(node);
    add(kind.name());
    add(pod.namespace.as_deref().unwrap_or_default());
    add(&pod.name);
    add(container.map_or("", |container| container.name.as_str()));
    if pod.origin == Origin::Unmanaged {
        add(container.and_then(|container| container.cgroup.as_deref()).unwrap_or_default());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
