//! The command line: parse ([`args`]), resolve ([`resolve`]), run, exit.
//!
//! It decides nothing about pods; it gets an observation, has it answered ([`connect`]) and printed.

pub mod args;
mod audit;
mod completions;
mod config;
mod connect;
mod explain;
mod failure;
mod fullscreen;
mod graph;
mod input;
mod logging;
mod man;
mod manifests;
mod namespaces;
mod output;
mod pods;
mod ps;
mod record;
mod replay;
mod resolve;
mod rules;
mod terminal;
mod watch;

pub use config::Config;
pub use failure::Failure;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Answer, Cli, Command};

use crate::render;

/// Runs the program on the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; a reader that is gone is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let global = resolve::merge(&cli.global, cli.command.global())?;
    let config = match &cli.command {
        // They say what may stand in a file: they have to work where that one is wrong.
        Command::Schema(_) | Command::Completions(_) | Command::Man(_) => Config::default(),
        _ => Config::load(global.config.as_deref())?,
    };
    let settings = resolve::resolve(&global, &config, &cli.command)?;
    logging::start(global.verbose);
    match &cli.command {
        Command::Pods(with) => pods::run(&with.args, &settings),
        Command::Namespaces(with) => namespaces::run(&with.args, &settings),
        Command::Ps(with) => ps::run(&with.args, &settings),
        Command::Explain(with) => explain::run(&with.args, &settings),
        Command::Audit(with) => audit::run(&config.fill_audit(&with.args), &settings),
        Command::Graph(with) => graph::run(&with.args, &settings),
        Command::Rules(with) => rules::run(&with.args, &settings),
        Command::Watch(with) => watch::run(&with.args, &settings),
        Command::Record(with) => record::run(&with.args, &settings),
        Command::Demo(with) => connect::run_demo(&with.args, &settings),
        Command::Doctor(with) => connect::run_doctor(&with.args, &settings),
        Command::Completions(with) => completions::run(&with.args),
        Command::Man(with) => man::run(&with.args),
        Command::Schema(with) => {
            let schema = match with.args.answer {
                Answer::Pods => render::schema::pods(),
                Answer::Namespaces => render::schema::namespaces(),
                Answer::Ps => render::schema::processes(),
                Answer::Explain => render::schema::explanation(),
                Answer::Audit => render::schema::audit(),
                Answer::Watch => render::schema::event(),
                Answer::Config => render::schema::accepted::<Config>(),
            };
            let text = render::json::pretty(&schema).map_err(|error| {
                Failure::collect(format!("could not print the schema: {error}; this is a bug"))
            })?;
            output::print(&text)
        }
    }
}
