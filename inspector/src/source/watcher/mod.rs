//! Looks at a node again and again: the tasks often and cheaply, everything else when they have changed.

mod listener;

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use super::collect::collect_by;
use super::{CollectError, Context, Options, TaskChoice, TaskScan, bpf, node, procfs};
use crate::observation::{Gap, Heard, HeardBy, Inodes, Kind, Observation, ProcessKey, Task, TaskSource};
use crate::state;
use listener::{Listener, lost};

/// Between two readings of all tasks, at least and at most.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(5);

/// The same where the kernel tells what happens: then the readings only make sure.
const SURE: Duration = Duration::from_millis(500);

/// A runtime makes a container in many steps: so long nothing has to happen before it is looked at, and so long that is
/// waited for at most.
const QUIET: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(500);

/// A reading may take this share of the time until the next: 0.2 % of a processor.
const SHARE: u32 = 500;

/// Everything is looked at anew after so long, even where no task tells of a change: pins, volumes, descriptors.
const EVERYTHING: Duration = Duration::from_secs(10);

/// How long runtimes may need to take note of what the kernel shows already, and how often they are asked meanwhile.
const SETTLING: Duration = Duration::from_millis(100);
const SETTLES: u32 = 15;

/// After a change comes another look: what is younger than a second is spared by a rule (a runtime's own helpers).
const SECOND_LOOK: Duration = Duration::from_millis(1200);

/// What was seen, and what the kernel told since the last time.
pub struct Look {
    /// What was seen.
    pub observation: Observation,
    /// What was told.
    pub heard: Heard,
}

/// Reads the tasks over and over, by the kept iterator where the kernel has one.
pub struct Watcher {
    options: Options,
    reader: Option<bpf::Reader>,
    declined: Option<Gap>,
    listener: Option<Listener>,
    heard: Heard,
    /// What was lost by when it was told last.
    told_lost: BTreeMap<&'static str, u64>,
    /// Something happened.
    news: bool,
    ticks_ns: u64,
    /// What the tasks looked like when everything was last looked at.
    seen: u64,
    looked: Instant,
    again: Option<Instant>,
    interval: Duration,
}

impl Watcher {
    /// Loads the iterator once, and looks at everything.
    ///
    /// # Errors
    /// If no task can be read, or the iterator was asked for and does not work here.
    pub async fn start(options: Options) -> Result<(Self, Observation), CollectError> {
        let context = Context::new(options.clone());
        let (reader, declined) = match options.tasks {
            TaskChoice::Procfs => (None, None),
            TaskChoice::Bpf => (Some(bpf::Reader::open(&context)?), None),
            TaskChoice::Auto => match bpf::Reader::open(&context) {
                Ok(reader) => (Some(reader), None),
                Err(error) => {
                    let why = format!("{error}; /proc is read instead, at a higher price and so more seldom");
                    (None, Some(Gap::detail("the eBPF task iterator", why)))
                }
            },
        };
        // First the events, then the look: nothing falls in between.
        let listener = match reader.as_ref().map(|_| Listener::start(&context)) {
            Some(Ok(listener)) => Some(listener),
            Some(Err(error)) => {
                log::info!("events are not heard, the tasks are read more often instead: {error}");
                None
            }
            None => None,
        };
        let heard = Heard { by: listener.as_ref().map(heard_by), ..Heard::default() };
        let interval = if listener.is_some() { SURE } else { OFTEN };
        let mut watcher = Self {
            options,
            reader,
            declined,
            listener,
            heard,
            told_lost: BTreeMap::new(),
            news: false,
            ticks_ns: 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1),
            seen: 0,
            looked: Instant::now(),
            again: None,
            interval,
        };
        let observation = watcher.look().await?;
        Ok((watcher, observation))
    }

    /// How often the tasks are read, now.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// How the kernel tells what happens, if it does.
    #[must_use]
    pub const fn heard_by(&self) -> Option<HeardBy> {
        self.heard.by
    }

    /// Waits until the next reading is due, or something has happened and nothing more does.
    pub async fn wait(&mut self) {
        let until = tokio::time::Instant::now() + self.interval;
        let mut batch = None;
        match &mut self.listener {
            None => tokio::time::sleep_until(until).await,
            Some(listener) => match tokio::time::timeout_at(until, listener.next()).await {
                Err(_) => {}
                Ok(None) => {
                    // It said why. From here on only readings tell.
                    self.listener = None;
                    self.heard.by = None;
                }
                Ok(next) => batch = next,
            },
        }
        let patience = Instant::now() + PATIENCE;
        while let Some(next) = batch.take() {
            self.hear(&next);
            if let Some(listener) = &mut self.listener
                && Instant::now() < patience
            {
                batch = tokio::time::timeout(QUIET, listener.next()).await.ok().flatten();
            }
        }
    }

    fn hear(&mut self, batch: &listener::Batch) {
        self.news |= !batch.events.is_empty();
        for event in &batch.events {
            if let Some(exit) = event.exit {
                let start_ticks = event.process_start_boottime_ns / self.ticks_ns;
                self.heard.exits.insert(ProcessKey { pid: event.tgid, start_ticks }, exit);
            }
        }
        let all = lost(&batch.counts);
        let new = all.iter().map(|(cause, records)| {
            (*cause, records.saturating_sub(self.told_lost.get(cause).copied().unwrap_or_default()))
        });
        for (cause, records) in new.filter(|(_, records)| *records > 0) {
            *self.heard.lost.entry(cause).or_default() += records;
            self.news = true;
        }
        self.told_lost = all;
    }

    /// Reads the tasks, and everything else if they have changed or it is time to.
    ///
    /// # Errors
    /// If no task can be read.
    pub async fn next(&mut self) -> Result<Option<Look>, CollectError> {
        let result = self.look_if_due().await;
        if result.is_err() {
            // Whatever was missed is looked for as soon as looking works again.
            self.again = Some(Instant::now());
        }
        let Some(observation) = result? else { return Ok(None) };
        while let Some(batch) = self.listener.as_mut().and_then(Listener::try_next) {
            self.hear(&batch);
        }
        let by = self.heard.by;
        let heard = std::mem::replace(&mut self.heard, Heard { by, ..Heard::default() });
        Ok(Some(Look { observation, heard }))
    }

    async fn look_if_due(&mut self) -> Result<Option<Observation>, CollectError> {
        let context = Context::new(self.options.clone());
        let began = Instant::now();
        let (_, scan, _) = self.read(&context)?;
        let fingerprint = fingerprint(&scan);
        let often = if self.listener.is_some() { SURE } else { OFTEN };
        self.interval = (began.elapsed() * SHARE).clamp(often, SELDOM);
        let now = Instant::now();
        // Before the look: what happens during it is news for the next one.
        let changed = std::mem::take(&mut self.news) | (fingerprint != self.seen);
        let due = self.again.is_some_and(|at| at <= now) || now.duration_since(self.looked) >= EVERYTHING;
        if !changed && !due {
            return Ok(None);
        }
        self.again = changed.then(|| now + SECOND_LOOK);
        self.look().await.map(Some)
    }

    /// Looks at everything, until the runtimes say what the tasks show.
    async fn look(&mut self) -> Result<Observation, CollectError> {
        let mut observation = self.look_once().await?;
        for _ in 0..SETTLES {
            if !state::seen_in_motion(&observation) {
                break;
            }
            tokio::time::sleep(SETTLING).await;
            observation = self.look_once().await?;
        }
        self.looked = Instant::now();
        self.track(&observation);
        Ok(observation)
    }

    /// Has the deaths be told that mean something: of containers and of PID namespaces.
    fn track(&self, observation: &Observation) {
        let Some(listener) = &self.listener else { return };
        let inits: HashSet<u32> = observation.containers.iter().map(|container| container.pid).collect();
        let host = &observation.host;
        let own_pids = |task: &&Task| {
            let pid = task.namespaces.get(Kind::Pid);
            task.pid_namespace_init && pid.is_some_and(|it| host.is_host(Kind::Pid, it) == Some(false))
        };
        let tasks = observation.tasks.iter().filter(|task| inits.contains(&task.pid) || own_pids(task));
        listener.track(tasks.cloned().collect());
    }

    async fn look_once(&mut self) -> Result<Observation, CollectError> {
        let context = Context::new(self.options.clone());
        let mut seen = self.seen;
        let mut read = |context: &Context| {
            let read = self.read(context)?;
            seen = fingerprint(&read.1);
            Ok(read)
        };
        let observation = collect_by(&context, &mut read).await;
        self.seen = seen;
        observation
    }

    fn read(&mut self, context: &Context) -> Result<(TaskSource, TaskScan, Option<Gap>), CollectError> {
        match &mut self.reader {
            Some(reader) => Ok((TaskSource::Bpf, reader.read(context)?, None)),
            None => Ok((TaskSource::Procfs, procfs::read_tasks(context)?, self.declined.clone())),
        }
    }
}

const fn heard_by(listener: &Listener) -> HeardBy {
    match listener.tier {
        bpf::EventTier::Fentry => HeardBy::Fexit,
        bpf::EventTier::Syscall => HeardBy::Syscall,
        bpf::EventTier::ForkExec => HeardBy::ForkExec,
    }
}

/// Namespaces and a cgroup.
type Place<'a> = (Vec<u32>, Option<&'a str>);

/// What of the tasks changes when a container or a namespace comes or goes, and does not when a process of a container
/// starts another: who is the eldest in each cgroup with namespaces other than the node's.
fn fingerprint(scan: &TaskScan) -> u64 {
    let (host, _) = node::host_namespaces(&scan.tasks);
    let is_host =
        |inodes: &Inodes| inodes.iter().all(|(kind, inode)| host.is_host(kind, inode) == Some(true));
    let mut eldest: BTreeMap<Place<'_>, (u64, u32)> = BTreeMap::new();
    for task in scan.tasks.iter().filter(|task| !task.zombie && !is_host(&task.namespaces)) {
        let inodes = task.namespaces.iter().map(|(_, inode)| inode).collect();
        let age = (task.start_boottime_ns, task.pid);
        eldest.entry((inodes, task.cgroup.as_deref())).and_modify(|it| *it = age.min(*it)).or_insert(age);
    }
    let mut hasher = DefaultHasher::new();
    eldest.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32, net: u32, cgroup: &str) -> Task {
        let namespaces = [(Kind::Net, net)].into_iter().collect();
        let cgroup = Some(cgroup.to_owned());
        Task { pid, tgid: pid, start_boottime_ns: u64::from(pid), namespaces, cgroup, ..Task::default() }
    }

    fn of(tasks: &[Task]) -> u64 {
        let kthreadd = Task { kernel_thread: true, ..task(2, 1, "/") };
        let tasks = std::iter::once(kthreadd).chain(tasks.iter().cloned()).collect();
        fingerprint(&TaskScan { tasks, ..TaskScan::default() })
    }

    #[test]
    fn a_child_changes_nothing_and_a_container_an_intruder_and_another_incarnation_do() {
        let one = of(&[task(10, 7, "/a")]);
        assert_eq!(one, of(&[task(10, 7, "/a"), task(11, 7, "/a"), task(12, 1, "/b")]));
        assert_ne!(one, of(&[]));
        assert_ne!(one, of(&[task(11, 7, "/a")]));
        assert_ne!(one, of(&[task(10, 7, "/a"), task(11, 7, "/b")]));
        assert_ne!(one, of(&[task(10, 8, "/a")]));
    }
}
