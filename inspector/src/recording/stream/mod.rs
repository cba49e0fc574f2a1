//! Streams: what a watcher handed on, in order, so that the engine (`live`) can be fed with the very same again.
//!
//! Text, one JSON object a line, packed into members of gzip one after the other, so that `zcat` shows it:
//!
//! ```text
//! {"format":"inspector-recording","version":2,"inspector":"0.1.0","created":"2026-11-23T21:44:13Z",…}
//! {"look":{"since-boottime-ns":81312…,"lines":312}}
//! {"node":{…}}                       as in a snapshot, 312 lines
//! {"task":{…}}
//! {"told":{"boottime-ns":81313…,"by":"fexit","events":2}}
//! {"event":{…}}
//! {"event":{…}}
//! {"look":{…,"lines":313}}
//! {"same":[1,300]}                   300 lines of the look before, from its second on
//! {"blind":{…}}
//! {"end":{"inputs":17,"events":2,"lost":0,"boottime-ns":81320…}}
//! ```
//!
//! Every member is complete by itself and has whole lines only. What is written is believed up to the last whole member:
//! a file that ends anywhere is a shorter recording. A file that is damaged before that is refused ([`member`]).

mod member;
mod read;
#[cfg(test)]
pub(super) mod tests;
mod write;

pub(super) use member::GZIP;
pub use read::{Ending, StreamReader};
pub use write::{StreamWriter, Totals};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Line;
use crate::observation::{Blind, HeardBy, KernelEvent};

/// The version of the format of streams.
pub const STREAM_VERSION: u32 = 2;

/// The longest stream, unpacked: weeks of a busy node.
const STREAM_BYTES: u64 = 1 << 36;

/// What is told of a stream in its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// When it was begun.
    pub created: jiff::Timestamp,
    /// How the kernel's events were heard at its beginning.
    pub by: Option<HeardBy>,
    /// How often everything was looked at, at least, in milliseconds.
    pub interval_ms: u64,
    /// Whether the kernel was asked for every process.
    pub all_processes: bool,
    /// Whether names are pseudonyms.
    pub redacted: bool,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Header {
    format: String,
    version: u32,
    inspector: String,
    created: jiff::Timestamp,
    #[serde(default)]
    by: Option<HeardBy>,
    #[serde(default)]
    interval_ms: u64,
    #[serde(default)]
    all_processes: bool,
    #[serde(default)]
    redacted: bool,
}

/// A line that begins something.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Begin {
    Look(LookHead),
    Told(ToldHead),
    Blind(Blind),
    End(End),
}

/// A look: its lines follow.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LookHead {
    since_boottime_ns: u64,
    /// How many there are, with those that are as in the look before.
    lines: u64,
}

/// What the kernel told: its events follow, one a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ToldHead {
    boottime_ns: u64,
    #[serde(default)]
    by: Option<HeardBy>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lost: BTreeMap<String, u64>,
    events: u64,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct End {
    inputs: u64,
    events: u64,
    lost: u64,
    boottime_ns: u64,
}

/// A line of a look: one of an observation's, or a run of lines that are as in the look before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Part {
    Same(Same),
    Line(Box<Line>),
}

/// The first of those lines, from 0, and how many.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Same {
    same: [u64; 2],
}

/// An event of the kernel.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    event: KernelEvent,
}
