//! `inspector ps`.

use super::args::PsArgs;
use super::failure::Failure;
use super::resolve::Settings;
use super::terminal::Terminal;
use super::{connect, input, output, pods};
use crate::render;

/// Looks, chooses, prints.
///
/// # Errors
/// If there is nothing to answer from, nothing of the target's name, or nowhere to print; with `--strict` also if the
/// answer is partial.
pub fn run(args: &PsArgs, settings: &Settings) -> Result<(), Failure> {
    let observation = input::observe(&settings.input)?;
    let list = connect::processes(&observation, args.target.as_deref(), settings.all)?;
    let look = Terminal::detect().look(settings, false);
    let text = render::processes(&list, settings.format, &look).map_err(|error| {
        Failure::collect(format!("could not print the processes: {error}; this is a bug, please report it"))
    })?;
    output::print(&text)?;
    if settings.strict && list.coverage.partial {
        return Err(pods::partial(list.coverage.gaps.len()));
    }
    Ok(())
}
