#![no_std]
#![no_main]
// Rust has no atomic addition for this target. (What compiles it knows this feature: `build-std` takes as much.)
#![feature(asm_experimental_arch)]
//! The kernel side: the task iterator, the event programs, and the only reads of kernel memory.
//!
//! The iterator is two programs of one source. `tasks_direct` loads the fields of a task by plain loads, through pointers that the
//! verifier has types for; `tasks_probe` asks the helper `bpf_probe_read_kernel` for every byte, and is for kernels whose
//! verifier refuses the first. User space tries them in that order. Both ask the helper where a pointer is followed but
//! for the two on the way of every task (`nsproxy` and `thread_pid`): for each pointer that is loaded from a trusted one
//! the verifier looks for the names of its safe kinds among all of the kernel's types, some 2 ms, while a call of the
//! helper costs 20 ns a task.
//!
//! Nothing in here judges, keeps state between two readings, or knows the offset of a kernel field: those come
//! from [`inspector_common::Layout`]. There are no panics, no unbounded loops, and no helper newer than Linux 5.10.

mod cgroup;
mod context;
mod event;
mod memory;
mod namespace;
mod output;
mod pid;
mod task;

use context::Context;
use memory::{Direct, Probe};

/// `iter/task`, by typed pointers.
///
/// # Safety
///
/// Called by the kernel only, with the context of a task iterator.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub unsafe extern "C" fn tasks_direct(context: *mut Context) -> i32 {
    // SAFETY: the kernel's context.
    unsafe { task::show::<Direct>(context) }
}

/// `iter/task`, by the helper.
///
/// # Safety
///
/// Called by the kernel only, with the context of a task iterator.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub unsafe extern "C" fn tasks_probe(context: *mut Context) -> i32 {
    // SAFETY: the kernel's context.
    unsafe { task::show::<Probe>(context) }
}

/// An event program.
macro_rules! event_program {
    ($(#[$doc:meta])* $name:ident, $section:literal, $body:path) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// Called by the kernel only, with the arguments of that tracepoint.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = $section)]
        pub unsafe extern "C" fn $name(context: *const u64) -> i32 {
            // SAFETY: the kernel's context.
            unsafe { $body(context) };
            0
        }
    };
}

event_program!(
    /// A task is made.
    process_fork, "tp_btf/sched_process_fork", event::fork
);
event_program!(
    /// A process becomes another program.
    process_exec, "tp_btf/sched_process_exec", event::exec
);
event_program!(
    /// A thread ends.
    process_exit, "tp_btf/sched_process_exit", event::exit
);
event_program!(
    /// A system call begins.
    syscall_enter, "tp_btf/sys_enter", event::syscall::enter
);
event_program!(
    /// A system call ends.
    syscall_exit, "tp_btf/sys_exit", event::syscall::exit
);

/// The helpers that read kernel memory are for GPL-compatible programs only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Says what this object is and what it was built from, for user space and for tests.
#[unsafe(no_mangle)]
#[unsafe(link_section = "inspector.identity")]
pub static IDENTITY: [u8; identity::LEN] = identity::text();

/// The text of [`IDENTITY`], put together at compile time.
mod identity {
    use inspector_common::{ABI, IDENTITY};

    const SOURCE: &str = match option_env!("INSPECTOR_BPF_SOURCE_SHA256") {
        Some(hash) => hash,
        None => "-",
    };
    const _: () = assert!(ABI < 10, "the text has room for one digit");
    const MIDDLE: &str = " source=";
    pub const LEN: usize = IDENTITY.len() + 1 + MIDDLE.len() + SOURCE.len() + 1;

    pub const fn text() -> [u8; LEN] {
        let mut text = [0; LEN];
        let mut at = put(&mut text, 0, IDENTITY);
        text[at] = b'0' + ABI as u8;
        at = put(&mut text, at + 1, MIDDLE);
        put(&mut text, at, SOURCE);
        text
    }

    const fn put(text: &mut [u8; LEN], at: usize, part: &str) -> usize {
        let part = part.as_bytes();
        let mut index = 0;
        while index < part.len() {
            text[at + index] = part[index];
            index += 1;
        }
        at + part.len()
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier would refuse a program that could come here.
    loop {}
}
