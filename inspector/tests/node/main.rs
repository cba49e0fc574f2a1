//! What only a node as users have it can show: systemd as a readable PID 1, cgroup v2, AppArmor, fentry, and the
//! runtimes as a distribution sets them up. `cargo xtask guest` boots such a node and runs these; elsewhere they are
//! listed as ignored, for they change the machine's own daemons.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "some of it is for the tests' own daemons")]
mod support;

/// Lists a module's tests for the runner.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
                $name();
                Ok(())
            })),+]
        }
    };
}

mod docker;
mod podman;
mod systemd;

use std::process::ExitCode;

fn main() -> ExitCode {
    let elsewhere = std::env::var_os("INSPECTOR_TEST_NODE").is_none();
    let trials = [systemd::trials(), docker::trials(), podman::trials()];
    let trials = trials.into_iter().flatten().map(|trial| trial.with_ignored_flag(elsewhere));
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.collect()).exit_code()
}

/// Runs a command, which has to succeed; gives what it printed.
fn sh(words: &[&str]) -> String {
    let run = support::run::run(std::process::Command::new(words[0]).args(&words[1..]));
    assert_eq!(run.code, Some(0), "{}\n{}", run.command, run.stderr);
    run.text().trim_end().to_owned()
}
