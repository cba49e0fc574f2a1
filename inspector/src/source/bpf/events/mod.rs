//! What happens to processes and their namespaces, told by the kernel as it happens.
//!
//! [`EventReader`] loads the event programs, and reads what they write. `attach` knows the programs and gets them in;
//! `decode` turns bytes into events; `counts` says what did not arrive. All goes with the reader, however that ends: what
//! is in the kernel hangs on its descriptors only, and nothing is pinned.
//!
//! What is told is decided in the kernel (`inspector-ebpf/src/event`): a fork whose child has all namespaces of who
//! called, and is no thread's doing, is no event; nor is the death of a process that nothing was told of before and that
//! [`EventReader::track`] did not name.

mod attach;
mod counts;
mod decode;
mod slots;

use std::fs;
use std::mem;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use inspector_common::{EventRecord, EventSettings, slot};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use self::attach::{Attached, Kernel};
use self::decode::Decoder;
use self::slots::Slots;
use super::error::{BpfError, classify};
use super::program::{Programs, Wanted};
use super::{load, object, preconditions};
use crate::observation::{Gap, KernelEvent, Kind, Task};
use crate::source::Context;

pub use attach::EventTier;
pub use counts::{EventCounts, Tally};
pub use decode::EventDecodeError;

/// When a reader that waits is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At each event: for what a person waits for.
    AtOnce,
    /// When so many bytes wait, or after so long: an event costs a tenth of what it does otherwise.
    Sampled {
        /// Bytes of the ring buffer, of which an event takes 336.
        watermark: u32,
        /// Between two looks.
        tick: Duration,
    },
}

/// What is to be told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventConfig {
    /// Every fork of a process, every exec and exit, whatever their namespaces.
    pub all_processes: bool,
    /// Where the kernel's functions for `setns` and `unshare` cannot be watched, the tracepoints of system calls may be: while
    /// those are attached, every system call of the machine takes longer.
    pub syscalls: bool,
    /// This tier or none.
    pub only: Option<EventTier>,
    /// When the reader is woken.
    pub wake: Wake,
    /// Room for events that wait to be read, in bytes. Rounded up to what the kernel takes.
    pub ring_bytes: u32,
    /// Room for processes whose death is to be told: for those that [`EventReader::track`] names, and for those whose number
    /// leaves the same remainder by 16,384 as that of another one. For others there always is.
    pub tracked: u32,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            all_processes: false,
            syscalls: false,
            only: None,
            wake: Wake::Sampled { watermark: 256 << 10, tick: Duration::from_millis(20) },
            ring_bytes: 1 << 20,
            tracked: 16 << 10,
        }
    }
}

/// The kernel's largest ring buffer that this asks for.
const MAX_RING_BYTES: u32 = 1 << 30;

/// The words of `inspector_common::Tracked`: the start, then the namespaces.
type TrackedWords = [u32; 12];

/// The event programs, called by the kernel for as long as this is kept.
pub struct EventReader {
    // Before the maps that they write to.
    attached: Attached,
    ring: RingBuf<MapData>,
    /// Those that are alone at their slot.
    first: Array<MapData, TrackedWords>,
    tracked: HashMap<MapData, u32, TrackedWords>,
    slots: Slots,
    counters: PerCpuArray<MapData, u64>,
    epoll: OwnedFd,
    /// Between two looks, at most; where the kernel wakes at once there is none.
    tick: Option<Duration>,
    /// The last look did not come to the end.
    unfinished: bool,
    /// Events that one look takes at most: as many as the ring buffer has room for.
    at_once: usize,
    /// Events that the last look took: about as many as the next one will.
    usual: usize,
    tier: EventTier,
    decoder: Decoder,
    untracked: u64,
    undecodable: u64,
    gaps: Vec<Gap>,
}

impl EventReader {
    /// Loads the programs, and has the kernel call them from now on.
    pub fn open(context: &Context, config: &EventConfig) -> Result<Self, BpfError> {
        let object = object::bytes()?;
        preconditions::check_capabilities()?;
        let level = preconditions::check_pid_namespace(context)?;
        preconditions::raise_memlock();
        let (reader_level, reader_namespace) = match level {
            Some(level) => (level, 0),
            None => reader_place(context)?,
        };

        let start = Instant::now();
        let tiers = tiers(config);
        let mut kernel = Kernel::read(reader_level, &tiers)?;
        let resolved = Instant::now();
        let names = attach::names(&tiers);
        let ring_bytes = ring_bytes(config.ring_bytes);
        let settings = settings(config, reader_namespace, kernel.exit_tells_group_dead);
        let mut programs = Programs::new(
            object,
            &Wanted {
                programs: &names,
                layout: &kernel.layout,
                events: Some(&settings),
                entries: &[("EVENTS", ring_bytes), ("TRACKED", config.tracked.max(1))],
                logged: false,
            },
        )?;
        let prepared = Instant::now();
        let (tier, attached) = kernel.attach(&programs)?;
        log::debug!(
            "events by {}: the kernel's types took {:?}, the maps {:?}, the verifier {:?}",
            tier.name(),
            resolved - start,
            prepared - resolved,
            prepared.elapsed()
        );

        let unusable = |error: MapError| classify(&error);
        let ring = RingBuf::try_from(Map::RingBuf(programs.take_map("EVENTS")?)).map_err(unusable)?;
        let first = Array::try_from(Map::Array(programs.take_map("FIRST")?)).map_err(unusable)?;
        let tracked = HashMap::try_from(Map::HashMap(programs.take_map("TRACKED")?)).map_err(unusable)?;
        let slots = Slots::map(programs.take_map("TRACKED_SLOTS")?)
            .map_err(|error| BpfError::Events(error.into()))?;
        let counters = Map::PerCpuArray(programs.take_map("COUNTERS")?);
        let (epoll, tick) = watch(&ring, config.wake).map_err(|error| BpfError::Events(error.into()))?;
        Ok(Self {
            attached,
            ring,
            first,
            tracked,
            slots,
            counters: PerCpuArray::try_from(counters).map_err(unusable)?,
            epoll,
            tick,
            // What happened between attaching and watching woke nobody.
            unfinished: true,
            at_once: ring_bytes as usize / size_of::<EventRecord>(),
            usual: 0,
            tier,
            decoder: Decoder::new(),
            untracked: 0,
            undecodable: 0,
            gaps: kernel.gaps,
        })
    }

    /// How `setns` and `unshare` are seen.
    #[must_use]
    pub const fn tier(&self) -> EventTier {
        self.tier
    }

    /// What this kernel cannot tell, and why `setns` and `unshare` are not seen in a better way.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The programs in the kernel: their names in the object, and their ids.
    #[must_use]
    pub fn program_ids(&self) -> Vec<(&'static str, u32)> {
        self.attached.infos().into_iter().map(|(name, info)| (name, info.id)).collect()
    }

    /// How many instructions the verifier went through for each program, where the kernel says it (from Linux 5.16).
    #[must_use]
    pub fn verified_instructions(&self) -> Vec<(&'static str, u32)> {
        self.attached.infos().into_iter().map(|(name, info)| (name, info.verified_insns)).collect()
    }

    /// Gives what happened, in the order of the kernel: as soon as something did and the reader is to be woken, or nothing
    /// after so long.
    ///
    /// # Errors
    /// If waiting fails. No event is lost by that.
    pub fn read(&mut self, timeout: Duration) -> Result<Vec<KernelEvent>, BpfError> {
        let start = Instant::now();
        let mut events = Vec::with_capacity(self.usual);
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            if !mem::take(&mut self.unfinished) {
                self.wait(self.tick.map_or(left, |tick| tick.min(left)))?;
            }
            self.drain(&mut events);
            if !events.is_empty() || start.elapsed() >= timeout {
                self.usual = events.len();
                return Ok(events);
            }
        }
    }

    /// Sleeps until the kernel side wakes the reader, at most so long. It does so where it said that it would, whatever
    /// is in the ring buffer: only the edge counts.
    fn wait(&self, limit: Duration) -> Result<(), BpfError> {
        let limit = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        let mut woken =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        match epoll::wait(&self.epoll, &mut woken[..], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(BpfError::Events(error.into())),
        }
    }

    fn drain(&mut self, events: &mut Vec<KernelEvent>) {
        for _ in 0..self.at_once {
            let Some(record) = self.ring.next() else { return };
            match self.decoder.decode(&record) {
                Ok(event) => events.push(event),
                Err(error) => {
                    self.undecodable += 1;
                    log::warn!("{error}");
                }
            }
        }
        // Under a storm there is no end to come to; what has come is handed on first.
        self.unfinished = true;
    }

    /// Has the death of these processes be told as well: of those that were there before. Threads among them are left out.
    /// They must come from the eBPF reader, which has their start to the nanosecond.
    ///
    /// # Errors
    /// If the kernel refuses for another reason than that there is no room, which is counted.
    pub fn track<'a>(&mut self, tasks: impl IntoIterator<Item = &'a Task>) -> Result<(), BpfError> {
        /// What the kernel side noted of a process is newer.
        const NOEXIST: u64 = 1;
        for task in tasks.into_iter().filter(|task| task.is_leader()) {
            let words = tracked_words(task);
            // The kernel side has noted it by itself. Should it do so from here on, it clears both away.
            if self.slots.count(task.tgid) != 0 && is_same(&words, &self.first(task.tgid)?) {
                continue;
            }
            // Before it is there: the kernel side looks only for who is counted.
            self.slots.add(task.tgid);
            let inserted = self.tracked.insert(task.tgid, words, NOEXIST);
            if inserted.is_err() {
                self.slots.subtract(task.tgid);
            }
            match inserted {
                Ok(()) => {}
                Err(MapError::SyscallError(error)) => match Errno::from_io_error(&error.io_error) {
                    Some(Errno::EXIST) => {}
                    Some(Errno::TOOBIG | Errno::NOMEM) => self.untracked += 1,
                    _ => return Err(classify(&error)),
                },
                Err(error) => return Err(classify(&error)),
            }
        }
        Ok(())
    }

    /// Who is noted at the slot of a process, or was last.
    fn first(&self, tgid: u32) -> Result<TrackedWords, BpfError> {
        self.first.get(&slot(tgid), 0).map_err(|error| classify(&error))
    }

    /// How many processes whose death is to be told share the place that this one has, or would have: 0 if it is none of them.
    #[must_use]
    pub fn tracked_at(&self, tgid: u32) -> u64 {
        self.slots.count(tgid)
    }

    /// Has the kernel call the programs no more. What they told until then may still be read and counted.
    pub fn detach(&mut self) {
        self.attached.detach();
    }

    /// What was counted so far.
    ///
    /// # Errors
    /// If the kernel does not let its counters be read.
    pub fn counts(&self) -> Result<EventCounts, BpfError> {
        let mut counts = EventCounts::read(&self.counters)?;
        counts.untracked += self.untracked;
        counts.undecodable = self.undecodable;
        counts.missed = self.attached.infos().iter().map(|(_, info)| info.recursion_misses).sum();
        Ok(counts)
    }
}

/// The depth of the reader's own PID namespace, where that is not the initial one, and its inode. Nobody but the kernel
/// knows how deep it is.
fn reader_place(context: &Context) -> Result<(u32, u32), BpfError> {
    let unknown = |why: String| BpfError::Load(format!("the reader's own PID namespace is unknown: {why}"));
    let scan = load::Reader::open(context)?.read(context)?;
    let own = std::process::id();
    let level = (scan.tasks.iter().find(|task| task.pid == own)).and_then(|task| task.level);
    let path = context.host("/proc/self/ns/pid");
    let inode = fs::metadata(&path).map_err(|error| unknown(format!("{}: {error}", path.display())))?.ino();
    match (level, u32::try_from(inode)) {
        (Some(level), Ok(inode)) => Ok((level, inode)),
        _ => Err(unknown("this process is not among the tasks".to_owned())),
    }
}

/// In the order in which they are tried.
fn tiers(config: &EventConfig) -> Vec<EventTier> {
    match (config.only, config.syscalls) {
        (Some(only), _) => vec![only],
        (None, true) => vec![EventTier::Fentry, EventTier::Syscall, EventTier::ForkExec],
        (None, false) => vec![EventTier::Fentry, EventTier::ForkExec],
    }
}

fn settings(config: &EventConfig, reader_namespace: u32, exit_tells_group_dead: bool) -> EventSettings {
    let mut settings = EventSettings {
        all_processes: config.all_processes.into(),
        wake_at: match config.wake {
            Wake::AtOnce => 0,
            Wake::Sampled { watermark, .. } => watermark.max(1),
        },
        reader_namespace,
        exit_tells_group_dead: exit_tells_group_dead.into(),
        ..EventSettings::UNSET
    };
    attach::syscall_numbers(&mut settings);
    settings
}

/// A size that the kernel takes for a ring buffer: a power of two, of whole pages.
fn ring_bytes(wanted: u32) -> u32 {
    let page = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
    wanted.clamp(page, MAX_RING_BYTES).next_power_of_two()
}

/// A descriptor that becomes readable when the kernel side wakes the reader.
fn watch(ring: &RingBuf<MapData>, wake: Wake) -> rustix::io::Result<(OwnedFd, Option<Duration>)> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let (flags, tick) = match wake {
        Wake::AtOnce => (epoll::EventFlags::IN, None),
        Wake::Sampled { tick, .. } => (epoll::EventFlags::IN | epoll::EventFlags::ET, Some(tick)),
    };
    epoll::add(&epoll, ring.as_fd(), epoll::EventData::new_u64(0), flags)?;
    Ok((epoll, tick))
}

/// Whether both are of one process, of those at one slot: by their start.
fn is_same(one: &TrackedWords, other: &TrackedWords) -> bool {
    one.first_chunk::<2>() == other.first_chunk::<2>()
}

fn tracked_words(task: &Task) -> TrackedWords {
    let mut words = [0; 12];
    let start = task.start_boottime_ns.to_ne_bytes();
    let (head, tail) = words.split_at_mut(2);
    for (word, bytes) in head.iter_mut().zip(start.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    let inodes = Kind::ALL.into_iter().map(|kind| task.namespaces.get(kind));
    let inodes = inodes.chain([task.pid_for_children, task.time_for_children]);
    for (word, inode) in tail.iter_mut().zip(inodes) {
        *word = inode.unwrap_or(0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Inodes;

    #[test]
    fn sizes_that_the_kernel_takes() {
        let page = u32::try_from(rustix::param::page_size()).unwrap();
        for (wanted, expected) in [(0, page), (page, page), (page + 1, 2 * page), (u32::MAX, MAX_RING_BYTES)]
        {
            assert_eq!(ring_bytes(wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn what_is_noted_of_a_process_has_the_kernel_sides_layout() {
        let namespaces = Kind::ALL.into_iter().zip(11..).collect();
        let task = Task {
            start_boottime_ns: 0x0102_0304_0506_0708,
            namespaces,
            pid_for_children: Some(19),
            time_for_children: None,
            ..Task::default()
        };
        let words = tracked_words(&task);
        assert_eq!(size_of_val(&words), size_of::<inspector_common::Tracked>());
        let [low, high, rest @ ..] = words;
        let start = [low.to_ne_bytes(), high.to_ne_bytes()].concat();
        assert_eq!(start, 0x0102_0304_0506_0708_u64.to_ne_bytes());
        assert_eq!(rest, [11, 12, 13, 14, 15, 16, 17, 18, 19, 0]);

        let moved = Task { namespaces: Inodes::default(), ..task.clone() };
        assert!(is_same(&words, &tracked_words(&moved)));
        let later = Task { start_boottime_ns: task.start_boottime_ns + (1 << 32), ..task };
        assert!(!is_same(&words, &tracked_words(&later)));
    }
}
