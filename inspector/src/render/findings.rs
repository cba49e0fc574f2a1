//! What is wrong, below the table: findings, with their evidence, consequence and remedy.
//!
//! Findings of one rule about one container differ by the kind of namespace only; they are shown as one block, in
//! which each statement stands once, with the kinds it holds for where it does not hold for all.

use std::collections::HashMap;

use crate::view::{Finding, PodList, Severity};

/// Findings that are shown as one.
pub(crate) type Group<'f> = Vec<&'f Finding>;

use super::text::{clean, fit, width, wrap};
use super::{Look, Tone, words};

/// Columns of the labels on the left.
const LABEL: usize = 15;

/// So many are told in full, however mild.
const FEW: usize = 3;

/// What is bad enough to be told in full below a table of pods, worst first as the list has it, and how much there is
/// besides; empty without findings.
pub(super) fn below_pods(list: &PodList, look: &Look) -> String {
    let name = |id: &str| list.pods.iter().find(|pod| pod.id == id).map(words::pod_name);
    let groups = groups(&list.findings);
    let few = groups.len() <= FEW;
    let (told, other): (Vec<&Group<'_>>, Vec<&Group<'_>>) =
        groups.iter().partition(|group| few || group.iter().any(|it| it.severity <= Severity::High));
    let mut out: String = told.iter().map(|group| block(group, &name, look)).collect();
    if !other.is_empty() {
        let count = other.iter().map(|group| group.len() as u64).sum();
        let findings = words::count(count, "finding", "findings");
        let text = format!("{findings} of lower severity: `inspector audit` lists all, with what to do.");
        out.push('\n');
        for line in wrap(&text, look.width.unwrap_or(usize::MAX)) {
            out.push_str(&Tone::Doubtful.paint(&line, look));
            out.push('\n');
        }
    }
    out
}

/// Puts together what differs by the kind of namespace only, in the order of the first of each.
pub(crate) fn groups<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Vec<Group<'f>> {
    let mut groups: Vec<Group<'f>> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for finding in findings {
        // One of no pod, container or process stands alone.
        let subject = &finding.subject;
        let alone = subject.pod.is_none() && subject.container.is_none() && subject.pid.is_none();
        let key = (
            finding.rule,
            finding.severity,
            &subject.pod,
            &subject.container,
            subject.pid,
            subject.namespace_kind.is_some(),
            (alone || subject.namespace_kind.is_none()).then_some(&finding.id),
        );
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.push(finding);
        }
    }
    groups
}

/// All about one group. `name` is that of a pod by its id.
pub(super) fn block(group: &[&Finding], name: &dyn Fn(&str) -> Option<String>, look: &Look) -> String {
    let Some(first) = group.first() else {
        return String::new();
    };
    let tone = tone(first.severity);
    let place = match &first.subject.pod {
        Some(id) => match name(id) {
            Some(name) => format!("pod {}", fit(&name, 60)),
            None => format!("pod {}", words::short_id(id)),
        },
        None => "this node".to_owned(),
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

/// What a group of findings says: where only the kind makes the difference, once, with all of them.
pub(super) fn summary(group: &[&Finding]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let of_kind = |finding: &Finding, kinds: &str| {
        let kind = finding.subject.namespace_kind.map(|kind| format!("{kind} namespace"));
        kind.map_or_else(|| finding.message.clone(), |kind| finding.message.replacen(&kind, kinds, 1))
    };
    let kinds: Vec<&str> = group.iter().filter_map(|it| Some(it.subject.namespace_kind?.name())).collect();
    let together = format!("{} namespaces", kinds.join(", "));
    match group.len() {
        1 => clean(&first.message).into_owned(),
        _ if group.iter().all(|it| of_kind(it, &together) == of_kind(first, &together)) => {
            clean(&of_kind(first, &together)).into_owned()
        }
        _ => statements(group, |finding| vec![&finding.message]).join("; "),
    }
}

/// How a severity looks.
pub(crate) const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Doubtful,
        Severity::Low | Severity::Info => Tone::Strong,
    }
}

/// The distinct statements of a group, each with the kinds it is about unless it is about all.
pub(crate) fn statements<'a>(
    group: &[&'a Finding],
    of: impl Fn(&'a Finding) -> Vec<&'a String>,
) -> Vec<String> {
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

pub(crate) fn kinds_of(group: &[&Finding]) -> String {
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
