//! What the watched do: processes that fork, exec, change their namespaces and end, as fast as they can. Each workload is a
//! process of its own, so that nothing of the bench is in its time.

use std::ffi::{c_int, c_long, c_void};
use std::io::{Write as _, stdout};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::watcher::{WORKLOAD_CPU, on_cpu};
use crate::sh;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Deed {
    /// A child is made and ends.
    Fork,
    /// A child is made in a UTS namespace of its own and ends.
    ForkApart,
    /// A child becomes `/bin/true`.
    Exec,
    /// A child in a UTS namespace of its own does.
    ExecApart,
    /// `setns` to where one is.
    SetnsNowhere,
    /// `setns` to another UTS namespace.
    Setns,
    /// `unshare` of the working directory.
    UnshareNothing,
    /// `unshare` of the UTS namespace.
    Unshare,
    /// Containers come and go: eight at a time, each for 200 ms in mnt, uts, ipc, pid and cgroup namespaces of its own.
    Containers,
}

impl Deed {
    /// Whether whoever watches is told of it.
    const fn is_told(self) -> bool {
        matches!(self, Self::ForkApart | Self::ExecApart | Self::Setns | Self::Unshare)
    }
}

/// What a workload did.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Times.
    pub count: u64,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    /// In a second.
    pub fn rate(self) -> f64 {
        Duration::from_nanos(self.count).as_secs_f64() * 1e9 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Until when.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limit {
    /// So often at most
    #[arg(long, default_value_t = u64::MAX)]
    pub count: u64,
    /// For so many milliseconds at most
    #[arg(long, default_value_t = 600_000)]
    pub millis: u64,
}

impl Limit {
    /// So often.
    pub const fn count(count: u64) -> Self {
        Self { count, millis: 600_000 }
    }

    /// For so long.
    pub fn time(time: Duration) -> Self {
        Self { count: u64::MAX, millis: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Has a process of its own do it, on its processor, and waits for it.
pub fn perform(deed: Deed, limit: Limit) -> Result<Done> {
    let name = clap::ValueEnum::to_possible_value(&deed).context("a deed without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["workload", name.get_name()]);
    command.args(["--count", &limit.count.to_string(), "--millis", &limit.millis.to_string()]);
    let told = on_cpu(WORKLOAD_CPU, || sh::output(&mut command))?;
    let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [count, nanos] = numbers[..] else { bail!("the workload said {told:?}") };
    Ok(Done { count, took: Duration::from_nanos(nanos) })
}

/// Is that process: prints how often it did it, and in how many nanoseconds.
pub fn run(deed: Deed, limit: Limit) -> Result<()> {
    // Children that nobody waits for leave nothing behind.
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let stack = Stack::new()?;
    let places = match deed {
        Deed::Setns | Deed::SetnsNowhere => Some(places(deed == Deed::Setns)?),
        _ => None,
    };
    let start = Instant::now();
    let mut count = 0;
    while count < limit.count && start.elapsed() < Duration::from_millis(limit.millis) {
        // The clock is looked at now and then.
        let round = if deed == Deed::Containers { 1 } else { 64.min(limit.count - count) };
        for turn in 0..round {
            once(deed, turn, &stack, places.as_ref())?;
        }
        count += round;
        if deed.is_told() {
            // The watcher is to read it all: some 30,000 events a second.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let nanos = start.elapsed().as_nanos();
    writeln!(stdout(), "{count} {nanos}")?;
    Ok(())
}

/// Two UTS namespaces to go to, in turns.
type Places = [OwnedFd; 2];

fn places(two: bool) -> Result<Places> {
    let open =
        || rustix::fs::open("/proc/self/ns/uts", rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
    let first = open()?;
    if two {
        unshare(libc::CLONE_NEWUTS)?;
    }
    Ok([first, open()?])
}

fn once(deed: Deed, turn: u64, stack: &Stack, places: Option<&Places>) -> Result<()> {
    match deed {
        Deed::Fork => stack.child(ends, 0),
        Deed::ForkApart => stack.child(ends, libc::CLONE_NEWUTS),
        Deed::Exec => stack.child(becomes_true, 0),
        Deed::ExecApart => stack.child(becomes_true, libc::CLONE_NEWUTS),
        Deed::UnshareNothing => unshare(libc::CLONE_FS),
        Deed::Unshare => unshare(libc::CLONE_NEWUTS),
        Deed::Setns | Deed::SetnsNowhere => {
            let place = places.and_then(|places| places.get(usize::from(turn % 2 == 1)));
            let place = place.context("there is nowhere to go")?;
            // SAFETY: no addresses.
            let failed = unsafe { libc::setns(place.as_raw_fd(), libc::CLONE_NEWUTS) };
            ensure!(failed == 0, "setns failed: {}", std::io::Error::last_os_error());
            Ok(())
        }
        Deed::Containers => {
            const APART: c_int = libc::CLONE_NEWNS
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWCGROUP;
            // A copy of this process: it has the stack to itself.
            stack.copy(lasts, APART)?;
            std::thread::sleep(LASTS / 8);
            Ok(())
        }
    }
}

fn unshare(flags: c_int) -> Result<()> {
    // SAFETY: no addresses.
    let failed = unsafe { libc::unshare(flags) };
    ensure!(failed == 0, "unshare({flags:#x}) failed: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What a child does. It is given nothing.
type Body = extern "C" fn(*mut c_void) -> c_int;

extern "C" fn ends(_: *mut c_void) -> c_int {
    0
}

extern "C" fn becomes_true(_: *mut c_void) -> c_int {
    let arguments = [c"true".as_ptr(), std::ptr::null()];
    // SAFETY: strings, and lists that end with NULL.
    unsafe {
        libc::execve(c"/bin/true".as_ptr(), arguments.as_ptr(), arguments.as_ptr().add(1));
    }
    127
}

/// How long a container lives.
const LASTS: Duration = Duration::from_millis(200);

extern "C" fn lasts(_: *mut c_void) -> c_int {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    // SAFETY: the address of a time.
    unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
    0
}

/// Where children run.
struct Stack {
    lowest: *mut u8,
}

impl Stack {
    const BYTES: usize = 64 * 1024;

    fn new() -> Result<Self> {
        // SAFETY: a private anonymous mapping at an address of the kernel's choice. It is never freed.
        let lowest = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(lowest != libc::MAP_FAILED, "no memory for a stack: {}", std::io::Error::last_os_error());
        Ok(Self { lowest: lowest.cast() })
    }

    /// Makes a child that shares this memory, and waits until it has ended or become another program, as `vfork` does.
    fn child(&self, body: Body, flags: c_int) -> Result<()> {
        self.clone(body, flags | libc::CLONE_VM | libc::CLONE_VFORK)
    }

    /// Makes a child that is a copy, and does not wait.
    fn copy(&self, body: Body, flags: c_int) -> Result<()> {
        self.clone(body, flags)
    }

    fn clone(&self, body: Body, flags: c_int) -> Result<()> {
        // SAFETY: the stack is the child's alone: it has its own memory, or this process waits for it. It makes system calls
        // and nothing else.
        let pid = unsafe {
            let top = self.lowest.add(Self::BYTES).cast();
            c_long::from(libc::clone(body, top, flags | libc::SIGCHLD, std::ptr::null_mut()))
        };
        ensure!(pid > 0, "clone({flags:#x}) failed: {}", std::io::Error::last_os_error());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let done = Done { count: 500, took: Duration::from_millis(250) };
        assert!((done.rate() - 2000.0).abs() < 1e-6);
    }
}
