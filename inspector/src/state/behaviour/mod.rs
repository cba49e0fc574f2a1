//! Whether an owner is a pause container or an application: by what its processes do, or, of a dead one, by what
//! its command would do. Pure. Names of containers and images are no argument here, and a program's own name only
//! together with what it is seen to do.

mod command;
mod script;

use std::fmt::Write as _;

pub use self::command::classify_command;
use crate::observation::{Behaviour, Task, Wait};
use crate::view::Class;

/// A judgement, with its reasons in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassVerdict {
    /// Pause, application or unknown.
    pub class: Class,
    /// Why, with the facts: what it waits for, its sockets, its CPU time.
    pub why: String,
}

impl ClassVerdict {
    fn new(class: Class, why: impl Into<String>) -> Self {
        Self { class, why: why.into() }
    }
}

/// Inits that reap children and pass signals on, and do nothing else.
pub(crate) const INITS: [&str; 6] =
    ["tini", "tini-static", "docker-init", "catatonit", "podman-init", "dumb-init"];
/// One executable that is many programs; the kernel's name for the task says which.
pub(crate) const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];
pub(crate) const SHELLS: [&str; 7] = ["sh", "dash", "bash", "ash", "ksh", "mksh", "zsh"];

/// CPU time that says nothing at any age: to start (link, parse a script, set up signals) costs a few milliseconds, and
/// the runtime's own work before its exec, which counts as this process's, some tens.
const START_UP_MS: u64 = 100;
/// How much longer the same start takes elsewhere (an emulated node needs 800 ms for it) cannot be told from here. But
/// whoever only starts and then waits has soon waited for longer than it ran, and whoever is busy has not: one part in
/// this many of its age …
const START_UP_SHARE: u64 = 2;
/// … up to this much. From then on CPU time does not grow with a start's age any more.
const SLOW_START_UP_MS: u64 = 3_000;
/// What it may use later is one part in this many of its age: tini and `tail -f` wake once a second for some 20 µs (1 in
/// 50,000); a server that answers even one request a second uses more than 1 in 2,000.
const IDLE_SHARE: u64 = 2_000;
/// A shell that starts a `sleep` every second spends about 1 ms on each: that alone is 1 in 1,000.
const LOOP_SHARE: u64 = 100;

/// Classifies a living owner by its processes (exec sessions left out): `now_boottime_ns` is the observation's own
/// time, `declared_command` what its runtime started, empty where nobody declares one.
#[must_use]
pub fn classify(
    processes: &[(&Task, Option<&Behaviour>)],
    declared_command: &[String],
    now_boottime_ns: u64,
) -> ClassVerdict {
    let alive: Vec<_> = processes
        .iter()
        .filter(|(task, _)| task.is_leader() && !task.is_dead() && !task.kernel_thread)
        .collect();
    let command = classify_command(declared_command);
    let mut parts = Vec::with_capacity(alive.len());
    for (task, behaviour) in &alive {
        parts.push(match behaviour {
            Some(behaviour) => judge(task, behaviour, &command, now_boottime_ns),
            None => Part::Unreadable("nothing of it could be read".to_owned()),
        });
    }
    // A finite sleep is no end in itself: whoever waits for it may do something afterwards.
    for (position, (task, behaviour)) in alive.iter().enumerate() {
        let waits_for_a_sleeper = alive
            .iter()
            .zip(&parts)
            .any(|((child, _), part)| child.parent == task.pid && matches!(part, Part::Sleeper(_)));
        if let (true, Part::Endless(_), Some(behaviour)) = (waits_for_a_sleeper, &parts[position], behaviour)
        {
            parts[position] = judge_sleepers_parent(task, behaviour, &command, now_boottime_ns);
        }
    }
    sum_up(&alive.iter().map(|(task, _)| *task).zip(parts).collect::<Vec<_>>())
}

/// What one process is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// It waits without end.
    Endless(String),
    /// A well-known sleeper that wakes now and then (or one whose end cannot be told).
    Sleeper(String),
    /// A well-known init.
    Init(String),
    /// It does, or will do, something.
    Works(String),
    /// Not enough of it could be read.
    Unreadable(String),
}

fn judge(task: &Task, behaviour: &Behaviour, command: &ClassVerdict, now_boottime_ns: u64) -> Part {
    match behaviour.sockets {
        Some(0) => {}
        Some(1) => return Part::Works("holds a socket".to_owned()),
        Some(sockets) => return Part::Works(format!("holds {sockets} sockets")),
        None => return Part::Unreadable("its descriptors could not be read".to_owned()),
    }
    if let Some(why) = behaviour.waits.iter().find_map(unreadable) {
        return Part::Unreadable(why);
    }
    let Some(cpu_ms) = behaviour.cpu_ms else {
        return Part::Unreadable("its CPU time could not be read".to_owned());
    };
    // What it reaped is not counted: the init of a shared PID namespace is given every container's orphans.
    let share =
        if command.class == Class::Pause && is_shell(task, behaviour) { LOOP_SHARE } else { IDLE_SHARE };
    if cpu_ms > allowance_ms(task, now_boottime_ns, share) {
        return Part::Works(format!("used {cpu_ms} ms of CPU time"));
    }
    let executable = behaviour.executable.as_deref();
    let waits = &behaviour.waits;
    let any_of = |names: &[&str]| executable.is_some_and(|name| names.contains(&name));
    if any_of(&INITS) && waits.iter().all(is_init_wait) {
        return Part::Init(describe(task, behaviour));
    }
    if let Some(part) = judge_well_known(task, behaviour, command) {
        return part;
    }
    match waits.iter().find(|wait| !matches!(wait, Wait::Signal | Wait::Children)) {
        None if waits.is_empty() => Part::Unreadable("none of its threads could be read".to_owned()),
        None => Part::Endless(describe(task, behaviour)),
        // Where only the kernel's function is known, the time limit is not.
        Some(Wait::Other(name)) if name == "rt_sigtimedwait" => {
            Part::Unreadable("it waits for a signal, with or without a time limit".to_owned())
        }
        Some(Wait::Sleep) => Part::Works("sleeps for a while only".to_owned()),
        Some(wait) => Part::Works(words(wait)),
    }
}

/// `sleep` and `tail -f /dev/null`, by what they are and do; `None` for any other program.
fn judge_well_known(task: &Task, behaviour: &Behaviour, command: &ClassVerdict) -> Option<Part> {
    let executable = behaviour.executable.as_deref()?;
    let [wait] = behaviour.waits.as_slice() else { return None };
    let multi_call = MULTI_CALL.contains(&executable);
    let program = if multi_call { &*task.comm } else { executable };
    let sleeps = *wait == Wait::Sleep;
    match program {
        "sleep" if sleeps => Some(Part::Sleeper(describe(task, behaviour))),
        "tail" if sleeps || matches!(wait, Wait::Other(call) if FOLLOWS.contains(&call.as_str())) => {
            // A pipe from 3 up was left to it by whoever started it: tail opens files by their names.
            let idle = |file: &String| {
                file == "/dev/null" || file.starts_with("anon_inode:") || file.starts_with("pipe:[")
            };
            let follows_nothing = if behaviour.files.iter().any(|file| file == "/dev/null") {
                behaviour.files.iter().all(idle)
            } else {
                // `tail -f` of its standard input, if that is what it was told to do.
                behaviour.files.is_empty() && command.class == Class::Pause
            };
            Some(if follows_nothing {
                Part::Sleeper(format!("{}, and follows /dev/null", describe(task, behaviour)))
            } else {
                Part::Works("follows a file".to_owned())
            })
        }
        // Started as `busybox sleep`, it keeps its own name: only the command can tell it from `busybox crond`.
        name if multi_call && name == executable && sleeps => Some(if command.class == Class::Pause {
            Part::Sleeper(describe(task, behaviour))
        } else {
            Part::Works(format!("sleeps for a while only, as a part of {executable} that nothing names"))
        }),
        _ => None,
    }
}

/// The system calls in which `tail -f` waits for a change.
const FOLLOWS: [&str; 6] = ["read", "poll", "ppoll", "select", "pselect6", "poll_schedule_timeout"];

/// Who waits for a sleep that ends: a shell whose script does nothing else is a sleeper too.
fn judge_sleepers_parent(
    task: &Task,
    behaviour: &Behaviour,
    command: &ClassVerdict,
    now_boottime_ns: u64,
) -> Part {
    let Some(executable) = behaviour.executable.as_deref() else {
        return Part::Unreadable("its executable could not be read".to_owned());
    };
    if !is_shell(task, behaviour) {
        return Part::Works(format!("{executable} waits for a sleep that ends"));
    }
    match command.class {
        Class::Pause => Part::Sleeper(format!("{}, and its script only sleeps", describe(task, behaviour))),
        // Its children so far, all of them, used next to no time: a job of any kind would show.
        Class::Unknown => match behaviour.reaped_cpu_ms {
            Some(reaped) if reaped <= START_UP_MS + age_ms(task, now_boottime_ns) / LOOP_SHARE => {
                Part::Sleeper(format!("{}, and its children only slept", describe(task, behaviour)))
            }
            Some(reaped) => Part::Works(format!("a shell whose children used {reaped} ms of CPU time")),
            None => Part::Unreadable("its children's CPU time could not be read".to_owned()),
        },
        _ => Part::Works("a shell between two jobs: its script does not only sleep".to_owned()),
    }
}

/// A shell, by its executable. A multi-call one that waits for a child is its shell, whatever its name.
fn is_shell(task: &Task, behaviour: &Behaviour) -> bool {
    let Some(executable) = behaviour.executable.as_deref() else { return false };
    SHELLS.contains(&executable)
        || (MULTI_CALL.contains(&executable) && (SHELLS.contains(&&*task.comm) || &*task.comm == executable))
}

const fn is_init_wait(wait: &Wait) -> bool {
    match wait {
        Wait::Signal | Wait::TimedSignal | Wait::Children => true,
        // `rt_sigtimedwait` of unknown limit, from wchan. (`str` is not comparable in a const fn.)
        Wait::Other(call) => matches!(call.as_bytes(), b"rt_sigtimedwait"),
        Wait::Sleep | Wait::Unreadable(_) => false,
    }
}

fn unreadable(wait: &Wait) -> Option<String> {
    match wait {
        Wait::Unreadable(why) => Some(why.clone()),
        _ => None,
    }
}

/// The CPU time of a start, on however slow a machine, and of next to nothing since.
fn allowance_ms(task: &Task, now_boottime_ns: u64, share: u64) -> u64 {
    let age_ms = age_ms(task, now_boottime_ns);
    (age_ms / START_UP_SHARE).clamp(START_UP_MS, SLOW_START_UP_MS) + age_ms / share
}

fn age_ms(task: &Task, now_boottime_ns: u64) -> u64 {
    now_boottime_ns.saturating_sub(task.start_boottime_ns) / 1_000_000
}

/// What a process is and does, in words.
fn describe(task: &Task, behaviour: &Behaviour) -> String {
    let mut words_of: Vec<String> = behaviour.waits.iter().map(words).collect();
    words_of.dedup();
    let name = behaviour.executable.as_deref().unwrap_or(&task.comm);
    let mut text = format!("{name} {}", words_of.join(", "));
    if let Some(cpu_ms) = behaviour.cpu_ms {
        let _ = write!(text, ", {cpu_ms} ms of CPU time");
    }
    text
}

fn words(wait: &Wait) -> String {
    match wait {
        Wait::Signal => "waits for a signal".to_owned(),
        Wait::Children => "waits for its children".to_owned(),
        Wait::TimedSignal => "waits for a signal, a while at a time".to_owned(),
        Wait::Sleep => "sleeps".to_owned(),
        Wait::Other(what) if what == "running" => "is running".to_owned(),
        Wait::Other(what) => format!("is in {what}"),
        Wait::Unreadable(why) => why.clone(),
    }
}

/// One process that works makes an application, whatever could not be read; else what could not be read decides.
fn sum_up(parts: &[(&Task, Part)]) -> ClassVerdict {
    let named = |task: &Task, why: &str| format!("process {} ({}): {why}", task.pid, task.comm);
    if parts.is_empty() {
        return ClassVerdict::new(Class::Unknown, "no living process of it was seen");
    }
    for (task, part) in parts {
        if let Part::Works(why) = part {
            return ClassVerdict::new(Class::Application, named(task, why));
        }
    }
    for (task, part) in parts {
        if let Part::Unreadable(why) = part {
            return ClassVerdict::new(Class::Unknown, named(task, why));
        }
    }
    // An init alone, with nothing to look after, waits as well.
    let does: Vec<&str> = parts
        .iter()
        .filter_map(|(_, part)| match part {
            Part::Endless(why) | Part::Sleeper(why) | Part::Init(why) => Some(why.as_str()),
            Part::Works(_) | Part::Unreadable(_) => None,
        })
        .collect();
    const SHOWN: usize = 3;
    let mut why = does.iter().take(SHOWN).copied().collect::<Vec<_>>().join("; ");
    if does.len() > SHOWN {
        let _ = write!(why, "; {} more like these", does.len() - SHOWN);
    }
    ClassVerdict::new(Class::Pause, format!("{why}; no sockets"))
}

#[cfg(test)]
mod tests;
