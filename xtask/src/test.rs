//! `cargo xtask test`: every test there is, as root where tests need it, and some lines at the end that say what ran, how
//! long it took and what failed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cargo::{cargo, host_target, link_statically};
use crate::{setup, sh};

/// Sets up and tests; with a filter, only the matching tests of cargo's. What fails stops nothing that comes after it, so
/// that one run tells all that is wrong.
pub fn test(filter: &[String]) -> Result<()> {
    let mut stages = Stages::default();
    setup::setup(true)?;
    stages.done("set-up");
    // For itself, so that the tests' time is the tests' own. What does not build cannot be tested.
    sh::run(cargo_test()?.arg("--no-run"))?;
    stages.done("build");

    let mut tests = cargo_test()?;
    tests.arg("--no-fail-fast");
    if !sh::is_root() {
        // Built as this user, run as root: most tests make namespaces, and the eBPF ones load programs.
        let runner = format!("CARGO_TARGET_{}_RUNNER", host_target().to_uppercase().replace('-', "_"));
        tests.env(runner, "sudo -E");
    }
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    stages.judge("tests on this machine", sh::run(&mut tests));

    let places = if filter.is_empty() {
        // They build the binary that ships and boot it: as this user, and only when asked for by name.
        for (machines, name) in
            [("guest", "a node with systemd"), ("kernels", "the oldest and the newest kernel")]
        {
            let mut test = cargo("test")?;
            test.args(["--package", "xtask", "--test", machines, "--", "--ignored", "--nocapture"]);
            stages.judge(name, sh::run(&mut test));
        }
        "on this machine, on a node with systemd and on the oldest and the newest kernel under QEMU"
    } else {
        "those that match the filter, on this machine only"
    };
    print!("\n{}", stages.table());
    let seconds = stages.seconds();
    if !stages.failed.is_empty() {
        bail!("tests failed: {}; {seconds} s", stages.failed.join("; "));
    }
    println!("xtask: all tests passed, {places}, in {seconds} s");
    Ok(())
}

/// Everything that cargo tests on this machine; static, as what ships is and as the guest has to have it: so that it is
/// built once.
fn cargo_test() -> Result<std::process::Command> {
    let mut tests = cargo("test")?;
    tests.args(["--workspace", "--exclude", "inspector-ebpf"]);
    link_statically(&mut tests, &host_target());
    Ok(tests)
}

/// How long each stage took, and which failed.
struct Stages {
    since: Instant,
    took: Vec<(&'static str, Duration)>,
    failed: Vec<String>,
}

impl Default for Stages {
    fn default() -> Self {
        Self { since: Instant::now(), took: Vec::new(), failed: Vec::new() }
    }
}

impl Stages {
    /// Notes the end of a stage, which is the next one's beginning.
    fn done(&mut self, name: &'static str) {
        let now = Instant::now();
        self.took.push((name, now.duration_since(self.since)));
        self.since = now;
    }

    fn judge(&mut self, name: &'static str, outcome: Result<()>) {
        self.done(name);
        if let Err(error) = outcome {
            eprintln!("xtask: {name}: {error:#}");
            self.failed.push(name.to_owned());
        }
    }

    fn table(&self) -> String {
        let line = |(name, took): &(&str, Duration)| {
            let outcome = if self.failed.iter().any(|failed| failed == name) { "FAILED" } else { "ok" };
            format!("xtask: {name:<34} {:>5} s  {outcome}\n", took.as_secs())
        };
        self.took.iter().map(line).collect()
    }

    fn seconds(&self) -> u64 {
        self.took.iter().map(|(_, took)| *took).sum::<Duration>().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failed_stage_is_told_and_stops_no_other() {
        let mut stages = Stages::default();
        stages.done("build");
        stages.judge("one", Err(anyhow!("no")));
        stages.judge("two", Ok(()));
        assert_eq!(stages.failed, ["one"]);
        let outcomes: Vec<_> =
            stages.table().lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
        assert_eq!(outcomes, ["ok", "FAILED", "ok"]);
    }
}
