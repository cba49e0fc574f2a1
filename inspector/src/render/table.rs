//! The table of pods: each pod's judgement as its heading, its containers as a tree below, then what is wrong, and
//! what the answer rests on.
//!
//! A heading and a tree of containers:
//!
//! ```text
//! nginx        ▲ APPLICATION-OWNED by nginx (pid net ipc) · docker
//! ├─ nginx     app  running  31057  owns pid net ipc
//! └─ busybox   app  running  31114  joins pid net ipc of nginx
//! ```

use crate::view::{Container, Identity, Pod, PodList, Role};

use super::layout::{Column, Layout, Overflow, Text};
use super::text::{clean, fit, width, wrap};
use super::{Look, Tone, coverage, findings, words};

const fn column(title: &'static str, min: usize, max: usize, luxury: u8) -> Column {
    Column { title, min, max, right: false, overflow: Overflow::End, luxury }
}

const fn right(title: &'static str, max: usize, luxury: u8) -> Column {
    Column { title, min: max, max, right: true, overflow: Overflow::End, luxury }
}

/// What a table shows where there is room; the numbers on the right say what goes first.
const COLUMNS: [Column; 10] = [
    column("POD / CONTAINER", 16, 40, 0),
    column("ROLE", 5, 9, 0),
    column("STATE", 7, 11, 0),
    right("PID", 7, 0),
    right("AGE", 4, 1),
    right("PROCS", 6, 3),
    column("ID", 12, 22, 4),
    Column { title: "CGROUP", min: 16, max: 60, right: false, overflow: Overflow::Start, luxury: 9 },
    column("IMAGE", 12, 40, 2),
    Column { title: "NAMESPACES", min: 20, max: 60, right: false, overflow: Overflow::Wrap, luxury: 0 },
];

/// What `wide` shows instead: everything, whatever the screen.
const WIDE: [Column; 10] = {
    let mut columns = COLUMNS;
    columns[4] = column("STARTED", 20, 20, 0);
    // Room for three kinds with their inodes.
    columns[9].min = 54;
    columns[9].max = 120;
    let mut index = 0;
    while index < columns.len() {
        columns[index].luxury = 0;
        index += 1;
    }
    columns
};

/// Prints the list for people.
pub(super) fn pods(list: &PodList, look: &Look, wide: bool) -> String {
    let inodes = look.inodes || wide;
    let rows: Vec<Vec<Vec<Text>>> = list
        .pods
        .iter()
        .map(|pod| {
            let last = pod.containers.len().saturating_sub(1);
            let row = |(index, container)| row(list, pod, container, index == last, inodes, wide);
            pod.containers.iter().enumerate().map(row).collect()
        })
        .collect();
    let columns = if wide { &WIDE } else { &COLUMNS };
    let layout = Layout::new(columns, &rows.concat(), look.width);

    let mut out = String::new();
    if list.pods.is_empty() {
        out.push_str(&nothing(list, look));
    } else if look.headers {
        out.push_str(&layout.header(look));
    }
    for (pod, rows) in list.pods.iter().zip(&rows) {
        out.push_str(&heading(pod, &layout, look));
        out.push_str(&layout.lines(rows, look));
    }
    out.push_str(&findings::below_pods(list, look));
    out.push_str(&coverage::foot(list, look));
    out
}

/// The pod's own line: its name, its judgement, what made it. Where that is too long, the judgement goes below.
fn heading(pod: &Pod, layout: &Layout, look: &Look) -> String {
    let name = words::pod_name(pod);
    let (verdict, tone) = words::verdict(pod);
    let origin = format!(" · {}", pod.origin.name());
    // A table that is wider than the screen (`wide` may be) gives its headings that room too.
    let room = look.width.map_or(usize::MAX, |screen| screen.max(layout.total()));
    let first = layout.first();
    let padding = first.saturating_sub(width(&name)).max(2);
    let used = width(&name) + padding;
    if used + width(&verdict) + width(&origin) <= room.min(1_000) {
        let padding = " ".repeat(padding);
        let (name, verdict, origin) =
            (Tone::Strong.paint(&name, look), tone.paint(&verdict, look), Tone::Dim.paint(&origin, look));
        return format!("{name}{padding}{verdict}{origin}\n");
    }
    let room = room.min(1_000);
    let name = fit(&name, room);
    let mut out = Tone::Strong.paint(&name, look) + "\n";
    for line in wrap(&format!("{verdict}{origin}"), room - 2) {
        out.push_str("│ ");
        out.push_str(&tone.paint(&line, look));
        out.push('\n');
    }
    out
}

/// One container, a cell for each column of [`COLUMNS`].
fn row(list: &PodList, pod: &Pod, container: &Container, last: bool, inodes: bool, wide: bool) -> Vec<Text> {
    let plain = |text: String| (text, Tone::Plain);
    let dim = |text: String| (text, Tone::Dim);
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let doubt = if container.identity == Identity::CgroupOnly { " (unconfirmed)" } else { "" };
    let started = container.started_at.as_deref();
    let role_tone = match container.role {
        Role::Infra => Tone::Good,
        Role::Unknown => Tone::Dim,
        Role::Init | Role::App | Role::Ephemeral => Tone::Plain,
    };
    vec![
        plain(format!("{} {}{doubt}", if last { "└─" } else { "├─" }, clean(&container.name))),
        (container.role.name().to_owned(), role_tone),
        words::state(container),
        plain(number(u64::from(container.init_pid))),
        dim(if wide {
            started.map(|time| clean(time).into_owned()).unwrap_or_default()
        } else {
            words::age(started, list.node.time.as_deref())
        }),
        plain(number(container.processes)),
        dim(words::short_id(&container.id)),
        // Only `wide` shows it: long, and of use to few.
        dim(if wide {
            container.cgroup.as_deref().map(|path| clean(path).into_owned()).unwrap_or_default()
        } else {
            String::new()
        }),
        dim(container.image.as_deref().map(|image| clean(image).into_owned()).unwrap_or_default()),
        words::sharing(pod, container, inodes),
    ]
}

/// What to say when there is nothing to list.
fn nothing(list: &PodList, look: &Look) -> String {
    let hidden = list.hidden.exited + list.hidden.unmanaged;
    let text = match look.filtered_from {
        Some(all) if all > 0 => {
            format!("No pod matches ({} without the filters).", words::count(all as u64, "pod", "pods"))
        }
        _ if hidden > 0 => {
            "No pods to show: no living containers, and no processes that share namespaces of their own."
                .to_owned()
        }
        _ => "No pods on this node: no containers, and no processes in namespaces of their own. \
              `inspector demo` makes two and shows them."
            .to_owned(),
    };
    let width = look.width.unwrap_or(usize::MAX);
    wrap(&text, width).join("\n") + "\n"
}
