//! `inspector doctor`: what this kernel, these capabilities and these sockets allow, what is lost without each,
//! and how to get it.
//!
//! [`facts`] looks, [`checks`] judges (pure), [`table`] prints. It changes nothing, asks a runtime nothing but
//! whether it takes a connection, and names only what this program can use.

mod checks;
mod facts;
mod sockets;
mod table;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::table::table;
use crate::source::Context;
use crate::view::API_VERSION;

/// How loading the eBPF programs went: for [`examine`] to be told, as only the eBPF source can try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BpfLoad {
    /// They load and run; what was tried, in words.
    Works(String),
    /// The kernel refused them, or something that they need is missing; why.
    Fails(String),
    /// This program was built without them.
    NotBuilt,
}

/// The answer of `inspector doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `inspector/v1`.
    pub api_version: &'static str,
    /// Always `Diagnosis`.
    pub kind: &'static str,
    /// One for each thing looked at.
    pub checks: Vec<Check>,
}

/// One thing that the answers of this program depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What it is good for.
    pub gives: String,
    /// What is lost as it is; null where nothing is.
    pub lost: Option<String>,
    /// How to get it; null where nothing is lost.
    pub remedy: Option<String>,
}

/// Whether something that the answers depend on is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In full.
    Ok,
    /// In part, or replaced by something lesser.
    Degraded,
    /// Not at all.
    Missing,
}

impl Status {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

/// Looks at this machine. Takes a second for each socket that hangs, at most.
#[must_use]
pub fn examine(context: &Context, bpf: &BpfLoad, events: &BpfLoad) -> Report {
    let facts = facts::Facts::read(context);
    let mut checks = checks::kernel(&facts, bpf, events);
    checks.extend(checks::process_view(&facts));
    checks.extend(sockets::look(context).iter().map(sockets::Probe::check));
    Report { api_version: API_VERSION, kind: "Diagnosis", checks }
}
