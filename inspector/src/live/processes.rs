//! Every process, where that is asked for: one line for each beginning, other program and end.

use std::collections::HashMap;

use super::moment::Moment;
use super::story::{draft, named, named_pod};
use crate::observation::{EventKind, KernelEvent};
use crate::view::{Event, EventExit, EventProcess, EventTier, EventType, ExitCause, Named};

/// The containers of a moment by the kernel's ids of their cgroups.
#[derive(Default)]
pub(super) struct Homes(HashMap<u64, (Named, Named)>);

impl Homes {
    pub(super) fn of(moment: &Moment) -> Self {
        let mut homes = HashMap::new();
        for pod in moment.pods() {
            for container in pod.running().filter(|it| it.runtime.is_some()) {
                let id = moment.init(container).and_then(|init| init.cgroup_id);
                homes.extend(id.map(|id| (id, (named_pod(pod), named(container)))));
            }
        }
        Self(homes)
    }

    /// What is told of a process.
    pub(super) fn line(&self, event: &KernelEvent, tier: EventTier) -> Option<Event> {
        let (event_type, what) = match event.kind {
            // Of a thread there is nothing to tell.
            EventKind::Fork if event.is_thread() => return None,
            EventKind::Fork => (EventType::ProcessStarted, "started".to_owned()),
            EventKind::Exec => (EventType::ProcessExecuted, "is another program now".to_owned()),
            EventKind::Exit => {
                let how = event.exit.and_then(|exit| {
                    let code = || exit.code.map(|code| format!("ended with code {code}"));
                    exit.signal.map(|signal| format!("ended by signal {signal}")).or_else(code)
                });
                (EventType::ProcessExited, how.unwrap_or_else(|| "ended".to_owned()))
            }
            EventKind::Setns | EventKind::Unshare => return None,
        };
        let ids = [event.cgroup.pids, event.cgroup.v2];
        let home = ids.into_iter().flatten().find_map(|id| self.0.get(&id));
        let of = home.map_or_else(String::new, |(_, container)| format!(" of {}", container.name));
        let exit = event.exit.map(|exit| EventExit {
            code: exit.code.map(i32::from),
            signal: exit.signal.map(i32::from),
            cause: if exit.signal.is_some() { ExitCause::Signal } else { ExitCause::Itself },
        });
        Some(Event {
            pod: home.map(|(pod, _)| pod.clone()),
            container: home.map(|(_, container)| container.clone()),
            process: Some(EventProcess {
                pid: event.tgid,
                start_boottime_ns: event.process_start_boottime_ns,
                comm: event.comm.clone(),
            }),
            exit,
            message: format!("{} ({}){of} {what}", event.comm, event.tgid),
            boottime_ns: event.boottime_ns,
            tier,
            ..draft(event_type)
        })
    }
}

/// Whether an event changes nothing but that a process is there or not: where every process is told of, nearly all are.
pub(super) fn is_plain(event: &KernelEvent, moment: &Moment) -> bool {
    let stays = || event.old.is_some() && event.old == event.new;
    match event.kind {
        EventKind::Fork => stays(),
        EventKind::Exec => stays() && moment.task(event.tgid).is_none(),
        EventKind::Exit => !event.pid_namespace_init && !moment.inits().contains(&event.tgid),
        EventKind::Setns | EventKind::Unshare => false,
    }
}
