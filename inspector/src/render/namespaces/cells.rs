//! The columns of a table of namespaces, and what stands in them. Everything returned is clean and short.

use crate::observation::Kind;
use crate::render::layout::{self, Overflow, Text};
use crate::render::text::{clean, fit};
use crate::render::{Tone, words};
use crate::state::namespaces::Namespace;
use crate::view::{Class, HolderType, NamespaceHolder};

/// The longest name in a list of names, in columns.
const NAME: usize = 32;

/// So many names of a list are told, and how many more there are.
const NAMES: usize = 3;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The inode.
    Ns,
    /// The kind.
    Type,
    /// The kernel's id.
    Id,
    /// Processes whose main thread is in it.
    Procs,
    /// Threads in it.
    Threads,
    /// The lowest pid of those.
    Pid,
    /// Its uid.
    Uid,
    /// Its comm.
    Command,
    /// The namespace above it.
    Parent,
    /// The user namespace that owns it.
    UserNs,
    /// The containers in it, by name.
    Containers,
    /// Their pods, by name.
    Pods,
    /// Whom it was made for, and of what class that is.
    Owner,
    /// What else keeps it.
    HeldBy,
}

impl Column {
    /// All of them, in their order.
    pub const ALL: [Self; 14] = [
        Self::Ns,
        Self::Type,
        Self::Id,
        Self::Procs,
        Self::Threads,
        Self::Pid,
        Self::Uid,
        Self::Command,
        Self::Parent,
        Self::UserNs,
        Self::Containers,
        Self::Pods,
        Self::Owner,
        Self::HeldBy,
    ];

    /// The columns of the usual table.
    pub(super) const USUAL: [Self; 9] = [
        Self::Ns,
        Self::Type,
        Self::Procs,
        Self::Threads,
        Self::Pid,
        Self::Uid,
        Self::Command,
        Self::Containers,
        Self::HeldBy,
    ];

    /// Those of a narrow screen.
    pub(super) const NARROW: [Self; 6] =
        [Self::Ns, Self::Type, Self::Procs, Self::Pid, Self::Command, Self::HeldBy];

    /// What it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeldBy => "HELDBY",
            other => other.layout().title,
        }
    }

    /// What lsns calls it, where that is another name.
    #[must_use]
    pub const fn name_in_lsns(self) -> &'static [&'static str] {
        match self {
            Self::Procs => &["NPROCS"],
            Self::Parent => &["PNS"],
            Self::UserNs => &["ONS"],
            _ => &[],
        }
    }

    /// Its heading and limits.
    pub(super) const fn layout(self) -> layout::Column {
        // A number that is cut off would be another number: those are never made narrower.
        let (title, min, max, luxury) = match self {
            // With the glyphs of three levels of a tree before it.
            Self::Ns => ("NS", 20, 60, 0),
            Self::Type => ("TYPE", 6, 6, 0),
            Self::Id => ("ID", 20, 20, 0),
            Self::Procs => ("PROCS", 10, 10, 0),
            Self::Threads => ("THREADS", 10, 10, 3),
            Self::Pid => ("PID", 10, 10, 0),
            Self::Uid => ("UID", 10, 10, 2),
            Self::Command => ("COMMAND", 7, 18, 0),
            Self::Parent => ("PARENT", 10, 10, 0),
            Self::UserNs => ("USERNS", 10, 10, 0),
            Self::Containers => ("CONTAINERS", 10, 48, 0),
            Self::Pods => ("PODS", 10, 48, 0),
            Self::Owner => ("OWNER", 10, 40, 0),
            Self::HeldBy => ("HELD BY", 12, 72, 0),
        };
        let right = matches!(self, Self::Id | Self::Procs | Self::Threads | Self::Pid | Self::Uid);
        // What is deeper in a tree keeps its inode.
        let overflow = if matches!(self, Self::Ns) { Overflow::Start } else { Overflow::End };
        layout::Column { title, min, max, right, overflow, luxury }
    }

    /// What stands in it. A tree shows by itself what is below.
    pub(super) fn cell(self, namespace: &Namespace<'_, '_>, in_tree: bool) -> Text {
        let plain = |text: String| (text, Tone::Plain);
        let dim = |text: String| (text, Tone::Dim);
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let lowest = namespace.lowest();
        match self {
            Self::Ns => plain(namespace.inode().to_string()),
            Self::Type => plain(namespace.kind().name().to_owned()),
            Self::Id => dim(namespace.id().map(|id| id.to_string()).unwrap_or_default()),
            Self::Procs => plain(namespace.processes().to_string()),
            Self::Threads => dim(namespace.threads().to_string()),
            Self::Pid => plain(number(lowest.map(|task| task.pid))),
            Self::Uid => dim(number(lowest.and_then(|task| task.uid))),
            Self::Command => plain(lowest.map(|task| clean(&task.comm).into_owned()).unwrap_or_default()),
            Self::Parent => dim(number(namespace.parent())),
            Self::UserNs => dim(number(namespace.owner_user_namespace())),
            Self::Containers => containers(namespace),
            Self::Pods => pods(namespace),
            Self::Owner => owner(namespace),
            Self::HeldBy => held_by(namespace, in_tree),
        }
    }
}

/// `nginx, busybox`; `the node's +3`. A process that stands for nobody but itself is in COMMAND already.
fn containers(namespace: &Namespace<'_, '_>) -> Text {
    let managed = || namespace.containers().filter(|container| container.managed);
    if namespace.is_host() == Some(true) {
        let text = format!("the node's{}", more(managed().count()));
        return (text, Tone::Dim);
    }
    if managed().next().is_none() && namespace.containers().nth(1).is_none() {
        return (String::new(), Tone::Plain);
    }
    (some(namespace.containers().map(|container| fit(&container.name, NAME))), Tone::Plain)
}

/// `shop/web, docker-1`. As with containers, only what a runtime has: and of the node's own, everyone is in those.
fn pods(namespace: &Namespace<'_, '_>) -> Text {
    if namespace.is_host() == Some(true) {
        return (String::new(), Tone::Plain);
    }
    let names = namespace.pods().filter(|pod| pod.managed).map(|pod| match &pod.namespace {
        Some(namespace) => fit(&format!("{namespace}/{}", pod.name), NAME),
        None => fit(&pod.name, NAME),
    });
    (some(names), Tone::Plain)
}

/// `nginx (application)`.
fn owner(namespace: &Namespace<'_, '_>) -> Text {
    let owner = namespace.owner();
    let Some(id) = &owner.container else { return (String::new(), Tone::Plain) };
    let name = match namespace.containers().find(|container| container.id == *id) {
        Some(container) => fit(&container.name, NAME),
        None => words::short_id(id),
    };
    let gone = if owner.alive { "" } else { ", gone" };
    let shared = namespace.containers().nth(1).is_some();
    let tone = if shared && owner.class == Class::Application && namespace.kind().makes_pod() {
        Tone::Bad
    } else {
        Tone::Plain
    };
    (format!("{name} ({}{gone})", owner.class.name()), tone)
}

/// `/run/netns/blue; fd of 4711 +2; child 4026532184; for children of 12`.
fn held_by(namespace: &Namespace<'_, '_>, in_tree: bool) -> Text {
    let holders = namespace.holders();
    let shown = |holder: &NamespaceHolder<'_>| !in_tree || holder.holder_type != HolderType::ChildNamespace;
    let mut parts: Vec<String> = Vec::new();
    for of_type in holders.chunk_by(|a, b| a.holder_type == b.holder_type) {
        if let Some(first) = of_type.first().filter(|first| shown(first)) {
            parts.push(format!("{}{}", holder(first, namespace.kind()), more(of_type.len() - 1)));
        }
    }
    if let [first, rest @ ..] = namespace.for_children() {
        parts.push(format!("for children of {first}{}", more(rest.len())));
    }
    let empty = namespace.threads() == 0;
    if empty && parts.is_empty() && holders.is_empty() {
        parts.push("nothing to be seen".to_owned());
    }
    (parts.join("; "), if empty { Tone::Doubtful } else { Tone::Dim })
}

fn holder(holder: &NamespaceHolder<'_>, kind: Kind) -> String {
    let path =
        holder.path.as_deref().map(|path| clean(&path.chars().take(400).collect::<String>()).into_owned());
    let path = path.unwrap_or_default();
    let of = holder.pid.map(|pid| format!(" of {pid}")).unwrap_or_default();
    match holder.holder_type {
        HolderType::BindMount => path,
        HolderType::Fd => format!("fd{of}"),
        HolderType::Socket => format!("socket{of}"),
        // `pid:[4026532184]`: of its own kind, or one that it owns.
        HolderType::ChildNamespace => match path.trim_end_matches(']').split_once(":[") {
            Some((below, inode)) if below == kind.name() => format!("child {inode}"),
            Some((below, inode)) => format!("owns {below} {inode}"),
            None => path,
        },
        HolderType::Mount => {
            let what = match kind {
                Kind::Net => "sysfs",
                Kind::Ipc => "mqueue",
                _ => "proc",
            };
            format!("{what} at {path}{of}")
        }
    }
}

/// A few of these, and how many more there are.
fn some(mut names: impl Iterator<Item = String>) -> String {
    let told: Vec<String> = names.by_ref().take(NAMES).collect();
    format!("{}{}", told.join(", "), more(names.count()))
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" +{count}") }
}
