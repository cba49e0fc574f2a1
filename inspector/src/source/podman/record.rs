//! A container and a pod as Podman knows them, whoever told: its API or its state on disk.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::observation::{Ignore, Kind, Mount, RuntimeState};

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The pod that it is in.
    pub pod: Option<String>,
    /// Its image, as it was named; none for a plain folder.
    pub image: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its state.
    pub state: RuntimeState,
    /// Its init's pid; 0 where it has none.
    pub pid: u32,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last exited.
    pub finished_at: Option<Timestamp>,
    /// Its exit code; `None` where nobody saw it exit.
    pub exit_code: Option<i32>,
    /// Killed for want of memory.
    pub oom_killed: bool,
    /// It is its pod's infra container.
    pub infra: bool,
    /// It runs before the others of its pod.
    pub init: bool,
    /// The name of its low-level runtime.
    pub oci_runtime: String,
    /// How it gets its namespaces; a kind that is absent is not known.
    pub modes: BTreeMap<Kind, Mode>,
    /// Its bind and named volumes, by target.
    pub mounts: Vec<Mount>,
    /// Which rules its labels ask audits to leave out.
    pub ignore: Option<Ignore>,
}

/// How a container gets its namespace of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Who started it has it: the node, for root.
    Host,
    /// Made for it, by its low-level runtime or by Podman (which makes every network namespace itself).
    Private,
    /// That container's, by its id.
    Container(String),
    /// What lies behind a path.
    Path(String),
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Whether it has an infra container at all.
    pub has_infra: bool,
    /// Its infra container's id.
    pub infra: Option<String>,
    /// Which kinds its containers share, sorted.
    pub shares: Vec<Kind>,
    /// Which rules its labels ask audits to leave out.
    pub ignore: Option<Ignore>,
}

/// What one Podman has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its containers.
    pub containers: Vec<Record>,
    /// Its pods.
    pub pods: Vec<PodRecord>,
}
