//! From a record of the ring buffer to an event. Pure: it touches no machine.

use std::sync::Arc;

use inspector_common::{ABI, EVENT_NAME_LEN, EventRecord, event_flags as flags, kind};
use thiserror::Error;

use super::super::fields::{Fields, inodes, until_nul};
use crate::observation::{EventCgroup, EventKind, ExitStatus, KernelEvent, NamespaceSet, TaskRef};

/// Bytes that are no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventDecodeError {
    /// They are of another length, kind or version.
    #[error("{length} bytes of the ring buffer are no event (kind {kind}, version {abi})")]
    NoEvent {
        /// What they claim to be.
        kind: u16,
        /// In which version.
        abi: u16,
        /// How many there are.
        length: usize,
    },
    /// One of the numbers in it makes no sense.
    #[error("an event with {what} {value}, which there is none of")]
    NoSuch {
        /// What it is a number of.
        what: &'static str,
        /// The number.
        value: u32,
    },
}

/// Decodes records. There are few names, and they come again and again: each is kept, and shared.
pub struct Decoder {
    comms: Names,
    cgroups: Names,
}

impl Decoder {
    pub fn new() -> Self {
        Self { comms: Names::new(), cgroups: Names::new() }
    }

    /// Decodes one record.
    pub fn decode(&mut self, record: &[u8]) -> Result<KernelEvent, EventDecodeError> {
        let mut fields = Fields(record);
        let header = (fields.u16(), fields.u16(), fields.u32());
        let (kind, abi, length) = (header.0.unwrap_or(0), header.1.unwrap_or(0), header.2.unwrap_or(0));
        let no_event = EventDecodeError::NoEvent { kind, abi, length: record.len() };
        let whole = size_of::<EventRecord>();
        if record.len() != whole || length as usize != whole || kind != kind::EVENT || abi != ABI {
            return Err(no_event);
        }
        let Some(raw) = Raw::read(&mut fields) else { return Err(no_event) };
        raw.event(self)
    }
}

/// Names that came lately, each at the place that a number of its owner's leads to.
struct Names([Option<Arc<str>>; Self::PLACES]);

impl Names {
    const BITS: u32 = 6;
    const PLACES: usize = 1 << Self::BITS;

    const fn new() -> Self {
        Self([const { None }; Self::PLACES])
    }

    /// The text of these bytes.
    fn share(&mut self, bytes: &[u8], number: u64) -> Arc<str> {
        /// The golden ratio's, of 64 bits: numbers that are near each other come to lie far apart.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let made = || Arc::from(String::from_utf8_lossy(bytes));
        let place = usize::try_from(number.wrapping_mul(SPREAD) >> (u64::BITS - Self::BITS));
        let Some(kept) = place.ok().and_then(|place| self.0.get_mut(place)) else { return made() };
        match kept {
            Some(name) if name.as_bytes() == bytes => Arc::clone(name),
            _ => Arc::clone(kept.insert(made())),
        }
    }
}

/// The record's fields, in its order.
struct Raw<'r> {
    boottime_ns: u64,
    start_boottime_ns: u64,
    process_start_boottime_ns: u64,
    other_start_boottime_ns: u64,
    cgroup_v2: u64,
    cgroup_pids: u64,
    event: u32,
    flags: u32,
    pid: u32,
    tgid: u32,
    other_pid: u32,
    other_tgid: u32,
    exit_code: u32,
    level: u32,
    pid_inside: u32,
    uid: u32,
    user_namespace_owner: u32,
    cgroup_name_length: u32,
    old: NamespaceSet,
    new: NamespaceSet,
    comm: [u8; 16],
    cgroup_name: &'r [u8],
}

impl<'r> Raw<'r> {
    fn read(fields: &mut Fields<'r>) -> Option<Self> {
        Some(Self {
            boottime_ns: fields.u64()?,
            start_boottime_ns: fields.u64()?,
            process_start_boottime_ns: fields.u64()?,
            other_start_boottime_ns: fields.u64()?,
            cgroup_v2: fields.u64()?,
            cgroup_pids: fields.u64()?,
            event: fields.u32()?,
            flags: fields.u32()?,
            pid: fields.u32()?,
            tgid: fields.u32()?,
            other_pid: fields.u32()?,
            other_tgid: fields.u32()?,
            exit_code: fields.u32()?,
            level: fields.u32()?,
            pid_inside: fields.u32()?,
            uid: fields.u32()?,
            user_namespace_owner: fields.u32()?,
            cgroup_name_length: fields.u32()?,
            old: inodes(fields)?,
            new: inodes(fields)?,
            comm: fields.take()?,
            cgroup_name: fields.0.get(..EVENT_NAME_LEN)?,
        })
    }

    fn event(self, names: &mut Decoder) -> Result<KernelEvent, EventDecodeError> {
        let no_such = |what, value| EventDecodeError::NoSuch { what, value };
        let kind = *(EventKind::ALL.get(self.event as usize)).ok_or(no_such("kind", self.event))?;
        let name = (self.cgroup_name.get(..self.cgroup_name_length as usize))
            .ok_or(no_such("a cgroup name of length", self.cgroup_name_length))?;
        let has = |flag| self.flags & flag != 0;
        let other = (self.other_tgid != 0).then_some(TaskRef {
            pid: self.other_pid,
            tgid: self.other_tgid,
            process_start_boottime_ns: self.other_start_boottime_ns,
        });
        let known = |id| (id != 0).then_some(id);
        let comm = self.comm.as_chunks().0.iter().fold(0, |all, half| all ^ u64::from_ne_bytes(*half));
        let of_name = if has(flags::NAME_OF_PIDS) { self.cgroup_pids } else { self.cgroup_v2 };
        Ok(KernelEvent {
            kind,
            boottime_ns: self.boottime_ns,
            pid: self.pid,
            tgid: self.tgid,
            start_boottime_ns: self.start_boottime_ns,
            process_start_boottime_ns: self.process_start_boottime_ns,
            comm: names.comms.share(until_nul(&self.comm), comm),
            uid: self.uid,
            user_namespace_owner: self.user_namespace_owner,
            level: self.level,
            pid_inside: self.pid_inside,
            kernel_thread: has(flags::KERNEL_THREAD),
            pid_namespace_init: has(flags::PID_NAMESPACE_INIT),
            caller: other.filter(|_| kind == EventKind::Fork),
            // Threads have no parent of their own to be told.
            parent_is_callers: kind == EventKind::Fork
                && self.pid == self.tgid
                && has(flags::PARENT_IS_CALLERS),
            parent: other.filter(|_| !matches!(kind, EventKind::Fork | EventKind::Exit)),
            exit: (kind == EventKind::Exit).then(|| ExitStatus::from_wait(self.exit_code)),
            old: (!has(flags::OLD_UNKNOWN)).then_some(self.old),
            old_is_parents: has(flags::OLD_IS_PARENTS),
            new: (kind != EventKind::Exit).then_some(self.new),
            cgroup: EventCgroup {
                v2: known(self.cgroup_v2),
                pids: known(self.cgroup_pids),
                name: names.cgroups.share(name, of_name),
                name_is_of_pids: has(flags::NAME_OF_PIDS),
                name_truncated: has(flags::NAME_TRUNCATED),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Kind;

    /// A record, written by hand.
    fn record(event: u32, flags: u32, exit_code: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&kind::EVENT.to_ne_bytes());
        bytes.extend_from_slice(&ABI.to_ne_bytes());
        bytes.extend_from_slice(&328_u32.to_ne_bytes());
        for value in [1_000_u64, 900, 800, 700, 4001, 0] {
            bytes.extend_from_slice(&value.to_ne_bytes());
        }
        let length = u32::try_from(name.len()).unwrap();
        for value in [event, flags, 12, 11, 21, 20, exit_code, 2, 1, 1000, 1001, length] {
            bytes.extend_from_slice(&value.to_ne_bytes());
        }
        for value in (101..=110).chain(201..=209).chain([0]) {
            bytes.extend_from_slice(&u32::to_ne_bytes(value));
        }
        bytes.extend_from_slice(b"x\xff\0rest of it....");
        bytes.truncate(200);
        bytes.extend_from_slice(name);
        bytes.resize(328, b'?');
        bytes
    }

    fn decode(record: &[u8]) -> Result<KernelEvent, EventDecodeError> {
        Decoder::new().decode(record)
    }

    #[test]
    fn names_are_shared_and_never_mixed_up() {
        let mut decoder = Decoder::new();
        // More than there are places for, under one id as well as under many.
        for round in 0..3_u8 {
            for number in 0..200_u8 {
                let mut bytes = record(1, 0, 0, format!("cgroup-{number}").as_bytes());
                bytes[40..48].copy_from_slice(&u64::from(number / 2).to_ne_bytes());
                bytes[184..192].copy_from_slice(format!("comm{number:04}").as_bytes());
                bytes[192] = 0;
                let event = decoder.decode(&bytes).unwrap();
                assert_eq!(*event.cgroup.name, *format!("cgroup-{number}"), "round {round}");
                assert_eq!(*event.comm, *format!("comm{number:04}"), "round {round}");
                let again = decoder.decode(&bytes).unwrap();
                assert!(Arc::ptr_eq(&event.comm, &again.comm), "round {round}, {number}");
                assert!(Arc::ptr_eq(&event.cgroup.name, &again.cgroup.name), "round {round}, {number}");
            }
        }
    }

    #[test]
    fn every_field_is_where_it_belongs() {
        let event = decode(&record(0, flags::PID_NAMESPACE_INIT, 7, b"docker-\xff")).unwrap();
        assert_eq!((event.kind, event.boottime_ns), (EventKind::Fork, 1000));
        assert_eq!((event.pid, event.tgid, event.start_boottime_ns), (12, 11, 900));
        assert_eq!((event.process_start_boottime_ns, event.level, event.pid_inside), (800, 2, 1));
        assert_eq!((event.uid, event.user_namespace_owner), (1000, 1001));
        assert_eq!(&*event.comm, "x\u{fffd}");
        assert!(event.is_thread() && event.pid_namespace_init && !event.kernel_thread);
        let caller = TaskRef { pid: 21, tgid: 20, process_start_boottime_ns: 700 };
        assert_eq!((event.caller, event.parent, event.exit), (Some(caller), None, None));
        let (old, new) = (event.old.unwrap(), event.new.unwrap());
        for (index, kind) in (0..).zip(Kind::ALL) {
            assert_eq!(old.namespaces.get(kind), Some(101 + index));
            assert_eq!(new.namespaces.get(kind), Some(201 + index));
        }
        assert_eq!((old.pid_for_children, old.time_for_children), (Some(109), Some(110)));
        assert_eq!((new.pid_for_children, new.time_for_children), (Some(209), None));
        let cgroup = EventCgroup { v2: Some(4001), name: "docker-\u{fffd}".into(), ..EventCgroup::default() };
        assert_eq!(event.cgroup, cgroup);
    }

    #[test]
    fn each_kind_has_what_belongs_to_it() {
        let event = |event, flags| decode(&record(event, flags, 0x89, b"")).unwrap();
        let exec = event(1, flags::OLD_IS_PARENTS | flags::KERNEL_THREAD);
        assert!(exec.old_is_parents && exec.kernel_thread && exec.parent.is_some() && exec.caller.is_none());
        let exit = event(2, flags::NAME_TRUNCATED | flags::NAME_OF_PIDS);
        let status = exit.exit.unwrap();
        assert_eq!((status.signal, status.code, status.core_dumped), (Some(9), None, true));
        assert!(exit.new.is_none() && exit.old.is_some() && exit.parent.is_none() && exit.caller.is_none());
        assert!(exit.cgroup.name_truncated && exit.cgroup.name_is_of_pids && exit.cgroup.name.is_empty());
        let setns = event(3, flags::OLD_UNKNOWN | flags::PARENT_IS_CALLERS);
        assert!(setns.kind == EventKind::Setns && setns.old.is_none() && setns.new.is_some());
        let unshare = event(4, 0);
        assert_eq!(unshare.kind, EventKind::Unshare);
        let parent = Some(TaskRef { pid: 21, tgid: 20, process_start_boottime_ns: 700 });
        for call in [setns, unshare] {
            assert_eq!((call.parent, call.caller, call.parent_is_callers), (parent, None, false));
        }
        for kind in 0..5 {
            let event = event(kind, 0);
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<KernelEvent>(&json).unwrap(), event);
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let whole = record(0, 0, 0, b"a");
        for length in 0..whole.len() {
            assert!(matches!(decode(&whole[..length]), Err(EventDecodeError::NoEvent { .. })), "{length}");
        }
        assert!(decode(&[whole.clone(), vec![0]].concat()).is_err(), "too long");
        for (at, value) in [(0, 1), (2, 0xee), (4, 1)] {
            let mut other = whole.clone();
            other[at] = value;
            assert!(matches!(decode(&other), Err(EventDecodeError::NoEvent { .. })), "{at}");
        }
        let no_such = |what, value| Err(EventDecodeError::NoSuch { what, value });
        assert_eq!(decode(&record(5, 0, 0, b"")), no_such("kind", 5));
        let mut long = whole.clone();
        long[100..104].copy_from_slice(&129_u32.to_ne_bytes());
        assert_eq!(decode(&long), no_such("a cgroup name of length", 129));
        // Any byte may be any other: an event or an error.
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut other = whole.clone();
                other[at] = value;
                let _ = decode(&other);
            }
        }
    }
}
