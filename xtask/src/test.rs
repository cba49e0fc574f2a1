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

    let places = if filter.is_empty() {
        // They build the binary that ships and boot it: as this user, and only when asked for by name.
        for machines in ["guest", "kernels"] {
            sh::run(cargo("test")?.args([
                "--package",
                "xtask",
                "--test",
                machines,
                "--",
                "--ignored",
                "--nocapture",
            ]))?;
        }
        "on this machine, on a node with systemd and on the oldest and the newest kernel under QEMU"
    } else {
        "those that match the filter, on this machine only"
    };
    println!("\nxtask: all tests passed, {places}, in {} s", start.elapsed().as_secs());
    Ok(())
}
