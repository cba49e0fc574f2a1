//! Numbers of a task: one for each PID namespace from the initial one down to its own.

use aya_ebpf::helpers::bpf_get_current_task;
use inspector_common::{MISSING, PID_LEVELS};

use crate::{
    event::setting,
    memory::{Memory, Pointer, Probe, offset},
    output,
};

/// What a task is in its own PID namespace.
#[derive(Clone, Copy, Default)]
pub struct Innermost {
    /// Depth of that namespace below the initial one.
    pub level: u32,
    /// Its number there.
    pub number: u32,
    /// The namespace's inode.
    pub inode: u32,
    /// The namespace.
    pub namespace: Option<Pointer>,
}

/// The number of a `struct pid` in its own namespace.
///
/// # Safety
///
/// `pid` points to a `struct pid`.
#[inline(always)]
pub unsafe fn innermost<M: Memory>(pid: Pointer) -> Innermost {
    // SAFETY: fields of `struct pid`.
    unsafe {
        let level = M::u32(pid, offset!(pid_level));
        match level {
            0 => entry::<M>(pid, 0),
            _ => entry::<Probe>(pid, level),
        }
    }
}

/// Notes the numbers of the task at hand in the PID namespaces below the reader's, and how many there are.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn pids_below() -> u64 {
    let Some(state) = output::current() else { return 0 };
    // SAFETY: no caller holds a reference to it.
    let state = unsafe { &mut *state };
    let record = &mut state.task;
    state.below = 0;
    let Some(pid) = Pointer::new(state.pid as *mut u8) else { return 0 };
    let first = reader_level() + 1;
    // The state in the map, and not a register, says where it ends: so the rounds look alike to the verifier.
    for index in 0..PID_LEVELS {
        if first + index > record.level {
            break;
        }
        // SAFETY: `numbers` has an element for each level up to the pid's own.
        record.pids_below[index as usize] =
            unsafe { Probe::u32(pid, slot(first + index) + offset!(upid_nr)) };
        state.below = index + 1;
    }
    0
}

/// What it is at one level. Typed pointers allow no variable offset: they are for level 0.
#[inline(always)]
unsafe fn entry<M: Memory>(pid: Pointer, level: u32) -> Innermost {
    let at = slot(level);
    // SAFETY: `numbers` has an element for each level up to the pid's own.
    unsafe {
        let namespace = M::pointer(pid, at + offset!(upid_ns));
        let inode = match namespace {
            Some(namespace) => M::u32(namespace, offset!(pid_inum)),
            None => 0,
        };
        Innermost { level, number: M::u32(pid, at + offset!(upid_nr)), inode, namespace }
    }
}

/// Offset of the element of `numbers` for a level.
#[inline(always)]
fn slot(level: u32) -> u32 {
    // Bounded, for the verifier; deeper ones do not exist.
    offset!(pid_numbers) + level.min(PID_LEVELS) * offset!(upid_size)
}

/// The depth of the reader's PID namespace.
#[inline(always)]
pub fn reader_level() -> u32 {
    let known = offset!(reader_level);
    if known != MISSING {
        return known;
    }
    // SAFETY: the task that reads the iterator file is alive; the helper checks each address.
    unsafe {
        let Some(current) = Pointer::new(bpf_get_current_task() as *mut u8) else { return 0 };
        match Probe::pointer(current, offset!(task_thread_pid)) {
            Some(pid) => Probe::u32(pid, offset!(pid_level)),
            None => 0,
        }
    }
}

/// The number of a `struct pid` as the reader sees it; 0 if it does not, or if there is none.
///
/// # Safety
///
/// `pid` is the address of a `struct pid` (or 0).
#[inline(always)]
pub unsafe fn seen_by_reader(pid: u64, reader_level: u32) -> u32 {
    // SAFETY: fields of `struct pid`.
    unsafe {
        if reader_level != 0 && Probe::u32_or_0(pid, offset!(pid_level)) < reader_level {
            // The walk is over the reader's namespace and its descendants, and a parent outside it is an
            // ancestor's: who has a number at this level has it in the reader's namespace.
            return 0;
        }
        Probe::u32_or_0(pid, slot(reader_level) + offset!(upid_nr))
    }
}

/// The number of a `struct pid` as the reader sees it, for events, which happen to everybody: 0 for who is outside the
/// reader's PID namespace, and if there is none.
///
/// # Safety
///
/// As for [`seen_by_reader`]; and the reader's level is known.
#[inline(always)]
pub unsafe fn seen(pid: u64) -> u32 {
    let level = offset!(reader_level);
    if level != 0 {
        // SAFETY: fields of `pid` and of a namespace: of another, where there are not so many levels, whose inode is not
        // the reader's; the next lines look at the depth.
        let namespace = unsafe { Probe::u64_or_0(pid, slot(level) + offset!(upid_ns)) };
        // SAFETY: as above.
        if unsafe { Probe::u32_or_0(namespace, offset!(pid_inum)) } != setting!(reader_namespace) {
            return 0;
        }
    }
    // SAFETY: the caller's.
    unsafe { seen_by_reader(pid, level) }
}
