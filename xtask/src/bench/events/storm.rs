//! A processor full of forks: what is lost, what the watcher takes, and what it takes from the workload.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::kernel::{self, Counters};
use super::median;
use super::watcher::{BACKGROUND, EVERYTHING, INTERACTIVE, Mode, Watcher};
use super::workload::{self, Deed, Limit};

/// How long a storm lasts.
const STORM: Duration = Duration::from_secs(10);

/// The watchers, and how much of a processor they may take.
const WATCHERS: [(Mode, Option<f64>); 3] =
    [(BACKGROUND, Some(0.5)), (EVERYTHING, Some(5.0)), (INTERACTIVE, None)];

/// Storms under each watcher, and gives the table.
pub fn table(program: &Path, folder: &Path) -> Result<String> {
    let mut out = String::from(
        "| watcher | forks and exits a second | of these told | lost | missed | CPU at rest | CPU in the storm | target |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (mode, target) in WATCHERS {
        let watcher = Watcher::start(program, mode, folder)?;
        // What it does once, at first, is no part of it.
        std::thread::sleep(Duration::from_secs(2));
        let rest = share(&watcher, || {
            std::thread::sleep(STORM / 2);
            Ok(())
        })?;
        let counters = Counters::of(watcher.pid())?;
        let programs = kernel::programs(watcher.pid())?;
        let missed = || programs.iter().try_fold(0, |sum, it| anyhow::Ok(sum + it.runs()?.missed));
        let before = (counters.read()?, missed()?);
        let mut done = None;
        let storm = share(&watcher, || {
            done = Some(workload::perform(Deed::Fork, Limit::time(STORM))?);
            Ok(())
        })?;
        let (records, missed) = (counters.read()?.since(&before.0), missed()? - before.1);
        let rate = done.map_or(0.0, |done| 2.0 * done.rate());
        let verdict = target.map_or_else(String::new, |target| {
            let met = storm <= target && records.lost + records.untracked + missed == 0;
            format!("≤ {target} %, 0 lost{}", if met { "" } else { " **missed**" })
        });
        writeln!(
            out,
            "| `{}` | {rate:.0} | {} | {} | {missed} | {rest:.2} % | {storm:.2} % | {verdict} |",
            mode.name,
            records.all(),
            records.lost + records.untracked,
        )?;
    }
    Ok(out)
}

/// What share of a processor the watcher takes meanwhile, in percent.
pub fn share(watcher: &Watcher, what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (start, before) = (Instant::now(), watcher.cpu()?);
    what()?;
    let took = watcher.cpu()?.saturating_sub(before);
    Ok(100.0 * took.as_secs_f64() / start.elapsed().as_secs_f64())
}

/// Rounds of the comparison, and how long each workload of it runs.
const PAIRS: u32 = 10;
const TURN: Duration = Duration::from_millis(700);

/// Before each: what was started and ended must not be in it.
const SETTLE: Duration = Duration::from_millis(300);

/// The workload's rate with a watcher over that without, beside that without over that without.
pub fn pairs(program: &Path, folder: &Path) -> Result<String> {
    let perform = || {
        std::thread::sleep(SETTLE);
        Ok(workload::perform(Deed::Fork, Limit::time(TURN))?.rate())
    };
    let watched = |mode: Mode| -> Result<f64> {
        let _watcher = Watcher::start(program, mode, folder)?;
        perform()
    };
    // Where nobody watches, somebody did just before: a processor that rested while a watcher was started is faster then.
    let turn = || -> Result<f64> {
        drop(Watcher::start(program, BACKGROUND, folder)?);
        perform()
    };
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for round in 0..PAIRS {
        // Who comes first changes: a machine that slows down slows each of them as often.
        let ways: [(usize, Option<Mode>); 3] = [(0, None), (1, Some(BACKGROUND)), (2, Some(EVERYTHING))];
        for (to, mode) in ways {
            let with = || mode.map_or_else(turn, watched);
            let ratio = if round % 2 == 0 {
                let plain: f64 = turn()?;
                with()? / plain
            } else {
                let with = with()?;
                with / turn()?
            };
            if let Some(ratios) = ratios.get_mut(to) {
                ratios.push(ratio);
            }
        }
    }
    let mut out = String::from(
        "| the workload's rate, with / without | pairs | median | a quarter is below | and above |\n\
         |---|--:|--:|--:|--:|\n",
    );
    let names = ["no watcher (the null)", BACKGROUND.name, EVERYTHING.name];
    for (name, ratios) in names.into_iter().zip(&mut ratios) {
        let middle = median(ratios);
        let at = |quarter: usize| ratios.get(ratios.len() * quarter / 4).copied().unwrap_or_default();
        writeln!(out, "| {name} | {PAIRS} | {middle:.3} | {:.3} | {:.3} |", at(1), at(3))?;
    }
    Ok(out)
}

/// Where the kernel calls the watcher's programs.
pub fn attached(program: &Path, mode: Mode, folder: &Path) -> Result<String> {
    let watcher = Watcher::start(program, mode, folder)?;
    let links = kernel::links(watcher.pid())?;
    let mut out = format!("| `{}`: program | attached to |\n|---|---|\n", mode.name);
    for link in &links {
        let place = link.tracepoint.as_deref().map_or_else(
            || format!("a function of the kernel's ({})", link.kind),
            |name| format!("the tracepoint {name}"),
        );
        let place = if link.kind == "iter" { "nothing: it is read".to_owned() } else { place };
        writeln!(out, "| {} | {place} |", link.program)?;
    }
    let taxing = links.iter().filter(|link| link.taxes_system_calls()).count();
    writeln!(out, "\nTracepoints of all system calls: {taxing}.")?;
    Ok(out)
}
