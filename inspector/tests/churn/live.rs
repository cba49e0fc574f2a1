//! The watcher and the engine, as `inspector watch` has them, on a thread of their own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use inspector::live::Engine;
use inspector::observation::{HeardBy, Input, Kind};
use inspector::source::{Listening, Options, Tally, Watcher};
use inspector::view::{Event, EventType};
use tokio::sync::Notify;

/// What is known so far.
pub struct State {
    pub engine: Engine,
    /// What was told.
    pub events: Vec<Event>,
    pub tally: Tally,
    pub looks: u32,
}

struct Shared {
    state: Mutex<Option<State>>,
    stop: Notify,
    /// For how many milliseconds whoever takes the events is to stand still.
    stand_still_ms: AtomicU32,
}

/// Watches until it is dropped.
pub struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// As by default.
    Usual,
    /// Single processes in namespaces of their own, too.
    All,
    /// The same as by default, but nothing is kept of it.
    Nothing,
}

impl Live {
    /// Starts, and waits for the first look.
    pub fn start(telling: Telling) -> Self {
        let (stop, stand_still_ms) = (Notify::new(), AtomicU32::new(0));
        let shared = Arc::new(Shared { state: Mutex::new(None), stop, stand_still_ms });
        let (sender, ready) = channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let watching = Watcher::start(Options::default(), Listening::default());
                let (mut watcher, first) = watching.await.unwrap();
                let by = watcher.heard_by();
                let engine = Engine::start(first, by, telling == Telling::All);
                let tally = watcher.tally().clone();
                *of_thread.state.lock().unwrap() =
                    Some(State { engine, events: Vec::new(), tally, looks: 1 });
                sender.send(by).unwrap();
                loop {
                    let input = tokio::select! {
                        input = watcher.next() => input.unwrap(),
                        () = of_thread.stop.notified() => break,
                    };
                    let mut state = of_thread.state.lock().unwrap();
                    let state = state.as_mut().unwrap();
                    state.looks += u32::from(matches!(input, Input::Look(_)));
                    let told = state.engine.take(input);
                    if telling != Telling::Nothing {
                        state.events.extend(told);
                    }
                    state.tally = watcher.tally().clone();
                    let still_ms = of_thread.stand_still_ms.swap(0, Ordering::Relaxed);
                    // Nobody else has a turn on this thread meanwhile.
                    std::thread::sleep(Duration::from_millis(still_ms.into()));
                }
            });
        });
        let by = ready.recv_timeout(Duration::from_secs(60)).expect("the watcher does not start");
        assert!(
            matches!(by, Some(HeardBy::Fexit | HeardBy::Syscall)),
            "these tests want a kernel that tells of unshare and setns: {by:?}"
        );
        Self { shared, thread: Some(thread) }
    }

    /// Looks at what is known.
    pub fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(self.shared.state.lock().unwrap().as_ref().unwrap())
    }

    /// Has whoever takes the events do nothing for so long.
    pub fn stand_still(&self, time: Duration) {
        self.shared.stand_still_ms.store(u32::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Waits until something is so, or fails with why it is not. Gives how long it took.
    #[track_caller]
    pub fn until(
        &self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut(&State) -> Result<(), String>,
    ) -> Duration {
        let began = Instant::now();
        loop {
            match self.see(&mut holds) {
                Ok(()) => return began.elapsed(),
                Err(why) => assert!(began.elapsed() < limit, "{what}: not within {limit:?}: {why}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the thread that watches has failed");
        }
    }
}

/// Which namespace: its kind, its inode, and which use of that.
pub type Identity = (Kind, u32, u64);

impl State {
    /// The namespaces of a kind that processes of that name are told to have made.
    pub fn created_by(&self, comm: &str, kind: Kind) -> Vec<Identity> {
        let by = |event: &&Event| event.process.as_ref().is_some_and(|it| it.comm == comm);
        let created = self.of(EventType::NamespaceCreated).filter(by).flat_map(|it| &it.namespaces);
        created.filter(|it| it.kind == kind).filter_map(|it| Some((it.kind, it.to?, it.generation))).collect()
    }

    /// The namespaces that are told to be gone.
    pub fn destroyed(&self) -> Vec<Identity> {
        let gone = self.of(EventType::NamespaceDestroyed).flat_map(|it| &it.namespaces);
        gone.filter_map(|it| Some((it.kind, it.from?, it.generation))).collect()
    }

    pub fn of(&self, event_type: EventType) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |it| it.event_type == event_type)
    }
}
