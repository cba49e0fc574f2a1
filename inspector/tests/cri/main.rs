//! The program as a black box on real pods: a containerd of the tests' own, driven by the Container Runtime Interface as
//! a kubelet drives it.
//!
//! Each test runs pods, asks the built program by every source, and compares the answers with each other, with what
//! the runtime was asked for and with what the test itself reads from /proc.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "some of it is for Docker and plain namespaces only")]
mod support;

/// Lists a module's tests for the runner.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
                $name($crate::support::cri::world());
                Ok(())
            })),+]
        }
    };
}

mod blast;
mod check;
mod ctr;
mod deaths;
mod healthy;
mod limits;
mod sharing;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(first), Some(folder)) = (arguments.next(), arguments.next())
        && first == support::cri::ARGUMENT
    {
        return support::cri::keep(Path::new(&folder));
    }
    let trials = [
        blast::trials(),
        healthy::trials(),
        sharing::trials(),
        deaths::trials(),
        limits::trials(),
        ctr::trials(),
    ];
    let conclusion =
        libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.into_iter().flatten().collect());
    support::cri::stop();
    conclusion.exit_code()
}
