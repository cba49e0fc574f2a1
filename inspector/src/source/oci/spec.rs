//! The OCI specification of a container, `config.json`: which namespaces were made for it and which it joins,
//! its cgroup, its mounts and its annotations. Never its environment.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{AtFlags, StatxFlags};
use serde::{Deserialize, Deserializer};

use crate::observation::{Declaration, Kind};
use crate::source::Context;
use crate::state::cgroup;

/// What of `config.json` is used. `process.env` has no field here, on purpose: it holds secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The program.
    #[serde(deserialize_with = "null_as_default")]
    pub process: Process,
    /// Everything mounted, the runtime's own files too.
    #[serde(deserialize_with = "null_as_default")]
    pub mounts: Vec<SpecMount>,
    /// Annotations.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// What is Linux's own; absent for a virtual machine's.
    pub linux: Option<Linux>,
}

/// The program of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Process {
    /// The program and its arguments.
    #[serde(deserialize_with = "null_as_default")]
    pub args: Vec<String>,
}

/// One mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SpecMount {
    /// Where the container sees it.
    pub destination: String,
    /// The type of file system; `bind` for a bind mount.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub fs_type: String,
    /// Where it comes from.
    #[serde(deserialize_with = "null_as_default")]
    pub source: String,
    /// Its options.
    #[serde(deserialize_with = "null_as_default")]
    pub options: Vec<String>,
}

impl SpecMount {
    /// Whether it is a bind mount: the type is optional, the option decides.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.fs_type == "bind" || self.options.iter().any(|option| option == "bind" || option == "rbind")
    }

    /// Whether it is read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|option| option == "ro" || option == "rro")
    }
}

/// What is Linux's own in a specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Linux {
    /// A path (cgroupfs driver), or `slice:prefix:name` (systemd driver).
    #[serde(rename = "cgroupsPath", deserialize_with = "null_as_default")]
    pub cgroups_path: String,
    /// The namespaces that are not inherited.
    #[serde(deserialize_with = "null_as_default")]
    pub namespaces: Vec<SpecNamespace>,
}

/// A namespace that a container is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SpecNamespace {
    /// The kind, by the specification's name for it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The one to join; none (or an empty one) to make a new one.
    pub path: Option<String>,
}

impl SpecNamespace {
    /// The kind, by the kernel's name; `None` for one that this program does not know.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.kind.as_str() {
            "mount" => Kind::Mnt,
            "uts" => Kind::Uts,
            "ipc" => Kind::Ipc,
            "pid" => Kind::Pid,
            "network" => Kind::Net,
            "user" => Kind::User,
            "cgroup" => Kind::Cgroup,
            "time" => Kind::Time,
            _ => return None,
        })
    }
}

impl Spec {
    /// How it is meant to get each of its namespaces: an entry without a path is made for it, one with a path
    /// joins what is there, and a kind without an entry is inherited from the runtime, which has the host's.
    ///
    /// `inode` says what a path leads to. Empty where the specification is not one for Linux namespaces.
    #[must_use]
    pub fn declarations(&self, inode: impl Fn(&str) -> Option<u32>) -> BTreeMap<Kind, Declaration> {
        let Some(linux) = &self.linux else { return BTreeMap::new() };
        let mut declared: BTreeMap<_, _> = Kind::ALL.map(|kind| (kind, Declaration::Host)).into();
        for namespace in &linux.namespaces {
            let Some(kind) = namespace.kind() else { continue };
            let declaration = match namespace.path.as_deref() {
                None | Some("") => Declaration::Private,
                Some(path) => Declaration::Path { path: path.to_owned(), inode: inode(path) },
            };
            declared.insert(kind, declaration);
        }
        declared
    }
}

/// A container's cgroup where runc's state does not tell: the specification's `cgroupsPath` where that is a path,
/// else the kernel's path of its init so far as that names this container.
#[must_use]
pub fn cgroup_of(id: &str, cgroups_path: Option<&str>, kernel: Option<&str>) -> Option<String> {
    cgroups_path
        .filter(|path| path.starts_with('/'))
        .map(str::to_owned)
        .or_else(|| cgroup::parse_all(kernel?).find(|name| name.id == id).map(|name| name.prefix))
}

/// The inode of the namespace behind a path of the host; `None` when there is nothing, or no namespace. What a path
/// like `/proc/PID/ns/net` leads to now need not be what it led to when the container was made.
#[must_use]
pub fn namespace_inode(context: &Context, path: &str) -> Option<u32> {
    // All namespaces live in one file system of the kernel's; its device tells them from other files.
    let device = std::fs::metadata("/proc/self/ns/mnt").ok()?.dev();
    // From the cache only: a path may lead to a file server that is dead.
    let flags = AtFlags::from_bits_retain(AtFlags::STATX_DONT_SYNC.bits() | AtFlags::NO_AUTOMOUNT.bits());
    let found =
        rustix::fs::statx(rustix::fs::CWD, context.host(Path::new(path)), flags, StatxFlags::INO).ok()?;
    let same =
        (found.stx_dev_major, found.stx_dev_minor) == (rustix::fs::major(device), rustix::fs::minor(device));
    if same { u32::try_from(found.stx_ino).ok() } else { None }
}

/// Go writes `null` for what is empty.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A time; `None` for Go's zero (the first second of the year 1, which stands for never) and for what is no time.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let time = text.and_then(|text| text.parse().ok());
    Ok(time.filter(|time: &Timestamp| *time > Timestamp::UNIX_EPOCH))
}
