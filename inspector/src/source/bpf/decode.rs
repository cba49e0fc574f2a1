//! From the bytes that the iterator wrote to tasks. Pure: it touches no machine.

use std::collections::HashMap;
use std::sync::Arc;

use inspector_common::{
    ABI, CGROUP_HEADER_LEN, CgroupRecord, EndRecord, Hierarchy, NamespaceRecord, TASK_HEADER_LEN, TaskRecord,
    flags, kind,
};
use thiserror::Error;

use super::fields::{Fields, inodes, text};
use crate::observation::{Gap, Kind, NamespaceFact, Task, Tasks};
use crate::source::TaskScan;

/// What is wrong with the iterator's output. Each means that tasks are missing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It stops within a record, or before the last.
    #[error("the task iterator's output is cut short after {0} tasks")]
    Truncated(u64),
    /// Bytes that are no record.
    #[error(
        "the task iterator wrote what is no record, at byte {at} (kind {kind}, version {abi}, {length} bytes)"
    )]
    NoRecord {
        /// Where.
        at: usize,
        /// What it claims to be.
        kind: u16,
        /// In which version.
        abi: u16,
        /// How long.
        length: u32,
    },
    /// Fewer or more than the kernel side counted.
    #[error("the task iterator counted {counted} {what}, and {read} arrived")]
    Miscounted {
        /// Of what.
        what: &'static str,
        /// By the kernel side.
        counted: u64,
        /// By this side.
        read: u64,
    },
}

/// A cgroup, by hierarchy and id.
type CgroupKey = (u32, u64);

struct Cgroup {
    parent: u64,
    name: String,
}

/// Decodes a reading as it comes, so that its bytes need not be kept.
#[derive(Default)]
pub struct Decoder<'a> {
    tasks: Tasks,
    /// Those of the reading before, and how far this one has come among them.
    before: &'a [Arc<Task>],
    /// What came before, in bytes.
    at: usize,
    /// The beginning of a record whose rest is yet to come.
    rest: Vec<u8>,
    paths: Paths,
    names: HashMap<[u8; 16], Arc<str>>,
    namespaces: Vec<NamespaceFact>,
    /// Records of tasks, and of cgroups.
    counted: (u64, u64),
    /// What the kernel side counted of each.
    end: Option<[u64; 3]>,
    /// Tasks whose cgroup's path was not written: how many, and the first.
    pathless: Option<(u64, u32)>,
    /// Tasks above whose namespaces not all was told.
    untold: u64,
}

impl<'a> Decoder<'a> {
    /// After a reading that gave these tasks: those that have not changed are taken from there.
    pub fn after(before: &'a Tasks) -> Self {
        let tasks = Tasks::with_capacity(before.len() + before.len() / 16);
        Self { tasks, before: before.shared(), ..Self::default() }
    }

    /// Takes what was read next.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            let used = self.records(bytes)?;
            self.rest.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(bytes);
        let used = self.records(&whole)?;
        whole.drain(..used.min(whole.len()));
        self.rest = whole;
        Ok(())
    }

    /// Takes all whole records; says how many bytes they have.
    fn records(&mut self, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut used = 0;
        // The read that finds the end of the file starts the iterator once more, and meets processes that were born
        // since, with an end of their own: they are not of this reading.
        while self.end.is_none() {
            let mut header = Fields(bytes.get(used..).unwrap_or_default());
            let (Some(kind), Some(abi), Some(length)) = (header.u16(), header.u16(), header.u32()) else {
                break;
            };
            let no_record = DecodeError::NoRecord { at: self.at, kind, abi, length };
            let longest = size_of::<TaskRecord>().max(size_of::<CgroupRecord>());
            if abi != ABI || !(CGROUP_HEADER_LEN..=longest).contains(&(length as usize)) {
                return Err(no_record);
            }
            let Some(body) = bytes.get(used + 8..used + length as usize) else { break };
            self.record(kind, length as usize, &mut Fields(body)).ok_or(no_record)?;
            used += length as usize;
            self.at += length as usize;
        }
        Ok(if self.end.is_some() { bytes.len() } else { used })
    }

    /// Takes one; `None` if it is none.
    fn record(&mut self, kind: u16, length: usize, body: &mut Fields<'_>) -> Option<()> {
        match kind {
            kind::TASK if (TASK_HEADER_LEN..=size_of::<TaskRecord>()).contains(&length) => {
                self.task(body)?;
            }
            kind::CGROUP => {
                let (key, cgroup) = cgroup(body)?;
                self.paths.cgroups.insert(key, cgroup);
                self.counted.1 += 1;
            }
            kind::NAMESPACE if length == size_of::<NamespaceRecord>() => {
                self.namespaces.push(namespace(body)?);
            }
            kind::END if length == size_of::<EndRecord>() => {
                self.end = Some([body.u64()?, body.u64()?, body.u64()?]);
            }
            _ => return None,
        }
        Some(())
    }

    /// A task, whose cgroups were told of before.
    fn task(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let start_boottime_ns = fields.u64()?;
        let (v2, pids) = (fields.u64()?, fields.u64()?);
        let (pid, tgid, parent) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let flags = fields.u32()?;
        let (level, pid_inside, threads) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (uid, user_namespace_owner) = (fields.u32()?, fields.u32()?);
        let inodes = inodes(fields)?;
        let comm = fields.take::<16>()?;
        let comm = Arc::clone(self.names.entry(comm).or_insert_with(|| text(&comm).into()));
        let state = fields.u32()?;
        let mut pids_below = Vec::with_capacity(fields.0.len() / size_of::<u32>());
        while !fields.0.is_empty() {
            pids_below.push(fields.u32()?);
        }
        self.counted.0 += 1;
        // Without a number: reaped while it was being read.
        if pid == 0 {
            return Some(());
        }
        let (cgroup_id, cgroup) = self.paths.choose(v2, pids).unzip();
        if cgroup.is_none() {
            self.pathless = Some(self.pathless.map_or((1, pid), |(count, first)| (count + 1, first)));
        }
        self.untold += u64::from(flags & flags::NAMESPACES_TOO_DEEP != 0);
        let task = Task {
            pid,
            tgid,
            parent,
            start_boottime_ns,
            comm,
            uid: Some(uid),
            kernel_thread: flags & flags::KERNEL_THREAD != 0,
            // Past the point of leaving its namespaces there is no way back: what little is left of it is a zombie's.
            zombie: flags & (flags::ZOMBIE | flags::NO_NSPROXY) != 0,
            pid_namespace_init: flags & flags::PID_NAMESPACE_INIT != 0,
            threads: Some(threads),
            level: Some(level),
            pids_below,
            state: Some(letter(state)),
            pid_inside: Some(pid_inside),
            namespaces: inodes.namespaces,
            pid_for_children: inodes.pid_for_children,
            time_for_children: inodes.time_for_children,
            user_namespace_owner: Some(user_namespace_owner),
            cgroup,
            cgroup_id,
        };
        let task = self.as_before(&task).unwrap_or_else(|| Arc::new(task));
        // The walk is by number, but a thread that calls exec takes its leader's: of the two that it is met under the later
        // stays.
        self.tasks.push(task);
        Some(())
    }

    /// A task as it was in the reading before. Both go by number, but for a few.
    fn as_before(&mut self, task: &Task) -> Option<Arc<Task>> {
        let passed = self.before.iter().take_while(|before| before.pid < task.pid).count();
        self.before = self.before.get(passed..)?;
        self.before.first().filter(|before| ***before == *task).cloned()
    }

    /// All of it, once all was read.
    pub fn finish(self) -> Result<TaskScan, DecodeError> {
        let read = [self.counted.0, self.counted.1, self.namespaces.len() as u64];
        let Some(counted) = self.end else { return Err(DecodeError::Truncated(read[0])) };
        for (what, (counted, read)) in
            ["tasks", "cgroups", "namespaces"].into_iter().zip(counted.into_iter().zip(read))
        {
            if counted != read {
                return Err(DecodeError::Miscounted { what, counted, read });
            }
        }
        let gaps = self.gaps();
        let mut tasks = self.tasks;
        drop_threads_like_their_leader(&mut tasks);
        Ok(TaskScan { tasks, namespaces: told_last(self.namespaces), unreadable: 0, gaps })
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if let Some((count, first)) = self.pathless {
            gaps.push(Gap::deciding(
                format!("the cgroups of {count} tasks, pid {first} first"),
                format!(
                    "they lie over {} levels deep, deeper than the kernel side walks: --source procfs reads them",
                    inspector_common::CGROUP_DEPTH
                ),
            ));
        }
        if self.untold > 0 {
            gaps.push(Gap::detail(
                format!("what is above the namespaces of {} tasks", self.untold),
                "it takes more steps than the kernel side makes for one task: --source procfs reads it",
            ));
        }
        gaps
    }
}

/// What was told last of each namespace, sorted.
fn told_last(mut told: Vec<NamespaceFact>) -> Vec<NamespaceFact> {
    // Of equals the last that was told comes first, and stays.
    told.reverse();
    told.sort_by_key(|fact| (fact.kind, fact.inode));
    told.dedup_by_key(|fact| (fact.kind, fact.inode));
    told
}

fn namespace(fields: &mut Fields<'_>) -> Option<NamespaceFact> {
    let kind = *Kind::ALL.get(fields.u32()? as usize)?;
    let known = |inode| (inode != 0).then_some(inode);
    let (inode, owner, parent, id) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u64()?);
    Some(NamespaceFact {
        kind,
        inode,
        owner: known(owner),
        parent: known(parent),
        id: (id != 0).then_some(id),
    })
}

/// The letter that `/proc/PID/stat` has for a state (`task_state_index` and `task_state_array` of the kernel); the
/// bits are those of include/linux/sched.h, the same since Linux 4.14.
fn letter(state: u32) -> char {
    const TASK_UNINTERRUPTIBLE: u32 = 2;
    const TASK_REPORT: u32 = 0x7f;
    const TASK_IDLE: u32 = TASK_UNINTERRUPTIBLE | 0x400;
    const TASK_RTLOCK_WAIT: u32 = 0x1000;
    const TASK_FROZEN: u32 = 0x8000;
    const EXIT: u32 = 0x30;
    let alive = state & !EXIT;
    let shown = if alive & (TASK_RTLOCK_WAIT | TASK_FROZEN) != 0 {
        TASK_UNINTERRUPTIBLE
    } else if alive & TASK_IDLE == TASK_IDLE {
        TASK_REPORT + 1
    } else {
        state & TASK_REPORT
    };
    let index = (u32::BITS - shown.leading_zeros()) as usize;
    ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'].get(index).copied().unwrap_or('?')
}

fn cgroup(fields: &mut Fields<'_>) -> Option<(CgroupKey, Cgroup)> {
    let (hierarchy, name_length) = (fields.u32()?, fields.u32()?);
    let (id, parent) = (fields.u64()?, fields.u64()?);
    if fields.0.len() != name_length as usize {
        return None;
    }
    Some(((hierarchy, id), Cgroup { parent, name: String::from_utf8_lossy(fields.0).into_owned() }))
}

/// The kernel side tells threads apart by their `nsproxy`: one that left its leader's and came back has another, of
/// the same namespaces.
fn drop_threads_like_their_leader(tasks: &mut Tasks) {
    let namespaces = |task: &Task| (task.namespaces, task.pid_for_children, task.time_for_children);
    if tasks.iter().all(Task::is_leader) {
        return;
    }
    let leaders: HashMap<u32, _> =
        tasks.iter().filter(|task| task.is_leader()).map(|task| (task.pid, namespaces(task))).collect();
    tasks.retain(|task| task.is_leader() || leaders.get(&task.tgid) != Some(&namespaces(task)));
}

/// The cgroups that were written, and the paths found so far.
#[derive(Default)]
struct Paths {
    cgroups: HashMap<CgroupKey, Cgroup>,
    known: HashMap<CgroupKey, Option<Arc<str>>>,
}

impl Paths {
    /// The cgroup that tells a container: that of the v1 hierarchy, unless the task is in its root, as on a hybrid
    /// machine whose runtimes use v2; else that of v2.
    fn choose(&mut self, v2: u64, pids: u64) -> Option<(u64, Arc<str>)> {
        if pids != 0 {
            let path = self.path(Hierarchy::Pids, pids);
            if path.as_deref() != Some("/") {
                return path.map(|path| (pids, path));
            }
        }
        self.path(Hierarchy::V2, v2).map(|path| (v2, path))
    }

    /// The whole path of a cgroup; `None` where a part of it was not written.
    fn path(&mut self, hierarchy: Hierarchy, id: u64) -> Option<Arc<str>> {
        let key = (hierarchy as u32, id);
        if let Some(path) = self.known.get(&key) {
            return path.clone();
        }
        let path = self.climb(key).map(Arc::from);
        self.known.insert(key, path.clone());
        path
    }

    fn climb(&self, (hierarchy, mut id): CgroupKey) -> Option<String> {
        let mut names: Vec<&str> = Vec::new();
        // No path has more levels than there are cgroups: a circle, which nothing writes, ends here.
        for _ in 0..=self.cgroups.len() {
            let cgroup = self.cgroups.get(&(hierarchy, id))?;
            if cgroup.parent == 0 {
                return Some(if names.is_empty() {
                    "/".to_owned()
                } else {
                    names.iter().rev().fold(String::new(), |path, name| path + "/" + name)
                });
            }
            names.push(cgroup.name.as_str());
            id = cgroup.parent;
        }
        None
    }
}

#[cfg(test)]
mod tests;
