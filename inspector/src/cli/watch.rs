//! `inspector watch`.

use std::io::{self, ErrorKind, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use super::args::WatchArgs;
use super::failure::Failure;
use super::fullscreen::{Fullscreen, Stage};
use super::input;
use super::replay::{Replay, later};
use super::resolve::{Input as From, Recorded, Settings};
use super::terminal::Terminal;
use crate::live::{Engine, Moment, Wanted};
use crate::observation::{HeardBy, Input};
use crate::recording::Recording;
use crate::render::{self, Format, Look};
use crate::source::{self, CollectError, Listening, Watcher};
use crate::view::{self, Event, ProcessEvent};

/// How often in a row looking may fail before it is given up.
const PATIENCE: u32 = 10;

/// So many bytes are not kept until there are more: as many as a pipe takes at once.
const ENOUGH: usize = 64 << 10;

/// Looks until it is told to stop, the time is up, or what was waited for has happened.
///
/// # Errors
/// If the node cannot be looked at, or there is nowhere to print.
pub fn run(args: &WatchArgs, settings: &Settings) -> Result<(), Failure> {
    let options = match &settings.input {
        From::Node(options) => options,
        From::Recording(_) if args.tui => {
            return Err(Failure::usage("--tui shows this node as it is now; leave it or --replay out"));
        }
        From::Recording(recorded) => return Stream::new(args, settings).replay(recorded),
    };
    let failed = |error: io::Error| {
        Failure::collect(format!(
            "could not start watching this node: {error}; raise its limits of memory or descriptors"
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut screen = Fullscreen::start(args, settings)?;
    let stage = screen.as_ref().map(|screen| screen.stage(args));
    let stream = Stream { stage, ..Stream::new(args, settings) };
    let result = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let limit = async {
            match args.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            done = Fullscreen::ended(&mut screen) => done,
            done = stream.follow(options.clone()) => done,
            () = limit => Ok(()),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        Fullscreen::end(screen).await;
        done
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
    wanted: Wanted,
    /// Lines that are written together.
    lines: Vec<u8>,
    /// Room for a line.
    line: String,
    /// Where they go instead, where the whole screen is drawn on.
    stage: Option<Stage>,
}

impl<'a> Stream<'a> {
    fn new(args: &'a WatchArgs, settings: &'a Settings) -> Self {
        let look = Terminal::detect().look(settings, false);
        let wanted = Wanted {
            types: args.events.clone(),
            pods: args.pod.clone(),
            containers: args.container.clone(),
            kinds: args.kind.clone(),
        };
        Self {
            args,
            settings,
            look,
            written: false,
            wanted,
            lines: Vec::new(),
            line: String::new(),
            stage: None,
        }
    }

    async fn follow(mut self, options: source::Options) -> Result<(), Failure> {
        let listening =
            Listening { background: self.args.background, all_processes: self.args.all_processes };
        let (mut watcher, first) = Watcher::start(options, listening).await.map_err(lost)?;
        let mut engine =
            Engine::start(first, watcher.heard_by(), self.settings.all).with_processes(self.processes());
        let how = heard(&watcher);
        if let Some(stage) = &mut self.stage {
            stage.show(engine.last(), &how, engine.lost());
        } else if self.settings.headers && self.settings.format == Format::Table {
            let heading = heading(engine.last(), &watcher);
            if !write(format!("{}\n", render::text::clean(&heading)).as_bytes())? {
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
                    if let Some(stage) = &mut self.stage {
                        stage.fail(&format!("could not look at this node: {}; trying again", blind.why));
                    }
                    failures += 1;
                }
                Input::Blind(blind) => {
                    return Err(Failure::collect(format!("could not watch this node: {}", blind.why)));
                }
                Input::Told(_) => {}
            }
            let looked = matches!(input, Input::Look(_));
            let Some(events) = self.take(&mut engine, input, 0)? else { return Ok(()) };
            if let Some(stage) = self.stage.as_mut().filter(|_| looked || events > 0) {
                stage.show(engine.last(), &how, engine.lost());
            }
        }
    }

    /// Tells what a recording over time has, as if it happened now.
    fn replay(mut self, recorded: &Recorded) -> Result<(), Failure> {
        let Recorded { file, at } = recorded;
        let Recording::Stream(stream, first) = input::open(file)? else {
            return Err(Failure::usage(format!(
                "{} is of one moment, in which nothing happens; record with `inspector record FILE --for DURATION`",
                file.display()
            )));
        };
        let mut replay = Replay::new(file, *stream, &first);
        if self.args.all_processes && !replay.about().all_processes {
            return Err(Failure::usage(format!(
                "{} was recorded without --all-processes; leave it out",
                file.display()
            )));
        }
        let from_ns = at.map(|at| replay.moment(at)).transpose()?;
        let begin_ns = from_ns.unwrap_or(replay.begin().boottime_ns);
        if let Some(duration) = self.args.duration {
            replay.until(later(begin_ns, duration));
        }
        let mut engine =
            Engine::start(*first, replay.about().by, self.settings.all).with_processes(self.processes());
        if self.settings.headers && self.settings.format == Format::Table {
            let time = engine.last().observation().node.time.map(|time| format!(" from {time:.3} on"));
            let node = &engine.last().observation().node.name;
            let living = living(engine.last());
            let heading = format!(
                "replaying what happened on {node}{}, with {living} pods and groups at its beginning",
                time.unwrap_or_default()
            );
            if !write(format!("{}\n", render::text::clean(&heading)).as_bytes())? {
                return Ok(());
            }
        }
        while let Some(input) = replay.next()? {
            if self.take(&mut engine, input, from_ns.unwrap_or(0))?.is_none() {
                return Ok(());
            }
        }
        if let Some(from_ns) = from_ns {
            replay.reaches(from_ns)?;
        }
        if let Some(gap) = replay.cut_off() {
            log::warn!("{} of {} is missing: {}", gap.what, file.display(), gap.why);
        }
        Ok(())
    }

    /// What is told of single processes, where every one is asked for.
    fn processes(&self) -> Option<Wanted> {
        self.args.all_processes.then(|| self.wanted.clone())
    }

    /// Has the engine take an input, and tells what is wanted of what it brought from some moment on. Gives how many events there
    /// were besides those of single processes; `None` once it is over: what was waited for has happened, or nobody reads any more.
    /// No line waits for the next input.
    fn take(&mut self, engine: &mut Engine, input: Input, from_ns: u64) -> Result<Option<usize>, Failure> {
        let mut goes_on = Ok(true);
        let events = engine.take_telling(input, |event, moment| {
            if matches!(goes_on, Ok(true)) && event.boottime_ns >= from_ns {
                goes_on = self.tell_process(event, moment);
            }
        });
        if !goes_on? {
            return Ok(None);
        }
        let count = events.len();
        for event in events.into_iter().filter(|event| event.boottime_ns >= from_ns) {
            if self.wanted.takes(&event) && !self.tell(event, engine.last())? {
                return Ok(None);
            }
        }
        Ok(self.flush()?.then_some(count))
    }

    /// Tells of something that is wanted. Its line may wait until the rest of its input is told. False once it is over.
    fn tell(&mut self, mut event: Event, moment: &Moment) -> Result<bool, Failure> {
        let done = self.args.until == Some(event.event_type);
        if let Some(stage) = &self.stage {
            let line = done.then(|| {
                self.line.clear();
                render::events::human(&event, &self.look, &mut self.line);
                self.line.clone()
            });
            stage.tell(event, line);
            return Ok(!done);
        }
        if !self.written {
            event.node = Some(Box::new(view::node(moment.observation())));
        }
        self.add(
            done,
            |lines| render::events::line(&event, lines),
            |look, line| render::events::human(&event, look, line),
        )
    }

    /// The same of a process.
    fn tell_process(&mut self, event: &ProcessEvent<'_>, moment: &Moment) -> Result<bool, Failure> {
        // The first one is of more parts than others.
        if self.stage.is_some() || !self.written {
            return self.tell(event.into(), moment);
        }
        self.add(
            self.args.until == Some(event.event_type),
            |lines| render::events::process_line(event, lines),
            |look, line| render::events::process_human(event, look, line),
        )
    }

    /// Adds a line to those that are written next; false once nothing is to follow.
    fn add(
        &mut self,
        done: bool,
        json: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
        human: impl FnOnce(&Look, &mut String),
    ) -> Result<bool, Failure> {
        self.written = true;
        let start = self.lines.len();
        if self.settings.format == Format::Json {
            if let Err(error) = json(&mut self.lines) {
                self.lines.truncate(start);
                self.flush()?;
                return Err(Failure::collect(format!(
                    "could not print an event: {error}; this is a bug, please report it"
                )));
            }
        } else {
            self.line.clear();
            human(&self.look, &mut self.line);
            self.lines.extend_from_slice(self.line.as_bytes());
        }
        if done || self.lines.len() >= ENOUGH {
            return Ok(self.flush()? && !done);
        }
        Ok(true)
    }

    /// Writes what there is; false once nobody reads any more.
    fn flush(&mut self) -> Result<bool, Failure> {
        let is_read = self.lines.is_empty() || write(&self.lines)?;
        self.lines.clear();
        Ok(is_read)
    }
}

/// How changes are noticed, for a line of state.
fn heard(watcher: &Watcher) -> String {
    match watcher.heard_by() {
        Some(HeardBy::Fexit) => "told by the kernel (fentry)".to_owned(),
        Some(HeardBy::Syscall) => "told by the kernel (syscall)".to_owned(),
        Some(HeardBy::ForkExec) => "told by the kernel (fork-exec)".to_owned(),
        None => format!("looking every {} ms", watcher.interval().as_millis()),
    }
}

/// How many pods have a living container.
fn living(moment: &Moment) -> usize {
    moment.pods().iter().filter(|pod| pod.running().next().is_some()).count()
}

/// What is watched, and how, for people.
fn heading(moment: &Moment, watcher: &Watcher) -> String {
    let observation = moment.observation();
    let living = living(moment);
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
fn write(text: &[u8]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::collect(format!(
            "could not write to standard output: {error}; the stream ends here"
        ))),
    }
}
