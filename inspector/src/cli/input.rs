//! Gets the observation that a command answers from: of this node, or of a recording.

use std::io::{self, BufReader, IsTerminal as _};
use std::path::Path;

use super::connect;
use super::failure::Failure;
use super::replay::{self, Replay};
use super::resolve::{Input, Recorded};
use crate::observation::Observation;
use crate::recording::{self, Problem, ReadError, Recording};
use crate::source::{Context, Options};

/// Gets it.
///
/// # Errors
/// If the node cannot be looked at, or the recording is unsound.
pub fn observe(input: &Input) -> Result<Observation, Failure> {
    match input {
        Input::Node(options) => collect(options),
        Input::Recording(recorded) => replay(recorded),
    }
}

/// Looks at this node.
///
/// # Errors
/// If nothing can be collected.
pub fn collect(options: &Options) -> Result<Observation, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::collect(format!(
            "could not start collecting on this node: {error}; raise its limits of memory or descriptors"
        ))
    })?;
    let observation = runtime.block_on(connect::collect(&Context::new(options.clone())));
    // A task that a slow daemon still holds must not keep the answer waiting.
    runtime.shutdown_background();
    observation
}

/// What a recording says of its end, or of the moment that is asked for.
///
/// # Errors
/// If it is unsound, or does not cover that moment.
pub fn replay(recorded: &Recorded) -> Result<Observation, Failure> {
    let Recorded { file, at } = recorded;
    match (open(file)?, at) {
        (Recording::Snapshot(observation), None) => Ok(*observation),
        (Recording::Snapshot(_), Some(_)) => Err(Failure::usage(format!(
            "--at asks for a moment of what happened, and {} is of one moment only; leave it out, or record with \
             `inspector record FILE --for DURATION`",
            file.display()
        ))),
        (Recording::Stream(stream, first), at) => {
            replay::observation(Replay::new(file, *stream, &first), *first, *at)
        }
    }
}

/// Opens a recording.
///
/// # Errors
/// If it is unsound.
pub fn open(file: &Path) -> Result<Recording, Failure> {
    let result = if file == Path::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(Failure::usage(
                "--replay - reads a recording from standard input, which is a terminal; redirect it",
            ));
        }
        recording::read_any(Box::new(BufReader::new(stdin)))
    } else {
        recording::open(file)
    };
    result.map_err(|error| unsound(file, &error))
}

/// Why a recording cannot be replayed.
pub fn unsound(file: &Path, error: &ReadError) -> Failure {
    let remedy = match &error.problem {
        Problem::Io(_) | Problem::NotAFile(_) => {
            "name a file that `inspector record` wrote and that you may read"
        }
        Problem::OtherVersion(_) => "use the inspector that wrote it, or record again",
        _ => "record again with `inspector record`",
    };
    Failure::collect(format!("could not replay {}: {error}; {remedy}", file.display()))
}
