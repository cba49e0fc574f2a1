//! `inspector rules`.

use super::args::RulesArgs;
use super::failure::Failure;
use super::output;
use super::resolve::Settings;
use super::terminal::Terminal;
use crate::findings;
use crate::render;

/// Prints the rules, or one.
///
/// # Errors
/// If there is no such rule, or nowhere to print.
pub fn run(args: &RulesArgs, settings: &Settings) -> Result<(), Failure> {
    let rule = match &args.rule {
        None => None,
        Some(name) => Some(findings::rule(name).ok_or_else(|| {
            Failure::usage(format!("no rule is called {name:?}; `inspector rules` lists them"))
        })?),
    };
    let look = Terminal::detect().look(settings, false);
    let text = render::rules::rules(rule, settings.format, &look).map_err(|error| {
        Failure::collect(format!("could not print the rules: {error}; this is a bug, please report it"))
    })?;
    output::print(&text)
}
