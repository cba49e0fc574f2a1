//! From what was typed to what is to be done: defaults filled in, contradictions refused. Touches nothing.

use std::path::PathBuf;

use super::args::{At, Color, Command, Global, Holders, Source};
use super::config::Config;
use super::failure::Failure;
use crate::render::{Format, GraphFormat, Output, ReportFormat};
use crate::source::{HoldersScope, Options, TaskChoice};

/// Where the observation comes from.
#[derive(Clone, Debug)]
pub enum Input {
    /// From this node.
    Node(Options),
    /// From a recording; `-` is standard input.
    Recording(Recorded),
}

/// A recording, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// As of when it is to answer, unless as of its end.
    pub at: Option<At>,
}

/// What applies to every command, with its defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the observation comes from.
    pub input: Input,
    /// List everything.
    pub all: bool,
    /// How to print.
    pub format: Format,
    /// How to print an audit for another program, where that is asked for.
    pub report: Option<ReportFormat>,
    /// How to draw a graph, where that is asked for.
    pub graph: Option<GraphFormat>,
    /// With a header line.
    pub headers: bool,
    /// When to use colours.
    pub color: Color,
    /// Whether partial data is a failure.
    pub strict: bool,
}

/// The flags that a command makes no use of: to accept them would promise what is not done.
const fn unused(command: &Command) -> &'static [&'static str] {
    const LOOK: [&str; 5] = ["--source", "--host-root", "--socket", "--timeout", "--holders"];
    const ALL: [&str; 11] = [
        LOOK[0],
        LOOK[1],
        LOOK[2],
        LOOK[3],
        LOOK[4],
        "--replay",
        "--at",
        "--all",
        "--output",
        "--no-headers",
        "--strict",
    ];
    match command {
        Command::Pods(_)
        | Command::Namespaces(_)
        | Command::Ps(_)
        | Command::Audit(_)
        | Command::Explain(_)
        | Command::Graph(_) => &[],
        Command::Watch(_) => &["--strict"],
        Command::Record(_) => &["--replay", "--at", "--all", "--output", "--no-headers"],
        Command::Demo(_) => {
            &["--host-root", "--socket", "--replay", "--at", "--all", "--output", "--no-headers", "--strict"]
        }
        Command::Doctor(_) => {
            &["--source", "--replay", "--at", "--all", "--no-headers", "--strict", "--holders"]
        }
        Command::Schema(_) | Command::Completions(_) | Command::Man(_) => &ALL,
        Command::Rules(_) => &[
            "--source",
            "--host-root",
            "--socket",
            "--timeout",
            "--holders",
            "--replay",
            "--at",
            "--all",
            "--strict",
        ],
    }
}

/// Fills in the defaults.
///
/// # Errors
/// If flags contradict one another or the command.
pub fn resolve(flags: &Global, config: &Config, command: &Command) -> Result<Settings, Failure> {
    // What a file says for every command is not out of place in one that makes no use of it.
    let given = given(flags);
    let global = &config.fill(flags);
    if let Some(flag) = unused(command).iter().find(|flag| given.contains(flag)) {
        return Err(Failure::usage(format!(
            "{flag} means nothing to `inspector {}`; leave it out (see inspector {0} --help)",
            command.name()
        )));
    }
    if let Command::Watch(watch) = command
        && watch.args.tui
    {
        let table = Output::Common(Format::Table);
        let lines = [
            ("--output", flags.output.is_some_and(|output| output != table)),
            ("--no-headers", flags.no_headers),
        ];
        if let Some((flag, _)) = lines.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!(
                "{flag} is about lines, and --tui shows none; leave one of them out"
            )));
        }
    }
    let input = match &global.replay {
        None if global.at.is_some() => {
            return Err(Failure::usage(
                "--at asks a recording for an earlier moment; say which with --replay FILE, or leave it out",
            ));
        }
        None => Input::Node(Options {
            handles: needs_handles(command),
            credentials: needs_credentials(command),
            networks: needs_networks(command),
            costs: needs_networks(command),
            ..options(global)
        }),
        Some(file) => {
            let look = ["--source", "--host-root", "--socket", "--timeout", "--holders"];
            if let Some(flag) = look.into_iter().find(|flag| given.contains(flag)) {
                return Err(Failure::usage(format!(
                    "{flag} says how to look at a node, and --replay answers from a recording; leave one of them out"
                )));
            }
            if matches!(command, Command::Watch(with) if with.args.background) {
                return Err(Failure::usage(
                    "--background says how to listen to a node, and --replay answers from a recording; leave one of them out",
                ));
            }
            Input::Recording(Recorded { file: file.clone(), at: global.at })
        }
    };
    let (format, report, graph) = match (global.output, command) {
        (None, _) => (Format::Table, None, None),
        (Some(output), Command::Watch(_))
            if !matches!(output, Output::Common(Format::Table | Format::Json)) =>
        {
            return Err(Failure::usage(format!(
                "a stream of events has no -o {}; use table or json",
                output.name()
            )));
        }
        (Some(Output::Graph(graph)), Command::Graph(_)) => (Format::Table, None, Some(graph)),
        (Some(output), Command::Graph(_)) if output != Output::Common(Format::Table) => {
            return Err(Failure::usage(format!(
                "a graph has no -o {}; use table, svg, dot or mermaid",
                output.name()
            )));
        }
        (Some(Output::Common(format)), _) => (format, None, None),
        (Some(Output::Report(report)), Command::Audit(_)) => (Format::Table, Some(report), None),
        (Some(output), _) => {
            let whose = if matches!(output, Output::Graph(_)) { "graph" } else { "audit" };
            return Err(Failure::usage(format!(
                "-o {} is for `inspector {whose}`; use table, wide, json, yaml or name",
                output.name()
            )));
        }
    };
    Ok(Settings {
        input,
        all: global.all,
        format,
        report,
        graph,
        headers: !global.no_headers,
        color: global.color.unwrap_or_default(),
        strict: global.strict,
    })
}

/// The flags that were given.
fn given(global: &Global) -> Vec<&'static str> {
    // By name, so that a new flag has to be placed here.
    let Global {
        source,
        host_root,
        sockets,
        timeout,
        holders,
        replay,
        at,
        all,
        output,
        no_headers,
        color: _,
        config: _,
        strict,
        verbose: _,
    } = global;
    [
        ("--source", source.is_some()),
        ("--host-root", host_root.is_some()),
        ("--socket", !sockets.is_empty()),
        ("--timeout", timeout.is_some()),
        ("--holders", holders.is_some()),
        ("--replay", replay.is_some()),
        ("--at", at.is_some()),
        ("--all", *all),
        ("--output", output.is_some()),
        ("--no-headers", *no_headers),
        ("--strict", *strict),
    ]
    .into_iter()
    .filter_map(|(flag, given)| given.then_some(flag))
    .collect()
}

/// The flags before and after the command together.
///
/// # Errors
/// If a flag that has one value stands on both sides, as it is an error on one.
pub fn merge(before: &Global, after: &Global) -> Result<Global, Failure> {
    fn one<T: Clone>(flag: &str, before: &Option<T>, after: &Option<T>) -> Result<Option<T>, Failure> {
        match (before, after) {
            (Some(_), Some(_)) => Err(Failure::usage(format!(
                "{flag} stands before and after the command; leave one of them out"
            ))),
            _ => Ok(after.as_ref().or(before.as_ref()).cloned()),
        }
    }
    Ok(Global {
        source: one("--source", &before.source, &after.source)?,
        host_root: one("--host-root", &before.host_root, &after.host_root)?,
        sockets: [before.sockets.as_slice(), &after.sockets].concat(),
        timeout: one("--timeout", &before.timeout, &after.timeout)?,
        holders: one("--holders", &before.holders, &after.holders)?,
        replay: one("--replay", &before.replay, &after.replay)?,
        at: one("--at", &before.at, &after.at)?,
        all: before.all || after.all,
        output: one("--output", &before.output, &after.output)?,
        no_headers: before.no_headers || after.no_headers,
        color: one("--color", &before.color, &after.color)?,
        config: one("--config", &before.config, &after.config)?,
        strict: before.strict || after.strict,
        verbose: before.verbose.saturating_add(after.verbose),
    })
}

fn options(global: &Global) -> Options {
    let default = Options::default();
    Options {
        tasks: match global.source {
            None | Some(Source::Auto) => TaskChoice::Auto,
            Some(Source::Bpf) => TaskChoice::Bpf,
            Some(Source::Procfs) => TaskChoice::Procfs,
        },
        host_root: global.host_root.clone().unwrap_or(default.host_root),
        sockets: global.sockets.clone(),
        timeout: global.timeout.unwrap_or(default.timeout),
        holders: match global.holders {
            None | Some(Holders::Host) => HoldersScope::Host,
            Some(Holders::All) => HoldersScope::All,
        },
        handles: default.handles,
        credentials: default.credentials,
        networks: default.networks,
        costs: default.costs,
    }
}

/// Whether its answer says what keeps namespaces, or another command's may be given from it.
const fn needs_handles(command: &Command) -> bool {
    matches!(
        command,
        Command::Namespaces(_)
            | Command::Audit(_)
            | Command::Explain(_)
            | Command::Watch(_)
            | Command::Record(_)
    )
}

/// Whether its answer judges by rules, or another command's may be given from it.
const fn needs_credentials(command: &Command) -> bool {
    !matches!(command, Command::Namespaces(_) | Command::Ps(_))
}

/// Whether its answer says who listens where and what a pause costs, or another command's may be given from it.
const fn needs_networks(command: &Command) -> bool {
    matches!(command, Command::Explain(_) | Command::Record(_))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    fn settings(line: &str) -> Result<Settings, Failure> {
        let cli = Cli::try_parse_from(std::iter::once("inspector").chain(line.split_whitespace())).unwrap();
        resolve(&merge(&cli.global, cli.command.global())?, &Config::default(), &cli.command)
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let settings = settings("pods").unwrap();
        let Input::Node(options) = settings.input else { panic!("not the node") };
        assert_eq!((options.tasks, options.holders), (TaskChoice::Auto, HoldersScope::Host));
        assert_eq!((options.timeout.as_secs(), options.host_root), (30, PathBuf::from("/")));
        assert_eq!((settings.format, settings.color, settings.headers), (Format::Table, Color::Auto, true));
        assert!(!settings.all && !settings.strict);
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (line, flag) in [
            ("pods --replay f --source bpf", "--source"),
            ("--source auto pods --replay f", "--source"),
            ("--timeout 1s --replay f pods", "--timeout"),
            ("pods --replay f --socket docker=/x", "--socket"),
            ("record f --replay g", "--replay"),
            ("record f -o json", "--output"),
            ("schema --strict", "--strict"),
            ("--all demo", "--all"),
            ("--timeout 1s pods --timeout 1s", "--timeout"),
            ("-o json pods -o yaml", "--output"),
            ("doctor --replay f", "--replay"),
            ("pods -o sarif", "sarif"),
            ("audit -o svg", "svg"),
            ("graph -o json", "json"),
            ("rules --all", "--all"),
            ("watch -o yaml", "yaml"),
            ("watch --tui -o json", "--output"),
            ("--no-headers watch -o table --tui", "--no-headers"),
            ("watch --replay f --background", "--background"),
            ("record f --at +1s", "--at"),
            ("pods --at +1s", "--at"),
            ("--at +1s pods --replay f --at +1s", "--at"),
        ] {
            let failure = settings(line).unwrap_err();
            assert!(failure.code == 2 && failure.to_string().contains(flag), "{line}: {failure}");
        }
        for line in [
            "pods --replay f --all --strict -o yaml --color always -v",
            "namespaces --holders all --all --no-headers -o name",
            "record f --source procfs --strict",
            "record f --for 10s --all-processes --redact",
            "pods --replay f --at 2026-11-23T21:44:13Z",
            "watch --replay f --at +1s --for 10s -o json",
            "schema -v",
            "demo",
            "doctor --host-root /host",
            "audit -o sarif --all --strict",
            "rules -o json",
            "graph -o svg --all",
            "graph -o table",
            "watch --tui -o table --all --color never --for 1m --until pod-collapsed --pod web --kind net",
        ] {
            settings(line).unwrap();
        }
    }
}
