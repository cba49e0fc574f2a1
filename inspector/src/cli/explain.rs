//! `inspector explain`.

use super::args::ExplainArgs;
use super::failure::Failure;
use super::resolve::Settings;
use super::terminal::Terminal;
use super::{connect, input, output, pods};
use crate::render;

/// Looks, explains, prints.
///
/// # Errors
/// If there is nothing to answer from, nothing of the target's name, or nowhere to print; with `--strict` also if the
/// answer is partial.
pub fn run(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    let observation = input::observe(&settings.input)?;
    let explanation = connect::explanation(&observation, &args.target)?;
    let look = Terminal::detect().look(settings, true);
    let text = render::explain::explanation(&explanation, settings.format, &look).map_err(|error| {
        Failure::collect(format!("could not print the explanation: {error}; this is a bug, please report it"))
    })?;
    output::print(&text)?;
    if settings.strict && explanation.coverage.partial {
        return Err(pods::partial(explanation.coverage.gaps.len()));
    }
    Ok(())
}
