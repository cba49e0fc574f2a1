//! For people: findings by severity, each in a line or with all about it, then the sum and what it rests on.

use std::collections::{BTreeMap, HashMap};

use super::super::layout::{Column, Layout, Overflow, Text};
use super::super::text::{clean, fit, wrap};
use super::super::{Look, Tone, coverage, findings, words};
use crate::view::{AuditFinding, FindingList, Severity, Status};

const fn column(title: &'static str, min: usize, max: usize, luxury: u8) -> Column {
    Column { title, min, max, right: false, overflow: Overflow::End, luxury }
}

const COLUMNS: [Column; 5] = [
    column("RULE", 6, 6, 0),
    column("NAME", 15, 20, 2),
    column("SUBJECT", 16, 44, 0),
    column("KINDS", 3, 16, 1),
    Column { title: "WHAT", min: 30, max: 100, right: false, overflow: Overflow::Wrap, luxury: 0 },
];

/// For how many reasons a rule could not judge something is listed without `--all`.
const REASONS: usize = 3;

/// How much of what is gone is listed without `--all`.
const GONE: usize = 12;

pub(super) fn findings(list: &FindingList, look: &Look, wide: bool, all: bool) -> String {
    let shown: Vec<&AuditFinding> =
        list.findings.iter().filter(|it| all || it.status == Status::Open).collect();
    let mut out = String::new();
    if shown.is_empty() {
        out.push_str(&paragraph(nothing(list), Tone::Good, look));
    } else if wide {
        out.push_str(&blocks(&shown, look));
    } else {
        out.push_str(&rows(list, &shown, look));
    }
    out.push_str(&undetermined(list, look, all));
    out.push_str(&idle_waivers(list, look));
    out.push_str(&idle_suppressions(list, look, all));
    out.push_str(&gone(list, look, all));
    out.push_str(&compared(list, look));
    if !shown.is_empty() && !wide {
        out.push('\n');
        let hint =
            "What to do about each: inspector audit -o wide. What a rule is about: inspector rules RULE.";
        out.push_str(&paragraph(hint, Tone::Dim, look));
    }
    let hidden = hidden(list, all);
    out.push_str(&coverage::foot_of(&list.coverage, Some(&sum(list)), hidden.as_deref(), look));
    out
}

fn paragraph(text: &str, tone: Tone, look: &Look) -> String {
    let lines = wrap(text, look.width.unwrap_or(usize::MAX));
    lines.iter().map(|line| tone.paint(line, look) + "\n").collect()
}

/// The groups of findings of each severity, worst first.
fn by_severity<'f>(shown: &[&'f AuditFinding]) -> BTreeMap<Severity, Vec<findings::Group<'f>>> {
    let mut by_severity = BTreeMap::new();
    for group in findings::groups(shown.iter().map(|it| &it.finding)) {
        if let Some(first) = group.first() {
            by_severity.entry(first.severity).or_insert_with(Vec::new).push(group);
        }
    }
    by_severity
}

/// The findings by id.
type ById<'f> = HashMap<&'f str, &'f AuditFinding>;

fn rows(list: &FindingList, shown: &[&AuditFinding], look: &Look) -> String {
    let groups = by_severity(shown);
    let by_id: ById<'_> = shown.iter().map(|it| (it.finding.id.as_str(), *it)).collect();
    let rows: BTreeMap<Severity, Vec<Vec<Text>>> = groups
        .iter()
        .map(|(severity, groups)| (*severity, groups.iter().map(|group| row(list, &by_id, group)).collect()))
        .collect();
    let every: Vec<Vec<Text>> = rows.values().flatten().cloned().collect();
    let layout = Layout::new(&COLUMNS, &every, look.width);
    let mut out = if look.headers { layout.header(look) } else { String::new() };
    for (severity, rows) in &rows {
        let count = groups.get(severity).map_or(0, |groups| groups.iter().map(Vec::len).sum::<usize>());
        let title = format!("{} ({count})", severity.name().to_uppercase());
        out.push_str(&findings::tone(*severity).paint(&title, look));
        out.push('\n');
        for row in rows {
            out.push_str(&layout.lines(std::slice::from_ref(row), look));
        }
    }
    out
}

fn row(list: &FindingList, by_id: &ById<'_>, group: &findings::Group<'_>) -> Vec<Text> {
    let plain = |text: String| (text, Tone::Plain);
    let Some(first) = group.first() else { return vec![plain(String::new()); COLUMNS.len()] };
    let audited = by_id.get(first.id.as_str()).copied();
    let mut whole = audited.cloned();
    if let Some(whole) = &mut whole {
        whole.finding.subject.namespace_kind = None;
    }
    let subject = match (&whole, first.subject.pod.is_some() || first.subject.container.is_some()) {
        (Some(whole), true) => super::subject(whole),
        _ => audited.map(super::subject).unwrap_or_default(),
    };
    let status = match audited.map_or(Status::Open, |it| it.status) {
        Status::Open if list.compared.is_some() => "[new] ".to_owned(),
        Status::Open => String::new(),
        Status::Baseline if list.compared.is_some() => "[unchanged] ".to_owned(),
        other => format!("[{}] ", other.name()),
    };
    let what = findings::summary(group);
    vec![
        (first.rule.to_owned(), Tone::Strong),
        plain(first.name.to_owned()),
        plain(clean(&subject).into_owned()),
        plain(findings::kinds_of(group)),
        plain(format!("{status}{what}")),
    ]
}

fn blocks(shown: &[&AuditFinding], look: &Look) -> String {
    let name = |id: &str| {
        let pods = shown.iter().filter_map(|it| it.pod.as_ref());
        pods.into_iter().find(|pod| pod.id == id).map(|pod| clean(&pod.to_string()).into_owned())
    };
    let groups = by_severity(shown);
    let text: String = groups.values().flatten().map(|group| findings::block(group, &name, look)).collect();
    text.trim_start_matches('\n').to_owned()
}

fn nothing(list: &FindingList) -> &'static str {
    if list.compared.is_some() {
        return "Nothing is new.";
    }
    match (list.summary.undetermined, list.coverage.partial) {
        (0, false) => "Nothing is wrong, as far as the rules go.",
        _ => "Nothing was found to be wrong; not everything could be judged.",
    }
}

/// Each rule that could not judge something, with the reasons.
fn undetermined(list: &FindingList, look: &Look, all: bool) -> String {
    if list.undetermined.is_empty() {
        return String::new();
    }
    let mut rules: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for it in &list.undetermined {
        *rules.entry(it.rule).or_default().entry(&it.why).or_default() += 1;
    }
    let mut out =
        format!("\n{}\n", Tone::Doubtful.paint(&format!("UNDETERMINED ({})", list.undetermined.len()), look));
    let room = look.width.map_or(usize::MAX, |screen| screen.saturating_sub(8));
    for (rule, reasons) in rules {
        let limit = if all { reasons.len() } else { REASONS };
        let mut label = rule;
        let mut line = |text: &str| {
            for line in wrap(text, room) {
                out.push_str(&format!("{label:<6}  {line}\n"));
                label = "";
            }
        };
        for (why, count) in reasons.iter().take(limit) {
            let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
            line(&format!("{}{times}", clean(why)));
        }
        if reasons.len() > limit {
            line(&format!("and {} more (--all)", reasons.len() - limit));
        }
    }
    out
}

fn idle_waivers(list: &FindingList, look: &Look) -> String {
    let mut out = String::new();
    for waiver in &list.idle_waivers {
        let text = format!(
            "The waiver of {} for {} ({}) {}.",
            clean(&waiver.rule),
            clean(&waiver.subject),
            clean(&waiver.reason),
            waiver.why
        );
        out.push('\n');
        out.push_str(&paragraph(&text, Tone::Doubtful, look));
    }
    out
}

fn idle_suppressions(list: &FindingList, look: &Look, all: bool) -> String {
    let mut out = String::new();
    let limit = if all { list.idle_suppressions.len() } else { GONE };
    for it in list.idle_suppressions.iter().take(limit) {
        let rule = if it.rule.is_empty() { "nothing" } else { &it.rule };
        let text = format!("A label of {} ignores {}: {}.", clean(&it.of), clean(rule), it.why);
        out.push('\n');
        out.push_str(&paragraph(&text, Tone::Doubtful, look));
    }
    if list.idle_suppressions.len() > limit {
        let more = format!("And {} more such labels (--all).", list.idle_suppressions.len() - limit);
        out.push('\n');
        out.push_str(&paragraph(&more, Tone::Doubtful, look));
    }
    out
}

/// With which recording it was compared, and what came of it.
fn compared(list: &FindingList, look: &Look) -> String {
    let Some(compared) = &list.compared else { return String::new() };
    let time = compared.time.as_deref().unwrap_or("an unknown time");
    let mut text = format!(
        "Compared with the recording of {}: {} new, {} unchanged, {} gone.",
        clean(time),
        list.summary.open,
        list.summary.baseline,
        list.gone.len()
    );
    if !compared.unsure.is_empty() {
        let rules = compared.unsure.join(", ");
        text.push_str(&format!(
            " In that recording {rules} could not judge everything: what is new by that may have been there."
        ));
    }
    format!("\n{}", paragraph(&text, Tone::Strong, look))
}

/// What the baseline had and this node has no more.
fn gone(list: &FindingList, look: &Look, all: bool) -> String {
    if list.gone.is_empty() {
        return String::new();
    }
    let since = if list.compared.is_some() { "THEN" } else { "THE BASELINE" };
    let title = format!("GONE SINCE {since} ({})", list.gone.len());
    let mut out = format!("\n{}\n", Tone::Good.paint(&title, look));
    let limit = if all { list.gone.len() } else { GONE };
    let room = look.width.map_or(usize::MAX, |screen| screen.saturating_sub(8));
    for it in list.gone.iter().take(limit) {
        let mut label = fit(&it.rule, 6);
        for line in wrap(&clean(&it.message), room) {
            out.push_str(&format!("{label:<6}  {line}\n"));
            label.clear();
        }
    }
    if list.gone.len() > limit {
        out.push_str(&format!("        and {} more (--all)\n", list.gone.len() - limit));
    }
    out
}

/// `4 open findings: 1 critical, 3 high; 2 undetermined.`
fn sum(list: &FindingList) -> String {
    let summary = &list.summary;
    let severities: Vec<String> =
        summary.by_severity.iter().map(|(severity, count)| format!("{count} {}", severity.name())).collect();
    let mut text = words::count(summary.open, "open finding", "open findings");
    if !severities.is_empty() {
        text.push_str(": ");
        text.push_str(&severities.join(", "));
    }
    if summary.undetermined > 0 {
        text.push_str(&format!("; {} undetermined", summary.undetermined));
    }
    text + "."
}

fn hidden(list: &FindingList, all: bool) -> Option<String> {
    let mut parts = Vec::new();
    if list.summary.waived > 0 {
        parts.push(format!("{} waived", list.summary.waived));
    }
    if list.summary.baseline > 0 {
        let of = if list.compared.is_some() { "unchanged" } else { "of the baseline" };
        parts.push(format!("{} {of}", list.summary.baseline));
    }
    if list.summary.suppressed > 0 {
        parts.push(format!("{} suppressed by labels", list.summary.suppressed));
    }
    (!parts.is_empty() && !all).then(|| format!("{} hidden (--all).", parts.join(", ")))
}
