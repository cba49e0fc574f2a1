//! Prints answers: as a table for people, as JSON, YAML or names for programs.
//!
//! Pure: a view goes in, a string comes out. Nothing here reads the machine, the environment or the terminal
//! ([`Look`] says what is known of them), and nothing here judges. No string of a process or a runtime gets out
//! unescaped ([`text`]).

pub mod audit;
mod coverage;
pub mod events;
pub mod explain;
pub(crate) mod findings;
pub mod graph;
pub mod json;
mod layout;
mod namespaces;
mod processes;
pub mod rules;
#[cfg(test)]
pub mod samples;
pub mod schema;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub mod text;
pub(crate) mod words;
pub mod yaml;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::view::{PodList, ProcessList};
pub use graph::GraphFormat;
pub use namespaces::{Column as NamespaceColumn, Shape, namespaces};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For people with wide screens: images, ids, processes, start times, cgroups and inodes too.
    Wide,
    /// The output contract.
    Json,
    /// The same in YAML.
    Yaml,
    /// One name a line.
    Name,
}

impl Format {
    /// As `-o` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Name => "name",
        }
    }
}

/// How to print an audit for others' programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// For a ticket or a chat.
    Markdown,
    /// For code scanners: SARIF 2.1.0.
    Sarif,
    /// For continuous integration: `JUnit`'s XML.
    Junit,
    /// For a cluster: `wgpolicyk8s.io/v1alpha2`.
    PolicyReport,
    /// For a cluster: `openreports.io/v1alpha1`.
    OpenReports,
}

/// What `-o` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Of every answer.
    Common(Format),
    /// Of an audit.
    Report(ReportFormat),
    /// Of a graph.
    Graph(GraphFormat),
}

impl Output {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Common(Format::Table),
        Self::Common(Format::Wide),
        Self::Common(Format::Json),
        Self::Common(Format::Yaml),
        Self::Common(Format::Name),
        Self::Report(ReportFormat::Markdown),
        Self::Report(ReportFormat::Sarif),
        Self::Report(ReportFormat::Junit),
        Self::Report(ReportFormat::PolicyReport),
        Self::Report(ReportFormat::OpenReports),
        Self::Graph(GraphFormat::Svg),
        Self::Graph(GraphFormat::Dot),
        Self::Graph(GraphFormat::Mermaid),
    ];

    /// As `-o` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Common(format) => format.name(),
            Self::Report(ReportFormat::Markdown) => "markdown",
            Self::Report(ReportFormat::Sarif) => "sarif",
            Self::Report(ReportFormat::Junit) => "junit",
            Self::Report(ReportFormat::PolicyReport) => "policyreport",
            Self::Report(ReportFormat::OpenReports) => "openreports",
            Self::Graph(GraphFormat::Svg) => "svg",
            Self::Graph(GraphFormat::Dot) => "dot",
            Self::Graph(GraphFormat::Mermaid) => "mermaid",
        }
    }
}

/// What a table may look like.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns of the screen; `None` where there is no screen: nothing is wrapped or left out then.
    pub width: Option<usize>,
    /// Whether to use colours.
    pub colour: bool,
    /// Whether to print the header line.
    pub headers: bool,
    /// Whether to print the inodes of namespaces.
    pub inodes: bool,
    /// How many pods there were before a filter, where one was applied.
    pub filtered_from: Option<usize>,
}

/// Prints a list of pods.
///
/// # Errors
/// If the list cannot be serialized, which only a broken type can cause.
pub fn pods(list: &PodList, format: Format, look: &Look) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(table::pods(list, look, false)),
        Format::Wide => Ok(table::pods(list, look, true)),
        Format::Json => json::pretty(list),
        Format::Yaml => yaml::document(list),
        Format::Name => Ok(names(list)),
    }
}

/// Prints a list of processes.
///
/// # Errors
/// If the list cannot be serialized, which only a broken type can cause.
pub fn processes(list: &ProcessList, format: Format, look: &Look) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(processes::table(list, look, false)),
        Format::Wide => Ok(processes::table(list, look, true)),
        Format::Json => json::pretty(list),
        Format::Yaml => yaml::document(list),
        Format::Name => Ok(processes::names(list)),
    }
}

/// `pod/NAME`, or `pod/NAMESPACE/NAME` where it has a namespace.
fn names(list: &PodList) -> String {
    list.pods.iter().map(|pod| format!("pod/{}\n", words::pod_name(pod))).collect()
}

/// What a piece of text means to the reader's eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Names and headings.
    Strong,
    /// Additions that may be overlooked.
    Dim,
    Good,
    /// Worth a second look.
    Doubtful,
    /// Must not be overlooked.
    Bad,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Doubtful => AnsiColor::Yellow.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }

    /// Appends the text in this tone, where colours are wanted, filled up with spaces to so many columns.
    fn push(self, out: &mut String, text: &str, columns: usize, look: &Look) {
        let style = Some(self.style()).filter(|_| look.colour && self != Self::Plain);
        // Writing to memory does not fail.
        let _ = style.map_or(Ok(()), |style| write!(out, "{style}"));
        out.push_str(text);
        (text.chars().count()..columns).for_each(|_| out.push(' '));
        let _ = style.map_or(Ok(()), |style| write!(out, "{style:#}"));
    }

    /// The text in this tone, where colours are wanted.
    fn paint(self, text: &str, look: &Look) -> String {
        if !look.colour || self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}
