//! `cargo xtask kernels`: the binary that ships, on other kernels than this one's.
//!
//! Each kernel is Debian's own, booted under QEMU's emulation (no /dev/kvm needed) with a first file system of busybox
//! and the binary. The guest asks for the pods once by eBPF and once from /proc; the answers must agree.

mod compare;
mod fetch;
mod guest;
mod initramfs;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::cargo::target_dir;
use crate::{dist, setup};

/// The oldest kernel that inspector supports.
pub const OLDEST: &str = "5.10";

/// Kernels by their version, and the Debian release that ships each.
const KERNELS: [(&str, &str); 3] = [("5.10", "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie")];

/// Boots each of `versions`; an error if one of them does not boot, load, iterate or agree.
pub fn kernels(versions: &[String]) -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "the kernels that are booted here are for x86_64 only");
    let chosen = versions.iter().map(|version| suite(version)).collect::<Result<Vec<_>>>()?;
    setup::setup(true)?;
    let program = dist::dist()?;
    let cache = target_dir()?.join("kernels");
    for (version, suite) in versions.iter().zip(chosen) {
        let start = Instant::now();
        let summary = one(suite, &program, &cache).with_context(|| format!("kernel {version} ({suite})"))?;
        println!("kernel {version}: ok, {summary}, {} s", start.elapsed().as_secs());
    }
    Ok(())
}

fn suite(version: &str) -> Result<&'static str> {
    let known = || KERNELS.map(|(version, _)| version).join(", ");
    KERNELS
        .iter()
        .find_map(|(name, suite)| (*name == version).then_some(*suite))
        .with_context(|| format!("no kernel {version} here, only {}", known()))
}

fn one(suite: &str, program: &Path, cache: &Path) -> Result<String> {
    let folder = cache.join(suite);
    fs::create_dir_all(&folder)?;
    let kernel = fetch::kernel(suite, &folder)?;
    let busybox = setup::static_busybox().context("no static busybox")?;
    let image = folder.join("initramfs.cpio");
    fs::write(&image, initramfs::image(&guest::files(&busybox, program)?))?;
    let answers = guest::boot(&kernel, &image, &folder)?;
    compare::compare(&answers).with_context(|| format!("what the guest said is in {}", folder.display()))
}
