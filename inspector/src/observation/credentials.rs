//! Who a process is to the kernel.

use serde::{Deserialize, Serialize};

use super::ProcessKey;

/// The credentials of one process (its main thread), read for those that share a PID namespace with another container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Which process.
    pub process: ProcessKey,
    /// Its real, effective, saved and file system uid, as the reader's user namespace numbers them (`Uid` in
    /// `/proc/PID/status`).
    pub uids: [u32; 4],
    /// The same of its group ids (`Gid`).
    pub gids: [u32; 4],
    /// Its effective capabilities, in its own user namespace (`CapEff`).
    pub effective: u64,
    /// Its permitted ones (`CapPrm`).
    pub permitted: u64,
    /// Whether it may be dumped, and so read by who has its uid: told by whether its files in /proc are its own. `None`
    /// where the two cannot be told apart (they are root's, and so is it).
    pub dumpable: Option<bool>,
}
