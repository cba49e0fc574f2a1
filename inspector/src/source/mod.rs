//! Everything that touches the machine. It reports what it saw and what it could not see; it judges nothing.
//!
//! Each reader has a file of its own and returns plain data ([`crate::observation`]) together with its gaps;
//! [`collect`] asks them in order. Nothing here panics, blocks without a limit, or drops an error in silence.

pub mod behaviour;
pub mod bolt;
pub mod bpf;
mod collect;
pub mod containerd;
pub mod cost;
pub mod credentials;
pub mod cri;
pub mod crio;
pub mod docker;
pub mod endpoints;
pub mod grpc;
pub mod holders;
pub mod http;
mod memory;
pub mod mounts;
pub mod network;
pub mod node;
pub mod nsfs;
pub mod oci;
pub mod pins;
pub mod podman;
pub mod procfs;
mod watcher;

pub use collect::{CollectError, collect};
pub use watcher::{Listening, Tally, Watcher};

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::observation::{DeclaredContainer, DeclaredPod, Gap, NamespaceFact, Runtime, RuntimeReport, Tasks};
use crate::state::cgroup::is_id;

/// Which reader of tasks to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskChoice {
    /// The faster one that works.
    #[default]
    Auto,
    /// The eBPF task iterator, or an error.
    Bpf,
    /// A walk of /proc.
    Procfs,
}

/// Where to look for pins and open descriptors of namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldersScope {
    /// The host's mount namespace and the runtimes'.
    #[default]
    Host,
    /// Every mount namespace.
    All,
}

/// What a user can say about where and how long to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which reader of tasks.
    pub tasks: TaskChoice,
    /// Where the host's /proc, /run, /var/lib and /sys/fs/cgroup are to be seen.
    pub host_root: PathBuf,
    /// Sockets of runtimes, besides the usual ones. A runtime named here is asked there only.
    pub sockets: Vec<(Runtime, PathBuf)>,
    /// How long everything together may take.
    pub timeout: Duration,
    /// Where to look for pins.
    pub holders: HoldersScope,
    /// Whether to look for open descriptors, sockets and mounts that keep namespaces: no pod depends on them.
    pub handles: bool,
    /// Whether to read the credentials of processes that share a PID namespace with another container.
    pub credentials: bool,
    /// Whether to look into containers' network namespaces for addresses and listening sockets.
    pub networks: bool,
    /// Whether to read what pauses cost.
    pub costs: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tasks: TaskChoice::Auto,
            host_root: PathBuf::from("/"),
            sockets: Vec::new(),
            timeout: Duration::from_secs(30),
            holders: HoldersScope::Host,
            handles: false,
            credentials: true,
            networks: false,
            costs: false,
        }
    }
}

/// The options of one collection, resolved: where, and until when.
#[derive(Clone, Debug)]
pub struct Context {
    /// What the user said.
    pub options: Options,
    /// When to stop waiting.
    pub deadline: Instant,
}

impl Context {
    /// Starts the clock.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let deadline = Instant::now() + options.timeout;
        Self { options, deadline }
    }

    /// A path of the host (absolute), as it is to be seen here.
    #[must_use]
    pub fn host(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.options.host_root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is left of the time, at most `limit`.
    #[must_use]
    pub fn time_left(&self, limit: Duration) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(limit)
    }
}

/// What a reader of tasks saw.
#[derive(Clone, Debug, Default)]
pub struct TaskScan {
    /// Processes, and threads that differ from their leader; sorted by pid.
    pub tasks: Tasks,
    /// What the kernel says of the namespaces that the tasks are in; sorted.
    pub namespaces: Vec<NamespaceFact>,
    /// Processes that were there but whose namespaces could not be read.
    pub unreadable: u64,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// What the runtimes said.
#[derive(Clone, Debug, Default)]
pub struct RuntimeFacts {
    /// Their containers.
    pub containers: Vec<DeclaredContainer>,
    /// Their pods.
    pub pods: Vec<DeclaredPod>,
    /// How asking them went.
    pub reports: Vec<RuntimeReport>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

impl RuntimeFacts {
    /// Adds what another source said. What the earlier one said of a container or pod stands: one of Docker's is
    /// containerd's, too, and runc's. Ids that users choose (ctr's, runc's) can be the same by chance: they are of one
    /// container where they name the same process. A user's word never stands against root's: a user could take the id
    /// of any container.
    pub fn merge(&mut self, other: Self) {
        let told: HashSet<&str> = (other.containers.iter().filter(|it| it.word_of_uid.is_none()))
            .map(|container| container.id.as_str())
            .collect();
        self.containers.retain(|it| it.word_of_uid.is_none() || !told.contains(it.id.as_str()));
        let told: HashSet<&str> =
            other.pods.iter().filter(|it| it.word_of_uid.is_none()).map(|pod| pod.id.as_str()).collect();
        self.pods.retain(|it| it.word_of_uid.is_none() || !told.contains(it.id.as_str()));
        let known: HashMap<String, u32> =
            self.containers.iter().map(|container| (container.id.clone(), container.pid)).collect();
        let is_new = |container: &DeclaredContainer| {
            known.get(&container.id).is_none_or(|pid| !is_id(&container.id) && *pid != container.pid)
        };
        self.containers.extend(other.containers.into_iter().filter(is_new));
        let known: HashSet<String> = self.pods.iter().map(|pod| pod.id.clone()).collect();
        self.pods.extend(other.pods.into_iter().filter(|it| !known.contains(&it.id)));
        self.reports.extend(other.reports);
        self.gaps.extend(other.gaps);
    }
}
