//! The demo's processes, from the inside: this program run again under a hidden name.
//!
//! A process cannot move itself into a PID namespace, only its children. So a short-lived *stage* makes or joins
//! the namespaces by cloning the actor as its own sibling (`CLONE_PARENT`, as runc does) and leaves: the actor is
//! a child of the demo, and no helper stays behind in a namespace that is being shown. The stage is a new program
//! image with a single thread, which is what makes its `clone` sound.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::ThreadNameSpaceType;

use super::role::Role;
use crate::observation::Kind;

/// The hidden subcommand that makes this program one of the demo's processes.
pub(super) const SUBCOMMAND: &str = "__demo-process";

/// Plays a part in the demo if that is what this process was started for; `None` otherwise.
///
/// To be called first in `main`, before there is any other thread.
#[must_use]
pub fn process_main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != SUBCOMMAND {
        return None;
    }
    let arguments: Option<Vec<String>> = arguments.map(|word: OsString| word.into_string().ok()).collect();
    Some(match arguments.context("not UTF-8").and_then(|words| stage(&words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, to the demo, which reads our standard output.
            let errno = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).unwrap_or(0);
            let _ = writeln!(io::stdout(), "error {errno} {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// What the demo asks of a stage.
pub(super) struct Order {
    pub(super) role: Role,
    /// The demo's pid.
    pub(super) demo: u32,
    pub(super) kinds: Vec<Kind>,
    /// Join the namespaces of that process; make new ones where there is none.
    pub(super) join: Option<u32>,
    /// A user namespace too.
    pub(super) user: bool,
}

impl Order {
    pub(super) fn to_arguments(&self) -> Vec<String> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        vec![
            SUBCOMMAND.to_owned(),
            self.role.name().to_owned(),
            self.demo.to_string(),
            kinds.join(","),
            self.join.unwrap_or(0).to_string(),
            self.user.to_string(),
        ]
    }

    fn parse(words: &[String]) -> Option<Self> {
        let [role, demo, kinds, join, user] = words else { return None };
        Some(Self {
            role: Role::ALL.into_iter().find(|known| known.name() == role)?,
            demo: demo.parse().ok()?,
            kinds: kinds.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
            join: Some(join.parse().ok()?).filter(|pid| *pid != 0),
            user: user.parse().ok()?,
        })
    }

    /// The kinds as flags of setns and clone, which are the same.
    fn flags(&self) -> ThreadNameSpaceType {
        let mut flags = if self.user { ThreadNameSpaceType::USER } else { ThreadNameSpaceType::empty() };
        for kind in &self.kinds {
            flags |= match kind {
                Kind::Mnt => ThreadNameSpaceType::MOUNT,
                Kind::Uts => ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
                Kind::Ipc => ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
                Kind::Pid => ThreadNameSpaceType::PROCESS_ID,
                Kind::Net => ThreadNameSpaceType::NETWORK,
                Kind::User => ThreadNameSpaceType::USER,
                Kind::Cgroup => ThreadNameSpaceType::CONTROL_GROUP,
                Kind::Time => ThreadNameSpaceType::TIME,
            };
        }
        flags
    }
}

fn stage(words: &[String]) -> Result<()> {
    let order = Order::parse(words).context("this subcommand is the demo's own: use `inspector demo`")?;
    close_inherited();
    die_with_parent()?;
    let demo = open_process(order.demo)?;
    if getppid() != process_id(order.demo) {
        bail!("the demo is gone");
    }
    let mut flags = order.flags();
    if let Some(target) = order.join {
        let target = open_process(target)?;
        rustix::thread::move_into_thread_name_spaces(target.as_fd(), flags)
            .map_err(io::Error::from)
            .context("cannot join the owner's namespaces")?;
        // A new user namespace brings new credentials, which undo it.
        die_with_parent()?;
        flags = ThreadNameSpaceType::empty();
    }
    // The actor starts to work once its user namespace has its map, without which it has no privileges in it.
    let (go_reader, go_writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let Some(actor) = clone_sibling(flags).context("cannot make the namespaces")? else {
        drop(go_writer);
        return act(order.role, &demo, &go_reader);
    };
    if flags.contains(ThreadNameSpaceType::USER) {
        map_user(actor).context("cannot map your user into a user namespace")?;
    }
    writeln!(io::stdout(), "pid {actor}")?;
    rustix::io::write(&go_writer, b"g")?;
    Ok(())
}

/// The actor: what the stage's clone does.
fn act(role: Role, demo: &OwnedFd, go: &OwnedFd) -> Result<()> {
    die_with_parent()?;
    // Between the clone and that, the demo may have died. (In a PID namespace of our own, it has no pid.)
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(demo, PollFlags::IN)], Some(&now))? != 0 {
        bail!("the demo is gone");
    }
    if rustix::io::read(go, &mut [0; 1])? != 1 {
        bail!("the stage has failed");
    }
    // Standard input and output are all that is left open, and they lead nowhere once we are ready: a pause that
    // holds a pipe or a socket would be no pause.
    close_inherited();
    let name = std::ffi::CString::new(role.name())?;
    rustix::thread::set_name(&name)?;
    role.play(|| {
        writeln!(io::stdout(), "ready")?;
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        Ok(())
    })?;
    Ok(())
}

fn die_with_parent() -> Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

fn process_id(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn open_process(pid: u32) -> Result<OwnedFd> {
    let pid = process_id(pid).context("no such process")?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Closes every descriptor from 3 up: what whoever started the demo left open in it.
fn close_inherited() {
    // SAFETY: nothing in this process uses one of them after this: `stage` calls it before it opens any, and `act`
    // once it is done with its own.
    let outcome = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    // Before Linux 5.9 there is no such call; then what was left open stays so.
    let _ = outcome;
}

/// Clones this process into new namespaces of these kinds, as a child of its parent. `None` in the clone.
fn clone_sibling(namespaces: ThreadNameSpaceType) -> io::Result<Option<u32>> {
    let flags = i64::from(namespaces.bits()) | i64::from(libc::CLONE_PARENT) | i64::from(libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack given this is fork(2): the clone has a copy of this memory. There
    // is one thread (this is a new program image that started none), so no lock is left held in the copy.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => u32::try_from(pid).map(Some).map_err(io::Error::other),
    }
}

/// Makes the caller root in the clone's user namespace.
fn map_user(actor: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    std::fs::write(format!("/proc/{actor}/uid_map"), format!("0 {} 1", uid.as_raw()))?;
    // The kernel lets nobody map a group without privilege while groups can still be dropped.
    std::fs::write(format!("/proc/{actor}/setgroups"), "deny")?;
    std::fs::write(format!("/proc/{actor}/gid_map"), format!("0 {} 1", gid.as_raw()))
}
