//! From what Docker writes about its containers to what it declares: pure, and the same for the API and the disk.

use std::collections::BTreeMap;

use super::record::{HostConfig, MountPoint, Record, State};
use crate::observation::{
    Declaration, DeclaredContainer, DeclaredPod, Ignore, Infra, Kind, Mount, MountKind, Origin, Runtime,
    RuntimeState,
};
use crate::state::cgroup::is_id;

/// Labels of cri-dockerd, and of the kubelet through it.
mod label {
    pub const KIND: &str = "io.kubernetes.docker.type";
    pub const SANDBOX: &str = "io.kubernetes.sandbox.id";
    pub const CONTAINER: &str = "io.kubernetes.container.name";
    pub const POD_NAME: &str = "io.kubernetes.pod.name";
    pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    pub const POD_UID: &str = "io.kubernetes.pod.uid";
    pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
    pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";
    pub const ECS: &str = "com.amazonaws.ecs.container-name";
    pub const NOMAD_ALLOCATION: &str = "com.hashicorp.nomad.alloc_id";
}

/// What is known of the daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// Its data root, as the host names it.
    pub root: String,
    /// It gives containers a user namespace of their own (`userns-remap`).
    pub remaps_users: bool,
}

/// The ids and names of all of a daemon's containers: what `container:<id or name>` is looked up in.
#[derive(Debug, Default)]
pub struct Directory {
    names: BTreeMap<String, String>,
    ids: std::collections::BTreeSet<String>,
}

impl Directory {
    /// Of these containers.
    pub fn new<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut directory = Self::default();
        for record in records {
            directory.ids.insert(record.id.clone());
            directory.names.insert(bare_name(&record.name).to_owned(), record.id.clone());
        }
        directory
    }

    /// The whole id of the container meant, as Docker looks one up: id, name, the start of one id only. What leads
    /// nowhere is kept as it was given.
    fn resolve(&self, given: &str) -> String {
        if is_id(given) {
            return given.to_owned();
        }
        if let Some(id) = self.names.get(bare_name(given)) {
            return id.clone();
        }
        let mut starting = self.ids.range(given.to_owned()..).take_while(|id| id.starts_with(given));
        match (starting.next(), starting.next()) {
            (Some(id), None) if !given.is_empty() => id.clone(),
            _ => given.to_owned(),
        }
    }
}

fn bare_name(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

/// What Docker declares about one container. `cgroup` and `start_ticks` are not Docker's to tell, and left empty.
#[must_use]
pub fn container(record: &Record, daemon: &Daemon, directory: &Directory, source: &str) -> DeclaredContainer {
    let labels = &record.config.labels;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let compose = labels
        .get(label::COMPOSE_PROJECT)
        .map(|project| (project.clone(), labels.get(label::COMPOSE_SERVICE).cloned().unwrap_or_default()));
    let pod = sandbox_of(record);
    let state = runtime_state(&record.state);
    let exited = state == RuntimeState::Exited;
    DeclaredContainer {
        id: record.id.clone(),
        name: pod
            .filter(|pod| *pod != record.id)
            .and_then(|_| text(labels.get(label::CONTAINER)?))
            .or_else(|| text(bare_name(&record.name))),
        runtime: Runtime::Docker,
        origin: match (pod, &compose) {
            (Some(_), _) => Origin::Kubernetes,
            (None, Some(_)) => Origin::Compose,
            (None, None) => Origin::Docker,
        },
        image: text(&record.config.image),
        state,
        pid: if state == RuntimeState::Running { record.state.pid } else { 0 },
        start_ticks: None,
        created_at: record.created,
        started_at: record.state.started_at,
        finished_at: record.state.finished_at,
        exit_code: record.state.exit_code.filter(|_| exited),
        oom_killed: record.state.oom_killed,
        cgroup: None,
        infra_mark: infra_mark(record),
        command: text(&record.path).into_iter().chain(record.args.iter().cloned()).collect(),
        declared: declared(record, daemon, directory),
        pod: pod.map(str::to_owned),
        compose,
        mounts: mounts(record, daemon),
        role: None,
        word_of_uid: None,
        opaque: None,
        ignore: Ignore::of(|name| labels.get(name).map(String::as_str)),
        source: source.to_owned(),
    }
}

/// The pods that these containers belong to, by cri-dockerd's labels. The sandbox knows its pod best; where it is
/// gone, its containers still name it.
#[must_use]
pub fn pods<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<DeclaredPod> {
    let mut pods = BTreeMap::new();
    for record in records {
        let labels = &record.config.labels;
        let Some(id) = sandbox_of(record) else { continue };
        let is_sandbox = id == record.id;
        let pod = || DeclaredPod {
            name: labels.get(label::POD_NAME).cloned().unwrap_or_default(),
            namespace: labels.get(label::POD_NAMESPACE).cloned(),
            uid: labels.get(label::POD_UID).cloned(),
            created_at: record.created.filter(|_| is_sandbox),
            infra: Infra::Container(id.to_owned()),
            runtime: Some(Runtime::Docker),
            // cri-dockerd keeps annotations among the labels.
            ignore: Ignore::of(|name| {
                labels.get(&format!("annotation.{name}")).or_else(|| labels.get(name)).map(String::as_str)
            })
            .filter(|_| is_sandbox),
            ..DeclaredPod::new(id, "", Origin::Kubernetes)
        };
        if is_sandbox {
            pods.insert(id, pod());
        } else {
            pods.entry(id).or_insert_with(pod);
        }
    }
    pods.into_values().collect()
}

/// The id of the sandbox whose pod a container is in: its own, if it is the sandbox.
fn sandbox_of(record: &Record) -> Option<&str> {
    let labels = &record.config.labels;
    match labels.get(label::KIND)?.as_str() {
        "podsandbox" => Some(&record.id),
        "container" => labels.get(label::SANDBOX).map(String::as_str).filter(|id| is_id(id)),
        _ => None,
    }
}

/// What marks an infra container. A name alone proves nothing; Nomad's counts with its own label beside it.
fn infra_mark(record: &Record) -> Option<String> {
    let labels = &record.config.labels;
    let has = |name: &str, value: &str| labels.get(name).is_some_and(|found| found == value);
    let marks = [(label::KIND, "podsandbox"), (label::ECS, "~internal~ecs~pause")];
    if let Some((name, value)) = marks.into_iter().find(|(name, value)| has(name, value)) {
        return Some(format!("label {name}={value}"));
    }
    let allocation = bare_name(&record.name).strip_prefix("nomad_init_")?;
    has(label::NOMAD_ALLOCATION, allocation).then(|| {
        format!("label {}={allocation} and the name nomad_init_{allocation}", label::NOMAD_ALLOCATION)
    })
}

/// The state, by Docker's own order of its flags. `Running` stays set while a restart waits, without a process.
fn runtime_state(state: &State) -> RuntimeState {
    if state.running && (state.pid != 0 || !state.restarting) {
        RuntimeState::Running
    } else if state.started_at.is_none() && !state.dead {
        RuntimeState::Created
    } else {
        RuntimeState::Exited
    }
}

/// The declared mode of each kind.
fn declared(record: &Record, daemon: &Daemon, directory: &Directory) -> BTreeMap<Kind, Declaration> {
    let host = &record.host_config;
    let sandbox = sandbox_of(record);
    let joined = |kind: Kind, mode: &str| -> Option<Declaration> {
        let id = directory.resolve(mode.strip_prefix("container:")?);
        Some(match sandbox {
            Some(sandbox) if sandbox == id => Declaration::Pod,
            // cri-dockerd joins another container than the sandbox for CRI's mode TARGET only.
            Some(_) if kind == Kind::Pid => Declaration::Target(id),
            _ => Declaration::Container(id),
        })
    };
    let mode = |kind: Kind, mode: &str, otherwise: Declaration| match mode {
        "host" => Declaration::Host,
        mode => joined(kind, mode).unwrap_or(otherwise),
    };
    let ipc = match host.ipc_mode.as_str() {
        // Nothing is what daemons wrote before there was a choice, and meant this; so dockerd still reads it.
        "shareable" | "" => Declaration::Shareable,
        _ => Declaration::Private,
    };
    BTreeMap::from([
        (Kind::Mnt, Declaration::Private),
        // Also beside `--net=container:`: the name is copied, the namespace is the container's own.
        (Kind::Uts, mode(Kind::Uts, &host.uts_mode, Declaration::Private)),
        (Kind::Ipc, mode(Kind::Ipc, &host.ipc_mode, ipc)),
        (Kind::Pid, mode(Kind::Pid, &host.pid_mode, Declaration::Private)),
        (Kind::Net, mode(Kind::Net, &host.network_mode, Declaration::Private)),
        (Kind::User, user(host, daemon, &joined)),
        (
            Kind::Cgroup,
            if host.cgroupns_mode == "private" { Declaration::Private } else { Declaration::Host },
        ),
        (Kind::Time, Declaration::Host),
    ])
}

/// The user namespace: the host's unless the daemon remaps; then that of the last container joined, else its own.
fn user(
    host: &HostConfig,
    daemon: &Daemon,
    joined: &impl Fn(Kind, &str) -> Option<Declaration>,
) -> Declaration {
    if !daemon.remaps_users || host.userns_mode == "host" {
        return Declaration::Host;
    }
    [&host.pid_mode, &host.ipc_mode, &host.network_mode]
        .into_iter()
        .find_map(|mode| joined(Kind::User, mode))
        .unwrap_or(Declaration::Private)
}

/// The bind and named volumes, by target.
fn mounts(record: &Record, daemon: &Daemon) -> Vec<Mount> {
    let own = format!("{}/containers/", daemon.root);
    let mut mounts: Vec<_> = record
        .mounts
        .iter()
        .chain(record.mount_points.values())
        .filter_map(|mount| {
            let (kind, source) = volume(mount, daemon)?;
            let mount = Mount { source, target: mount.destination.clone(), read_only: !mount.writable, kind };
            let runtimes = mount.source.starts_with(&own) || sandbox_of(record).is_some() && kubelets(&mount);
            (!runtimes).then_some(mount)
        })
        .collect();
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    mounts
}

/// The sort of a volume and its folder. On disk the folder of a local volume may be left out.
fn volume(mount: &MountPoint, daemon: &Daemon) -> Option<(MountKind, String)> {
    match mount.kind.as_str() {
        "bind" => Some((MountKind::Bind, mount.source.clone())),
        // Daemons before 1.13 wrote no type.
        "volume" | "" if mount.source.is_empty() && matches!(mount.driver.as_str(), "local" | "") => {
            Some((MountKind::Volume, format!("{}/volumes/{}/_data", daemon.root, mount.name)))
        }
        "volume" => Some((MountKind::Volume, mount.source.clone())),
        "" if mount.name.is_empty() => Some((MountKind::Bind, mount.source.clone())),
        "" => Some((MountKind::Volume, mount.source.clone())),
        _ => None,
    }
}

/// The files that a kubelet hands to each container: they are no volumes of the pod's.
fn kubelets(mount: &Mount) -> bool {
    mount.source.contains("/pods/")
        && (mount.target == "/etc/hosts" && mount.source.ends_with("/etc-hosts")
            || mount.target == "/dev/termination-log" && mount.source.contains("/containers/"))
}
