//! Getting the programs into the kernel, and reading what they write.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::time::Instant;

use aya::programs::{Iter, ProgramError};
use aya::{Btf as AyaBtf, Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use inspector_common::Layout;
use rustix::io::Errno;

use super::decode::decode;
use super::{BpfError, btf::Btf, object, offsets, preconditions};
use crate::observation::Gap;
use crate::source::{Context, TaskScan};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

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

/// The layout, in a form that aya takes.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Frozen(Layout);

// SAFETY: nothing but `u32`s, without padding (asserted where it is defined).
unsafe impl aya::Pod for Frozen {}

/// The object in the kernel: its maps, none of its programs yet.
struct Loaded {
    ebpf: Ebpf,
    btf: AyaBtf,
    gaps: Vec<Gap>,
}

impl Loaded {
    fn new(context: &Context) -> Result<Self, BpfError> {
        let object = object::bytes()?;
        preconditions::check_capabilities()?;
        let reader_level = preconditions::check_pid_namespace(context)?;
        preconditions::raise_memlock();

        let blob = fs::read(VMLINUX).map_err(|source| BpfError::NoBtf { path: VMLINUX, source })?;
        let bad = |source| BpfError::BadBtf { path: VMLINUX, source };
        let (layout, gaps) = offsets::resolve(&Btf::parse(&blob).map_err(bad)?, reader_level)?;
        let btf = AyaBtf::parse(&blob, aya::Endianness::default())
            .map_err(|error| BpfError::Load(error.to_string()))?;

        let layout = Frozen(layout);
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf)).override_global("LAYOUT", &layout, true);
        if !log::log_enabled!(log::Level::Warn) {
            loader.override_global("AYA_LOG_LEVEL", &0_u8, false);
        }
        let ebpf = loader.load(object).map_err(|error| classify(&error))?;
        drop(loader);
        Ok(Self { ebpf, btf, gaps })
    }

    /// Has the kernel verify one of the programs.
    fn load(&mut self, variant: Variant) -> Result<&mut Iter, BpfError> {
        let missing = || BpfError::Load(format!("the object has no program {}", variant.program()));
        let program = self.ebpf.program_mut(variant.program()).ok_or_else(missing)?;
        let program: &mut Iter = program.try_into().map_err(|error| classify::<ProgramError>(&error))?;
        program.load("task", &self.btf).map_err(|error| match &error {
            ProgramError::LoadError { io_error, verifier_log }
                if io_error.raw_os_error() != Some(Errno::PERM.raw_os_error()) =>
            {
                log::debug!("{}: {io_error}\n{verifier_log}", variant.program());
                if preconditions::locked_down() {
                    return BpfError::LockedDown;
                }
                BpfError::Refused { reason: last_words(io_error, &verifier_log.to_string()) }
            }
            _ => classify(&error),
        })?;
        Ok(program)
    }
}

/// A task iterator, ready to be read as often as one likes.
pub struct Reader {
    loaded: Loaded,
    variant: Variant,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Reader {
    /// Loads the programs, the faster one if the kernel takes it.
    pub fn open(context: &Context) -> Result<Self, BpfError> {
        match Self::open_variant(context, Variant::Direct) {
            Err(BpfError::Refused { reason }) => {
                log::debug!("reading kernel memory by the helper, for direct loads were refused: {reason}");
                Self::open_variant(context, Variant::Probe)
            }
            done => done,
        }
    }

    /// Loads this one of the programs.
    pub fn open_variant(context: &Context, variant: Variant) -> Result<Self, BpfError> {
        let mut loaded = Loaded::new(context)?;
        loaded.load(variant)?;
        // The kernel side says little, and nothing that the records do not: without a log it works as well.
        let logger = EbpfLogger::init(&mut loaded.ebpf)
            .inspect_err(|error| log::debug!("no log of the kernel side: {error}"))
            .ok();
        Ok(Self { loaded, variant, logger })
    }

    /// Which program the kernel took.
    #[must_use]
    pub const fn variant(&self) -> Variant {
        self.variant
    }

    /// How many instructions the verifier went through, where the kernel says it (from Linux 5.16).
    #[must_use]
    pub fn verified_instructions(&self) -> Option<u32> {
        let program: &Iter = self.loaded.ebpf.program(self.variant.program())?.try_into().ok()?;
        program.info().ok()?.verified_instruction_count()
    }

    /// Reads all tasks, as they are now.
    pub fn read(&mut self, context: &Context) -> Result<TaskScan, BpfError> {
        let output = read_all(self.attach()?, context.deadline)?;
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        let mut scan = decode(&output)?;
        scan.gaps.extend(self.loaded.gaps.iter().cloned());
        note_hidden_init(context, &mut scan);
        Ok(scan)
    }

    fn attach(&mut self) -> Result<File, BpfError> {
        let program = self.loaded.ebpf.program_mut(self.variant.program());
        let program: &mut Iter = match program.map(TryInto::try_into) {
            Some(Ok(program)) => program,
            _ => return Err(BpfError::Load(format!("{} is not loaded", self.variant.program()))),
        };
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(|error| classify(&error))?;
        link.into_file().map_err(|error| classify(&error))
    }
}

/// There are kernels, hardened ones, that leave the threads of process 1 out of iterators. They must not go
/// missing in silence.
fn note_hidden_init(context: &Context, scan: &mut TaskScan) {
    let shown = scan.tasks.first().is_some_and(|task| task.pid == 1);
    if !shown && context.host("/proc/1").exists() {
        scan.unreadable += 1;
        scan.gaps.push(Gap::detail(
            "process 1",
            "this kernel leaves it out of task iterators; --source procfs reads what /proc shows of it",
        ));
    }
}

/// Reads to the end, or until time is up.
fn read_all(mut file: File, deadline: Instant) -> Result<Vec<u8>, BpfError> {
    let mut output = Vec::with_capacity(READ_BYTES);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if Instant::now() >= deadline {
            return Err(BpfError::Late);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(output),
            Ok(length) => output.extend_from_slice(&buffer[..length]),
            // A million threads in a row without a record: the kernel takes a breath.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(BpfError::Read(error)),
        }
    }
}

/// An error of aya's: EPERM wherever it hides, or what it says together with its causes.
fn classify<E: Error + 'static>(error: &E) -> BpfError {
    let mut said = error.to_string();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.raw_os_error() == Some(Errno::PERM.raw_os_error())
        {
            return BpfError::Permission { why: preconditions::explain_refusal() };
        }
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    BpfError::Load(said)
}

/// What a verifier's log ends with, before its statistics.
fn last_words(error: &io::Error, log: &str) -> String {
    let statistics = ["processed ", "verification ", "stack depth "];
    let last = log
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !statistics.iter().any(|opening| line.starts_with(opening)));
    match last {
        Some(last) => format!("{last} ({error})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_reason_is_found() {
        let error = io::Error::from_raw_os_error(13);
        let log = "0: R1=ctx()\nR2 pointer arithmetic on ptr_or_null_ prohibited\nprocessed 7 insns (limit 1000000)\n";
        let said = last_words(&error, log);
        assert!(said.starts_with("R2 pointer arithmetic on ptr_or_null_ prohibited ("), "{said}");
        assert!(last_words(&error, "").starts_with("Permission denied"));
    }

    #[test]
    fn eperm_is_told_from_other_errors_however_deep() {
        let nested = |code| {
            ProgramError::SyscallError(aya::sys::SyscallError {
                call: "bpf_link_create",
                io_error: io::Error::from_raw_os_error(code),
            })
        };
        assert!(matches!(classify(&nested(1)), BpfError::Permission { .. }));
        let BpfError::Load(said) = classify(&nested(12)) else { panic!("an error like any other") };
        assert!(said.contains("bpf_link_create") && said.contains("memory"), "{said}");
    }

    #[test]
    fn time_is_up() {
        let endless = File::open("/dev/zero").unwrap();
        let late = read_all(endless, Instant::now() + std::time::Duration::from_millis(20));
        assert!(matches!(late, Err(BpfError::Late)));
    }
}
