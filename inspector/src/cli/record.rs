//! `inspector record`.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::args::RecordArgs;
use super::failure::Failure;
use super::replay::seconds;
use super::resolve::{Input as From, Settings};
use super::{input, output, pods};
use crate::observation::{Input, Look, Observation};
use crate::recording::{self, About, Redactor, StreamFile, WriteError};
use crate::render::text::clean;
use crate::source::{CollectError, Listening, Options, Watcher, node};

/// What was taken is written after so long, whatever comes: no more than this is lost where the recording is killed.
const UNWRITTEN: Duration = Duration::from_secs(1);

/// How often in a row looking may fail before it is given up.
const PATIENCE: u32 = 10;

/// Looks, or watches for a while, and writes down what was seen.
///
/// # Errors
/// If there is nothing to write, or nowhere; with `--strict` also if the recording is partial.
pub fn run(args: &RecordArgs, settings: &Settings) -> Result<(), Failure> {
    let redactor = args.redact.then(Redactor::new).transpose().map_err(|error| {
        Failure::collect(format!("could not make pseudonyms: no random numbers: {error}; try again"))
    })?;
    let deciding = match args.duration {
        None => snapshot(args, settings, redactor.as_ref())?,
        Some(duration) => stream(args, duration, settings, redactor.as_ref())?,
    };
    if settings.strict && deciding > 0 {
        return Err(pods::partial(deciding));
    }
    Ok(())
}

/// Records one moment. Gives the gaps that could change a verdict.
fn snapshot(args: &RecordArgs, settings: &Settings, redactor: Option<&Redactor>) -> Result<usize, Failure> {
    let observation = input::observe(&settings.input)?;
    let (tasks, containers) = (observation.tasks.len(), observation.containers.len());
    let (name, deciding) = (observation.node.name.clone(), deciding(&observation));
    let observation = match redactor {
        Some(redactor) => redactor.observation(observation),
        None => observation,
    };
    let bytes = write(&observation, &args.file)?;
    let how = if redactor.is_some() { ", redacted" } else { "" };
    say(
        args,
        &format!(
            "recorded {tasks} tasks and {containers} containers of {name} in {}{how} ({bytes} bytes)",
            args.file.display(),
        ),
    )?;
    Ok(deciding)
}

fn deciding(observation: &Observation) -> usize {
    observation.gaps.iter().filter(|gap| gap.could_change_verdict).count()
}

/// Tells people, unless it is the recording that goes to standard output.
fn say(args: &RecordArgs, text: &str) -> Result<(), Failure> {
    if args.file == Path::new("-") {
        return Ok(());
    }
    output::print(&format!("{}\n", clean(text)))
}

fn write(observation: &Observation, file: &Path) -> Result<u64, Failure> {
    let created = observation.node.time.unwrap_or_else(jiff::Timestamp::now);
    if file != Path::new("-") {
        return recording::save(observation, created, file).map_err(|error| failed(file, &error));
    }
    let mut result = Ok(0);
    output::with_stdout(|mut out| match recording::write(observation, created, &mut out) {
        Err(WriteError::Io(error)) => Err(error),
        other => {
            result = other;
            Ok(())
        }
    })?;
    result.map_err(|error| failed(file, &error))
}

fn failed(file: &Path, error: &WriteError) -> Failure {
    let remedy = match error {
        WriteError::InTheWay(_) => "",
        _ => "; choose a folder with room that you may write to",
    };
    Failure::collect(format!("could not record to {}: {error}{remedy}", file.display()))
}

/// Records what happens, until the time is up or it is told to stop. Gives the gaps that could change a verdict.
fn stream(
    args: &RecordArgs,
    duration: Duration,
    settings: &Settings,
    redactor: Option<&Redactor>,
) -> Result<usize, Failure> {
    let From::Node(options) = &settings.input else {
        return Err(Failure::usage("record looks at this node; leave --replay out"));
    };
    let failed = |error: io::Error| {
        Failure::collect(format!(
            "could not start recording this node: {error}; raise its limits of memory or descriptors"
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        // Before the first look: who stops it meanwhile has recorded nothing, and the older file stays.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        record(args, duration, options.clone(), redactor, stop).await
    });
    runtime.shutdown_background();
    result
}

async fn record(
    args: &RecordArgs,
    duration: Duration,
    options: Options,
    redactor: Option<&Redactor>,
    stop: impl Future<Output = ()>,
) -> Result<usize, Failure> {
    tokio::pin!(stop);
    let listening = Listening { background: false, all_processes: args.all_processes };
    let (mut watcher, first) = tokio::select! {
        started = Watcher::start(options, listening) => started.map_err(|error| lost(&error))?,
        () = &mut stop => {
            let before = "could not record this node: it was stopped before everything was looked at; let it run longer";
            return Err(Failure::collect(before));
        }
    };
    let begin_ns = first.observation.node.boottime_ns;
    let name = first.observation.node.name.clone();
    let mut gaps = deciding(&first.observation);
    let about = About {
        created: first.observation.node.time.unwrap_or_else(jiff::Timestamp::now),
        by: watcher.heard_by(),
        interval_ms: u64::try_from(watcher.interval().as_millis()).unwrap_or(u64::MAX),
        all_processes: args.all_processes,
        redacted: redactor.is_some(),
    };
    let mut recording = Recording::begin(args, redactor, &about, first)?;
    let how = if redactor.is_some() { ", redacted," } else { "" };
    let (file, length) = (args.file.display(), humantime::format_duration(duration));
    say(args, &format!("recording {name}{how} into {file} for {length}; Ctrl-C ends it sooner"))?;

    let limit = tokio::time::sleep(duration);
    tokio::pin!(limit);
    let mut failures = 0;
    let mut ticks = tokio::time::interval(UNWRITTEN);
    let result = 'watching: loop {
        // Not to be dropped half-way: it may hold what the kernel told.
        let next = watcher.next();
        tokio::pin!(next);
        let input = loop {
            tokio::select! {
                input = &mut next => match input {
                    Ok(input) => break input,
                    Err(error) => break 'watching Err(lost(&error)),
                },
                _ = ticks.tick() => {
                    if !recording.flush()? {
                        break 'watching Ok(());
                    }
                }
                () = &mut limit => break 'watching Ok(()),
                () = &mut stop => break 'watching Ok(()),
            }
        };
        match &input {
            Input::Look(look) => (failures, gaps) = (0, deciding(&look.observation)),
            Input::Blind(blind) => {
                failures += 1;
                log::warn!("could not look at this node: {}; trying again", blind.why);
                if failures > PATIENCE {
                    break Err(Failure::collect(format!(
                        "could not record this node any longer: {}",
                        blind.why
                    )));
                }
            }
            Input::Told(_) => {}
        }
        if !recording.put(input)? {
            break Ok(());
        }
    };
    // What there is stays, whatever ended it.
    let end_ns = node::boottime_ns();
    let totals = recording.finish(end_ns)?;
    result?;
    if let Some(recording::Totals { inputs, events, lost, bytes }) = totals {
        let seconds = seconds(end_ns.saturating_sub(begin_ns));
        let (file, text) = (args.file.display(), format!("recorded {seconds} s of {name}"));
        say(
            args,
            &format!(
                "{text} in {file}: {inputs} inputs, {events} events of the kernel, {lost} lost ({bytes} bytes)"
            ),
        )?;
    }
    Ok(gaps)
}

fn lost(error: &CollectError) -> Failure {
    Failure::collect(format!("could not record this node: {error}"))
}

/// Where the stream goes, and by which names.
struct Recording<'a> {
    file: &'a Path,
    redactor: Option<&'a Redactor>,
    out: StreamFile,
}

impl<'a> Recording<'a> {
    fn begin(
        args: &'a RecordArgs,
        redactor: Option<&'a Redactor>,
        about: &About,
        first: Look,
    ) -> Result<Self, Failure> {
        let first = match redactor {
            Some(redactor) => redactor.look(first),
            None => first,
        };
        let file = args.file.as_path();
        let out = if file == Path::new("-") {
            StreamFile::to(Box::new(io::stdout()), about, &first)
        } else {
            StreamFile::create(file, about, &first)
        };
        Ok(Self { file, redactor, out: out.map_err(|error| failed(file, &error))? })
    }

    /// Takes an input; false once nobody reads any more.
    fn put(&mut self, input: Input) -> Result<bool, Failure> {
        let input = match self.redactor {
            Some(redactor) => redactor.input(input),
            None => input,
        };
        let result = self.out.put(&input);
        self.goes_on(result)
    }

    /// Writes what was taken; false once nobody reads any more.
    fn flush(&mut self) -> Result<bool, Failure> {
        let result = self.out.flush();
        self.goes_on(result)
    }

    /// Ends it; `None` if nobody reads any more.
    fn finish(&mut self, boottime_ns: u64) -> Result<Option<recording::Totals>, Failure> {
        let result = self.out.finish(boottime_ns);
        Ok(self.goes_on(result.map(|_| ()))?.then(|| self.out.totals()))
    }

    fn goes_on(&self, result: Result<(), WriteError>) -> Result<bool, Failure> {
        match result {
            Ok(()) => Ok(true),
            Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(failed(self.file, &error)),
        }
    }
}
