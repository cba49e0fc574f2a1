//! Findings that were there before, compared by their ids: those of an earlier report, or of an earlier recording that is
//! judged by the rules of today.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;

use crate::findings::Judgement;
use crate::observation::Observation;
use crate::view::{Compared, GoneFinding};

/// The findings of an earlier report, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<String, GoneFinding>,
    compared: Option<Compared>,
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
        Ok(Self { known: known.collect(), compared: None })
    }

    /// What the rules say of an earlier observation.
    #[must_use]
    pub fn judged(earlier: &Observation, judgement: Judgement) -> Self {
        let known = judgement.findings.into_iter().map(|it| {
            (it.id.clone(), GoneFinding { id: it.id, rule: it.rule.to_owned(), message: it.message })
        });
        let unsure: BTreeSet<&'static str> = judgement.undetermined.iter().map(|it| it.rule).collect();
        let time = earlier.node.time.map(|time| time.to_string());
        Self {
            known: known.collect(),
            compared: Some(Compared { time, unsure: unsure.into_iter().collect() }),
        }
    }

    /// With what was compared, where that was a recording.
    pub(super) fn compared(&self) -> Option<Compared> {
        self.compared.clone()
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
