//! Prints an audit: for people, and in the formats of other programs.

mod junit;
mod markdown;
mod policy;
mod sarif;
#[cfg(test)]
mod standards;
mod table;
#[cfg(test)]
mod tests;

use super::{Format, Look, ReportFormat, json, yaml};
use crate::view::{AuditFinding, FindingList};

/// Prints it as any answer. `all`: with what nobody has to act on.
///
/// # Errors
/// If it cannot be serialized, which only a broken type can cause.
pub fn answer(list: &FindingList, format: Format, look: &Look, all: bool) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(table::findings(list, look, false, all)),
        Format::Wide => Ok(table::findings(list, look, true, all)),
        Format::Json => json::pretty(list),
        Format::Yaml => yaml::document(list),
        Format::Name => Ok(list.findings.iter().map(|it| format!("finding/{}\n", it.finding.id)).collect()),
    }
}

/// Prints it for another program.
///
/// # Errors
/// As [`answer`].
pub fn report(list: &FindingList, format: ReportFormat) -> serde_json::Result<String> {
    match format {
        ReportFormat::Markdown => Ok(markdown::report(list)),
        ReportFormat::Sarif => json::pretty(&sarif::log(list)),
        ReportFormat::Junit => Ok(junit::suites(list)),
        ReportFormat::PolicyReport => yaml::document(&policy::list(list, policy::Api::PolicyReport)),
        ReportFormat::OpenReports => yaml::document(&policy::list(list, policy::Api::OpenReports)),
    }
}

/// What a finding is about, by name: `nginx`, `default/web/app (net)`.
fn subject(it: &AuditFinding) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(pod) = &it.pod {
        parts.push(pod.to_string());
    } else if let Some(id) = &it.finding.subject.pod {
        parts.push(id.clone());
    }
    match (&it.container_name, &it.finding.subject.container) {
        (Some(name), _) if it.pod.as_ref().is_none_or(|pod| pod.name != *name) => parts.push(name.clone()),
        (None, Some(id)) => parts.push(id.chars().take(12).collect()),
        _ => {}
    }
    if let Some(pid) = it.finding.subject.pid {
        parts.push(format!("pid {pid}"));
    }
    let mut name = parts.join("/");
    if let Some(kind) = it.finding.subject.namespace_kind {
        let inode = it.finding.subject.inode;
        name = match (name.is_empty(), inode) {
            (true, Some(inode)) => format!("{kind}:[{inode}]"),
            (true, None) => kind.to_string(),
            (false, _) => format!("{name} ({kind})"),
        };
    }
    if name.is_empty() { "this node".to_owned() } else { name }
}
