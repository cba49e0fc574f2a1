//! The JSON Schema of the answers, made from their types: what is printed cannot differ from what is promised.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::view::{Event, Explanation, FindingList, NamespaceList, PodList, ProcessList};

/// The schema of `inspector pods -o json`.
#[must_use]
pub fn pods() -> Schema {
    of::<PodList>()
}

/// The schema of `inspector ps -o json`.
#[must_use]
pub fn processes() -> Schema {
    of::<ProcessList>()
}

/// The schema of `inspector explain TARGET -o json`.
#[must_use]
pub fn explanation() -> Schema {
    of::<Explanation>()
}

/// The schema of `inspector audit -o json`.
#[must_use]
pub fn audit() -> Schema {
    of::<FindingList>()
}

/// The schema of a line of `inspector watch -o json`.
#[must_use]
pub fn event() -> Schema {
    of::<Event>()
}

/// The schema of what a file may say.
#[must_use]
pub fn accepted<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

fn of<T: JsonSchema>() -> Schema {
    // Of what is written, not of what would be accepted: what is always there is required.
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The schema of `inspector namespaces -o json`.
#[must_use]
pub fn namespaces() -> Schema {
    of::<NamespaceList<'static>>()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::render::{json, samples};

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        for (name, schema) in [
            ("pods", pods()),
            ("namespaces", namespaces()),
            ("processes", processes()),
            ("findings", audit()),
            ("explanation", explanation()),
            ("event", event()),
            ("config", accepted::<crate::cli::Config>()),
        ] {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schema/{name}.schema.json"));
            let now = json::pretty(&schema).unwrap();
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, &now).unwrap();
            }
            let published = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                published == now,
                "docs/schema/{name}.schema.json is not up to date: BLESS=1 cargo test writes it anew"
            );
        }
    }

    #[test]
    fn every_sample_is_valid_and_a_renamed_field_is_not() {
        let validator = jsonschema::validator_for(pods().as_value()).unwrap();
        for list in [
            samples::article(),
            samples::zoo(),
            samples::hostile(),
            samples::many(3),
            samples::list(vec![], vec![]),
        ] {
            let printed = json::pretty(&list).unwrap();
            let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        let good = serde_json::to_value(samples::article()).unwrap();
        for (pointer, wrong) in [
            ("/kind", serde_json::json!("PodLisp")),
            ("/apiVersion", serde_json::json!("inspector/v2")),
            ("/coverage/source", serde_json::json!("ebpf")),
            ("/coverage/runtimes/0/status", serde_json::json!("fine")),
            ("/pods/0/verdict", serde_json::json!("good")),
            ("/pods/0/containers/0/namespaces", serde_json::json!({"network": 1})),
            ("/pods/0/containers/0/initPid", serde_json::json!("1")),
            ("/pods/0/namespaces/0/kind", serde_json::json!("nett")),
            ("/findings/0/subject", serde_json::json!({})),
            ("/pods/0/containers/0", serde_json::json!({"id": "x"})),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(!validator.is_valid(&bad), "{pointer}");
        }
    }

    #[test]
    fn every_sample_of_processes_is_valid() {
        let validator = jsonschema::validator_for(processes().as_value()).unwrap();
        for list in [samples::article_processes(), samples::hostile_processes(), samples::no_processes()] {
            let value: serde_json::Value = serde_json::from_str(&json::pretty(&list).unwrap()).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        let good = serde_json::to_value(samples::article_processes()).unwrap();
        for (pointer, wrong) in [
            ("/kind", serde_json::json!("PodList")),
            ("/processes/0/podPid", serde_json::json!("1")),
            ("/processes/0/state", serde_json::json!("sleeping")),
            ("/processes/0", serde_json::json!({"pid": 1})),
            ("/pidNamespaces/0/inode", serde_json::json!(-1)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(!validator.is_valid(&bad), "{pointer}");
        }
    }
}
