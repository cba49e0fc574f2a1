//! Many processes at little cost: sleepers that share one address space, plain or in namespaces of their own.
//!
//! A process of its own makes them, in a process group of its own, so that the group's id ends all of them at once and
//! nothing else. Their orphans come to the bench, which is their subreaper, and are reaped by it.

use std::ffi::{c_int, c_void};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// How many processes, in how many sets of namespaces.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Size {
    /// Plain processes, beside those in sets
    #[arg(long, default_value_t = 0)]
    pub plain: u32,
    /// Sets of two processes in a mnt, uts, ipc, pid and cgroup namespace of their own
    #[arg(long, default_value_t = 0)]
    pub sets: u32,
}

impl Size {
    /// All of its processes.
    pub const fn processes(self) -> u32 {
        self.plain + 2 * self.sets
    }
}

/// What a sleeper needs of a stack: it calls `pause` and nothing else.
const STACK_BYTES: usize = 8 * 1024;

/// The processes, until this is dropped.
pub struct Population {
    maker: Child,
    /// Held open: the maker ends with its standard input, should the bench be killed.
    _stdin: Option<ChildStdin>,
}

impl Population {
    /// Makes them and waits until all are there.
    pub fn new(size: Size) -> Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("cannot become the subreaper")?;
        let mut maker = Command::new(std::env::current_exe()?)
            .args(["population", "--plain", &size.plain.to_string(), "--sets", &size.sets.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the maker of processes")?;
        let stdin = maker.stdin.take();
        let stdout = maker.stdout.take().context("the maker has no output")?;
        let made = Self { maker, _stdin: stdin };
        let mut word = String::new();
        BufReader::new(stdout).read_line(&mut word)?;
        ensure!(word.trim_end() == "ready", "{} processes could not be made: {word}", size.processes());
        Ok(made)
    }
}

impl Drop for Population {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.maker.id())
            && let Some(group) = rustix::process::Pid::from_raw(group)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.maker.wait();
        // Then the orphans, of which this process is the subreaper; every other child was waited for by who made it.
        while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::empty()) {}
    }
}

/// Makes the processes, says "ready" and waits for the end of standard input. Runs in a process of its own.
pub fn run(size: Size) -> Result<()> {
    let made = make(size);
    let mut out = std::io::stdout().lock();
    if let Err(error) = &made {
        let _ = writeln!(out, "{error:#}");
    } else {
        writeln!(out, "ready")?;
    }
    out.flush()?;
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // Its own group, sleepers and itself: a bench that was killed leaves nothing behind.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
    made
}

fn make(size: Size) -> Result<()> {
    let shared = libc::CLONE_VM | libc::CLONE_FILES | libc::SIGCHLD;
    for _ in 0..size.plain {
        spawn(sleeper, shared | libc::CLONE_FS)?;
    }
    let fresh = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWCGROUP;
    for _ in 0..size.sets {
        spawn(first_of_two, shared | fresh)?;
    }
    // The second of each set is made by the first: give them the time.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while SECONDS.load(std::sync::atomic::Ordering::SeqCst) < size.sets {
        ensure!(std::time::Instant::now() < deadline, "some sets did not get their second process");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

/// Sets that have both their processes. The sleepers share this memory.
static SECONDS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

extern "C" fn sleeper(_: *mut c_void) -> c_int {
    loop {
        // SAFETY: takes nothing and touches no memory.
        unsafe { libc::pause() };
    }
}

extern "C" fn first_of_two(_: *mut c_void) -> c_int {
    if spawn(sleeper, libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_FS | libc::SIGCHLD).is_ok() {
        SECONDS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    sleeper(std::ptr::null_mut())
}

/// Starts one on a stack of its own, which is never freed: it ends with the process group.
fn spawn(entry: extern "C" fn(*mut c_void) -> c_int, flags: c_int) -> Result<()> {
    // SAFETY: a private anonymous mapping at an address of the kernel's choice.
    let stack = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            STACK_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if stack == libc::MAP_FAILED {
        bail!("no memory for a stack: {}", std::io::Error::last_os_error());
    }
    // SAFETY: the stack is the child's alone and its end is aligned to a page. The child shares this address space, and
    // does nothing in it but calls that neither allocate nor lock: `mmap`, `clone`, `pause` and an atomic addition.
    let pid = unsafe {
        libc::clone(entry, stack.cast::<u8>().add(STACK_BYTES).cast(), flags, std::ptr::null_mut())
    };
    ensure!(pid > 0, "clone failed: {}", std::io::Error::last_os_error());
    Ok(())
}
