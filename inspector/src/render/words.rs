//! The words that a table uses for what a view says: verdicts, sharing, states, ages.
//!
//! Everything returned is clean ([`super::text`]) and short enough for a line.

use crate::observation::Kind;
use crate::view::{Class, Container, ExitCause, Namespace, Pod, State, Verdict};

use super::Tone;
use super::text::{clean, fit};

/// The longest name inside a sentence, in columns.
const NAME: usize = 32;

/// `NAMESPACE/NAME`, or the name alone.
pub(crate) fn pod_name(pod: &Pod) -> String {
    match &pod.namespace {
        Some(namespace) => format!("{}/{}", clean(namespace), clean(&pod.name)),
        None => clean(&pod.name).into_owned(),
    }
}

/// A runtime's id as people know it: its first twelve digits. A process's id stays whole.
pub(crate) fn short_id(id: &str) -> String {
    let hexadecimal = id.len() > 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { id[..12].to_owned() } else { fit(id, NAME) }
}

/// The judgement of a pod, with its mark: who owns what.
pub(crate) fn verdict(pod: &Pod) -> (String, Tone) {
    let dead = pod.containers.iter().all(|container| container.state == State::Exited);
    match pod.verdict {
        Verdict::ApplicationOwned => {
            (format!("▲ APPLICATION-OWNED{}", owners(pod, Class::Application)), Tone::Bad)
        }
        Verdict::PauseOwned => (format!("pause-owned{}", owners(pod, Class::Pause)), Tone::Good),
        Verdict::RuntimePinned => {
            let kinds = kinds(pod.namespaces.iter().filter(|namespace| namespace.kind.makes_pod()));
            (format!("runtime-pinned ({kinds})"), Tone::Good)
        }
        Verdict::Host => ("host: shares only the node's own namespaces".to_owned(), Tone::Doubtful),
        Verdict::Isolated => ("isolated: shares nothing".to_owned(), Tone::Plain),
        Verdict::Unknown if dead => ("exited: no container of it is alive".to_owned(), Tone::Dim),
        Verdict::Unknown => {
            let why = if pod.why.is_empty() { String::new() } else { format!(": {}", clean(&pod.why)) };
            (format!("? UNKNOWN{why}"), Tone::Doubtful)
        }
    }
}

/// ` by nginx (pid net), api, which is gone (ipc)`: the owners of that class of what makes the pod.
fn owners(pod: &Pod, class: Class) -> String {
    let mut owners: Vec<(String, Vec<&Namespace>)> = Vec::new();
    for namespace in ordered(pod) {
        if !namespace.kind.makes_pod()
            || namespace.owner.class != class
            || !namespace.is_shared()
            || by_target(pod, namespace)
        {
            continue;
        }
        let owner = owner_name(pod, namespace);
        match owners.iter_mut().find(|(name, _)| *name == owner) {
            Some((_, namespaces)) => namespaces.push(namespace),
            None => owners.push((owner, vec![namespace])),
        }
    }
    if owners.is_empty() {
        return String::new();
    }
    let owners: Vec<String> =
        owners.into_iter().map(|(owner, namespaces)| format!("{owner} ({})", kinds(namespaces))).collect();
    format!(" by {}", owners.join(", "))
}

/// Whether everyone but the owner joined on purpose to look (CRI's PID mode TARGET): that counts for no verdict.
fn by_target(pod: &Pod, namespace: &Namespace) -> bool {
    pod.containers
        .iter()
        .filter(|container| {
            namespace.shared_by.contains(&container.id)
                && namespace.owner.container.as_ref() != Some(&container.id)
        })
        .all(|joiner| joiner.declared.get(&namespace.kind).is_some_and(|mode| mode == "target"))
        && namespace.shared_by.len() > 1
}

fn kinds<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> String {
    let names: Vec<&str> = namespaces.into_iter().map(|namespace| namespace.kind.name()).collect();
    names.join(" ")
}

fn owner_name(pod: &Pod, namespace: &Namespace) -> String {
    let owner = &namespace.owner;
    let Some(id) = &owner.container else {
        return "an unknown owner".to_owned();
    };
    let name = match pod.containers.iter().find(|container| container.id == *id) {
        Some(container) => fit(&container.name, NAME),
        None => short_id(id),
    };
    if owner.alive { name } else { format!("{name}, which is gone") }
}

/// The pod's namespaces: those that make it one first, in the order in which they name it.
fn ordered(pod: &Pod) -> Vec<&Namespace> {
    let mut namespaces: Vec<&Namespace> = pod.namespaces.iter().collect();
    let rank =
        |kind: Kind| Kind::POD.iter().position(|pod| *pod == kind).unwrap_or(Kind::POD.len() + kind.index());
    namespaces.sort_by_key(|namespace| rank(namespace.kind));
    namespaces
}

/// What a container owns, joins and has of the node's; or how it ended.
pub(crate) fn sharing(pod: &Pod, container: &Container, inodes: bool) -> (String, Tone) {
    if let Some(exit) = &container.exit {
        let why = clean(&exit.why);
        return match exit.cause {
            ExitCause::PidNamespaceDied => (format!("killed with its PID namespace: {why}"), Tone::Bad),
            ExitCause::Signal => (format!("killed by a signal: {why}"), Tone::Plain),
            ExitCause::Itself => (format!("ended by itself: {why}"), Tone::Plain),
            ExitCause::Unknown => (format!("ended, cause unknown: {why}"), Tone::Plain),
        };
    }
    let mut tone = Tone::Plain;
    let mut phrases: Vec<(&str, String, Vec<String>)> = Vec::new();
    for namespace in ordered(pod) {
        if !namespace.shared_by.contains(&container.id) || !namespace.is_shared() {
            continue;
        }
        let owner = &namespace.owner;
        let (verb, of) = match &owner.container {
            Some(id) if *id == container.id && owner.alive => {
                if owner.class == Class::Application
                    && namespace.kind.makes_pod()
                    && !by_target(pod, namespace)
                {
                    tone = Tone::Bad;
                }
                ("owns", String::new())
            }
            _ if owner.class == Class::RuntimePinned => ("has", ", pinned by the runtime".to_owned()),
            _ => ("joins", format!(" of {}", owner_name(pod, namespace))),
        };
        let kind = kind_and_inode(namespace.kind, Some(namespace.inode), inodes);
        match phrases.iter_mut().find(|(known, whose, _)| *known == verb && *whose == of) {
            Some((_, _, kinds)) => kinds.push(kind),
            None => phrases.push((verb, of, vec![kind])),
        }
    }
    let host: Vec<String> = Kind::POD
        .into_iter()
        // Nearly every container has the node's user, cgroup and time namespaces: that is no news.
        .chain([Kind::Mnt])
        .filter(|kind| container.declared.get(kind).is_some_and(|mode| mode == "host"))
        .map(|kind| kind_and_inode(kind, container.namespaces.get(&kind).copied(), inodes))
        .collect();
    if !host.is_empty() {
        phrases.push(("has", " of the node".to_owned(), host));
    }
    let phrases: Vec<String> =
        phrases.into_iter().map(|(verb, of, kinds)| format!("{verb} {}{of}", kinds.join(" "))).collect();
    (phrases.join("; "), tone)
}

/// `net`, or the kernel's own `net:[4026532184]`.
fn kind_and_inode(kind: Kind, inode: Option<u32>, inodes: bool) -> String {
    match inode {
        Some(inode) if inodes => format!("{kind}:[{inode}]"),
        _ => kind.name().to_owned(),
    }
}

/// `running`, `exited 137`.
pub(crate) fn state(container: &Container) -> (String, Tone) {
    match (container.state, &container.exit) {
        (State::Running, _) => ("running".to_owned(), Tone::Plain),
        (State::Exited, Some(exit)) => match exit.code {
            Some(0) => ("exited 0".to_owned(), Tone::Dim),
            Some(code) => (format!("exited {code}"), Tone::Doubtful),
            None => ("exited".to_owned(), Tone::Dim),
        },
        (State::Exited, None) => ("exited".to_owned(), Tone::Dim),
    }
}

/// How long ago, as one number and a unit: `45s`, `12m`, `5h`, `3d`.
pub(super) fn age(started: Option<&str>, now: Option<&str>) -> String {
    let parse = |time: Option<&str>| time?.parse::<jiff::Timestamp>().ok();
    let (Some(started), Some(now)) = (parse(started), parse(now)) else {
        return String::new();
    };
    let seconds = now.duration_since(started).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1 pod`, `2 pods`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
