//! `inspector pods`.

use super::args::PodsArgs;
use super::failure::Failure;
use super::resolve::Settings;
use super::terminal::Terminal;
use super::{connect, input, output};
use crate::render::{self, Look};
use crate::view::{PodList, Selection, select};

/// Looks, chooses, prints.
///
/// # Errors
/// If there is nothing to answer from, or nowhere to print; with `--strict` also if the answer is partial.
pub fn run(args: &PodsArgs, settings: &Settings) -> Result<(), Failure> {
    let observation = input::observe(&settings.input)?;
    let list = connect::pods(&observation, settings.all);
    show(list, args, settings)?;
    Ok(())
}

/// Prints an answer as `inspector pods` does.
///
/// # Errors
/// If there is nowhere to print; with `--strict` also if the answer is partial.
pub fn show(list: PodList, args: &PodsArgs, settings: &Settings) -> Result<(), Failure> {
    let selection = Selection {
        namespace: args.namespace.clone(),
        runtimes: args.runtime.clone(),
        pods: args.pod.clone(),
        kinds: args.kind.clone(),
        verdicts: args.verdict.clone(),
    };
    let look = Look {
        filtered_from: (!selection.is_everything()).then_some(list.pods.len()),
        ..Terminal::detect().look(settings, args.inodes)
    };
    let list = select(list, &selection, args.sort_by.unwrap_or_default());
    let text = render::pods(&list, settings.format, &look).map_err(|error| {
        Failure::collect(format!("could not print the pods: {error}; this is a bug, please report it"))
    })?;
    output::print(&text)?;
    if settings.strict && list.coverage.partial {
        return Err(partial(list.coverage.gaps.len()));
    }
    Ok(())
}

/// What `--strict` says of an answer that could be different.
pub(super) fn partial(gaps: usize) -> Failure {
    Failure::collect(format!(
        "the answer is partial ({gaps} {}): something that could change a verdict could not be read; \
         the gaps listed with the answer say what would mend them, or leave --strict out",
        if gaps == 1 { "gap" } else { "gaps" }
    ))
}
