//! What the engine ended up with, and what /proc shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use inspector::observation::{Kind, Task};

use crate::live::{Live, State};
use crate::oracle::{self, Oracle};

/// How soon after the last thing has happened the engine's picture has to be right.
const SOON: Duration = Duration::from_secs(2);

/// All that may be different of a task: which one it is, and where it and its children are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    start_ticks: u64,
    namespaces: BTreeMap<String, u32>,
}

impl Place {
    fn of_proc(task: &Oracle) -> Self {
        Self { start_ticks: task.start_ticks, namespaces: task.namespaces.clone() }
    }

    /// As the engine has it, of the namespaces that /proc shows: of those for children it hides those without an init.
    fn of_engine(task: &Task, shown: &BTreeMap<String, u32>) -> Self {
        let inode = |name: &str| match name {
            "pid_for_children" => task.pid_for_children,
            "time_for_children" => task.time_for_children,
            kind => task.namespaces.get(kind.parse::<Kind>().unwrap()),
        };
        let namespaces = shown.keys().filter_map(|name| Some((name.clone(), inode(name)?))).collect();
        // At 100 ticks a second.
        Self { start_ticks: task.start_boottime_ns / 10_000_000, namespaces }
    }
}

fn is_dead(task: &Oracle) -> bool {
    matches!(task.state, 'Z' | 'X')
}

/// The processes below another, and their threads that are elsewhere.
fn below(top: u32, all: &BTreeMap<u32, Oracle>) -> BTreeSet<u32> {
    let is_below = |pid: u32| {
        let mut at = pid;
        // Bounded: processes move while they are read.
        for _ in 0..64 {
            let Some(task) = all.get(&at) else { return false };
            at = if task.tgid == at { task.parent } else { task.tgid };
            if at == top {
                return true;
            }
        }
        false
    };
    all.keys().copied().filter(|pid| is_below(*pid)).collect()
}

/// A task that the engine has and /proc has not.
type Ghost = (u32, u64);

/// One comparison: how what is below these processes differs, how many tasks that were, and the engine's ghosts, whoever's
/// they are.
fn compare(state: &State, tops: &[u32]) -> (Vec<String>, usize, BTreeSet<Ghost>) {
    let tasks = &state.engine.last().observation().tasks;
    let all = oracle::tasks();
    let ours: BTreeSet<u32> = tops.iter().flat_map(|top| below(*top, &all)).collect();
    let mut differences = Vec::new();
    let known: BTreeMap<u32, &Task> = tasks.iter().map(|task| (task.pid, task)).collect();
    let living = ours.iter().map(|pid| (pid, &all[pid])).filter(|(_, task)| !is_dead(task));
    for (pid, expected) in living {
        let Some(task) = known.get(pid) else {
            differences.push(format!("{pid} is missing: {expected:?}"));
            continue;
        };
        let (is, wanted) = (Place::of_engine(task, &expected.namespaces), Place::of_proc(expected));
        if is != wanted {
            differences.push(format!("{pid} is {is:?}, and should be {wanted:?}"));
        }
    }
    // A thread that is with its process has no row of its own.
    let is_there = |task: &&Task| {
        let row = all.get(&task.pid);
        row.is_some_and(|it| it.start_ticks == task.start_boottime_ns / 10_000_000)
    };
    let ghosts = tasks.iter().filter(|task| !is_there(task));
    let ghosts = ghosts.map(|task| (task.pid, task.start_boottime_ns)).collect();
    (differences, ours.len(), ghosts)
}

/// Compares until there is no difference below these processes, and no ghost on the whole machine has stayed. (The machine's
/// other processes come and go meanwhile, and those in its own namespaces are for the next look to see.) Gives how many tasks
/// were compared and how long that took.
#[track_caller]
pub fn agrees(live: &Live, tops: &[u32]) -> (usize, Duration) {
    let began = Instant::now();
    let mut stayed: Option<BTreeSet<Ghost>> = None;
    loop {
        let (differences, tasks, ghosts) = live.see(|state| compare(state, tops));
        let stayed_now: BTreeSet<Ghost> = match stayed.take() {
            Some(before) => before.intersection(&ghosts).copied().collect(),
            None => ghosts,
        };
        if differences.is_empty() && stayed_now.is_empty() {
            return (tasks, began.elapsed());
        }
        assert!(
            began.elapsed() < SOON,
            "after {SOON:?} of quiet and {} looks: {} of {tasks} tasks differ: {:#?}; ghosts: {stayed_now:?}",
            live.see(|state| state.looks),
            differences.len(),
            &differences[..differences.len().min(8)],
        );
        stayed = Some(stayed_now);
        std::thread::sleep(Duration::from_millis(50));
    }
}
