//! Recordings for others: what was seen without whose it was.
//!
//! Every name, id, image, path, address, argument and sentence is replaced by a pseudonym: a keyed hash, the same for the
//! same text within one recording, by a key that nobody keeps. What verdicts rest on stays, or keeps its shape: kinds,
//! states, numbers, times, the names of runtimes and of well-known programs, the layout of cgroups' paths. So whoever has
//! such a recording gets the same answers as who made it, but for the names.
//!
//! Everything is taken apart by name: a field that is new does not compile before somebody has decided about it.

mod declared;
mod events;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

use std::io;

use words::Words;

use crate::observation::{
    Behaviour, Cost, Credentials, Gap, Handle, HostNamespaces, NamespaceFact, NetworkFact, Node, Observation,
    Pin, ProcessKey, Reader, RuntimeReport, Socket, Task, Wait,
};

/// Takes from observations what says whose they are.
pub struct Redactor {
    words: Words,
}

/// What every answer from a redacted recording says: nobody is to look for these names on the node.
fn pseudonyms() -> Gap {
    Gap::detail(
        "names, ids, images, paths and addresses",
        "the recording is redacted: pseudonyms stand for them",
    )
}

impl Redactor {
    /// By a random key of its own.
    ///
    /// # Errors
    /// If the system has no random numbers to give.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        let mut filled = 0;
        while let Some(rest) = key.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self::with_key(key))
    }

    /// By this key.
    #[must_use]
    pub fn with_key(key: [u8; 32]) -> Self {
        Self { words: Words::new(key) }
    }

    /// Gives every name in an observation its pseudonym.
    #[must_use]
    pub fn observation(&self, observation: Observation) -> Observation {
        let Observation {
            node,
            source,
            reader,
            host,
            tasks,
            unreadable,
            containers,
            pods,
            behaviours,
            credentials,
            networks,
            costs,
            namespaces,
            pins,
            handles,
            runtimes,
            gaps,
            history,
        } = observation;
        let Reader { pid, euid } = reader;
        let HostNamespaces { inodes, evidence } = host;
        Observation {
            node: self.node(node),
            source,
            reader: Reader { pid, euid },
            host: HostNamespaces { inodes, evidence: self.words.sentence(&evidence) },
            tasks: tasks.iter().map(|it| self.task(it.clone())).collect(),
            unreadable,
            containers: containers.into_iter().map(|it| self.container(it)).collect(),
            pods: pods.into_iter().map(|it| self.pod(it)).collect(),
            behaviours: behaviours.into_iter().map(|it| self.behaviour(it)).collect(),
            credentials: credentials.into_iter().map(plain_credentials).collect(),
            networks: networks.into_iter().map(|it| self.network(it)).collect(),
            costs: costs.into_iter().map(plain_cost).collect(),
            namespaces: namespaces.into_iter().map(plain_namespace).collect(),
            pins: pins.into_iter().map(|it| self.pin(it)).collect(),
            handles: handles.into_iter().map(|it| self.handle(it)).collect(),
            runtimes: runtimes.into_iter().map(|it| self.runtime(it)).collect(),
            gaps: gaps.into_iter().map(|it| self.gap(it)).chain([pseudonyms()]).collect(),
            history: self.history(history),
        }
    }

    fn node(&self, node: Node) -> Node {
        let Node { name, kernel, time, booted_at, boottime_ns, tasks_boottime_ns, ticks_per_second, boot_id } =
            node;
        Node {
            name: self.words.name(&name),
            kernel: self.words.release(&kernel),
            time,
            booted_at,
            boottime_ns,
            tasks_boottime_ns,
            ticks_per_second,
            boot_id: self.words.name(&boot_id),
        }
    }

    fn task(&self, task: Task) -> Task {
        let Task {
            pid,
            tgid,
            parent,
            start_boottime_ns,
            comm,
            uid,
            kernel_thread,
            zombie,
            pid_namespace_init,
            threads,
            level,
            pid_inside,
            pids_below,
            state,
            namespaces,
            pid_for_children,
            time_for_children,
            user_namespace_owner,
            cgroup,
            cgroup_id,
        } = task;
        Task {
            pid,
            tgid,
            parent,
            start_boottime_ns,
            comm: self.words.comm(&comm).into(),
            uid,
            kernel_thread,
            zombie,
            pid_namespace_init,
            threads,
            level,
            pid_inside,
            pids_below,
            state,
            namespaces,
            pid_for_children,
            time_for_children,
            user_namespace_owner,
            cgroup: cgroup.map(|path| self.words.cgroup(&path).into()),
            cgroup_id,
        }
    }

    fn behaviour(&self, behaviour: Behaviour) -> Behaviour {
        let Behaviour { process, executable, waits, sockets, cpu_ms, reaped_cpu_ms, files } = behaviour;
        Behaviour {
            process,
            executable: executable.map(|name| self.words.name(&name)),
            waits: waits.into_iter().map(|wait| self.wait(wait)).collect(),
            sockets,
            cpu_ms,
            reaped_cpu_ms,
            files: files.iter().map(|file| self.words.path(file)).collect(),
        }
    }

    fn wait(&self, wait: Wait) -> Wait {
        match wait {
            Wait::Signal | Wait::Children | Wait::TimedSignal | Wait::Sleep => wait,
            Wait::Other(name) if vocabulary::is_wait(&name) => Wait::Other(name),
            Wait::Other(name) => Wait::Other(self.words.name(&name)),
            Wait::Unreadable(why) => Wait::Unreadable(self.words.sentence(&why)),
        }
    }

    fn network(&self, fact: NetworkFact) -> NetworkFact {
        let NetworkFact { inode, addresses, listeners } = fact;
        let listener = |socket: Socket| {
            let Socket { protocol, address, port, pids } = socket;
            let protocol = self.words.name(&protocol);
            Socket { protocol, address: self.words.address(&address), port, pids }
        };
        NetworkFact {
            inode,
            addresses: addresses.iter().map(|address| self.words.address(address)).collect(),
            listeners: listeners.into_iter().map(listener).collect(),
        }
    }

    fn pin(&self, pin: Pin) -> Pin {
        let Pin { kind, inode, path } = pin;
        Pin { kind, inode, path: self.words.path(&path) }
    }

    fn handle(&self, handle: Handle) -> Handle {
        let Handle { kind, inode, pid, via, path } = handle;
        Handle { kind, inode, pid, via, path: self.words.path(&path) }
    }

    fn runtime(&self, report: RuntimeReport) -> RuntimeReport {
        let RuntimeReport { runtime, endpoint, status, detail } = report;
        let endpoint = self.words.path(&endpoint);
        RuntimeReport { runtime, endpoint, status, detail: self.words.sentence(&detail) }
    }

    fn gap(&self, gap: Gap) -> Gap {
        let Gap { what, why, could_change_verdict } = gap;
        Gap { what: self.words.sentence(&what), why: self.words.sentence(&why), could_change_verdict }
    }
}

/// Numbers only, and so taken as they are.
fn plain_credentials(credentials: Credentials) -> Credentials {
    let Credentials { process: ProcessKey { pid, start_ticks }, uids, gids, effective, permitted, dumpable } =
        credentials;
    let process = ProcessKey { pid, start_ticks };
    Credentials { process, uids, gids, effective, permitted, dumpable }
}

/// As above.
fn plain_cost(cost: Cost) -> Cost {
    let Cost { process, resident_bytes, cpu_ms } = cost;
    Cost { process, resident_bytes, cpu_ms }
}

/// As above.
fn plain_namespace(fact: NamespaceFact) -> NamespaceFact {
    let NamespaceFact { kind, inode, owner, parent, id } = fact;
    NamespaceFact { kind, inode, owner, parent, id }
}
