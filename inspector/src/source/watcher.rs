//! Looks at a node again and again: the tasks often and cheaply, everything else when they have changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use super::collect::collect_by;
use super::{CollectError, Context, Options, TaskChoice, TaskScan, bpf, node, procfs};
use crate::observation::{Gap, Inodes, Observation, TaskSource};
use crate::state;

/// Between two readings of all tasks, at least and at most.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(5);

/// A reading may take this share of the time until the next: 0.2 % of a processor.
const SHARE: u32 = 500;

/// Everything is looked at anew after so long, even where no task tells of a change: pins, volumes, descriptors.
const EVERYTHING: Duration = Duration::from_secs(10);

/// How long runtimes may need to take note of what the kernel shows already, and how often they are asked meanwhile.
const SETTLING: Duration = Duration::from_millis(100);
const SETTLES: u32 = 15;

/// After a change comes another look: what is younger than a second is spared by a rule (a runtime's own helpers).
const SECOND_LOOK: Duration = Duration::from_millis(1200);

/// Reads the tasks over and over, by the kept iterator where the kernel has one.
pub struct Watcher {
    options: Options,
    reader: Option<bpf::Reader>,
    declined: Option<Gap>,
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
        let now = Instant::now();
        let mut watcher =
            Self { options, reader, declined, seen: 0, looked: now, again: None, interval: OFTEN };
        let observation = watcher.look().await?;
        Ok((watcher, observation))
    }

    /// How often the tasks are read, now.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Waits until the next reading is due.
    pub async fn wait(&self) {
        tokio::time::sleep(self.interval).await;
    }

    /// Reads the tasks, and everything else if they have changed or it is time to.
    ///
    /// # Errors
    /// If no task can be read.
    pub async fn next(&mut self) -> Result<Option<Observation>, CollectError> {
        let context = Context::new(self.options.clone());
        let began = Instant::now();
        let (_, scan, _) = self.read(&context)?;
        let fingerprint = fingerprint(&scan);
        self.interval = (began.elapsed() * SHARE).clamp(OFTEN, SELDOM);
        let now = Instant::now();
        let changed = fingerprint != self.seen;
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
        Ok(observation)
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
    use crate::observation::{Kind, Task};

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
