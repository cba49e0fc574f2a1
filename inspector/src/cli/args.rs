//! What can be said on the command line. Parsing only: nothing here looks at the machine or acts.

mod examples;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use examples::*;
use values::{socket, timeout};
pub use values::{socket as parse_socket, timeout as parse_timeout};

use crate::observation::{Kind, Runtime};
use crate::render::{NamespaceColumn, Output};
use crate::state::namespaces::Above;
use crate::view::{EventType, NamespaceSort, Severity, SortBy, Verdict};

/// Which containers share which namespaces, who owns them, and what dies if the owner dies.
#[derive(Debug, Parser)]
#[command(name = "inspector", version, after_help = EXAMPLES, max_term_width = 110, subcommand_required = true)]
pub struct Cli {
    /// What applies to more than one command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The pods of this node: containers, namespaces shared, owners, verdicts, findings
    Pods(With<PodsArgs>),
    /// Every namespace of this node: who is in it, who owns it, what keeps it, what it is below
    Namespaces(With<NamespacesArgs>),
    /// The processes of a shared PID namespace, with the pids seen inside, by container
    Ps(With<PsArgs>),
    /// All about one pod, container, process or namespace: whose it is, and what dies if it dies
    Explain(With<ExplainArgs>),
    /// Judge this node by every rule: what is wrong, with evidence, consequence and remedy
    Audit(With<AuditArgs>),
    /// Show what happens to containers, namespaces and pods, as it happens
    Watch(With<WatchArgs>),
    /// The rules, or all about one
    Rules(With<RulesArgs>),
    /// Draw pods, containers, namespaces and their owners: as a matrix, SVG, DOT or Mermaid
    Graph(With<GraphArgs>),
    /// Write what is seen of this node into a file, for --replay
    Record(With<RecordArgs>),
    /// Build pods of plain Linux namespaces, show them, break them and remove them
    Demo(With<DemoArgs>),
    /// What this kernel, these capabilities and these sockets allow, and what is lost without each
    Doctor(With<DoctorArgs>),
    /// Print the JSON Schema of an answer
    Schema(With<SchemaArgs>),
    /// Print what a shell needs to complete inspector's command lines
    Completions(With<CompletionsArgs>),
    /// Print a manual page, or write all of them
    Man(With<ManArgs>),
}

/// What a command can be told, its own flags and the ones of all commands.
///
/// clap's own global flags would forget a `--socket` before the command when another one follows it.
#[derive(Debug, Args)]
pub struct With<T: Args> {
    /// Its own.
    #[command(flatten)]
    pub args: T,
    /// Everyone's.
    #[command(flatten)]
    pub global: Global,
}

impl Command {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pods(_) => "pods",
            Self::Namespaces(_) => "namespaces",
            Self::Ps(_) => "ps",
            Self::Explain(_) => "explain",
            Self::Audit(_) => "audit",
            Self::Watch(_) => "watch",
            Self::Rules(_) => "rules",
            Self::Graph(_) => "graph",
            Self::Record(_) => "record",
            Self::Demo(_) => "demo",
            Self::Doctor(_) => "doctor",
            Self::Schema(_) => "schema",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// The flags of all commands that stand after it.
    #[must_use]
    pub const fn global(&self) -> &Global {
        match self {
            Self::Pods(with) => &with.global,
            Self::Namespaces(with) => &with.global,
            Self::Ps(with) => &with.global,
            Self::Explain(with) => &with.global,
            Self::Audit(with) => &with.global,
            Self::Watch(with) => &with.global,
            Self::Rules(with) => &with.global,
            Self::Graph(with) => &with.global,
            Self::Record(with) => &with.global,
            Self::Demo(with) => &with.global,
            Self::Doctor(with) => &with.global,
            Self::Schema(with) => &with.global,
            Self::Completions(with) => &with.global,
            Self::Man(with) => &with.global,
        }
    }
}

/// What may stand before or after the command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Where the facts about processes come from; `auto` takes the faster one that works [default: auto]
    #[arg(long, value_enum, value_name = "SOURCE", help_heading = "Looking")]
    pub source: Option<Source>,
    /// Where the host's /proc, /run, /var/lib and /sys/fs/cgroup are to be seen [default: /]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Looking")]
    pub host_root: Option<PathBuf>,
    /// Ask that runtime (docker, containerd, cri-o, podman) at this socket, or read this folder of its (oci: a root of
    /// runc or crun), and nowhere else; repeatable
    #[arg(long = "socket", value_name = "RUNTIME=PATH", value_parser = socket, value_hint = ValueHint::Other, action = ArgAction::Append, help_heading = "Looking")]
    pub sockets: Vec<(Runtime, PathBuf)>,
    /// How long everything together may take, such as 500ms or 2m; what is late becomes a gap [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = timeout, value_hint = ValueHint::Other, help_heading = "Looking")]
    pub timeout: Option<Duration>,
    /// Look for pins of namespaces in the host's and the runtimes' mount namespaces, or in every one [default: host]
    #[arg(long, value_enum, value_name = "WHERE", help_heading = "Looking")]
    pub holders: Option<Holders>,
    /// Answer from a recording instead of this node; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Looking")]
    pub replay: Option<PathBuf>,
    /// List what is left out otherwise too: pods without a living container, unmanaged groups of a single process;
    /// of processes, those in PID namespaces that no two containers share
    #[arg(long, help_heading = "Printing")]
    pub all: bool,
    /// How to print [default: table]
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Printing")]
    pub output: Option<Output>,
    /// Leave the header line of a table out
    #[arg(long, help_heading = "Printing")]
    pub no_headers: bool,
    /// Colours; `auto`: on a terminal, unless NO_COLOR is set; in a pipe if CLICOLOR_FORCE is set [default: auto]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Printing")]
    pub color: Option<Color>,
    /// Take what flags leave open from this file [default: /etc/inspector/config.yaml, if it is there]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Looking")]
    pub config: Option<PathBuf>,
    /// Exit with 3 when something that could change a verdict could not be read
    #[arg(long, help_heading = "Looking")]
    pub strict: bool,
    /// Say on standard error what is being done; twice: in detail (RUST_LOG chooses more finely)
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What `pods` can be asked for.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = PODS_EXAMPLES)]
pub struct PodsArgs {
    /// Order of the pods [default: name]
    #[arg(long, value_enum, value_name = "BY", help_heading = "Printing")]
    pub sort_by: Option<SortBy>,
    /// Show the inodes of namespaces in a table
    #[arg(long, help_heading = "Printing")]
    pub inodes: bool,
    /// Only pods of this Kubernetes namespace
    #[arg(short, long, value_name = "NS", help_heading = "Choosing")]
    pub namespace: Option<String>,
    /// Only pods with a container of this runtime; repeatable, or a list with commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RUNTIME", help_heading = "Choosing")]
    pub runtime: Vec<Runtime>,
    /// Only pods of this name (NAME or NS/NAME), or whose id starts so; repeatable
    #[arg(long, value_name = "POD", help_heading = "Choosing")]
    pub pod: Vec<String>,
    /// Only pods that share a namespace of this kind; repeatable (all of them), or a list with commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND", help_heading = "Choosing")]
    pub kind: Vec<Kind>,
    /// Only pods judged so; repeatable (any of them), or a list with commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "VERDICT", help_heading = "Choosing")]
    pub verdict: Vec<Verdict>,
}

/// What `namespaces` can be asked for.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = NAMESPACES_EXAMPLES)]
pub struct NamespacesArgs {
    /// Only namespaces of this kind; repeatable, or a list with commas
    #[arg(
        short = 't',
        long = "type",
        value_enum,
        value_delimiter = ',',
        value_name = "KIND",
        help_heading = "Choosing"
    )]
    pub kinds: Vec<Kind>,
    /// Only the namespaces of this process or thread, and those that its children are born into
    #[arg(short, long, value_name = "PID", help_heading = "Choosing")]
    pub pid: Option<u32>,
    /// Show what is below what: PID and user namespaces by `parent`, or all by the user namespace that is their `owner`
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "parent",
          help_heading = "Printing")]
    pub tree: Option<Above>,
    /// The columns of the table, such as NS,TYPE,PROCS,COMMAND
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        value_name = "COLUMN",
        help_heading = "Printing"
    )]
    pub columns: Vec<NamespaceColumn>,
    /// Order of the namespaces [default: type]
    #[arg(long, value_enum, value_name = "BY", conflicts_with = "tree", help_heading = "Printing")]
    pub sort_by: Option<NamespaceSort>,
}

/// What `ps` can be asked for.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = PS_EXAMPLES)]
pub struct PsArgs {
    /// A pod (NAME, NS/NAME or the beginning of its id), a container (NAME or the beginning of its id) or a pid: list
    /// the PID namespaces that it is in [default: those that two or more containers share]
    #[arg(value_name = "TARGET", value_hint = ValueHint::Other, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub target: Option<String>,
}

/// What `explain` needs.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// A pod (NAME, NS/NAME or the beginning of its id), a container (NAME or the beginning of its id), a pid, or a
    /// namespace (its inode, KIND:INODE or KIND:[INODE])
    #[arg(value_name = "TARGET", value_hint = ValueHint::Other, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub target: String,
}

/// What `audit` can be told.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = AUDIT_EXAMPLES)]
pub struct AuditArgs {
    /// Exit with 1 where an open finding is as bad as this or worse [default: high]
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Judging")]
    pub fail_on: Option<Severity>,
    /// Report only what is as bad as this or worse
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Choosing")]
    pub min_severity: Option<Severity>,
    /// Only this rule, by id or name; repeatable, or a list with commas
    #[arg(long = "rule", value_delimiter = ',', value_name = "RULE", value_hint = ValueHint::Other, help_heading = "Choosing")]
    pub rules: Vec<String>,
    /// Only pods of this Kubernetes namespace
    #[arg(short, long, value_name = "NS", help_heading = "Choosing")]
    pub namespace: Option<String>,
    /// Accept what this file says (YAML: rule, subject, reason, expires); see docs/rules.md
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Judging")]
    pub waivers: Option<PathBuf>,
    /// Accept what an earlier report has, and tell what is gone since: the file holds what `audit -o json` printed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Judging")]
    pub baseline: Option<PathBuf>,
    /// Compare with an earlier recording of this node (what `inspector record` wrote): accept what the rules say of that,
    /// and tell what is new and what is gone
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "baseline", help_heading = "Judging")]
    pub diff: Option<PathBuf>,
    /// Compare the pods with the Kubernetes manifests in this folder and the ones in it (*.yaml, *.yml, *.json); see
    /// docs/rules.md
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Judging")]
    pub manifests: Option<PathBuf>,
    /// Take no notice of labels and annotations that ask to leave findings out (pod-namespace-inspector/ignore)
    #[arg(long, help_heading = "Judging")]
    pub no_suppressions: bool,
}

/// What `watch` can be told.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub struct WatchArgs {
    /// Stop after so long, such as 30s or 10m [default: never]
    #[arg(long = "for", value_name = "DURATION", value_parser = timeout, value_hint = ValueHint::Other, help_heading = "Looking")]
    pub duration: Option<Duration>,
    /// Stop after the first event of this type that is shown
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Looking")]
    pub until: Option<EventType>,
    /// Tell of every process that starts, becomes another program or ends, too
    #[arg(long, help_heading = "Looking")]
    pub all_processes: bool,
    /// As what runs for months does: woken now and then, and at no cost to the system calls of other processes; setns and
    /// unshare are then seen as they happen only where the kernel's functions can be watched (see inspector doctor)
    #[arg(long, help_heading = "Looking")]
    pub background: bool,
    /// Only events of this type; repeatable, or a list with commas
    #[arg(long = "event", value_enum, value_delimiter = ',', value_name = "TYPE", help_heading = "Choosing")]
    pub events: Vec<EventType>,
    /// Only events of pods of this name, or whose id starts so; repeatable
    #[arg(long, value_name = "POD", help_heading = "Choosing")]
    pub pod: Vec<String>,
    /// Only events of containers of this name, or whose id starts so; repeatable
    #[arg(long, value_name = "CONTAINER", help_heading = "Choosing")]
    pub container: Vec<String>,
    /// Only events about namespaces of this kind; repeatable, or a list with commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND", help_heading = "Choosing")]
    pub kind: Vec<Kind>,
}

/// What `graph` can be told.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = GRAPH_EXAMPLES)]
pub struct GraphArgs {
    /// Only pods of this name (NAME or NS/NAME), or whose id starts so; repeatable
    #[arg(long, value_name = "POD", help_heading = "Choosing")]
    pub pod: Vec<String>,
    /// Only pods of this Kubernetes namespace
    #[arg(short, long, value_name = "NS", help_heading = "Choosing")]
    pub namespace: Option<String>,
    /// Only pods that something is wrong with
    #[arg(long, help_heading = "Choosing")]
    pub findings_only: bool,
}

/// What `rules` can be asked for.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RULES_EXAMPLES)]
pub struct RulesArgs {
    /// A rule's id or name; without it, all of them in short
    #[arg(value_name = "RULE", value_hint = ValueHint::Other)]
    pub rule: Option<String>,
}

/// What `record` needs.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// The file, replaced in one step and readable by you only; - is standard output
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// What `demo` can be told.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Leave the pods standing for so long before they are broken, to look at them from another terminal
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub keep: Option<Duration>,
}

/// What `doctor` can be told.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {}

/// What `schema` can be asked for.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Whose answer
    #[arg(value_enum, default_value = "pods")]
    pub answer: Answer,
}

/// What `completions` needs.
#[derive(Clone, Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// What `man` can be asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Whose page; without it, that of inspector itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub command: Option<String>,
    /// Write every page into this folder, as inspector.1, inspector-pods.1 ...
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// An answer that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// `inspector pods -o json`
    Pods,
    /// `inspector namespaces -o json`
    Namespaces,
    /// `inspector ps -o json`
    Ps,
    /// `inspector explain TARGET -o json`
    Explain,
    /// `inspector audit -o json`
    Audit,
    /// A line of `inspector watch -o json`
    Watch,
    /// The configuration file
    Config,
}

/// Which reader of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The faster one that works
    Auto,
    /// The eBPF task iterator, or an error
    Bpf,
    /// A walk of /proc
    Procfs,
}

/// Where to look for pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Holders {
    /// The host's mount namespace and the runtimes'
    Host,
    /// Every mount namespace
    All,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where they are wanted
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
