//! The answer of `inspector audit`: its types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{API_VERSION, Coverage, Finding, NodeInfo, PodName, Severity, Undetermined};

/// The answer of `inspector audit`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingList {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// Always `FindingList`.
    #[schemars(extend("const" = "FindingList"))]
    pub kind: &'static str,
    /// The machine and the moment.
    pub node: NodeInfo,
    /// What the answer rests on, and what is missing from it.
    pub coverage: Coverage,
    /// What is wrong: worst first.
    pub findings: Vec<AuditFinding>,
    /// What could not be judged.
    pub undetermined: Vec<Undetermined>,
    /// The sum.
    pub summary: Summary,
    /// Waivers that have expired or that nothing needed, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle_waivers: Vec<IdleWaiver>,
    /// What labels and annotations ask to be left out and name no rule or need not, where there is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle_suppressions: Vec<IdleSuppression>,
    /// With which earlier recording it was compared, where it was: what that had is of status *baseline*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// Findings of the baseline that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneFinding>,
}

/// An earlier recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Compared {
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Rules that could not judge everything in it: what they find now may have been there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<&'static str>,
}

/// A finding of the baseline that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GoneFinding {
    /// Its id.
    pub id: String,
    /// Its rule.
    pub rule: String,
    /// What it said.
    pub message: String,
}

/// A finding, and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// The pod that it is about, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// The name of the container that it is about.
    #[serde(rename = "containerName", skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// Whether somebody has to act on it.
    pub status: Status,
    /// What waives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waived>,
    /// Whose label or annotation asks to leave it out, whatever its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppressed>,
}

impl AuditFinding {
    /// Why nobody has to act on it, in a few words; empty where somebody has.
    #[must_use]
    pub fn accepted(&self) -> String {
        match (self.status, &self.waiver, &self.suppressed) {
            (Status::Open, ..) => String::new(),
            (Status::Waived, Some(waiver), _) => waiver.reason.clone(),
            (Status::Suppressed, _, Some(by)) => match &by.reason {
                Some(reason) => format!("{reason} (by {})", by.by),
                None => format!("by {}", by.by),
            },
            _ => "of the baseline".to_owned(),
        }
    }
}

/// Whether somebody has to act on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Yes.
    Open,
    /// A waiver accepts it.
    Waived,
    /// It was there when the baseline was taken.
    Baseline,
    /// A label or annotation of what it is about asks to leave it out.
    Suppressed,
}

impl Status {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waived => "waived",
            Self::Baseline => "baseline",
            Self::Suppressed => "suppressed",
        }
    }
}

/// Why a finding is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waived {
    /// In the words of who accepted it.
    pub reason: String,
    /// The last day on which it is, if not for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Who asks to leave a finding out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suppressed {
    /// Whose label or annotation: `container nginx`, `pod default/web`.
    pub by: String,
    /// Why, in the words of who deployed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A wish to leave something out that does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IdleSuppression {
    /// Whose label or annotation: `container nginx`, `pod default/web`.
    pub of: String,
    /// The rule, as written.
    pub rule: String,
    /// `no rule is called so; …`, `matches no finding`.
    pub why: String,
}

/// A waiver that does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IdleWaiver {
    /// Its rule, as written.
    pub rule: String,
    /// Its subject, as written.
    pub subject: String,
    /// Its reason.
    pub reason: String,
    /// `expired on 2026-01-31`, `matches no finding`.
    pub why: String,
}

/// The sum of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Open findings of each severity that there are any of.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub by_severity: BTreeMap<Severity, u64>,
    /// Open findings of each rule that there are any of.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub by_rule: BTreeMap<&'static str, u64>,
    /// Open findings.
    pub open: u64,
    /// Waived findings.
    pub waived: u64,
    /// Findings of the baseline.
    pub baseline: u64,
    /// Findings that labels and annotations ask to leave out.
    pub suppressed: u64,
    /// What could not be judged.
    pub undetermined: u64,
}

impl Summary {
    /// Sums up.
    #[must_use]
    pub fn of(findings: &[AuditFinding], undetermined: &[Undetermined]) -> Self {
        let mut summary = Self { undetermined: undetermined.len() as u64, ..Self::default() };
        for finding in findings {
            match finding.status {
                Status::Open => {
                    summary.open += 1;
                    *summary.by_severity.entry(finding.finding.severity).or_default() += 1;
                    *summary.by_rule.entry(finding.finding.rule).or_default() += 1;
                }
                Status::Waived => summary.waived += 1,
                Status::Baseline => summary.baseline += 1,
                Status::Suppressed => summary.suppressed += 1,
            }
        }
        summary
    }
}
