//! One test for each sentence of the contract about what the words mean and who owns.

mod identity;
mod namespaces;
mod owners;
mod pods;
mod sandboxes;
pub(crate) mod world;

use world::{World, id};

use std::sync::Arc;

use crate::observation::Kind;
use crate::view::{Class, ClassEvidence, Evidence, Pod, Role, State, Verdict};

/// The pod that has this container.
fn pod_of<'p>(pods: &'p [Arc<Pod>], name: &str) -> &'p Pod {
    let mut found = pods.iter().filter(|pod| pod.containers.iter().any(|container| container.name == name));
    let pod = found.next().unwrap_or_else(|| panic!("no pod has a container {name}: {pods:#?}"));
    assert!(found.next().is_none(), "{name} is in two pods: {pods:#?}");
    pod
}

/// Names of a pod's containers, in order.
fn names(pod: &Pod) -> Vec<&str> {
    pod.containers.iter().map(|container| container.name.as_str()).collect()
}

/// The owner of the pod's namespace of that kind which more than one container shares, or which is orphaned
/// or pinned.
fn owner(pod: &Pod, kind: Kind) -> &crate::view::Owner {
    let mut found = pod.namespaces.iter().filter(|namespace| {
        let pinned = namespace.owner.class == Class::RuntimePinned;
        namespace.kind == kind && (namespace.shared_by.len() > 1 || !namespace.owner.alive || pinned)
    });
    let namespace = found.next().unwrap_or_else(|| panic!("no shared {kind}: {:#?}", pod.namespaces));
    assert!(found.next().is_none(), "two shared {kind}: {:#?}", pod.namespaces);
    &namespace.owner
}

/// What the rules say of these pods, of which nothing else is known.
fn findings(pods: &[Arc<Pod>]) -> Vec<crate::view::Finding> {
    let facts = crate::state::facts::Facts::default();
    crate::findings::evaluate(&crate::findings::Node::new("node", pods, &facts)).findings
}
