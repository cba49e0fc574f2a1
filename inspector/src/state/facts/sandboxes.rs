//! What holds each declared pod together, and whether it is still there.

use std::collections::HashMap;

use crate::observation::{DeclaredPod, Infra};
use crate::state::index::PodKey;
use crate::state::units::Unit;
use crate::state::{Model, PodParts, pods};

/// A declared pod's sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The pod's id.
    pub pod: String,
    /// Whether it is there.
    pub state: SandboxState,
    /// A newer sandbox has the same Kubernetes uid: this one is history.
    pub superseded: bool,
}

/// Whether a sandbox is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// Its infra container lives: its id.
    Running(String),
    /// It has no process, and is not meant to have one.
    ByDesign,
    /// Its infra container is gone or never ran.
    Missing {
        /// That container's id.
        container: String,
        /// What became of it, as far as known.
        why: String,
    },
    /// Its runtime does not say what holds it.
    Unknown,
}

pub(super) fn find(model: &Model<'_>) -> Vec<Sandbox> {
    let declared = || model.pods.iter().filter_map(|parts| Some((parts, parts.declared?)));
    let mut newest: HashMap<(Option<u32>, &str), &DeclaredPod> = HashMap::new();
    for (_, pod) in declared() {
        let Some(uid) = pod.uid.as_deref().filter(|uid| !uid.is_empty()) else { continue };
        let slot = newest.entry((pod.word_of_uid, uid)).or_insert(pod);
        if pod.created_at > slot.created_at {
            *slot = pod;
        }
    }
    let mut found: Vec<Sandbox> = declared()
        .map(|(parts, pod)| Sandbox {
            pod: pods::id(parts, model),
            state: state(parts, pod, model),
            superseded: pod
                .uid
                .as_deref()
                .and_then(|uid| newest.get(&(pod.word_of_uid, uid)))
                .is_some_and(|newest| newest.id != pod.id && newest.created_at > pod.created_at),
        })
        .collect();
    found.sort_by(|a, b| a.pod.cmp(&b.pod));
    found
}

fn state(parts: &PodParts<'_>, pod: &DeclaredPod, model: &Model<'_>) -> SandboxState {
    let key = PodKey { word_of_uid: pod.word_of_uid, id: &pod.id };
    let marked = model.index.infra.get(&key).and_then(|unit| model.units.list.get(*unit));
    let by_id = |id: &str| {
        let mut units = parts.units.iter().filter_map(|unit| model.units.list.get(*unit));
        units.find(|unit| unit.id == id)
    };
    match (&pod.infra, marked) {
        (Infra::Processless | Infra::Nothing, _) => SandboxState::ByDesign,
        (Infra::Container(id), marked) => judge(id, by_id(id).or(marked)),
        (Infra::Unknown, Some(marked)) => judge(&marked.id, Some(marked)),
        (Infra::Unknown, None) => SandboxState::Unknown,
    }
}

fn judge(id: &str, unit: Option<&Unit<'_>>) -> SandboxState {
    let why = match unit {
        Some(unit) if unit.is_living() => return SandboxState::Running(unit.id.clone()),
        Some(unit) => match unit.declared {
            Some(declared) => match (declared.exit_code, declared.finished_at) {
                (Some(code), Some(at)) => format!("it exited with {code} at {at}"),
                (Some(code), None) => format!("it exited with {code}"),
                (None, Some(at)) => format!("it exited at {at}"),
                (None, None) => "it has no process".to_owned(),
            },
            None => "it has no process".to_owned(),
        },
        None => "it never ran, or its runtime has removed it".to_owned(),
    };
    SandboxState::Missing { container: id.to_owned(), why }
}
