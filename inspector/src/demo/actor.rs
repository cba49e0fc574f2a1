//! The demo's processes, from the outside: started, watched by pidfd, killed at the end whatever happens.

use std::fmt;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use super::child::Order;
use super::role::Role;
use crate::observation::Kind;

/// How long an actor may take to get ready.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How an actor gets its namespaces.
pub(super) enum Start<'a> {
    /// New ones of these kinds.
    Make(&'a [Kind]),
    /// Those of that process, of these kinds.
    Join(&'a [Kind], u32),
}

/// Starts actors, in the one way that the kernel allows here.
pub(super) struct Studio {
    program: std::path::PathBuf,
    /// Whether every pod needs a user namespace around it; `None` until it was tried.
    user: Option<bool>,
}

impl Studio {
    pub(super) fn new() -> Result<Self> {
        // Not its path: the file may have been replaced or removed since we started.
        let program = std::path::PathBuf::from("/proc/self/exe");
        if !program.exists() {
            bail!("the demo needs /proc to be mounted: it starts this program again by /proc/self/exe");
        }
        Ok(Self { program, user: None })
    }

    /// Whether namespaces come with a user namespace only. Tries it out.
    pub(super) fn is_unprivileged(&mut self) -> Result<bool> {
        if self.user.is_none() {
            drop(self.start(Role::Pause, &Start::Make(&[Kind::Pid, Kind::Net]))?);
        }
        Ok(self.user.unwrap_or_default())
    }

    pub(super) fn start(&mut self, role: Role, start: &Start<'_>) -> Result<Actor> {
        if let Some(user) = self.user {
            return self.start_as(role, start, user).map_err(|refusal| refusal.error);
        }
        match self.start_as(role, start, false) {
            Ok(actor) => {
                self.user = Some(false);
                Ok(actor)
            }
            Err(refusal) if refusal.errno == libc::EPERM => {
                let actor = self.start_as(role, start, true).map_err(|refusal| {
                    refusal.error.context(
                        "this kernel lets you make no namespaces: run `sudo inspector demo`, or allow user \
                         namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, \
                         kernel.apparmor_restrict_unprivileged_userns=0, those that exist)",
                    )
                })?;
                self.user = Some(true);
                Ok(actor)
            }
            Err(refusal) => Err(refusal.error),
        }
    }

    fn start_as(&self, role: Role, start: &Start<'_>, user: bool) -> Result<Actor, Refusal> {
        let (kinds, join) = match *start {
            Start::Make(kinds) => (kinds, None),
            Start::Join(kinds, target) => (kinds, Some(target)),
        };
        let order = Order { role, demo: std::process::id(), kinds: kinds.to_vec(), join, user };
        let mut stage = Command::new(&self.program)
            .args(order.to_arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start this program again")?;
        let answer =
            stage.stdout.take().context("no pipe to it").map_err(Refusal::from).and_then(Answer::read);
        let _ = stage.wait();
        let Answer { pid, mut lines } = answer?;
        // It is our child and not reaped: the pid cannot be another's.
        let handle = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .context("not a pid")
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?))?;
        let actor = Actor { role, pid, handle, fate: None };
        match lines.next()?.as_deref() {
            Some("ready") => Ok(actor),
            Some(line) => Err(Refusal::parse(line)),
            None => Err(anyhow!("{} has died", role.name()).into()),
        }
    }
}

/// Why an actor did not start.
struct Refusal {
    /// The system's error number; 0 where it was not the system's.
    errno: i32,
    error: anyhow::Error,
}

impl Refusal {
    fn parse(line: &str) -> Self {
        let mut words = line.splitn(3, ' ');
        let (word, errno, text) =
            (words.next(), words.next().and_then(|text| text.parse().ok()), words.next());
        match (word, errno, text) {
            (Some("error"), Some(errno), Some(text)) => Self { errno, error: anyhow!("{text}") },
            _ => Self { errno: 0, error: anyhow!("a process of the demo answered {line:?}") },
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { errno: 0, error: error.into() }
    }
}

/// What a stage says.
struct Answer {
    pid: u32,
    lines: Lines,
}

impl Answer {
    fn read(pipe: ChildStdout) -> Result<Self, Refusal> {
        let mut lines = Lines { pipe: BufReader::new(pipe), deadline: Instant::now() + START_LIMIT };
        let line = lines.next()?.context("a process of the demo died before it was ready")?;
        match line.strip_prefix("pid ").and_then(|pid| pid.parse().ok()) {
            Some(pid) => Ok(Self { pid, lines }),
            None => Err(Refusal::parse(&line)),
        }
    }
}

/// Lines from a pipe, until a deadline.
struct Lines {
    pipe: BufReader<ChildStdout>,
    deadline: Instant,
}

impl Lines {
    fn next(&mut self) -> Result<Option<String>> {
        if self.pipe.buffer().is_empty() && !is_readable(self.pipe.get_ref(), self.deadline)? {
            bail!("a process of the demo was not ready in {} s", START_LIMIT.as_secs());
        }
        // They write a line at once, so that what is there is a whole one.
        let mut line = String::new();
        let length = self.pipe.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }
}

/// Waits until there is something to read, or the deadline has come.
fn is_readable(descriptor: impl std::os::fd::AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// By a signal.
    Signal(i32),
    /// With an exit code.
    Code(i32),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(libc::SIGKILL) => f.write_str("SIGKILL"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Code(code) => write!(f, "exit code {code}"),
        }
    }
}

/// A process of the demo. It dies when this is dropped.
pub(super) struct Actor {
    role: Role,
    pid: u32,
    handle: OwnedFd,
    fate: Option<Fate>,
}

impl Actor {
    pub(super) const fn name(&self) -> &'static str {
        self.role.name()
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, as far as [`Self::wait`] has seen it.
    pub(super) const fn fate(&self) -> Option<Fate> {
        self.fate
    }

    /// Sends SIGKILL.
    pub(super) fn kill(&self) -> Result<()> {
        Ok(pidfd_send_signal(&self.handle, Signal::KILL)?)
    }

    /// Waits for its end, at most so long; `None` where it lives on.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<Option<Fate>> {
        if self.fate.is_none() && is_readable(&self.handle, Instant::now() + limit)? {
            self.fate =
                waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED)?.and_then(|status| {
                    let code = status.exit_status().map(Fate::Code);
                    code.or_else(|| status.terminating_signal().map(Fate::Signal))
                });
        }
        Ok(self.fate)
    }

    /// The inode of its namespace of that kind.
    pub(super) fn inode(&self, kind: Kind) -> Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        let path = format!("/proc/{}/ns/{kind}", self.pid);
        Ok(std::fs::metadata(&path).with_context(|| format!("cannot read {path}"))?.ino())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if self.fate.is_none() {
            // Nothing to be done about an error here; it dies with the demo at the latest.
            let _ = self.kill();
            let _ = self.wait(Duration::from_secs(5));
        }
    }
}
