//! What the processes cost that only hold namespaces: memory and CPU time, from `/proc/PID/stat`.

use std::collections::BTreeSet;

use procfs::process::Process;

use super::Context;
use crate::observation::{Cost, Gap, Observation, ProcessKey};

/// So many at most: more pauses than any node has.
const MAX_PROCESSES: usize = 4096;

/// Reads it of the processes of containers that are marked as infra, and of those that were looked at as possible
/// pauses.
#[must_use]
pub fn read(context: &Context, observation: &Observation) -> (Vec<Cost>, Vec<Gap>) {
    let inits: BTreeSet<u32> = (observation.containers.iter())
        .filter(|container| container.infra_mark.is_some() && container.pid != 0)
        .map(|container| container.pid)
        .collect();
    let key = |pid, start_ns| ProcessKey { pid, start_ticks: observation.node.ticks(start_ns) };
    let marked = (observation.tasks.iter())
        .filter(|task| task.is_leader() && inits.contains(&task.pid))
        .map(|task| key(task.pid, task.start_boottime_ns));
    let judged = observation.behaviours.iter().map(|it| it.process);
    let wanted: BTreeSet<ProcessKey> = marked.chain(judged).collect();

    let (mut costs, mut gaps) = (Vec::new(), Vec::new());
    if wanted.len() > MAX_PROCESSES {
        gaps.push(Gap::detail(
            format!("what {} infra processes cost", wanted.len() - MAX_PROCESSES),
            format!("only {MAX_PROCESSES} are read"),
        ));
    }
    for process in wanted.into_iter().take(MAX_PROCESSES) {
        match cost(context, process) {
            Ok(cost) => costs.extend(cost),
            // It left meanwhile.
            Err(procfs::ProcError::NotFound(_)) => {}
            Err(error) => {
                gaps.push(Gap::detail(format!("what process {} costs", process.pid), error.to_string()));
            }
        }
    }
    (costs, gaps)
}

/// Nothing where the pid is another process's now.
fn cost(context: &Context, process: ProcessKey) -> Result<Option<Cost>, procfs::ProcError> {
    let stat = Process::new_with_root(context.host(format!("/proc/{}", process.pid)))?.stat()?;
    if stat.starttime != process.start_ticks {
        return Ok(None);
    }
    let ticks = stat.utime.saturating_add(stat.stime);
    Ok(Some(Cost {
        process,
        resident_bytes: stat.rss.saturating_mul(rustix::param::page_size() as u64),
        cpu_ms: ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1),
    }))
}
