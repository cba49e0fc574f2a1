//! `JUnit`'s XML: a suite for each rule, a case for each subject; a rule that found nothing is a case that passed.

use std::fmt::Write as _;

use crate::findings::RULES;
use crate::view::{AuditFinding, FindingList, Status};

/// Text as XML 1.0 can hold it: what it has no way to write becomes U+FFFD.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn suites(list: &FindingList) -> String {
    let mut body = String::new();
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for rule in &RULES {
        let found: Vec<&AuditFinding> =
            list.findings.iter().filter(|it| it.finding.rule == rule.id).collect();
        let unsure: Vec<_> = list.undetermined.iter().filter(|it| it.rule == rule.id).collect();
        let mut cases = String::new();
        let (mut failed, mut passed_over) = (0, 0);
        let class = format!("{}.{}", rule.id, rule.name);
        for it in &found {
            let name = text(&super::subject(it));
            let _ = writeln!(cases, "    <testcase classname=\"{class}\" name=\"{name}\">");
            let message = text(&it.finding.message);
            if it.status == Status::Open {
                failed += 1;
                let severity = it.finding.severity.name();
                let mut about = it.finding.evidence.clone();
                about.push(format!("consequence: {}", it.finding.consequence));
                about.push(format!("remedy: {}", it.finding.remedy));
                about.push(format!("id: {}", it.finding.id));
                let about: Vec<String> = about.iter().map(|line| text(line)).collect();
                let _ = writeln!(
                    cases,
                    "      <failure type=\"{severity}\" message=\"{message}\">{}</failure>",
                    about.join("\n")
                );
            } else {
                passed_over += 1;
                let reason = it.accepted();
                let _ =
                    writeln!(cases, "      <skipped message=\"{}: {}\"/>", it.status.name(), text(&reason));
            }
            cases.push_str("    </testcase>\n");
        }
        for it in &unsure {
            passed_over += 1;
            let _ = writeln!(
                cases,
                "    <testcase classname=\"{class}\" name=\"undetermined: {0}\">\n      <skipped message=\"{0}\"/>\n    </testcase>",
                text(&it.why)
            );
        }
        let mut count = found.len() + unsure.len();
        if count == 0 {
            count = 1;
            let _ = writeln!(cases, "    <testcase classname=\"{class}\" name=\"this node\"/>");
        }
        let _ = writeln!(
            body,
            "  <testsuite name=\"{class}\" hostname=\"{}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"{passed_over}\">\n{cases}  </testsuite>",
            text(&list.node.name)
        );
        tests += count;
        failures += failed;
        skipped += passed_over;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"inspector audit\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n{body}</testsuites>\n"
    )
}
