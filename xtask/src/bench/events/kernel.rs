//! What the kernel itself says of eBPF programs: how often each ran and for how long, where it is attached, and what it
//! counted. Read from outside, by the descriptors that a process holds; the program that is measured takes no part.

use std::ffi::{c_int, c_long};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, bail};
use inspector_common::{Event, counter};

/// The commands of bpf(2) that are made here.
mod command {
    use std::ffi::c_int;

    pub const MAP_LOOKUP_ELEM: c_int = 1;
    pub const PROG_LOAD: c_int = 5;
    pub const PROG_GET_FD_BY_ID: c_int = 13;
    pub const MAP_GET_FD_BY_ID: c_int = 14;
    pub const OBJ_GET_INFO_BY_FD: c_int = 15;
    pub const RAW_TRACEPOINT_OPEN: c_int = 17;
    pub const ENABLE_STATS: c_int = 32;
}

/// # Safety
///
/// The attributes are those of the command, and what is an address in them is valid during the call.
unsafe fn bpf<T>(command: c_int, attributes: &mut T) -> io::Result<c_int> {
    // SAFETY: the attributes have this length; the rest is the caller's.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, c_long::from(command), std::ptr::from_mut(attributes), size_of::<T>())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    c_int::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// # Safety
///
/// As of [`bpf`]; and the command makes a descriptor.
unsafe fn make<T>(command: c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's, and a new descriptor is nobody else's.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(command, attributes)?)) }
}

/// The kernel measures what programs run for as long as this is kept: it hangs on a descriptor, and so ends with the
/// bench, however that ends.
pub struct Statistics {
    _descriptor: OwnedFd,
}

impl Statistics {
    /// Has it begin.
    pub fn enable() -> Result<Self> {
        // `BPF_STATS_RUN_TIME`.
        let mut run_time = 0_u32;
        // SAFETY: the attributes of this command: one number.
        let descriptor = unsafe { make(command::ENABLE_STATS, &mut run_time) }
            .context("the kernel does not count the time of eBPF programs (that takes root and Linux 5.8)")?;
        Ok(Self { _descriptor: descriptor })
    }
}

/// A program in the kernel. It stays there as long as this is kept, but runs only where who loaded it has it attached.
pub struct Program {
    /// The first 15 bytes of its name.
    pub name: String,
    descriptor: OwnedFd,
}

/// How often a program ran, and for how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Times.
    pub count: u64,
    /// Nanoseconds.
    pub time_ns: u64,
    /// Times that it should have run, and did not.
    pub missed: u64,
}

impl Runs {
    /// What came since.
    pub const fn since(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            time_ns: self.time_ns.saturating_sub(before.time_ns),
            missed: self.missed.saturating_sub(before.missed),
        }
    }

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            time_ns: self.time_ns + other.time_ns,
            missed: self.missed + other.missed,
        }
    }
}

/// The head of the kernel's `bpf_prog_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ProgramInfo {
    before_name: [u64; 8],
    name: [u8; 16],
    before_runs: [u64; 14],
    run_time_ns: u64,
    run_count: u64,
    recursion_misses: u64,
}

const _: () = assert!(size_of::<ProgramInfo>() == 216);

/// The head of `bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct MapInfo {
    before_name: [u32; 6],
    name: [u8; 16],
}

#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
struct GetInfo {
    descriptor: u32,
    length: u32,
    info: u64,
}

fn by_id(command: c_int, id: u32) -> Result<OwnedFd> {
    // SAFETY: the attributes of both commands that this is used for.
    unsafe { make(command, &mut ById { id, next: 0, flags: 0 }) }
        .with_context(|| format!("the kernel has no {id} any more"))
}

/// # Safety
///
/// `T` is made of plain integers.
unsafe fn info<T>(of: &OwnedFd) -> Result<T> {
    // SAFETY: the caller's: zeros are valid.
    let mut info: T = unsafe { std::mem::zeroed() };
    let mut attributes = GetInfo {
        descriptor: of.as_raw_fd().cast_unsigned(),
        length: u32::try_from(size_of::<T>())?,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the attributes of this command; the address has room for the length beside it.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut attributes) }.context("the kernel says nothing of it")?;
    Ok(info)
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

impl Program {
    fn new(descriptor: OwnedFd) -> Result<Self> {
        // SAFETY: plain integers.
        let info: ProgramInfo = unsafe { info(&descriptor) }?;
        Ok(Self { name: text(&info.name), descriptor })
    }

    /// Runs so far, as long as [`Statistics`] are kept.
    pub fn runs(&self) -> Result<Runs> {
        // SAFETY: plain integers.
        let info: ProgramInfo = unsafe { info(&self.descriptor) }?;
        Ok(Runs { count: info.run_count, time_ns: info.run_time_ns, missed: info.recursion_misses })
    }
}

/// The runs of all programs of a name: one that is attached to several functions is several.
pub fn runs(programs: &[Program], name: &str) -> Result<Runs> {
    let mut all = Runs::default();
    for program in programs.iter().filter(|program| program.name == name) {
        all = all.and(program.runs()?);
    }
    Ok(all)
}

/// What a process's descriptors say of themselves, one text a descriptor that says anything.
fn descriptors(pid: u32) -> Result<Vec<String>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    // Those that are closed meanwhile are none of what is looked for.
    Ok(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn ids(descriptors: &[String], name: &str) -> Vec<u32> {
    let mut ids: Vec<u32> = descriptors.iter().filter_map(|text| field(text, name)?.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The programs that a process has loaded and attached.
pub fn programs(pid: u32) -> Result<Vec<Program>> {
    ids(&descriptors(pid)?, "prog_id")
        .into_iter()
        .map(|id| Program::new(by_id(command::PROG_GET_FD_BY_ID, id)?))
        .collect()
}

/// Where the kernel calls a program of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// As the kernel calls the sort of link.
    pub kind: String,
    /// The tracepoint; nothing where a function is watched, or a program read.
    pub tracepoint: Option<String>,
    /// The program's name.
    pub program: String,
}

impl Link {
    /// Whether every system call of the machine takes the slow way because of it.
    pub fn taxes_system_calls(&self) -> bool {
        self.tracepoint.as_deref().is_some_and(|name| name.starts_with("sys_"))
    }
}

/// All links that a process holds.
pub fn links(pid: u32) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for text in descriptors(pid)? {
        let (Some(kind), Some(id)) = (field(&text, "link_type"), field(&text, "prog_id")) else { continue };
        let program = Program::new(by_id(command::PROG_GET_FD_BY_ID, id.parse()?)?)?;
        links.push(Link {
            kind: kind.to_owned(),
            tracepoint: field(&text, "tp_name").map(str::to_owned),
            program: program.name,
        });
    }
    links.sort();
    Ok(links)
}

/// What the event programs of a process count, read without its help.
pub struct Counters {
    descriptor: OwnedFd,
    processors: usize,
}

/// Records by kind of event, as [`Event::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Due, whether or not they found room.
    pub emitted: [u64; Event::ALL.len()],
    /// Without room.
    pub lost: u64,
    /// Deaths that will not be told.
    pub untracked: u64,
}

impl Records {
    /// Of all kinds.
    pub fn all(&self) -> u64 {
        self.emitted.iter().sum()
    }

    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        let mut emitted = self.emitted;
        for (now, then) in emitted.iter_mut().zip(before.emitted) {
            *now = now.saturating_sub(then);
        }
        Self {
            emitted,
            lost: self.lost.saturating_sub(before.lost),
            untracked: self.untracked.saturating_sub(before.untracked),
        }
    }
}

impl Counters {
    /// Finds them among the descriptors of a process.
    pub fn of(pid: u32) -> Result<Self> {
        for id in ids(&descriptors(pid)?, "map_id") {
            let descriptor = by_id(command::MAP_GET_FD_BY_ID, id)?;
            // SAFETY: plain integers.
            let info: MapInfo = unsafe { info(&descriptor) }?;
            if text(&info.name) == "COUNTERS" {
                return Ok(Self { descriptor, processors: possible_processors()? });
            }
        }
        bail!("process {pid} has no map COUNTERS: it hears no events")
    }

    /// Reads them.
    pub fn read(&self) -> Result<Records> {
        let mut records = Records::default();
        for (event, emitted) in Event::ALL.into_iter().zip(&mut records.emitted) {
            *emitted = self.element(counter::emitted(event))?;
            records.lost += self.element(counter::lost(event))?;
        }
        records.untracked = self.element(counter::UNTRACKED)?;
        Ok(records)
    }

    /// The sum over all processors.
    fn element(&self, key: u32) -> Result<u64> {
        #[repr(C)]
        struct Lookup {
            map: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let mut values = vec![0_u64; self.processors];
        let mut attributes = Lookup {
            map: self.descriptor.as_raw_fd().cast_unsigned(),
            key: (&raw const key) as u64,
            value: values.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: the attributes of this command; the kernel writes eight bytes for each possible processor.
        unsafe { bpf(command::MAP_LOOKUP_ELEM, &mut attributes) }.context("cannot read the counters")?;
        Ok(values.iter().sum())
    }
}

fn possible_processors() -> Result<usize> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
    let last = text.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    Ok(last.with_context(|| format!("{PATH} says {text:?}"))? + 1)
}

/// A program that does nothing, at the tracepoint of forks: what the kernel's measuring costs by itself.
pub struct Empty {
    program: Program,
    _link: OwnedFd,
}

impl Empty {
    /// Attaches it.
    pub fn attach() -> Result<Self> {
        #[repr(C)]
        struct Load {
            kind: u32,
            count: u32,
            instructions: u64,
            license: u64,
            log: [u64; 2],
            version_and_flags: [u32; 2],
            name: [u8; 16],
        }
        #[repr(C)]
        struct Open {
            name: u64,
            program: u64,
        }
        /// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
        const RAW_TRACEPOINT: u32 = 17;
        /// `r0 = 0; exit`.
        const NOTHING: [u64; 2] = [0xb7, 0x95];
        let mut load = Load {
            kind: RAW_TRACEPOINT,
            count: 2,
            instructions: NOTHING.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            log: [0; 2],
            version_and_flags: [0; 2],
            name: *b"bench_nothing\0\0\0",
        };
        // SAFETY: the attributes of this command; the addresses are of constants.
        let descriptor =
            unsafe { make(command::PROG_LOAD, &mut load) }.context("cannot load an empty eBPF program")?;
        let mut open = Open {
            name: c"sched_process_fork".as_ptr() as u64,
            program: u64::from(descriptor.as_raw_fd().cast_unsigned()),
        };
        // SAFETY: as above.
        let link = unsafe { make(command::RAW_TRACEPOINT_OPEN, &mut open) }
            .context("cannot attach an empty eBPF program to sched_process_fork")?;
        Ok(Self { program: Program::new(descriptor)?, _link: link })
    }

    /// Its runs.
    pub fn runs(&self) -> Result<Runs> {
        self.program.runs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_descriptors() {
        let text = "pos:\t0\nflags:\t02000000\nlink_type:\traw_tracepoint\nlink_id:\t7\nprog_id:\t31\ntp_name:\tsys_enter\n";
        assert_eq!(field(text, "link_type"), Some("raw_tracepoint"));
        assert_eq!(field(text, "link"), None);
        assert_eq!(ids(&[text.to_owned(), text.to_owned(), "pos:\t0\n".to_owned()], "prog_id"), [31]);
        let link = |name: Option<&str>| Link {
            kind: "raw_tracepoint".to_owned(),
            tracepoint: name.map(str::to_owned),
            program: "it".to_owned(),
        };
        assert!(link(Some("sys_enter")).taxes_system_calls());
        assert!(!link(Some("sched_process_exit")).taxes_system_calls() && !link(None).taxes_system_calls());
    }

    #[test]
    fn what_comes_between_two_readings() {
        let runs = |count, time_ns| Runs { count, time_ns, missed: 0 };
        assert_eq!(runs(7, 700).since(runs(2, 300)), runs(5, 400));
        assert_eq!(runs(7, 700).and(runs(2, 300)), runs(9, 1000));
        let records = |emitted, lost| Records { emitted: [emitted; 5], lost, untracked: 0 };
        assert_eq!(records(5, 3).since(&records(2, 1)), records(3, 2));
        assert_eq!(records(3, 2).all(), 15);
    }
}
