//! Reports as clusters keep them: `PolicyReport` of `wgpolicyk8s.io/v1alpha2`, and its successor, `Report` of
//! `openreports.io/v1alpha1`.
//!
//! One report for each Kubernetes namespace on this node, so that nodes do not overwrite one another's, and one
//! cluster-wide report, whose scope is the node, for all that is in no namespace.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::findings::rule;
use crate::view::{AuditFinding, FindingList, Severity, Status, Undetermined};

/// Whose types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    PolicyReport,
    OpenReports,
}

impl Api {
    const fn version(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
            Self::OpenReports => "openreports.io/v1alpha1",
        }
    }

    const fn kind(self, namespaced: bool) -> &'static str {
        match (self, namespaced) {
            (Self::PolicyReport, true) => "PolicyReport",
            (Self::PolicyReport, false) => "ClusterPolicyReport",
            (Self::OpenReports, true) => "Report",
            (Self::OpenReports, false) => "ClusterReport",
        }
    }
}

/// All reports, as `kubectl apply -f` takes them.
pub(super) fn list(list: &FindingList, api: Api) -> Value {
    let mut results: BTreeMap<Option<String>, Vec<Value>> = BTreeMap::from([(None, Vec::new())]);
    for it in &list.findings {
        let namespace = it.pod.as_ref().and_then(|pod| pod.namespace.clone());
        results.entry(namespace).or_default().push(result(it, list));
    }
    for it in &list.undetermined {
        results.entry(None).or_default().push(skipped(it, list));
    }
    let items: Vec<Value> =
        results.into_iter().map(|(namespace, results)| report(namespace, results, list, api)).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn report(namespace: Option<String>, results: Vec<Value>, list: &FindingList, api: Api) -> Value {
    let name = format!("inspector-{}", dns_label(&list.node.name));
    let count = |wanted: &str| results.iter().filter(|it| it["result"] == wanted).count();
    let summary = json!({
        "pass": count("pass"), "fail": count("fail"), "warn": count("warn"), "error": count("error"), "skip": count("skip"),
    });
    let mut metadata = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("labels".to_owned(), json!({ "app.kubernetes.io/managed-by": "inspector" })),
    ]);
    let namespaced = namespace.is_some();
    if let Some(namespace) = namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    let mut report = Map::from_iter([
        ("apiVersion".to_owned(), json!(api.version())),
        ("kind".to_owned(), json!(api.kind(namespaced))),
        ("metadata".to_owned(), Value::Object(metadata)),
    ]);
    if api == Api::OpenReports {
        report.insert("source".to_owned(), json!("inspector"));
    }
    report.insert("scope".to_owned(), json!({ "apiVersion": "v1", "kind": "Node", "name": list.node.name }));
    report.insert("summary".to_owned(), summary);
    report.insert("results".to_owned(), Value::Array(results));
    Value::Object(report)
}

fn result(it: &AuditFinding, list: &FindingList) -> Value {
    let finding = &it.finding;
    let outcome = match (it.status, finding.severity) {
        (Status::Waived | Status::Baseline | Status::Suppressed, _) => "skip",
        (Status::Open, Severity::Critical | Severity::High) => "fail",
        (Status::Open, _) => "warn",
    };
    let mut properties = Map::from_iter([
        ("resultID".to_owned(), json!(finding.id)),
        ("node".to_owned(), json!(list.node.name)),
        ("subject".to_owned(), json!(super::subject(it))),
        ("consequence".to_owned(), json!(finding.consequence)),
        ("remedy".to_owned(), json!(finding.remedy)),
        ("status".to_owned(), json!(it.status.name())),
    ]);
    if let Some(waiver) = &it.waiver {
        properties.insert("waiver".to_owned(), json!(waiver.reason));
    }
    if it.status == Status::Suppressed {
        properties.insert("suppressed".to_owned(), json!(it.accepted()));
    }
    let message = format!("{}; {}", finding.message, finding.evidence.join("; "));
    let mut result = entry(finding.rule, finding.severity, outcome, &message, properties, list);
    let pod = it.pod.as_ref().filter(|pod| pod.namespace.is_some());
    if let (Some(pod), Some(fields)) = (pod, result.as_object_mut()) {
        let resource =
            json!([{ "apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": pod.namespace }]);
        fields.insert("resources".to_owned(), resource);
    }
    result
}

fn skipped(it: &Undetermined, list: &FindingList) -> Value {
    let severity = rule(it.rule).map_or(Severity::High, |rule| rule.severity);
    let properties = Map::from_iter([("node".to_owned(), json!(list.node.name))]);
    entry(it.rule, severity, "skip", &format!("undetermined: {}", it.why), properties, list)
}

fn entry(
    id: &str,
    severity: Severity,
    outcome: &str,
    message: &str,
    properties: Map<String, Value>,
    list: &FindingList,
) -> Value {
    let seconds = list
        .node
        .time
        .as_deref()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .map_or(0, jiff::Timestamp::as_second);
    json!({
        "source": "inspector",
        "policy": id,
        "rule": rule(id).map_or(id, |rule| rule.name),
        "category": "Pod namespaces",
        "severity": severity.name(),
        "result": outcome,
        "scored": true,
        "timestamp": { "seconds": seconds, "nanos": 0 },
        "message": message,
        "properties": properties,
    })
}

/// A name that Kubernetes takes.
fn dns_label(name: &str) -> String {
    let label: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(50)
        .collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "node".to_owned() } else { label.to_owned() }
}
