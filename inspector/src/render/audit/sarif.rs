//! SARIF 2.1.0, for code scanners. The places are logical ones: there is no source file to point at.

use serde_json::{Value, json};

use crate::findings::RULES;
use crate::view::{AuditFinding, FindingList, Severity, Status};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// What GitHub sorts security results by: from 0 to 10.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.5",
    }
}

pub(super) fn log(list: &FindingList) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": pascal(rule.name),
                "shortDescription": { "text": rule.fires },
                "fullDescription": { "text": rule.about },
                "help": { "text": format!("{}\n\nRemedy: {}", rule.about, rule.remedy) },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": {
                    "tags": ["security", "namespaces"],
                    "security-severity": security_severity(rule.severity),
                },
            })
        })
        .collect();
    let results: Vec<Value> = list.findings.iter().map(|it| result(it, list)).collect();
    let notifications: Vec<Value> = list
        .undetermined
        .iter()
        .map(|it| json!({ "level": "warning", "message": { "text": format!("undetermined: {}", it.why) }, "associatedRule": { "id": it.rule } }))
        .chain(list.coverage.gaps.iter().map(|gap| {
            json!({ "level": "warning", "message": { "text": format!("not readable: {}: {}", gap.what, gap.why) } })
        }))
        .collect();
    let mut invocation = json!({
        "executionSuccessful": !list.coverage.partial,
        "toolExecutionNotifications": notifications,
        "machine": list.node.name,
    });
    if let (Some(time), Some(fields)) = (&list.node.time, invocation.as_object_mut()) {
        fields.insert("endTimeUtc".to_owned(), json!(time));
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "inspector",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "automationDetails": { "id": format!("inspector/{}", list.node.name) },
            "invocations": [invocation],
            "results": results,
        }],
    })
}

fn result(it: &AuditFinding, list: &FindingList) -> Value {
    let finding = &it.finding;
    let message = format!(
        "{}.\n\nEvidence: {}.\nConsequence: {}.\nRemedy: {}.",
        finding.message,
        finding.evidence.join("; "),
        finding.consequence,
        finding.remedy
    );
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule),
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": [{ "logicalLocations": [{
            "name": super::subject(it),
            "fullyQualifiedName": format!("{}/{}", list.node.name, super::subject(it)),
            "kind": "resource",
        }] }],
        "partialFingerprints": { "inspectorFinding/v1": finding.id },
        "properties": {
            "severity": finding.severity.name(),
            "security-severity": security_severity(finding.severity),
            "subject": finding.subject,
        },
    });
    let kind = if it.status == Status::Suppressed { "inSource" } else { "external" };
    let suppression = (it.status != Status::Open)
        .then(|| json!([{ "kind": kind, "status": "accepted", "justification": it.accepted() }]));
    if let (Some(suppressions), Some(fields)) = (suppression, result.as_object_mut()) {
        fields.insert("suppressions".to_owned(), suppressions);
    }
    result
}

/// `non-pause-owner` as SARIF likes names: `NonPauseOwner`.
fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                .unwrap_or_default()
        })
        .collect()
}
