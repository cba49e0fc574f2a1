//! What the kernel tells as it happens, heard by a thread of its own and handed on to whoever looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Listening;
use crate::observation::{Gap, KernelEvent, Task};
use crate::source::Context;
use crate::source::bpf::{BpfError, EventConfig, EventCounts, EventReader, EventTier, Wake};

/// How long the thread sleeps at most before it sees that it is to end, or whom to track.
const BREATH: Duration = Duration::from_millis(100);

/// Batches that wait for who looks. More stay in the kernel's ring buffer, which counts what finds no room.
const BATCHES: usize = 16;

/// Room for events where every process is told of: those of a tenth of a second of a machine that does nothing but fork.
const ALL_RING_BYTES: u32 = 8 << 20;

/// What came since the last time.
pub(super) struct Batch {
    pub events: Vec<KernelEvent>,
    /// What is counted by now.
    pub counts: EventCounts,
}

/// The thread that listens, ended when dropped.
pub(super) struct Listener {
    batches: mpsc::Receiver<Batch>,
    track: std_mpsc::Sender<Vec<Arc<Task>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    pub tier: EventTier,
    /// What is not told as it happens.
    pub gaps: Vec<Gap>,
}

impl Listener {
    /// Attaches the event programs. Whoever watches for a while is woken at once, and where there is no better way the
    /// tracepoints of system calls are used.
    pub(super) fn start(context: &Context, listening: Listening) -> Result<Self, BpfError> {
        let Listening { background, all_processes } = listening;
        let mut config = EventConfig { all_processes, ..EventConfig::default() };
        if !background {
            config.syscalls = true;
        }
        // A person's eye is not quicker than a tick where every process is told of.
        if !background && !all_processes {
            config.wake = Wake::AtOnce;
        }
        if all_processes {
            config.ring_bytes = ALL_RING_BYTES;
        }
        let mut reader = EventReader::open(context, &config)?;
        for gap in reader.gaps() {
            log::info!("{}: {}", gap.what, gap.why);
        }
        let tier = reader.tier();
        // By tracepoints it is told as well.
        let gaps = if tier == EventTier::ForkExec { reader.gaps().to_vec() } else { Vec::new() };
        let (sender, batches) = mpsc::channel(BATCHES);
        let (track, tracked) = std_mpsc::channel::<Vec<Arc<Task>>>();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let spawned = thread::Builder::new().name("events".to_owned()).spawn(move || {
            let mut known = EventCounts::default();
            while !stopped.load(Ordering::Relaxed) {
                for tasks in tracked.try_iter() {
                    if let Err(error) = reader.track(tasks.iter().map(Arc::as_ref)) {
                        log::warn!("the deaths of some processes will not be told: {error}");
                    }
                }
                let events = match reader.read(BREATH) {
                    Ok(events) => events,
                    Err(error) => {
                        log::warn!("could not wait for events: {error}; the tasks are still read");
                        return;
                    }
                };
                let counts = match reader.counts() {
                    Ok(counts) => counts,
                    Err(error) => {
                        log::warn!("could not count events: {error}; the tasks are still read");
                        return;
                    }
                };
                let is_news = !events.is_empty() || lost(&counts) != lost(&known);
                known.clone_from(&counts);
                if is_news && sender.blocking_send(Batch { events, counts }).is_err() {
                    return;
                }
            }
        });
        let thread = spawned.map_err(BpfError::Events)?;
        Ok(Self { batches, track, stop, thread: Some(thread), tier, gaps })
    }

    /// Waits for the next batch; `None` once the thread has ended.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// What is there already.
    pub(super) fn try_next(&mut self) -> Option<Batch> {
        self.batches.try_recv().ok()
    }

    /// Has the deaths of these processes be told.
    pub(super) fn track(&self, tasks: Vec<Arc<Task>>) {
        // A thread that has ended tracks nobody; it said why.
        let _ = self.track.send(tasks);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.batches.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What did not arrive, by cause.
pub(super) fn lost(counts: &EventCounts) -> BTreeMap<&'static str, u64> {
    let causes = [
        ("ring-full", counts.lost()),
        ("untracked", counts.untracked),
        ("program-busy", counts.missed),
        ("undecodable", counts.undecodable),
    ];
    causes.into_iter().filter(|(_, records)| *records > 0).collect()
}
