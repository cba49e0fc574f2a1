//! What the program answered, as JSON, and the part of it that is about a test's own containers: other
//! containers may come and go on the machine meanwhile.

use std::path::Path;

use serde_json::Value;

use super::run::Run;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub json: Value,
}

/// The pods with any of the containers asked for, and the findings about those.
#[derive(Clone, Debug, PartialEq)]
pub struct Ours {
    pub pods: Vec<Value>,
    pub findings: Vec<Value>,
}

impl Answer {
    /// Reads it. The run has to have succeeded, and what it printed has to be what the published schema says.
    pub fn of(run: Run) -> Self {
        let run = run.succeeded();
        let json =
            serde_json::from_str(run.text()).unwrap_or_else(|error| panic!("{}: {error}", run.command));
        if let Some(schema) = schema() {
            validate(&schema, &json)
                .unwrap_or_else(|error| panic!("{}: not as the schema says: {error}", run.command));
        }
        Self { json }
    }

    /// The part about these containers. Each is in one pod at most.
    pub fn ours(&self, ids: &[&str]) -> Ours {
        let has = |pod: &&Value| containers(pod).iter().any(|row| ids.iter().any(|id| row["id"] == *id));
        let pods: Vec<Value> = list(&self.json, "pods").iter().filter(has).cloned().collect();
        for id in ids {
            let rows = pods.iter().flat_map(containers).filter(|row| row["id"] == *id).count();
            assert!(rows <= 1, "{id} is listed {rows} times: {pods:#?}");
        }
        let about = |finding: &&Value| {
            pods.iter().any(|pod| pod["id"] == finding["subject"]["pod"])
                || ids.iter().any(|id| finding["subject"]["container"] == *id)
        };
        let findings = list(&self.json, "findings").iter().filter(about).cloned().collect();
        Ours { pods, findings }
    }

    /// The texts of the gaps.
    pub fn gaps(&self) -> Vec<String> {
        let gaps = list(&self.json["coverage"], "gaps").iter();
        gaps.map(|gap| format!("{}: {}", gap["what"].as_str().unwrap(), gap["why"].as_str().unwrap()))
            .collect()
    }

    /// How asking at one place went.
    pub fn status(&self, endpoint: &str) -> &str {
        let reports = list(&self.json["coverage"], "runtimes").iter();
        let mut there = reports.filter(|report| report["endpoint"].as_str().unwrap().contains(endpoint));
        match (there.next(), there.next()) {
            (Some(report), None) => report["status"].as_str().unwrap(),
            _ => panic!("one report on {endpoint} expected: {:#}", self.json["coverage"]),
        }
    }
}

impl Ours {
    /// The pod that a container is in.
    pub fn pod_of(&self, id: &str) -> &Value {
        let has = |pod: &&Value| containers(pod).iter().any(|row| row["id"] == id);
        self.pods.iter().find(has).unwrap_or_else(|| panic!("{id} is in no pod: {:#?}", self.pods))
    }

    /// A container's row.
    pub fn container(&self, id: &str) -> &Value {
        containers(self.pod_of(id)).iter().find(|row| row["id"] == id).unwrap()
    }

    /// The only pod.
    pub fn the_pod(&self) -> &Value {
        assert_eq!(self.pods.len(), 1, "one pod expected: {:#?}", self.pods);
        &self.pods[0]
    }

    /// The findings of a rule, as (kind of namespace, container).
    pub fn findings_of(&self, rule: &str) -> Vec<(&str, &str)> {
        let of_rule = self.findings.iter().filter(|finding| finding["rule"] == rule);
        let mut found: Vec<_> = of_rule
            .map(|finding| {
                let subject = &finding["subject"];
                (subject["namespaceKind"].as_str().unwrap_or(""), subject["container"].as_str().unwrap_or(""))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// The same without the free text, in which the source of a fact is named.
    pub fn without_words(&self) -> Self {
        let mut stripped = self.clone();
        for pod in &mut stripped.pods {
            drop_words(pod, &["why"]);
        }
        for finding in &mut stripped.findings {
            drop_words(finding, &["why", "message", "evidence", "consequence", "remedy"]);
        }
        stripped
    }
}

fn drop_words(value: &mut Value, words: &[&str]) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !words.contains(&name.as_str()));
            fields.values_mut().for_each(|value| drop_words(value, words));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| drop_words(value, words)),
        _ => {}
    }
}

/// The containers of a pod.
pub fn containers(pod: &Value) -> &[Value] {
    list(pod, "containers")
}

/// The namespace of a kind that a pod lists; there has to be one.
pub fn namespace<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let mut of_kind = list(pod, "namespaces").iter().filter(|namespace| namespace["kind"] == kind);
    match (of_kind.next(), of_kind.next()) {
        (Some(namespace), None) => namespace,
        _ => panic!("one {kind} namespace expected: {pod:#}"),
    }
}

/// Whether a pod lists a namespace of a kind.
pub fn lists_kind(pod: &Value, kind: &str) -> bool {
    list(pod, "namespaces").iter().any(|namespace| namespace["kind"] == kind)
}

/// A list that has to be there.
pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field} in {value:#}"))
}

/// A list of strings, sorted.
pub fn strings<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    let mut strings: Vec<_> = list(value, field).iter().map(|value| value.as_str().unwrap()).collect();
    strings.sort_unstable();
    strings
}

/// Fails unless the fields have these values; a field is a JSON pointer without its first slash.
#[track_caller]
pub fn expect<const N: usize>(value: &Value, fields: [(&str, Value); N]) {
    for (field, wanted) in fields {
        let found = value.pointer(&format!("/{field}")).unwrap_or(&Value::Null);
        assert!(*found == wanted, "{field} is {found}, not {wanted}, in {value:#}");
    }
}

/// The published schema of this output, once it is published.
pub fn schema() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/pods.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Whether an answer is as a schema says, or where it is not.
pub fn validate(schema: &Value, json: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).map_err(|error| format!("the schema: {error}"))?;
    validator.validate(json).map_err(|error| format!("{error} at {}", error.instance_path()))
}
