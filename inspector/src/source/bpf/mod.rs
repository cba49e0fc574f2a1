//! The reader of tasks by eBPF: one pass of a task iterator in the kernel.
//!
//! `object` is the compiled kernel side, `btf` and `offsets` fit it to the running kernel, `load` gets it in and
//! reads it, `decode` turns bytes into tasks, `probe` says what of this works here. It tells of every task in
//! full or fails; falling back on /proc is the caller's business.
//!
//! Where it can differ from the reader of /proc, for the same moment:
//!
//! * The cgroup is that of v1's `pids` hierarchy, or of v2; /proc also knows v1's `name=systemd`, which has no
//!   controller and so no name in the kernel's types. Runtimes put a container at the same path in both.
//! * Paths are from the root of the hierarchy, whatever cgroup namespace the reader is in, and have no `(deleted)`.
//! * A zombie's cgroup is the one that it died in; /proc says `/` for it on v1.
//! * Uids are the initial user namespace's. A reader in another could not load this at all.
//! * [`Task::level`](crate::observation::Task::level) counts from the initial PID namespace.

mod btf;
mod decode;
mod load;
mod object;
mod offsets;
mod preconditions;
mod probe;
mod program;
mod syscall;
mod vmlinux;

use std::io;

use thiserror::Error;

use super::{Context, TaskScan};

pub use btf::BtfError;
pub use decode::DecodeError;
pub use load::{Reader, Variant};
pub use object::{Identity, SOURCE_SHA256, identity, is_built_in};
pub use offsets::LayoutError;
pub use probe::{ProgramReport, Report, probe};

/// Why tasks could not be read by eBPF.
#[derive(Debug, Error)]
pub enum BpfError {
    /// This program was built without its kernel side.
    #[error("this build has no eBPF object: {why}")]
    NotBuiltIn {
        /// As the build said it.
        why: String,
    },
    /// The object is another version's.
    #[error("the eBPF object is of version {found}, this program of {}: rebuild both", inspector_common::ABI)]
    OtherAbi {
        /// What it says.
        found: String,
    },
    /// The kernel's types cannot be read.
    #[error(
        "{path}: {source}; a kernel built with CONFIG_DEBUG_INFO_BTF has it, and the container must see /sys"
    )]
    NoBtf {
        /// Where they should be.
        path: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel's types make no sense.
    #[error("{path}: {source}")]
    BadBtf {
        /// Where they are.
        path: &'static str,
        /// What is wrong.
        source: BtfError,
    },
    /// The kernel lacks something that is read.
    #[error("{0}: this version of the inspector does not know this kernel")]
    Layout(#[from] LayoutError),
    /// Not allowed.
    #[error("not permitted: {why}")]
    Permission {
        /// What is missing, and how to get it.
        why: String,
    },
    /// Pids would mean something else to the kernel than to the reader of /proc.
    #[error("{proc} is of another PID namespace than this process, so pids would be mixed up: {why}")]
    OtherPidNamespace {
        /// The /proc in use.
        proc: String,
        /// What it shows, and how to mend it.
        why: String,
    },
    /// The kernel keeps its memory even from root, and so from every program that reads it.
    #[error("the kernel is locked down (lockdown=confidentiality), and lets no eBPF program read its memory")]
    LockedDown,
    /// The kernel refused both programs.
    #[error("the kernel's verifier refused the programs: {reason} (RUST_LOG=debug shows its log)")]
    Refused {
        /// The last lines of what it said.
        reason: String,
    },
    /// Anything else on the way in.
    #[error("the eBPF programs could not be loaded: {0}")]
    Load(String),
    /// Reading the iterator failed.
    #[error("reading the task iterator: {0}")]
    Read(#[source] io::Error),
    /// Time was up.
    #[error("the task iterator did not end in time")]
    Late,
    /// What came made no sense.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Loads, reads once, unloads. Whoever reads again keeps a [`Reader`].
pub fn read_tasks(context: &Context) -> Result<TaskScan, BpfError> {
    let start = std::time::Instant::now();
    let mut reader = Reader::open(context)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let scan = reader.read(context)?;
    let read_ms = start.elapsed().as_secs_f64() * 1e3 - load_ms;
    log::info!("the eBPF iterator took {load_ms:.1} ms to load and {read_ms:.1} ms to read");
    Ok(scan)
}
