//! `inspector completions`: what a shell has to know to complete a command line, from the one definition of the flags.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::failure::Failure;
use super::output;

/// Prints the script for a shell.
///
/// # Errors
/// If there is nowhere to print.
pub fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "inspector", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
