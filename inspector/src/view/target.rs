//! What a command's TARGET means: a pod, a container, a process or a namespace.

use crate::observation::{Kind, Observation};
use crate::state::Snapshot;
use crate::view::{Pod, PodName, State};

/// Why a target means nothing: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Several things are called so.
    #[error(
        "{target:?} could be any of {}; say which, by a longer id, NAMESPACE/NAME, pod/…, container/… or pid/…",
        list(candidates)
    )]
    Ambiguous {
        /// What was asked for.
        target: String,
        /// What it could be, as it can be asked for.
        candidates: Vec<String>,
    },
    /// Nothing is.
    #[error(
        "no pod, container or process of a container is called {target:?}; there are {}",
        list(candidates)
    )]
    Unknown {
        /// What was asked for.
        target: String,
        /// What could be asked for.
        candidates: Vec<String>,
    },
    /// No namespace of that kind has that inode.
    #[error("there is no {kind} namespace {inode}; `inspector namespaces -t {kind}` lists those there are")]
    NoNamespace {
        /// Its kind.
        kind: Kind,
        /// Its inode.
        inode: u32,
    },
    /// It is a process of the node's own.
    #[error("process {0} is of no container, and in the node's own PID namespace: `ps` shows that one whole")]
    OfTheNode(u32),
    /// It is a process of which too little is known.
    #[error(
        "process {0} is in no PID namespace that could be listed; where its own cannot be read, root can"
    )]
    Nowhere(u32),
}

/// The most candidates that are named.
const CANDIDATES: usize = 12;

fn list(candidates: &[String]) -> String {
    let named = candidates.iter().take(CANDIDATES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match candidates.len() {
        0 => "none".to_owned(),
        count if count > CANDIDATES => format!("{named} and {} more", count - CANDIDATES),
        _ => named,
    }
}

/// What a target means.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A pod.
    Pod(&'a Pod),
    /// A container, by its id.
    Container(&'a str),
    /// A process, by its thread group's id.
    Process(u32),
    /// A namespace.
    Namespace(Kind, u32),
}

impl<'a> Target<'a> {
    /// Exact names and pids come before beginnings of ids; the living before the dead.
    ///
    /// # Errors
    /// If nothing is called so, or several things are.
    pub fn resolve(
        target: &str,
        observation: &Observation,
        snapshot: &'a Snapshot,
        sorts: &[&str],
    ) -> Result<Self, TargetError> {
        let (sort, name) = match target.split_once('/') {
            Some((sort, name)) if sorts.contains(&sort) => (Some(sort), name),
            _ => (None, target),
        };
        if sorts.contains(&"namespace")
            && let Some((kind, inode)) = namespace(target)
        {
            let exists = exists(observation, kind, inode);
            return if exists {
                Ok(Self::Namespace(kind, inode))
            } else {
                Err(TargetError::NoNamespace { kind, inode })
            };
        }
        let may_be = |wanted: &str| sorts.contains(&wanted) && sort.is_none_or(|sort| sort == wanted);
        let matching = |exact: bool| -> Vec<Self> {
            let begins = |id: &str| if exact { id == name } else { !name.is_empty() && id.starts_with(name) };
            let mut found: Vec<Self> = Vec::new();
            for pod in &snapshot.pods {
                let is_pod = may_be("pod") && (begins(&pod.id) || exact && is_called(pod, name));
                if is_pod {
                    found.push(Self::Pod(pod));
                }
                for container in &pod.containers {
                    let is_it = begins(&container.id) || exact && container.name == name;
                    // A pod that is named after one of its containers means both.
                    if may_be("container") && is_it && !is_pod {
                        found.push(Self::Container(&container.id));
                    }
                }
            }
            if let (true, Ok(pid)) = (exact && may_be("pid"), name.parse::<u32>()) {
                let task = observation.tasks.iter().find(|task| task.pid == pid);
                found.extend(task.map(|task| Self::Process(task.tgid)));
            }
            if let (true, Ok(inode)) = (exact && may_be("namespace"), name.parse::<u32>()) {
                let kinds = Kind::ALL.into_iter().filter(|kind| exists(observation, *kind, inode));
                found.extend(kinds.map(|kind| Self::Namespace(kind, inode)));
            }
            found
        };
        let mut found = matching(true);
        if found.is_empty() {
            found = matching(false);
        }
        if found.len() > 1 && found.iter().any(|it| it.is_living(snapshot)) {
            found.retain(|it| it.is_living(snapshot));
        }
        let words = |found: &[Self]| found.iter().map(|it| it.words(snapshot)).collect();
        let target = || target.to_owned();
        match found.pop() {
            None => {
                let pods = snapshot.pods.iter().map(|pod| Self::Pod(pod));
                let known: Vec<Self> = pods.filter(|it| it.is_living(snapshot)).collect();
                Err(TargetError::Unknown { target: target(), candidates: words(&known) })
            }
            Some(it) if found.is_empty() => Ok(it),
            Some(it) => {
                found.push(it);
                Err(TargetError::Ambiguous { target: target(), candidates: words(&found) })
            }
        }
    }

    /// Where a pod that nothing declares is called after one of its containers, that container: who asks what dies with
    /// `nginx` means the container. `pod/nginx` means the pod.
    #[must_use]
    pub fn narrowed(self, target: &str) -> Self {
        match self {
            Self::Pod(pod) if !target.starts_with("pod/") => {
                let namesake = pod.containers.iter().find(|it| it.id == pod.id && it.name == pod.name);
                namesake.map_or(self, |it| Self::Container(&it.id))
            }
            _ => self,
        }
    }

    fn is_living(&self, snapshot: &Snapshot) -> bool {
        let running = |pod: &Pod, id: Option<&str>| {
            pod.containers.iter().any(|it| it.state == State::Running && id.is_none_or(|id| it.id == id))
        };
        match self {
            Self::Pod(pod) => running(pod, None),
            Self::Container(id) => snapshot.pods.iter().any(|pod| running(pod, Some(id))),
            Self::Process(_) | Self::Namespace(..) => true,
        }
    }

    /// How to ask for it without any doubt.
    fn words(&self, snapshot: &Snapshot) -> String {
        let short =
            |id: &str| if id.starts_with("proc:") { id.to_owned() } else { id.chars().take(12).collect() };
        match self {
            Self::Pod(pod) => format!("pod/{} ({})", PodName::of(pod), short(&pod.id)),
            Self::Container(id) => {
                let mut all =
                    snapshot.pods.iter().flat_map(|pod| pod.containers.iter().map(move |it| (pod, it)));
                match all.find(|(_, it)| it.id == **id) {
                    Some((pod, it)) => {
                        format!("container/{} ({} of pod {})", it.name, short(id), PodName::of(pod))
                    }
                    None => format!("container/{}", short(id)),
                }
            }
            Self::Process(pid) => format!("pid/{pid}"),
            Self::Namespace(kind, inode) => format!("{kind}:{inode}"),
        }
    }
}

fn is_called(pod: &Pod, name: &str) -> bool {
    let with_namespace = || {
        let (namespace, name) = name.split_once('/')?;
        Some(pod.namespace.as_deref() == Some(namespace) && pod.name == name)
    };
    pod.name == name || with_namespace() == Some(true)
}

/// `net:4026532184`, and as the kernel has it: `net:[4026532184]`.
fn namespace(target: &str) -> Option<(Kind, u32)> {
    let (kind, inode) = target.split_once(':')?;
    let inode = inode.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(inode);
    Some((kind.parse().ok()?, inode.parse().ok()?))
}

fn exists(observation: &Observation, kind: Kind, inode: u32) -> bool {
    observation.tasks.iter().any(|task| task.namespaces.get(kind) == Some(inode))
        || observation.pins.iter().any(|pin| (pin.kind, pin.inode) == (kind, inode))
        || observation.namespaces.iter().any(|fact| (fact.kind, fact.inode) == (kind, inode))
}
