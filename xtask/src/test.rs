//! `cargo xtask test`: every test there is, as root where tests need it, and one line at the end that says what ran.

use std::time::Instant;

use anyhow::Result;

use crate::cargo::{cargo, host_target};
use crate::{setup, sh};

/// Sets up and tests; with a filter, only the matching tests of cargo's.
pub fn test(filter: &[String]) -> Result<()> {
    setup::setup(true)?;
    let start = Instant::now();
    let mut tests = cargo("test")?;
    tests.args(["--workspace", "--exclude", "inspector-ebpf"]);
    if !sh::is_root() {
        // Built as this user, run as root: most tests make namespaces, and the eBPF ones load programs.
        let runner = format!("CARGO_TARGET_{}_RUNNER", host_target().to_uppercase().replace('-', "_"));
        tests.env(runner, "sudo -E");
    }
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    sh::run(&mut tests)?;

    let kernel = if filter.is_empty() {
        // It builds the binary that ships and boots it: as this user, and only when asked for by name.
        sh::run(cargo("test")?.args([
            "--package",
            "xtask",
            "--test",
            "kernels",
            "--",
            "--ignored",
            "--nocapture",
        ]))?;
        "on this kernel and on the oldest supported one under QEMU"
    } else {
        "those that match the filter, on this kernel only"
    };
    println!("\nxtask: all tests passed, {kernel}, in {} s", start.elapsed().as_secs());
    Ok(())
}
