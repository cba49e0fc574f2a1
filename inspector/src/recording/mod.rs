//! Recordings: an [`Observation`] in a file, to be asked again elsewhere without privileges.
//!
//! A text file, one JSON object a line, so that `head`, `grep` and `jq` can look into it:
//!
//! ```text
//! {"format":"inspector-recording","version":1,"inspector":"0.1.0","created":"2026-11-23T21:44:13Z"}
//! {"node":{…,"source":"bpf",…}}
//! {"task":{…}}          one for each task, container, pod, behaviour, pin, runtime and gap
//! {"end":{"lines":312,"bytes":81234,"crc32":"9ae0daaf"}}
//! ```
//!
//! A reader accepts all of it or nothing: the end line proves that every byte before it is there and unchanged.
//! The checksum is against accidents, not against forgery.

mod error;
mod file;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::{Problem, ReadError, WriteError};
pub use file::{load, save};
pub use read::read;
pub use write::write;

use serde::{Deserialize, Serialize};

use crate::observation::{
    Behaviour, Cost, Credentials, DeclaredContainer, DeclaredPod, Gap, Handle, History, HostNamespaces,
    NamespaceFact, NetworkFact, Node, Observation, Pin, Reader, RuntimeReport, Task, TaskSource,
};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// What every recording starts with, byte for byte; the version's number follows.
const MAGIC: &str = r#"{"format":"inspector-recording","version":"#;

/// What the end line, and no other, starts with.
const END: &str = r#"{"end":{"#;

/// The longest line. The largest one real nodes have is a container's, of a few hundred kilobytes.
const LINE_BYTES: u64 = 16 << 20;

/// The largest recording: some two million tasks.
const TOTAL_BYTES: u64 = 1 << 30;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header<'a> {
    format: &'a str,
    version: u32,
    /// The version of the inspector that wrote it.
    inspector: &'a str,
    /// When, RFC 3339.
    created: String,
}

/// A line between the first and the last.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Node(Box<Head>),
    Task(Box<Task>),
    Container(Box<DeclaredContainer>),
    Pod(Box<DeclaredPod>),
    Behaviour(Behaviour),
    Credentials(Credentials),
    Network(NetworkFact),
    Cost(Cost),
    Pin(Pin),
    Namespace(NamespaceFact),
    Handle(Handle),
    Runtime(RuntimeReport),
    Gap(Gap),
    History(Box<History>),
}

/// What an observation has once. It comes first, and starts a snapshot.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    node: Node,
    source: TaskSource,
    reader: Reader,
    host: HostNamespaces,
    unreadable: u64,
}

/// The lines of an observation. Takes it apart by name, so that a field that is new does not compile before it has
/// its place in a recording.
fn lines(observation: &Observation) -> impl Iterator<Item = Line> + '_ {
    let Observation {
        node,
        source,
        reader,
        host,
        tasks,
        unreadable,
        containers,
        pods,
        behaviours,
        credentials,
        networks,
        costs,
        namespaces,
        pins,
        handles,
        runtimes,
        gaps,
        history,
    } = observation;
    let head = Head {
        node: node.clone(),
        source: *source,
        reader: *reader,
        host: host.clone(),
        unreadable: *unreadable,
    };
    std::iter::once(Line::Node(Box::new(head)))
        .chain(tasks.iter().map(|task| Line::Task(Box::new(task.clone()))))
        .chain(containers.iter().map(|container| Line::Container(Box::new(container.clone()))))
        .chain(pods.iter().map(|pod| Line::Pod(Box::new(pod.clone()))))
        .chain(behaviours.iter().cloned().map(Line::Behaviour))
        .chain(credentials.iter().copied().map(Line::Credentials))
        .chain(networks.iter().cloned().map(Line::Network))
        .chain(costs.iter().copied().map(Line::Cost))
        .chain(namespaces.iter().copied().map(Line::Namespace))
        .chain(pins.iter().cloned().map(Line::Pin))
        .chain(handles.iter().cloned().map(Line::Handle))
        .chain(runtimes.iter().cloned().map(Line::Runtime))
        .chain(gaps.iter().cloned().map(Line::Gap))
        // Only who watched has one.
        .chain((*history != History::default()).then(|| Line::History(Box::new(history.clone()))))
}

/// The end line, with its line end: what was written before it.
fn end_line(lines: u64, bytes: u64, crc32: u32) -> String {
    format!("{END}\"lines\":{lines},\"bytes\":{bytes},\"crc32\":\"{crc32:08x}\"}}}}\n")
}
