//! The program as a black box on real Docker containers, in a real daemon of the tests' own.
//!
//! Each test starts containers, asks the built program by every source, and compares the answers with each
//! other, with what `docker inspect` says and with what the test itself reads from /proc.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "some of it is for plain namespaces only")]
mod support;

/// Lists a module's tests for the runner.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
                $name($crate::support::world::world());
                Ok(())
            })),+]
        }
    };
}

mod blast;
mod classes;
mod experiments;
mod hostile;
mod hosts;
mod live;
mod recordings;
mod refusals;
mod rules;
mod witnessed;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(first), Some(folder)) = (arguments.next(), arguments.next())
        && first == support::keeper::ARGUMENT
    {
        return support::keeper::main(Path::new(&folder));
    }
    let trials = [
        experiments::trials(),
        classes::trials(),
        blast::trials(),
        hosts::trials(),
        live::trials(),
        hostile::trials(),
        refusals::trials(),
        rules::trials(),
        recordings::trials(),
        witnessed::trials(),
    ];
    let conclusion =
        libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.into_iter().flatten().collect());
    support::world::stop();
    conclusion.exit_code()
}
