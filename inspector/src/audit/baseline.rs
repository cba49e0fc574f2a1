//! Findings that were there before: an earlier report, compared by the ids of its findings.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use crate::view::GoneFinding;

/// The findings of an earlier report, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<String, GoneFinding>,
}

/// Why a file is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// It is no JSON of that shape; the message has line and column.
    #[error("{0}")]
    Json(String),
    /// It is something else's JSON.
    #[error("it is of kind {0:?}, not FindingList")]
    Kind(String),
}

#[derive(Deserialize)]
struct Report {
    kind: String,
    #[serde(default)]
    findings: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    id: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    message: String,
}

impl Baseline {
    /// Reads what `inspector audit -o json` or `inspector pods -o json` printed.
    ///
    /// # Errors
    /// If it is not that.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let report: Report =
            serde_json::from_str(text).map_err(|error| BaselineError::Json(error.to_string()))?;
        if !matches!(report.kind.as_str(), "FindingList" | "PodList") {
            return Err(BaselineError::Kind(report.kind));
        }
        let known = report.findings.into_iter().map(|it| {
            let Known { id, rule, message } = it;
            (id.clone(), GoneFinding { id, rule, message })
        });
        Ok(Self { known: known.collect() })
    }

    /// Whether a finding was there.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// What was there and is not any more.
    pub(super) fn gone(&self, now: &HashSet<String>) -> Vec<GoneFinding> {
        self.known.values().filter(|it| !now.contains(&it.id)).cloned().collect()
    }
}
