//! What happens on a node, from what a watcher hands on: looks at everything, and what the kernel told in between. Pure:
//! [`Input`]s go in, events come out; no clock, no file. The same inputs give the same events on any machine, which is
//! what a recording of a stream is worth.
//!
//! A [`Moment`] is what was seen and what was made of it. What the kernel tells is applied to the last one ([`patch`]): the
//! next moment, milliseconds after it happened. A look brings what the kernel does not tell (runtimes' words, the ends of
//! namespaces, findings), and mends what was missed. Events are what is different between two moments ([`story`]).
//!
//! What happens in a cgroup that is named for a container that nobody knows yet is kept back until a look knows it: an
//! event is to have names.

mod birth;
mod brief;
mod dying;
mod exits;
mod generations;
mod lineage;
mod losses;
mod moment;
mod namespaces;
mod patch;
mod processes;
#[cfg(test)]
mod shuffles;
mod story;
#[cfg(test)]
mod tests;
mod visits;
mod wanted;

use std::collections::{HashMap, HashSet, VecDeque};

use crate::observation::{
    EventKind, ExitStatus, HeardBy, History, Inodes, Input, KernelEvent, Kind, Look, Observation, ProcessKey,
    Told,
};
use crate::view::{Event, EventTier, ProcessEvent};
use birth::Births;
use brief::Briefs;
use dying::Dying;
use generations::{Creation, Generations, Span};
use lineage::Lineage;
use losses::Losses;
use moment::Containers;
use namespaces::Census;
use patch::Paths;
use processes::Processes;
use story::Story;
use visits::Visits;

pub use moment::Moment;
pub use wanted::Wanted;

/// Events of the kernel that are kept until a look is sure to have seen them, at most.
const KEPT: usize = 1 << 16;

/// How long an end may be told after it was heard of.
const ENDS_NS: u64 = 30_000_000_000;

/// How many ends are remembered at most. The oldest go first: of those that were told, nobody asks again.
const ENDS: usize = 1 << 15;

/// How a process ended.
#[derive(Clone, Copy, Debug)]
struct End {
    status: ExitStatus,
    boottime_ns: u64,
}

/// What there is to know of some events, beyond where they leave the tasks.
struct Noted {
    /// Where processes came from.
    origins: HashMap<ProcessKey, Inodes>,
    /// The namespaces that were made.
    made: Vec<(Kind, u32)>,
    /// The word of those whose inode is another's already.
    flashes: Vec<Event>,
}

/// How processes ended.
type Ends = HashMap<ProcessKey, End>;

/// Follows a node.
pub struct Engine {
    last: Moment,
    census: Census,
    generations: Generations,
    lineage: Lineage,
    /// What the kernel told that the last look may not have seen.
    log: VecDeque<KernelEvent>,
    /// When the last look began: what happened before is in it.
    seen_ns: u64,
    paths: Paths,
    ends: Ends,
    /// Containers whose end a look found, and when that began: what is heard later of what was before is no other life.
    over: HashMap<String, u64>,
    births: Births,
    dying: Dying,
    visits: Visits,
    sequence: u64,
    by: Option<HeardBy>,
    losses: Losses,
    /// Whether single processes in namespaces of their own are told of, too.
    all: bool,
    /// Groups that no runtime claims and that were told of.
    groups: HashSet<String>,
    /// Where every process is told of.
    processes: Option<Processes>,
}

impl Engine {
    /// Starts from a first look, of which nothing is told: it was so before.
    #[must_use]
    pub fn start(first: Look, by: Option<HeardBy>, all: bool) -> Self {
        let Look { mut observation, since_boottime_ns } = first;
        observation.history.by = by;
        let until_ns = observation.node.boottime_ns;
        let mut generations = Generations::default();
        let mut census = Census::of(&observation);
        generations.see(&mut census, Some(Span { since_ns: since_boottime_ns, until_ns }));
        let paths = Paths::of(&observation.tasks);
        let mut engine = Self {
            last: Moment::of(observation, None),
            census,
            generations,
            lineage: Lineage::default(),
            log: VecDeque::new(),
            seen_ns: since_boottime_ns,
            paths,
            ends: Ends::new(),
            over: HashMap::new(),
            births: Births::default(),
            dying: Dying::default(),
            visits: Visits::default(),
            sequence: 0,
            by,
            losses: Losses::default(),
            all,
            groups: HashSet::new(),
            processes: None,
        };
        engine.census.attribute(&Containers::of(&engine.last), &Census::default(), &Lineage::default());
        engine.groups = story::groups(&engine.last).collect();
        engine.remember_owners();
        engine
    }

    /// Has every process be told of, that the kernel tells of: as far as that is wanted, for what is not is counted, and not
    /// made only to be thrown away. Other events are told whatever is wanted.
    #[must_use]
    pub fn with_processes(mut self, wanted: Option<Wanted>) -> Self {
        self.processes = wanted.map(|wanted| Processes::new(&self.last, wanted));
        self
    }

    /// The last moment.
    #[must_use]
    pub const fn last(&self) -> &Moment {
        &self.last
    }

    /// How many events of the kernel did not arrive so far.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.losses.all
    }

    /// Takes the next input, and gives what happened: single processes first, ends before beginnings, findings last.
    pub fn take(&mut self, input: Input) -> Vec<Event> {
        let mut processes = Vec::new();
        let others = self.take_telling(input, |event, _| processes.push(Event::from(event)));
        processes.extend(others);
        processes
    }

    /// The same, where every process may be told of: what there is to tell of those is told as it is come upon, with the last
    /// moment, and the rest is given.
    pub fn take_telling(&mut self, input: Input, tell: impl FnMut(&ProcessEvent<'_>, &Moment)) -> Vec<Event> {
        match input {
            Input::Look(look) => self.look(*look),
            Input::Told(told) => self.told(told, tell),
            Input::Blind(blind) => {
                self.losses.fail(blind);
                Vec::new()
            }
        }
    }

    /// Everything was looked at.
    fn look(&mut self, look: Look) -> Vec<Event> {
        let Look { mut observation, since_boottime_ns } = look;
        let span = Span { since_ns: since_boottime_ns, until_ns: observation.node.boottime_ns };
        let mut events = self.losses.resyncs(&observation.node, self.last.observation.node.boottime_ns);
        self.paths = Paths::of(&observation.tasks);

        // What was kept back is told now, by the names that the look gives; first of those that are over by now.
        let born = self.births.known_by(&observation, span.since_ns);
        for birth in born {
            events.extend(self.birth(&birth.events, &observation));
        }
        // Who has ended and is there still is on the way out.
        self.seen_ns = span.since_ns;
        let moment = &observation;
        self.log.retain(|event| event.boottime_ns >= span.since_ns || patch::is_leaving(event, moment));
        let doomed = self.dying.see(&observation, &self.ends);
        let held = &self.births;
        patch::patch(&mut observation, self.log.iter().filter(|it| !held.holds(it)), &self.paths);
        dying::bury(&mut observation, &doomed, &self.ends, &self.paths);
        // A patch is of what the kernel told: by the time of the look, unless that is later.
        observation.node.boottime_ns = observation.node.boottime_ns.max(span.until_ns);
        let History { by, lost, .. } = self.last.observation.history;
        if (by, lost) == (self.by, self.losses.all) && self.last.is_same_later(&observation) {
            (self.last.observation.node, self.last.observation.tasks) = (observation.node, observation.tasks);
        } else {
            events.extend(self.change(observation, span));
        }
        self.visits.settle(&self.last);
        let now_ns = self.last.observation().node.boottime_ns;
        self.ends.retain(|_, end| end.boottime_ns + ENDS_NS >= now_ns);
        self.over.retain(|_, at_ns| *at_ns + ENDS_NS >= now_ns);
        self.give_back();
        self.stamp(events)
    }

    /// Gives back the room that a storm needed: what lives for months must not keep the most that it ever had.
    fn give_back(&mut self) {
        if has_much_room(self.log.capacity(), self.log.len()) {
            self.log.shrink_to_fit();
        }
        if has_much_room(self.ends.capacity(), self.ends.len()) {
            self.ends.shrink_to_fit();
        }
        self.lineage.give_back();
    }

    /// What is different from the last moment by a look that was brought up to date.
    fn change(&mut self, mut observation: Observation, span: Span) -> Vec<Event> {
        let mut census = Census::of(&observation);
        self.generations.see(&mut census, Some(span));
        self.forget(&census, &observation);
        observation.history = self.lineage.history(self.by, self.losses.all);
        let next = Moment::of(observation, Some(&self.last));
        let events = self.advance(next, census, &HashMap::new(), None);
        self.remember_owners();
        if let Some(processes) = &mut self.processes {
            processes.see(&self.last);
        }
        events
    }

    /// The kernel told.
    fn told(&mut self, told: Told, mut tell: impl FnMut(&ProcessEvent<'_>, &Moment)) -> Vec<Event> {
        let Told { mut events, lost, by, .. } = told;
        self.by = by;
        for (cause, records) in lost {
            self.losses.miss(records, &cause);
        }
        if let Some(processes) = &self.processes {
            let (last, sequence) = (&self.last, &mut self.sequence);
            events.retain(|event| {
                processes.tell(event, tier(by), sequence, last, &mut tell);
                !processes::is_plain(event, last)
            });
        }
        let (mut out, mut now, mut briefs) = (Vec::new(), Vec::new(), Briefs::default());
        for event in events {
            if event.kind == EventKind::Fork {
                self.lineage.fork(&event, &self.last.observation.node);
            }
            if let Some(status) = event.exit {
                if self.ends.len() >= ENDS {
                    lineage::forget_elder_half(&mut self.ends, |end| end.boottime_ns);
                }
                let key = self.key(&event);
                self.ends.insert(key, End { status, boottime_ns: event.boottime_ns });
            }
            if self.is_late(&event) || !self.births.take(&event, &self.last) {
                let brief =
                    self.all.then(|| briefs.see(&event, &self.last, &self.paths, tier(self.by))).flatten();
                out.extend(brief.into_iter().flatten());
                now.push(event.clone());
            }
            self.keep(event);
        }
        if !now.is_empty() {
            out.extend(self.apply(&now));
        }
        self.stamp(out)
    }

    /// What the kernel told, applied to the last moment.
    fn apply(&mut self, events: &[KernelEvent]) -> Vec<Event> {
        let mut out = self.follow(events, self.seen_ns, |_| {});
        out.extend(self.visits.see(events, &self.last, &self.generations, tier(self.by)));
        out
    }

    /// A container that came, and may be gone, before a look knew it: told by what that says of it.
    fn birth(&mut self, events: &[KernelEvent], known: &Observation) -> Vec<Event> {
        let (lives, alive) = birth::lives(events, known);
        let mut out = Vec::new();
        for life in lives {
            let declare = |then: &mut Observation| life.declare(then);
            out.extend(self.follow(&life.events, 0, declare));
            out.extend(self.follow(std::slice::from_ref(life.end), 0, |_| {}));
        }
        // Of one that lives a look shows the rest. Only who made what is still to be noted.
        out.extend(self.note(alive).flashes);
        out
    }

    /// The moment after these events, which may be over by now. `declare` says what runtimes say of it. What happened before
    /// `seen_ns` is known better already: it would bring back who is gone.
    fn follow(
        &mut self,
        events: &[KernelEvent],
        seen_ns: u64,
        declare: impl FnOnce(&mut Observation),
    ) -> Vec<Event> {
        let mut observation = self.last.observation.clone();
        let Noted { origins, made, flashes: mut out } = self.note(events);
        let is_news = |it: &&KernelEvent| it.kind == EventKind::Exit || it.boottime_ns >= seen_ns;
        patch::patch(&mut observation, events.iter().filter(is_news), &self.paths);
        // Its tasks are as of what was told last, no longer as of when they were read.
        observation.node.tasks_boottime_ns = None;
        declare(&mut observation);
        observation.history = self.lineage.history(self.by, self.losses.all);
        let mut census = Census::of(&observation);
        census.keep(&self.census);
        // Who made it may be gone in the same breath; that it is gone, too, is for a look to find.
        for namespace in made {
            census.namespaces.entry(namespace).or_default();
        }
        self.generations.see(&mut census, None);
        let next = self.last.later(observation);
        out.extend(self.advance(next, census, &origins, Some(events)));
        out
    }

    /// Takes note of what events made and of where processes came from.
    fn note(&mut self, events: &[KernelEvent]) -> Noted {
        let mut origins = HashMap::new();
        let mut flashes = Vec::new();
        let mut made: HashMap<_, &KernelEvent> = HashMap::new();
        for event in events {
            if let (EventKind::Setns | EventKind::Unshare, Some(old), false) =
                (event.kind, event.old, event.is_thread())
            {
                origins.entry(self.key(event)).or_insert(old.namespaces);
            }
            for namespace in lineage::created(event) {
                let creation = self.generations.create(namespace, event.boottime_ns);
                // Two of one inode within one batch: of the first nothing else will tell.
                if let (Creation::New { instead_of: Some(generation) }, Some(first)) =
                    (creation, made.insert(namespace, event))
                {
                    let tier = tier(self.by);
                    let flash = namespaces::flash(namespace, generation, first);
                    flashes.extend(flash.map(|event| Event { tier, ..event }));
                }
                self.lineage.create(namespace, event, &self.last.observation.node);
            }
        }
        Noted { origins, made: made.into_keys().collect(), flashes }
    }

    /// From the last moment to the next: by what the kernel told, or by a look.
    fn advance(
        &mut self,
        next: Moment,
        mut census: Census,
        origins: &HashMap<ProcessKey, Inodes>,
        calls: Option<&[KernelEvent]>,
    ) -> Vec<Event> {
        let (was, is) = (Containers::of(&self.last), Containers::of(&next));
        census.attribute(&is, &self.census, &self.lineage);
        let told_tier = tier(self.by);
        let story = Story {
            last: &self.last,
            next: &next,
            was: &was,
            is: &is,
            before: &self.census,
            after: &census,
            generations: &self.generations,
            lineage: &self.lineage,
            origins,
            ends: &self.ends,
            told_tier,
            calls: calls.unwrap_or_default(),
            tier: calls.map_or(EventTier::Iterator, |_| told_tier),
            told: calls.is_some(),
            all: self.all,
            groups: &self.groups,
        };
        let events = story.events();
        if calls.is_none() {
            let gone = story.gone_containers().map(|((id, ..), _)| (id.to_owned(), self.seen_ns));
            self.over.extend(gone);
        }
        self.last = next;
        self.census = census;
        events
    }

    /// Keeps an event until a look has seen it.
    fn keep(&mut self, event: KernelEvent) {
        if self.log.len() >= KEPT {
            self.log.pop_front();
            // The look that comes may be older, and take it back.
            self.losses.miss(1, "unconfirmed");
        }
        self.log.push_back(event);
    }

    /// Whether it is of a container that a later look has found ended.
    fn is_late(&self, event: &KernelEvent) -> bool {
        let over_ns = || self.over.get(&birth::container_id(event)?).copied();
        event.boottime_ns < self.seen_ns && over_ns().is_some_and(|over_ns| event.boottime_ns < over_ns)
    }

    fn key(&self, event: &KernelEvent) -> ProcessKey {
        let node = &self.last.observation.node;
        ProcessKey { pid: event.tgid, start_ticks: node.ticks(event.process_start_boottime_ns) }
    }

    /// Numbers events that have no number yet, and dates all: by the kernel's time of each, else by the last moment's.
    fn stamp(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        let node = &self.last.observation.node;
        for event in &mut events {
            if event.sequence == 0 {
                self.sequence += 1;
                event.sequence = self.sequence;
            }
            if event.boottime_ns == 0 {
                event.boottime_ns = node.boottime_ns;
            }
            event.time = node.time_at(event.boottime_ns);
        }
        events
    }

    /// Lets go of what is about namespaces and processes that are gone.
    fn forget(&mut self, census: &Census, observation: &Observation) {
        let node = &observation.node;
        let lives = |key: ProcessKey| {
            let task = observation.task(key.pid);
            task.is_some_and(|task| node.ticks(task.start_boottime_ns) == key.start_ticks)
        };
        let is_there = |key| census.namespaces.contains_key(&key);
        self.lineage.forget(is_there, lives, node.boottime_ns.saturating_sub(ENDS_NS));
    }

    /// Remembers for whom namespaces are that others share: once those are dead, nothing else may tell.
    fn remember_owners(&mut self) {
        let owners = moment::owners(&self.last);
        self.lineage.owners.extend(owners);
        self.last.observation.history = self.lineage.history(self.by, self.losses.all);
    }
}

/// Whether most of what is kept for so many is empty.
const fn has_much_room(capacity: usize, len: usize) -> bool {
    const LITTLE: usize = 1024;
    capacity > LITTLE && capacity / 4 > len
}

const fn tier(by: Option<HeardBy>) -> EventTier {
    match by {
        Some(HeardBy::Fexit) => EventTier::Fexit,
        Some(HeardBy::Syscall) => EventTier::Syscall,
        Some(HeardBy::ForkExec) => EventTier::ForkExec,
        None => EventTier::Iterator,
    }
}
