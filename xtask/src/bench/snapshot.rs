//! `cargo xtask bench snapshot`: all namespaces of a node as JSON, `inspector namespaces` against `lsns`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::measure::{self, Cost};
use super::population::{Population, Size};
use super::publish;
use crate::cargo::target_dir;
use crate::{dist, sh};

/// The populations, beside what runs anyway (some 100 processes on a machine at rest), and how often each program runs over one: lsns needs a minute for the largest.
const SIZES: [(&str, Size, usize); 5] = [
    ("100", Size { plain: 0, sets: 0 }, 21),
    ("1k", Size { plain: 900, sets: 0 }, 11),
    ("10k", Size { plain: 10_000, sets: 0 }, 5),
    ("10k in 25k namespaces", Size { plain: 0, sets: 5_000 }, 5),
    ("30k", Size { plain: 30_000, sets: 0 }, 2),
];

/// One line of the table.
struct Line {
    name: &'static str,
    rows: u64,
    lsns: Cost,
    inspector: Cost,
    /// Reading the tasks alone: by eBPF, whose programs are in the kernel already, and from /proc.
    read: [Option<Duration>; 2],
    /// Getting the eBPF programs into the kernel, once.
    load: Option<Duration>,
}

/// Measures, prints, and writes `docs/performance.md`'s table where asked to.
pub fn snapshot(only: &[String], write: bool) -> Result<()> {
    ensure!(sh::is_root(), "this bench makes namespaces and loads eBPF programs: run it as root");
    ensure!(sh::find("lsns").is_some(), "there is no lsns to compare with: install util-linux");
    let program = dist::dist()?;
    let folder = target_dir()?.join("bench");
    fs::create_dir_all(&folder)?;
    let mut lines = Vec::new();
    for (name, size, rounds) in
        SIZES.iter().filter(|(name, ..)| only.is_empty() || only.iter().any(|it| it == name))
    {
        eprintln!("bench: {name}: {} processes are being made", size.processes());
        let population = Population::new(*size)?;
        lines.push(one(name, *rounds, &program, &folder)?);
        drop(population);
    }
    let table = table(&lines)?;
    print!("{table}");
    if write {
        publish("snapshot", &table)?;
    }
    Ok(())
}

fn one(name: &'static str, rounds: usize, program: &Path, folder: &Path) -> Result<Line> {
    let (theirs, ours) = (folder.join("lsns.json"), folder.join("inspector.json"));
    let lsns = || {
        let mut command = Command::new("lsns");
        command.args(["-l", "--json", "-o", "ns,type,nprocs,pid"]);
        command
    };
    let inspector = || {
        let mut command = Command::new(program);
        command.args(["namespaces", "-o", "json"]);
        command
    };
    // First that both say the same; this also warms what caches there are.
    let rows = agree(&lsns(), &inspector(), &theirs, &ours)?;
    let (mut peer, mut own) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        peer.push(measure_peer(&lsns(), &theirs)?);
        own.push(measure::run(&inspector(), &ours)?);
    }
    let [load, by_bpf] = told(program, "bpf", ["iterator took ", "to load and "], folder);
    let [by_walk] = told(program, "procfs", ["read by Procfs in "], folder);
    Ok(Line {
        name,
        rows,
        lsns: measure::median(peer),
        inspector: measure::median(own),
        read: [by_bpf, by_walk],
        load,
    })
}

/// Runs lsns, which fails as a whole when a process leaves while it looks: then once more.
fn measure_peer(lsns: &Command, output: &Path) -> Result<Cost> {
    const TRIES: u32 = 5;
    for _ in 1..TRIES {
        match measure::run(lsns, output) {
            Ok(cost) => return Ok(cost),
            Err(error) => eprintln!("bench: {error:#}; again"),
        }
    }
    measure::run(lsns, output)
}

/// Both programs list the same; tried a few times, since a machine is never quite still.
fn agree(lsns: &Command, inspector: &Command, theirs: &Path, ours: &Path) -> Result<u64> {
    let mut last = None;
    for _ in 0..3 {
        measure_peer(lsns, theirs)?;
        measure::run(inspector, ours)?;
        let mut check = Command::new(std::env::current_exe()?);
        match sh::output(check.arg("check-rows").arg(theirs).arg(ours)) {
            Ok(rows) => return rows.trim().parse().context("the check did not say how many rows there are"),
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("nothing was compared")?)
}

/// Times that the program itself tells with -v, by the words before them; of three runs the one in the middle.
fn told<const N: usize>(
    program: &Path,
    source: &str,
    after: [&str; N],
    folder: &Path,
) -> [Option<Duration>; N] {
    let output = folder.join("collection.json");
    let said: Vec<String> = (0..3)
        .filter_map(|_| {
            let mut command = Command::new(program);
            command.args(["namespaces", "-v", "--color", "never", "-o", "json", "--source", source]);
            measure::run(&command, &output).ok()?;
            fs::read_to_string(output.with_extension("err")).ok()
        })
        .collect();
    after.map(|words| {
        let mut times: Vec<Duration> = said.iter().filter_map(|said| time_after(said, words)).collect();
        times.sort();
        times.get(times.len() / 2).copied()
    })
}

/// The milliseconds that are told after these words.
fn time_after(said: &str, words: &str) -> Option<Duration> {
    let (_, rest) = said.split_once(words)?;
    let (number, _) = rest.split_once(" ms")?;
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? / 1e3).ok()
}

fn table(lines: &[Line]) -> Result<String> {
    use std::fmt::Write as _;
    let mut out = String::from(
        "| processes | rows | lsns: CPU | wall | peak | inspector: CPU | wall | peak | CPU, lsns / inspector | \
         eBPF: load | read | /proc: read | read, /proc / eBPF |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    let mib = |kib: u64| format!("{:.1} MiB", Duration::from_millis(kib).as_secs_f64() * 1000.0 / 1024.0);
    for line in lines {
        let (lsns, own) = (&line.lsns, &line.inspector);
        let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64().max(1e-6);
        let [bpf, procfs] = line.read;
        let told = |time: Option<Duration>| {
            time.map_or_else(|| "–".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
        };
        let read_ratio = bpf
            .zip(procfs)
            .map_or_else(|| "–".to_owned(), |(bpf, procfs)| format!("{:.0}×", ratio(procfs, bpf)));
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1}× | {} | {} | {} | {read_ratio} |",
            line.name,
            line.rows,
            ms(lsns.cpu),
            ms(lsns.wall),
            mib(lsns.peak_kib),
            ms(own.cpu),
            ms(own.wall),
            mib(own.peak_kib),
            ratio(lsns.cpu, own.cpu),
            told(line.load),
            told(bpf),
            told(procfs),
        )?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_what_the_program_says() {
        let said = "info: the eBPF iterator took 45.1 ms to load and 15.5 ms to read\n9 tasks read by Procfs in 2.0 ms\n";
        let micros = |words| time_after(said, words).map(|time| time.as_micros());
        assert_eq!(micros("iterator took "), Some(45_100));
        assert_eq!(micros("to load and "), Some(15_500));
        assert_eq!(micros("read by Procfs in "), Some(2_000));
        assert_eq!(micros("read by Bpf in "), None);
    }
}
