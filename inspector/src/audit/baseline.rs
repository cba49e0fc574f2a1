//! Findings that were there before: an earlier report, of which only the ids count.

use std::collections::HashSet;

use serde::Deserialize;

/// The ids of an earlier report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    ids: HashSet<String>,
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
    findings: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
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
        Ok(Self { ids: report.findings.into_iter().map(|finding| finding.id).collect() })
    }

    /// Whether a finding was there.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
}
