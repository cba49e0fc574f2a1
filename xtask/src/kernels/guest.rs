//! The guest: what is in its first file system, what it runs, and what it says over its serial lines.
//!
//! Its console goes to one file, what its steps print to another, so that a kernel message can never end up inside a
//! JSON document.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::initramfs::Entry;
use super::steps::{Scenario, Step};
use crate::qemu;

/// Started before the steps, so that there is a group of processes in namespaces of their own to find.
const BEFORE: &str = "unshare -n -u -i -p -f sleep 1000 &";

/// More tasks than the program reads from /proc where it may choose, for the steps that ask it to.
const CROWD: &str = "crowd() { i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i + 1)); done; }";

/// An emulated boot takes 5 s; on a busy machine many times that.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What one step printed, and its exit code.
pub struct Answer {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub code: i32,
}

/// What each step said, by its name.
pub type Answers = BTreeMap<String, Answer>;

/// The files of the guest: busybox under its usual names, the program, and what runs first.
pub fn files(busybox: &Path, program: &Path, steps: &[Step]) -> Result<Vec<Entry>> {
    let mut files: Vec<Entry> =
        ["bin", "dev", "proc", "run", "sys", "tmp", "etc"].iter().map(|name| Entry::folder(name)).collect();
    files.push(Entry::program("bin/busybox", fs::read(busybox)?));
    files.push(Entry::program("bin/inspector", fs::read(program)?));
    files.push(Entry::program("init", init(steps).into_bytes()));
    Ok(files)
}

fn init(steps: &[Step]) -> String {
    let mut script = format!(
        "#!/bin/busybox sh\n\
         /bin/busybox --install -s /bin\n\
         export PATH=/bin HOME=/tmp\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t securityfs securityfs /sys/kernel/security\n\
         mount -t devtmpfs devtmpfs /dev\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup\n\
         mount -t tmpfs tmpfs /run\n\
         hostname guest\n\
         stty -F /dev/ttyS1 raw -echo 115200\n\
         exec >/dev/ttyS1\n\
         {BEFORE}\n\
         {CROWD}\n\
         sleep 1\n"
    );
    for (name, command) in steps {
        script += &format!(
            "{command} >/tmp/out 2>/tmp/err </dev/null\n\
             code=$?\n\
             echo '{BEGIN}{name} out'; cat /tmp/out; echo; echo '{BEGIN}{name} err'; cat /tmp/err; echo\n\
             echo \"{BEGIN}{name} code\"; echo $code\n"
        );
    }
    script + &format!("echo '{BEGIN}end end'\nsync\npoweroff -f\n")
}

/// Before each part of the log: followed by the step's name and the part's.
const BEGIN: &str = "@@@inspector@@@ ";

/// Boots `kernel` and gives each step's answer. The logs stay in `folder`.
pub fn boot(kernel: &Path, image: &Path, folder: &Path, scenario: &Scenario) -> Result<Answers> {
    let at = |what: &str| folder.join(format!("{}-{what}.log", scenario.name));
    let (console, log) = (at("console"), at("steps"));
    let _ = fs::remove_file(&log);
    qemu::run(
        qemu::machine(1024, &console, &log)
            .args(["-append", &format!("console=ttyS0 quiet loglevel=4 panic=-1 {}", scenario.append)])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(image),
        TIMEOUT,
        &console,
        || {},
    )?;
    let said = fs::read(&log)?;
    answers(&String::from_utf8_lossy(&said), scenario.steps)
        .with_context(|| format!("the guest's console ends:\n{}", qemu::tail(&console)))
}

fn answers(log: &str, steps: &[Step]) -> Result<Answers> {
    let mut parts = BTreeMap::new();
    for part in log.split(BEGIN).skip(1) {
        let (head, body) = part.split_once('\n').context("the log breaks off in a marker")?;
        parts.insert(head.trim_end().to_owned(), body);
    }
    ensure!(parts.contains_key("end end"), "the guest broke off before its last step");
    let part = |name: &str, what: &str| {
        let body =
            parts.get(&format!("{name} {what}")).with_context(|| format!("no {what} of step {name}"))?;
        anyhow::Ok(body.trim().to_owned())
    };
    steps
        .iter()
        .map(|(name, _)| {
            let code =
                part(name, "code")?.parse().with_context(|| format!("the exit code of step {name}"))?;
            Ok(((*name).to_owned(), Answer { stdout: part(name, "out")?, stderr: part(name, "err")?, code }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step] = &[("kernel", ""), ("doctor", ""), ("bpf", "")];

    fn log() -> String {
        let steps = STEPS.iter().enumerate().map(|(index, (name, _))| {
            format!("{BEGIN}{name} out\r\n{{\"n\": {index}}}\n\n{BEGIN}{name} err\n\n{BEGIN}{name} code\n{index}\n")
        });
        steps.collect::<String>() + &format!("{BEGIN}end end\n")
    }

    #[test]
    fn answers_are_told_apart() {
        let found = answers(&log(), STEPS).unwrap();
        assert_eq!(found.len(), STEPS.len());
        assert_eq!((&*found["bpf"].stdout, &*found["bpf"].stderr, found["bpf"].code), ("{\"n\": 2}", "", 2));
    }

    #[test]
    fn a_log_that_breaks_off_is_no_answer() {
        let whole = log();
        for end in [0, whole.len() / 2, whole.len() - 8] {
            assert!(answers(&whole[..end], STEPS).is_err(), "cut at {end}");
        }
    }
}
