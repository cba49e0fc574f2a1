//! Which manifest a pod is from, by the names that controllers give. What fits two is not decided.

use super::{Manifest, Manifests, Workload};

/// What the manifests say of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// None is its.
    None,
    /// This one is.
    One(&'a Manifest),
    /// Each of these could be.
    Several(Vec<&'a Manifest>),
}

/// The letters and digits of Kubernetes' generated names: no vowels, nothing that looks like another.
const SAFE: &str = "bcdfghjklmnpqrstvwxz2456789";
const RANDOM: usize = 5;
const MAX_HASH: usize = 10;

impl Manifests {
    /// The manifest of the pod of this name.
    #[must_use]
    pub fn of(&self, namespace: Option<&str>, pod: &str, node: &str) -> Match<'_> {
        let namespace = namespace.unwrap_or("default");
        let mut found: Vec<&Manifest> = self
            .list
            .iter()
            .filter(|it| it.namespace == namespace && makes(it.workload, &it.name, pod, node))
            .collect();
        match (found.len(), found.pop()) {
            (1, Some(one)) => Match::One(one),
            (_, Some(last)) => {
                found.push(last);
                Match::Several(found)
            }
            (_, None) => Match::None,
        }
    }
}

fn makes(workload: Workload, name: &str, pod: &str, node: &str) -> bool {
    if workload == Workload::Pod && pod == name {
        return true;
    }
    let Some(rest) = pod.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else { return false };
    let two = rest.split_once('-');
    match workload {
        // A static pod.
        Workload::Pod => rest == node,
        Workload::StatefulSet => is_number(rest),
        Workload::Deployment => {
            two.is_some_and(|(hash, random)| hash.len() <= MAX_HASH && is_safe(hash) && is_random(random))
        }
        Workload::CronJob => two.is_some_and(|(time, random)| is_number(time) && is_random(random)),
        // An indexed job's pods have their index.
        Workload::Job => {
            is_random(rest) || two.is_some_and(|(index, random)| is_number(index) && is_random(random))
        }
        Workload::ReplicaSet | Workload::ReplicationController | Workload::DaemonSet => is_random(rest),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_safe(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|it| SAFE.contains(it))
}

fn is_random(text: &str) -> bool {
    text.len() == RANDOM && is_safe(text)
}
