//! How wide each column of a table is, and the grid itself.
//!
//! Widths are decided once for all pods, so that the columns of every pod line up although each pod is a grid of
//! its own (its heading spans the columns, which the table library cannot do).

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::text::{fit, fit_end, width, wrap};
use super::{Look, Tone};

/// Columns between two columns.
const GAP: usize = 2;

/// The widest a cell gets where there is no screen to limit it.
const UNLIMITED: usize = 400;

/// What to do with a cell that is too long for its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Cut its end off.
    End,
    /// Cut its start off.
    Start,
    /// Continue below.
    Wrap,
}

/// A column: its heading and its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// It is not made narrower than this (unless its content is).
    pub(super) min: usize,
    /// It is not made wider than this on a screen.
    pub(super) max: usize,
    pub(super) right: bool,
    pub(super) overflow: Overflow,
    /// Left out when the screen is too narrow, the highest first; 0 is never left out.
    pub(super) luxury: u8,
}

/// One cell: clean text, and what it means to the eye.
pub(super) type Text = (String, Tone);

/// The columns that are shown, with their widths.
pub(super) struct Layout {
    columns: Vec<(Column, usize, usize)>,
}

impl Layout {
    /// Chooses columns and widths for these rows (each with a cell for every column).
    pub(super) fn new(columns: &[Column], rows: &[Vec<Text>], screen: Option<usize>) -> Self {
        let limit = |column: &Column| if screen.is_some() { column.max } else { UNLIMITED };
        // A column's index among the cells of a row goes with it; one without any content is not shown.
        let mut shown: Vec<(Column, usize, usize)> = columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| {
                let content = rows.iter().map(|row| width(&row[index].0)).max().unwrap_or(0);
                let wide = content.max(width(column.title)).min(limit(column));
                (content > 0 || column.luxury == 0).then_some((*column, index, wide))
            })
            .collect();
        let Some(screen) = screen else {
            return Self { columns: shown };
        };
        // First go without luxuries, then squeeze the widest, down to each column's minimum.
        while total(&shown) > screen {
            let worst = shown.iter().enumerate().max_by_key(|(_, (column, ..))| column.luxury);
            match worst {
                Some((position, (column, ..))) if column.luxury > 0 => drop(shown.remove(position)),
                _ => break,
            }
        }
        while total(&shown) > screen {
            let squeezable = shown.iter_mut().filter(|(column, _, wide)| *wide > column.min);
            match squeezable.max_by_key(|(column, _, wide)| wide - column.min) {
                Some((_, _, wide)) => *wide -= 1,
                None => break,
            }
        }
        Self { columns: shown }
    }

    /// Columns of the first column, with the gap after it.
    pub(super) fn first(&self) -> usize {
        self.columns.first().map_or(0, |(_, _, wide)| wide + GAP)
    }

    /// Columns of all columns together.
    pub(super) fn total(&self) -> usize {
        total(&self.columns)
    }

    /// The line of headings.
    pub(super) fn header(&self, look: &Look) -> String {
        let titles = self.columns.iter().map(|(column, ..)| (column.title.to_owned(), Tone::Dim));
        let cells: Vec<Text> = titles.collect();
        let mut row = vec![
            (String::new(), Tone::Plain);
            self.columns.iter().map(|(_, index, _)| index + 1).max().unwrap_or(0)
        ];
        for ((_, index, _), cell) in self.columns.iter().zip(cells) {
            row[*index] = cell;
        }
        self.lines(&[row], look)
    }

    /// The rows, each over as many lines as its wrapped cells need. The first column is a tree: its glyphs go on
    /// below.
    pub(super) fn lines(&self, rows: &[Vec<Text>], look: &Look) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if look.colour {
            // `Look` has decided already; crossterm would read NO_COLOR once more and overrule --color=always.
            crossterm::style::force_color_output(true);
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for row in rows {
            let fitted: Vec<Vec<String>> = self
                .columns
                .iter()
                .map(|(column, index, wide)| match column.overflow {
                    Overflow::End => vec![fit(&row[*index].0, *wide)],
                    Overflow::Start => vec![fit_end(&row[*index].0, *wide)],
                    Overflow::Wrap => wrap(&row[*index].0, *wide),
                })
                .collect();
            let height = fitted.iter().map(Vec::len).max().unwrap_or(1);
            table.add_row(self.columns.iter().zip(fitted).enumerate().map(
                |(position, ((column, index, _), mut lines))| {
                    if position == 0 {
                        let trunk = if row[*index].0.starts_with('├') { "│" } else { "" };
                        lines.resize(height, trunk.to_owned());
                    }
                    let cell = style(Cell::new(lines.join("\n")), row[*index].1, look);
                    if column.right { cell.set_alignment(comfy_table::CellAlignment::Right) } else { cell }
                },
            ));
        }
        let last = self.columns.len().saturating_sub(1);
        for (position, (_, _, wide)) in self.columns.iter().enumerate() {
            let padding = if position == last { 0 } else { GAP };
            if let Some(column) = table.column_mut(position) {
                column.set_padding((0, u16::try_from(padding).unwrap_or(0)));
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(
                    u16::try_from(wide + padding).unwrap_or(u16::MAX),
                )));
            }
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn total(columns: &[(Column, usize, usize)]) -> usize {
    columns.iter().map(|(_, _, wide)| wide + GAP).sum::<usize>().saturating_sub(GAP)
}

fn style(cell: Cell, tone: Tone, look: &Look) -> Cell {
    if !look.colour {
        return cell;
    }
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Doubtful => cell.fg(Color::DarkYellow).add_attribute(Attribute::Bold),
        Tone::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
    }
}
