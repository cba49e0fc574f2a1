//! Pictures of pods: SVG, DOT, Mermaid, and the sharing matrix as a table.

mod dot;
mod matrix;
mod mermaid;
mod svg;
#[cfg(test)]
mod tests;

use super::Look;
use crate::view::{Cell, Class, Graph, Severity, Verdict};

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// A picture.
    Svg,
    /// For Graphviz.
    Dot,
    /// For Markdown that draws.
    Mermaid,
}

/// Draws.
#[must_use]
pub fn draw(graph: &Graph, format: GraphFormat) -> String {
    match format {
        GraphFormat::Svg => svg::picture(graph),
        GraphFormat::Dot => dot::graph(graph),
        GraphFormat::Mermaid => mermaid::flowchart(graph),
    }
}

/// The matrix of containers and kinds, for a terminal.
#[must_use]
pub fn table(graph: &Graph, look: &Look) -> String {
    matrix::table(graph, look)
}

/// The name of a class of colour: the same in every picture.
const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Pause => "pause",
        Class::Application => "app",
        Class::RuntimePinned => "pinned",
        Class::Unknown => "unknown",
    }
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ApplicationOwned => "app",
        Verdict::PauseOwned => "pause",
        Verdict::RuntimePinned => "pinned",
        Verdict::Unknown => "unknown",
        Verdict::Host => "host",
        Verdict::Isolated => "plain",
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "app",
        Severity::Medium => "unknown",
        Severity::Low | Severity::Info => "plain",
    }
}

/// One character for what a container has of a kind.
const fn sign(cell: Cell) -> &'static str {
    match cell {
        Cell::Owner(_) => "◆",
        Cell::Member(_) => "●",
        Cell::Own => "·",
        Cell::Host => "H",
        Cell::Nothing => "",
    }
}
