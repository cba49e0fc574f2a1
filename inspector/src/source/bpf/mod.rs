//! The reader of tasks by eBPF: one pass of a task iterator in the kernel.
//!
//! `object` is the compiled kernel side; `vmlinux`, `btf` and `offsets` fit it to the running kernel; `program`, `subprograms`,
//! `verify` and `syscall` get it in; `load` does all that and reads it, `decode` turns bytes into tasks, `probe` says what of this
//! works here. It tells of every task in
//! full or fails; falling back on /proc is the caller's business.
//!
//! `events` is the other use of the same object: programs that tell of forks, execs, exits and, where asked for, of setns and
//! unshare as they happen.
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
mod error;
mod events;
mod fields;
mod load;
mod object;
mod offsets;
mod preconditions;
mod probe;
mod program;
mod subprograms;
mod syscall;
mod verify;
mod vmlinux;

use super::{Context, TaskScan};

pub use btf::BtfError;
pub use decode::DecodeError;
pub use error::BpfError;
pub use events::{EventConfig, EventCounts, EventDecodeError, EventReader, EventTier, Tally, Wake};
pub use load::{Reader, Variant};
pub use object::{Identity, SOURCE_SHA256, identity, is_built_in};
pub use offsets::LayoutError;
pub use probe::{EventReport, ProgramReport, Report, probe};

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
