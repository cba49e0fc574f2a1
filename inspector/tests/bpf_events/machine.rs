//! Processes to watch, made by the system calls themselves; and what /proc says of them.
//!
//! A child of `clone3` runs in a copy of a process of many threads: it makes system calls, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use inspector::observation::{Inodes, Kind, NamespaceSet};

/// Waits, and fails naming what did not come.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A child that waits to be told to go on. It is killed in the end.
pub struct Child {
    pub pid: u32,
    go: Option<OwnedFd>,
}

/// What a child does when it may go on. It never comes back.
pub type Body = fn(argument: libc::c_int) -> libc::c_int;

impl Child {
    /// Makes one with these flags of `clone3`, which exits with what `body` gives.
    pub fn spawn(flags: libc::c_int, body: Body, argument: libc::c_int) -> Self {
        let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (waiting, other) = (wait.as_raw_fd(), go.as_raw_fd());
        // SAFETY: see `clone3`; the child makes system calls only, and ends by one.
        let pid = unsafe {
            clone3(flags, || {
                libc::close(other);
                let mut byte = 0_u8;
                libc::read(waiting, (&raw mut byte).cast(), 1);
                let code = body(argument);
                libc::syscall(libc::SYS_exit_group, code);
            })
        };
        Self { pid, go: Some(go) }
    }

    /// One that does nothing.
    pub fn idle(flags: libc::c_int) -> Self {
        Self::spawn(flags, |code| code, 0)
    }

    /// Lets it go on.
    pub fn go(&mut self) {
        // Not by closing it: another child may have been born with a copy.
        if let Some(go) = self.go.take() {
            rustix::io::write(go, &[0]).unwrap();
        }
    }

    /// Its status, as `wait` gives it, when it has ended.
    pub fn wait(mut self) -> libc::c_int {
        self.go();
        let status = wait(self.pid);
        mem::forget(self);
        status
    }

    pub fn kill(self) -> libc::c_int {
        // SAFETY: a child of our own, not waited for yet.
        unsafe { libc::kill(self.pid.cast_signed(), libc::SIGKILL) };
        let status = wait(self.pid);
        mem::forget(self);
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: a child of our own, not waited for yet.
        unsafe { libc::kill(self.pid.cast_signed(), libc::SIGKILL) };
        wait(self.pid);
    }
}

fn wait(pid: u32) -> libc::c_int {
    let mut status = 0;
    // SAFETY: the address of a number.
    let waited = unsafe { libc::waitpid(pid.cast_signed(), &raw mut status, 0) };
    assert_eq!(waited, pid.cast_signed(), "{}", io::Error::last_os_error());
    status
}

/// # Safety
///
/// `child` runs in the child, in a copy of one thread of this process: it must call nothing that may want a lock, and must
/// not return.
unsafe fn clone3(flags: libc::c_int, child: impl FnOnce()) -> u32 {
    // SAFETY: plain integers.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = u64::from(flags.cast_unsigned());
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: without a stack of its own, a child as of fork.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    if pid == 0 {
        child();
        // SAFETY: never comes back.
        unsafe { libc::_exit(99) };
    }
    assert!(pid > 0, "clone3({flags:#x}): {}", io::Error::last_os_error());
    u32::try_from(pid).unwrap()
}

/// What `/proc/…/ns` says.
pub fn namespaces(of: &str) -> NamespaceSet {
    let inode = |name: &str| {
        let target = fs::read_link(format!("/proc/{of}/ns/{name}")).ok()?;
        target.to_str()?.split_once(":[")?.1.strip_suffix(']')?.parse::<u32>().ok()
    };
    let own: Inodes = Kind::ALL.into_iter().map(|kind| (kind, inode(kind.name()).unwrap())).collect();
    NamespaceSet {
        namespaces: own,
        pid_for_children: inode("pid_for_children"),
        time_for_children: inode("time_for_children"),
    }
}

pub fn tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

/// The fields of `/proc/PID/stat` that follow the comm.
fn stat(of: &str) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{of}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split_ascii_whitespace().map(str::to_owned).collect()
}

/// When it started, in ticks of 10 ms.
pub fn start_ticks(of: &str) -> u64 {
    stat(of)[19].parse().unwrap()
}

/// The last part of its path in the hierarchy that names it.
pub fn cgroup_name(of: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{of}/cgroup")).unwrap();
    let paths: BTreeMap<&str, &str> = (text.lines())
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .flat_map(|(controllers, path)| controllers.split(',').map(move |name| (name, path)))
        .collect();
    let chosen = paths.get("pids").filter(|path| **path != "/").or_else(|| paths.get("")).unwrap();
    chosen.rsplit('/').next().unwrap().to_owned()
}

/// Ids of all programs in the kernel.
pub fn program_ids() -> Vec<u32> {
    const BPF_PROG_GET_NEXT_ID: libc::c_int = 11;
    #[repr(C)]
    struct Next {
        start: u32,
        next: u32,
        flags: u32,
    }
    let (mut ids, mut at) = (Vec::new(), Next { start: 0, next: 0, flags: 0 });
    // SAFETY: the attributes of this command, with their length.
    while unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_GET_NEXT_ID, &raw mut at, size_of::<Next>()) } == 0 {
        ids.push(at.next);
        at.start = at.next;
    }
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOENT), "the end of the list");
    ids
}
