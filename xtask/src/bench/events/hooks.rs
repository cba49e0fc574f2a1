//! What each event program costs whoever forks, ends, executes or changes namespaces, by the kernel's own clock.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use inspector_common::Event;

use super::kernel::{self, Counters, Empty, Program, Runs, Statistics};
use super::watcher::{Mode, Watcher};
use super::workload::{self, Deed, Limit};
use super::{median, over};

/// In so many parts is each workload done; the one in the middle counts.
const ROUNDS: u64 = 5;

/// A program, or two that belong together, and a workload that it meets.
struct Case {
    event: Event,
    programs: &'static [&'static str],
    what: &'static str,
    deed: Deed,
}

const FORK: &[&str] = &["process_fork"];
const EXEC: &[&str] = &["process_exec"];
const EXIT: &[&str] = &["process_exit"];
const SETNS: &[&str] = &["call_enter", "setns_leave"];
const UNSHARE: &[&str] = &["call_enter", "unshare_leave"];

const CASES: [Case; 10] = [
    case(Event::Fork, FORK, "a plain child", Deed::Fork),
    case(Event::Exit, EXIT, "a plain child", Deed::Fork),
    case(Event::Exec, EXEC, "a plain child", Deed::Exec),
    case(Event::Setns, SETNS, "to where one is", Deed::SetnsNowhere),
    case(Event::Unshare, UNSHARE, "no namespace", Deed::UnshareNothing),
    case(Event::Fork, FORK, "a child with a UTS namespace", Deed::ForkApart),
    case(Event::Exit, EXIT, "a child with a UTS namespace", Deed::ForkApart),
    case(Event::Exec, EXEC, "a child with a UTS namespace", Deed::ExecApart),
    case(Event::Setns, SETNS, "to another UTS namespace", Deed::Setns),
    case(Event::Unshare, UNSHARE, "a UTS namespace", Deed::Unshare),
];

const fn case(event: Event, programs: &'static [&'static str], what: &'static str, deed: Deed) -> Case {
    Case { event, programs, what, deed }
}

/// Nanoseconds at most, of forks and exits: that are not told, and that are.
const TARGETS: [u32; 2] = [60, 300];

/// How often in each round.
const fn count(deed: Deed) -> u64 {
    match deed {
        Deed::Fork | Deed::SetnsNowhere | Deed::UnshareNothing => 20_000,
        Deed::Exec | Deed::ExecApart => 400,
        _ => 4_000,
    }
}

/// What a case came to.
#[derive(Clone, Copy, Default)]
struct Cost {
    hits: u64,
    records: u64,
    lost: u64,
    ns: f64,
    /// What it takes to measure a program, where the workload forks.
    measuring: Option<f64>,
}

/// Does all workloads under a watcher, and gives the table.
pub fn table(program: &Path, mode: Mode, folder: &Path) -> Result<String> {
    let _statistics = Statistics::enable()?;
    let watcher = Watcher::start(program, mode, folder)?;
    let empty = Empty::attach()?;
    let programs = kernel::programs(watcher.pid())?;
    let counters = Counters::of(watcher.pid())?;
    let mut out = format!(
        "| `{}`: program | what happens | hits | records | lost | ns a hit | less the measuring | target |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
        mode.name
    );
    // Of the same moments where there are forks in them; else of those before.
    let mut measuring = 0.0;
    for case in &CASES {
        let name = format!("{:?}", case.event).to_lowercase();
        let Some(cost) = measure(case, &programs, &counters, &empty)? else {
            writeln!(out, "| {name} | {} | not watched | | | | | |", case.what)?;
            continue;
        };
        measuring = cost.measuring.unwrap_or(measuring);
        let Cost { hits, records, lost, ns, .. } = cost;
        let own = (ns - measuring).max(0.0);
        let [untold, told] = TARGETS;
        let target = if records >= hits / 2 { told } else { untold };
        let verdict = match case.event {
            Event::Fork | Event::Exit if own <= f64::from(target) => format!("≤ {target}"),
            Event::Fork | Event::Exit => format!("≤ {target} **missed**"),
            _ => String::new(),
        };
        writeln!(
            out,
            "| {name} | {} | {hits} | {records} | {lost} | {ns:.0} | {own:.0} | {verdict} |",
            case.what
        )?;
    }
    Ok(out)
}

fn measure(case: &Case, programs: &[Program], counters: &Counters, empty: &Empty) -> Result<Option<Cost>> {
    let own = |name: &&str| programs.iter().any(|program| program.name == **name);
    if !case.programs.iter().all(own) {
        return Ok(None);
    }
    let now = || case.programs.iter().map(|name| kernel::runs(programs, name)).collect::<Result<Vec<Runs>>>();
    let (mut cost, mut times, mut empties) = (Cost::default(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (before, nothing, records) = (now()?, empty.runs()?, counters.read()?);
        workload::perform(case.deed, Limit::count(count(case.deed)))?;
        // Those that ended last may not have gone yet.
        std::thread::sleep(Duration::from_millis(20));
        let (after, told) = (now()?, counters.read()?.since(&records));
        let nothing = empty.runs()?.since(nothing);
        if nothing.count >= count(case.deed) {
            empties.push(over(nothing.time_ns, nothing.count));
        }
        let runs: Vec<Runs> = after.iter().zip(before).map(|(after, before)| after.since(before)).collect();
        // A system call is two programs, each run once.
        cost.hits += runs.iter().map(|runs| runs.count).min().unwrap_or_default();
        cost.records += told.emitted.get(case.event as usize).copied().unwrap_or_default();
        cost.lost += told.lost;
        times.push(runs.iter().map(|runs| over(runs.time_ns, runs.count)).sum());
    }
    cost.ns = median(&mut times);
    cost.measuring = (!empties.is_empty()).then(|| median(&mut empties));
    Ok(Some(cost))
}
