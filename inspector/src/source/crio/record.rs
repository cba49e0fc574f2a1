//! What CRI-O writes about a sandbox or a container: annotations in `config.json`, and `state.json` beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::observation::{Ignore, IgnoreKeys};
use crate::source::cri::model::{CriMount, NamespaceMode, NamespaceOptions};
use crate::source::oci::spec::{Spec, null_as_default, time};

/// `state.json`: what CRI-O last knew of a container's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// `created`, `running`, `paused`, `stopped`; nothing for a container that has no process.
    #[serde(deserialize_with = "null_as_default")]
    pub status: String,
    /// The init's pid, by the low-level runtime; 0 once it has stopped.
    pub pid: u32,
    /// The init's pid, kept.
    pub init_pid: u32,
    /// When that started, in clock ticks since boot.
    #[serde(deserialize_with = "null_as_default")]
    pub init_start_time: String,
    /// When it was created.
    #[serde(deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// When it was started.
    #[serde(deserialize_with = "time")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "time")]
    pub finished: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Killed by the kernel for want of memory.
    #[serde(rename = "oomKilled")]
    pub oom_killed: bool,
}

impl State {
    /// The init's pid and, where it was written down, its start time in clock ticks.
    #[must_use]
    pub fn init(&self) -> (u32, Option<u64>) {
        let pid = if self.init_pid == 0 { self.pid } else { self.init_pid };
        (pid, self.init_start_time.parse().ok())
    }
}

/// What the annotations of a specification say.
#[derive(Clone, Copy, Debug)]
pub struct Annotations<'a>(&'a BTreeMap<String, String>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    uid: String,
    namespace: String,
    attempt: u32,
}

/// `runtime.v1.NamespaceOption`, as Go writes it: what is 0 is left out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    network: i32,
    pid: i32,
    ipc: i32,
    target_id: String,
    userns_options: Option<UserOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserOptions {
    mode: i32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Volume {
    container_path: String,
    host_path: String,
    readonly: bool,
}

impl<'a> Annotations<'a> {
    /// Those of a specification.
    #[must_use]
    pub const fn of(spec: &'a Spec) -> Self {
        Self(&spec.annotations)
    }

    /// CRI-O's own annotation of that name.
    #[must_use]
    pub fn own(self, name: &str) -> Option<&'a str> {
        self.get(&format!("io.kubernetes.cri-o.{name}"))
    }

    fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Whether it is CRI-O's at all: Podman keeps its containers in the same folders. Old releases did not say whose.
    #[must_use]
    pub fn are_crio(self) -> bool {
        match self.get("io.container.manager") {
            Some(manager) => manager == "cri-o",
            None => self.own("ContainerType").is_some(),
        }
    }

    fn metadata(self) -> Metadata {
        self.json("Metadata").unwrap_or_default()
    }

    fn json<T: for<'de> Deserialize<'de>>(self, name: &str) -> Option<T> {
        serde_json::from_str(self.own(name)?).ok()
    }

    /// The pod's name, namespace and uid, and how often it had a sandbox before. The kubelet's labels come before what
    /// a pod's author may have annotated.
    #[must_use]
    pub fn pod(self) -> (String, String, String, u32) {
        let metadata = self.metadata();
        let name = self.get("io.kubernetes.pod.name").or_else(|| self.own("KubeName"));
        let namespace = self.get("io.kubernetes.pod.namespace").or_else(|| self.own("Namespace"));
        let uid = self.get("io.kubernetes.pod.uid");
        (
            name.map_or(metadata.name, str::to_owned),
            namespace.map_or(metadata.namespace, str::to_owned),
            uid.map_or(metadata.uid, str::to_owned),
            metadata.attempt,
        )
    }

    /// A container's name in its pod, and how often it was started before. CRI-O's own name for it is
    /// `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
    #[must_use]
    pub fn container(self) -> (String, u32) {
        let metadata = self.metadata();
        let of_name = || self.own("Name").and_then(|name| name.strip_prefix("k8s_")?.split('_').next());
        let name = self.get("io.kubernetes.container.name").or_else(of_name);
        (name.map_or(metadata.name, str::to_owned), metadata.attempt)
    }

    /// How a sandbox is to share with its containers.
    #[must_use]
    pub fn options(self) -> Option<NamespaceOptions> {
        let options: Options = self.json("NamespaceOptions")?;
        Some(NamespaceOptions {
            network: mode(options.network),
            pid: mode(options.pid),
            ipc: mode(options.ipc),
            user: options.userns_options.map(|user| mode(user.mode)),
            target_id: options.target_id,
        })
    }

    /// A container's volumes, as the kubelet asked for them.
    #[must_use]
    pub fn volumes(self) -> Option<Vec<CriMount>> {
        let volumes: Option<Vec<Volume>> = self.json("Volumes")?;
        let volumes = volumes.unwrap_or_default().into_iter().map(|volume| CriMount {
            host_path: volume.host_path,
            container_path: volume.container_path,
            read_only: volume.readonly,
        });
        Some(volumes.collect())
    }

    /// The image: some name that it has, else what the kubelet asked for.
    #[must_use]
    pub fn image(self) -> Option<String> {
        self.own("ImageName").or_else(|| self.own("Image")).map(str::to_owned)
    }

    /// Which rules audits are asked to leave out: by the annotations that the kubelet gave, else by its labels.
    #[must_use]
    pub fn ignore(self) -> Option<Ignore> {
        let of = |name: &str| self.json::<IgnoreKeys>(name)?.ignore();
        of("Annotations").or_else(|| of("Labels"))
    }

    /// When it was created.
    #[must_use]
    pub fn created(self) -> Option<Timestamp> {
        self.own("Created")?.parse().ok()
    }

    /// Why its processes are not to be seen on this host, by the name of its runtime handler.
    #[must_use]
    pub fn opaque(self) -> Option<String> {
        crate::source::cri::opaque(self.own("RuntimeHandler")?)
    }
}

const fn mode(number: i32) -> NamespaceMode {
    match number {
        1 => NamespaceMode::Container,
        2 => NamespaceMode::Node,
        3 => NamespaceMode::Target,
        _ => NamespaceMode::Pod,
    }
}
