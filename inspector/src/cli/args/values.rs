//! How values are written on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::observation::{Kind, Runtime};
use crate::render::{NamespaceColumn, Output};
use crate::state::namespaces::Above;
use crate::view::{EventType, NamespaceSort, Severity, SortBy, Verdict};

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
impl ValueEnum for Output {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        // The help of all commands names what all commands have.
        Some(clap::builder::PossibleValue::new(self.name()).hide(!matches!(self, Self::Common(_))))
    }
}

value_enum!(EventType, EventType::ALL, EventType::name);
value_enum!(Severity, [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info], Severity::name);
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
pub fn socket(text: &str) -> Result<(Runtime, PathBuf), String> {
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
pub fn timeout(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms, 30s or 2m"))?;
    if duration < Duration::from_millis(1) || duration > DAY {
        return Err("it has to be between 1ms and 1day".to_owned());
    }
    Ok(duration)
}

/// A moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// By the node's clock.
    Time(jiff::Timestamp),
    /// So long after the recording's beginning.
    After(Duration),
}

/// `2026-11-23T21:44:13Z`, `+12s`.
pub fn at(text: &str) -> Result<At, String> {
    if let Some(offset) = text.strip_prefix('+') {
        let offset = humantime::parse_duration(offset);
        return offset.map(At::After).map_err(|error| format!("{error}; write it as +500ms, +30s or +2m"));
    }
    let time = text.parse().map(At::Time);
    time.map_err(|_| "write it as 2026-11-23T21:44:13Z, or as so long after the beginning: +12s".to_owned())
}
