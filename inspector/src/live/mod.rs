//! What happened between two looks at a node. Pure: two [`Moment`]s go in, events come out; no clock, no file.
//!
//! A moment is what was seen and what was made of it. Nothing in here guesses about the time between two moments: a
//! container that came and went in between was not seen, and the stream says how it looks ([`EventTier::Iterator`]).

mod exits;
mod generations;
mod namespaces;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{self, Judgement};
use crate::observation::{Heard, Observation, Origin, ProcessKey, Task};
use crate::state::facts::{Facts, Foreign};
use crate::state::{self, Snapshot};
use crate::view::{
    API_VERSION, Container, Event, EventProcess, EventTier, EventType, Finding, Lost, Named, Pod, State,
};
use generations::Generations;
use namespaces::Census;

/// What was seen at one moment, and what was made of it.
pub struct Moment {
    observation: Observation,
    snapshot: Snapshot,
    facts: Facts,
    judgement: Judgement,
}

impl Moment {
    /// Makes everything of it that can be made.
    #[must_use]
    pub fn of(observation: Observation) -> Self {
        let snapshot = state::snapshot(&observation);
        let facts = state::facts::facts(&observation);
        let judgement =
            findings::evaluate(&findings::Node::new(&observation.node.name, &snapshot.pods, &facts));
        Self { observation, snapshot, facts, judgement }
    }

    /// What was seen.
    #[must_use]
    pub const fn observation(&self) -> &Observation {
        &self.observation
    }

    /// The pods.
    #[must_use]
    pub fn pods(&self) -> &[Pod] {
        &self.snapshot.pods
    }

    /// What is wrong, worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.judgement.findings
    }

    fn process(&self, key: ProcessKey) -> Option<&Task> {
        let at = self.observation.tasks.binary_search_by_key(&key.pid, |task| task.pid).ok()?;
        self.observation.tasks.get(at).filter(|task| self.key(task) == key)
    }

    fn init(&self, container: &Container) -> Option<&Task> {
        // Sorted by pid; 0 is nobody's.
        let at = self.observation.tasks.binary_search_by_key(&container.init_pid, |task| task.pid).ok()?;
        self.observation.tasks.get(at)
    }

    fn incarnation<'a>(&self, container: &'a Container) -> Incarnation<'a> {
        let start_ticks = self.init(container).map_or(0, |task| self.key(task).start_ticks);
        (&container.id, container.init_pid, start_ticks)
    }

    fn key(&self, task: &Task) -> ProcessKey {
        ProcessKey { pid: task.pid, start_ticks: self.observation.node.ticks(task.start_boottime_ns) }
    }
}

/// A container, told from its earlier and later incarnations: its id, and its init's pid and start in clock ticks. (Its
/// `startedAt` is no identity: it moves when somebody sets the clock.)
type Incarnation<'a> = (&'a str, u32, u64);

/// A running container with its pod.
#[derive(Clone, Copy)]
struct Running<'a> {
    pod: &'a Pod,
    container: &'a Container,
}

/// The running containers of a moment, by incarnation.
struct Containers<'a>(BTreeMap<Incarnation<'a>, Running<'a>>);

impl<'a> Containers<'a> {
    fn of(moment: &'a Moment) -> Self {
        let running = moment.snapshot.pods.iter().flat_map(|pod| {
            pod.running().map(move |container| (moment.incarnation(container), Running { pod, container }))
        });
        Self(running.collect())
    }

    fn by_id(&self, id: &str) -> Option<Running<'a>> {
        self.0.range((id, 0, 0)..).next().filter(|(key, _)| key.0 == id).map(|(_, running)| *running)
    }

    /// The container that has this process for its init.
    fn by_pid(&self, pid: u32) -> Option<Running<'a>> {
        self.0.values().find(|it| it.container.init_pid == pid).copied()
    }
}

/// Follows a node from moment to moment.
pub struct Engine {
    last: Moment,
    generations: Generations,
    sequence: u64,
    /// Whether single processes in namespaces of their own are told of, too.
    all: bool,
}

impl Engine {
    /// Starts from a first moment, of which nothing is told: it was so before.
    #[must_use]
    pub fn new(first: Moment, all: bool) -> Self {
        let mut generations = Generations::default();
        generations.see(&Census::of(&first));
        Self { last: first, generations, sequence: 0, all }
    }

    /// The last moment.
    #[must_use]
    pub const fn last(&self) -> &Moment {
        &self.last
    }

    /// What happened since the last moment, in the order of the contract: per kind of event, the ends before the
    /// beginnings, findings last.
    pub fn advance(&mut self, next: Moment, heard: &Heard) -> Vec<Event> {
        let before = Census::of(&self.last);
        let after = Census::of(&next);
        let told = self.generations.clone();
        self.generations.see(&after);

        let (was, is) = (Containers::of(&self.last), Containers::of(&next));
        let story = Story { last: &self.last, next: &next, was: &was, is: &is, heard, all: self.all };
        let mut drafts = exits::events(&story);
        drafts.extend(namespaces::ends(&story, &before, &after, &told, &self.generations));
        drafts.extend(namespaces::beginnings(&story, &before, &after, &self.generations));
        drafts.extend(story.started(&self.generations));
        drafts.extend(story.entered(&self.generations));
        drafts.extend(story.findings());

        self.last = next;
        drafts.into_iter().map(|draft| self.stamp(draft)).collect()
    }

    /// What is said before [`Self::advance`] where looking failed in between: that more may have happened than is told.
    pub fn resynced(&mut self, next: &Moment, why: &str) -> Event {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let blind = next.observation.node.boottime_ns.saturating_sub(self.last.observation.node.boottime_ns);
        let message = format!(
            "looked again after {:.1} s; what came and went in between was not seen: {why}",
            seconds(blind)
        );
        self.resync(next, Event { message, ..draft(EventType::Resynced) })
    }

    /// What is said before [`Self::advance`] where events of the kernel did not arrive: all that follows rests on the new
    /// look, and what came and went before it is not told.
    pub fn lost(&mut self, next: &Moment, heard: &Heard) -> Option<Event> {
        let records: u64 = heard.lost.values().sum();
        let by_cause = heard.lost.clone();
        let causes: Vec<String> =
            by_cause.iter().map(|(cause, records)| format!("{records} {cause}")).collect();
        let message = format!(
            "{records} events of the kernel did not arrive ({}); all tasks were read anew, and what came and went before \
             that is not told",
            causes.join(", ")
        );
        let lost = (records > 0).then_some(Lost { records, by_cause })?;
        Some(self.resync(next, Event { lost: Some(lost), message, ..draft(EventType::Resynced) }))
    }

    fn resync(&mut self, next: &Moment, draft: Event) -> Event {
        let event = self.stamp(draft);
        let node = &next.observation.node;
        Event { time: node.time.map(|time| time.to_string()), boottime_ns: node.boottime_ns, ..event }
    }

    /// Numbers an event, and dates it by the last moment.
    fn stamp(&mut self, draft: Event) -> Event {
        self.sequence += 1;
        let node = &self.last.observation.node;
        Event {
            sequence: self.sequence,
            time: node.time.map(|time| time.to_string()),
            boottime_ns: node.boottime_ns,
            ..draft
        }
    }
}

/// Two moments, and what is looked up in them.
struct Story<'a> {
    last: &'a Moment,
    next: &'a Moment,
    was: &'a Containers<'a>,
    is: &'a Containers<'a>,
    heard: &'a Heard,
    all: bool,
}

impl<'a> Story<'a> {
    /// Whether a pod is worth a line: unmanaged groups of one process are what every sandboxed service is.
    fn tells_of(&self, pod: &Pod) -> bool {
        let processes = || pod.containers.iter().map(|container| container.processes).sum::<u64>();
        self.all || pod.origin != Origin::Unmanaged || processes() > 1
    }

    /// Containers that run now and did not. A process that no runtime claims and that was there before, elsewhere, has
    /// not started: it moved.
    fn new_containers(&self) -> impl Iterator<Item = Running<'a>> {
        let new = (self.is.0.iter()).filter(|(key, _)| !self.was.0.contains_key(*key)).map(|(_, it)| *it);
        new.filter(|it| it.container.runtime.is_some() || !same_init(it.container, self.next, self.last))
    }

    /// Containers that ran and do not any more. One whose init lives on has not ended, whatever it counts as now.
    fn gone_containers(&self) -> impl Iterator<Item = (Incarnation<'a>, Running<'a>)> {
        let gone = (self.was.0.iter()).filter(|(key, _)| !self.is.0.contains_key(*key));
        gone.map(|(key, it)| (*key, *it)).filter(|(_, it)| !same_init(it.container, self.last, self.next))
    }

    fn started(&self, generations: &Generations) -> Vec<Event> {
        let mut events = Vec::new();
        for Running { pod, container } in self.new_containers().filter(|it| self.tells_of(it.pod)) {
            let process = Self::process(self.next, container);
            let what = if container.runtime.is_some() { "container" } else { "process" };
            events.push(Event {
                pod: Some(named_pod(pod)),
                container: Some(named(container)),
                process: process.clone(),
                message: format!("{what} {} started in pod {}", container.name, pod.name),
                ..draft(EventType::ContainerStarted)
            });
            events.extend(namespaces::joined(self, pod, container, process, generations));
        }
        events
    }

    /// Who got into a pod without being of it, and was not in it before.
    fn entered(&self, generations: &Generations) -> Vec<Event> {
        let key = |it: &Foreign| (it.pod.clone(), it.pid, it.started_at.clone());
        let before: BTreeSet<_> = self.last.facts.foreign.iter().map(key).collect();
        let new = self.next.facts.foreign.iter().filter(|it| !before.contains(&key(it)));
        new.map(|foreign| {
            let pod = self.next.snapshot.pods.iter().find(|pod| pod.id == foreign.pod);
            let task = self.next.observation.tasks.iter().find(|task| task.pid == foreign.pid);
            let kinds: Vec<&str> = foreign.namespaces.iter().map(|(kind, _)| kind.name()).collect();
            let pod_name = pod.map_or(foreign.pod.as_str(), |pod| pod.name.as_str());
            Event {
                pod: Some(Named { id: foreign.pod.clone(), name: pod_name.to_owned() }),
                container: foreign
                    .container
                    .as_deref()
                    .and_then(|id| self.is.by_id(id))
                    .map(|it| named(it.container)),
                process: task.map(process),
                namespaces: (foreign.namespaces.iter())
                    .map(|(kind, inode)| namespaces::change(self, *kind, None, Some(*inode), generations))
                    .collect(),
                message: format!(
                    "{} ({}) is in the {} of pod {pod_name} and in none of its containers",
                    foreign.comm,
                    foreign.pid,
                    kinds.join(" ")
                ),
                ..draft(EventType::ForeignEntered)
            }
        })
        .collect()
    }

    /// What rules find that they did not, and the other way round. What a rule cannot judge now is not called cleared.
    fn findings(&self) -> Vec<Event> {
        let ids = |judgement: &'a Judgement| -> BTreeSet<&'a str> {
            judgement.findings.iter().map(|it| it.id.as_str()).collect()
        };
        let (was, is) = (ids(&self.last.judgement), ids(&self.next.judgement));
        let unsure: BTreeSet<&str> = self.next.judgement.undetermined.iter().map(|it| it.rule).collect();
        let cleared = (self.last.judgement.findings.iter())
            .filter(|it| !is.contains(it.id.as_str()) && !unsure.contains(it.rule))
            .map(|it| self.finding(EventType::FindingCleared, it, self.last));
        let raised = (self.next.judgement.findings.iter())
            .filter(|it| !was.contains(it.id.as_str()))
            .map(|it| self.finding(EventType::FindingRaised, it, self.next));
        cleared.chain(raised).collect()
    }

    fn finding(&self, event_type: EventType, finding: &Finding, moment: &'a Moment) -> Event {
        let subject = &finding.subject;
        let pod = moment.snapshot.pods.iter().find(|pod| Some(&pod.id) == subject.pod.as_ref());
        let containers = moment.snapshot.pods.iter().flat_map(|pod| &pod.containers);
        let mut of_subject = containers.filter(|it| Some(&it.id) == subject.container.as_ref());
        Event {
            pod: pod.map(named_pod),
            container: of_subject.next().map(named),
            message: format!("{} {}: {}", finding.rule, finding.name, finding.message),
            finding: Some(finding.clone()),
            ..draft(event_type)
        }
    }

    fn process(moment: &Moment, container: &Container) -> Option<EventProcess> {
        moment.init(container).map(process)
    }
}

/// Whether the init of a container of this moment is a living process in the other one, too.
fn same_init(container: &Container, of: &Moment, other: &Moment) -> bool {
    of.init(container).and_then(|init| other.process(of.key(init))).is_some_and(|it| !it.is_dead())
}

fn process(task: &Task) -> EventProcess {
    EventProcess { pid: task.pid, start_boottime_ns: task.start_boottime_ns, comm: task.comm.clone() }
}

fn named(container: &Container) -> Named {
    Named { id: container.id.clone(), name: container.name.clone() }
}

fn named_pod(pod: &Pod) -> Named {
    Named { id: pod.id.clone(), name: pod.name.clone() }
}

/// An event of which nothing but its type is known yet.
const fn draft(event_type: EventType) -> Event {
    Event {
        api_version: API_VERSION,
        kind: "Event",
        sequence: 0,
        time: None,
        boottime_ns: 0,
        event_type,
        pod: None,
        container: None,
        process: None,
        namespaces: Vec::new(),
        exit: None,
        victims: Vec::new(),
        finding: None,
        lost: None,
        tier: EventTier::Iterator,
        message: String::new(),
        node: None,
    }
}

fn is_exited(container: &Container) -> bool {
    container.state == State::Exited
}
