//! From what a process does to the line that tells of it, by the clock that both stamp with.

use std::ffi::c_int;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::watcher::{Mode, WORKLOAD_CPU, Watcher, boottime_ns, on_cpu};
use crate::sh;

/// How many processes do three things each.
const MEMBERS: u32 = 340;

/// Between two things.
const PAUSE: Duration = Duration::from_millis(15);

/// How long the last lines are waited for.
const LATE: Duration = Duration::from_secs(2);

/// Something that a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deed {
    kind: Kind,
    pid: u64,
    /// The namespace that was come into, made, or left for nobody.
    inode: u64,
    boottime_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Setns,
    Unshare,
    Exit,
    /// With the exit the namespace that it made ends, of which the kernel tells nothing.
    Gone,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Setns, Self::Unshare, Self::Exit, Self::Gone];

    const fn name(self) -> &'static str {
        match self {
            Self::Setns => "setns",
            Self::Unshare => "unshare",
            Self::Exit => "exit",
            Self::Gone => "the end of its namespace",
        }
    }

    /// The types of event that tell of it.
    const fn told_as(self) -> &'static [&'static str] {
        match self {
            Self::Setns => &["namespace-joined", "foreign-entered"],
            Self::Unshare => &["namespace-created"],
            Self::Exit => &["container-exited"],
            Self::Gone => &["namespace-destroyed"],
        }
    }

    /// The word for it of who does it.
    const fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            other => other.name(),
        }
    }
}

/// A line of the watcher's, and when it came.
struct Line {
    arrived_ns: u64,
    event: Value,
}

impl Line {
    fn tells_of(&self, deed: &Deed) -> bool {
        let is = |value: &Value, wanted: u64| value.as_u64() == Some(wanted);
        let kind = self.event["type"].as_str().unwrap_or_default();
        let side = if deed.kind == Kind::Gone { "from" } else { "to" };
        let change = |change: &Value| change["kind"] == "uts" && is(&change[side], deed.inode);
        deed.kind.told_as().contains(&kind)
            && (deed.kind == Kind::Gone || is(&self.event["process"]["pid"], deed.pid))
            && (deed.kind == Kind::Exit
                || self.event["namespaces"].as_array().is_some_and(|changes| changes.iter().any(change)))
            && self.arrived_ns >= deed.boottime_ns
    }
}

/// Has it all done under a watcher, and gives the table.
pub fn table(program: &Path, mode: Mode, folder: &Path) -> Result<String> {
    let mut out = format!(
        "| `{} -o json --all`: what is done | times | told | half within | 90 % | 99 % | all | target |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
        mode.name
    );
    let (deeds, lines) = watched(program, mode, folder)?;
    for kind in Kind::ALL {
        let of_kind: Vec<&Deed> = deeds.iter().filter(|deed| deed.kind == kind).collect();
        let mut took = took(&of_kind, &lines);
        took.sort_unstable();
        let at = |percent: usize| {
            let last = took.len().saturating_sub(1);
            let time = took.get((took.len() * percent / 100).min(last));
            time.map_or_else(|| "–".to_owned(), |ns| format!("{:.1} ms", ms(*ns)))
        };
        let late = took.get(took.len() * 99 / 100).is_none_or(|ns| ms(*ns) > TARGET_MS);
        let missed = late || took.len() < of_kind.len();
        // What only a look can find comes when that does.
        let target = match (kind, missed) {
            (Kind::Gone, _) => "by the next look, or the next use of the inode".to_owned(),
            (_, true) => format!("99 % ≤ {TARGET_MS} ms **missed**"),
            (_, false) => format!("99 % ≤ {TARGET_MS} ms"),
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {target} |",
            kind.name(),
            of_kind.len(),
            took.len(),
            at(50),
            at(90),
            at(99),
            at(100),
        )?;
    }
    Ok(out)
}

const TARGET_MS: f64 = 10.0;

fn ms(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e3
}

/// For each deed that was told of, how long it took. A line tells of one deed: inodes are used again at once.
fn took(deeds: &[&Deed], lines: &[Line]) -> Vec<u64> {
    let mut taken = vec![false; lines.len()];
    let mut took = Vec::new();
    for deed in deeds {
        let found = lines.iter().enumerate().find(|(at, line)| {
            let free = taken.get(*at).is_some_and(|taken| !taken);
            let in_time = line.arrived_ns < deed.boottime_ns.saturating_add(1_000_000_000);
            free && in_time && line.tells_of(deed)
        });
        if let Some((at, line)) = found {
            if let Some(taken) = taken.get_mut(at) {
                *taken = true;
            }
            took.push(line.arrived_ns - deed.boottime_ns);
        }
    }
    took
}

fn watched(program: &Path, mode: Mode, folder: &Path) -> Result<(Vec<Deed>, Vec<Line>)> {
    let (watcher, stdout) = Watcher::start_piped(program, mode, folder)?;
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || listen(stdout, &sender));
    // Its first look.
    std::thread::sleep(Duration::from_secs(1));
    let mut command = Command::new(std::env::current_exe()?);
    let told = on_cpu(WORKLOAD_CPU, || sh::output(command.arg("members")))?;
    std::thread::sleep(LATE);
    drop(watcher);
    reader.join().map_err(|_| anyhow::anyhow!("the thread that reads the watcher's lines ended"))??;
    let deeds = told.lines().map(deed).collect::<Result<Vec<Deed>>>()?;
    ensure!(!deeds.is_empty(), "nothing was done");
    let lines = receiver.try_iter().map(|(arrived_ns, line)| {
        let event = serde_json::from_str(&line).with_context(|| format!("the watcher said {line:?}"))?;
        Ok(Line { arrived_ns, event })
    });
    Ok((deeds, lines.collect::<Result<Vec<Line>>>()?))
}

/// Stamps each line as it comes; it is looked at later.
fn listen(stdout: ChildStdout, to: &mpsc::Sender<(u64, String)>) -> Result<()> {
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        to.send((boottime_ns()?, line))?;
    }
    Ok(())
}

fn deed(line: &str) -> Result<Deed> {
    let said = || format!("a member said {line:?}");
    let words: Vec<&str> = line.split_whitespace().collect();
    let [kind, pid, inode, boottime_ns] = words[..] else { anyhow::bail!(said()) };
    Ok(Deed {
        kind: Kind::ALL.into_iter().find(|it| it.word() == kind).with_context(said)?,
        pid: pid.parse().with_context(said)?,
        inode: inode.parse().with_context(said)?,
        boottime_ns: boottime_ns.parse().with_context(said)?,
    })
}

/// Is the process that has it done: processes in namespaces of their own join another's UTS namespace, make one, and end.
pub fn members() -> Result<()> {
    let other =
        apart(libc::CLONE_NEWUTS | libc::CLONE_NEWIPC, || std::thread::sleep(Duration::from_secs(600)))?;
    let path = format!("/proc/{other}/ns/uts");
    let there = rustix::fs::open(&path, rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .with_context(|| format!("cannot open {path}"))?;
    let theirs = inode(&path)?;
    for _ in 0..MEMBERS {
        // Nobody's child in its group: who is has no end that is told. One that fails says nothing, and is missed.
        let own = libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
        wait(apart(own, || drop(member(there.as_raw_fd(), theirs)))?);
    }
    // SAFETY: a child that was not waited for yet.
    unsafe { libc::kill(other, libc::SIGKILL) };
    wait(other);
    Ok(())
}

/// In a child that is a copy of this process, which has one thread.
fn member(there: c_int, theirs: u64) -> Result<()> {
    let own = std::process::id();
    let say = |kind: Kind, inode: u64, at: u64| writeln!(stdout(), "{} {own} {inode} {at}", kind.word());
    std::thread::sleep(PAUSE);
    let at = boottime_ns()?;
    // SAFETY: no addresses.
    ensure!(unsafe { libc::setns(there, libc::CLONE_NEWUTS) } == 0, "setns failed");
    say(Kind::Setns, theirs, at)?;
    std::thread::sleep(PAUSE);
    let at = boottime_ns()?;
    // SAFETY: no addresses.
    ensure!(unsafe { libc::unshare(libc::CLONE_NEWUTS) } == 0, "unshare failed");
    let made = inode("/proc/self/ns/uts")?;
    say(Kind::Unshare, made, at)?;
    std::thread::sleep(PAUSE);
    let at = boottime_ns()?;
    say(Kind::Exit, made, at)?;
    say(Kind::Gone, made, at)?;
    Ok(())
}

fn inode(path: &str) -> Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("cannot look at {path}"))?.ino())
}

/// Makes a child that does this and ends.
fn apart(flags: c_int, body: impl FnOnce()) -> Result<c_int> {
    // SAFETY: plain integers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(flags.cast_unsigned());
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: as fork; this process has one thread, so the child's copy of everything is whole.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    if pid == 0 {
        // SAFETY: it ends with who made it.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        body();
        // SAFETY: never comes back.
        unsafe { libc::_exit(0) };
    }
    ensure!(pid > 0, "clone3({flags:#x}) failed: {}", std::io::Error::last_os_error());
    Ok(c_int::try_from(pid)?)
}

fn wait(pid: c_int) {
    // SAFETY: no addresses but NULL.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arrived_ns: u64, text: &str) -> Line {
        Line { arrived_ns, event: serde_json::from_str(text).unwrap() }
    }

    #[test]
    fn a_line_tells_of_one_deed_after_it() {
        let created =
            r#"{"type":"namespace-created","process":{"pid":7},"namespaces":[{"kind":"uts","to":4}]}"#;
        let gone = r#"{"type":"namespace-destroyed","namespaces":[{"kind":"ipc","from":9},{"kind":"uts","from":4}]}"#;
        let lines = [
            line(10, created),
            line(30, gone),
            line(50, created),
            line(70, gone),
            line(80, "{\"type\":\"resynced\"}"),
        ];
        let first = deed("unshare 7 4 8").unwrap();
        assert_eq!(first, Deed { kind: Kind::Unshare, pid: 7, inode: 4, boottime_ns: 8 });
        let (gone, again) = (deed("gone 7 4 20").unwrap(), deed("gone 8 4 21").unwrap());
        assert_eq!(took(&[&first], &lines), [2]);
        assert_eq!(took(&[&deed("unshare 7 4 40").unwrap()], &lines), [10]);
        assert_eq!(took(&[&deed("unshare 6 4 8").unwrap()], &lines), Vec::<u64>::new());
        let ended = [line(90, r#"{"type":"container-exited","process":{"pid":7}}"#)];
        assert_eq!(took(&[&deed("exit 7 4 20").unwrap()], &ended), [70]);
        assert_eq!(took(&[&deed("exit 8 4 20").unwrap()], &ended), Vec::<u64>::new());
        // The same inode twice: a line for each.
        assert_eq!(took(&[&gone, &again], &lines), [10, 49]);
        assert!(deed("unshare 7 4").is_err() && deed("vfork 1 2 3").is_err());
    }
}
