#![no_std]
//! What the kernel side and the user side of inspector agree on: the records that the iterator and the event programs
//! write, and the layout of kernel structures that user space resolves and the programs read.
//!
//! Plain data of fixed layout, asserted at compile time; no logic, no `std`, no dependency. Any change to a
//! layout in here changes [`ABI`].

mod event;
mod layout;
mod record;

pub use event::{
    EVENT_NAME_LEN, Event, EventRecord, EventSettings, SLOTS, Tracked, counter, event_flags, slot,
};
pub use layout::{Layout, MISSING};
pub use record::{
    CGROUP_HEADER_LEN, CgroupRecord, EndRecord, Header, Hierarchy, Inodes, NAME_LEN, NamespaceKind,
    NamespaceRecord, TASK_HEADER_LEN, TaskRecord, flags, kind,
};

/// The version of everything in this crate. Each record carries it, and so does the object itself (see
/// [`IDENTITY`]), so a program and an object of different builds refuse each other.
pub const ABI: u16 = 3;

/// What opens the object's identity, a line of text in its read-only data:
/// `inspector-bpf abi=1 source=<sha256 of the kernel side's sources, or ->` and a NUL.
pub const IDENTITY: &str = "inspector-bpf abi=";

/// How many levels of a cgroup's path are walked. With two hierarchies, the longest names and the task itself
/// this fits the 32 KiB into which the kernel lets an iterator write for one task.
pub const CGROUP_DEPTH: u32 = 32;

/// How deep PID namespaces nest (the kernel's `MAX_PID_NS_LEVEL`).
pub const PID_LEVELS: u32 = 32;

/// How many steps are taken from namespace to namespace for one task: from each of its ten up to the first that was
/// told of before. Enough for PID and user namespaces that nest as deep as the kernel lets them.
pub const NAMESPACE_STEPS: u32 = 48;

const _: () = assert!(
    2 * CGROUP_DEPTH as usize * size_of::<CgroupRecord>()
        + NAMESPACE_STEPS as usize * size_of::<NamespaceRecord>()
        + size_of::<TaskRecord>()
        < 8 * 4096,
    "the output for one task must fit the seq_file's buffer of eight pages, or the kernel gives up with E2BIG"
);
