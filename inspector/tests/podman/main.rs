//! The program as a black box on real Podman pods and containers, in a Podman of the tests' own: its storage, its folders
//! of running things, its network and its API are all in a folder of the tests'.
//!
//! Each test asks the built program by every source and compares the answers with each other, with what `podman inspect`
//! says and with what the test itself reads from /proc.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "some of it is for other runtimes")]
mod support;

/// Lists a module's tests for the runner.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
                $name($crate::machine::machine());
                Ok(())
            })),+]
        }
    };
}

mod blast;
mod check;
mod containers;
mod machine;
mod pods;
mod users;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some(support::keeper::ARGUMENT) => return machine::keep(Path::new(&arguments[1])),
        Some(users::RELAY) => return users::relay(Path::new(&arguments[1]), Path::new(&arguments[2])),
        _ => {}
    }
    let trials = [blast::trials(), pods::trials(), containers::trials(), users::trials()];
    let conclusion =
        libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.into_iter().flatten().collect());
    machine::stop();
    conclusion.exit_code()
}
