//! The event programs: which of all that happens is told, and when a process's death will be.
//!
//! On a busy node tens of thousands of processes come and go each second, and hardly one of them changes a namespace.
//! So what is asked of every fork and every exit is a handful of plain loads, through the pointers that the verifier has
//! types for; all else happens for what is told only, by the helper.
//!
//! There is no state between two events but the maps of [`tracked`] and [`syscall`].

mod record;
mod ring;
pub mod syscall;
mod tracked;

use core::ptr::read_volatile;

use inspector_common::{Event, EventSettings, Inodes, Tracked, event_flags};

use crate::memory::{Direct, Memory as _, Pointer, offset};
use record::{Told, Ways, key};

/// Overwritten by user space before loading, then frozen.
#[unsafe(no_mangle)]
pub static EVENT_SETTINGS: EventSettings = EventSettings::UNSET;

/// A number out of [`EVENT_SETTINGS`].
macro_rules! setting {
    ($($field:tt)*) => {
        $crate::memory::frozen(&$crate::event::EVENT_SETTINGS.$($field)*)
    };
}
pub(crate) use setting;

/// `SIGNAL_GROUP_EXIT` of `signal_struct.flags`, the same in every kernel.
const SIGNAL_GROUP_EXIT: u32 = 4;

/// One of a tracepoint's arguments.
///
/// # Safety
///
/// `context` is the one that the kernel calls the program with, and the tracepoint has so many arguments.
#[inline(always)]
pub unsafe fn argument(context: *const u64, index: usize) -> u64 {
    // SAFETY: the caller's.
    unsafe { read_volatile(context.add(index)) }
}

/// An argument that is the address of a task.
#[inline(always)]
unsafe fn task(context: *const u64, index: usize) -> Option<Pointer> {
    // SAFETY: the caller's.
    Pointer::new(unsafe { argument(context, index) } as *mut u8)
}

/// A task was made, and has not run yet.
///
/// # Safety
///
/// `context` is that of `tp_btf/sched_process_fork`.
#[inline(always)]
pub unsafe fn fork(context: *const u64) {
    // SAFETY: the tracepoint's arguments, and fields of `task_struct`.
    unsafe {
        // Who called fork. Not the parent always: runc's stages have the caller's parent for theirs.
        let (Some(caller), Some(child)) = (task(context, 0), task(context, 1)) else { return };
        let process = Direct::u32(caller, offset!(task_tgid)) != Direct::u32(child, offset!(task_tgid));
        let wanted = setting!(all_processes) != 0 && process;
        let (before, ways) = (Ways::of::<Direct>(caller), Ways::of::<Direct>(child));
        let same = before.are_those_of_child::<Direct>(&ways);
        if same && !wanted {
            return;
        }
        let Some(leader) = Direct::pointer(child, offset!(task_group_leader)) else { return };
        let key = key::<Direct>(leader);
        if key == 0 {
            return;
        }
        // Those of most children are their maker's: the same need not be read twice.
        let new = ways.namespaces::<Direct>();
        let old = if same { new } else { before.namespaces::<Direct>() };
        if process && old != new {
            let start_boottime_ns = Direct::u64(leader, offset!(task_start_boottime));
            tracked::insert(key, &Tracked { start_boottime_ns, namespaces: new });
        }
        let sibling = Direct::pointer(child, offset!(task_real_parent)) != Some(caller);
        let flags = if sibling { event_flags::PARENT_IS_CALLERS } else { 0 };
        let other = Some(caller);
        let told = Told { event: Event::Fork, task: child, leader, ways, other, exit_code: 0, flags };
        told.send::<Direct>(&old, &new);
    }
}

/// A process became another program.
///
/// # Safety
///
/// `context` is that of `tp_btf/sched_process_exec`.
#[inline(always)]
pub unsafe fn exec(context: *const u64) {
    // SAFETY: the tracepoint's arguments, and fields of `task_struct`.
    unsafe {
        // By now the only thread, and so the leader, whichever called.
        let Some(task) = task(context, 0) else { return };
        let parent = Direct::pointer(task, offset!(task_real_parent));
        let key = key::<Direct>(task);
        if key == 0 {
            return;
        }
        let start = Direct::u64(task, offset!(task_start_boottime));
        let last = tracked::namespaces(key, start);
        let ways = Ways::of::<Direct>(task);
        let parents = match parent {
            Some(parent) => Ways::of::<Direct>(parent),
            None => Ways::NONE,
        };
        let mut noteworthy = true;
        if last.is_none() && parents.are_those_of_child::<Direct>(&ways) {
            if setting!(all_processes) == 0 {
                return;
            }
            noteworthy = false;
        }
        let mut flags = 0;
        let new = ways.namespaces::<Direct>();
        let old = if let Some(last) = last {
            last
        } else if !noteworthy {
            flags = event_flags::OLD_IS_PARENTS;
            new
        } else if let Some(parents) = namespaces_held(parent, &parents) {
            flags = event_flags::OLD_IS_PARENTS;
            // Two that hold the same namespaces.
            if parents == new {
                if setting!(all_processes) == 0 {
                    return;
                }
                noteworthy = false;
            }
            parents
        } else {
            flags = event_flags::OLD_UNKNOWN;
            new
        };
        if noteworthy {
            tracked::insert(key, &Tracked { start_boottime_ns: start, namespaces: new });
        }
        let told = Told { event: Event::Exec, task, leader: task, ways, other: parent, exit_code: 0, flags };
        told.send::<Direct>(&old, &new);
    }
}

/// The namespaces of another task, which may leave its nsproxy meanwhile, and that be freed and used again: then none.
#[inline(always)]
unsafe fn namespaces_held(task: Option<Pointer>, ways: &Ways) -> Option<Inodes> {
    // SAFETY: a field of `task_struct`.
    unsafe {
        let (task, before) = (task?, ways.nsproxy?);
        let read = ways.namespaces::<Direct>();
        (Direct::pointer(task, offset!(task_nsproxy)) == Some(before)).then_some(read)
    }
}

/// A thread is going, and still has all that is its own.
///
/// # Safety
///
/// `context` is that of `tp_btf/sched_process_exit`.
#[inline(always)]
pub unsafe fn exit(context: *const u64) {
    // SAFETY: the tracepoint's arguments, and fields of `task_struct` and `signal_struct`.
    unsafe {
        let Some(task) = task(context, 0) else { return };
        let Some(signal) = Direct::pointer(task, offset!(task_signal)) else { return };
        let over = if setting!(exit_tells_group_dead) != 0 {
            argument(context, 1) & 0xff != 0
        } else {
            Direct::u32(signal, offset!(signal_live)) == 0
        };
        if !over {
            return;
        }
        let Some(leader) = Direct::pointer(task, offset!(task_group_leader)) else { return };
        let key = key::<Direct>(leader);
        if key == 0 {
            return;
        }
        if setting!(all_processes) == 0 && !tracked::may_be(key) {
            return;
        }
        let start = Direct::u64(leader, offset!(task_start_boottime));
        // Of threads that go at one time, more than one may find that none is left. Where the tracepoint does not say
        // which was the last, the first to come here speaks for the process.
        let alone =
            setting!(exit_tells_group_dead) != 0 || Direct::u32(signal, offset!(signal_nr_threads)) == 1;
        if !alone && !tracked::is_first(key, start) {
            return;
        }
        if !tracked::remove(key, start) && setting!(all_processes) == 0 {
            return;
        }
        let exit_code = if Direct::u32(signal, offset!(signal_flags)) & SIGNAL_GROUP_EXIT != 0 {
            Direct::u32(signal, offset!(signal_group_exit_code))
        } else {
            Direct::u32(leader, offset!(task_exit_code))
        };
        // The main thread may have gone before, and left its nsproxy; the rest is one for all threads.
        let ways =
            Ways { nsproxy: Direct::pointer(task, offset!(task_nsproxy)), ..Ways::of::<Direct>(leader) };
        let told = Told { event: Event::Exit, task, leader, ways, other: None, exit_code, flags: 0 };
        told.send::<Direct>(&ways.namespaces::<Direct>(), &record::NONE);
    }
}
