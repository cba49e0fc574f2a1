//! The diagnosis as a table: one row for each check, with what is lost and how to get it below what was found.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::{Report, Status};

/// Lays the report out for a terminal of so many columns.
#[must_use]
pub fn table(report: &Report, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(["CHECK", "STATUS", "FOUND"]);
    for check in &report.checks {
        let mut found = printable(&check.found);
        if let (Some(lost), Some(remedy)) = (&check.lost, &check.remedy) {
            let _ = write!(found, "\nlost: {}\nto get it: {}", printable(lost), printable(remedy));
        } else {
            let _ = write!(found, "\ngives: {}", check.gives);
        }
        table.add_row([check.name.clone(), check.status.name().to_owned(), found]);
    }
    let mut text: String = table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n");
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

fn summary(report: &Report) -> String {
    let of = |status| report.checks.iter().filter(|check| check.status == status).count();
    format!("{} ok, {} degraded, {} missing", of(Status::Ok), of(Status::Degraded), of(Status::Missing))
}

/// Without what could command a terminal: some of it comes from files and from the user.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    #[test]
    fn fits_80_columns_and_says_what_to_do() {
        let report = Report {
            api_version: "inspector/v1",
            kind: "Diagnosis",
            checks: vec![
                Check::new("kernel", "6.18.0", "the task iterator"),
                Check::new("docker", "/run/\u{1b}[31m.sock: permission denied", "names").but(
                    Status::Degraded,
                    "its containers are told by their files on disk, where readable; exited ones are not known",
                    "run with sudo",
                ),
            ],
        };
        let text = table(&report, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(
            text.contains("to get it: run with sudo") && text.contains("1 ok, 1 degraded, 0 missing"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
