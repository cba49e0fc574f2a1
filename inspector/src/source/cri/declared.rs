//! From what CRI's runtimes know of their sandboxes and containers to what they declare: pure, and the same for
//! containerd and CRI-O, by socket and by disk.
//!
//! The specification says what was done and decides; the declared modes decide where it names a path that nobody can
//! follow any more, and where there is no specification.

use std::collections::BTreeMap;
use std::path::Path;

use super::model::{Container, CriNode, NamespaceMode, NamespaceOptions, Sandbox};
use super::mounts;
use crate::observation::{
    Declaration, DeclaredContainer, DeclaredPod, Infra, Kind, Origin, Runtime, RuntimeState, SandboxNamespace,
};
use crate::source::oci::spec::Spec;
use crate::state::cgroup;

/// The kinds that a sandbox is made to share.
const SHARED: [Kind; 5] = [Kind::Net, Kind::Ipc, Kind::Uts, Kind::Pid, Kind::User];

/// What a runtime declares about its containers and pods. `source` is where it was read; `inode` says which namespace a
/// path of the host leads to.
#[must_use]
pub fn facts(
    node: &CriNode,
    runtime: Runtime,
    source: &str,
    inode: &dyn Fn(&str) -> Option<u32>,
) -> (Vec<DeclaredContainer>, Vec<DeclaredPod>) {
    let sandboxes: BTreeMap<&str, SandboxView<'_>> = node
        .sandboxes
        .iter()
        .map(|sandbox| (sandbox.id.as_str(), SandboxView::new(sandbox, runtime, inode)))
        .collect();
    let infra = node.sandboxes.iter().filter(|sandbox| !sandbox.processless).map(|sandbox| {
        let declared = sandboxes.get(sandbox.id.as_str()).map(|view| view.declared.clone());
        DeclaredContainer {
            declared: declared.unwrap_or_default(),
            ..infra_container(sandbox, runtime, source)
        }
    });
    let unknown = SandboxView::default();
    let others = node.containers.iter().map(|container| {
        let sandbox = sandboxes.get(container.sandbox.as_str()).unwrap_or(&unknown);
        DeclaredContainer {
            declared: sandbox.declarations_of(container, node, inode),
            opaque: container.opaque.clone().or_else(|| sandbox.sandbox.and_then(|it| it.opaque.clone())),
            ..app_container(container, runtime, source)
        }
    });
    let containers = infra.chain(others).collect();
    let pods = node.sandboxes.iter().map(|sandbox| pod(sandbox, runtime, inode)).collect();
    (containers, pods)
}

fn infra_container(sandbox: &Sandbox, runtime: Runtime, source: &str) -> DeclaredContainer {
    let state = match (sandbox.pid, sandbox.ready) {
        (0, Some(false)) => RuntimeState::Exited,
        (0, _) if sandbox.finished_at.is_some() => RuntimeState::Exited,
        (0, _) => RuntimeState::Unknown,
        _ => RuntimeState::Running,
    };
    DeclaredContainer {
        name: Some(sandbox.infra_name.clone().unwrap_or_else(|| "POD".to_owned())),
        image: sandbox.image.clone().or_else(|| sandbox.spec.as_ref().and_then(image)),
        state,
        pid: sandbox.pid,
        start_ticks: sandbox.start_ticks.filter(|_| sandbox.pid != 0),
        created_at: sandbox.created_at,
        started_at: sandbox.started_at,
        finished_at: sandbox.finished_at,
        exit_code: sandbox.exit_code.filter(|_| state == RuntimeState::Exited),
        cgroup: sandbox.cgroup.clone().or_else(|| cgroup(sandbox.spec.as_ref())),
        infra_mark: Some(sandbox.mark.clone()),
        command: command(sandbox.spec.as_ref()),
        pod: Some(sandbox.id.clone()),
        opaque: sandbox.opaque.clone(),
        ..DeclaredContainer::new(&sandbox.id, runtime, Origin::Kubernetes, source)
    }
}

fn app_container(container: &Container, runtime: Runtime, source: &str) -> DeclaredContainer {
    let spec = container.spec.as_ref();
    let running = container.state == RuntimeState::Running;
    DeclaredContainer {
        name: Some(container.name.clone()).filter(|name| !name.is_empty()),
        image: container.image.clone().or_else(|| spec.and_then(image)),
        state: container.state,
        pid: if running { container.pid } else { 0 },
        start_ticks: container.start_ticks.filter(|_| running),
        created_at: container.created_at,
        started_at: container.started_at,
        finished_at: container.finished_at,
        exit_code: container.exit_code.filter(|_| container.state == RuntimeState::Exited),
        oom_killed: container.oom_killed,
        cgroup: container.cgroup.clone().or_else(|| cgroup(spec)),
        command: command(spec),
        pod: Some(container.sandbox.clone()).filter(|id| !id.is_empty()),
        mounts: mounts::volumes(container),
        ignore: container.ignore.clone(),
        ..DeclaredContainer::new(&container.id, runtime, Origin::Kubernetes, source)
    }
}

fn pod(sandbox: &Sandbox, runtime: Runtime, inode: &dyn Fn(&str) -> Option<u32>) -> DeclaredPod {
    DeclaredPod {
        namespace: Some(sandbox.namespace.clone()).filter(|text| !text.is_empty()),
        uid: Some(sandbox.uid.clone()).filter(|text| !text.is_empty()),
        created_at: sandbox.created_at,
        infra: if sandbox.processless { Infra::Processless } else { Infra::Container(sandbox.id.clone()) },
        namespaces: if sandbox.processless { pinned(sandbox, inode) } else { Vec::new() },
        ready: sandbox.ready,
        runtime: Some(runtime),
        ignore: sandbox.ignore.clone(),
        ..DeclaredPod::new(&sandbox.id, &sandbox.name, Origin::Kubernetes)
    }
}

/// The namespaces that a runtime made for a sandbox without a process, and pinned. The pin of a host-network pod is one
/// of the host's namespace: nothing of the sandbox's.
fn pinned(sandbox: &Sandbox, inode: &dyn Fn(&str) -> Option<u32>) -> Vec<SandboxNamespace> {
    let mut namespaces: Vec<_> = paths(sandbox.spec.as_ref())
        .filter(|(kind, path)| {
            is_pin(*kind, path) && mode(sandbox.options.as_ref(), *kind) != Some(NamespaceMode::Node)
        })
        .map(|(kind, path)| SandboxNamespace { kind, path: path.to_owned(), inode: inode(path) })
        .collect();
    namespaces.sort_by_key(|namespace| namespace.kind);
    namespaces.dedup_by_key(|namespace| namespace.kind);
    namespaces
}

/// A sandbox, and what it is to its containers.
#[derive(Default)]
struct SandboxView<'a> {
    sandbox: Option<&'a Sandbox>,
    declared: BTreeMap<Kind, Declaration>,
}

impl<'a> SandboxView<'a> {
    fn new(sandbox: &'a Sandbox, runtime: Runtime, inode: &dyn Fn(&str) -> Option<u32>) -> Self {
        let options = sandbox.options.as_ref();
        let mut declared = match &sandbox.spec {
            Some(spec) => spec.declarations(inode),
            None => by_modes(options, runtime),
        };
        for kind in SHARED {
            let Some(declaration) = declared.get_mut(&kind) else { continue };
            if mode(options, kind) == Some(NamespaceMode::Node) && kind != Kind::User {
                *declaration = Declaration::Host;
            } else if let Declaration::Path { path, .. } = declaration
                && is_pin(kind, path)
            {
                // Made by the runtime for this sandbox, and handed over by a path.
                *declaration = Declaration::Private;
            }
        }
        Self { sandbox: Some(sandbox), declared }
    }

    fn declarations_of(
        &self,
        container: &Container,
        node: &CriNode,
        inode: &dyn Fn(&str) -> Option<u32>,
    ) -> BTreeMap<Kind, Declaration> {
        let options = container.options.as_ref();
        let Some(spec) = &container.spec else {
            return self.by_modes_alone(options);
        };
        let mut declared = spec.declarations(inode);
        for kind in SHARED {
            let Some(Declaration::Path { path, inode: leads_to }) = declared.get(&kind) else { continue };
            let declaration = if kind == Kind::Pid
                && let Some(target) = self.target(container, node, *leads_to, inode)
            {
                Declaration::Target(target)
            } else if self.is_own(kind, path, *leads_to, container, node, inode) {
                self.joined(kind)
            } else {
                continue;
            };
            declared.insert(kind, declaration);
        }
        declared
    }

    /// What joining the sandbox's namespace of a kind comes to.
    fn joined(&self, kind: Kind) -> Declaration {
        match self.declared.get(&kind) {
            Some(Declaration::Host) => Declaration::Host,
            _ => Declaration::Pod,
        }
    }

    /// Whose PID namespace a container is to be in by mode TARGET, as the mode says it or as its path does: to another
    /// container's than the sandbox's own there is no other way.
    fn target(
        &self,
        container: &Container,
        node: &CriNode,
        leads_to: Option<u32>,
        inode: &dyn Fn(&str) -> Option<u32>,
    ) -> Option<String> {
        if let Some(options) = &container.options {
            let is_target = options.pid == NamespaceMode::Target && !options.target_id.is_empty();
            return is_target.then(|| options.target_id.clone());
        }
        let leads_to = leads_to?;
        if self.reference(Kind::Pid).and_then(|path| inode(&path)) == Some(leads_to) {
            return None;
        }
        node.containers
            .iter()
            .filter(|other| other.sandbox == container.sandbox && other.id != container.id && other.pid != 0)
            .filter(|other| makes_its_own(other.spec.as_ref(), Kind::Pid))
            .find(|other| inode(&format!("/proc/{}/ns/pid", other.pid)) == Some(leads_to))
            .map(|other| other.id.clone())
    }

    /// Whether a path of a container's is meant to lead to the sandbox's own namespace.
    fn is_own(
        &self,
        kind: Kind,
        path: &str,
        leads_to: Option<u32>,
        container: &Container,
        node: &CriNode,
        inode: &dyn Fn(&str) -> Option<u32>,
    ) -> bool {
        let Some(sandbox) = self.sandbox else { return false };
        let process = process_of(path);
        if paths(sandbox.spec.as_ref()).any(|(of, pin)| of == kind && pin == path)
            || sandbox.pid != 0 && process == Some(sandbox.pid)
        {
            return true;
        }
        let stale = sandbox.pid == 0 && process.is_some();
        let reference = self.reference(kind).and_then(|path| inode(&path));
        if let (Some(reference), Some(leads_to)) = (reference, leads_to)
            && (reference == leads_to || !stale)
        {
            return reference == leads_to;
        }
        // The sandbox's process is gone, and its number may be another's by now. What the runtime wrote down is that
        // the container joins its pod.
        let other = |pid: u32| {
            node.containers.iter().any(|it| it.pid == pid) || node.sandboxes.iter().any(|it| it.pid == pid)
        };
        stale
            && (mode(container.options.as_ref(), kind) == Some(NamespaceMode::Pod)
                || !process.is_some_and(other))
    }

    /// A path that leads to the sandbox's own namespace of a kind.
    fn reference(&self, kind: Kind) -> Option<String> {
        let sandbox = self.sandbox?;
        let pin = paths(sandbox.spec.as_ref()).find(|(of, _)| *of == kind).map(|(_, path)| path.to_owned());
        pin.or_else(|| (sandbox.pid != 0).then(|| format!("/proc/{}/ns/{}", sandbox.pid, kind.name())))
    }

    /// The modes of a container without a specification. The sandbox's decide where it has none of its own.
    fn by_modes_alone(&self, options: Option<&NamespaceOptions>) -> BTreeMap<Kind, Declaration> {
        let Some(options) = options.or_else(|| self.sandbox?.options.as_ref()) else {
            return BTreeMap::new();
        };
        let mut declared = BTreeMap::new();
        for kind in SHARED {
            let Some(mode) = mode(Some(options), kind) else { continue };
            let declaration = match mode {
                NamespaceMode::Pod => self.joined(kind),
                NamespaceMode::Container => Declaration::Private,
                NamespaceMode::Node => Declaration::Host,
                NamespaceMode::Target => Declaration::Target(options.target_id.clone()),
            };
            declared.insert(kind, declaration);
        }
        declared
    }
}

/// The modes of a sandbox without a specification. Only what they say: mnt, cgroup and time are not among them.
fn by_modes(options: Option<&NamespaceOptions>, runtime: Runtime) -> BTreeMap<Kind, Declaration> {
    let Some(options) = options else { return BTreeMap::new() };
    let mut declared = BTreeMap::new();
    for kind in SHARED {
        let declaration = match mode(Some(options), kind) {
            Some(NamespaceMode::Node) => Declaration::Host,
            Some(_) => Declaration::Private,
            None => continue,
        };
        declared.insert(kind, declaration);
    }
    // No mode of its own: containerd's follows the network, CRI-O's is always the pod's.
    let host = runtime == Runtime::Containerd && options.network == NamespaceMode::Node;
    declared.insert(Kind::Uts, if host { Declaration::Host } else { Declaration::Private });
    declared
}

/// The declared mode of a kind; a user namespace that nobody asks for is the node's.
fn mode(options: Option<&NamespaceOptions>, kind: Kind) -> Option<NamespaceMode> {
    let options = options?;
    match kind {
        Kind::Net => Some(options.network),
        Kind::Ipc => Some(options.ipc),
        Kind::Pid => Some(options.pid),
        Kind::User => Some(options.user.unwrap_or(NamespaceMode::Node)),
        _ => None,
    }
}

/// The namespaces that a specification joins by a path.
fn paths(spec: Option<&Spec>) -> impl Iterator<Item = (Kind, &str)> {
    let namespaces =
        spec.and_then(|spec| spec.linux.as_ref()).into_iter().flat_map(|linux| &linux.namespaces);
    namespaces.filter_map(|namespace| {
        let path = namespace.path.as_deref().filter(|path| !path.is_empty())?;
        Some((namespace.kind()?, path))
    })
}

/// Whether a specification has a namespace of a kind made.
fn makes_its_own(spec: Option<&Spec>, kind: Kind) -> bool {
    let namespaces = spec.and_then(|spec| spec.linux.as_ref()).map(|linux| linux.namespaces.as_slice());
    namespaces.unwrap_or_default().iter().any(|namespace| {
        namespace.kind() == Some(kind) && namespace.path.as_deref().is_none_or(str::is_empty)
    })
}

/// Whether a path is one of a runtime's pins: a file in a folder `<kind>ns`.
fn is_pin(kind: Kind, path: &str) -> bool {
    let folder = Path::new(path).parent().and_then(Path::file_name).and_then(|name| name.to_str());
    folder.and_then(|name| name.strip_suffix("ns")) == Some(kind.name())
}

/// The process whose namespace a path names: `/proc/PID/ns/…`.
fn process_of(path: &str) -> Option<u32> {
    let (pid, rest) = path.strip_prefix("/proc/")?.split_once('/')?;
    rest.strip_prefix("ns/")?;
    pid.parse().ok()
}

fn command(spec: Option<&Spec>) -> Vec<String> {
    spec.map(|spec| spec.process.args.clone()).unwrap_or_default()
}

fn cgroup(spec: Option<&Spec>) -> Option<String> {
    let path = &spec?.linux.as_ref()?.cgroups_path;
    path.starts_with('/').then(|| path.clone())
}

fn annotation<'a>(spec: &'a Spec, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| spec.annotations.get(*name))
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// The image, as a runtime writes it into a specification: the name that its user gave. An id is none.
#[must_use]
pub fn image(spec: &Spec) -> Option<String> {
    let names = [
        "io.kubernetes.cri.image-name",
        "io.kubernetes.cri.podsandbox.image-name",
        "io.kubernetes.cri-o.UserRequestedImage",
        "io.kubernetes.cri-o.ImageName",
        "io.kubernetes.cri-o.Image",
    ];
    let is_name = |name: &&str| !name.starts_with("sha256:") && !cgroup::is_id(name);
    names.iter().find_map(|name| annotation(spec, &[name]).filter(is_name)).map(str::to_owned)
}

/// The sandbox that a specification's container belongs to.
#[must_use]
pub fn sandbox_of(spec: &Spec) -> Option<String> {
    annotation(spec, &["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]).map(str::to_owned)
}

/// What marks a specification as a sandbox's, if it is one's.
#[must_use]
pub fn sandbox_mark(spec: &Spec) -> Option<String> {
    let names = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
    let is_sandbox = |name: &&&str| spec.annotations.get(**name).is_some_and(|value| value == "sandbox");
    names.iter().find(is_sandbox).map(|name| format!("annotation {name}=sandbox"))
}

/// Whether a specification is that of a sandbox whose process CRI-O never started.
#[must_use]
pub fn is_spoofed(spec: &Spec) -> bool {
    annotation(spec, &["spoofed.crio.io", "io.kubernetes.cri-o.Spoofed"]) == Some("true")
}
