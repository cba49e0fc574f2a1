//! What is wrong, below the table: findings, with their evidence, consequence and remedy.
//!
//! Findings of one rule about one container differ by the kind of namespace only; they are shown as one block, in
//! which each statement stands once, with the kinds it holds for where it does not hold for all.

use crate::view::{Finding, PodList, Severity};

use super::text::{clean, fit, width, wrap};
use super::{Look, Tone, words};

/// Columns of the labels on the left.
const LABEL: usize = 15;

/// The block of each group of findings, worst first as the list has them; empty without findings.
pub(super) fn blocks(list: &PodList, look: &Look) -> String {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in &list.findings {
        match groups.iter_mut().find(|group| belong_together(group[0], finding)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.iter().map(|group| block(list, group, look)).collect()
}

fn belong_together(a: &Finding, b: &Finding) -> bool {
    a.rule == b.rule
        && a.severity == b.severity
        && a.subject.pod == b.subject.pod
        && a.subject.container == b.subject.container
        && a.subject.pid == b.subject.pid
        && a.subject.namespace_kind.is_some() == b.subject.namespace_kind.is_some()
}

fn block(list: &PodList, group: &[&Finding], look: &Look) -> String {
    let Some(first) = group.first() else {
        return String::new();
    };
    let tone = match first.severity {
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Doubtful,
        Severity::Low | Severity::Info => Tone::Strong,
    };
    let pod = list.pods.iter().find(|pod| Some(&pod.id) == first.subject.pod.as_ref());
    let place = match (pod, &first.subject.pod) {
        (Some(pod), _) => format!("pod {}", fit(&words::pod_name(pod), 60)),
        (None, Some(id)) => format!("pod {}", words::short_id(id)),
        (None, None) => "this node".to_owned(),
    };
    let kinds = kinds_of(group);
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({kinds})") };
    let mark = if first.severity <= Severity::High { "▲ " } else { "" };
    let title = format!(
        "{mark}{} {} {}: {place}{kinds}",
        first.severity.name().to_uppercase(),
        first.rule,
        first.name
    );

    let mut out = String::from("\n");
    for line in wrap(&title, look.width.unwrap_or(usize::MAX)) {
        out.push_str(&tone.paint(&line, look));
        out.push('\n');
    }
    let one = |text: fn(&Finding) -> &String| statements(group, |finding| vec![text(finding)]);
    section(&mut out, "what", &one(|finding| &finding.message), look);
    section(&mut out, "evidence", &statements(group, |finding| finding.evidence.iter().collect()), look);
    section(&mut out, "consequence", &one(|finding| &finding.consequence), look);
    section(&mut out, "remedy", &one(|finding| &finding.remedy), look);
    out
}

/// The distinct statements of a group, each with the kinds it is about unless it is about all.
fn statements<'a>(group: &[&'a Finding], of: impl Fn(&'a Finding) -> Vec<&'a String>) -> Vec<String> {
    let mut distinct: Vec<(&String, Vec<&Finding>)> = Vec::new();
    for finding in group {
        for statement in of(finding) {
            match distinct.iter_mut().find(|(known, _)| *known == statement) {
                Some((_, findings)) => findings.push(finding),
                None => distinct.push((statement, vec![finding])),
            }
        }
    }
    distinct
        .into_iter()
        .filter(|(statement, _)| !statement.is_empty())
        .map(|(statement, findings)| {
            let statement = clean(statement);
            if findings.len() == group.len() {
                statement.into_owned()
            } else {
                format!("{}: {statement}", kinds_of(&findings))
            }
        })
        .collect()
}

fn kinds_of(group: &[&Finding]) -> String {
    let kinds: Vec<&str> =
        group.iter().filter_map(|finding| Some(finding.subject.namespace_kind?.name())).collect();
    kinds.join(" ")
}

/// A label, and statements beside it, wrapped.
fn section(out: &mut String, label: &str, statements: &[String], look: &Look) {
    let room = look.width.map_or(usize::MAX, |screen| screen.saturating_sub(LABEL));
    let mut label = label;
    for statement in statements {
        for line in wrap(statement, room) {
            let padding = " ".repeat(LABEL.saturating_sub(2 + width(label)));
            out.push_str(format!("  {}{padding}{line}", Tone::Dim.paint(label, look)).trim_end());
            out.push('\n');
            label = "";
        }
    }
}
