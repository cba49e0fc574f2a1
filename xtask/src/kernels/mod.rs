//! `cargo xtask kernels`: the binary that ships, on other kernels than this one's.
//!
//! Each kernel is Debian's own, booted under QEMU's emulation (no /dev/kvm needed) with a first file system of busybox
//! and the binary. The guest asks for the pods once by eBPF and once from /proc; the answers must agree, also where
//! the kernel hides its types or is locked down.

mod compare;
mod fetch;
mod guest;
mod initramfs;
mod steps;
mod table;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo::target_dir;
use crate::{dist, setup};
use steps::{LOCKDOWN, PLAIN};
use table::Row;

/// The oldest kernel that inspector supports.
pub const OLDEST: &str = "5.10";
/// Whatever Debian builds next.
pub const NEWEST: &str = "newest";

/// Kernels by their version, and the Debian release that ships each.
const KERNELS: [(&str, &str); 4] =
    [(OLDEST, "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie"), (NEWEST, "sid")];

/// An emulated machine keeps one processor busy.
const AT_ONCE: usize = 2;

/// Boots each of `versions`; an error if one of them does not boot, load, iterate or agree. With `bless`, all of
/// them, and what was seen becomes the table of docs/kernels.md.
pub fn kernels(versions: &[String], bless: bool) -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "the kernels that are booted here are for x86_64 only");
    let chosen = if bless {
        let all = KERNELS.iter().all(|(known, _)| versions.iter().any(|version| version == known));
        ensure!(versions.is_empty() || all, "--bless writes the whole table: name all versions, or none");
        KERNELS.to_vec()
    } else {
        versions.iter().map(|version| known(version)).collect::<Result<Vec<_>>>()?
    };
    let chosen = if chosen.is_empty() { vec![known(OLDEST)?, known(NEWEST)?] } else { chosen };
    setup::setup(true)?;
    let program = dist::dist()?;
    let cache = target_dir()?.join("kernels");
    let (waiting, seen) = (Mutex::new(chosen.iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok()?.next();
    let work = || {
        while let Some((version, suite)) = next() {
            let row = one(version, suite, &program, &cache).with_context(|| {
                format!("kernel {version} ({suite}): its logs are in {}/{suite}", cache.display())
            });
            if let Ok(mut seen) = seen.lock() {
                seen.push((*version, row));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut seen = seen.into_inner().unwrap_or_default();
    seen.sort_by_key(|(version, _)| KERNELS.iter().position(|(known, _)| known == version));
    ensure!(seen.len() == chosen.len(), "a kernel was lost on the way");
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (version, row) in seen {
        match row {
            Ok(row) => rows.push(row),
            Err(error) => {
                eprintln!("kernel {version}: {error:#}");
                failed.push(version);
            }
        }
    }
    if !failed.is_empty() {
        bail!("these kernels failed: {}", failed.join(", "));
    }
    if bless { table::write(&rows) } else { Ok(()) }
}

fn known(version: &str) -> Result<(&'static str, &'static str)> {
    let known = || KERNELS.map(|(version, _)| version).join(", ");
    KERNELS
        .into_iter()
        .find(|(name, _)| *name == version)
        .with_context(|| format!("no kernel {version} here, only {}", known()))
}

/// Fetches and boots one, once for each scenario.
fn one(version: &'static str, suite: &'static str, program: &Path, cache: &Path) -> Result<Row> {
    let start = Instant::now();
    let folder = cache.join(suite);
    fs::create_dir_all(&folder)?;
    let kernel = fetch::kernel(suite, &folder)?;
    let busybox = setup::static_busybox().context("no static busybox")?;
    let boot = |scenario: &steps::Scenario| {
        let steps::Scenario { name, steps, .. } = scenario;
        let image = folder.join(format!("{name}.cpio"));
        fs::write(&image, initramfs::image(&guest::files(&busybox, program, steps)?))?;
        guest::boot(&kernel, &image, &folder, scenario)
    };
    let answers = boot(&PLAIN)?;
    let release = answers["kernel"].stdout.clone();
    let summary = compare::plain(&answers)?;
    compare::hidden(&answers).context("with BTF hidden")?;
    let programs = compare::programs(&answers)?;
    let namespace_ids = compare::namespace_ids(&answers)?;
    let locked_down = compare::lockdown(&boot(&LOCKDOWN)?).context("with lockdown=confidentiality")?;
    println!(
        "kernel {version}: ok, Linux {release}, {summary}; BTF hidden: from /proc; locked down: by {locked_down}; {} s",
        start.elapsed().as_secs()
    );
    Ok(Row { version, suite, release, programs, namespace_ids, locked_down })
}
