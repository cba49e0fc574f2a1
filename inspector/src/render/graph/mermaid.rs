//! Mermaid, for Markdown that draws.

use std::fmt::Write as _;

use super::super::text::clean;
use super::class_name;
use crate::view::Graph;

/// A quoted label: what Mermaid or a browser would read in it is written as an entity.
fn label(text: &str) -> String {
    let mut out = String::from("\"");
    for c in clean(text).chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',' | ':' | '/') {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out.push('"');
    out
}

pub(super) fn flowchart(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, pod) in graph.pods.iter().enumerate() {
        let marks: Vec<String> =
            pod.findings.iter().map(|(severity, rule, ..)| format!("{rule} {}", severity.name())).collect();
        let marks = if marks.is_empty() { String::new() } else { format!(": {}", marks.join(", ")) };
        let title = format!("{} - {}{marks}", pod.name, pod.verdict.name());
        let _ = writeln!(out, "  subgraph p{number}[{}]", label(&title));
        for (at, container) in pod.containers.iter().enumerate() {
            let gone = if container.alive { "" } else { " (exited)" };
            let name = label(&format!("{}{gone} - {}", container.name, container.role.name()));
            let _ = writeln!(out, "    c{number}_{at}[{name}]");
        }
        for (at, namespace) in pod.namespaces.iter().enumerate() {
            let gone = match &namespace.owner_name {
                Some(name) if !namespace.alive => format!(", {name} is gone"),
                _ => String::new(),
            };
            let name = label(&format!("{} {}{gone}", namespace.kind, namespace.inode));
            let class = class_name(namespace.class);
            let _ = writeln!(out, "    n{number}_{at}([{name}]):::{class}");
            for member in &namespace.members {
                let arrow = if namespace.owner == Some(*member) && namespace.alive {
                    "==>|owns|"
                } else {
                    "-->|joins|"
                };
                let _ = writeln!(out, "    c{number}_{member} {arrow} n{number}_{at}");
            }
        }
        out.push_str("  end\n");
    }
    out.push_str(
        "  classDef pause stroke:#1a7f37,stroke-width:2px\n  classDef app stroke:#cf222e,stroke-width:3px\n  \
         classDef pinned stroke:#0969da,stroke-width:2px\n  classDef unknown stroke:#9a6700,stroke-width:2px\n",
    );
    out
}
