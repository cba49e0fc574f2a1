//! Where the command line meets the rest of the program: the only place that knows which module answers what.

use std::io::Write as _;

use crate::manifests::Manifests;
use crate::observation::Observation;
use crate::render::{self, Format, Look};
use crate::source::{Context, Options, TaskChoice, bpf};
use crate::state::namespaces::Namespaces;
use crate::view::{Explanation, FindingList, PodList, ProcessList, Target};
use crate::{audit, demo, doctor, findings, source, state, view};

use super::args::{DemoArgs, DoctorArgs};
use super::failure::Failure;
use super::resolve::{Input, Settings};
use super::terminal::Terminal;
use super::{input, output};

/// Looks at the node.
///
/// # Errors
/// If no task can be read at all.
pub async fn collect(context: &Context) -> Result<Observation, Failure> {
    source::collect(context)
        .await
        .map_err(|error| Failure::collect(format!("could not collect on this node: {error}")))
}

/// The pods in an observation.
#[must_use]
pub fn pods(observation: &Observation, all: bool) -> PodList {
    let (snapshot, facts) = state::snapshot_and_facts(observation, None);
    let judgement = findings::evaluate(&findings::Node::new(&observation.node.name, &snapshot.pods, &facts));
    view::pod_list(observation, snapshot, judgement.findings, all)
}

/// All about one thing in an observation.
///
/// # Errors
/// If the target is unknown or ambiguous.
pub fn explanation(observation: &Observation, target: &str) -> Result<Explanation, Failure> {
    const SORTS: [&str; 4] = ["pod", "container", "pid", "namespace"];
    let (snapshot, facts) = state::snapshot_and_facts(observation, None);
    let resolved = Target::resolve(target, observation, &snapshot, &SORTS).map_err(Failure::usage)?;
    let target = resolved.narrowed(target);
    let node = findings::Node::new(&observation.node.name, &snapshot.pods, &facts);
    let judgement = findings::evaluate(&node);
    Ok(view::explain(observation, &snapshot, &facts, &judgement, target))
}

/// What the rules say of an observation, as a report.
#[must_use]
pub fn audit(
    observation: &Observation,
    choice: &audit::Choice,
    waivers: &[audit::Waiver],
    baseline: &audit::Baseline,
    manifests: &Manifests,
) -> FindingList {
    let (snapshot, facts) = state::snapshot_and_facts(observation, None);
    let node = findings::Node::new(&observation.node.name, &snapshot.pods, &facts).with_manifests(manifests);
    let judgement = findings::evaluate(&node);
    audit::report(observation, &snapshot, judgement, choice, waivers, baseline)
}

/// What the rules say of an earlier observation, to compare with.
#[must_use]
pub fn judged(earlier: &Observation, manifests: &Manifests) -> audit::Baseline {
    let (snapshot, facts) = state::snapshot_and_facts(earlier, None);
    let node = findings::Node::new(&earlier.node.name, &snapshot.pods, &facts).with_manifests(manifests);
    audit::Baseline::judged(earlier, findings::evaluate(&node))
}

/// The processes in an observation of the PID namespaces that a target means.
///
/// # Errors
/// If the target is unknown or ambiguous.
pub fn processes(observation: &Observation, target: Option<&str>, all: bool) -> Result<ProcessList, Failure> {
    let snapshot = state::snapshot(observation);
    let spaces = state::processes::of(observation, &snapshot);
    view::process_list(observation, &snapshot, spaces, target, all).map_err(Failure::usage)
}

/// The namespaces in an observation.
#[must_use]
pub fn namespaces(observation: &Observation) -> Namespaces<'_> {
    Namespaces::of(observation)
}

/// Runs the demo: its pods are shown as `inspector pods` shows any.
///
/// # Errors
/// If it cannot make its pods, or they cannot be shown.
pub fn run_demo(args: &DemoArgs, settings: &Settings) -> Result<(), Failure> {
    let Input::Node(options) = &settings.input else {
        return Err(Failure::usage("the demo makes pods on this node; leave --replay out"));
    };
    let terminal = Terminal::detect();
    let look = Look {
        width: Some(terminal.width().unwrap_or(80)),
        colour: terminal.colour(settings.color),
        headers: true,
        inodes: false,
        filtered_from: None,
    };
    let mut show = |pids: &[u32]| -> anyhow::Result<()> {
        let observation = observe_for_demo(options)?;
        let mut list = pods(&observation, true);
        list.pods.retain(|pod| pod.containers.iter().any(|container| pids.contains(&container.init_pid)));
        let shown = |pod: Option<&String>| list.pods.iter().any(|it| Some(&it.id) == pod);
        list.findings.retain(|finding| shown(finding.subject.pod.as_ref()));
        let mut out = std::io::stdout().lock();
        out.write_all(render::pods(&list, Format::Table, &look)?.as_bytes())?;
        out.flush()?;
        Ok(())
    };
    let options = demo::Options { keep: args.keep };
    demo::run(&options, &mut std::io::stdout(), &mut show).or_else(|error| {
        // Who reads only the beginning has seen enough.
        let closed = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        if closed { Ok(()) } else { Err(Failure::collect(format!("the demo failed: {error:#}"))) }
    })
}

/// The demo is about what eBPF sees: it prefers it, however few tasks there are.
fn observe_for_demo(options: &Options) -> Result<Observation, Failure> {
    if options.tasks == TaskChoice::Auto {
        let options = Options { tasks: TaskChoice::Bpf, ..options.clone() };
        match input::collect(&options) {
            Ok(observation) => return Ok(observation),
            Err(failure) => log::info!("{failure}"),
        }
    }
    input::collect(options)
}

/// Runs the doctor.
///
/// # Errors
/// If the answer cannot be printed.
pub fn run_doctor(_args: &DoctorArgs, settings: &Settings) -> Result<(), Failure> {
    let Input::Node(options) = &settings.input else {
        return Err(Failure::usage("the doctor looks at this node; leave --replay out"));
    };
    let context = Context::new(options.clone());
    let probed = bpf::probe(&context);
    let report = doctor::examine(&context, &bpf_load(&probed), &event_load(&probed));
    let failed = |error: serde_json::Error| {
        Failure::collect(format!("could not print the diagnosis: {error}; this is a bug, please report it"))
    };
    let text = match settings.format {
        Format::Json => render::json::pretty(&report).map_err(failed)?,
        Format::Yaml => render::yaml::document(&report).map_err(failed)?,
        Format::Table | Format::Wide => {
            let width = Terminal::detect().width().unwrap_or(100);
            doctor::table(&report, u16::try_from(width).unwrap_or(u16::MAX))
        }
        Format::Name => return Err(Failure::usage("a diagnosis has no names; use -o table, json or yaml")),
    };
    output::print(&text)
}

/// How the kernel takes the event programs, in the doctor's words.
fn event_load(report: &bpf::Report) -> doctor::BpfLoad {
    if !bpf::is_built_in() {
        return doctor::BpfLoad::NotBuilt;
    }
    match &report.events {
        Ok(bpf::EventReport { tier, programs, took }) => {
            let names: Vec<String> = programs
                .iter()
                .map(|(name, instructions)| match instructions {
                    0 => (*name).to_owned(),
                    _ => format!("{name} ({instructions} instructions verified)"),
                })
                .collect();
            let ms = took.as_millis();
            doctor::BpfLoad::Works(format!("tier {}: {}, {ms} ms", tier.name(), names.join(", ")))
        }
        Err(why) => doctor::BpfLoad::Fails(why.clone()),
    }
}

/// How the kernel takes the programs, in the doctor's words.
fn bpf_load(report: &bpf::Report) -> doctor::BpfLoad {
    if !bpf::is_built_in() {
        return doctor::BpfLoad::NotBuilt;
    }
    match &report.read {
        Ok((tasks, took)) => {
            let loaded: Vec<String> = report
                .programs
                .iter()
                .map(|program| match &program.outcome {
                    Ok((Some(instructions), took)) => {
                        format!(
                            "{} ({instructions} instructions verified, {} ms)",
                            program.variant.program(),
                            took.as_millis()
                        )
                    }
                    Ok((None, took)) => format!("{} ({} ms)", program.variant.program(), took.as_millis()),
                    Err(why) => format!("{} refused: {why}", program.variant.program()),
                })
                .collect();
            let micros = took.as_micros();
            doctor::BpfLoad::Works(format!("{}; {tasks} tasks read in {micros} µs", loaded.join(", ")))
        }
        Err(why) => {
            let refusals = report.programs.iter().find_map(|program| program.outcome.as_ref().err());
            doctor::BpfLoad::Fails(refusals.unwrap_or(why).clone())
        }
    }
}
