//! The program as a black box on containers that real runc and crun started, with no daemon anywhere: by themselves, and
//! laid out as CRI-O lays out its pods, with real bind mounts for its pins.

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
                $name();
                Ok(())
            })),+]
        }
    };
}

mod crio;
mod crio_layout;
mod machine;
mod plain;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(first), Some(folder)) = (arguments.next(), arguments.next())
        && first == support::keeper::ARGUMENT
    {
        return machine::keep(Path::new(&folder));
    }
    let trials = [plain::trials(), crio::trials()];
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.into_iter().flatten().collect())
        .exit_code()
}
