//! `cargo xtask bench events`: what the event programs and the watcher cost, what they lose, and how late they are.
//!
//! Little of this is a time of ours: a program's time is the kernel's account, losses are counted in the kernel and read
//! from there, and the watcher's processor time is its own clock. Where two times are compared, the difference that chance
//! makes stands beside.

mod hooks;
mod kernel;
mod latency;
mod memory;
mod storm;
mod watcher;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::publish;
use crate::cargo::target_dir;
use crate::{dist, sh};
use watcher::{BACKGROUND, EVERYTHING, INTERACTIVE};

pub use latency::members;
pub use workload::{Deed, Limit, run as workload};

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// What each program costs who meets it
    Hooks,
    /// Where the programs are attached
    Attached,
    /// Losses and processor time in a storm of forks
    Storm,
    /// The storm's own rate with and without a watcher
    Pairs,
    /// From what is done to the line that tells of it
    Latency,
    /// Memory over few and many processes
    Memory,
    /// Memory over time, while containers come and go
    Churn,
}

/// Measures, prints, and writes `docs/performance.md`'s tables where asked to.
pub fn events(only: &[Part], minutes: u32, program: Option<PathBuf>, write: bool) -> Result<()> {
    ensure!(sh::is_root(), "this bench loads eBPF programs, watches and makes namespaces: run it as root");
    let processors = std::thread::available_parallelism()?.get();
    ensure!(processors > 1, "this bench needs two processors: one for the watcher, one for what is watched");
    ensure!(minutes > 0, "a churn of no minutes shows nothing: leave --minutes out, or say at least 1");
    ensure!(!write || only.is_empty(), "--write puts all parts into the file: leave the parts' names out");
    let program = program.map_or_else(dist::dist, Ok)?;
    let folder = target_dir()?.join("bench");
    fs::create_dir_all(&folder)?;
    let mut out = machine(processors)?;
    let mut part = |part: Part, title: &str, table: &dyn Fn(&Path) -> Result<String>| -> Result<()> {
        if only.is_empty() || only.contains(&part) {
            eprintln!("bench: {title}");
            let table = table(&folder).with_context(|| format!("{title}: this part failed"))?;
            let section = format!("\n**{title}**\n\n{table}");
            print!("{section}");
            out.push_str(&section);
        }
        Ok(())
    };
    part(Part::Hooks, "What each program costs who meets it", &|folder| {
        let tables = [BACKGROUND, EVERYTHING].map(|mode| hooks::table(&program, mode, folder));
        let [background, everything] = tables;
        Ok(format!("{}\n{}", background?, everything?))
    })?;
    part(Part::Attached, "Where the programs are attached", &|folder| {
        let [background, interactive] =
            [BACKGROUND, INTERACTIVE].map(|mode| storm::attached(&program, mode, folder));
        Ok(format!("{}\n{}", background?, interactive?))
    })?;
    part(Part::Storm, "A processor full of forks", &|folder| storm::table(&program, folder))?;
    part(Part::Pairs, "What a storm notices of a watcher", &|folder| storm::pairs(&program, folder))?;
    part(Part::Latency, "From the deed to the line", &|folder| {
        latency::table(&program, INTERACTIVE, folder)
    })?;
    part(Part::Memory, "Memory", &|folder| memory::table(&program, BACKGROUND, folder))?;
    part(Part::Churn, "Memory while containers come and go", &|folder| {
        memory::churn(&program, BACKGROUND, minutes, folder)
    })?;
    if write { publish("events", &out) } else { Ok(()) }
}

/// In general words.
fn machine(processors: usize) -> Result<String> {
    let release = sh::output(Command::new("uname").arg("-r"))?;
    // What a distributor or a hypervisor adds says nothing to others.
    let version: String = release.trim().split('-').next().unwrap_or_default().to_owned();
    Ok(format!(
        "A virtual machine or host with {processors} processors, Linux {version}, {}.\n",
        std::env::consts::ARCH
    ))
}

/// So much a piece.
fn over(all: u64, pieces: u64) -> f64 {
    Duration::from_nanos(all).as_secs_f64() / Duration::from_nanos(pieces.max(1)).as_secs_f64()
}

/// The one in the middle; they are sorted then.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn mib(kib: u64) -> f64 {
    over(kib, 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert!((over(900, 3) - 300.0).abs() < 1e-9 && over(5, 0) >= 5.0);
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9 && median(&mut []).abs() < 1e-9);
        assert!((mib(2048) - 2.0).abs() < 1e-9);
    }
}
