//! The table of namespaces, flat or as a tree, and its foot.
//!
//! ```text
//! NS                TYPE  PROCS    PID  COMMAND
//! 4026531836        pid      92      1  systemd
//! └─ 4026532184     pid       3  31057  nginx
//! ```

use std::io::{self, Write};

use super::Shape;
use super::cells::Column;
use crate::observation::Kind;
use crate::render::layout::{self, Layout, Text};
use crate::render::text::wrap;
use crate::render::{Look, Tone, coverage, words};
use crate::view::{Branch, NamespaceList, tree};

/// So many rows are laid out at a time.
const CHUNK: usize = 512;

/// Marks what was asked for by `-p`, among what only stands above it.
const MARK: &str = " ◂";

/// Prints the list for people.
pub(super) fn print(
    list: &NamespaceList<'_>,
    shape: &Shape<'_>,
    look: &Look,
    wide: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns: &[Column] = match shape.columns {
        [] if wide => &Column::ALL,
        [] if look.width.is_some_and(|screen| screen < 80) => &Column::NARROW,
        [] => &Column::USUAL,
        chosen => chosen,
    };
    let rows = match shape.tree {
        None => list
            .namespaces
            .iter()
            .map(|it| columns.iter().map(|column| column.cell(&it, false)).collect())
            .collect(),
        Some(above) => branches(list, &tree(&list.namespaces, above), columns, shape.process.is_some()),
    };
    let layout = Layout::new(&limits(columns, wide || !shape.columns.is_empty()), &rows, look.width);
    if rows.is_empty() {
        out.write_all(nothing(look).as_bytes())?;
    } else if look.headers {
        out.write_all(layout.header(look).as_bytes())?;
    }
    for rows in rows.chunks(CHUNK) {
        out.write_all(layout.lines(rows, look).as_bytes())?;
    }
    // Who names the columns wants these and nothing else.
    if shape.columns.is_empty() {
        out.write_all(foot(list, shape, look).as_bytes())?;
    }
    Ok(())
}

/// What was asked for is not left out, however narrow the screen.
fn limits(columns: &[Column], asked: bool) -> Vec<layout::Column> {
    let limit = |column: &Column| {
        let layout = column.layout();
        layout::Column { luxury: if asked { 0 } else { layout.luxury }, ..layout }
    };
    columns.iter().map(limit).collect()
}

/// The rows of a tree: its glyphs stand in the first column.
fn branches(list: &NamespaceList<'_>, branches: &[Branch], columns: &[Column], mark: bool) -> Vec<Vec<Text>> {
    let row = |branch: &Branch| {
        let namespace = list.namespaces.all.get(branch.position)?;
        let mut cells: Vec<Text> = columns.iter().map(|column| column.cell(&namespace, true)).collect();
        if let Some(first) = cells.first_mut() {
            first.0 = format!(
                "{}{}{}",
                glyphs(&branch.more),
                first.0,
                if mark && branch.asked { MARK } else { "" }
            );
        }
        if !branch.asked {
            cells.iter_mut().for_each(|cell| cell.1 = Tone::Dim);
        }
        Some(cells)
    };
    branches.iter().filter_map(row).collect()
}

fn glyphs(more: &[bool]) -> String {
    let Some((own, above)) = more.split_last() else { return String::new() };
    let mut glyphs: String = above.iter().map(|more| if *more { "│  " } else { "   " }).collect();
    glyphs.push_str(if *own { "├─ " } else { "└─ " });
    glyphs
}

fn foot(list: &NamespaceList<'_>, shape: &Shape<'_>, look: &Look) -> String {
    let rows = &list.namespaces;
    let mut counts = [0_u64; 8];
    for namespace in rows.iter() {
        counts[namespace.kind().index()] += 1;
    }
    let kinds: Vec<String> = Kind::ALL
        .into_iter()
        .filter(|kind| counts[kind.index()] > 0)
        .map(|kind| format!("{} {kind}", counts[kind.index()]))
        .collect();
    let of = look.filtered_from.map(|all| format!(" of {all}")).unwrap_or_default();
    let namespaces = if rows.len() == 1 && of.is_empty() { "namespace" } else { "namespaces" };
    let sum = (!rows.is_empty()).then(|| format!("{}{of} {namespaces}: {}.", rows.len(), kinds.join(", ")));
    let marked = shape.process.filter(|_| shape.tree.is_some() && !rows.is_empty());
    let marked = marked.map(|pid| format!("{} of process {pid} or of its children.", MARK.trim_start()));
    coverage::foot_of(&list.coverage, sum.as_deref(), marked.as_deref(), look)
}

fn nothing(look: &Look) -> String {
    let text = match look.filtered_from {
        Some(all) if all > 0 => format!(
            "No namespace matches ({} without the filters).",
            words::count(all as u64, "namespace", "namespaces")
        ),
        _ => "No namespace could be read.".to_owned(),
    };
    wrap(&text, look.width.unwrap_or(usize::MAX)).join("\n") + "\n"
}
