//! What others' programs are given against what their standards take: the parts that are used, written down from the
//! standards, with every field closed, so that a field that is misspelt or in the wrong place does not pass.

use serde_json::{Value, json};

use super::tests::hostile;
use super::{policy, sarif};
use crate::view::Severity;

/// An object of these fields and no other.
fn object(required: &[&str], fields: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": fields, "additionalProperties": false })
}

fn text() -> Value {
    object(&["text"], json!({ "text": { "type": "string", "minLength": 1 } }))
}

fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// SARIF 2.1.0 (OASIS Standard, 27 March 2020), sections 3.13 to 3.58.
fn sarif_schema() -> Value {
    // 3.58.6, 3.27.10
    let level = json!({ "enum": ["none", "note", "warning", "error"] });
    let bag = json!({ "type": "object", "properties": { "tags": list(&json!({ "type": "string" })) } });
    let descriptor = object(
        &["id"],
        json!({
            "id": { "type": "string" },
            "name": { "type": "string" },
            "shortDescription": text(),
            "fullDescription": text(),
            "help": text(),
            "defaultConfiguration": object(&[], json!({ "level": level })),
            "properties": bag,
        }),
    );
    let notification = object(
        &["message"],
        json!({
            "message": text(),
            "level": level,
            "associatedRule": object(&[], json!({ "id": { "type": "string" } })),
        }),
    );
    let invocation = object(
        &["executionSuccessful"],
        json!({
            "executionSuccessful": { "type": "boolean" },
            "toolExecutionNotifications": list(&notification),
            "machine": { "type": "string" },
            "endTimeUtc": { "type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$" },
        }),
    );
    let place = object(
        &[],
        json!({
            "name": { "type": "string" },
            "fullyQualifiedName": { "type": "string" },
            "kind": { "type": "string" },
        }),
    );
    // 3.35
    let suppression = object(
        &["kind"],
        json!({
            "kind": { "enum": ["inSource", "external"] },
            "status": { "enum": ["accepted", "underReview", "rejected"] },
            "justification": { "type": "string" },
        }),
    );
    let result = object(
        &["message"],
        json!({
            "ruleId": { "type": "string" },
            "ruleIndex": { "type": "integer", "minimum": -1 },
            "level": level,
            "message": text(),
            "locations": list(&object(&[], json!({ "logicalLocations": list(&place) }))),
            "partialFingerprints": { "type": "object", "additionalProperties": { "type": "string" } },
            "suppressions": list(&suppression),
            "properties": bag,
        }),
    );
    let driver = object(
        &["name"],
        json!({
            "name": { "type": "string" },
            "semanticVersion": { "type": "string", "pattern": "^\\d+\\.\\d+\\.\\d+" },
            "rules": list(&descriptor),
        }),
    );
    let run = object(
        &["tool"],
        json!({
            "tool": object(&["driver"], json!({ "driver": driver })),
            "automationDetails": object(&[], json!({ "id": { "type": "string" } })),
            "invocations": list(&invocation),
            "results": list(&result),
        }),
    );
    object(
        &["version", "runs"],
        json!({
            "$schema": { "type": "string", "format": "uri" },
            "version": { "const": "2.1.0" },
            "runs": list(&run),
        }),
    )
}

/// `wgpolicyk8s.io/v1alpha2` and `openreports.io/v1alpha1`, whose results are alike.
fn reports_schema(version: &str, kinds: [&str; 2], source: bool) -> Value {
    let reference = object(
        &[],
        json!({
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "name": { "type": "string" },
            "namespace": { "type": "string" },
        }),
    );
    let count = json!({ "type": "integer", "minimum": 0 });
    let result = object(
        &["policy"],
        json!({
            "source": { "type": "string" },
            "policy": { "type": "string", "minLength": 1 },
            "rule": { "type": "string" },
            "category": { "type": "string" },
            "severity": { "enum": ["critical", "high", "low", "medium", "info"] },
            "result": { "enum": ["pass", "fail", "warn", "error", "skip"] },
            "scored": { "type": "boolean" },
            "timestamp": object(&["nanos", "seconds"], json!({
                "seconds": { "type": "integer" },
                "nanos": { "type": "integer" },
            })),
            "message": { "type": "string" },
            "resources": list(&reference),
            // Strings only: what is no string is refused by the API server.
            "properties": { "type": "object", "additionalProperties": { "type": "string" } },
        }),
    );
    let name = json!({ "type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 253 });
    let mut fields = json!({
        "apiVersion": { "const": version },
        "kind": { "enum": kinds },
        "metadata": object(&["name"], json!({
            "name": name,
            "namespace": { "type": "string" },
            "labels": { "type": "object", "additionalProperties": { "type": "string", "maxLength": 63 } },
        })),
        "scope": reference,
        "summary": object(&[], json!({
            "pass": count, "fail": count, "warn": count, "error": count, "skip": count,
        })),
        "results": list(&result),
    });
    if source {
        fields["source"] = json!({ "type": "string" });
    }
    object(
        &["apiVersion", "kind", "items"],
        json!({
            "apiVersion": { "const": "v1" },
            "kind": { "const": "List" },
            "items": list(&object(&["apiVersion", "kind", "metadata"], fields)),
        }),
    )
}

/// Takes what is printed, and nothing that has a field more, or a value changed at one of these places.
fn takes(schema: &Value, printed: &Value, wrong: &[(&str, Value)]) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(printed).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for (pointer, value) in wrong {
        let mut bad = printed.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}: {printed:#}")) =
            value.clone();
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}

#[test]
fn sarif_is_as_its_standard_has_it() {
    let mut list = hostile();
    list.node.time = Some("2026-11-27T20:30:00.5Z".to_owned());
    let log = sarif::log(&list);
    takes(
        &sarif_schema(),
        &log,
        &[
            ("/version", json!("2.0.0")),
            ("/runs/0/tool/driver", json!({})),
            ("/runs/0/results/0/level", json!("critical")),
            ("/runs/0/results/0/message", json!("text")),
            ("/runs/0/results/2/suppressions/0/kind", json!("waiver")),
            ("/runs/0/invocations/0/endTimeUtc", json!("yesterday")),
        ],
    );
    // Every result's rule is the one at its index, and what is not open is suppressed.
    for (result, finding) in log["runs"][0]["results"].as_array().unwrap().iter().zip(&list.findings) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert_eq!(result.get("suppressions").is_none(), finding.status.name() == "open");
    }
}

#[test]
fn reports_are_as_their_types_have_them() {
    let mut list = hostile();
    for (finding, severity) in list.findings.iter_mut().zip([
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Info,
    ]) {
        finding.finding.severity = severity;
    }
    for (api, version, kinds, source) in [
        (
            policy::Api::PolicyReport,
            "wgpolicyk8s.io/v1alpha2",
            ["PolicyReport", "ClusterPolicyReport"],
            false,
        ),
        (policy::Api::OpenReports, "openreports.io/v1alpha1", ["Report", "ClusterReport"], true),
    ] {
        let printed = policy::list(&list, api);
        takes(
            &reports_schema(version, kinds, source),
            &printed,
            &[
                ("/items/0/apiVersion", json!("v1")),
                ("/items/0/metadata/name", json!("A Node")),
                ("/items/0/results/0/severity", json!("terrible")),
                ("/items/0/results/0/properties", json!({ "count": 1 })),
                ("/items/0/results/0/timestamp", json!({ "seconds": 1 })),
                ("/items/0/summary", json!({ "failed": 1 })),
            ],
        );
        // The summary counts the results.
        for item in printed["items"].as_array().unwrap() {
            let results = item["results"].as_array().unwrap();
            for outcome in ["pass", "fail", "warn", "error", "skip"] {
                let counted = results.iter().filter(|it| it["result"] == outcome).count();
                assert_eq!(item["summary"][outcome], json!(counted), "{outcome}");
            }
        }
    }
}
