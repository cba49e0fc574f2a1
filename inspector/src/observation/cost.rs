//! What a process costs its node.

use serde::{Deserialize, Serialize};

use super::ProcessKey;

/// What one process costs, read for those that only hold a pod's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Which process.
    pub process: ProcessKey,
    /// Its resident memory (`/proc/PID/stat`, field 24), pages that it shares with others included. The kernel keeps
    /// count per processor and adds up now and then: right to some dozens of pages.
    pub resident_bytes: u64,
    /// Its own CPU time (`/proc/PID/stat`, fields 14 and 15), in milliseconds; the kernel's unit is a clock tick.
    pub cpu_ms: u64,
}
