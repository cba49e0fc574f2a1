//! A picture that stands on its own: a card for each pod, with the sharing matrix as lines from owner to members.
//!
//! No script, no outside font, no link: it can be opened, mailed and put into a report. Light and dark follow the
//! reader's setting.

use std::fmt::Write as _;

use super::super::text::{clean, fit, width};
use super::{class_name, severity_name, verdict_name};
use crate::observation::Kind;
use crate::view::{Cell, Graph, GraphPod};

/// Pixels: a row, a column of the matrix, the width of a character of the names, margins.
const ROW: usize = 22;
const COLUMN: usize = 38;
const CHARACTER: usize = 7;
const PADDING: usize = 14;
const GAP: usize = 18;
/// The longest name of a container, in columns.
const NAME: usize = 34;
const TITLE: usize = 48;

const STYLE: &str = "\
.bg{fill:#ffffff}.card{fill:#f6f8fa;stroke:#d0d7de}.text{fill:#1f2328}.dim{fill:#656d76}\
.app{fill:#cf222e}.pause{fill:#1a7f37}.pinned{fill:#0969da}.unknown{fill:#9a6700}.host{fill:#8250df}.plain{fill:#656d76}\
.line-app{stroke:#cf222e}.line-pause{stroke:#1a7f37}.line-pinned{stroke:#0969da}.line-unknown{stroke:#9a6700}\
.hollow{fill:#f6f8fa}.own{fill:#afb8c1}\
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11.5px}\
.title{font-weight:bold;font-size:13px}.head{font-size:10px}.big{font-weight:bold;font-size:16px}\
@media (prefers-color-scheme:dark){\
.bg{fill:#0d1117}.card{fill:#161b22;stroke:#30363d}.text{fill:#e6edf3}.dim{fill:#8d96a0}\
.app{fill:#ff7b72}.pause{fill:#3fb950}.pinned{fill:#58a6ff}.unknown{fill:#d29922}.host{fill:#bc8cff}.plain{fill:#8d96a0}\
.line-app{stroke:#ff7b72}.line-pause{stroke:#3fb950}.line-pinned{stroke:#58a6ff}.line-unknown{stroke:#d29922}\
.hollow{fill:#161b22}.own{fill:#484f58}}";

/// Text as XML has it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A pod's card, measured.
struct Card<'g> {
    pod: &'g GraphPod,
    width: usize,
    height: usize,
    /// Where the matrix begins.
    matrix: usize,
}

impl<'g> Card<'g> {
    fn of(pod: &'g GraphPod) -> Self {
        let names = pod.containers.iter().map(|it| width(&fit(&it.name, NAME)) + 9).max().unwrap_or(0);
        let matrix = PADDING + names.max(16) * CHARACTER + 6;
        let title = width(&fit(&pod.name, TITLE)) * (CHARACTER + 1) + 2 * PADDING + 8;
        let verdict = (pod.verdict.name().len() + pod.origin.len() + 3) * CHARACTER + 2 * PADDING;
        let wide = (matrix + Kind::ALL.len() * COLUMN + PADDING).max(title).max(verdict);
        let findings = pod.findings.len();
        let height = PADDING + 2 * ROW + ROW + pod.containers.len().max(1) * ROW + findings * 17 + PADDING;
        Self { pod, width: wide, height, matrix }
    }

    fn draw(&self, out: &mut String, x: usize, y: usize) {
        let pod = self.pod;
        let verdict = verdict_name(pod.verdict);
        let _ = writeln!(out, "<g transform=\"translate({x},{y})\">");
        let _ = writeln!(
            out,
            "<rect class=\"card\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
            self.width, self.height
        );
        let _ = writeln!(out, "<rect class=\"{verdict}\" width=\"5\" height=\"{}\" rx=\"2\"/>", self.height);
        let title = escaped(&fit(&pod.name, TITLE));
        let _ = writeln!(
            out,
            "<text class=\"text title\" x=\"{PADDING}\" y=\"{}\">{title}<title>{}</title></text>",
            PADDING + 10,
            escaped(&pod.name)
        );
        let _ = writeln!(
            out,
            "<text x=\"{PADDING}\" y=\"{}\"><tspan class=\"{verdict}\">{}</tspan><tspan class=\"dim\" dx=\"7\">· {}</tspan></text>",
            PADDING + 28,
            pod.verdict.name(),
            escaped(pod.origin)
        );
        let head = PADDING + 2 * ROW + 8;
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let at = self.column(index);
            let _ = writeln!(
                out,
                "<text class=\"dim head\" x=\"{at}\" y=\"{head}\" text-anchor=\"middle\">{kind}</text>"
            );
        }
        self.lines(out);
        for (index, container) in pod.containers.iter().enumerate() {
            let y = self.row(index);
            let role = container.role.name();
            let class = if container.alive { "text" } else { "dim" };
            let dead = if container.alive { "" } else { " text-decoration=\"line-through\"" };
            let pid = if container.alive { format!("pid {}", container.pid) } else { "exited".to_owned() };
            let _ = writeln!(
                out,
                "<text x=\"{PADDING}\" y=\"{}\"><tspan class=\"{class}\"{dead}>{}</tspan><tspan class=\"dim\" dx=\"8\">{role}</tspan><title>{} ({role}, {pid})</title></text>",
                y + 4,
                escaped(&fit(&container.name, NAME)),
                escaped(&container.name)
            );
            for (column, cell) in container.cells.iter().enumerate() {
                dot(out, self.column(column), y, *cell);
            }
        }
        let mut y = self.row(pod.containers.len().max(1)) - 2;
        for (severity, rule, name, count) in &pod.findings {
            let times = if *count > 1 { format!(" ×{count}") } else { String::new() };
            let _ = writeln!(
                out,
                "<text class=\"{}\" x=\"{PADDING}\" y=\"{}\">▲ {} {rule} {name}{times}</text>",
                severity_name(*severity),
                y + 4,
                severity.name()
            );
            y += 17;
        }
        out.push_str("</g>\n");
    }

    const fn column(&self, index: usize) -> usize {
        self.matrix + index * COLUMN + COLUMN / 2
    }

    const fn row(&self, index: usize) -> usize {
        PADDING + 3 * ROW + 6 + index * ROW
    }

    /// From the first to the last who is in each shared namespace.
    fn lines(&self, out: &mut String) {
        for namespace in &self.pod.namespaces {
            let Some(column) = Kind::ALL.iter().position(|kind| *kind == namespace.kind) else { continue };
            let (Some(first), Some(last)) = (namespace.members.iter().min(), namespace.members.iter().max())
            else {
                continue;
            };
            if first == last {
                continue;
            }
            let x = self.column(column);
            let dash = if namespace.alive { "" } else { " stroke-dasharray=\"3 3\"" };
            let owner = namespace.owner_name.as_deref().unwrap_or("nobody known");
            let gone = if namespace.alive { "" } else { ", which is gone" };
            let _ = writeln!(
                out,
                "<line class=\"line-{}\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\" stroke-width=\"2.5\"{dash}><title>{} namespace {}, owned by {}{gone}</title></line>",
                class_name(namespace.class),
                self.row(*first),
                self.row(*last),
                namespace.kind,
                namespace.inode,
                escaped(owner)
            );
        }
    }
}

fn dot(out: &mut String, x: usize, y: usize, cell: Cell) {
    let _ = match cell {
        Cell::Owner(class) => writeln!(
            out,
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"13\" height=\"13\" rx=\"2\" transform=\"rotate(45 {x} {y})\"/>",
            class_name(class),
            x - 6,
            y - 6
        ),
        Cell::Member(class) => writeln!(
            out,
            "<circle class=\"hollow line-{}\" cx=\"{x}\" cy=\"{y}\" r=\"5.5\" stroke-width=\"2.5\"/>",
            class_name(class)
        ),
        Cell::Own => writeln!(out, "<circle class=\"own\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>"),
        Cell::Host => {
            writeln!(out, "<text class=\"host\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">H</text>", y + 4)
        }
        Cell::Nothing => Ok(()),
    };
}

const LEGEND: &str = "◆ owns what others share   ○ joined it   · its own   H the node's   red: an application owns it   green: a pause   blue: pinned   amber: unknown";

pub(super) fn picture(graph: &Graph) -> String {
    let mut cards: Vec<Card<'_>> = graph.pods.iter().map(Card::of).collect();
    // All of one width, with the matrix at one place: that is read down a column.
    let matrix = cards.iter().map(|card| card.matrix).max().unwrap_or(0);
    let widest = cards.iter().map(|card| card.width + matrix - card.matrix).max().unwrap_or(0);
    for card in &mut cards {
        (card.width, card.matrix) = (widest, matrix);
    }
    // About as wide as a screen, and wider the more there are.
    let area: usize = cards.iter().map(|card| (card.width + GAP) * (card.height + GAP)).sum();
    let wish = area.isqrt() * 13 / 10;
    let legend = width(LEGEND) * CHARACTER;
    let room = wish.max(widest).max(legend);
    // Columns of one width, each card into the shortest.
    let column = widest.max(1) + GAP;
    let columns = ((room + GAP) / column).max(1);
    let top = 84;
    let mut heights = vec![top; columns];
    let mut body = String::new();
    for card in &cards {
        let shortest = heights.iter().copied().enumerate().min_by_key(|(_, height)| *height);
        let Some((at, y)) = shortest else { continue };
        card.draw(&mut body, GAP + at * column, y);
        if let Some(height) = heights.get_mut(at) {
            *height += card.height + GAP;
        }
    }
    let used = columns.min(cards.len().max(1));
    let total = (GAP + used * column).max(legend + 2 * GAP);
    let height = heights.iter().copied().max().unwrap_or(top).max(top + ROW) + GAP / 2;
    let partial = if graph.partial { " · partial: something could not be read" } else { "" };
    let time = graph.time.as_deref().unwrap_or_default();
    let empty = if cards.is_empty() { "No pods to show." } else { "" };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" viewBox=\"0 0 {total} {height}\" role=\"img\">\n\
         <title>Pod namespaces of {node}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"bg\" width=\"{total}\" height=\"{height}\"/>\n\
         <text class=\"text big\" x=\"{GAP}\" y=\"30\">Pod namespaces of {node}</text>\n\
         <text class=\"dim\" x=\"{GAP}\" y=\"48\">{count} · {time}{partial}</text>\n\
         <text class=\"dim\" x=\"{GAP}\" y=\"68\" xml:space=\"preserve\">{LEGEND}</text>\n\
         <text class=\"dim\" x=\"{GAP}\" y=\"{top}\">{empty}</text>\n{body}</svg>\n",
        node = escaped(&graph.node),
        count = super::super::words::count(cards.len() as u64, "pod", "pods"),
        time = escaped(time),
    )
}
