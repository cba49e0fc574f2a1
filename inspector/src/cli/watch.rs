//! `inspector watch`.

use std::io::{self, ErrorKind, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use super::args::WatchArgs;
use super::failure::Failure;
use super::resolve::{Input as From, Settings};
use super::terminal::Terminal;
use crate::live::{Engine, Moment};
use crate::observation::{HeardBy, Input};
use crate::render::{self, Format, Look};
use crate::source::{self, CollectError, Listening, Watcher};
use crate::view::{self, Event};

/// How often in a row looking may fail before it is given up.
const PATIENCE: u32 = 10;

/// Looks until it is told to stop, the time is up, or what was waited for has happened.
///
/// # Errors
/// If the node cannot be looked at, or there is nowhere to print.
pub fn run(args: &WatchArgs, settings: &Settings) -> Result<(), Failure> {
    let From::Node(options) = &settings.input else {
        return Err(Failure::usage("watch looks at this node; leave --replay out"));
    };
    let failed = |error: io::Error| {
        Failure::collect(format!(
            "could not start watching this node: {error}; raise its limits of memory or descriptors"
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let stream = Stream { args, settings, look: Terminal::detect().look(settings, false), written: false };
    let result = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let limit = async {
            match args.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = stream.follow(options.clone()) => done,
            () = limit => Ok(()),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    });
    runtime.shutdown_background();
    result
}

/// Where the events go.
struct Stream<'a> {
    args: &'a WatchArgs,
    settings: &'a Settings,
    look: Look,
    /// Whether an event was written: the first one names the machine.
    written: bool,
}

impl Stream<'_> {
    async fn follow(mut self, options: source::Options) -> Result<(), Failure> {
        let listening =
            Listening { background: self.args.background, all_processes: self.args.all_processes };
        let (mut watcher, first) = Watcher::start(options, listening).await.map_err(lost)?;
        let mut engine = Engine::start(first, watcher.heard_by(), self.settings.all)
            .with_processes(self.args.all_processes);
        if self.settings.headers && self.settings.format == Format::Table {
            let heading = heading(engine.last(), &watcher);
            if !write(&render::text::clean(&heading))? || !write("\n")? {
                return Ok(());
            }
        }
        let mut failures = 0;
        loop {
            let input = watcher.next().await.map_err(lost)?;
            match &input {
                Input::Look(_) => failures = 0,
                Input::Blind(blind) if failures < PATIENCE => {
                    log::warn!("could not look at this node: {}; trying again", blind.why);
                    failures += 1;
                }
                Input::Blind(blind) => {
                    return Err(Failure::collect(format!("could not watch this node: {}", blind.why)));
                }
                Input::Told(_) => {}
            }
            for event in engine.take(input) {
                if !self.takes(&event) {
                    continue;
                }
                let done = self.args.until == Some(event.event_type);
                if !self.tell(event, engine.last())? || done {
                    return Ok(());
                }
            }
        }
    }

    /// Whether somebody wants to know.
    fn takes(&self, event: &Event) -> bool {
        let args = self.args;
        let matches = |wanted: &[String], it: Option<&view::Named>| {
            wanted.is_empty()
                || it.is_some_and(|it| wanted.iter().any(|w| *w == it.name || it.id.starts_with(w.as_str())))
        };
        let entered = || event.namespaces.iter().filter_map(|it| it.to_pod.as_ref());
        let kind = |kind| {
            event.namespaces.iter().any(|it| it.kind == kind)
                || event.finding.as_ref().is_some_and(|it| it.subject.namespace_kind == Some(kind))
        };
        (args.events.is_empty() || args.events.contains(&event.event_type))
            && (matches(&args.pod, event.pod.as_ref()) || entered().any(|it| matches(&args.pod, Some(it))))
            && matches(&args.container, event.container.as_ref())
            && (args.kind.is_empty() || args.kind.iter().any(|it| kind(*it)))
    }

    /// Writes a line; false once nobody reads any more.
    fn tell(&mut self, mut event: Event, moment: &Moment) -> Result<bool, Failure> {
        if !self.written {
            event.node = Some(view::node(moment.observation()));
            self.written = true;
        }
        let line = match self.settings.format {
            Format::Json => render::events::line(&event).map_err(|error| {
                Failure::collect(format!(
                    "could not print an event: {error}; this is a bug, please report it"
                ))
            })?,
            _ => render::events::human(&event, &self.look),
        };
        write(&line)
    }
}

/// What is watched, and how, for people.
fn heading(moment: &Moment, watcher: &Watcher) -> String {
    let observation = moment.observation();
    let living = moment.pods().iter().filter(|pod| pod.running().next().is_some()).count();
    let how = match observation.source {
        crate::observation::TaskSource::Bpf => "the eBPF task iterator",
        crate::observation::TaskSource::Procfs => "/proc",
    };
    let gaps = observation.gaps.iter().filter(|gap| gap.could_change_verdict).count();
    let partial = match gaps {
        0 => String::new(),
        1 => "; 1 gap could change a verdict (see inspector pods)".to_owned(),
        gaps => format!("; {gaps} gaps could change a verdict (see inspector pods)"),
    };
    let interval = watcher.interval().as_millis();
    let seen = match watcher.heard_by() {
        Some(HeardBy::Fexit | HeardBy::Syscall) => {
            format!(
                "told by the kernel of forks, execs, exits, setns and unshare, and every {interval} ms by"
            )
        }
        Some(HeardBy::ForkExec) => {
            format!("told by the kernel of forks, execs and exits, and every {interval} ms by")
        }
        None => format!("every {interval} ms by"),
    };
    let unseen = match watcher.heard_by() {
        None => "; what comes and goes between two looks is not seen",
        Some(_) => "",
    };
    format!("watching {living} pods and groups on {}, {seen} {how}{unseen}{partial}", observation.node.name,)
}

fn lost(error: CollectError) -> Failure {
    Failure::collect(format!("could not watch this node: {error}"))
}

/// Writes and flushes; false where the reader is gone.
fn write(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::collect(format!(
            "could not write to standard output: {error}; the stream ends here"
        ))),
    }
}
