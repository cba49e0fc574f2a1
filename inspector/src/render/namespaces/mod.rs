//! Prints namespaces: as a table or a tree for people, as JSON, YAML or names for programs.
//!
//! JSON and names are written row by row; a table has to know all its cells before it knows its widths.

mod cells;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::io::Write;

use super::{Format, Look, yaml};
use crate::state::namespaces::Above;
use crate::view::NamespaceList;

pub use cells::Column;

/// What a table of namespaces is to look like, besides [`Look`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape<'s> {
    /// As a tree.
    pub tree: Option<Above>,
    /// Exactly these columns; empty for the usual ones.
    pub columns: &'s [Column],
    /// The process that was asked for.
    pub process: Option<u32>,
}

/// Prints a list of namespaces.
///
/// # Errors
/// If `out` fails, or the list cannot be serialized, which only a broken type can cause.
pub fn namespaces(
    list: &NamespaceList<'_>,
    format: Format,
    shape: &Shape<'_>,
    look: &Look,
    out: &mut dyn Write,
) -> serde_json::Result<()> {
    match format {
        Format::Table => table::print(list, shape, look, false, out).map_err(serde_json::Error::io),
        Format::Wide => table::print(list, shape, look, true, out).map_err(serde_json::Error::io),
        Format::Json => rows::print(list, out),
        Format::Yaml => out.write_all(yaml::document(list)?.as_bytes()).map_err(serde_json::Error::io),
        Format::Name => names(list, out).map_err(serde_json::Error::io),
    }
}

/// `net:[4026531840]`, as the links in `/proc/PID/ns` are called.
fn names(list: &NamespaceList<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    list.namespaces
        .iter()
        .try_for_each(|namespace| writeln!(out, "{}:[{}]", namespace.kind(), namespace.inode()))
}
