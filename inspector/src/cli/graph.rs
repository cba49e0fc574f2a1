//! `inspector graph`.

use super::args::GraphArgs;
use super::failure::Failure;
use super::resolve::Settings;
use super::terminal::Terminal;
use super::{connect, input, output, pods};
use crate::render;
use crate::view::{Selection, SortBy, graph, select};

/// Looks, chooses, draws.
///
/// # Errors
/// If there is nothing to answer from, or nowhere to print; with `--strict` also if the answer is partial.
pub fn run(args: &GraphArgs, settings: &Settings) -> Result<(), Failure> {
    let observation = input::observe(&settings.input)?;
    let selection =
        Selection { namespace: args.namespace.clone(), pods: args.pod.clone(), ..Selection::default() };
    let list = select(connect::pods(&observation, settings.all), &selection, SortBy::Name);
    let graph = graph(&list, &observation.host, args.findings_only);
    let look = Terminal::detect().look(settings, false);
    output::print(&match settings.graph {
        Some(format) => render::graph::draw(&graph, format),
        None => render::graph::table(&graph, &look),
    })?;
    if settings.strict && list.coverage.partial {
        return Err(pods::partial(list.coverage.gaps.len()));
    }
    Ok(())
}
