//! Looks at everything, on a thread of its own: so that what the kernel tells meanwhile waits for nobody.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::super::collect::collect_by;
use super::super::{CollectError, Context, Options, TaskChoice, TaskScan, bpf, node, procfs};
use crate::observation::{Gap, Inodes, Look, Observation, TaskSource};
use crate::state;

/// Between two readings of all tasks, at least and at most.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(5);

/// The same where the kernel tells what happens: then the readings only make sure.
const SURE: Duration = Duration::from_millis(500);
const SURE_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// So many times as long as a reading took is waited before the next: 0.2 % of a processor where it only makes sure, 5 % where
/// nothing else tells.
const SURE_SHARE: u32 = 500;
const ALONE_SHARE: u32 = 20;

/// So many times as long as a look took of a processor is waited before the next: at most a tenth is spent on them,
/// however much happens.
const LOOKS_SHARE: u32 = 9;

/// Everything is looked at anew after so long, even where no task tells of a change: pins, volumes, descriptors. Where that
/// costs much it is waited for longer, by the share above, up to a limit.
const EVERYTHING: Duration = Duration::from_secs(10);
const EVERYTHING_AT_MOST: Duration = Duration::from_secs(10 * 60);

/// How long runtimes may need to take note of what the kernel shows already, and how often they are asked meanwhile.
const SETTLING: Duration = Duration::from_millis(100);
const SETTLES: u32 = 15;

/// After a change comes another look, within the share above: what is younger than a second is spared by a rule (a runtime's
/// own helpers).
const SECOND_LOOK: Duration = Duration::from_millis(1200);

/// Whether, and how, all tasks are read.
pub(super) type Reading = (Option<bpf::Reader>, Option<Gap>);

/// Whether the kernel tells what happens between two looks.
pub(super) struct Hearing {
    /// It does.
    pub sure: bool,
    /// What it does not.
    pub gaps: Vec<Gap>,
}

impl Hearing {
    /// It does not.
    pub(super) fn not(why: &str) -> Self {
        let why = format!("the kernel's events are not heard: {why}");
        Self { sure: false, gaps: vec![Gap::detail("what comes and goes between two looks", why)] }
    }
}

/// The thread that looks, ended when dropped.
pub(super) struct Looker {
    looks: mpsc::Receiver<Result<Look, CollectError>>,
    ask: Option<std_mpsc::Sender<()>>,
    hearing: Arc<Mutex<Hearing>>,
    thread: Option<JoinHandle<()>>,
}

impl Looker {
    /// Begins with a first look.
    pub(super) fn start(options: Options, reading: Reading, hearing: Hearing) -> std::io::Result<Self> {
        let (sender, looks) = mpsc::channel(1);
        let (ask, asked) = std_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (reader, declined) = reading;
        let hearing = Arc::new(Mutex::new(hearing));
        let mut eye = Eye {
            options,
            reader,
            declined,
            hearing: Arc::clone(&hearing),
            seen: 0,
            looked: Instant::now(),
            cost: Duration::ZERO,
            again: Some(Instant::now()),
            interval: Duration::ZERO,
        };
        let thread = thread::Builder::new().name("looks".to_owned()).spawn(move || {
            let mut wanted = true;
            loop {
                // What happens during a look is news for the next one.
                let look = runtime.block_on(eye.look_if_due(std::mem::take(&mut wanted)));
                if let Some(look) = look.transpose()
                    && sender.blocking_send(look).is_err()
                {
                    return;
                }
                match asked.recv_timeout(eye.pause()) {
                    Ok(()) => wanted = true,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                wanted |= asked.try_iter().count() > 0;
                if wanted {
                    // An end is not waited for longer than it takes to say so.
                    let rest = (eye.cost * LOOKS_SHARE).saturating_sub(eye.looked.elapsed());
                    if let Err(RecvTimeoutError::Disconnected) = wait(&asked, rest) {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { looks, ask: Some(ask), hearing, thread: Some(thread) })
    }

    /// Waits for the next look; `None` once the thread has ended.
    pub(super) async fn next(&mut self) -> Option<Result<Look, CollectError>> {
        self.looks.recv().await
    }

    /// The look that is there already.
    pub(super) fn try_next(&mut self) -> Option<Result<Look, CollectError>> {
        self.looks.try_recv().ok()
    }

    /// It is heard otherwise from now on.
    pub(super) fn hear(&self, hearing: Hearing) {
        *lock(&self.hearing) = hearing;
        self.ask();
    }

    /// Something has happened.
    pub(super) fn ask(&self) {
        if let Some(ask) = &self.ask {
            // A thread that has ended is found out by who waits for it.
            let _ = ask.send(());
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.ask = None;
        self.looks.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Nothing panics while it is locked.
fn lock(hearing: &Mutex<Hearing>) -> MutexGuard<'_, Hearing> {
    hearing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps so long, whatever is asked meanwhile, unless nobody can ask any more.
fn wait(asked: &std_mpsc::Receiver<()>, time: Duration) -> Result<(), RecvTimeoutError> {
    let end = Instant::now() + time;
    loop {
        match asked.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// What looks, and what it knows of its last look.
struct Eye {
    options: Options,
    reader: Option<bpf::Reader>,
    declined: Option<Gap>,
    hearing: Arc<Mutex<Hearing>>,
    /// What the tasks looked like when everything was last looked at.
    seen: u64,
    looked: Instant,
    /// How long the last look took of a processor, without waiting for runtimes to settle.
    cost: Duration,
    again: Option<Instant>,
    interval: Duration,
}

impl Eye {
    /// How long nothing is read, unless somebody asks: on a large node a second look is not to wait for the next reading.
    fn pause(&self) -> Duration {
        let again = self.again.map(|at| at.saturating_duration_since(Instant::now()));
        again.map_or(self.interval, |again| again.min(self.interval))
    }

    /// Reads the tasks, and everything else if that is wanted, they have changed or it is time to.
    async fn look_if_due(&mut self, wanted: bool) -> Result<Option<Look>, CollectError> {
        let result = self.try_look(wanted).await;
        if result.is_err() {
            // Whatever was missed is looked for as soon as looking works again.
            self.again = Some(Instant::now() + SURE);
            self.interval = SURE;
        }
        result
    }

    async fn try_look(&mut self, wanted: bool) -> Result<Option<Look>, CollectError> {
        let context = Context::new(self.options.clone());
        let began = processor_time();
        let (often, seldom, share) = if lock(&self.hearing).sure {
            (SURE, SURE_AT_MOST, SURE_SHARE)
        } else {
            (OFTEN, SELDOM, ALONE_SHARE)
        };
        let mut changed = wanted;
        if !wanted {
            let (_, scan, _) = self.read(&context)?;
            changed = fingerprint(&scan) != self.seen;
            self.interval = (processor_time().saturating_sub(began) * share).clamp(often, seldom);
        }
        let now = Instant::now();
        let everything = (self.cost * share).clamp(EVERYTHING, EVERYTHING_AT_MOST);
        let due = self.again.is_some_and(|at| at <= now) || now.duration_since(self.looked) >= everything;
        if !changed && !due {
            return Ok(None);
        }
        let look = self.look().await?;
        // Who began while it lasted is old enough by then, too: nothing else might ask for a look at them.
        self.again = changed.then(|| Instant::now() + SECOND_LOOK.max(self.cost * LOOKS_SHARE));
        self.interval = self.interval.max(often);
        Ok(Some(look))
    }

    /// Looks at everything, until the runtimes say what the tasks show.
    async fn look(&mut self) -> Result<Look, CollectError> {
        let mut look = self.look_once().await?;
        for _ in 0..SETTLES {
            if !state::seen_in_motion(&look.observation) {
                break;
            }
            tokio::time::sleep(SETTLING).await;
            look = self.look_once().await?;
        }
        self.looked = Instant::now();
        Ok(look)
    }

    async fn look_once(&mut self) -> Result<Look, CollectError> {
        let began = processor_time();
        let context = Context::new(self.options.clone());
        let mut seen = self.seen;
        let mut read = |context: &Context| {
            let read = self.read(context)?;
            seen = fingerprint(&read.1);
            Ok(read)
        };
        let observation: Result<Observation, _> = collect_by(&context, &mut read).await;
        self.seen = seen;
        self.cost = processor_time().saturating_sub(began);
        let mut observation = observation?;
        observation.gaps.extend(lock(&self.hearing).gaps.iter().cloned());
        Ok(Look { since_boottime_ns: observation.node.tasks_as_of_ns(), observation })
    }

    fn read(&mut self, context: &Context) -> Result<(TaskSource, TaskScan, Option<Gap>), CollectError> {
        match &mut self.reader {
            Some(reader) => Ok((TaskSource::Bpf, reader.read(context)?, None)),
            None => Ok((TaskSource::Procfs, procfs::read_tasks(context)?, self.declined.clone())),
        }
    }
}

/// What this thread has had of a processor.
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How all tasks are to be read.
///
/// # Errors
/// If the iterator was asked for and does not work here.
pub(super) fn reading(context: &Context) -> Result<Reading, CollectError> {
    match context.options.tasks {
        TaskChoice::Procfs => Ok((None, None)),
        TaskChoice::Bpf => Ok((Some(bpf::Reader::open(context)?), None)),
        TaskChoice::Auto => match bpf::Reader::open(context) {
            Ok(reader) => Ok((Some(reader), None)),
            Err(error) => {
                let why = format!("{error}; /proc is read instead, at a higher price and so more seldom");
                Ok((None, Some(Gap::detail("the eBPF task iterator", why))))
            }
        },
    }
}

/// How often all tasks are read, to begin with.
pub(super) const fn interval(sure: bool) -> Duration {
    if sure { SURE } else { OFTEN }
}

/// Namespaces and a cgroup.
type Place<'a> = (Inodes, Option<&'a str>);

/// What of the tasks changes when a container or a namespace comes or goes, and does not when a process of a container
/// starts another: who is the eldest in each cgroup with namespaces other than the node's.
fn fingerprint(scan: &TaskScan) -> u64 {
    let (host, _) = node::host_namespaces(&scan.tasks);
    let is_host =
        |inodes: &Inodes| inodes.iter().all(|(kind, inode)| host.is_host(kind, inode) == Some(true));
    let mut eldest: BTreeMap<Place<'_>, (u64, u32)> = BTreeMap::new();
    for task in scan.tasks.iter().filter(|task| !task.zombie && !is_host(&task.namespaces)) {
        let age = (task.start_boottime_ns, task.pid);
        eldest
            .entry((task.namespaces, task.cgroup.as_deref()))
            .and_modify(|it| *it = age.min(*it))
            .or_insert(age);
    }
    let mut hasher = DefaultHasher::new();
    eldest.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Kind, Task};

    fn task(pid: u32, net: u32, cgroup: &str) -> Task {
        let namespaces = [(Kind::Net, net)].into_iter().collect();
        let cgroup = Some(cgroup.into());
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
