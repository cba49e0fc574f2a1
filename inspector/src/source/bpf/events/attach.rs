//! Which programs tell of what, and getting them in.

use std::os::fd::{AsFd as _, OwnedFd};

use inspector_common::{EventSettings, Layout, MISSING};

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
    /// By watching the kernel's functions for them, at no cost to anybody else.
    Fentry,
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
            Self::Fentry => "fentry",
            Self::Syscall => "syscall",
            Self::ForkExec => "fork-exec",
        }
    }
}

/// A program of the object, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Program {
    name: &'static str,
    attach: Attach,
    /// The tracepoint, or the function.
    place: &'static str,
}

const fn tracepoint(name: &'static str, place: &'static str) -> Program {
    Program { name, attach: Attach::Tracepoint, place }
}

const EXIT: &str = "sched_process_exit";

/// What every tier has, in the order in which it is attached: who ends must be seen before who begins, or a process that
/// did both would be waited for for ever.
const ALWAYS: [Program; 3] = [
    tracepoint("process_exit", EXIT),
    tracepoint("process_exec", "sched_process_exec"),
    tracepoint("process_fork", "sched_process_fork"),
];
const SYSCALLS: [Program; 2] =
    [tracepoint("syscall_exit", "sys_exit"), tracepoint("syscall_enter", "sys_enter")];

/// The kernel's functions for `setns` and for `unshare`: those of this machine's own programs, and those of 32-bit ones
/// where there are such.
const FUNCTIONS: [(&str, &str); 2] = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => [("__arm64_sys_setns", "__arm64_sys_unshare"), ("", "")],
    _ => [("__x64_sys_setns", "__x64_sys_unshare"), ("__ia32_sys_setns", "__ia32_sys_unshare")],
};

impl EventTier {
    /// What it takes besides [`ALWAYS`].
    fn programs(self) -> Vec<Program> {
        let functions = |(setns, unshare)| {
            let program = |name, attach, place| Program { name, attach, place };
            [
                program("setns_leave", Attach::Exit, setns),
                program("call_enter", Attach::Entry, setns),
                program("unshare_leave", Attach::Exit, unshare),
                program("call_enter", Attach::Entry, unshare),
            ]
        };
        match self {
            Self::Fentry => FUNCTIONS.into_iter().flat_map(functions).collect(),
            Self::Syscall => SYSCALLS.to_vec(),
            Self::ForkExec => Vec::new(),
        }
    }
}

/// The names of the programs that these tiers take, each once.
pub fn names(tiers: &[EventTier]) -> Vec<&'static str> {
    let programs = tiers.iter().flat_map(|tier| tier.programs());
    let mut names: Vec<_> = ALWAYS.into_iter().chain(programs).map(|program| program.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Programs, and the BTF id of the place that each goes to.
type Places = Vec<(Program, u32)>;

/// What the kernel says of the places where programs go, and of its structures.
pub struct Kernel {
    pub layout: Layout,
    pub exit_tells_group_dead: bool,
    pub gaps: Vec<Gap>,
    /// What every tier has.
    always: Places,
    /// What each tier has besides; or why there is no such tier.
    tiers: Vec<(EventTier, Result<Places, String>)>,
}

impl Kernel {
    /// Looks it up in the kernel's own types, and keeps nothing else of them.
    pub fn read(reader_level: u32, tiers: &[EventTier]) -> Result<Self, BpfError> {
        let path = vmlinux::PATH;
        let vmlinux = Vmlinux::open().map_err(|source| BpfError::NoBtf { path, source })?;
        let btf = Btf::parse(&vmlinux).map_err(|source| BpfError::BadBtf { path, source })?;
        let (mut layout, gaps) = offsets::resolve(&btf, Some(reader_level))?;
        offsets::add_events(&btf, &mut layout)?;
        let exit = btf.tracepoint(EXIT).map_or(0, |found| found.arguments);
        let tiers = tiers.iter().map(|tier| (*tier, places(&btf, *tier, &layout))).collect();
        Ok(Self {
            layout,
            exit_tells_group_dead: exit > 1,
            gaps,
            always: find(&btf, &ALWAYS).map_err(BpfError::Load)?,
            tiers,
        })
    }

    /// Has the kernel verify all programs of the first tier that it takes, and then call them. An error says why it takes
    /// none; what it says of those before is noted as a gap.
    pub fn attach(&mut self, programs: &Programs) -> Result<(EventTier, Attached), BpfError> {
        let mut refused = None;
        for (tier, places) in &self.tiers {
            let attached = match places {
                Ok(places) => attach(programs, &self.always, places),
                Err(why) => Err(BpfError::Load(why.clone())),
            };
            match attached {
                Ok(attached) => {
                    self.gaps.extend(refused);
                    return Ok((*tier, attached));
                }
                Err(error) if self.tiers.last().is_some_and(|(last, _)| last == tier) => return Err(error),
                Err(error) => {
                    let what = format!("setns and unshare by {}", tier.name());
                    refused = Some(Gap::detail(what, error.to_string()));
                }
            }
        }
        Err(BpfError::Load("no tier is asked for".to_owned()))
    }
}

/// Where the programs of a tier go.
fn places(btf: &Btf<'_>, tier: EventTier, layout: &Layout) -> Result<Places, String> {
    match tier {
        EventTier::ForkExec => Ok(Vec::new()),
        EventTier::Syscall if layout.registers_syscall == MISSING => {
            Err("this program does not know where this processor keeps the number of a system call"
                .to_owned())
        }
        EventTier::Syscall => find(btf, &tier.programs()),
        EventTier::Fentry => {
            let own = [FUNCTIONS[0].0, FUNCTIONS[0].1];
            let (own, others): (Vec<_>, Vec<_>) =
                tier.programs().into_iter().partition(|program| own.contains(&program.place));
            let mut found = find(btf, &own)?;
            // A kernel may be built without those for 32-bit programs.
            found.extend(others.iter().filter_map(|program| Some((*program, btf.function(program.place)?))));
            Ok(found)
        }
    }
}

fn find(btf: &Btf<'_>, programs: &[Program]) -> Result<Places, String> {
    let one = |program: &Program| {
        let id = match program.attach {
            Attach::Tracepoint => btf.tracepoint(program.place).map(|found| found.id),
            Attach::Entry | Attach::Exit | Attach::Iterator => btf.function(program.place),
        };
        Ok((*program, id.ok_or_else(|| format!("this kernel has no {}", program.place))?))
    };
    programs.iter().map(one).collect()
}

/// Has the kernel verify them all, and then call them: first of all who tells of ends.
fn attach(
    programs: &Programs,
    always: &[(Program, u32)],
    tier: &[(Program, u32)],
) -> Result<Attached, BpfError> {
    let mut loaded = Vec::new();
    // The tier's first: those are what a kernel may refuse.
    for (program, target) in tier.iter().chain(always) {
        loaded.push((program.name, load(programs, program.name, program.attach, *target)?));
    }
    let mut attached = Attached { links: Vec::new(), programs: loaded };
    let (of_tier, always) = attached.programs.split_at(tier.len());
    let (exits, others) = always.split_at(1);
    for (_, program) in exits.iter().chain(of_tier).chain(others) {
        attached.links.push(syscall::attach(program.as_fd()).map_err(|error| classify(&error))?);
    }
    Ok(attached)
}

/// Programs that the kernel calls for as long as this is kept.
pub struct Attached {
    /// Before the programs: nothing is called that is about to go.
    links: Vec<OwnedFd>,
    programs: Vec<(&'static str, OwnedFd)>,
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
        self.programs.iter().filter_map(|(name, fd)| Some((*name, info(fd)?))).collect()
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
