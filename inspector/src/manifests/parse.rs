//! Reads manifests: YAML of one or more documents, or JSON, which is YAML.

use serde_json::Value;

use super::{Field, Manifest, Workload};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

/// How deep lists of lists may be.
const MAX_DEPTH: usize = 8;

/// Reads the objects of one file that make pods; others are left out.
///
/// # Errors
/// If it is no YAML, with line and column; or if an object that makes pods is not as Kubernetes has it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    // The first line says it; what follows is a picture of the place.
    let one_line = |error: String| ManifestError(error.lines().next().unwrap_or_default().to_owned());
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| one_line(error.to_string()))?;
    let mut found = Vec::new();
    for document in &documents {
        object(file, document, MAX_DEPTH, &mut found)?;
    }
    Ok(found)
}

fn object(file: &str, value: &Value, depth: usize, found: &mut Vec<Manifest>) -> Result<(), ManifestError> {
    let Some(kind) = value.get("kind").and_then(Value::as_str) else {
        // Not Kubernetes', or nothing at all.
        return Ok(());
    };
    let of_kubernetes = value.get("apiVersion").and_then(Value::as_str).is_some_and(|version| {
        let group = version.split_once('/').map_or("", |(group, _)| group);
        ["", "apps", "batch", "extensions"].contains(&group)
    });
    if !of_kubernetes {
        return Ok(());
    }
    if kind.ends_with("List") {
        for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
            if depth == 0 {
                return Err(ManifestError("lists are in lists too deep; take them apart".to_owned()));
            }
            object(file, item, depth - 1, found)?;
        }
        return Ok(());
    }
    let Some(workload) = Workload::ALL.into_iter().find(|workload| workload.name() == kind) else {
        return Ok(());
    };
    let metadata = |field: &str| value.get("metadata")?.get(field)?.as_str().filter(|it| !it.is_empty());
    // A name that the cluster makes up says nothing about whose a pod is.
    let Some(name) = metadata("name") else { return Ok(()) };
    let wrong = |what: String| ManifestError(format!("{kind} {name}: {what}"));
    let path = workload.pod_spec();
    let spec = path
        .iter()
        .try_fold(value, |at, key| at.get(key))
        .filter(|spec| spec.is_object())
        .ok_or_else(|| wrong(format!("{} is missing, or no mapping", path.join("."))))?;
    let mut fields = [None; Field::ALL.len()];
    for (slot, field) in fields.iter_mut().zip(Field::ALL) {
        *slot = match spec.get(field.name()) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(value)) => Some(*value),
            Some(_) => {
                return Err(wrong(format!("{}.{} is neither true nor false", path.join("."), field.name())));
            }
        };
    }
    found.push(Manifest {
        file: file.to_owned(),
        workload,
        namespace: metadata("namespace").unwrap_or("default").to_owned(),
        name: name.to_owned(),
        fields,
    });
    Ok(())
}
