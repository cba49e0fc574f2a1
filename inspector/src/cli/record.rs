//! `inspector record`.

use std::path::Path;

use super::args::RecordArgs;
use super::failure::Failure;
use super::resolve::Settings;
use super::{input, output, pods};
use crate::observation::Observation;
use crate::recording::{self, WriteError};

/// Looks, and writes down what was seen.
///
/// # Errors
/// If there is nothing to write, or nowhere; with `--strict` also if the recording is partial.
pub fn run(args: &RecordArgs, settings: &Settings) -> Result<(), Failure> {
    let observation = input::observe(&settings.input)?;
    let bytes = write(&observation, &args.file)?;
    let summary = format!(
        "recorded {} tasks and {} containers of {} in {} ({bytes} bytes)",
        observation.tasks.len(),
        observation.containers.len(),
        observation.node.name,
        args.file.display(),
    );
    if args.file != Path::new("-") {
        output::print(&format!("{}\n", crate::render::text::clean(&summary)))?;
    }
    let deciding = observation.gaps.iter().filter(|gap| gap.could_change_verdict).count();
    if settings.strict && deciding > 0 {
        return Err(pods::partial(deciding));
    }
    Ok(())
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
