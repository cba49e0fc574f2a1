//! Gets the observation that a command answers from: of this node, or of a recording.

use std::io::{self, BufReader, IsTerminal as _};
use std::path::Path;

use super::connect;
use super::failure::Failure;
use super::resolve::Input;
use crate::observation::Observation;
use crate::recording;
use crate::source::{Context, Options};

/// Gets it.
///
/// # Errors
/// If the node cannot be looked at, or the recording is unsound.
pub fn observe(input: &Input) -> Result<Observation, Failure> {
    match input {
        Input::Node(options) => collect(options),
        Input::Recording(file) => replay(file),
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

/// Reads a recording.
///
/// # Errors
/// If it is unsound.
pub fn replay(file: &Path) -> Result<Observation, Failure> {
    let result = if file == Path::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(Failure::usage(
                "--replay - reads a recording from standard input, which is a terminal; redirect it",
            ));
        }
        recording::read(&mut BufReader::new(stdin.lock()))
    } else {
        recording::load(file)
    };
    result.map_err(|error| {
        let remedy = match &error.problem {
            recording::Problem::Io(_) | recording::Problem::NotAFile(_) => {
                "name a file that `inspector record` wrote and that you may read"
            }
            recording::Problem::OtherVersion(_) => "use the inspector that wrote it, or record again",
            _ => "record again with `inspector record`",
        };
        Failure::collect(format!("could not replay {}: {error}; {remedy}", file.display()))
    })
}
