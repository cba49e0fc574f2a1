//! Markdown, for a ticket or a chat. What processes and runtimes called themselves must not become markup.

use std::fmt::Write as _;

use super::super::text::clean;
use crate::view::{FindingList, Status};

/// Text as Markdown shows it, letter by letter.
fn text(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '('
                | ')'
                | '#'
                | '|'
                | '!'
                | '~'
                | '&'
                | '@'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub(super) fn report(list: &FindingList) -> String {
    let mut out = String::new();
    let node = text(&list.node.name);
    let time = list.node.time.as_deref().unwrap_or("an unknown time");
    let _ = writeln!(out, "# Pod namespaces of {node}\n");
    let summary = &list.summary;
    let _ = writeln!(
        out,
        "{} open, {} waived, {} suppressed, {} of the baseline, {} undetermined; {} tasks read by {} at {}.\n",
        summary.open,
        summary.waived,
        summary.suppressed,
        summary.baseline,
        summary.undetermined,
        list.coverage.tasks,
        list.coverage.source,
        text(time)
    );
    if !list.findings.is_empty() {
        out.push_str("| severity | rule | subject | what | status |\n|---|---|---|---|---|\n");
        for it in &list.findings {
            let _ = writeln!(
                out,
                "| {} | {} {} | {} | {} | {} |",
                it.finding.severity.name(),
                it.finding.rule,
                it.finding.name,
                text(&super::subject(it)),
                text(&it.finding.message),
                it.status.name()
            );
        }
        out.push('\n');
    }
    for it in list.findings.iter().filter(|it| it.status == Status::Open) {
        let finding = &it.finding;
        let _ = writeln!(out, "## {} {}: {}\n", finding.rule, finding.name, text(&super::subject(it)));
        let _ = writeln!(out, "{}.\n", text(&finding.message));
        for evidence in &finding.evidence {
            let _ = writeln!(out, "* {}", text(evidence));
        }
        let _ = writeln!(out, "\n**Consequence:** {}.\n", text(&finding.consequence));
        let _ = writeln!(out, "**Remedy:** {}.\n", text(&finding.remedy));
    }
    if !list.undetermined.is_empty() {
        out.push_str("## Undetermined\n\n");
        for it in &list.undetermined {
            let _ = writeln!(out, "* {}: {}", it.rule, text(&it.why));
        }
        out.push('\n');
    }
    if !list.coverage.gaps.is_empty() {
        out.push_str("## Not readable\n\n");
        for gap in &list.coverage.gaps {
            let _ = writeln!(out, "* {}: {}", text(&gap.what), text(&gap.why));
        }
    }
    out.trim_end().to_owned() + "\n"
}
