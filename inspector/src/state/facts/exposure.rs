//! Who can read whose environment and files where containers share a PID namespace: the kernel's own rule
//! (`__ptrace_may_access` with `PTRACE_MODE_READ_FSCREDS`, kernel/ptrace.c and security/commoncap.c).
//!
//! A security module may forbid more than that; nothing here knows what its policy says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::observation::{Credentials, Kind, Observation, ProcessKey, Task};
use crate::state::units::UnitId;
use crate::state::{Model, class};

/// `CAP_SYS_PTRACE`.
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// The most processes of one container that are looked at; the others count as unread.
const MOST: usize = 1000;

/// What can be read of whom in one PID namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The namespace.
    pub inode: u32,
    /// The pod of its eldest container.
    pub pod: String,
    /// Each container that can read another.
    pub readings: Vec<Reading>,
    /// Processes whose credentials could not be read.
    pub unread: usize,
}

/// One container that can read another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The reader's id.
    pub reader: String,
    /// The one that is read.
    pub target: String,
    /// A pair of processes that shows it: the reader's pid, then the other's.
    pub pids: (u32, u32),
    /// Why the kernel lets it.
    pub how: How,
}

/// Why the kernel lets a process read another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The reader has `CAP_SYS_PTRACE` in the user namespace of the other.
    Capability,
    /// Both have this uid.
    SameUid(u32),
}

/// The containers of each PID namespace that two or more share.
fn shared(model: &Model<'_>) -> BTreeMap<u32, Vec<UnitId>> {
    let mut by_inode: BTreeMap<u32, Vec<UnitId>> = BTreeMap::new();
    for (index, unit) in model.units.list.iter().enumerate() {
        let inode = unit.namespaces.get(Kind::Pid).filter(|_| unit.runtime.is_some() && unit.is_living());
        let own = inode.filter(|inode| model.observation.host.is_host(Kind::Pid, *inode) == Some(false));
        if let Some(inode) = own {
            by_inode.entry(inode).or_default().push(index);
        }
    }
    by_inode.retain(|_, units| units.len() > 1);
    by_inode
}

fn tasks<'a>(model: &Model<'a>, unit: UnitId) -> Vec<&'a Task> {
    let unit = model.units.list.get(unit);
    unit.map(|unit| unit.tasks.iter().take(MOST).copied().collect()).unwrap_or_default()
}

/// The processes whose credentials are needed.
pub(super) fn needed(model: &Model<'_>) -> BTreeSet<ProcessKey> {
    shared(model)
        .values()
        .flatten()
        .flat_map(|unit| tasks(model, *unit))
        .map(|task| class::key(task, model.observation))
        .collect()
}

pub(super) fn find(model: &Model<'_>, pod_of: &HashMap<UnitId, String>) -> Vec<Exposure> {
    let observation = model.observation;
    let credentials: HashMap<ProcessKey, &Credentials> =
        observation.credentials.iter().map(|it| (it.process, it)).collect();
    let users = Users::of(observation);
    shared(model)
        .into_iter()
        .map(|(inode, units)| {
            let mut unread = 0;
            // Of processes with the same credentials one speaks for all.
            let seen: Vec<(UnitId, Vec<Process<'_>>)> = units
                .iter()
                .map(|unit| {
                    let mut distinct: Vec<Process<'_>> = Vec::new();
                    unread +=
                        model.units.list.get(*unit).map_or(0, |unit| unit.tasks.len().saturating_sub(MOST));
                    for task in tasks(model, *unit) {
                        let Some(it) = credentials.get(&class::key(task, observation)) else {
                            unread += 1;
                            continue;
                        };
                        let process = Process { task, credentials: it };
                        if !distinct.iter().any(|other| other.is_alike(&process)) {
                            distinct.push(process);
                        }
                    }
                    (*unit, distinct)
                })
                .collect();
            let id =
                |unit: UnitId| model.units.list.get(unit).map(|unit| unit.id.clone()).unwrap_or_default();
            let mut readings = Vec::new();
            for (reader, reading) in &seen {
                for (target, read) in seen.iter().filter(|(target, _)| target != reader) {
                    let pairs = reading.iter().flat_map(|a| read.iter().map(move |b| (a, b)));
                    let ways = pairs.filter_map(|(a, b)| {
                        let how = users.may_read(a, b, inode)?;
                        Some((how, (a.task.pid, b.task.pid)))
                    });
                    if let Some((how, pids)) = ways.min() {
                        readings.push(Reading { reader: id(*reader), target: id(*target), pids, how });
                    }
                }
            }
            let age = |unit: &&UnitId| model.units.list.get(**unit).map(|unit| unit.age());
            let eldest = units.iter().min_by_key(age);
            let pod = eldest.and_then(|unit| pod_of.get(unit)).cloned().unwrap_or_default();
            Exposure { inode, pod, readings, unread }
        })
        .collect()
}

#[derive(Clone, Copy)]
struct Process<'a> {
    task: &'a Task,
    credentials: &'a Credentials,
}

impl Process<'_> {
    fn is_alike(&self, other: &Self) -> bool {
        let same = Credentials { process: self.credentials.process, ..*other.credentials };
        same == *self.credentials
            && self.task.namespaces.get(Kind::User) == other.task.namespaces.get(Kind::User)
            && self.task.namespaces.get(Kind::Pid) == other.task.namespaces.get(Kind::Pid)
    }
}

/// User namespaces: what each is below, and whose it is.
struct Users {
    parent: HashMap<u32, u32>,
    owner_uid: HashMap<u32, u32>,
}

impl Users {
    fn of(observation: &Observation) -> Self {
        let facts = observation.namespaces.iter().filter(|fact| fact.kind == Kind::User);
        let owner_uid = observation
            .tasks
            .iter()
            .filter_map(|task| Some((task.namespaces.get(Kind::User)?, task.user_namespace_owner?)))
            .collect();
        Self {
            parent: facts.filter_map(|fact| Some((fact.inode, fact.parent.or(fact.owner)?))).collect(),
            owner_uid,
        }
    }

    /// Whether one process may read another's environment and files, and why. It has to see the other: to be in this
    /// PID namespace itself.
    fn may_read(&self, reader: &Process<'_>, other: &Process<'_>, inode: u32) -> Option<How> {
        if reader.task.namespaces.get(Kind::Pid) != Some(inode) {
            return None;
        }
        let (a, b) = (reader.credentials, other.credentials);
        let capable = self.is_capable(reader, other)?;
        if capable {
            return Some(How::Capability);
        }
        let [real, effective, saved, _] = b.uids;
        let [real_gid, effective_gid, saved_gid, _] = b.gids;
        let ([.., uid], [.., gid]) = (a.uids, a.gids);
        let same = [real, effective, saved].iter().all(|it| *it == uid)
            && [real_gid, effective_gid, saved_gid].iter().all(|it| *it == gid);
        let same_user_namespace =
            reader.task.namespaces.get(Kind::User) == other.task.namespaces.get(Kind::User);
        // Who has less than the other may not read it, whatever its uid.
        let enough = same_user_namespace && b.permitted & !a.effective == 0;
        (same && enough && b.dumpable != Some(false)).then_some(How::SameUid(uid))
    }

    /// Whether the reader has `CAP_SYS_PTRACE` in the other's user namespace; `None` where a namespace is not known.
    fn is_capable(&self, reader: &Process<'_>, other: &Process<'_>) -> Option<bool> {
        let own = reader.task.namespaces.get(Kind::User)?;
        let mut at = other.task.namespaces.get(Kind::User)?;
        // The kernel nests 32 deep.
        for _ in 0..=32 {
            if at == own {
                return Some(reader.credentials.effective & CAP_SYS_PTRACE != 0);
            }
            let Some(above) = self.parent.get(&at).copied() else { return Some(false) };
            let [_, euid, ..] = reader.credentials.uids;
            if above == own && self.owner_uid.get(&at) == Some(&euid) {
                return Some(true);
            }
            at = above;
        }
        Some(false)
    }
}
