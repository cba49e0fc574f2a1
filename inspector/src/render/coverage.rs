//! The foot of a table: the sum, what the answer rests on, what is missing from it, and what was left out.

use crate::observation::RuntimeStatus;
use crate::view::{Coverage, PodList, Verdict};

use super::text::{clean, fit, wrap};
use super::{Look, Tone, words};

/// The foot of a table of pods.
pub(super) fn foot(list: &PodList, look: &Look) -> String {
    let sum = (!list.pods.is_empty()).then(|| sum(list, look));
    foot_of(&list.coverage, sum.as_deref(), hidden(list).as_deref(), look)
}

/// The foot of any answer: what it sums up to, what it rests on, what was left out, what is missing.
pub(super) fn foot_of(coverage: &Coverage, sum: Option<&str>, hidden: Option<&str>, look: &Look) -> String {
    let mut out = String::from("\n");
    let mut line = |text: &str, tone: Tone| {
        let screen = look.width.unwrap_or(usize::MAX);
        for (index, line) in wrap(text, screen.saturating_sub(2)).iter().enumerate() {
            let indent = if index == 0 { "" } else { "  " };
            out.push_str(&tone.paint(&format!("{indent}{line}"), look));
            out.push('\n');
        }
    };
    if let Some(sum) = sum {
        line(sum, Tone::Strong);
    }
    line(&basis(coverage), Tone::Dim);
    if let Some(hidden) = hidden {
        line(hidden, Tone::Dim);
    }
    if coverage.partial {
        line("▲ PARTIAL: a verdict could be different had everything been readable:", Tone::Doubtful);
    }
    for gap in &coverage.gaps {
        line(&format!("- {}: {}", clean(&gap.what), clean(&gap.why)), Tone::Plain);
    }
    out
}

/// `2 pods: 1 application-owned, 1 pause-owned; 3 findings.`
fn sum(list: &PodList, look: &Look) -> String {
    const ORDER: [Verdict; 6] = [
        Verdict::ApplicationOwned,
        Verdict::Unknown,
        Verdict::PauseOwned,
        Verdict::RuntimePinned,
        Verdict::Host,
        Verdict::Isolated,
    ];
    let verdicts: Vec<String> = ORDER
        .into_iter()
        .filter_map(|verdict| {
            let number = list.pods.iter().filter(|pod| pod.verdict == verdict).count();
            (number > 0).then(|| format!("{number} {}", verdict.name()))
        })
        .collect();
    let of = look.filtered_from.map(|all| format!(" of {all}")).unwrap_or_default();
    let pods = if list.pods.len() == 1 && of.is_empty() { "pod" } else { "pods" };
    let findings = words::count(list.findings.len() as u64, "finding", "findings");
    format!("{}{of} {pods}: {}; {findings}.", list.pods.len(), verdicts.join(", "))
}

/// `312 tasks read by eBPF; docker: ok (Docker 20.10.24); containerd: denied (permission denied).`
fn basis(coverage: &Coverage) -> String {
    let source = if coverage.source == "bpf" { "eBPF (bpf)" } else { "/proc (procfs)" };
    let mut parts = vec![format!("{} read by {source}", words::count(coverage.tasks, "task", "tasks"))];
    if coverage.unreadable > 0 {
        parts.push(format!("{} unreadable", words::count(coverage.unreadable, "process", "processes")));
    }
    for runtime in &coverage.runtimes {
        let status = match runtime.status {
            // What is not there is said only when nothing is there.
            RuntimeStatus::Absent => continue,
            RuntimeStatus::Ok => "ok",
            RuntimeStatus::Denied => "DENIED",
            RuntimeStatus::Error => "ERROR",
        };
        let detail = if runtime.detail.is_empty() {
            String::new()
        } else {
            format!(" ({})", fit(&runtime.detail, 60))
        };
        parts.push(format!("{}: {status}{detail}", runtime.runtime.name()));
    }
    if coverage.runtimes.iter().all(|runtime| runtime.status == RuntimeStatus::Absent) {
        parts.push("no container runtime found".to_owned());
    }
    parts.join("; ") + "."
}

/// `2 exited pods and 5 single-process groups hidden (--all).`
fn hidden(list: &PodList) -> Option<String> {
    let hidden = list.hidden;
    let mut parts = Vec::new();
    if hidden.exited > 0 {
        parts.push(words::count(hidden.exited, "exited pod", "exited pods"));
    }
    if hidden.unmanaged > 0 {
        parts.push(words::count(hidden.unmanaged, "single-process group", "single-process groups"));
    }
    (!parts.is_empty()).then(|| format!("{} hidden (--all).", parts.join(" and ")))
}
