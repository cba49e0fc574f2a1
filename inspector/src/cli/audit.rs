//! `inspector audit`.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::args::AuditArgs;
use super::failure::Failure;
use super::resolve::{Recorded, Settings};
use super::terminal::Terminal;
use super::{connect, input, manifests, output, pods};
use crate::audit::{Baseline, Choice, Waiver, fails, parse_waivers};
use crate::findings;
use crate::manifests::Manifests;
use crate::observation::Observation;
use crate::render;
use crate::view::Severity;

/// The longest file of waivers, and the longest baseline: far more than anybody has.
const MAX_WAIVERS: u64 = 1 << 20;
const MAX_BASELINE: u64 = 64 << 20;

/// Looks, judges, prints.
///
/// # Errors
/// If a file or a rule's name is wrong, there is nothing to answer from or nowhere to print; with `--strict` also if the
/// answer is partial; and, silently, where something as bad as `--fail-on` is open.
pub fn run(args: &AuditArgs, settings: &Settings) -> Result<(), Failure> {
    let choice = Choice {
        rules: args.rules.iter().map(|name| rule(name)).collect::<Result<_, _>>()?,
        min_severity: args.min_severity,
        namespace: args.namespace.clone(),
        no_suppressions: args.no_suppressions,
    };
    let waivers = match &args.waivers {
        Some(file) => waivers(file)?,
        None => Vec::new(),
    };
    let baseline = match &args.baseline {
        Some(file) => baseline(file)?,
        None => Baseline::default(),
    };
    let manifests = match &args.manifests {
        Some(folder) => manifests::read(folder)?,
        None => Manifests::default(),
    };
    let earlier = args.diff.as_deref().map(earlier).transpose()?;
    let observation = input::observe(&settings.input)?;
    let baseline = match earlier {
        Some(earlier) if earlier.node.name != observation.node.name => {
            return Err(Failure::usage(format!(
                "the recording for --diff is of node {}, and this is {}; compare a node with itself",
                earlier.node.name, observation.node.name
            )));
        }
        Some(earlier) => connect::judged(&earlier, &manifests),
        None => baseline,
    };
    let list = connect::audit(&observation, &choice, &waivers, &baseline, &manifests);
    let look = Terminal::detect().look(settings, true);
    let text = match settings.report {
        Some(report) => render::audit::report(&list, report),
        None => render::audit::answer(&list, settings.format, &look, settings.all),
    };
    output::print(&text.map_err(|error| {
        Failure::collect(format!("could not print the findings: {error}; this is a bug, please report it"))
    })?)?;
    if settings.strict && list.coverage.partial {
        return Err(pods::partial(list.coverage.gaps.len()));
    }
    if fails(&list, args.fail_on.unwrap_or(Severity::High)) {
        return Err(Failure::found());
    }
    Ok(())
}

/// The recording to compare with.
fn earlier(file: &Path) -> Result<Observation, Failure> {
    input::replay(&Recorded { file: file.to_owned(), at: None })
}

fn rule(name: &str) -> Result<&'static str, Failure> {
    findings::rule(name)
        .map(|rule| rule.id)
        .ok_or_else(|| Failure::usage(format!("no rule is called {name:?}; `inspector rules` lists them")))
}

fn waivers(file: &Path) -> Result<Vec<Waiver>, Failure> {
    let text = read(file, MAX_WAIVERS)?;
    parse_waivers(&text).map_err(|error| wrong("waivers", file, error))
}

fn baseline(file: &Path) -> Result<Baseline, Failure> {
    let text = read(file, MAX_BASELINE)?;
    Baseline::parse(&text).map_err(|error| wrong("a baseline", file, error))
}

fn wrong(what: &str, file: &Path, error: impl fmt::Display) -> Failure {
    Failure::usage(format!("{} is no file of {what}: {error}; see inspector audit --help", file.display()))
}

pub(super) fn read(path: &Path, limit: u64) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot read {}: {error}; name a file that you may read", path.display()))
    };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(limit + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(Failure::usage(format!(
            "{} is longer than {} MiB; name the right file",
            path.display(),
            limit >> 20
        )));
    }
    Ok(text)
}
