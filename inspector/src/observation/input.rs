//! What a watcher hands on: the looks at a node, and what the kernel told in between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HeardBy, KernelEvent, Observation};

/// What a watcher hands on to the engine, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Everything was looked at.
    Look(Box<Look>),
    /// The kernel told.
    Told(Told),
    /// Looking failed.
    Blind(Blind),
}

impl Input {
    /// Up to when it tells, in nanoseconds since boot, suspend included.
    #[must_use]
    pub fn boottime_ns(&self) -> u64 {
        match self {
            Self::Look(look) => look.observation.node.boottime_ns,
            Self::Told(told) => told.boottime_ns,
            Self::Blind(blind) => blind.boottime_ns,
        }
    }
}

/// A look at everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// What was seen.
    pub observation: Observation,
    /// Just before the tasks were read, in nanoseconds since boot: what happened before is in there, what happened later may
    /// not be.
    pub since_boottime_ns: u64,
}

/// What the kernel told since the last time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// When it was handed on, in nanoseconds since boot.
    pub boottime_ns: u64,
    /// What happened, in the kernel's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<KernelEvent>,
    /// Events that did not arrive, by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<String, u64>,
    /// How events are heard; `None` once they are not any more.
    pub by: Option<HeardBy>,
}

/// A look that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// When, in nanoseconds since boot.
    pub boottime_ns: u64,
    /// Why.
    pub why: String,
}
