//! What of the eBPF reader works here: for `doctor`. Unlike the reader it tries everything, each by itself.

use std::fs;
use std::time::{Duration, Instant};

use super::load::{Reader, Variant};
use super::{BpfError, EventConfig, EventReader, EventTier, object, preconditions, vmlinux};
use crate::observation::Gap;
use crate::source::Context;

/// What was tried, and how it went. Errors are in words, for a person.
#[derive(Clone, Debug)]
pub struct Report {
    /// The hash of the sources that the built-in object comes from.
    pub object: Result<String, String>,
    /// Bytes of the kernel's own types.
    pub btf: Result<u64, String>,
    /// Capabilities that are missing.
    pub missing_capabilities: Vec<&'static str>,
    /// Each of the programs.
    pub programs: Vec<ProgramReport>,
    /// Tasks read, and how long that took once loaded; or why not.
    pub read: Result<(usize, Duration), String>,
    /// The event programs; or why they are refused.
    pub events: Result<EventReport, String>,
    /// What this kernel cannot tell.
    pub gaps: Vec<Gap>,
}

/// How the kernel takes one of the programs.
#[derive(Clone, Debug)]
pub struct ProgramReport {
    /// Which.
    pub variant: Variant,
    /// Instructions that the verifier went through (where the kernel says it) and the time until loaded; or why
    /// it is refused.
    pub outcome: Result<(Option<u32>, Duration), String>,
}

/// How the kernel takes the event programs.
#[derive(Clone, Debug)]
pub struct EventReport {
    /// How setns and unshare are seen.
    pub tier: EventTier,
    /// Each program, and the instructions that the verifier went through; 0 where the kernel does not say it.
    pub programs: Vec<(&'static str, u32)>,
    /// Until they are called.
    pub took: Duration,
}

/// Tries everything.
#[must_use]
pub fn probe(context: &Context) -> Report {
    let words = |error: BpfError| error.to_string();
    let object = object::bytes()
        .map(|bytes| object::identity(bytes).map_or_else(String::new, |found| found.source_sha256))
        .map_err(words);
    let btf = fs::metadata(vmlinux::PATH).map(|found| found.len()).map_err(|error| error.to_string());
    let mut programs = Vec::new();
    let mut read = Err("no program is loaded".to_owned());
    let mut gaps = Vec::new();
    for variant in Variant::ALL {
        let start = Instant::now();
        let opened = Reader::open_variant(context, variant);
        let outcome = match opened {
            Ok(mut reader) => {
                let loaded = (reader.verified_instructions(), start.elapsed());
                if read.is_err() {
                    let start = Instant::now();
                    read = reader.read(context).map_err(words).map(|scan| {
                        gaps = scan.gaps;
                        (scan.tasks.len(), start.elapsed())
                    });
                }
                Ok(loaded)
            }
            Err(error) => Err(error.to_string()),
        };
        programs.push(ProgramReport { variant, outcome });
    }
    let events = events(context).map_err(words);
    let missing_capabilities = preconditions::missing_capabilities();
    Report { object, btf, missing_capabilities, programs, read, events, gaps }
}

/// Attaches the event programs for a moment: with the tracepoints of system calls where there is no better way.
fn events(context: &Context) -> Result<EventReport, BpfError> {
    let start = Instant::now();
    let reader = EventReader::open(context, &EventConfig { syscalls: true, ..EventConfig::default() })?;
    let took = start.elapsed();
    // One program may be in several places.
    let mut programs = reader.verified_instructions();
    programs.sort_unstable();
    programs.dedup();
    Ok(EventReport { tier: reader.tier(), programs, took })
}
