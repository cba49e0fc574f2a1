//! Every process, where that is asked for: one line for each beginning, other program and end.

use super::moment::Moment;
use super::story::{named, named_pod};
use super::wanted::Wanted;
use crate::observation::{EventKind, KernelEvent};
use crate::state::hash::NumberMap;
use crate::view::{EventExit, EventTier, EventType, Named, ProcessEvent};

/// What is told of single processes.
pub(super) struct Processes {
    /// The containers of the last look by the kernel's ids of their cgroups.
    homes: NumberMap<u64, (Named, Named)>,
    wanted: Wanted,
}

impl Processes {
    pub(super) fn new(moment: &Moment, wanted: Wanted) -> Self {
        Self { homes: homes(moment), wanted }
    }

    /// Everything was looked at.
    pub(super) fn see(&mut self, moment: &Moment) {
        self.homes = homes(moment);
    }

    /// Counts what there is to tell of a process, and tells it where it is wanted.
    pub(super) fn tell(
        &self,
        event: &KernelEvent,
        tier: EventTier,
        sequence: &mut u64,
        moment: &Moment,
        tell: &mut impl FnMut(&ProcessEvent<'_>, &Moment),
    ) {
        let event_type = match event.kind {
            // Of a thread there is nothing to tell.
            EventKind::Fork if event.is_thread() => return,
            EventKind::Fork => EventType::ProcessStarted,
            EventKind::Exec => EventType::ProcessExecuted,
            EventKind::Exit => EventType::ProcessExited,
            EventKind::Setns | EventKind::Unshare => return,
        };
        *sequence += 1;
        let ids = [event.cgroup.pids, event.cgroup.v2];
        let home = ids.into_iter().flatten().find_map(|id| self.homes.get(&id));
        if !self.wanted.takes_process(event_type, home) {
            return;
        }
        let event = ProcessEvent {
            sequence: *sequence,
            time: moment.observation.node.time_at(event.boottime_ns),
            boottime_ns: event.boottime_ns,
            event_type,
            home: home.map(|(pod, container)| (pod, container)),
            pid: event.tgid,
            start_boottime_ns: event.process_start_boottime_ns,
            comm: &event.comm,
            exit: event.exit.map(EventExit::told),
            tier,
        };
        tell(&event, moment);
    }
}

fn homes(moment: &Moment) -> NumberMap<u64, (Named, Named)> {
    let mut homes = NumberMap::default();
    for pod in moment.pods() {
        for container in pod.running().filter(|it| it.runtime.is_some()) {
            let id = moment.init(container).and_then(|init| init.cgroup_id);
            homes.extend(id.map(|id| (id, (named_pod(pod), named(container)))));
        }
    }
    homes
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
