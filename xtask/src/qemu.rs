//! What every emulated machine needs of its host: QEMU without /dev/kvm, a limit, and its console's last words.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// A machine of so many MiB with its console and its answers going to files of their own: a kernel message can never
/// end up inside an answer.
pub fn machine(memory_mib: u32, console: &Path, answers: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-m", &memory_mib.to_string()])
        .args(["-display", "none", "-no-reboot", "-nodefaults"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", answers.display()));
    command
}

/// Runs a machine until it powers itself off; when its time is over, it is ended. `each` is called some times a second.
pub fn run(command: &mut Command, limit: Duration, console: &Path, each: impl FnMut()) -> Result<()> {
    let child = command.stdin(Stdio::null()).spawn().context("cannot start qemu-system-x86_64")?;
    match wait(child, limit, each)? {
        None => bail!("the guest did not end in {} s; its console ends:\n{}", limit.as_secs(), tail(console)),
        Some(status) => {
            ensure!(status.success(), "QEMU failed ({status}); the console ends:\n{}", tail(console))
        }
    }
    Ok(())
}

/// The last lines of a console.
pub fn tail(console: &Path) -> String {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let last: Vec<_> = text.lines().rev().take(15).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Waits for a child, and ends it when its time is over.
fn wait(mut child: Child, limit: Duration, mut each: impl FnMut()) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        each();
        if let Some(status) = child.try_wait()? {
            each();
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_hangs_is_ended() {
        let child = Command::new("sleep").arg("100").spawn().unwrap();
        assert!(wait(child, Duration::from_millis(200), || {}).unwrap().is_none());
    }
}
