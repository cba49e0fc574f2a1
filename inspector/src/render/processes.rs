//! The table of processes: each PID namespace with whoever's death ends it as its heading, its processes as a tree
//! below.
//!
//! ```text
//! PODPID    PID   PPID STATE USER  AGE  CONTAINER  COMMAND
//! nginx  ▲ PID 1 is nginx of nginx: its death kills the 2 other processes, 1 of busybox
//!      1  31057  31030 S        0   5m  nginx      ▲ nginx
//!     29  31102  31057 S      101   5m  nginx      └─ nginx
//!     31  31114  31090 S        0   5m  busybox    sh
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::view::{PidNamespace, PodName, Process, ProcessList, Role};

use super::layout::{Column, Layout, Overflow, Text};
use super::text::{clean, fit, width, wrap};
use super::{Look, Tone, coverage, words};

const fn column(title: &'static str, min: usize, max: usize, luxury: u8) -> Column {
    Column { title, min, max, right: false, overflow: Overflow::End, luxury }
}

const fn right(title: &'static str, max: usize, luxury: u8) -> Column {
    Column { title, min: max, max, right: true, overflow: Overflow::End, luxury }
}

/// What a table shows where there is room; the numbers on the right say what goes first.
const COLUMNS: [Column; 10] = [
    right("PODPID", 10, 0),
    right("PID", 10, 0),
    right("PPID", 10, 2),
    column("STATE", 5, 5, 0),
    right("USER", 10, 0),
    right("AGE", 5, 1),
    right("THREADS", 7, 9),
    column("CONTAINER", 9, 40, 0),
    column("ID", 12, 22, 9),
    column("COMMAND", 16, 80, 0),
];

/// What `wide` shows instead: everything, whatever the screen.
const WIDE: [Column; 10] = {
    let mut columns = COLUMNS;
    columns[5] = column("STARTED", 20, 24, 0);
    let mut index = 0;
    while index < columns.len() {
        columns[index].luxury = 0;
        index += 1;
    }
    columns
};

/// Of how many containers a heading counts the processes that PID 1 takes along.
const VICTIMS: usize = 3;

/// How deep the tree is drawn; what is below hangs from there.
const DEEPEST: usize = 24;

/// The processes that are shown together: of one namespace, or of one pod in the node's own.
struct Group<'a> {
    namespace: &'a PidNamespace,
    /// The pod, where it is one among several in the node's namespace.
    pod: Option<&'a PodName>,
    processes: Vec<&'a Process>,
}

/// Prints the list for people.
pub(super) fn table(list: &ProcessList, look: &Look, wide: bool) -> String {
    let groups = groups(list);
    let rows: Vec<Vec<Vec<Text>>> = groups
        .iter()
        .map(|group| {
            tree(group)
                .into_iter()
                .map(|(process, branch)| row(list, group, process, &branch, wide))
                .collect()
        })
        .collect();
    let columns = if wide { &WIDE } else { &COLUMNS };
    let layout = Layout::new(columns, &rows.concat(), look.width);
    let mut out = String::new();
    if groups.is_empty() {
        let room = look.width.unwrap_or(usize::MAX);
        out.push_str(&wrap(nothing(list), room).join("\n"));
        out.push('\n');
    } else if look.headers {
        out.push_str(&layout.header(look));
    }
    for (group, rows) in groups.iter().zip(&rows) {
        // A table that is wider than the screen (`wide` may be) gives its headings that room too.
        let room = look.width.map_or(usize::MAX, |screen| screen.max(layout.total()));
        out.push_str(&heading(group, room, look));
        out.push_str(&layout.lines(rows, look));
    }
    let sum = (!list.processes.is_empty()).then(|| sum(list));
    out.push_str(&coverage::foot_of(&list.coverage, sum.as_deref(), hidden(list).as_deref(), look));
    out
}

/// `pid/31057`: what TARGET takes.
pub(super) fn names(list: &ProcessList) -> String {
    list.processes.iter().map(|process| format!("pid/{}\n", process.pid)).collect()
}

fn groups(list: &ProcessList) -> Vec<Group<'_>> {
    let mut groups = Vec::new();
    for namespace in &list.pid_namespaces {
        let processes = || list.processes.iter().filter(|it| it.pid_namespace == namespace.inode);
        if !namespace.host {
            groups.push(Group { namespace, pod: None, processes: processes().collect() });
            continue;
        }
        for pod in &namespace.pods {
            let of_this = processes().filter(|process| process.pod.as_ref() == Some(pod)).collect();
            groups.push(Group { namespace, pod: Some(pod), processes: of_this });
        }
    }
    groups
}

impl Group<'_> {
    /// The init of the namespace, unless that is the node's own.
    fn init(&self) -> Option<&Process> {
        let init = self.processes.iter().find(|process| process.pod_pid == Some(1));
        init.copied().filter(|_| !self.namespace.host)
    }

    /// Whether the init is of a container that is there to be it.
    fn init_only_pauses(&self) -> bool {
        self.init().and_then(|init| init.container.as_ref()).is_some_and(|id| {
            self.namespace.containers.iter().any(|it| it.id == *id && it.role == Role::Infra)
        })
    }

    /// Those that got in from outside. A zombie without a container is nobody's, not a stranger.
    fn foreign(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().copied().filter(|process| is_foreign(process))
    }
}

fn is_foreign(process: &Process) -> bool {
    process.container.is_none() && process.state.as_deref() != Some("Z")
}

/// The processes, parents before their children, each with its branches: those of one parent by their pid inside.
fn tree<'a>(group: &Group<'a>) -> Vec<(&'a Process, String)> {
    let here: BTreeSet<u32> = group.processes.iter().map(|process| process.pid).collect();
    let mut children: BTreeMap<u32, Vec<&'a Process>> = BTreeMap::new();
    let mut stack: Vec<(&'a Process, Vec<bool>)> = Vec::new();
    for process in &group.processes {
        if here.contains(&process.parent) && process.parent != process.pid {
            children.entry(process.parent).or_default().push(process);
        } else {
            stack.push((process, Vec::new()));
        }
    }
    stack.reverse();
    let mut rows = Vec::with_capacity(group.processes.len());
    loop {
        while let Some((process, lasts)) = stack.pop() {
            rows.push((process, branches(&lasts)));
            let below = children.remove(&process.pid).unwrap_or_default();
            let count = below.len();
            for (position, child) in below.into_iter().enumerate().rev() {
                let mut lasts = lasts.clone();
                lasts.truncate(DEEPEST);
                lasts.push(position + 1 == count);
                stack.push((child, lasts));
            }
        }
        // Parents read while processes move can form a ring, which hangs from nowhere: cut it at its first.
        let Some((_, ring)) = children.pop_first() else { return rows };
        stack.extend(ring.into_iter().rev().map(|process| (process, Vec::new())));
    }
}

fn branches(lasts: &[bool]) -> String {
    let Some((last, above)) = lasts.split_last() else { return String::new() };
    let mut out: String = above.iter().map(|last| if *last { "   " } else { "│  " }).collect();
    out.push_str(if *last { "└─ " } else { "├─ " });
    out
}

/// One process, a cell for each column of [`COLUMNS`].
fn row(list: &ProcessList, group: &Group<'_>, process: &Process, branch: &str, wide: bool) -> Vec<Text> {
    let plain = |text: String| (text, Tone::Plain);
    let dim = |text: String| (text, Tone::Dim);
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let is_init = group.init().is_some_and(|init| init.pid == process.pid);
    let decides = is_init && group.processes.len() > 1 && !group.init_only_pauses();
    let started = process.started_at.as_deref();
    let state = process.state.as_deref().map_or(String::from("?"), |state| clean(state).into_owned());
    let container = match &process.container_name {
        Some(name) => plain(clean(name).into_owned()),
        None if is_foreign(process) => ("▲ none".to_owned(), Tone::Bad),
        None => dim("none".to_owned()),
    };
    vec![
        (number(process.pod_pid), if decides { Tone::Bad } else { Tone::Strong }),
        plain(process.pid.to_string()),
        dim(if process.parent == 0 { "-".to_owned() } else { process.parent.to_string() }),
        if state == "Z" { (state, Tone::Doubtful) } else { plain(state) },
        plain(number(process.uid)),
        dim(if wide {
            started.map(|time| clean(time).into_owned()).unwrap_or_default()
        } else {
            words::age(started, list.node.time.as_deref())
        }),
        dim(if wide {
            process.threads.map(|threads| threads.to_string()).unwrap_or_default()
        } else {
            String::new()
        }),
        container,
        // Only `wide` shows it.
        dim(match &process.container {
            Some(id) if wide => words::short_id(id),
            _ => String::new(),
        }),
        plain(format!("{branch}{}{}", if decides { "▲ " } else { "" }, clean(&process.comm))),
    ]
}

/// Whose namespace it is, and whom the death of its init takes along.
fn heading(group: &Group<'_>, room: usize, look: &Look) -> String {
    let pods: Vec<String> = match group.pod {
        Some(pod) => vec![fit(&pod.to_string(), 60)],
        None => group.namespace.pods.iter().map(|pod| fit(&pod.to_string(), 60)).collect(),
    };
    let name = if pods.is_empty() { "(no container)".to_owned() } else { pods.join(", ") };
    let (fact, tone) = blast_radius(group);
    let mut out = String::new();
    if width(&name) + 2 + width(&fact) <= room.min(1_000) {
        out.push_str(&format!("{}  {}\n", Tone::Strong.paint(&name, look), tone.paint(&fact, look)));
    } else {
        for line in wrap(&name, room.min(1_000)) {
            out.push_str(&Tone::Strong.paint(&line, look));
            out.push('\n');
        }
        lines(&mut out, &fact, tone, room, look);
    }
    let foreign = group.foreign().count() as u64;
    if foreign > 0 {
        let processes = words::count(foreign, "process", "processes");
        let fact = format!("▲ {processes} of no container in here: entered from outside (nsenter, setns)");
        lines(&mut out, &fact, Tone::Bad, room, look);
    }
    out
}

fn lines(out: &mut String, text: &str, tone: Tone, room: usize, look: &Look) {
    for line in wrap(text, room.min(1_000).saturating_sub(2)) {
        out.push_str("  ");
        out.push_str(&tone.paint(&line, look));
        out.push('\n');
    }
}

fn blast_radius(group: &Group<'_>) -> (String, Tone) {
    if group.namespace.host {
        return (
            "in the node's own PID namespace: only its containers' processes".to_owned(),
            Tone::Doubtful,
        );
    }
    let Some(init) = group.init() else {
        return ("PID 1 is not among what could be read".to_owned(), Tone::Doubtful);
    };
    let whose = |process: &Process| {
        process.container_name.as_deref().map_or("no container".to_owned(), |name| fit(name, 32))
    };
    let first = format!("PID 1 is {} of {}", fit(&init.comm, 32), whose(init));
    let others: Vec<&&Process> = group.processes.iter().filter(|process| process.pid != init.pid).collect();
    let mut by_container: HashMap<Option<&str>, (usize, String)> = HashMap::new();
    for process in others.iter().filter(|process| process.container != init.container) {
        by_container.entry(process.container.as_deref()).or_insert_with(|| (0, whose(process))).0 += 1;
    }
    if others.is_empty() {
        return (format!("{first}, alone"), Tone::Dim);
    }
    let count = others.len() as u64;
    let others = words::count(count, "other process", "other processes");
    if by_container.is_empty() {
        return (format!("{first}: its death kills the {others}"), Tone::Plain);
    }
    let mut victims: Vec<(usize, String)> = by_container.into_values().collect();
    victims.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
    let more = victims.len().saturating_sub(VICTIMS);
    let mut named: Vec<String> =
        victims.into_iter().take(VICTIMS).map(|(count, name)| format!("{count} of {name}")).collect();
    if more > 0 {
        named.push(format!(
            "the rest of {}",
            words::count(more as u64, "other container", "other containers")
        ));
    }
    let (mark, tone) = if group.init_only_pauses() { ("", Tone::Good) } else { ("▲ ", Tone::Bad) };
    (format!("{mark}{first}: its death kills the {others}, {}", named.join(", ")), tone)
}

/// `8 processes in 2 PID namespaces.`
fn sum(list: &ProcessList) -> String {
    format!(
        "{} in {}.",
        words::count(list.processes.len() as u64, "process", "processes"),
        words::count(list.pid_namespaces.len() as u64, "PID namespace", "PID namespaces"),
    )
}

/// `3 pods with private PID namespaces and 1 pod in the node's own not listed (--all).`
fn hidden(list: &ProcessList) -> Option<String> {
    let hidden = list.hidden;
    let mut parts = Vec::new();
    if hidden.private > 0 {
        parts.push(format!("{} with private PID namespaces", words::count(hidden.private, "pod", "pods")));
    }
    if hidden.host > 0 {
        parts.push(format!("{} in the node's own", words::count(hidden.host, "pod", "pods")));
    }
    (!parts.is_empty()).then(|| format!("{} not listed (--all).", parts.join(" and ")))
}

/// What to say when there is nothing to list.
fn nothing(list: &ProcessList) -> &'static str {
    if list.hidden.private + list.hidden.host > 0 {
        "No PID namespace is shared by two or more containers."
    } else {
        "No processes to show: no living container is in a PID namespace that could be listed."
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
