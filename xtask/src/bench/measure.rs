//! One run of a program: how long, how much CPU, how much memory.

use std::ffi::OsString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::sh;

/// What one run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The most memory that it had resident, in KiB.
    pub peak_kib: u64,
}

/// Runs a command to its end, its output into a file.
///
/// By way of a small process: a child begins with the most memory that its parent ever had, in the kernel's account.
pub fn run(command: &Command, output: &Path) -> Result<Cost> {
    let mut small = Command::new(std::env::current_exe()?);
    small.arg("measure").arg(output).arg(command.get_program()).args(command.get_args());
    let told = sh::output(&mut small)?;
    let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall_us, cpu_us, peak_kib] = numbers[..] else { bail!("the measuring process said {told:?}") };
    Ok(Cost { wall: Duration::from_micros(wall_us), cpu: Duration::from_micros(cpu_us), peak_kib })
}

/// Is that process: runs a program and prints what it cost, in µs, µs and KiB.
pub fn measure(output: &Path, program: &[OsString]) -> Result<()> {
    let (program, arguments) = program.split_first().context("no program is given")?;
    let shown = Path::new(program).display();
    let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    let errors = File::create(output.with_extension("err"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(errors);
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: both point to memory of ours of the right type; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    let wall = start.elapsed();
    ensure!(waited == pid, "cannot wait for {shown}: {}", std::io::Error::last_os_error());
    ensure!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{shown} failed (status {status:#x})");
    // SAFETY: zeroed is a valid `rusage`, and the kernel has filled it.
    let usage = unsafe { usage.assume_init() };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    println!("{} {} {}", wall.as_micros(), cpu.as_micros(), usage.ru_maxrss);
    Ok(())
}

fn time(value: libc::timeval) -> Duration {
    let micros =
        u64::try_from(value.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(value.tv_usec).unwrap_or(0);
    Duration::from_micros(micros)
}

/// The run in the middle, by CPU time; of memory the most.
pub fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.cpu);
    let peak_kib = costs.iter().map(|cost| cost.peak_kib).max().unwrap_or_default();
    let mut walls: Vec<Duration> = costs.iter().map(|cost| cost.wall).collect();
    walls.sort();
    let middle = costs.len() / 2;
    Cost {
        wall: walls.get(middle).copied().unwrap_or_default(),
        cpu: costs.get(middle).map(|cost| cost.cpu).unwrap_or_default(),
        peak_kib,
    }
}
