//! Who joins or makes namespaces without becoming a process or a program by it: `setns` and `unshare`, by what was before
//! the system call and what is after.
//!
//! The kernel's functions for the two can be watched by themselves (`fentry` and `fexit`), at no cost to anybody else. Where
//! that is not to be had there are two tracepoints for all system calls, and a slower way into the kernel for every task of
//! the machine while one is attached: so those are for who asks for them.

use aya_ebpf::{helpers::bpf_get_current_task, macros::map, maps::LruHashMap};
use inspector_common::{Event, Inodes, Tracked, event_flags};

use super::record::{Told, Ways, key};
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

/// One of the kernel's functions for the two begins.
///
/// # Safety
///
/// `fentry` of such a function.
#[inline(always)]
pub unsafe fn enter_function(_: *const u64) {
    // SAFETY: the task that runs.
    unsafe { before() }
}

/// The kernel's function for `setns` ends.
///
/// # Safety
///
/// `context` is that of `fexit` of this function, which takes one argument.
#[inline(always)]
pub unsafe fn leave_setns(context: *const u64) {
    // SAFETY: the caller's.
    unsafe { after(Event::Setns, argument(context, 1)) }
}

/// The kernel's function for `unshare` ends.
///
/// # Safety
///
/// As for [`leave_setns`].
#[inline(always)]
pub unsafe fn leave_unshare(context: *const u64) {
    // SAFETY: the caller's.
    unsafe { after(Event::Unshare, argument(context, 1)) }
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
            before();
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
    // SAFETY: the tracepoint's arguments, and a field of `pt_regs`.
    unsafe {
        let Some(registers) = Pointer::new(argument(context, 0) as *mut u8) else { return };
        if let Some(event) = which(Direct::u32(registers, offset!(registers_syscall))) {
            after(event, argument(context, 1));
        }
    }
}

/// The task that runs. Linux 5.10 does not give it with its type.
#[inline(always)]
fn current() -> Option<Pointer> {
    // SAFETY: no arguments.
    Pointer::new(unsafe { bpf_get_current_task() } as *mut u8)
}

/// Notes the namespaces of the task that runs.
#[inline(always)]
unsafe fn before() {
    let Some(task) = current() else { return };
    // SAFETY: the task that runs.
    unsafe {
        // A failure is told as such: what was before is not known.
        let _ = BEFORE.insert(&(task.as_ptr() as u64), &Ways::of::<Probe>(task).namespaces::<Probe>(), 0);
    }
}

/// Tells of it if the namespaces of the task that runs have changed.
#[inline(always)]
unsafe fn after(event: Event, result: u64) {
    let Some(task) = current() else { return };
    // SAFETY: the task that runs.
    unsafe {
        let address = task.as_ptr() as u64;
        let before = BEFORE.get(&address).copied();
        let _ = BEFORE.remove(&address);
        if result != 0 {
            return;
        }
        let ways = Ways::of::<Probe>(task);
        let new = ways.namespaces::<Probe>();
        let (old, flags) = match before {
            Some(old) if old == new => return,
            Some(old) => (old, 0),
            None => (new, event_flags::OLD_UNKNOWN),
        };
        let Some(leader) = Probe::pointer(task, offset!(task_group_leader)) else { return };
        let key = key::<Probe>(leader);
        if key == 0 {
            return;
        }
        // A thread that goes elsewhere, as those of network plugins do, does not take its process along.
        if task == leader {
            let start_boottime_ns = Probe::u64(leader, offset!(task_start_boottime));
            tracked::insert(key, &Tracked { start_boottime_ns, namespaces: new });
        }
        // The process's: a thread has none of its own. It may be another by the time that this is read, and its task be
        // freed; but not before this program ends, for it runs within a reading section of RCU.
        let other = Probe::pointer(leader, offset!(task_real_parent));
        let told = Told { event, task, leader, ways, other, exit_code: 0, flags };
        told.send::<Probe>(&old, &new);
    }
}
