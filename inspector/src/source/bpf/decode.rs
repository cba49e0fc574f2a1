//! From the bytes that the iterator wrote to tasks. Pure: it touches no machine.

use std::collections::HashMap;

use inspector_common::{
    ABI, CGROUP_HEADER_LEN, EndRecord, Hierarchy, NamespaceRecord, TASK_HEADER_LEN, TaskRecord, flags, kind,
};
use thiserror::Error;

use super::fields::{Fields, inodes, text};
use crate::observation::{Gap, Kind, NamespaceFact, Task};
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

/// Decodes one whole reading.
pub fn decode(output: &[u8]) -> Result<TaskScan, DecodeError> {
    let mut tasks = Vec::with_capacity(output.len() / size_of::<TaskRecord>());
    let mut cgroups = HashMap::new();
    let mut namespaces = Vec::new();
    let (mut cgroup_records, mut end) = (0, None);
    let mut at = 0;
    while at < output.len() {
        let truncated = || DecodeError::Truncated(tasks.len() as u64);
        let mut header = Fields(&output[at..]);
        let (Some(kind), Some(abi), Some(length)) = (header.u16(), header.u16(), header.u32()) else {
            return Err(truncated());
        };
        let no_record = DecodeError::NoRecord { at, kind, abi, length };
        if abi != ABI || (length as usize) < CGROUP_HEADER_LEN {
            return Err(no_record);
        }
        let Some(body) = output.get(at + 8..at + length as usize) else { return Err(truncated()) };
        let mut body = Fields(body);
        match kind {
            kind::TASK if (TASK_HEADER_LEN..=size_of::<TaskRecord>()).contains(&(length as usize)) => {
                tasks.push(task(&mut body).ok_or(no_record)?);
            }
            kind::CGROUP => {
                let (key, cgroup) = cgroup(&mut body).ok_or(no_record)?;
                cgroups.insert(key, cgroup);
                cgroup_records += 1;
            }
            kind::NAMESPACE if length as usize == size_of::<NamespaceRecord>() => {
                namespaces.push(namespace(&mut body).ok_or(no_record)?);
            }
            kind::END if length as usize == size_of::<EndRecord>() => {
                end = (|| Some([body.u64()?, body.u64()?, body.u64()?]))();
                // The read that finds the end of the file starts the iterator once more, and meets processes that
                // were born since, with an end of their own: they are not of this reading.
                break;
            }
            _ => return Err(no_record),
        }
        at += length as usize;
    }

    let read = [tasks.len() as u64, cgroup_records, namespaces.len() as u64];
    let Some(counted) = end else { return Err(DecodeError::Truncated(read[0])) };
    for (what, (counted, read)) in
        ["tasks", "cgroups", "namespaces"].into_iter().zip(counted.into_iter().zip(read))
    {
        if counted != read {
            return Err(DecodeError::Miscounted { what, counted, read });
        }
    }
    Ok(TaskScan { namespaces: in_order(namespaces), ..scan(tasks, Paths { cgroups, known: HashMap::new() }) })
}

/// What was told last of each namespace, sorted.
fn in_order(mut told: Vec<NamespaceFact>) -> Vec<NamespaceFact> {
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

/// A record's task; its path is yet to be found.
struct Found {
    task: Task,
    v2: u64,
    pids: u64,
    /// Not all above its namespaces was told.
    untold: bool,
}

fn task(fields: &mut Fields<'_>) -> Option<Found> {
    let start_boottime_ns = fields.u64()?;
    let (v2, pids) = (fields.u64()?, fields.u64()?);
    let (pid, tgid, parent) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let flags = fields.u32()?;
    let (level, pid_inside, threads) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (uid, user_namespace_owner) = (fields.u32()?, fields.u32()?);
    let inodes = inodes(fields)?;
    let comm = text(&fields.take::<16>()?);
    let state = fields.u32()?;
    let mut pids_below = Vec::with_capacity(fields.0.len() / size_of::<u32>());
    while !fields.0.is_empty() {
        pids_below.push(fields.u32()?);
    }
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
        cgroup: None,
        cgroup_id: None,
    };
    Some(Found { task, v2, pids, untold: flags & flags::NAMESPACES_TOO_DEEP != 0 })
}

fn cgroup(fields: &mut Fields<'_>) -> Option<(CgroupKey, Cgroup)> {
    let (hierarchy, name_length) = (fields.u32()?, fields.u32()?);
    let (id, parent) = (fields.u64()?, fields.u64()?);
    if fields.0.len() != name_length as usize {
        return None;
    }
    Some(((hierarchy, id), Cgroup { parent, name: String::from_utf8_lossy(fields.0).into_owned() }))
}

/// Puts paths to tasks, and tasks in order.
fn scan(found: Vec<Found>, mut paths: Paths) -> TaskScan {
    let (mut tasks, mut pathless) = (Vec::with_capacity(found.len()), Vec::new());
    let mut untold = 0_u64;
    for Found { mut task, v2, pids, untold: of_this } in found {
        // Without a number: reaped while it was being read.
        if task.pid == 0 {
            continue;
        }
        match paths.choose(v2, pids) {
            Some((id, path)) => (task.cgroup_id, task.cgroup) = (Some(id), Some(path)),
            None => pathless.push(task.pid),
        }
        untold += u64::from(of_this);
        tasks.push(task);
    }
    // The walk is by number, but a thread that calls exec takes its leader's: it may be met under both.
    tasks.sort_by_key(|task| task.pid);
    tasks.dedup_by(|later, earlier| {
        let same = later.pid == earlier.pid;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    let mut gaps = match pathless.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![Gap::deciding(
            format!("the cgroups of {} tasks, pid {first} first", pathless.len()),
            format!(
                "they lie over {} levels deep, deeper than the kernel side walks: --source procfs reads them",
                inspector_common::CGROUP_DEPTH
            ),
        )],
    };
    if untold > 0 {
        gaps.push(Gap::detail(
            format!("what is above the namespaces of {untold} tasks"),
            "it takes more steps than the kernel side makes for one task: --source procfs reads it",
        ));
    }
    drop_threads_like_their_leader(&mut tasks);
    TaskScan { tasks, namespaces: Vec::new(), unreadable: 0, gaps }
}

/// The kernel side tells threads apart by their `nsproxy`: one that left its leader's and came back has another, of
/// the same namespaces.
fn drop_threads_like_their_leader(tasks: &mut Vec<Task>) {
    let namespaces = |task: &Task| (task.namespaces, task.pid_for_children, task.time_for_children);
    if tasks.iter().all(Task::is_leader) {
        return;
    }
    let leaders: HashMap<u32, _> =
        tasks.iter().filter(|task| task.is_leader()).map(|task| (task.pid, namespaces(task))).collect();
    tasks.retain(|task| task.is_leader() || leaders.get(&task.tgid) != Some(&namespaces(task)));
}

/// The cgroups that were written, and the paths found so far.
struct Paths {
    cgroups: HashMap<CgroupKey, Cgroup>,
    known: HashMap<CgroupKey, Option<String>>,
}

impl Paths {
    /// The cgroup that tells a container: that of the v1 hierarchy, unless the task is in its root, as on a hybrid
    /// machine whose runtimes use v2; else that of v2.
    fn choose(&mut self, v2: u64, pids: u64) -> Option<(u64, String)> {
        if pids != 0 {
            let path = self.path(Hierarchy::Pids, pids);
            if path.as_deref() != Some("/") {
                return path.map(|path| (pids, path));
            }
        }
        self.path(Hierarchy::V2, v2).map(|path| (v2, path))
    }

    /// The whole path of a cgroup; `None` where a part of it was not written.
    fn path(&mut self, hierarchy: Hierarchy, id: u64) -> Option<String> {
        let key = (hierarchy as u32, id);
        if let Some(path) = self.known.get(&key) {
            return path.clone();
        }
        let path = self.climb(key);
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
