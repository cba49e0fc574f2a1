//! What can be said on the command line. Parsing only: nothing here looks at the machine or acts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::observation::{Kind, Runtime};
use crate::render::{Format, NamespaceColumn};
use crate::state::namespaces::Above;
use crate::view::{NamespaceSort, SortBy, Verdict};

const EXAMPLES: &str = "\
Examples:
  inspector pods                      pods, who owns their namespaces, what is wrong
  inspector pods --verdict application-owned -o name
  inspector namespaces --tree         every namespace, as lsns shows them and more
  inspector ps busybox                who runs in a pod, with the pids seen inside
  inspector record node.rec           capture this node ...
  inspector pods --replay node.rec    ... and ask anywhere, without privileges

Exit codes:
  0  done, whatever was found
  2  the command line or the configuration is wrong
  3  could not collect, read a recording or write the answer; with --strict,
     also when something that could change a verdict could not be read";

const PODS_EXAMPLES: &str = "\
Examples:
  inspector pods                           a table, as wide as the screen
  inspector pods -o wide | less -S         everything; a pipe has no width
  inspector pods -n kube-system --sort-by started
  inspector pods -o json | jq -r '.findings[].message'
  inspector pods --kind pid --verdict application-owned
      pods that the death of one business container takes down

A table takes the width of the terminal; where there is none, that of COLUMNS;
else nothing is cut off or wrapped. The JSON: docs/json.md, `inspector schema`.

Exit codes: see inspector --help.";

const NAMESPACES_EXAMPLES: &str = "\
Examples:
  inspector namespaces -t net,pid          two kinds of the eight
  inspector namespaces -p 4711             those of one process
  inspector namespaces --tree              PID and user namespaces below one another
  inspector namespaces --tree=owner        everything below its user namespace
  inspector namespaces --columns NS,TYPE,PROCS,PID --no-headers
  inspector namespaces -o json | jq '.namespaces[] | select(.processes == 0)'
      what only a bind mount, a descriptor or another namespace keeps

Everything is listed, what no process is in too; --holders all looks for bind
mounts in every mount namespace. The JSON: docs/json.md, `inspector schema
namespaces`.

Exit codes: see inspector --help.";

const PS_EXAMPLES: &str = "\
Examples:
  inspector ps                             every PID namespace that containers share
  inspector ps busybox                     what `docker exec busybox ps` shows, and whose
                                           each process is, without a shell in it
  inspector ps --all                       private PID namespaces too
  inspector ps web -o json | jq '.processes[] | select(.container == null)'
      who got into the pod from outside

Where two things have one name: pod/NAME, container/NAME or pid/NUMBER.
PODPID is the pid seen inside, PID and PPID those of this node's /proc.

Exit codes: see inspector --help.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(inspector completions bash)     in this shell
  inspector completions bash > /etc/bash_completion.d/inspector
  inspector completions zsh > /usr/local/share/zsh/site-functions/_inspector
  inspector completions fish > ~/.config/fish/completions/inspector.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  inspector man pods | man -l -
  inspector man --dir /usr/local/share/man/man1";

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
    pub output: Option<Format>,
    /// Leave the header line of a table out
    #[arg(long, help_heading = "Printing")]
    pub no_headers: bool,
    /// Colours; `auto`: on a terminal, unless NO_COLOR is set; in a pipe if CLICOLOR_FORCE is set [default: auto]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Printing")]
    pub color: Option<Color>,
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

/// Lets clap read an enum by the names that the output contract has for its values.
macro_rules! value_enum {
    ($type:ty, $values:expr, $name:expr) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &$values
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                let name: fn(Self) -> &'static str = $name;
                Some(clap::builder::PossibleValue::new(name(*self)))
            }
        }
    };
}

value_enum!(Kind, Kind::ALL, Kind::name);
value_enum!(Runtime, [Self::Docker, Self::Containerd, Self::CriO, Self::Podman, Self::Oci], Runtime::name);
value_enum!(
    Verdict,
    [
        Self::ApplicationOwned,
        Self::PauseOwned,
        Self::RuntimePinned,
        Self::Host,
        Self::Isolated,
        Self::Unknown
    ],
    Verdict::name
);
value_enum!(Format, [Self::Table, Self::Wide, Self::Json, Self::Yaml, Self::Name], |format| match format {
    Format::Table => "table",
    Format::Wide => "wide",
    Format::Json => "json",
    Format::Yaml => "yaml",
    Format::Name => "name",
});
value_enum!(SortBy, [Self::Name, Self::Namespace, Self::Verdict, Self::Started, Self::Containers], |by| {
    match by {
        SortBy::Name => "name",
        SortBy::Namespace => "namespace",
        SortBy::Verdict => "verdict",
        SortBy::Started => "started",
        SortBy::Containers => "containers",
    }
});

value_enum!(Above, [Self::Parent, Self::Owner], |above| match above {
    Above::Parent => "parent",
    Above::Owner => "owner",
});
value_enum!(
    NamespaceSort,
    [Self::Type, Self::Ns, Self::Procs, Self::Threads, Self::Pid, Self::Containers],
    |by| match by {
        NamespaceSort::Type => "type",
        NamespaceSort::Ns => "ns",
        NamespaceSort::Procs => "procs",
        NamespaceSort::Threads => "threads",
        NamespaceSort::Pid => "pid",
        NamespaceSort::Containers => "containers",
    }
);

impl ValueEnum for NamespaceColumn {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()).aliases(self.name_in_lsns()))
    }
}

/// `docker=/run/docker.sock`, `docker=unix:///run/docker.sock`.
fn socket(text: &str) -> Result<(Runtime, PathBuf), String> {
    let (name, path) =
        text.split_once('=').ok_or("write it as RUNTIME=PATH, such as docker=/run/docker.sock")?;
    let runtime = Runtime::value_variants()
        .iter()
        .copied()
        .find(|runtime| runtime.name() == name)
        .ok_or_else(|| format!("{name:?} is no runtime: use docker, containerd, cri-o, podman or oci"))?;
    let path = path.strip_prefix("unix://").unwrap_or(path);
    if !path.starts_with('/') {
        return Err(format!("{path:?} is no absolute path"));
    }
    Ok((runtime, PathBuf::from(path)))
}

/// A duration from one millisecond to a day: more is a slip, and none would collect nothing.
fn timeout(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms, 30s or 2m"))?;
    if duration < Duration::from_millis(1) || duration > DAY {
        return Err("it has to be between 1ms and 1day".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::resolve::merge;

    fn global(line: &str) -> Global {
        let cli = parse(line).unwrap();
        merge(&cli.global, cli.command.global()).unwrap()
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("inspector").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        let flags = "--source procfs --host-root /host --socket docker=/d.sock --socket podman=unix:///p.sock --timeout 500ms \
                     --holders all --all -o json --no-headers --color never --strict -vv --replay f";
        for line in [format!("{flags} pods"), format!("pods {flags}")] {
            let global = global(&line);
            assert_eq!((global.source, global.holders), (Some(Source::Procfs), Some(Holders::All)));
            assert_eq!(global.host_root, Some("/host".into()));
            assert_eq!(
                global.sockets,
                [(Runtime::Docker, "/d.sock".into()), (Runtime::Podman, "/p.sock".into())]
            );
            assert_eq!(global.timeout, Some(Duration::from_millis(500)));
            assert_eq!((global.output, global.color), (Some(Format::Json), Some(Color::Never)));
            assert!(global.all && global.no_headers && global.strict && global.verbose == 2);
            assert_eq!(global.replay, Some("f".into()));
        }
    }

    #[test]
    fn what_stands_before_the_command_is_not_lost_when_more_follows_it() {
        let global = global("--socket docker=/a -v pods --socket podman=/b -v --timeout 1s");
        assert_eq!(global.sockets, [(Runtime::Docker, "/a".into()), (Runtime::Podman, "/b".into())]);
        assert_eq!(global.verbose, 2);
    }

    #[test]
    fn lists_are_repeated_or_joined_by_commas() {
        let Command::Pods(With { args, .. }) = parse("pods --verdict unknown,host --verdict pause-owned --kind net,pid --runtime cri-o -n ns --pod a --pod b").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(args.verdict, [Verdict::Unknown, Verdict::Host, Verdict::PauseOwned]);
        assert_eq!(args.kind, [Kind::Net, Kind::Pid]);
        assert_eq!(
            (args.runtime, args.namespace, args.pod),
            (vec![Runtime::CriO], Some("ns".into()), vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn namespaces_are_chosen_and_drawn() {
        let args = |line: &str| match parse(line).unwrap().command {
            Command::Namespaces(With { args, .. }) => args,
            other => panic!("{}", other.name()),
        };
        let chosen = args("namespaces -t net,pid --type user -p 7 --columns ns,NProcs --columns HELDBY,ons");
        assert_eq!(chosen.kinds, [Kind::Net, Kind::Pid, Kind::User]);
        assert_eq!((chosen.pid, chosen.tree), (Some(7), None));
        use NamespaceColumn::{HeldBy, Ns, Procs, UserNs};
        assert_eq!(chosen.columns, [Ns, Procs, HeldBy, UserNs]);
        assert_eq!(args("namespaces --tree").tree, Some(Above::Parent));
        assert_eq!(args("namespaces --tree=owner").tree, Some(Above::Owner));
        assert_eq!(args("namespaces --sort-by procs").sort_by, Some(NamespaceSort::Procs));
    }

    #[test]
    fn slips_are_refused() {
        for line in [
            "",
            "podz",
            "pods --source ebpf",
            "pods --socket docker",
            "pods --socket lxc=/x",
            "pods --socket docker=",
            "pods --socket docker=x",
            "pods --timeout 0s",
            "pods --timeout 99999999y",
            "pods --timeout -1s",
            "pods --timeout",
            "pods -o xml",
            "pods --kind nett",
            "pods --sort-by age",
            "pods --verdict bad",
            "record",
            "record a b",
            "pods --source bpf --source bpf",
            "schema nodes",
            "ps a b",
            "completions",
            "completions tcsh",
            "man pods --dir d",
            "namespaces -t mount",
            "namespaces -p x",
            "namespaces --tree owner",
            "namespaces --tree=process",
            "namespaces --tree --sort-by pid",
            "namespaces --columns inode",
            "pods extra",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
