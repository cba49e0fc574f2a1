//! The watcher and the engine against the running kernel, while namespaces come and go as fast as the system calls do it:
//! what they end up with is what /proc shows, each thing is told once, and what is missing is said.
//!
//! They want root, a kernel with BTF, and a C compiler. Without, they fail and say so. One at a time: each has the machine's
//! processors to itself.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod agreement;
mod churner;
#[path = "../support/executable.rs"]
mod executable;
#[path = "../support/helper.rs"]
#[allow(dead_code, reason = "of the helpers only the compiler is needed")]
mod helper;
mod hops;
mod identities;
mod killed;
mod live;
#[path = "../bpf_tasks/oracle.rs"]
#[allow(dead_code, reason = "the iterator's own tests compare more")]
mod oracle;
mod restarts;
mod standstill;
mod truth;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads eBPF into the kernel and makes namespaces: run it as root (`cargo xtask test` asks for sudo)"
    );
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
