//! What a developer runs: `cargo xtask COMMAND`.
//!
//! xtask only starts other programs (cargo, apt, qemu) and judges what comes back; nothing of inspector's own work
//! belongs here. Every command fails loudly when a part of it cannot be done: a skipped part is no success.

mod apt;
mod bench;
mod build;
mod cargo;
mod dist;
mod guest;
mod kernels;
mod lint;
mod qemu;
mod setup;
mod sh;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set up, build, run and test inspector")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install the eBPF toolchain, if there is none
    Setup {
        /// And what the tests start: container runtimes, QEMU
        #[arg(long)]
        tests: bool,
    },
    /// Build the program with its eBPF object inside
    Build {
        /// Optimised
        #[arg(long)]
        release: bool,
    },
    /// Set up, build as this user, and run as root
    Run {
        /// Optimised
        #[arg(long)]
        release: bool,
        /// What the program gets
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up and run every test, as root, then those on a node and on two kernels under QEMU
    Test {
        /// What `cargo test` gets after `--`: run only matching tests, and boot nothing
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Check the format and run clippy, on the eBPF side too
    Lint,
    /// Make the binary that ships: static, stripped, the eBPF object inside
    Dist,
    /// Measure the program beside a peer, in the same run
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Make processes for a bench and hold them until standard input ends
    #[command(hide = true)]
    Population {
        #[command(flatten)]
        size: bench::Size,
    },
    /// Do something again and again, for a bench
    #[command(hide = true)]
    Workload {
        /// What
        deed: bench::Deed,
        #[command(flatten)]
        limit: bench::Limit,
    },
    /// Join, make and leave namespaces, and say when, for a bench
    #[command(hide = true)]
    Members,
    /// Compare two lists of namespaces, lsns's and inspector's
    #[command(hide = true)]
    CheckRows {
        /// What `lsns -l --json` wrote
        lsns: std::path::PathBuf,
        /// What `inspector namespaces -o json` wrote
        inspector: std::path::PathBuf,
    },
    /// Run a program and print what it cost: wall and CPU time in µs, peak memory in KiB
    #[command(hide = true)]
    Measure {
        /// Where its output goes
        output: std::path::PathBuf,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        program: Vec<std::ffi::OsString>,
    },
    /// Boot a Debian node with systemd under QEMU and run tests in it, on real Docker and Podman
    Guest {
        /// systemd, docker, podman, cri, experiments, plain, tasks, each with `=FILTER` if not its usual tests are
        /// wanted; all without any
        #[arg(value_name = "TEST")]
        tests: Vec<String>,
    },
    /// Boot Debian's kernels under QEMU and compare eBPF with /proc on each
    Kernels {
        /// 5.10, 6.1, 6.12, newest; 5.10 and newest if none is named
        versions: Vec<String>,
        /// Boot all of them, and write what was seen into docs/kernels.md
        #[arg(long)]
        bless: bool,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// `inspector namespaces -o json` against `lsns -l --json`, at 100 to 30,000 processes
    Snapshot {
        /// Only these populations: 100, 1k, 10k, "10k in 25k namespaces", 30k
        only: Vec<String>,
        /// Write the table into docs/performance.md
        #[arg(long)]
        write: bool,
    },
    /// What the event programs and the watcher cost, what they lose, and how late they are
    Events {
        /// Only these parts
        #[arg(value_enum)]
        only: Vec<bench::Part>,
        /// How long containers come and go under a watcher whose memory is looked at
        #[arg(long, default_value_t = 1)]
        minutes: u32,
        /// Measure this program, and build none
        #[arg(long)]
        program: Option<std::path::PathBuf>,
        /// Write the tables into docs/performance.md
        #[arg(long)]
        write: bool,
    },
    /// The rules over 500 and 5,000 containers in memory, and a picture of 150 pods
    Judgement {
        /// Write the tables into docs/performance.md
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Setup { tests } => setup::setup(tests),
        Command::Build { release } => build::build(release).map(drop),
        Command::Run { release, args } => build::run(release, &args),
        Command::Test { filter } => test::test(&filter),
        Command::Lint => lint::lint(),
        Command::Dist => dist::dist().map(drop),
        Command::Bench { what: Bench::Snapshot { only, write } } => bench::snapshot(&only, write),
        Command::Bench { what: Bench::Judgement { write } } => bench::judgement(write),
        Command::Bench { what: Bench::Events { only, minutes, program, write } } => {
            bench::events(&only, minutes, program, write)
        }
        Command::Workload { deed, limit } => bench::event_workload(deed, limit),
        Command::Members => bench::event_members(),
        Command::Population { size } => bench::population(size),
        Command::CheckRows { lsns, inspector } => bench::check_rows(&lsns, &inspector),
        Command::Measure { output, program } => bench::measure(&output, &program),
        Command::Guest { tests } => guest::guest(&tests),
        Command::Kernels { versions, bless } => kernels::kernels(&versions, bless),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
