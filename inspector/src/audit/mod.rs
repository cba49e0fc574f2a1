//! From what the rules say to what somebody has to act on: choosing, waivers, suppressions, the baseline. Pure: files are read by the
//! command line, and *today* is the day of the observation.

mod baseline;
mod suppressions;
mod waivers;

use std::collections::{HashMap, HashSet};

pub use baseline::{Baseline, BaselineError};
use suppressions::Suppressions;
pub use waivers::{Waiver, WaiverError, parse as parse_waivers};

use crate::findings::{Judgement, Rule, rule};
use crate::observation::Observation;
use crate::state::Snapshot;
use crate::view::{
    API_VERSION, AuditFinding, FindingList, PodName, Severity, Status, Subject, Summary, Waived, coverage,
    node,
};

/// What to report.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only these rules, by id; all if empty.
    pub rules: Vec<&'static str>,
    /// Only findings as bad as this.
    pub min_severity: Option<Severity>,
    /// Only pods of this Kubernetes namespace.
    pub namespace: Option<String>,
    /// Take no notice of what labels and annotations ask to be left out.
    pub no_suppressions: bool,
}

impl Choice {
    fn takes_rule(&self, id: &str, severity: Severity) -> bool {
        (self.rules.is_empty() || self.rules.contains(&id))
            && self.min_severity.is_none_or(|min| severity <= min)
    }

    fn takes_subject(&self, pod: Option<&PodName>) -> bool {
        let Some(wanted) = self.namespace.as_deref() else { return true };
        pod.and_then(|pod| pod.namespace.as_deref()) == Some(wanted)
    }
}

/// Puts the report together.
#[must_use]
pub fn report(
    observation: &Observation,
    snapshot: &Snapshot,
    judgement: Judgement,
    choice: &Choice,
    waivers: &[Waiver],
    baseline: &Baseline,
) -> FindingList {
    let names = Names::of(snapshot);
    let today = observation.node.time.map(|time| jiff::tz::Offset::UTC.to_datetime(time).date());
    let mut suppressions = Suppressions::of(observation, snapshot);
    let mut used = vec![false; waivers.len()];
    let now: HashSet<String> = judgement.findings.iter().map(|finding| finding.id.clone()).collect();
    let mut findings: Vec<AuditFinding> = Vec::new();
    for finding in judgement.findings {
        let pod = names.pod(&finding.subject);
        let container_name = names.container(&finding.subject);
        let waiver = waivers.iter().enumerate().find(|(_, waiver)| {
            !waiver.is_expired(today) && waiver.matches(&finding, pod.as_ref(), container_name.as_deref())
        });
        if let Some((index, _)) = waiver
            && let Some(used) = used.get_mut(index)
        {
            *used = true;
        }
        let suppressed = if choice.no_suppressions { None } else { suppressions.of_finding(&finding) };
        let taken = choice.takes_rule(finding.rule, finding.severity) && choice.takes_subject(pod.as_ref());
        if !taken {
            continue;
        }
        let status = match waiver {
            Some(_) => Status::Waived,
            None if suppressed.is_some() => Status::Suppressed,
            None if baseline.has(&finding.id) => Status::Baseline,
            None => Status::Open,
        };
        findings.push(AuditFinding {
            finding,
            pod,
            container_name,
            status,
            suppressed,
            waiver: waiver.map(|(_, it)| Waived {
                reason: it.reason.clone(),
                expires: it.expires.map(|day| day.to_string()),
            }),
        });
    }
    let idle_suppressions =
        if choice.no_suppressions { Vec::new() } else { suppressions.idle(&judgement.undetermined) };
    let unsure: HashSet<&str> = judgement.undetermined.iter().map(|it| it.rule).collect();
    let undetermined: Vec<_> = judgement
        .undetermined
        .into_iter()
        .filter(|it| {
            let severity = rule(it.rule).map_or(Severity::High, |rule: &Rule| rule.severity);
            choice.takes_rule(it.rule, severity) && choice.takes_subject(names.pod(&it.subject).as_ref())
        })
        .collect();
    // What a rule could not judge everywhere may be there still.
    let gone = baseline
        .gone(&now)
        .into_iter()
        .filter(|it| choice.rules.is_empty() || choice.rules.iter().any(|rule| *rule == it.rule))
        .filter(|it| !unsure.contains(it.rule.as_str()))
        .collect();
    let idle_waivers =
        waivers.iter().zip(&used).filter_map(|(waiver, used)| waiver.idle(*used, today)).collect();
    FindingList {
        api_version: API_VERSION,
        kind: "FindingList",
        node: node(observation),
        coverage: coverage(observation, snapshot),
        summary: Summary::of(&findings, &undetermined),
        findings,
        undetermined,
        idle_waivers,
        idle_suppressions,
        compared: baseline.compared(),
        gone,
    }
}

/// Names by ids.
struct Names<'s> {
    pods: HashMap<&'s str, PodName>,
    containers: HashMap<&'s str, &'s str>,
}

impl<'s> Names<'s> {
    fn of(snapshot: &'s Snapshot) -> Self {
        let containers = snapshot.pods.iter().flat_map(|pod| &pod.containers);
        Self {
            pods: snapshot.pods.iter().map(|pod| (pod.id.as_str(), PodName::of(pod))).collect(),
            containers: containers.map(|it| (it.id.as_str(), it.name.as_str())).collect(),
        }
    }

    fn pod(&self, subject: &Subject) -> Option<PodName> {
        self.pods.get(subject.pod.as_deref()?).cloned()
    }

    fn container(&self, subject: &Subject) -> Option<String> {
        Some((*self.containers.get(subject.container.as_deref()?)?).to_owned())
    }
}

/// Whether the report has an open finding as bad as this.
#[must_use]
pub fn fails(list: &FindingList, fail_on: Severity) -> bool {
    list.findings.iter().any(|it| it.status == Status::Open && it.finding.severity <= fail_on)
}

#[cfg(test)]
mod tests;
