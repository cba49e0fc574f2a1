//! Processes with namespaces of their own that begin and end within what was told at once, where single ones are told of: no
//! moment has them, so that comparing moments tells nothing of them.

use std::collections::HashMap;

use super::exits::in_words;
use super::moment::Moment;
use super::patch::Paths;
use super::story::process_of;
use crate::observation::{EventCgroup, EventKind, Inodes, KernelEvent, Kind};
use crate::state::{cgroup, unmanaged};
use crate::view::{Event, EventExit, EventTier, EventType, Named};

/// Who began in what was told at once, by id.
#[derive(Default)]
pub(super) struct Briefs(HashMap<u32, Begun>);

struct Begun {
    start_boottime_ns: u64,
    boottime_ns: u64,
    parent: u32,
    /// Whether it made a namespace of a kind that makes a pod.
    made: bool,
    namespaces: Inodes,
}

impl Briefs {
    /// Takes note of a beginning, and tells of a process at its end.
    pub(super) fn see(
        &mut self,
        event: &KernelEvent,
        last: &Moment,
        paths: &Paths,
        tier: EventTier,
    ) -> Option<[Event; 2]> {
        if event.is_thread() {
            return None;
        }
        let start_boottime_ns = event.process_start_boottime_ns;
        let known = self.0.remove(&event.tgid).filter(|it| it.start_boottime_ns == start_boottime_ns);
        if let Some(new) = event.new {
            let mut begun = known.unwrap_or_else(|| Begun {
                start_boottime_ns,
                boottime_ns: event.boottime_ns,
                parent: event.caller.or(event.parent).map_or(0, |it| it.tgid),
                made: false,
                namespaces: Inodes::default(),
            });
            let is_new =
                |kind| event.old.is_some_and(|old| old.namespaces.get(kind) != new.namespaces.get(kind));
            begun.made |= event.kind != EventKind::Setns && Kind::POD.into_iter().any(is_new);
            begun.namespaces = new.namespaces;
            self.0.insert(event.tgid, begun);
            return None;
        }
        let begun = known?;
        let is_known = last.task(event.tgid).is_some_and(|it| it.start_boottime_ns == start_boottime_ns);
        // Word of what was before the last moment comes late: of who was in that, and was told of.
        let is_late = begun.boottime_ns < last.observation().node.tasks_as_of_ns();
        if is_known || is_late || !begun.made {
            return None;
        }
        let is_anothers =
            self.is_of_its_parents(&begun, last) || may_be_a_containers(&event.cgroup, last, paths);
        (!is_anothers).then(|| life(event, &begun, last, tier))
    }

    /// Whether it is one more process of its parent's group.
    fn is_of_its_parents(&self, begun: &Begun, last: &Moment) -> bool {
        let of_batch = || self.0.get(&begun.parent).map(|it| it.namespaces);
        let parents = last.task(begun.parent).map(|it| it.namespaces).or_else(of_batch).unwrap_or_default();
        let host = &last.observation().host;
        Kind::POD.into_iter().any(|kind| {
            let own = begun.namespaces.get(kind);
            let is_own = own.is_some_and(|inode| host.is_host(kind, inode) == Some(false));
            is_own && parents.get(kind) == own
        })
    }
}

/// Whether who is in this cgroup may be a process of a container, whatever namespaces it made for itself.
fn may_be_a_containers(of: &EventCgroup, last: &Moment, paths: &Paths) -> bool {
    let (_, Some(path)) = paths.path(of) else { return true };
    let is_below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut containers = last.pods().iter().flat_map(|pod| pod.running()).filter(|it| it.runtime.is_some());
    cgroup::parse(&path).is_some() || containers.any(|it| it.cgroup.as_deref().is_some_and(is_below))
}

/// Its start and its end.
fn life(end: &KernelEvent, begun: &Begun, last: &Moment, tier: EventTier) -> [Event; 2] {
    let ticks = last.observation().node.ticks(begun.start_boottime_ns);
    let named = Named { id: unmanaged::id(end.tgid, ticks), name: end.comm.to_string() };
    let event = |event_type, boottime_ns, message| Event {
        pod: Some(named.clone()),
        container: Some(named.clone()),
        process: Some(process_of(end)),
        boottime_ns,
        tier,
        message,
        ..Event::draft(event_type)
    };
    let exit = end.exit.map(EventExit::told);
    let how = exit.map_or_else(|| "how is not known".to_owned(), in_words);
    let started = format!("process {0} started in pod {0}", end.comm);
    let exited = format!("{} exited: {how}", end.comm);
    [
        event(EventType::ContainerStarted, begun.boottime_ns, started),
        Event { exit, ..event(EventType::ContainerExited, end.boottime_ns, exited) },
    ]
}
