//! The event programs against the running kernel: namespaces made, joined and left by system calls of these tests' own,
//! and compared with what /proc says of them.
//!
//! They want root and a kernel with BTF. Without, they fail and say so.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod alone;
mod machine;
mod namespaces;
mod processes;
mod storm;

use std::time::{Duration, Instant};

use inspector::observation::{EventKind, KernelEvent};
use inspector::source::bpf::{EventConfig, EventReader, EventTier};
use inspector::source::{Context, Options};

use machine::Child;

fn context() -> Context {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads eBPF into the kernel and makes namespaces: run it as root (`cargo xtask test` asks for sudo)"
    );
    Context::new(Options::default())
}

fn open(config: &EventConfig) -> EventReader {
    EventReader::open(&context(), config).unwrap()
}

/// The tiers that see `setns` and `unshare` on this machine.
fn seeing() -> Vec<EventTier> {
    let fentry = EventConfig { only: Some(EventTier::Fentry), ..EventConfig::default() };
    match EventReader::open(&context(), &fentry) {
        Ok(_) => vec![EventTier::Fentry, EventTier::Syscall],
        Err(error) => {
            // There it has to be.
            assert!(std::env::var_os("INSPECTOR_TEST_NODE").is_none(), "no fentry on this node: {error}");
            println!("no fentry here: {error}");
            vec![EventTier::Syscall]
        }
    }
}

/// Everything that was told until now: a process in a namespace of its own is made, and its fork waited for. The kernel
/// keeps the order, so what was told before has come by then.
fn everything(reader: &mut EventReader) -> Vec<KernelEvent> {
    let mark = Child::idle(libc::CLONE_NEWUTS);
    let start = Instant::now();
    let mut events = Vec::new();
    loop {
        assert!(start.elapsed() < Duration::from_secs(60), "the mark never came: {events:#?}");
        events.extend(reader.read(Duration::from_millis(200)).unwrap());
        if let Some(at) = events.iter().position(|event| event.tgid == mark.pid) {
            events.truncate(at);
            break;
        }
    }
    let counts = reader.counts().unwrap();
    // What the kernel missed it may have missed of somebody else.
    assert_eq!((counts.lost(), counts.untracked, counts.undecodable), (0, 0, 0), "{counts:?}");
    if counts.missed != 0 {
        println!("this kernel missed some: {counts:?}");
    }
    events
}

/// Of those, the ones about this process.
fn of(events: &[KernelEvent], tgid: u32) -> Vec<&KernelEvent> {
    events.iter().filter(|event| event.tgid == tgid).collect()
}

fn kinds(events: &[KernelEvent], tgid: u32) -> Vec<EventKind> {
    of(events, tgid).into_iter().map(|event| event.kind).collect()
}
