//! DOT, for Graphviz: a cluster for each pod, containers and the namespaces that they share.

use std::fmt::Write as _;

use super::super::text::clean;
use super::class_name;
use crate::view::{Class, Graph, GraphPod};

/// A quoted string: what DOT would read in it is taken literally.
fn quoted(text: &str) -> String {
    let text = clean(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

const fn colour(class: Class) -> &'static str {
    match class {
        Class::Pause => "#1a7f37",
        Class::Application => "#cf222e",
        Class::RuntimePinned => "#0969da",
        Class::Unknown => "#9a6700",
    }
}

pub(super) fn graph(graph: &Graph) -> String {
    let mut out = String::from("digraph pods {\n  rankdir=LR;\n  compound=true;\n");
    let _ = writeln!(out, "  label={};", quoted(&format!("Pod namespaces of {}", graph.node)));
    out.push_str(
        "  node [fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\", fontsize=9];\n",
    );
    for (number, pod) in graph.pods.iter().enumerate() {
        cluster(&mut out, number, pod);
    }
    out.push_str("}\n");
    out
}

fn cluster(out: &mut String, number: usize, pod: &GraphPod) {
    let _ = writeln!(out, "  subgraph cluster_{number} {{");
    let marks: Vec<String> =
        pod.findings.iter().map(|(severity, rule, ..)| format!("{rule} {}", severity.name())).collect();
    let mut title = format!("{} ({})", pod.name, pod.verdict.name());
    if !marks.is_empty() {
        let _ = write!(title, ": {}", marks.join(", "));
    }
    let _ = writeln!(out, "    label={}; style=rounded;", quoted(&title));
    for (at, container) in pod.containers.iter().enumerate() {
        let style = if container.alive { "filled,rounded" } else { "dashed,rounded" };
        let label = quoted(&format!("{} [{}]", container.name, container.role.name()));
        let _ = writeln!(
            out,
            "    c{number}_{at} [label={label}, shape=box, style=\"{style}\", fillcolor=\"#f6f8fa\"];"
        );
    }
    for (at, namespace) in pod.namespaces.iter().enumerate() {
        let colour = colour(namespace.class);
        let label = quoted(&format!("{} {}", namespace.kind, namespace.inode));
        let tip = quoted(class_name(namespace.class));
        let _ = writeln!(
            out,
            "    n{number}_{at} [label={label}, shape=ellipse, color=\"{colour}\", tooltip={tip}];"
        );
        for member in &namespace.members {
            let owns = namespace.owner == Some(*member) && namespace.alive;
            let (word, style) = if owns { ("owns", "bold") } else { ("joins", "solid") };
            let _ = writeln!(
                out,
                "    c{number}_{member} -> n{number}_{at} [label=\"{word}\", color=\"{colour}\", style={style}];"
            );
        }
        if let Some(name) = namespace.owner_name.as_ref().filter(|_| !namespace.alive) {
            let label = quoted(&format!("{name} is gone"));
            let _ = writeln!(
                out,
                "    g{number}_{at} [label={label}, shape=plaintext];\n    g{number}_{at} -> n{number}_{at} [style=dotted, color=\"{colour}\"];"
            );
        }
    }
    out.push_str("  }\n");
}
