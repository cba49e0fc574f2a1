//! The sharing matrix for a terminal: container × kind.

use super::super::layout::{Column, Layout, Overflow, Text};
use super::super::text::{clean, fit, wrap};
use super::super::{Look, Tone};
use super::sign;
use crate::observation::Kind;
use crate::view::{Cell, Class, Graph, GraphContainer};

const fn kind(title: &'static str, luxury: u8) -> Column {
    Column { title, min: 4, max: 6, right: false, overflow: Overflow::End, luxury }
}

const COLUMNS: [Column; 10] = [
    Column { title: "POD / CONTAINER", min: 16, max: 44, right: false, overflow: Overflow::End, luxury: 0 },
    Column { title: "ROLE", min: 5, max: 9, right: false, overflow: Overflow::End, luxury: 3 },
    kind("MNT", 0),
    kind("UTS", 0),
    kind("IPC", 0),
    kind("PID", 0),
    kind("NET", 0),
    kind("USER", 0),
    kind("CGROUP", 0),
    kind("TIME", 0),
];

pub(super) fn table(graph: &Graph, look: &Look) -> String {
    let rows: Vec<Vec<Vec<Text>>> = graph
        .pods
        .iter()
        .map(|pod| {
            let last = pod.containers.len().saturating_sub(1);
            pod.containers.iter().enumerate().map(|(index, it)| row(it, index == last)).collect()
        })
        .collect();
    let layout = Layout::new(&COLUMNS, &rows.concat(), look.width);
    let mut out = String::new();
    if graph.pods.is_empty() {
        out.push_str("No pods to show.\n");
    } else if look.headers {
        out.push_str(&layout.header(look));
    }
    for (pod, rows) in graph.pods.iter().zip(&rows) {
        let name = fit(&pod.name, 60);
        let marks: Vec<String> =
            pod.findings.iter().map(|(severity, rule, ..)| format!("{rule} {}", severity.name())).collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" · {}", marks.join(", ")) };
        let title = format!("{name}  {}{marks}", pod.verdict.name());
        for line in wrap(&title, look.width.unwrap_or(usize::MAX)) {
            out.push_str(&Tone::Strong.paint(&line, look));
            out.push('\n');
        }
        out.push_str(&layout.lines(rows, look));
    }
    out.push('\n');
    let legend = "◆ made for it, and shared; ● made for another; · its own; H the node's. Which is which: -o svg, dot, mermaid.";
    for line in wrap(legend, look.width.unwrap_or(usize::MAX)) {
        out.push_str(&Tone::Dim.paint(&line, look));
        out.push('\n');
    }
    out
}

fn row(it: &GraphContainer, last: bool) -> Vec<Text> {
    let branch = if last { "└─" } else { "├─" };
    let state = if it.alive { "" } else { " (exited)" };
    let mut cells = vec![
        (format!("{branch} {}{state}", clean(&it.name)), Tone::Plain),
        (it.role.name().to_owned(), Tone::Plain),
    ];
    cells.extend(Kind::ALL.into_iter().zip(it.cells).map(|(_, cell)| (sign(cell).to_owned(), tone(cell))));
    cells
}

const fn tone(cell: Cell) -> Tone {
    match cell {
        Cell::Owner(Class::Application) => Tone::Bad,
        Cell::Owner(Class::Pause | Class::RuntimePinned)
        | Cell::Member(Class::Pause | Class::RuntimePinned) => Tone::Good,
        Cell::Host | Cell::Owner(Class::Unknown) | Cell::Member(_) => Tone::Doubtful,
        Cell::Own | Cell::Nothing => Tone::Dim,
    }
}
