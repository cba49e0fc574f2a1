//! Getting the programs into the kernel, and reading what they write.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Instant;

use aya::maps::MapData;
use aya_log::EbpfLogger;
use inspector_common::Layout;
use rustix::event::{PollFd, PollFlags, poll};

use super::btf::Btf;
use super::decode::Decoder;
use super::error::{BpfError, classify};
use super::program::{Programs, Wanted};
use super::subprograms::Subprograms;
use super::syscall::{self, Attach, TracingProgram};
use super::verify::verify;
use super::vmlinux::{self, Vmlinux};
use super::{object, offsets, preconditions};
use crate::observation::{Gap, Tasks};
use crate::source::{Context, TaskScan};

/// The kernel's function that stands for its walk over tasks.
const TARGET: &str = "bpf_iter_task";

/// The kernel fills at most its own buffer of eight pages in one read; this is room for all of it.
const READ_BYTES: usize = 64 * 1024;

/// The two programs of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Loads through pointers that the verifier has types for: the faster one.
    Direct,
    /// Reads by a helper: the one that older or stricter verifiers take.
    Probe,
}

impl Variant {
    /// In the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Probe];

    /// The program's name in the object.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Direct => "tasks_direct",
            Self::Probe => "tasks_probe",
        }
    }
}

/// What the programs must know of the kernel.
struct Kernel {
    layout: Layout,
    /// The BTF id of [`TARGET`].
    target: u32,
    gaps: Vec<Gap>,
}

impl Kernel {
    /// Looks it up in the kernel's own types, and keeps nothing else of them.
    fn read(reader_level: Option<u32>) -> Result<Self, BpfError> {
        let path = vmlinux::PATH;
        let vmlinux = Vmlinux::open().map_err(|source| BpfError::NoBtf { path, source })?;
        let btf = Btf::parse(&vmlinux).map_err(|source| BpfError::BadBtf { path, source })?;
        let (layout, gaps) = offsets::resolve(&btf, reader_level)?;
        let none = || BpfError::Load(format!("this kernel has no {TARGET}, which came with Linux 5.8"));
        let target = btf.function(TARGET).ok_or_else(none)?;
        Ok(Self { layout, target, gaps })
    }
}

/// A task iterator, ready to be read as often as one likes.
pub struct Reader {
    program: OwnedFd,
    link: OwnedFd,
    variant: Variant,
    /// What the kernel side logs to.
    log: Option<MapData>,
    gaps: Vec<Gap>,
    /// The tasks of the reading before.
    before: Tasks,
}

impl Reader {
    /// Loads the programs, the faster one if the kernel takes it.
    pub fn open(context: &Context) -> Result<Self, BpfError> {
        Self::open_first_of(context, &Variant::ALL)
    }

    /// Loads this one of the programs.
    pub fn open_variant(context: &Context, variant: Variant) -> Result<Self, BpfError> {
        Self::open_first_of(context, &[variant])
    }

    /// Loads the first that the verifier takes.
    fn open_first_of(context: &Context, variants: &[Variant]) -> Result<Self, BpfError> {
        let object = object::bytes()?;
        preconditions::check_capabilities()?;
        let reader_level = preconditions::check_pid_namespace(context)?;
        preconditions::raise_memlock();

        let start = Instant::now();
        let kernel = Kernel::read(reader_level)?;
        let resolved = Instant::now();
        let names: Vec<_> = variants.iter().map(|variant| variant.program()).collect();
        let wanted = Wanted {
            programs: &names,
            layout: &kernel.layout,
            events: None,
            entries: &[],
            logged: log::log_enabled!(log::Level::Warn),
        };
        let programs = Programs::new(object, &wanted)?;
        let prepared = Instant::now();
        let (variant, program) = verify_first_of(&programs, variants, kernel.target)?;
        log::debug!(
            "{}: the kernel's types took {:?}, the maps {:?}, the verifier {:?}",
            variant.program(),
            resolved - start,
            prepared - resolved,
            prepared.elapsed()
        );
        let link = syscall::link(program.as_fd()).map_err(|error| classify(&error))?;
        Ok(Self {
            program,
            link,
            variant,
            log: programs.into_log(),
            gaps: kernel.gaps,
            before: Tasks::default(),
        })
    }

    /// Which program the kernel took.
    #[must_use]
    pub const fn variant(&self) -> Variant {
        self.variant
    }

    /// How many instructions the verifier went through, where the kernel says it (from Linux 5.16).
    #[must_use]
    pub fn verified_instructions(&self) -> Option<u32> {
        let info = syscall::info(self.program.as_fd()).ok()?;
        (info.verified_insns != 0).then_some(info.verified_insns)
    }

    /// Reads all tasks, as they are now.
    pub fn read(&mut self, context: &Context) -> Result<TaskScan, BpfError> {
        let file = syscall::iterate(self.link.as_fd()).map_err(|error| classify(&error))?;
        let mut decoder = Decoder::after(&self.before);
        read_all(file.into(), context.deadline, &mut |bytes| Ok(decoder.feed(bytes)?))?;
        self.relay_log();
        let mut scan = decoder.finish()?;
        self.before = scan.tasks.clone();
        scan.gaps.extend(self.gaps.iter().cloned());
        note_hidden_init(context, &mut scan);
        Ok(scan)
    }

    /// Passes on what the kernel side logged. It says little and seldom, and nothing that the records do not: so its
    /// log is looked for only when something is in it, and without it (that takes CAP_SYS_ADMIN) all works as well.
    fn relay_log(&self) {
        let Some(log) = &self.log else { return };
        let mut ring = [PollFd::from_borrowed_fd(log.fd().as_fd(), PollFlags::IN)];
        if !matches!(poll(&mut ring, Some(&Default::default())), Ok(1..)) {
            return;
        }
        match syscall::info(self.program.as_fd()).map(|info| EbpfLogger::init_from_id(info.id)) {
            Ok(Ok(mut logger)) => logger.flush(),
            Ok(Err(error)) => log::debug!("no log of the kernel side: {error}"),
            Err(error) => log::debug!("no log of the kernel side: {error}"),
        }
    }
}

/// Has the kernel verify one of the programs.
pub fn load(
    programs: &Programs,
    name: &'static str,
    attach: Attach,
    target: u32,
) -> Result<OwnedFd, BpfError> {
    let missing = || BpfError::Load(format!("the object has no program {name}"));
    let (instructions, license) = programs.find(name).ok_or_else(missing)?;
    let subprograms = Subprograms::describe(instructions).map_err(|error| classify(&error))?;
    let functions = subprograms.as_ref().map(Subprograms::functions);
    verify(TracingProgram { attach, name, instructions, license, target, functions })
}

/// Has the kernel verify the programs in turn until it takes one.
fn verify_first_of(
    programs: &Programs,
    variants: &[Variant],
    target: u32,
) -> Result<(Variant, OwnedFd), BpfError> {
    let mut refused = BpfError::Load("no program is asked for".to_owned());
    for &variant in variants {
        let name = variant.program();
        match load(programs, name, Attach::Iterator, target) {
            Err(BpfError::Refused { reason }) => {
                log::debug!("{name} was refused: {reason}");
                refused = BpfError::Refused { reason };
            }
            done => return done.map(|program| (variant, program)),
        }
    }
    Err(refused)
}

/// There are kernels, hardened ones, that leave the threads of process 1 out of iterators. They must not go
/// missing in silence.
fn note_hidden_init(context: &Context, scan: &mut TaskScan) {
    if scan.tasks.get(1).is_none() && context.host("/proc/1").exists() {
        scan.unreadable += 1;
        scan.gaps.push(Gap::detail(
            "process 1",
            "this kernel leaves it out of task iterators; --source procfs reads what /proc shows of it",
        ));
    }
}

/// Reads to the end, or until time is up, and hands on what it read as it comes.
fn read_all(
    mut file: File,
    deadline: Instant,
    take: &mut dyn FnMut(&[u8]) -> Result<(), BpfError>,
) -> Result<(), BpfError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if Instant::now() >= deadline {
            return Err(BpfError::Late);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&buffer[..length])?,
            // A million threads in a row without a record: the kernel takes a breath.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(BpfError::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_up() {
        let endless = File::open("/dev/zero").unwrap();
        let deadline = Instant::now() + std::time::Duration::from_millis(20);
        let late = read_all(endless, deadline, &mut |_| Ok(()));
        assert!(matches!(late, Err(BpfError::Late)));
    }
}
