//! Asks every source in order, and once more where their answers do not fit together.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::observation::{Gap, History, Observation, TaskSource};
use crate::source::{
    Context, RuntimeFacts, TaskChoice, TaskScan, behaviour, bpf, containerd, cost, credentials, crio, docker,
    holders, network, node, oci, pins, podman, procfs,
};
use crate::state;

/// How often to look again when containers came or went between two sources.
const LOOKS: u32 = 3;

/// From so many tasks on the iterator beats the walk: to load it costs about what a walk over so many processes does
/// (release build, Linux 6.18, two cores: 8 ms against 28 µs a process).
const BPF_FROM_TASKS: u64 = 300;

/// Nothing could be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// /proc cannot be read.
    #[error(transparent)]
    Proc(#[from] procfs::ProcError),
    /// The iterator was asked for and does not work here.
    #[error("{0}; or read /proc instead with --source procfs")]
    Bpf(#[from] bpf::BpfError),
    /// The thread that looks does not start, or has ended.
    #[error("nobody looks at the node: {0}; raise the limits of memory, threads or descriptors")]
    Watch(std::io::Error),
}

/// A way to read the tasks.
pub(super) type TasksReader<'a> =
    dyn FnMut(&Context) -> Result<(TaskSource, TaskScan, Option<Gap>), CollectError> + 'a;

/// Looks at the node.
///
/// # Errors
///
/// Only when no task can be read at all; every lesser failure is a gap in the observation.
pub async fn collect(context: &Context) -> Result<Observation, CollectError> {
    collect_by(context, &mut tasks).await
}

/// The same, with the tasks read in a way of the caller's.
pub(super) async fn collect_by(
    context: &Context,
    tasks: &mut TasksReader<'_>,
) -> Result<Observation, CollectError> {
    let started = Instant::now();
    let mut observation = look(context, tasks).await?;
    // A look that time cuts short would be worse than the one it replaces.
    let enough = started.elapsed() * 3;
    for _ in 1..LOOKS {
        if !state::seen_in_motion(&observation) || context.time_left(Duration::MAX) < enough {
            break;
        }
        observation = look(context, tasks).await?;
    }
    let needed = state::needed(&observation);
    if !needed.behaviours.is_empty() {
        let (behaviours, gaps) = behaviour::read(context, &needed.behaviours);
        observation.behaviours = behaviours;
        observation.gaps.extend(gaps);
    }
    if context.options.credentials && !needed.credentials.is_empty() {
        let (credentials, gaps) = credentials::read(context, &needed.credentials);
        observation.credentials = credentials;
        observation.gaps.extend(gaps);
    }
    if context.options.networks {
        let (networks, gaps) = network::read(context, &observation);
        observation.networks = networks;
        observation.gaps.extend(gaps);
    }
    if context.options.costs {
        let (costs, gaps) = cost::read(context, &observation);
        observation.costs = costs;
        observation.gaps.extend(gaps);
    }
    Ok(observation)
}

/// One look: runtimes first named by what the tasks show, tasks and pins around them.
async fn look(context: &Context, tasks: &mut TasksReader<'_>) -> Result<Observation, CollectError> {
    let (start, tasks_boottime_ns) = (Instant::now(), node::boottime_ns());
    let (source, scan, declined) = tasks(context)?;
    log::info!(
        "{} tasks read by {source:?} in {:.1} ms",
        scan.tasks.len(),
        start.elapsed().as_secs_f64() * 1e3
    );
    let reader = node::reader(context);
    let (host, unknown_host) = node::host_namespaces(&scan.tasks);
    let facts = runtimes(context, &scan).await;
    let parents: BTreeSet<u32> = facts
        .containers
        .iter()
        .filter_map(|container| scan.tasks.iter().find(|task| task.pid == container.pid))
        .map(|task| task.parent)
        .collect();
    let scope = pins::Scope::of(context, &scan.tasks, &host, reader, &parents);
    let mounts = pins::read(context, &scope);
    let held = holders::read(
        context,
        &holders::Known {
            tasks: &scan.tasks,
            host: &host,
            reader,
            runtime_pids: &parents,
            scope: &scope,
            mounts: &mounts,
        },
        scan.namespaces,
    );
    let mut gaps = scan.gaps;
    gaps.extend(
        declined.into_iter().chain(unknown_host).chain(facts.gaps).chain(mounts.gaps).chain(held.gaps),
    );
    Ok(Observation {
        node: node::read(context, tasks_boottime_ns),
        source,
        reader,
        host,
        tasks: scan.tasks,
        unreadable: scan.unreadable,
        containers: facts.containers,
        pods: facts.pods,
        behaviours: Vec::new(),
        credentials: Vec::new(),
        networks: Vec::new(),
        costs: Vec::new(),
        namespaces: held.namespaces,
        pins: mounts.pins,
        handles: held.handles,
        runtimes: facts.reports,
        gaps,
        history: History::default(),
    })
}

/// Reads the tasks by the way that was chosen, or by the faster one that works.
fn tasks(context: &Context) -> Result<(TaskSource, TaskScan, Option<Gap>), CollectError> {
    let by_walk = |declined| Ok((TaskSource::Procfs, procfs::read_tasks(context)?, declined));
    match context.options.tasks {
        TaskChoice::Bpf => Ok((TaskSource::Bpf, bpf::read_tasks(context)?, None)),
        TaskChoice::Procfs => by_walk(None),
        TaskChoice::Auto if running_tasks(context).is_some_and(|count| count < BPF_FROM_TASKS) => {
            let scan = procfs::read_tasks(context)?;
            // /proc asks for other capabilities than eBPF does: what the one withholds the other may show.
            if scan.gaps.iter().any(|gap| gap.could_change_verdict)
                && let Ok(better) = bpf::read_tasks(context)
            {
                return Ok((TaskSource::Bpf, better, None));
            }
            Ok((TaskSource::Procfs, scan, None))
        }
        TaskChoice::Auto => match bpf::read_tasks(context) {
            Ok(scan) => Ok((TaskSource::Bpf, scan, None)),
            Err(error) => {
                log::info!("reading /proc, because eBPF does not work here: {error}");
                let gap = Gap::detail(
                    "the eBPF task iterator",
                    format!("{error}; /proc was read instead, more slowly"),
                );
                by_walk(Some(gap))
            }
        },
    }
}

/// How many tasks there are, threads included: the fourth field of /proc/loadavg, "running/all".
fn running_tasks(context: &Context) -> Option<u64> {
    let text = std::fs::read_to_string(context.host("/proc/loadavg")).ok()?;
    text.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// Asks every runtime. The order counts: what an earlier one says of a container stands, so that a daemon comes before
/// what lies below it (dockerd's containers are containerd's too, and all are runc's or crun's).
async fn runtimes(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let mut facts = docker::collect(context, scan).await;
    facts.merge(containerd::collect(context, scan).await);
    facts.merge(crio::collect(context, scan).await);
    facts.merge(podman::collect(context, scan).await);
    facts.merge(oci::collect(context, scan).await);
    facts
}
