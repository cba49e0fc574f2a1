//! Tasks from a walk of /proc: the fallback without eBPF, the oracle of the tests, and the faster way on a host
//! with few processes.
//!
//! It opens each process's directory once and reads everything relative to that descriptor, so a pid that is
//! reused in the middle of a read yields an error, not a mixture of two processes. It never reads `cmdline`,
//! `environ` or `maps`: they take the process's memory lock and hang where `ps` hangs.

mod parse;

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno;

use crate::observation::{Gap, Kind, Task};
use crate::source::nsfs::Facts;
use crate::source::{Context, TaskScan};
use parse::{Stat, Status};

/// The `ns` links of a task, in the order of [`Kind::ALL`].
const LINKS: [&CStr; 8] =
    [c"ns/mnt", c"ns/uts", c"ns/ipc", c"ns/pid", c"ns/net", c"ns/user", c"ns/cgroup", c"ns/time"];

/// Reading /proc failed altogether.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot list {path}: {error}; mount a proc file system there, or name the host's root with --host-root"
)]
pub struct ProcError {
    path: String,
    error: std::io::Error,
}

/// Reads every process of the reader's PID namespace, and the threads that differ from their leaders.
///
/// # Errors
///
/// Only when /proc itself cannot be listed; what single processes refuse is counted and named in the scan.
pub fn read_tasks(context: &Context) -> Result<TaskScan, ProcError> {
    Walk::open(&context.host("/proc"))?.run(context.deadline)
}

/// One walk over a mounted proc file system.
struct Walk {
    root: OwnedFd,
    path: String,
    /// The reader's view of the initial PID namespace: only there does /proc count levels from zero.
    sees_initial_pid_namespace: bool,
    /// What the kernel says of the namespaces that were met: asking costs an open and some ioctls for each.
    facts: Facts,
    buffer: Vec<u8>,
    denied: u64,
    denied_example: Option<(u32, Errno)>,
}

impl Walk {
    fn open(path: &Path) -> Result<Self, ProcError> {
        let failed = |error: std::io::Error| ProcError { path: path.display().to_string(), error };
        let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        // The file tells a proc file system from an empty folder, which would read as "no processes".
        openat(&root, c"self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        let mut walk = Self {
            root,
            path: path.display().to_string(),
            sees_initial_pid_namespace: false,
            facts: Facts::default(),
            buffer: Vec::with_capacity(4096),
            denied: 0,
            denied_example: None,
        };
        walk.sees_initial_pid_namespace = walk.kthreadd_is_here();
        Ok(walk)
    }

    fn kthreadd_is_here(&mut self) -> bool {
        let Ok(directory) = open_directory(self.root.as_fd(), c"2") else { return false };
        self.read(directory.as_fd(), c"stat")
            .ok()
            .and_then(|()| Stat::parse(&self.buffer))
            .is_some_and(|stat| stat.is_kernel_thread())
    }

    fn run(mut self, deadline: Instant) -> Result<TaskScan, ProcError> {
        let failed = |path: &str, error: std::io::Error| ProcError { path: path.to_owned(), error };
        let mut pids: Vec<u32> = Vec::new();
        let listing = rustix::fs::Dir::read_from(&self.root).map_err(|e| failed(&self.path, e.into()))?;
        for entry in listing {
            let entry = entry.map_err(|e| failed(&self.path, e.into()))?;
            if let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
                pids.push(pid);
            }
        }
        pids.sort_unstable();

        let (mut scan, mut tasks) = (TaskScan::default(), Vec::new());
        for (position, pid) in pids.iter().enumerate() {
            if Instant::now() >= deadline {
                let left = pids.len() - position;
                scan.unreadable += left as u64;
                scan.gaps.push(Gap::deciding(
                    format!("{left} of {} processes", pids.len()),
                    "the time limit ran out while /proc was being read; allow more with --timeout",
                ));
                break;
            }
            self.process(*pid, &mut tasks);
        }
        // A thread may have a higher number than the next process.
        scan.tasks = tasks.into();
        scan.unreadable += self.denied;
        scan.namespaces = self.facts.into_sorted();
        if let (1, Some((1, errno)), true) =
            (self.denied, self.denied_example, self.sees_initial_pid_namespace)
        {
            // A security module may keep even root away from the node's init, which is no member of any pod.
            scan.gaps.push(Gap::detail(
                "namespaces of PID 1",
                format!("/proc/1/ns answers: {errno}; kthreadd's stand for the node's own"),
            ));
        } else if let Some((pid, errno)) = self.denied_example {
            scan.gaps.push(Gap::deciding(
                format!("namespaces of {} processes", self.denied),
                format!("/proc/{pid}/ns answers: {errno}; run as root with CAP_SYS_PTRACE, or read by --source bpf"),
            ));
        }
        Ok(scan)
    }

    /// Reads one process and its differing threads. A process that leaves meanwhile is no gap: it is gone.
    fn process(&mut self, pid: u32, tasks: &mut Vec<Task>) {
        let Ok(directory) = open_directory(self.root.as_fd(), &number(pid)) else { return };
        let Some((leader, threads)) = self.task(directory.as_fd(), pid, pid) else { return };
        let position = tasks.len();
        tasks.push(leader);
        if threads > 1 {
            self.threads(directory.as_fd(), pid, position, tasks);
        }
    }

    /// Adds the threads of the process at `position` whose namespaces differ from its own.
    fn threads(&mut self, process: BorrowedFd<'_>, tgid: u32, position: usize, tasks: &mut Vec<Task>) {
        let Ok(folder) = open_directory(process, c"task") else { return };
        let Ok(listing) = rustix::fs::Dir::read_from(&folder) else { return };
        for entry in listing.flatten() {
            let Some(tid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if tid == tgid {
                continue;
            }
            let Ok(directory) = open_directory(folder.as_fd(), entry.file_name()) else { continue };
            let Some(leader) = tasks.get(position) else { return };
            let same = |thread: &Task| {
                (thread.namespaces, thread.pid_for_children, thread.time_for_children)
                    == (leader.namespaces, leader.pid_for_children, leader.time_for_children)
            };
            // The links first: they decide whether the rest is worth reading.
            let mut links = Task::default();
            if Self::namespaces(directory.as_fd(), &mut links).is_err() || same(&links) {
                continue;
            }
            if let Some((thread, _)) = self.task(directory.as_fd(), tid, tgid) {
                tasks.push(thread);
            }
        }
    }

    /// Reads one task; `None` when it has gone. Also gives its number of threads.
    fn task(&mut self, directory: BorrowedFd<'_>, pid: u32, tgid: u32) -> Option<(Task, u32)> {
        self.read(directory, c"stat").ok()?;
        let stat = Stat::parse(&self.buffer)?;
        self.read(directory, c"status").ok()?;
        let status = Status::parse(&self.buffer);
        let mut task = Task {
            pid,
            tgid,
            parent: stat.parent,
            start_boottime_ns: stat.start_ticks.saturating_mul(1_000_000_000 / ticks_per_second()),
            comm: stat.comm.into(),
            uid: status.uid,
            kernel_thread: stat.flags & parse::PF_KTHREAD != 0,
            zombie: matches!(stat.state, b'Z' | b'X' | b'x'),
            threads: Some(stat.threads),
            pid_inside: status.pid_inside(),
            pids_below: status.pids_below().to_vec(),
            state: Some(char::from(stat.state)),
            pid_namespace_init: pid == tgid && status.pid_inside() == Some(1),
            level: status.levels().filter(|_| self.sees_initial_pid_namespace),
            ..Task::default()
        };
        match Self::namespaces(directory, &mut task) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::PERM) => {
                self.denied += u64::from(pid == tgid);
                self.denied_example = Some((pid, Errno::ACCESS));
            }
            Err(_) => return None,
        }
        self.ask_about_namespaces(directory, &task);
        task.user_namespace_owner =
            task.namespaces.get(Kind::User).and_then(|inode| self.facts.owner_uid(inode));
        if self.read(directory, c"cgroup").is_ok() {
            task.cgroup = parse::cgroup(&self.buffer).map(Arc::from);
        }
        Some((task, stat.threads))
    }

    /// Reads the namespace links. A zombie has lost most of them, which is no error; a task without any is gone.
    fn namespaces(directory: BorrowedFd<'_>, task: &mut Task) -> Result<(), Errno> {
        for (kind, link) in Kind::ALL.into_iter().zip(LINKS) {
            match read_inode(directory, link) {
                Ok(inode) => task.namespaces.set(kind, inode),
                // A zombie's, or a kind that this kernel does not have.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        if task.namespaces.is_empty() {
            return Err(Errno::SRCH);
        }
        task.pid_for_children = read_inode(directory, c"ns/pid_for_children").ok();
        task.time_for_children = read_inode(directory, c"ns/time_for_children").ok();
        Ok(())
    }

    /// Asks the kernel about those of the task's namespaces that no task before it was in. One that cannot be opened (the
    /// task has left, or left it) is asked about at the next task that is in it.
    fn ask_about_namespaces(&mut self, directory: BorrowedFd<'_>, task: &Task) {
        let own =
            Kind::ALL.into_iter().zip(LINKS).map(|(kind, link)| (kind, link, task.namespaces.get(kind)));
        let children = [
            (Kind::Pid, c"ns/pid_for_children", task.pid_for_children),
            (Kind::Time, c"ns/time_for_children", task.time_for_children),
        ];
        for (kind, link, inode) in own.chain(children) {
            if inode.is_none_or(|inode| self.facts.has(kind, inode)) {
                continue;
            }
            if let Ok(namespace) = openat(directory, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                // Under the inode that is open now, should it not be this one any more.
                self.facts.add(kind, namespace.as_fd());
            }
        }
    }

    /// Reads a small file below `directory` into the buffer.
    fn read(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> std::io::Result<()> {
        let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        self.buffer.clear();
        File::from(file).read_to_end(&mut self.buffer)?;
        Ok(())
    }
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    openat(parent, name, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// The inode in a link such as `net:[4026531840]`.
fn read_inode(directory: BorrowedFd<'_>, link: &CStr) -> Result<u32, Errno> {
    let mut buffer = [std::mem::MaybeUninit::<u8>::uninit(); 64];
    let (target, _) = readlinkat_raw(directory, link, &mut buffer)?;
    parse::inode(target).ok_or(Errno::INVAL)
}

fn number(number: u32) -> std::ffi::CString {
    std::ffi::CString::new(number.to_string()).unwrap_or_default()
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().clamp(1, 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Options;

    #[test]
    fn the_walk_finds_this_process_with_what_the_procfs_crate_reads_of_it() {
        let scan = read_tasks(&Context::new(Options::default())).unwrap();
        let me = procfs::process::Process::myself().unwrap();
        let stat = me.stat().unwrap();
        let pid = u32::try_from(me.pid).unwrap();
        let task = scan.tasks.iter().find(|task| task.pid == pid).unwrap();
        assert_eq!(*task.comm, *stat.comm);
        assert_eq!(i64::from(task.parent), i64::from(stat.ppid));
        assert_eq!(task.start_boottime_ns, stat.starttime * (1_000_000_000 / procfs::ticks_per_second()));
        assert_eq!(task.uid, Some(me.status().unwrap().ruid));
        let namespaces = me.namespaces().unwrap();
        for kind in Kind::ALL {
            let expected = namespaces.0.get(std::ffi::OsStr::new(kind.name())).map(|ns| ns.identifier);
            assert_eq!(task.namespaces.get(kind).map(u64::from), expected, "{kind}");
        }
        assert!(scan.tasks.iter().is_sorted_by_key(|task| task.pid));
    }

    #[test]
    fn a_folder_that_is_no_proc_file_system_is_an_error_and_not_an_empty_node() {
        let options = Options { host_root: std::env::temp_dir(), ..Options::default() };
        let error = read_tasks(&Context::new(options)).unwrap_err().to_string();
        assert!(error.contains("/proc") && error.contains("--host-root"), "{error}");
    }

    #[test]
    fn no_time_left_is_said_and_not_swallowed() {
        let options = Options { timeout: std::time::Duration::ZERO, ..Options::default() };
        let scan = read_tasks(&Context::new(options)).unwrap();
        assert!(scan.unreadable > 0 && scan.gaps[0].could_change_verdict, "{:?}", scan.gaps);
    }
}
