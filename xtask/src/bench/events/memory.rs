//! What the watcher keeps in memory: over few and many processes, and over time.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::population::{Population, Size};
use super::storm::share;
use super::watcher::{Memory, Mode, Watcher};
use super::workload::{self, Deed, Limit};
use super::{mib, over};

/// Populations beside what runs anyway, and MiB at most.
const SIZES: [(&str, Size, f64); 2] = [
    ("100", Size { plain: 0, sets: 0 }, 20.0),
    ("30k in 25k namespaces", Size { plain: 20_000, sets: 5_000 }, 32.0),
];

/// By then everything was looked at twice; and so long containers come and go, which are looked at with all the rest.
const LOOKS: Duration = Duration::from_secs(14);
const CHANGES: Duration = Duration::from_secs(4);

/// Everything is looked at now and then, where there is more of it more seldom.
const REST: Duration = Duration::from_secs(60);

/// Watches each population, and gives the table.
pub fn table(program: &Path, mode: Mode, folder: &Path) -> Result<String> {
    let mut out = format!(
        "| `{}`: processes | resident | its share | target | most while containers come and go | most since its start | CPU at rest |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
        mode.name
    );
    for (name, size, target) in SIZES {
        let population = Population::new(size)?;
        let watcher = Watcher::start(program, mode, folder)?;
        std::thread::sleep(LOOKS);
        let rest = share(&watcher, || {
            std::thread::sleep(REST);
            Ok(())
        })?;
        let resident = watcher.memory()?;
        let changes = std::thread::spawn(|| workload::perform(Deed::Containers, Limit::time(CHANGES)));
        let mut most = resident.rss;
        while !changes.is_finished() {
            most = most.max(watcher.memory()?.rss);
            std::thread::sleep(Duration::from_millis(20));
        }
        changes.join().map_err(|_| anyhow::anyhow!("the workload's thread ended"))??;
        let met = mib(resident.rss) <= target;
        writeln!(
            out,
            "| {name} | {:.1} MiB | {:.1} MiB | ≤ {target:.0} MiB{} | {:.1} MiB | {:.1} MiB | {rest:.2} % |",
            mib(resident.rss),
            mib(resident.pss),
            if met { "" } else { " **missed**" },
            mib(most),
            mib(watcher.memory()?.peak),
        )?;
        drop(watcher);
        drop(population);
    }
    Ok(out)
}

/// Samples in a churn.
const SAMPLES: u32 = 30;

/// Containers come and go under a watcher: what it keeps, and by how much that grows.
pub fn churn(program: &Path, mode: Mode, minutes: u32, folder: &Path) -> Result<String> {
    let watcher = Watcher::start(program, mode, folder)?;
    let length = Duration::from_secs(60) * minutes;
    let workload = std::thread::spawn(move || workload::perform(Deed::Containers, Limit::time(length)));
    let start = Instant::now();
    let mut samples: Vec<(f64, Memory)> = Vec::new();
    for sample in 1..=SAMPLES {
        let due = length * sample / SAMPLES;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let memory = watcher.memory()?;
        let at = start.elapsed().as_secs_f64() / 60.0;
        if minutes > 5 {
            eprintln!("bench: after {at:.1} minutes {:.1} MiB", mib(memory.rss));
        }
        samples.push((at, memory));
    }
    let done = workload.join().map_err(|_| anyhow::anyhow!("the workload's thread ended"))??;
    let mut out = String::from("| minutes | resident |\n|--:|--:|\n");
    for (at, memory) in samples.iter().step_by(usize::try_from(SAMPLES / 6)?) {
        writeln!(out, "| {at:.1} | {:.1} MiB |", mib(memory.rss))?;
    }
    // The first fifth is what it needs to get going.
    let points: Vec<(f64, f64)> =
        (samples.iter().skip(samples.len() / 5)).map(|(at, memory)| (*at, over(memory.rss, 1))).collect();
    writeln!(
        out,
        "\n{} containers came and went ({:.0} a second). After the first fifth of the time the resident memory changes by \
         {:+.1} KiB a minute (least squares over {} samples).",
        done.count,
        done.rate(),
        slope(&points),
        points.len(),
    )?;
    Ok(out)
}

/// Of the straight line that is nearest to the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let mean = |of: fn(&(f64, f64)) -> f64| {
        points.iter().map(of).sum::<f64>() / f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX).max(1))
    };
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
    let squares = sum(&|it| (it.0 - x).powi(2));
    if squares == 0.0 { 0.0 } else { sum(&|it| (it.0 - x) * (it.1 - y)) / squares }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes() {
        assert!((slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]) - 2.0).abs() < 1e-9);
        assert!((slope(&[(0.0, 3.0), (1.0, 0.0), (2.0, 3.0)])).abs() < 1e-9);
        assert!(slope(&[]).abs() < 1e-9 && slope(&[(1.0, 1.0)]).abs() < 1e-9);
    }
}
