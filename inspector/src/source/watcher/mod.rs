//! Watches a node: what the kernel tells as it happens, and looks at everything, whenever something has happened and every
//! now and then.

mod listener;
mod looker;
mod news;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CollectError, Context, Options, bpf, memory, node};
use crate::observation::{Blind, EventKind, HeardBy, Input, KernelEvent, Kind, Look, Task, Told};
use listener::{Batch, Listener, lost};
use looker::{Hearing, Looker, processor_time};
use news::News;

/// What belongs together happens within so long: what came is handed on once nothing more does, or after so long.
const QUIET: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(6);

/// The same where the init of a PID namespace has died, and the kernel is killing others with it.
const DYING: Duration = Duration::from_millis(7);

/// Something is made of what came, which takes long on a large node: so many times as long is rested before what comes meanwhile
/// is handed on, up to a limit. That is a tenth of a processor in the background, and half of one where somebody watches.
const BACKGROUND_REST: Rest = Rest { times: 9, at_most: Duration::from_secs(1) };
const INTERACTIVE_REST: Rest = Rest { times: 1, at_most: Duration::from_millis(200) };

/// So many events are not rested on.
const ENOUGH: usize = 1 << 12;

/// A runtime makes a container in many steps: so long nothing has to happen before everything is looked at, and so long
/// that is waited for at most.
const STILL: Duration = Duration::from_millis(50);
const RESTLESS: Duration = Duration::from_millis(500);

/// How to listen to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// As what runs for months does: woken now and then, and at no cost to the system calls of others.
    pub background: bool,
    /// Every fork of a process, exec and exit.
    pub all_processes: bool,
}

/// What came of what the kernel told: `emitted` is what was received and what was lost, once nothing is on its way any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were handed on.
    pub received: u64,
    /// Events that were due, by the kernel's count when it was read last.
    pub emitted: u64,
    /// What did not arrive, by cause, and was handed on as that.
    pub lost: BTreeMap<&'static str, u64>,
}

/// How long is rested.
#[derive(Clone, Copy)]
struct Rest {
    times: u32,
    at_most: Duration,
}

/// Watches a node. All of it ends when this is dropped.
pub struct Watcher {
    looker: Looker,
    listener: Option<Listener>,
    by: Option<HeardBy>,
    /// What was told so far.
    tally: Tally,
    /// Something has happened: when everything is to be looked at, if nothing more does, and at the latest.
    look_at: Option<(Instant, Instant)>,
    /// A look that waits for what the kernel told before it.
    look: Option<Look>,
    /// Up to when it is heard what the kernel told.
    heard_ns: u64,
    /// A look was handed on: what it replaces is of no use any more.
    replaced: bool,
    rest: Rest,
    /// What this thread had had of a processor when it handed on what the kernel told, if that was the last thing.
    handed_on: Option<Duration>,
    /// Until then what comes is gathered.
    rests_until: Instant,
    /// The processes that die with the init of a PID namespace, of those whose death is told.
    bound: HashMap<u32, HashSet<(u32, u64)>>,
    news: News,
}

impl Watcher {
    /// Begins to listen and to look, and waits for the first look.
    ///
    /// # Errors
    /// If no task can be read, or the iterator was asked for and does not work here.
    pub async fn start(options: Options, listening: Listening) -> Result<(Self, Look), CollectError> {
        memory::share();
        let context = Context::new(options.clone());
        let reading = looker::reading(&context)?;
        // First the events, then the look: nothing falls in between.
        let (listener, hearing) = match reading.0.as_ref().map(|_| Listener::start(&context, listening)) {
            Some(Ok(mut listener)) => {
                let gaps = std::mem::take(&mut listener.gaps);
                (Some(listener), Hearing { sure: true, gaps })
            }
            Some(Err(error)) => (None, Hearing::not(&error.to_string())),
            None => (None, Hearing::not("the tasks are not read by eBPF, either")),
        };
        let by = listener.as_ref().map(heard_by);
        let mut looker = Looker::start(options, reading, hearing).map_err(CollectError::Watch)?;
        let first = match looker.next().await {
            Some(first) => first?,
            None => return Err(CollectError::Watch(std::io::Error::other("the looking thread has ended"))),
        };
        let mut watcher = Self {
            looker,
            listener,
            by,
            tally: Tally::default(),
            look_at: None,
            look: None,
            heard_ns: 0,
            replaced: true,
            rest: if listening.background { BACKGROUND_REST } else { INTERACTIVE_REST },
            handed_on: None,
            rests_until: Instant::now(),
            bound: HashMap::new(),
            news: News::new(listening.all_processes),
        };
        watcher.track(&first);
        Ok((watcher, first))
    }

    /// How often the tasks are read at least.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        looker::interval(self.by.is_some())
    }

    /// How the kernel tells what happens, if it does.
    #[must_use]
    pub const fn heard_by(&self) -> Option<HeardBy> {
        self.by
    }

    /// What came so far of what the kernel told.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits for what is next: what the kernel told before a look comes before that look.
    ///
    /// # Errors
    /// If nobody looks any more.
    pub async fn next(&mut self) -> Result<Input, CollectError> {
        if let Some(before) = self.handed_on.take() {
            let cost = processor_time().saturating_sub(before);
            self.rests_until = Instant::now() + (cost * self.rest.times).min(self.rest.at_most);
        }
        if std::mem::take(&mut self.replaced) {
            memory::give_back();
        }
        loop {
            // However much is told, looks have their turn.
            if self.look_at.is_some_and(|(calm, latest)| calm.min(latest) <= Instant::now()) {
                self.look_at = None;
                self.looker.ask();
            }
            if self.look.is_none()
                && let Some(look) = self.looker.try_next()
            {
                match look {
                    Ok(look) => self.look = Some(look),
                    Err(error) => return Ok(blind(&error)),
                }
            }
            let is_next = |look: &Look| look.observation.node.boottime_ns <= self.heard_ns;
            if !self.look.as_ref().is_some_and(is_next)
                && let Some(batch) = self.listener.as_mut().and_then(Listener::try_next)
            {
                return Ok(self.hear(batch).await);
            }
            if let Some(look) = self.look.take() {
                self.track(&look);
                self.replaced = true;
                return Ok(Input::Look(Box::new(look)));
            }
            let look_at = self.look_at.map(|(calm, latest)| calm.min(latest));
            let batch = async {
                match &mut self.listener {
                    Some(listener) => listener.next().await,
                    None => std::future::pending().await,
                }
            };
            let time = async {
                match look_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                batch = batch => match batch {
                    Some(batch) => return Ok(self.hear(batch).await),
                    None => {
                        // From here on only looks tell, and what is made of them says so.
                        (self.listener, self.by) = (None, None);
                        self.looker.hear(Hearing::not("the thread that heard them has ended; its log says why"));
                        return Ok(Input::Told(Told { boottime_ns: node::boottime_ns(), ..Told::default() }));
                    }
                },
                look = self.looker.next() => match look {
                    Some(Ok(look)) => self.look = Some(look),
                    Some(Err(error)) => return Ok(blind(&error)),
                    None => {
                        let ended = std::io::Error::other("the looking thread has ended");
                        return Err(CollectError::Watch(ended));
                    }
                },
                () = time => {
                    self.look_at = None;
                    self.looker.ask();
                }
            }
        }
    }

    /// Takes what came, and what comes with it.
    async fn hear(&mut self, first: Batch) -> Input {
        let mut told = Told { by: self.by, ..Told::default() };
        let mut is_news = false;
        let began = Instant::now();
        let mut next = Some(first);
        while let Some(batch) = next.take() {
            is_news |= self.add(batch, &mut told);
            let (quiet, patience) =
                if self.is_dying(&told.events) { (DYING, DYING) } else { (QUIET, PATIENCE) };
            let left = patience.saturating_sub(began.elapsed());
            let rest = self.rests_until.saturating_duration_since(Instant::now());
            // Nothing belongs to processes that merely come and go, and nothing is made of them.
            let waits = told.events.len() < ENOUGH && (is_news || !told.lost.is_empty());
            let wait = if waits { quiet.min(left).max(rest) } else { Duration::ZERO };
            if let Some(listener) = &mut self.listener
                && !wait.is_zero()
            {
                next = tokio::time::timeout(wait, listener.next()).await.ok().flatten();
            }
        }
        let now = Instant::now();
        let latest = self.look_at.map_or(now + RESTLESS, |(_, latest)| latest);
        // What did not arrive is looked for at once.
        let calm = if told.lost.is_empty() { now + STILL } else { now };
        if is_news || !told.lost.is_empty() {
            self.look_at = Some((calm, latest));
        }
        told.boottime_ns = node::boottime_ns();
        self.handed_on = Some(processor_time());
        Input::Told(told)
    }

    /// Adds what came to what is handed on. Says whether that is worth a look.
    fn add(&mut self, batch: Batch, told: &mut Told) -> bool {
        let mut is_news = false;
        for event in &batch.events {
            log::trace!("{event:?}");
            is_news |= self.news.are_in(event);
            self.heard_ns = self.heard_ns.max(event.boottime_ns);
        }
        self.tally.received += batch.events.len() as u64;
        self.tally.emitted = batch.counts.emitted();
        if told.events.is_empty() {
            told.events = batch.events;
        } else {
            told.events.extend(batch.events);
        }
        let all = lost(&batch.counts);
        for (cause, records) in &all {
            let new = records.saturating_sub(self.tally.lost.get(cause).copied().unwrap_or_default());
            if new > 0 {
                *told.lost.entry((*cause).to_owned()).or_default() += new;
            }
        }
        self.tally.lost = all;
        is_news
    }

    /// Whether an init took others with it whose death is still to be told.
    fn is_dying(&self, events: &[KernelEvent]) -> bool {
        let exits = || events.iter().filter(|event| event.kind == EventKind::Exit);
        let namespaces = exits()
            .filter(|event| event.pid_namespace_init)
            .filter_map(|event| event.old?.namespaces.get(Kind::Pid));
        let bound: Vec<_> = namespaces.filter_map(|inode| self.bound.get(&inode)).collect();
        // In a storm of ends there is mostly no such init: then nothing is made of them.
        if bound.is_empty() {
            return false;
        }
        let ended: HashSet<_> = exits().map(|it| (it.tgid, it.process_start_boottime_ns)).collect();
        bound.into_iter().any(|bound| !bound.is_subset(&ended))
    }

    /// Has the deaths be told that mean something: of containers and of PID namespaces.
    fn track(&mut self, look: &Look) {
        let Some(listener) = &self.listener else { return };
        let observation = &look.observation;
        let inits: HashSet<u32> = observation.containers.iter().map(|container| container.pid).collect();
        let host = &observation.host;
        let own_pids = |task: &Task| {
            let pid = task.namespaces.get(Kind::Pid);
            task.pid_namespace_init && pid.is_some_and(|it| host.is_host(Kind::Pid, it) == Some(false))
        };
        let all = observation.tasks.shared().iter();
        let tasks: Vec<Arc<Task>> =
            all.filter(|task| inits.contains(&task.pid) || own_pids(task)).cloned().collect();
        self.news.track(&tasks, look);
        let of =
            |task: &Arc<Task>| Some((task.namespaces.get(Kind::Pid)?, (task.tgid, task.start_boottime_ns)));
        let mut bound: Vec<(u32, (u32, u64))> = tasks.iter().filter_map(of).collect();
        bound.sort_unstable();
        let of_more_than_one = |bound: &&[(u32, (u32, u64))]| bound.len() > 1;
        self.bound = (bound.chunk_by(|(one, _), (other, _)| one == other))
            .filter(of_more_than_one)
            .filter_map(|bound| Some((bound.first()?.0, bound.iter().map(|(_, it)| *it).collect())))
            .collect();
        listener.track(tasks);
    }
}

/// That looking failed.
fn blind(error: &CollectError) -> Input {
    Input::Blind(Blind { boottime_ns: node::boottime_ns(), why: error.to_string() })
}

const fn heard_by(listener: &Listener) -> HeardBy {
    match listener.tier {
        bpf::EventTier::Fentry => HeardBy::Fexit,
        bpf::EventTier::Syscall => HeardBy::Syscall,
        bpf::EventTier::ForkExec => HeardBy::ForkExec,
    }
}
