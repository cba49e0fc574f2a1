//! Open descriptors of namespaces, and sockets of a network namespace that their process is not in.
//!
//! A link in `/proc/PID/fd` names a namespace; no path can look like it, for paths begin with a slash. A socket's
//! namespace is to be learnt from the socket only: it is duplicated (`pidfd_getfd`, Linux 5.6), asked, and closed at
//! once.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, readlinkat_raw, statat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Limits, Search};
use crate::observation::{Gap, Handle, Kind, Task, Via};
use crate::source::pins::namespace;
use crate::source::{HoldersScope, nsfs};

/// A table of descriptors.
struct Table<'a> {
    /// Whose namespaces its process's are: of the main thread, or of another where that has ended.
    task: &'a Task,
    /// Where in /proc it is.
    path: String,
}

/// What could not be read, and of how many processes.
#[derive(Default)]
struct Refusals {
    tables: Vec<(u32, Errno)>,
    cut: Vec<u32>,
    sockets: Vec<(u32, Errno)>,
    sockets_cut: Vec<u32>,
}

impl<'a> Search<'a> {
    /// Looks through the descriptors of every process in scope.
    pub(super) fn descriptors(&mut self, limits: Limits) {
        let tables = self.tables();
        let mut refusals = Refusals::default();
        let asks_sockets = self.pids_are_ours();
        if let Err(why) = &asks_sockets {
            self.gaps.push(Gap::detail("the network namespaces of sockets", why.clone()));
        }
        for (position, table) in tables.iter().take(limits.processes).enumerate() {
            if !self.table(table, limits, asks_sockets.is_ok(), &mut refusals) {
                let left = tables.len() - position;
                self.late(format!("the open descriptors of {left} processes"));
                break;
            }
        }
        if let Some(left) = tables.len().checked_sub(limits.processes).filter(|left| *left > 0) {
            self.gaps.push(Gap::detail(
                format!("the open descriptors of {left} processes"),
                format!(
                    "by default those of {} are read, runtimes and root first; --holders all reads every one's",
                    limits.processes
                ),
            ));
        }
        refusals.tell(limits, &mut self.gaps);
    }

    /// The tables in scope: the runtimes' first, then root's, whom most namespaces' descriptors belong to.
    fn tables(&self) -> Vec<Table<'a>> {
        let everywhere = self.context.options.holders == HoldersScope::All;
        let wanted: BTreeSet<u32> = self.known.scope.namespaces.iter().map(|it| it.inode).collect();
        // A main thread that has ended before its siblings has no descriptors; theirs are the process's.
        let mut headless: HashMap<u32, &'a Task> = HashMap::new();
        for task in self.known.tasks.iter().filter(|task| !task.is_leader() && !task.zombie) {
            headless.entry(task.tgid).or_insert(task);
        }
        let mut tables: Vec<Table<'a>> = self
            .known
            .tasks
            .iter()
            .filter(|task| task.is_leader() && !task.kernel_thread && task.pid != self.known.reader.pid)
            .filter_map(|leader| {
                if !leader.zombie {
                    return Some(Table { task: leader, path: format!("/proc/{}/fd", leader.pid) });
                }
                let thread = headless.get(&leader.pid)?;
                Some(Table { task: thread, path: format!("/proc/{}/task/{}/fd", thread.tgid, thread.pid) })
            })
            .filter(|table| {
                everywhere || table.task.namespaces.get(Kind::Mnt).is_some_and(|mnt| wanted.contains(&mnt))
            })
            .collect();
        let runtimes = self.known.runtime_pids;
        tables.sort_by_key(|table| {
            (!runtimes.contains(&table.task.tgid), table.task.uid != Some(0), table.task.tgid)
        });
        tables
    }

    /// Whether a pid means the same to the kernel, which is asked for sockets, as to the /proc in use.
    fn pids_are_ours(&self) -> Result<(), String> {
        let status = std::fs::read_to_string(self.context.host("/proc/self/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        if numbers.trim() == std::process::id().to_string() {
            return Ok(());
        }
        Err("the /proc in use is of another PID namespace than this process; run in the one that it shows \
             (hostPID: true in Kubernetes, --pid=host in Docker)"
            .to_owned())
    }

    /// Looks through one table; whether there was time for it.
    fn table(
        &mut self,
        table: &Table<'_>,
        limits: Limits,
        ask_sockets: bool,
        refusals: &mut Refusals,
    ) -> bool {
        let pid = table.task.tgid;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, self.context.host(&table.path), flags, Mode::empty());
        let read =
            opened.and_then(|directory| Ok((numbers(directory.as_fd(), limits.descriptors)?, directory)));
        let ((names, whole), directory) = match read {
            Ok(read) => read,
            Err(errno) => {
                // Else it has left meanwhile.
                if matches!(errno, Errno::ACCESS | Errno::PERM) {
                    refusals.tables.push((pid, errno));
                }
                return !self.is_late();
            }
        };
        refusals.cut.extend((!whole).then_some(pid));
        let mut sockets = Vec::new();
        for number in names {
            if self.is_late() {
                return false;
            }
            let name = c_string(number);
            let mut buffer = [std::mem::MaybeUninit::<u8>::uninit(); 64];
            let Ok((target, _)) = readlinkat_raw(&directory, &name, &mut buffer) else { continue };
            if target.starts_with(b"socket:[") {
                sockets.push(number);
            } else if let Some((kind, inode)) = namespace(target) {
                self.note(table, number, Via::Fd, (kind, inode));
                if !self.facts.has(kind, inode) {
                    self.ask(directory.as_fd(), &name);
                }
            }
        }
        if ask_sockets && !sockets.is_empty() {
            refusals.sockets_cut.extend((sockets.len() > limits.sockets).then_some(pid));
            sockets.truncate(limits.sockets);
            if let Err(errno) = self.sockets(table, directory.as_fd(), &sockets) {
                refusals.sockets.push((pid, errno));
            }
        }
        !self.is_late()
    }

    fn note(&mut self, table: &Table<'_>, number: i32, via: Via, (kind, inode): (Kind, u32)) {
        let path = format!("{}/{number}", table.path);
        self.handles.push(Handle { kind, inode, pid: table.task.tgid, via, path });
    }

    /// Asks the kernel about a namespace that a descriptor leads to.
    fn ask(&mut self, directory: BorrowedFd<'_>, name: &CString) {
        let opened = openat(directory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        if let Some((kind, namespace)) = opened.ok().and_then(|opened| nsfs::reopen(opened.as_fd())) {
            self.facts.add(kind, namespace.as_fd());
        }
    }

    /// Asks the sockets of a process for their namespaces.
    fn sockets(
        &mut self,
        table: &Table<'_>,
        directory: BorrowedFd<'_>,
        numbers: &[i32],
    ) -> Result<(), Errno> {
        let Some(process) = pidfd(table.task.tgid)? else { return Ok(()) };
        // A table that is still there is of a process that is: the pid has not been given to another before it was opened.
        let is_there = |number: &i32| statat(directory, c_string(*number), AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if !numbers.iter().any(is_there) {
            return Ok(());
        }
        let own = table.task.namespaces.get(Kind::Net);
        let mut refused = None;
        for number in numbers {
            if self.is_late() {
                break;
            }
            let socket = match pidfd_getfd(&process, *number, PidfdGetfdFlags::empty()) {
                Ok(socket) => socket,
                // Closed meanwhile, or the process has left.
                Err(Errno::BADF | Errno::SRCH) => continue,
                Err(errno) => return Err(errno),
            };
            let namespace = match nsfs::of_socket(socket.as_fd()) {
                Ok(namespace) => namespace,
                Err(Errno::PERM) => {
                    refused = Some(Errno::PERM);
                    continue;
                }
                // No socket any more: the number has been used again.
                Err(_) => continue,
            };
            drop(socket);
            let Some(inode) = nsfs::inode(namespace.as_fd()) else { continue };
            if Some(inode) == own || self.is_host(Kind::Net, inode) {
                continue;
            }
            self.facts.add(Kind::Net, namespace.as_fd());
            self.note(table, *number, Via::Socket, (Kind::Net, inode));
        }
        refused.map_or(Ok(()), Err)
    }
}

impl Refusals {
    fn tell(&self, limits: Limits, gaps: &mut Vec<Gap>) {
        let mut tell = |what: &str, refused: &[(u32, Errno)], mend: &str| {
            let Some((pid, errno)) = refused.first() else { return };
            let whose = match refused.len() {
                1 => format!("PID {pid}"),
                more => format!("{more} processes, PID {pid} first"),
            };
            let error = std::io::Error::from(*errno);
            gaps.push(Gap::detail(format!("{what} of {whose}"), format!("{error}; {mend}")));
        };
        tell(
            "the open descriptors",
            &self.tables,
            "run as root with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; a security module may refuse even that",
        );
        tell(
            "the network namespaces of the sockets",
            &self.sockets,
            "pidfd_getfd needs Linux 5.6 and CAP_SYS_PTRACE, the namespace of a socket CAP_NET_ADMIN in it",
        );
        let mut cut = |what: &str, pids: &[u32], limit: usize| {
            let Some(pid) = pids.first() else { return };
            gaps.push(Gap::detail(
                format!("some {what} of {} processes, PID {pid} first", pids.len()),
                format!("by default {limit} of a process are looked at; --holders all looks at every one"),
            ));
        };
        cut("open descriptors", &self.cut, limits.descriptors);
        cut("sockets", &self.sockets_cut, limits.sockets);
    }
}

/// The numbers of a process's descriptors, from the lowest; and whether those are all.
fn numbers(directory: BorrowedFd<'_>, limit: usize) -> Result<(Vec<i32>, bool), Errno> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        let Some(number) = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if numbers.len() == limit {
            return Ok((numbers, false));
        }
        numbers.push(number);
    }
    Ok((numbers, true))
}

/// A descriptor of a process; `None` where it has left.
fn pidfd(pid: u32) -> Result<Option<OwnedFd>, Errno> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(number, PidfdFlags::empty()) {
        // Left, or a main thread that is none any more.
        Err(Errno::SRCH | Errno::INVAL) => Ok(None),
        opened => opened.map(Some),
    }
}

fn c_string(number: i32) -> CString {
    CString::new(number.to_string()).unwrap_or_default()
}
