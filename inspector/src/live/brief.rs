//! Processes with namespaces of their own that begin and end within what was told at once, where single ones are told of: no
//! moment has them, so that comparing moments tells nothing of them.

use std::collections::HashMap;

use super::moment::Moment;
use super::story::draft;
use crate::observation::{EventKind, Inodes, KernelEvent, Kind};
use crate::view::{Event, EventExit, EventProcess, EventTier, EventType, ExitCause, Named};

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
    pub(super) fn see(&mut self, event: &KernelEvent, last: &Moment, tier: EventTier) -> Option<[Event; 2]> {
        if event.is_thread() {
            return None;
        }
        let start_boottime_ns = event.process_start_boottime_ns;
        if let Some(new) = event.new {
            let is_new =
                |kind| event.old.is_some_and(|old| old.namespaces.get(kind) != new.namespaces.get(kind));
            let made = event.kind != EventKind::Setns && Kind::POD.into_iter().any(is_new);
            let parent = event.caller.or(event.parent).map_or(0, |it| it.tgid);
            let begun = Begun {
                start_boottime_ns,
                boottime_ns: event.boottime_ns,
                parent,
                made,
                namespaces: new.namespaces,
            };
            let known = self.0.get(&event.tgid).filter(|it| it.start_boottime_ns == start_boottime_ns);
            let begun = match known {
                Some(known) => Begun { made: made || known.made, namespaces: new.namespaces, ..*known },
                None => begun,
            };
            self.0.insert(event.tgid, begun);
            return None;
        }
        let begun = self.0.remove(&event.tgid).filter(|it| it.start_boottime_ns == start_boottime_ns)?;
        let is_known = last.task(event.tgid).is_some_and(|it| it.start_boottime_ns == start_boottime_ns);
        // Word of what was before the last moment comes late: of who was in that, and was told of.
        let is_late = begun.boottime_ns < last.observation().node.boottime_ns;
        if is_known || is_late || !begun.made || self.is_of_its_parents(&begun, last) {
            return None;
        }
        Some(life(event, &begun, last, tier))
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

/// Its start and its end.
fn life(end: &KernelEvent, begun: &Begun, last: &Moment, tier: EventTier) -> [Event; 2] {
    let ticks = last.observation().node.ticks(begun.start_boottime_ns);
    let named = Named { id: format!("proc:{}:{ticks}", end.tgid), name: end.comm.clone() };
    let exit = end.exit.map(|exit| EventExit {
        code: exit.code.map(i32::from).or(exit.signal.map(|signal| 128 + i32::from(signal))),
        signal: exit.signal.map(i32::from),
        cause: if exit.signal.is_some() { ExitCause::Signal } else { ExitCause::Itself },
    });
    let how = match exit {
        Some(EventExit { signal: Some(signal), .. }) => format!("ended by signal {signal}"),
        Some(EventExit { code: Some(code), .. }) => format!("exit code {code}"),
        _ => "how is not known".to_owned(),
    };
    let event = |event_type, boottime_ns, message| Event {
        pod: Some(named.clone()),
        container: Some(named.clone()),
        process: Some(EventProcess {
            pid: end.tgid,
            start_boottime_ns: begun.start_boottime_ns,
            comm: end.comm.clone(),
        }),
        boottime_ns,
        tier,
        message,
        ..draft(event_type)
    };
    let started = format!("process {0} started in pod {0}", end.comm);
    let exited = format!("{} exited: {how}", end.comm);
    [
        event(EventType::ContainerStarted, begun.boottime_ns, started),
        Event { exit, ..event(EventType::ContainerExited, end.boottime_ns, exited) },
    ]
}
