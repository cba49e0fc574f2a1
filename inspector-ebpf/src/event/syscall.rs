//! Who joins or makes namespaces without becoming a process or a program by it: `setns` and `unshare`, by what was before
//! the system call and what is after.
//!
//! There are two tracepoints for all system calls, and a slower way into the kernel for every task of the machine while
//! one is attached. So these two are for who asks for them.

use aya_ebpf::{helpers::bpf_get_current_task, macros::map, maps::LruHashMap};
use inspector_common::{Event, Inodes, Tracked, event_flags};

use super::record::{Told, namespaces};
use super::{argument, setting, tracked};
use crate::memory::{Direct, Memory as _, Pointer, Probe, offset};

/// The namespaces of tasks that are within such a system call, by the address of the task. They are not many, and not
/// there for long; who was put out for others is told with what was before unknown.
#[map]
static BEFORE: LruHashMap<u64, Inodes> = LruHashMap::with_max_entries(4096, 0);

/// Of x86's `x32` programs, which share the numbers of others but for this bit.
const X32: u32 = 0x4000_0000;

/// Which of the two a system call is. It may be another as well, of the same number in programs of the other width; but
/// that changes no namespaces.
#[inline(always)]
fn which(number: u32) -> Option<Event> {
    let number = number & !X32;
    if number == setting!(setns[0]) || number == setting!(setns[1]) {
        Some(Event::Setns)
    } else if number == setting!(unshare[0]) || number == setting!(unshare[1]) {
        Some(Event::Unshare)
    } else {
        None
    }
}

/// A system call begins.
///
/// # Safety
///
/// `context` is that of `tp_btf/sys_enter`.
#[inline(always)]
pub unsafe fn enter(context: *const u64) {
    // SAFETY: the tracepoint's arguments, and the task that runs.
    unsafe {
        if which(argument(context, 1) as u32).is_some() {
            let task = bpf_get_current_task();
            // A failure is told as such: what was before is not known.
            let _ = BEFORE.insert(&task, &namespaces(task), 0);
        }
    }
}

/// A system call ends.
///
/// # Safety
///
/// `context` is that of `tp_btf/sys_exit`.
#[inline(always)]
pub unsafe fn exit(context: *const u64) {
    // SAFETY: the tracepoint's arguments, a field of `pt_regs`, and the task that runs.
    unsafe {
        let Some(registers) = Pointer::new(argument(context, 0) as *mut u8) else { return };
        let Some(event) = which(Direct::u32(registers, offset!(registers_syscall))) else { return };
        let task = bpf_get_current_task();
        let before = BEFORE.get(&task).copied();
        let _ = BEFORE.remove(&task);
        if argument(context, 1) != 0 {
            return;
        }
        let new = namespaces(task);
        let (old, flags) = match before {
            Some(old) if old == new => return,
            Some(old) => (old, 0),
            None => (new, event_flags::OLD_UNKNOWN),
        };
        let leader = Probe::u64_or_0(task, offset!(task_group_leader));
        let told = Told { event, task, leader, other: 0, exit_code: 0, flags };
        let key = told.key();
        if key == 0 {
            return;
        }
        // A thread that goes elsewhere, as those of network plugins do, does not take its process along.
        if task == leader {
            let start_boottime_ns = Probe::u64_or_0(leader, offset!(task_start_boottime));
            tracked::insert(key, &Tracked { start_boottime_ns, namespaces: new });
        }
        told.send(&old, &new);
    }
}
