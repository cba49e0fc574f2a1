//! What was seen at one moment, and what was made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::story::Names;
use crate::findings::{self, Judgement};
use crate::observation::{Kind, Observation, ProcessKey, SeenClass, SeenOwner, Task};
use crate::state::facts::Foreign;
use crate::state::hash::NumberSet;
use crate::state::{self, Snapshot};
use crate::view::{Class, Container, Pod};

/// What was seen at one moment, and what was made of it.
pub struct Moment {
    pub(super) observation: Observation,
    pub(super) snapshot: Snapshot,
    /// Of the last look at everything: rules judge no half of a picture.
    pub(super) judged: Arc<Judged>,
    /// The pids of the containers' inits.
    inits: NumberSet<u32>,
    /// Time alone changes nothing of what was made of it.
    is_settled: bool,
}

/// So old is what every rule and every runtime takes note of.
const SETTLED_NS: u64 = 3_000_000_000;

/// What was made of a look at everything.
#[derive(Default)]
pub(super) struct Judged {
    pub foreign: Vec<Foreign>,
    pub judgement: Judgement,
    /// What each of the findings is about.
    pub names: Vec<Names>,
}

impl Moment {
    /// Makes everything of it that can be made. What is as it was `before` is shared with that.
    #[must_use]
    pub fn of(observation: Observation, before: Option<&Self>) -> Self {
        let (snapshot, facts) = state::snapshot_and_facts(&observation, before.map(|it| &it.snapshot));
        let judgement =
            findings::evaluate(&findings::Node::new(&observation.node.name, &snapshot.pods, &facts));
        let names = judgement.findings.iter().map(|it| Names::of(it, &snapshot.pods)).collect();
        let judged = Arc::new(Judged { foreign: facts.foreign, judgement, names });
        let inits = inits(&snapshot.pods);
        let youngest_ns =
            observation.tasks.iter().map(|task| task.start_boottime_ns).max().unwrap_or_default();
        // What processes do is judged by their age, too.
        let is_settled = observation.behaviours.is_empty()
            && youngest_ns.saturating_add(SETTLED_NS) <= observation.node.tasks_as_of_ns();
        Self { observation, snapshot, judged, inits, is_settled }
    }

    /// The same moments later, by what the kernel told: findings stay those of the last look.
    pub(super) fn later(&self, observation: Observation) -> Self {
        let snapshot = state::snapshot_after(&observation, Some(&self.snapshot));
        let inits = inits(&snapshot.pods);
        Self { observation, snapshot, judged: Arc::clone(&self.judged), inits, is_settled: false }
    }

    /// Whether a later look saw the same, and so the same is to be made of it: most looks at a node do.
    pub(super) fn is_same_later(&self, look: &Observation) -> bool {
        let Observation {
            node,
            source,
            reader,
            host,
            tasks,
            unreadable,
            containers,
            pods,
            behaviours,
            credentials,
            networks,
            costs,
            namespaces,
            pins,
            handles,
            runtimes,
            gaps,
            history: _,
        } = look;
        let last = &self.observation;
        self.is_settled
            && node.booted_at == last.node.booted_at
            && (source, reader, host, unreadable)
                == (&last.source, &last.reader, &last.host, &last.unreadable)
            && (containers, pods, behaviours) == (&last.containers, &last.pods, &last.behaviours)
            && (credentials, networks, costs) == (&last.credentials, &last.networks, &last.costs)
            && (pins, handles, runtimes, gaps) == (&last.pins, &last.handles, &last.runtimes, &last.gaps)
            && namespaces == &last.namespaces
            && tasks.len() == last.tasks.len()
            && (tasks.shared().iter().zip(last.tasks.shared()))
                .all(|(task, before)| Arc::ptr_eq(task, before) || task.is_where_it_was(before))
    }

    /// What was seen.
    #[must_use]
    pub const fn observation(&self) -> &Observation {
        &self.observation
    }

    /// The pods.
    #[must_use]
    pub fn pods(&self) -> &[Arc<Pod>] {
        &self.snapshot.pods
    }

    /// What the rules found when everything was looked at last.
    #[must_use]
    pub fn judgement(&self) -> &Judgement {
        &self.judged.judgement
    }

    pub(super) const fn inits(&self) -> &NumberSet<u32> {
        &self.inits
    }

    /// Whether a container of this id has a living init.
    pub(super) fn runs(&self, id: &str) -> bool {
        self.pods().iter().any(|pod| pod.running().any(|it| it.id == id))
    }

    pub(super) fn process(&self, key: ProcessKey) -> Option<&Task> {
        self.task(key.pid).filter(|task| self.key(task) == key)
    }

    pub(super) fn task(&self, pid: u32) -> Option<&Task> {
        self.observation.task(pid)
    }

    pub(super) fn init(&self, container: &Container) -> Option<&Task> {
        self.task(container.init_pid)
    }

    pub(super) fn incarnation<'a>(&self, container: &'a Container) -> Incarnation<'a> {
        let start_ticks = self.init(container).map_or(0, |task| self.key(task).start_ticks);
        (&container.id, container.init_pid, start_ticks)
    }

    pub(super) fn key(&self, task: &Task) -> ProcessKey {
        ProcessKey { pid: task.pid, start_ticks: self.observation.node.ticks(task.start_boottime_ns) }
    }
}

fn inits(pods: &[Arc<Pod>]) -> NumberSet<u32> {
    pods.iter().flat_map(|pod| pod.running()).map(|container| container.init_pid).collect()
}

/// A container, told from its earlier and later incarnations: its id, and its init's pid and start in clock ticks. (Its
/// `startedAt` is no identity: it moves when somebody sets the clock.)
pub(super) type Incarnation<'a> = (&'a str, u32, u64);

/// A running container with its pod.
#[derive(Clone, Copy)]
pub(super) struct Running<'a> {
    pub pod: &'a Pod,
    pub container: &'a Container,
}

/// The running containers of a moment.
pub(super) struct Containers<'a> {
    pub by_incarnation: BTreeMap<Incarnation<'a>, Running<'a>>,
    by_pid: BTreeMap<u32, Running<'a>>,
}

impl<'a> Containers<'a> {
    pub(super) fn of(moment: &'a Moment) -> Self {
        let running = || {
            let of_pod = |pod: &'a Arc<Pod>| pod.running().map(move |container| Running { pod, container });
            moment.snapshot.pods.iter().flat_map(of_pod)
        };
        Self {
            by_incarnation: running().map(|it| (moment.incarnation(it.container), it)).collect(),
            by_pid: running().map(|it| (it.container.init_pid, it)).collect(),
        }
    }

    pub(super) fn by_id(&self, id: &str) -> Option<Running<'a>> {
        let mut from = self.by_incarnation.range((id, 0, 0)..);
        from.next().filter(|(key, _)| key.0 == id).map(|(_, running)| *running)
    }

    /// The container that has this process for its init.
    pub(super) fn by_pid(&self, pid: u32) -> Option<Running<'a>> {
        self.by_pid.get(&pid).copied()
    }
}

/// For whom the namespaces are that others share, while that container lives.
pub(super) fn owners(moment: &Moment) -> impl Iterator<Item = ((Kind, u32), SeenOwner)> {
    let of_pod = |pod: &Arc<Pod>| {
        let shared = pod.namespaces.iter().filter(|it| it.owner.alive && it.shared_by.len() > 1);
        let owned = shared.filter_map(|namespace| {
            let id = namespace.owner.container.as_ref()?;
            let container = pod.containers.iter().find(|it| it.id == *id)?;
            let init = moment.key(moment.init(container)?);
            let class = match namespace.owner.class {
                Class::Pause => Some(SeenClass::Pause),
                Class::Application => Some(SeenClass::Application),
                Class::RuntimePinned | Class::Unknown => None,
            };
            let (kind, inode) = (namespace.kind, namespace.inode);
            let why = namespace.owner.why.clone();
            Some(((kind, inode), SeenOwner { kind, inode, container: id.clone(), init, class, why }))
        });
        owned.collect::<Vec<_>>()
    };
    moment.pods().iter().flat_map(of_pod)
}
