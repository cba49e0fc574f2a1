//! Which pods of an answer to show, and in which order. Pure; what is left of an answer is still an answer.

use std::cmp::Reverse;

use crate::observation::{Kind, Runtime};

use super::{Class, Namespace, Pod, PodList, Verdict};

/// Which pods to show. A list that is empty asks for nothing; several conditions must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this Kubernetes namespace.
    pub namespace: Option<String>,
    /// With a container of one of these runtimes.
    pub runtimes: Vec<Runtime>,
    /// Called so (`NAME` or `NAMESPACE/NAME`, `pod/` before it allowed), or whose id starts so.
    pub pods: Vec<String>,
    /// Sharing a namespace of each of these kinds.
    pub kinds: Vec<Kind>,
    /// Judged as one of these.
    pub verdicts: Vec<Verdict>,
}

/// In which order to show pods. Equals stay in the order of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By name, which is the contract's order.
    #[default]
    Name,
    /// By Kubernetes namespace; pods without one first.
    Namespace,
    /// By verdict, worst first.
    Verdict,
    /// By the start of the first of their containers, oldest first; unknown ones last.
    Started,
    /// By number of containers, most first.
    Containers,
}

impl Selection {
    /// Whether every pod passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    fn matches(&self, pod: &Pod) -> bool {
        let any = |wanted: bool, found: bool| !wanted || found;
        self.namespace.as_ref().is_none_or(|namespace| pod.namespace.as_ref() == Some(namespace))
            && any(
                !self.runtimes.is_empty(),
                pod.containers
                    .iter()
                    .filter_map(|container| container.runtime)
                    .any(|runtime| self.runtimes.contains(&runtime)),
            )
            && any(!self.pods.is_empty(), self.pods.iter().any(|wanted| is_called(pod, wanted)))
            && self.kinds.iter().all(|kind| {
                pod.namespaces.iter().any(|namespace| namespace.kind == *kind && namespace.is_shared())
            })
            && any(!self.verdicts.is_empty(), self.verdicts.contains(&pod.verdict))
    }
}

fn is_called(pod: &Pod, wanted: &str) -> bool {
    let wanted = wanted.strip_prefix("pod/").unwrap_or(wanted);
    let with_namespace = || {
        let (namespace, name) = wanted.split_once('/')?;
        Some(pod.namespace.as_deref() == Some(namespace) && pod.name == name)
    };
    pod.name == wanted || with_namespace() == Some(true) || (!wanted.is_empty() && pod.id.starts_with(wanted))
}

impl Namespace {
    /// Whether it is held in common: by two containers, by one that joined another's, or by pins.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let of_another =
            self.owner.container.is_some() && self.owner.container.as_ref() != self.shared_by.first();
        self.shared_by.len() > 1
            || self.owner.class == Class::RuntimePinned
            || of_another
            || (self.owner.container.is_some() && !self.owner.alive)
    }
}

/// Leaves the selected pods and their findings, in that order. Findings that belong to no pod stay while
/// nothing is filtered.
#[must_use]
pub fn select(mut list: PodList, selection: &Selection, sort_by: SortBy) -> PodList {
    if !selection.is_everything() {
        list.pods.retain(|pod| selection.matches(pod));
        let pods = &list.pods;
        list.findings.retain(|finding| {
            finding.subject.pod.as_ref().is_some_and(|id| pods.iter().any(|pod| pod.id == *id))
        });
    }
    let started = |pod: &Pod| {
        pod.containers
            .iter()
            .filter_map(|container| container.started_at.as_deref()?.parse::<jiff::Timestamp>().ok())
            .min()
    };
    match sort_by {
        SortBy::Name => {}
        SortBy::Namespace => list.pods.sort_by(|a, b| a.namespace.cmp(&b.namespace)),
        SortBy::Verdict => list.pods.sort_by_key(|pod| pod.verdict),
        SortBy::Started => {
            list.pods.sort_by_key(|pod| started(pod).map_or((true, None), |time| (false, Some(time))))
        }
        SortBy::Containers => list.pods.sort_by_key(|pod| Reverse(pod.containers.len())),
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn names(list: &PodList) -> Vec<&str> {
        list.pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    #[test]
    fn each_condition_picks_its_pods() {
        let everything = Selection::default();
        let id = samples::zoo().pods[2].id.clone();
        for (selection, expected) in [
            (
                Selection { namespace: Some("kube-system".into()), ..everything.clone() },
                vec!["coredns-5d78c9869d-8xk2v"],
            ),
            (Selection { namespace: Some(String::new()), ..everything.clone() }, vec![]),
            (
                Selection { runtimes: vec![Runtime::Containerd], ..everything.clone() },
                vec!["coredns-5d78c9869d-8xk2v"],
            ),
            (Selection { pods: vec!["api".into()], ..everything.clone() }, vec!["api"]),
            (
                Selection { pods: vec!["pod/api".into(), "redis".into()], ..everything.clone() },
                vec!["api", "redis"],
            ),
            (
                Selection { pods: vec!["kube-system/coredns-5d78c9869d-8xk2v".into()], ..everything.clone() },
                vec!["coredns-5d78c9869d-8xk2v"],
            ),
            (Selection { pods: vec!["other/api".into()], ..everything.clone() }, vec![]),
            (
                Selection { pods: vec![id[..12].into()], ..everything.clone() },
                vec!["coredns-5d78c9869d-8xk2v"],
            ),
            (Selection { pods: vec![String::new()], ..everything.clone() }, vec![]),
            (Selection { kinds: vec![Kind::Pid], ..everything.clone() }, vec!["chrome"]),
            (
                Selection { kinds: vec![Kind::Net, Kind::Uts], ..everything.clone() },
                vec!["coredns-5d78c9869d-8xk2v"],
            ),
            (
                Selection { kinds: vec![Kind::Net], ..everything.clone() },
                vec!["api", "chrome", "coredns-5d78c9869d-8xk2v", "crio-pod", "mystery"],
            ),
            (
                Selection { verdicts: vec![Verdict::Host, Verdict::Isolated], ..everything.clone() },
                vec!["node-exporter", "redis"],
            ),
            (
                Selection { verdicts: vec![Verdict::Host], pods: vec!["redis".into()], ..everything.clone() },
                vec![],
            ),
        ] {
            assert_eq!(names(&select(samples::zoo(), &selection, SortBy::Name)), expected, "{selection:?}");
        }
        assert_eq!(select(samples::zoo(), &everything, SortBy::Name), samples::zoo());
    }

    #[test]
    fn findings_go_with_their_pods() {
        let picked = |name: &str| {
            select(
                samples::article(),
                &Selection { pods: vec![name.into()], ..Selection::default() },
                SortBy::Name,
            )
        };
        assert_eq!((picked("nginx").pods.len(), picked("nginx").findings.len()), (1, 3));
        assert_eq!((picked("pause").pods.len(), picked("pause").findings.len()), (1, 0));
    }

    #[test]
    fn each_order_is_total_over_the_sample() {
        let first = |sort_by| {
            names(&select(samples::zoo(), &Selection::default(), sort_by))[..3]
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(first(SortBy::Namespace), ["api", "chrome", "crio-pod"]);
        assert_eq!(first(SortBy::Verdict), ["api", "chrome", "mystery"]);
        assert_eq!(first(SortBy::Started), ["web", "api", "chrome"]);
        assert_eq!(first(SortBy::Containers), ["coredns-5d78c9869d-8xk2v", "api", "chrome"]);
    }
}
