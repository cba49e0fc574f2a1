//! What a network namespace has: its addresses, and who listens in it.

use serde::{Deserialize, Serialize};

/// A network namespace of containers, as `/proc/PID/net` of one in it shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFact {
    /// The namespace's inode.
    pub inode: u32,
    /// Its own addresses, loopback and link-local ones left out.
    pub addresses: Vec<String>,
    /// Sockets that wait for others to come.
    pub listeners: Vec<Socket>,
}

/// A socket that waits for others to come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address that it is bound to.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The processes that have it open, as the reader's /proc numbers them.
    pub pids: Vec<u32>,
}
