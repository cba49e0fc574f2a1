//! The types of a finding in the JSON output.

use schemars::JsonSchema;
use serde::Serialize;

use crate::observation::Kind;
use crate::view::{Namespace, Pod};

/// Something wrong, with its evidence, its consequence and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable across runs and restarts.
    pub id: String,
    /// `PNS001` …
    pub rule: &'static str,
    /// The rule's name.
    pub name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// In one sentence.
    pub message: String,
    /// What a colleague would accept.
    pub evidence: Vec<String>,
    /// What happens because of it.
    pub consequence: String,
    /// What to do.
    pub remedy: String,
}

/// How bad a finding is; worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Broken now.
    Critical,
    /// Will break.
    High,
    /// Dangerous.
    Medium,
    /// Untidy.
    Low,
    /// Good to know.
    Info,
}

impl Severity {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// Something that a rule could not judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undetermined {
    /// `PNS001` …
    pub rule: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// What is missing.
    pub why: String,
}

/// What a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `pods[].id`.
    pub pod: Option<String>,
    /// A container's id.
    pub container: Option<String>,
    /// The kind of namespace.
    pub namespace_kind: Option<Kind>,
    /// The namespace's inode.
    pub inode: Option<u32>,
    /// A process.
    pub pid: Option<u32>,
}

impl Subject {
    /// A namespace of a pod, and its owner.
    #[must_use]
    pub fn owner_of(namespace: &Namespace, pod: &Pod) -> Self {
        Self {
            pod: Some(pod.id.clone()),
            container: namespace.owner.container.clone(),
            namespace_kind: Some(namespace.kind),
            inode: Some(namespace.inode),
            pid: None,
        }
    }
}
