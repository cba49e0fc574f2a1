//! `inspector namespaces`.

use std::io;

use super::args::NamespacesArgs;
use super::failure::Failure;
use super::resolve::{Input, Settings};
use super::terminal::Terminal;
use super::{connect, input, output, pods};
use crate::observation::Kind;
use crate::render::{self, Format, Look, Shape};
use crate::state::namespaces::Above;
use crate::view::{NamespaceSelection, namespace_list, select_namespaces};

/// Looks, chooses, prints.
///
/// # Errors
/// If there is nothing to answer from, nowhere to print, or no such process; with `--strict` also if the answer is
/// partial.
pub fn run(args: &NamespacesArgs, settings: &Settings) -> Result<(), Failure> {
    refuse(args, settings)?;
    let observation = input::observe(&settings.input)?;
    let all = connect::namespaces(&observation);
    let mut list = namespace_list(&observation, &all);
    let mut selection = NamespaceSelection { kinds: args.kinds.clone(), pid: args.pid };
    if args.tree == Some(Above::Parent) && selection.kinds.is_empty() {
        // The other kinds have no parents.
        selection.kinds = vec![Kind::Pid, Kind::User];
    }
    select_namespaces(&mut list.namespaces, &selection, args.sort_by.unwrap_or_default()).map_err(
        |error| {
            let place = match settings.input {
                Input::Node(_) => "on this node",
                Input::Recording(_) => "in this recording",
            };
            Failure::usage(format!(
                "{error} {place}; name a process, or a thread whose namespaces differ from its process's"
            ))
        },
    )?;
    let look = Look {
        filtered_from: list.namespaces.is_filtered().then_some(all.len()),
        ..Terminal::detect().look(settings, true)
    };
    let shape = Shape { tree: args.tree, columns: &args.columns, process: args.pid };
    let mut broken = None;
    output::with_stdout(|out| match render::namespaces(&list, settings.format, &shape, &look, out) {
        Err(error) if !error.is_io() => {
            broken = Some(error);
            Ok(())
        }
        other => other.map_err(io::Error::from),
    })?;
    if let Some(error) = broken {
        return Err(Failure::collect(format!(
            "could not print the namespaces: {error}; this is a bug, please report it"
        )));
    }
    if settings.strict && list.coverage.partial {
        return Err(pods::partial(list.coverage.gaps.len()));
    }
    Ok(())
}

/// Flags that only a table has.
fn refuse(args: &NamespacesArgs, settings: &Settings) -> Result<(), Failure> {
    if matches!(settings.format, Format::Table | Format::Wide) {
        return Ok(());
    }
    let (flag, instead) = match (args.tree, args.columns.as_slice()) {
        (Some(_), _) => ("--tree", "every row has its `parent` and `ownerUserNamespace`"),
        (None, [_, ..]) => ("--columns", "every row has all its fields"),
        (None, []) => return Ok(()),
    };
    Err(Failure::usage(format!(
        "{flag} is of a table, and -o asks for another format: {instead}; leave one of them out"
    )))
}
