//! Which programs tell of what, and getting them in.

use std::os::fd::{AsFd as _, OwnedFd};

use inspector_common::{EventSettings, Layout};

use super::super::btf::Btf;
use super::super::error::{BpfError, classify};
use super::super::load::load;
use super::super::offsets;
use super::super::program::Programs;
use super::super::syscall::{self, Attach};
use super::super::vmlinux::{self, Vmlinux};
use crate::observation::Gap;

/// How `setns` and `unshare` are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTier {
    /// By the tracepoints of all system calls, which slow every task of the machine while they are attached.
    Syscall,
    /// Not by themselves: where the namespaces of who calls exec are not its parent's, or not what they were.
    ForkExec,
}

impl EventTier {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syscall => "syscall",
            Self::ForkExec => "fork-exec",
        }
    }
}

/// A program, and the tracepoint that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    tracepoint: &'static str,
}

const EXIT: &str = "sched_process_exit";

/// In the order in which they are attached: who ends must be seen before who begins, or a process that did both would be
/// waited for for ever.
const ALWAYS: [Program; 3] = [
    Program { name: "process_exit", tracepoint: EXIT },
    Program { name: "process_exec", tracepoint: "sched_process_exec" },
    Program { name: "process_fork", tracepoint: "sched_process_fork" },
];
const SYSCALLS: [Program; 2] = [
    Program { name: "syscall_exit", tracepoint: "sys_exit" },
    Program { name: "syscall_enter", tracepoint: "sys_enter" },
];

impl EventTier {
    /// What it takes.
    pub fn programs(self) -> Vec<Program> {
        match self {
            Self::ForkExec => ALWAYS.to_vec(),
            Self::Syscall => [&ALWAYS[..], &SYSCALLS].concat(),
        }
    }
}

/// What the kernel says of the places where programs go, and of its structures.
pub struct Kernel {
    pub layout: Layout,
    pub exit_tells_group_dead: bool,
    pub gaps: Vec<Gap>,
    /// The BTF id of each program's tracepoint.
    targets: Vec<(Program, u32)>,
}

impl Kernel {
    /// Looks it up in the kernel's own types, and keeps nothing else of them.
    pub fn read(reader_level: u32, programs: &[Program]) -> Result<Self, BpfError> {
        let path = vmlinux::PATH;
        let vmlinux = Vmlinux::open().map_err(|source| BpfError::NoBtf { path, source })?;
        let btf = Btf::parse(&vmlinux).map_err(|source| BpfError::BadBtf { path, source })?;
        let (mut layout, gaps) = offsets::resolve(&btf, Some(reader_level))?;
        offsets::add_events(&btf, &mut layout)?;
        let (mut targets, mut exit_tells_group_dead) = (Vec::new(), false);
        for &program in programs {
            let Program { tracepoint, .. } = program;
            let none = || BpfError::Load(format!("this kernel has no tracepoint {tracepoint}"));
            let found = btf.tracepoint(tracepoint).ok_or_else(none)?;
            exit_tells_group_dead |= tracepoint == EXIT && found.arguments > 1;
            targets.push((program, found.id));
        }
        Ok(Self { layout, exit_tells_group_dead, gaps, targets })
    }

    /// Has the kernel verify all programs, and then call them.
    pub fn attach(&self, programs: &Programs) -> Result<Attached, BpfError> {
        let mut loaded = Vec::new();
        for (program, target) in &self.targets {
            loaded.push((*program, load(programs, program.name, Attach::Tracepoint, *target)?));
        }
        let mut links = Vec::new();
        for (_, program) in &loaded {
            links.push(syscall::attach(program.as_fd()).map_err(|error| classify(&error))?);
        }
        Ok(Attached { links, programs: loaded })
    }
}

/// Programs that the kernel calls for as long as this is kept.
pub struct Attached {
    /// Before the programs: nothing is called that is about to go.
    links: Vec<OwnedFd>,
    programs: Vec<(Program, OwnedFd)>,
}

impl Attached {
    /// The kernel calls them no more.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// What the kernel says of each program. One that it says nothing of is left out.
    pub fn infos(&self) -> Vec<(&'static str, aya_obj::generated::bpf_prog_info)> {
        let info = |fd: &OwnedFd| match syscall::info(fd.as_fd()) {
            Ok(info) => Some(info),
            Err(error) => {
                log::debug!("{error}");
                None
            }
        };
        self.programs.iter().filter_map(|(program, fd)| Some((program.name, info(fd)?))).collect()
    }
}

/// The numbers of `setns` and `unshare`, of this machine's programs and of the 32-bit ones that it runs too.
pub fn syscall_numbers(settings: &mut EventSettings) {
    const NONE: u32 = u32::MAX;
    let own = |number: libc::c_long| u32::try_from(number).unwrap_or(NONE);
    let (setns, unshare) = match std::env::consts::ARCH {
        "x86_64" => (346, 310),
        "aarch64" => (375, 337),
        _ => (NONE, NONE),
    };
    settings.setns = [own(libc::SYS_setns), setns];
    settings.unshare = [own(libc::SYS_unshare), unshare];
}
