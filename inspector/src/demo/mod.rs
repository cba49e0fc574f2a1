//! `inspector demo`: pods of plain Linux namespaces, built, inspected, broken and removed before your eyes.
//!
//! It needs no container runtime, and no root where the kernel lets users make namespaces. The processes are this
//! program's own ([`process_main`]); they are shown by the code that shows every other pod, and what is said of
//! who died and who lived is what the kernel answered, never what was expected. All of them die with the demo,
//! however it ends.

mod actor;
mod child;
mod role;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::actor::{Actor, Fate, Start, Studio};
pub use self::child::process_main;
use self::role::Role;
use crate::observation::Kind;

/// What a user can say about the demo.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave the pods standing for so long before they are broken, to look at them from another terminal.
    pub keep: Option<Duration>,
}

/// Owners start this much earlier than who joins them: /proc tells start times to 10 ms only.
const HEAD_START: Duration = Duration::from_millis(40);
/// How long the kernel may take to kill a PID namespace, on a busy machine.
const DEATH_LIMIT: Duration = Duration::from_secs(5);
/// How long a survivor has to stay alive to be called one.
const SURVIVAL: Duration = Duration::from_millis(200);

const ALL: [Kind; 4] = [Kind::Pid, Kind::Net, Kind::Ipc, Kind::Uts];

/// Runs the demo. `show` prints the pods that hold the given processes, as `inspector pods` would.
///
/// To be called on the main thread: the processes die with the thread that started them.
///
/// # Errors
///
/// When the kernel allows no namespaces, when a process fails to start, when `show` fails or `out` is closed.
pub fn run(options: &Options, out: &mut dyn Write, show: &mut dyn FnMut(&[u32]) -> Result<()>) -> Result<()> {
    let mut studio = Studio::new()?;
    writeln!(
        out,
        "inspector demo: what the owner of a pod's namespaces is worth.\n\
         No container runtime: plain Linux namespaces, and processes of our own{}.\n",
        if studio.is_unprivileged()? { "\n(in user namespaces, as you are not root)" } else { "" }
    )?;

    let mut a = Pod::build(&mut studio, Role::Pause, &[Role::Web, Role::Sidecar], &ALL)?;
    let mut b = Pod::build(&mut studio, Role::Web, &[Role::Sidecar], &ALL)?;
    writeln!(out, "Pod A: demo-pause holds pid, net, ipc, uts; a web server and a sidecar joined it.")?;
    writeln!(out, "Pod B: a web server holds them itself; a sidecar joined it.\n")?;
    out.flush()?;
    show(&[a.pids(), b.pids()].concat())?;

    if let Some(keep) = options.keep {
        writeln!(
            out,
            "\nThey stay for {}: try `inspector pods` in another terminal. Ctrl-C ends it.",
            humantime::format_duration(keep)
        )?;
        out.flush()?;
        std::thread::sleep(keep);
    }

    writeln!(out, "\n1. We kill pod A's web server.")?;
    a.lose(1, out)?;
    tell(
        out,
        "The namespaces are demo-pause's, and it lives. The web server can be started again and join them as before: nobody else noticed.",
    )?;
    out.flush()?;
    show(&a.pids())?;

    writeln!(out, "\n2. We kill pod B's web server.")?;
    b.lose(0, out)?;
    tell(
        out,
        "It was PID 1 of the PID namespace that they share. When that process dies, the kernel kills every other one in the namespace: the sidecar did nothing wrong.",
    )?;

    writeln!(out, "\n3. We kill pod A's pause.")?;
    a.lose(0, out)?;
    tell(
        out,
        "A pause is no magic: it owns the namespaces, so they end with it. It is safer because it does nothing that could fail.",
    )?;

    writeln!(out, "\n4. Pod C: a web server holds net only; a sidecar joined it. We kill the web server.")?;
    split_brain(&mut studio, out)?;

    drop((a, b));
    writeln!(out, "\nAll processes and namespaces of the demo are gone.")?;
    Ok(out.flush()?)
}

/// The last act: an owner that is no init, and its successor.
fn split_brain(studio: &mut Studio, out: &mut dyn Write) -> Result<()> {
    let mut c = Pod::build(studio, Role::Web, &[Role::Sidecar], &[Kind::Net])?;
    c.lose(0, out)?;
    tell(
        out,
        "No PID namespace was shared, so nobody else was killed. The sidecar keeps the network namespace alive, without its owner.",
    )?;
    let successor = studio.start(Role::Web, &Start::Make(&[Kind::Net]))?;
    let (orphaned, new) = (c.actors[1].inode(Kind::Net)?, successor.inode(Kind::Net)?);
    writeln!(out, "   The web server is started again, as process {}:", successor.pid())?;
    writeln!(out, "     demo-sidecar  net:[{orphaned}]\n     demo-web      net:[{new}]")?;
    let meaning = if orphaned == new {
        "They share it again, which no kernel that we know of does."
    } else {
        "It got a new one. Each is alone now, and 127.0.0.1 is another place to each: a split brain. The sidecar has to be started again too."
    };
    Ok(tell(out, meaning)?)
}

/// Prints a paragraph of 80 columns at most.
fn tell(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    const WIDTH: usize = 79;
    let mut line = String::from("  ");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{line}")?;
            line = String::from("  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}

/// Processes in common namespaces; the first one owns them.
struct Pod {
    actors: Vec<Actor>,
}

impl Pod {
    fn build(studio: &mut Studio, owner: Role, joiners: &[Role], kinds: &[Kind]) -> Result<Self> {
        // One by one into the pod, which removes those it has if the next one fails.
        let mut pod = Self { actors: vec![studio.start(owner, &Start::Make(kinds))?] };
        std::thread::sleep(HEAD_START);
        for role in joiners {
            let start = Start::Join(kinds, pod.actors[0].pid());
            pod.actors.push(studio.start(*role, &start)?);
        }
        Ok(pod)
    }

    /// The pids of those that live.
    fn pids(&self) -> Vec<u32> {
        self.actors.iter().filter(|actor| actor.fate().is_none()).map(Actor::pid).collect()
    }

    /// Kills one of them, waits for what becomes of the others, and says it.
    fn lose(&mut self, victim: usize, out: &mut dyn Write) -> Result<()> {
        let dead_before: Vec<bool> = self.actors.iter().map(|actor| actor.fate().is_some()).collect();
        self.actors[victim].kill()?;
        // The init of a PID namespace is not dead before every other member is, and reaped: so look at all of them
        // in turns. Whoever lives when it is dead was no member.
        let deadline = Instant::now() + DEATH_LIMIT;
        while self.actors[victim].fate().is_none() {
            if Instant::now() >= deadline {
                bail!("{} outlived SIGKILL", self.actors[victim].name());
            }
            for actor in &mut self.actors {
                actor.wait(Duration::from_millis(5))?;
            }
        }
        for (position, actor) in self.actors.iter_mut().enumerate() {
            if dead_before[position] {
                continue;
            }
            let said = match actor.wait(SURVIVAL)? {
                None => "lives".to_owned(),
                Some(fate) if position == victim => format!("dead: {fate}, from us"),
                Some(fate @ Fate::Signal(_)) => format!("dead: {fate}, from the kernel: we sent it nothing"),
                Some(fate) => format!("dead: {fate}"),
            };
            writeln!(out, "     {:<13} {:>7}  {said}", actor.name(), actor.pid())?;
        }
        Ok(())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // All of them before any is waited for: see `lose`. What fails here dies with the demo at the latest.
        for actor in self.actors.iter().filter(|actor| actor.fate().is_none()) {
            let _ = actor.kill();
        }
        // Joiners first: their owner, as an init, is not gone before they are reaped.
        while self.actors.pop().is_some() {}
    }
}
