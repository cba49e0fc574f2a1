//! What chosen processes are doing: what their threads wait for, what they hold open, what CPU time they used.
//!
//! It reports facts; whether they make a pause container is `state`'s to say. It never reads `cmdline`, `environ`
//! or `maps` and never follows a descriptor: those can hang on a stuck process or a dead file server.

mod process;
mod syscall;

use std::io;
use std::time::Instant;

use rustix::io::Errno;

pub(super) use self::process::Directory;
use self::process::Stat;
use self::syscall::{Blocked, NATIVE, decode, decode_wchan};
use super::Context;
use crate::observation::{Behaviour, Gap, ProcessKey, Wait};

/// Threads looked at in one process. A pause container has one; who has more than this is no sleeper anyway.
const MAX_THREADS: usize = 64;
/// Descriptors looked at in one process, so that one with millions cannot eat the time of all.
const MAX_DESCRIPTORS: usize = 4096;
/// Open files noted for one process.
const MAX_FILES: usize = 8;

const NEEDS_PTRACE: &str =
    "another user's process shows it only to CAP_SYS_PTRACE (its descriptors to CAP_DAC_READ_SEARCH too)";

/// Reads how these processes behave. One that is gone, or whose pid is another's by now, is left out: it left
/// while we looked.
#[must_use]
pub fn read(context: &Context, processes: &[ProcessKey]) -> (Vec<Behaviour>, Vec<Gap>) {
    let mut behaviours = Vec::with_capacity(processes.len());
    let mut gaps = Vec::new();
    for (position, key) in processes.iter().enumerate() {
        if Instant::now() >= context.deadline {
            gaps.push(Gap::deciding(
                format!("how {} processes behave", processes.len() - position),
                "the time was up before they were read; a longer --timeout gives them theirs",
            ));
            break;
        }
        match read_one(context, *key) {
            Ok(Some(behaviour)) => behaviours.push(behaviour),
            Ok(None) => {}
            Err(error) => gaps.push(Gap::deciding(
                format!("how process {} behaves", key.pid),
                format!("its directory in /proc cannot be read: {error}"),
            )),
        }
    }
    let hidden = behaviours.iter().filter(|behaviour| is_hidden(behaviour)).count();
    if hidden > 0 {
        gaps.push(Gap::deciding(format!("what {hidden} processes wait for or hold open"), NEEDS_PTRACE));
    }
    (behaviours, gaps)
}

/// Whether part of what a class is judged by could not be read.
fn is_hidden(behaviour: &Behaviour) -> bool {
    behaviour.sockets.is_none() || behaviour.waits.iter().any(|wait| matches!(wait, Wait::Unreadable(_)))
}

fn read_one(context: &Context, key: ProcessKey) -> io::Result<Option<Behaviour>> {
    // The open directory stays bound to this process: a later process with the same pid is not reachable by it.
    let directory = match Directory::open(&context.host("/proc").join(key.pid.to_string())) {
        Ok(directory) => directory,
        Err(error) if is_gone(error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(stat) = stat_of(&directory, key)? else { return Ok(None) };
    let executable = directory.link("exe").ok().map(|path| base_name(&path));
    let waits = waits(&directory, stat.state);
    let descriptors = descriptors(&directory, context.deadline);
    // Once more: what an exec or an exit left half-read is no fact about this process.
    if stat_of(&directory, key)?.is_none() {
        return Ok(None);
    }
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let milliseconds = |ticks: u64| ticks.saturating_mul(1000) / ticks_per_second;
    let (sockets, files) = descriptors.map_or((None, Vec::new()), |(sockets, files)| (Some(sockets), files));
    Ok(Some(Behaviour {
        process: key,
        executable,
        waits,
        sockets,
        cpu_ms: Some(milliseconds(stat.own_ticks)),
        reaped_cpu_ms: Some(milliseconds(stat.reaped_ticks)),
        files,
    }))
}

/// The process's `stat`, if it still is that process.
fn stat_of(directory: &Directory, key: ProcessKey) -> io::Result<Option<Stat>> {
    match directory.read("stat") {
        Ok(text) => {
            let stat = Stat::parse(&text).ok_or_else(|| io::Error::other("its stat is not one"))?;
            Ok((stat.start_ticks == key.start_ticks && !stat.is_dead()).then_some(stat))
        }
        Err(error) if is_gone(error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a directory is still that of this process, alive.
pub(super) fn is_still(directory: &Directory, key: ProcessKey) -> io::Result<bool> {
    Ok(stat_of(directory, key)?.is_some())
}

/// What each thread waits for.
fn waits(directory: &Directory, leader_state: u8) -> Vec<Wait> {
    let threads = match directory.entries("task", MAX_THREADS + 1) {
        Ok(threads) => threads,
        Err(error) => return vec![Wait::Unreadable(format!("its threads cannot be listed: {error}"))],
    };
    let mut waits: Vec<Wait> =
        threads.iter().take(MAX_THREADS).filter_map(|thread| wait_of(directory, thread)).collect();
    if threads.len() > MAX_THREADS {
        waits.push(Wait::Other(format!("more than {MAX_THREADS} threads")));
    }
    if waits.is_empty() {
        let why = format!("none of its threads could be read (state {})", char::from(leader_state));
        waits.push(Wait::Unreadable(why));
    }
    waits
}

/// What one thread waits for; `None` where it is gone.
fn wait_of(directory: &Directory, thread: &str) -> Option<Wait> {
    let denied = match directory.read(&format!("task/{thread}/syscall")) {
        Ok(text) => match decode(&text, NATIVE) {
            Some(Blocked::On(wait)) => return Some(wait),
            Some(Blocked::Read(fd)) => {
                return Some(if directory.is_signalfd(fd) {
                    Wait::Signal
                } else {
                    Wait::Other("read".to_owned())
                });
            }
            Some(Blocked::Epoll(fd)) => {
                let wait = if watches_signals_only(directory, fd) {
                    Wait::Signal
                } else {
                    Wait::Other("epoll_wait".to_owned())
                };
                return Some(wait);
            }
            Some(Blocked::AskWchan(why)) => why.to_owned(),
            None => "its system call is given in a form that is not known".to_owned(),
        },
        Err(error) if is_gone(error) && !directory.has(&format!("task/{thread}")) => return None,
        Err(error) => format!("its system call cannot be read: {error}"),
    };
    // `syscall` wants the right to attach, which Yama's ptrace_scope 3 gives nobody; `wchan` the right to read.
    match directory.read(&format!("task/{thread}/wchan")) {
        Ok(text) => Some(decode_wchan(&text).unwrap_or_else(|| {
            let state =
                directory.read(&format!("task/{thread}/stat")).ok().and_then(|text| Stat::parse(&text));
            match state {
                Some(Stat { state: b'R', .. }) => Wait::Other("running".to_owned()),
                _ => Wait::Unreadable(denied),
            }
        })),
        Err(error) if is_gone(error) && !directory.has(&format!("task/{thread}")) => None,
        Err(_) => Some(Wait::Unreadable(denied)),
    }
}

/// Whether everything that an epoll descriptor watches is a signalfd (and it watches something).
fn watches_signals_only(directory: &Directory, fd: u32) -> bool {
    let Ok(text) = directory.read(&format!("fdinfo/{fd}")) else { return false };
    let mut watched = text
        .lines()
        .filter_map(|line| line.strip_prefix("tfd:"))
        .map(|rest| rest.split_ascii_whitespace().next().and_then(|number| number.parse().ok()))
        .peekable();
    watched.peek().is_some() && watched.all(|fd| fd.is_some_and(|fd| directory.is_signalfd(fd)))
}

/// How many sockets a process holds, and what its other descriptors from 3 up lead to; `None` where that cannot be
/// read whole.
fn descriptors(directory: &Directory, deadline: Instant) -> Option<(u32, Vec<String>)> {
    let names = directory.entries("fd", MAX_DESCRIPTORS + 1).ok()?;
    let (mut sockets, mut files) = (0, Vec::new());
    for name in names.iter().take(MAX_DESCRIPTORS) {
        if Instant::now() >= deadline {
            return None;
        }
        let target = match directory.link(&format!("fd/{name}")) {
            Ok(target) => target,
            // Closed since it was listed.
            Err(Errno::NOENT) => continue,
            Err(_) => return None,
        };
        if target.starts_with("socket:[") {
            sockets += 1;
        } else if files.len() <= MAX_FILES && name.parse().is_ok_and(|fd: u32| fd > 2) {
            files.push(if files.len() < MAX_FILES { target } else { "…".to_owned() });
        }
    }
    // With so many open and no socket among those looked at, the number is not known.
    (names.len() <= MAX_DESCRIPTORS || sockets > 0).then_some((sockets, files))
}

/// The last part of an executable's path, without the kernel's mark for one that was unlinked.
fn base_name(path: &str) -> String {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

pub(super) fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::SRCH)
}

#[cfg(test)]
mod tests;
