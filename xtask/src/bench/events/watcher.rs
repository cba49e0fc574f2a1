//! The watcher that is measured: `inspector watch`, a process of its own on a processor of its own.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::kernel;

/// Where the watcher runs, and where the workload does.
pub const WATCHER_CPU: usize = 0;
/// See [`WATCHER_CPU`].
pub const WORKLOAD_CPU: usize = 1;

/// How the watcher is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// For the tables.
    pub name: &'static str,
    /// After `watch`.
    pub flags: &'static [&'static str],
}

/// What runs for months: woken now and then, no tracepoints of system calls.
pub const BACKGROUND: Mode = Mode { name: "watch --background", flags: &["--background"] };
/// The same, told of every process.
pub const EVERYTHING: Mode =
    Mode { name: "watch --background --all-processes", flags: &["--background", "--all-processes"] };
/// What a person watches: each event at once.
pub const INTERACTIVE: Mode = Mode { name: "watch", flags: &[] };

/// It ends by itself after so long, should the bench be killed.
const LONGEST: &str = "2h";

/// How long starting, or ending, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running watcher. Dropping this ends it.
pub struct Watcher {
    child: Child,
}

impl Watcher {
    /// Starts one that writes for people, and waits until it watches: then it says so.
    pub fn start(program: &Path, mode: Mode, folder: &Path) -> Result<Self> {
        let path = folder.join("watch.out");
        let output = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = command(program, mode, folder)?;
        let mut watcher = Self { child: on_cpu(WATCHER_CPU, || Ok(command.stdout(output).spawn()?))? };
        watcher.wait_until("say that it watches", folder, || Ok(fs::metadata(&path)?.len() > 0))?;
        Ok(watcher)
    }

    /// Starts one that writes JSON to a pipe, with all there is to tell, and waits until its programs are attached.
    pub fn start_piped(
        program: &Path,
        mode: Mode,
        folder: &Path,
    ) -> Result<(Self, std::process::ChildStdout)> {
        let mut command = command(program, mode, folder)?;
        command.args(["-o", "json", "--all"]).stdout(Stdio::piped());
        let mut watcher = Self { child: on_cpu(WATCHER_CPU, || Ok(command.spawn()?))? };
        let stdout = watcher.child.stdout.take().context("the watcher has no output")?;
        let pid = watcher.pid();
        watcher.wait_until("attach its programs", folder, || Ok(kernel::links(pid)?.len() > 3))?;
        Ok((watcher, stdout))
    }

    fn wait_until(
        &mut self,
        what: &str,
        folder: &Path,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !done()? {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(folder.join("watch.err")).unwrap_or_default();
                bail!("the watcher ended ({status}): {}", said.trim());
            }
            ensure!(start.elapsed() < PATIENCE, "the watcher did not {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// User and system time that it took so far, of all its threads, to the nanosecond.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid())
    }

    /// What it has resident.
    pub fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Path, mode: Mode, folder: &Path) -> Result<Command> {
    let path = folder.join("watch.err");
    let errors = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(program);
    command.arg("watch").args(mode.flags).args(["--for", LONGEST, "--color", "never"]);
    command.stdin(Stdio::null()).stderr(errors);
    Ok(command)
}

/// Does this, such as starting a process that stays there, on one processor.
pub fn on_cpu<T>(cpu: usize, what: impl FnOnce() -> Result<T>) -> Result<T> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let before = sched_getaffinity(None).context("cannot ask which processors there are")?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("processor {cpu} is not for us"))?;
    let done = what();
    sched_setaffinity(None, &before).context("cannot go back to all processors")?;
    done
}

fn cpu_of(pid: u32) -> Result<Duration> {
    let mut clock = 0;
    // SAFETY: the address of a number.
    let failed = unsafe { libc::clock_getcpuclockid(i32::try_from(pid)?, &raw mut clock) };
    ensure!(failed == 0, "process {pid} has no clock: {}", std::io::Error::from_raw_os_error(failed));
    clock_time(clock)
}

/// Nanoseconds since boot, suspend included: what events are stamped by.
pub fn boottime_ns() -> Result<u64> {
    Ok(u64::try_from(clock_time(libc::CLOCK_BOOTTIME)?.as_nanos())?)
}

fn clock_time(clock: libc::clockid_t) -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the address of a time.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    ensure!(failed == 0, "a clock cannot be read: {}", std::io::Error::last_os_error());
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// Resident.
    pub rss: u64,
    /// The same, what is shared divided among its users.
    pub pss: u64,
    /// Resident at most, since it started.
    pub peak: u64,
}

impl Memory {
    fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let value = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.with_context(|| format!("/proc/{pid} says no {name}"))
        };
        // Read once: between two readings it may have grown.
        let resident = read("smaps_rollup")?;
        let (rss, pss) = (value(&resident, "Rss")?, value(&resident, "Pss")?);
        // The kernel keeps this one by approximate counters, which may lag behind what is counted page by page.
        let peak = value(&read("status")?, "VmHWM")?.max(rss);
        Ok(Self { rss, pss, peak })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_and_a_processor_is_left_again() {
        let before = rustix::thread::sched_getaffinity(None).unwrap();
        assert_eq!(on_cpu(0, || Ok(rustix::thread::sched_getcpu())).unwrap(), 0);
        assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), before);
        assert!(on_cpu(1000, || Ok(())).is_err());
        let own = Memory::of(std::process::id()).unwrap();
        assert!(own.peak >= own.rss && own.rss >= own.pss && own.pss > 100, "{own:?}");
        assert!(cpu_of(std::process::id()).unwrap() > Duration::ZERO);
        assert!(boottime_ns().unwrap() > 0);
    }
}
