//! Every process, where that is asked for: one line for each beginning, other program and end.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::mem;

use super::moment::Moment;
use super::story::{draft, named, named_pod};
use super::wanted::Wanted;
use crate::observation::{EventKind, ExitStatus, KernelEvent};
use crate::view::{Event, EventExit, EventProcess, EventTier, EventType, Named};

/// What is told of single processes.
pub(super) struct Processes {
    /// The containers of the last look by the kernel's ids of their cgroups.
    homes: HashMap<u64, (Named, Named)>,
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

    /// Counts what there is to tell of a process, and adds it where it is wanted. Where an event is of use to nobody afterwards,
    /// its name goes with it.
    pub(super) fn tell(
        &self,
        event: &mut KernelEvent,
        last: bool,
        tier: EventTier,
        sequence: &mut u64,
        out: &mut Vec<Event>,
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
        out.push(Event {
            sequence: *sequence,
            message: message(event, home.map(|(_, container)| container)),
            pod: home.map(|(pod, _)| pod.clone()),
            container: home.map(|(_, container)| container.clone()),
            process: Some(EventProcess {
                pid: event.tgid,
                start_boottime_ns: event.process_start_boottime_ns,
                comm: if last { mem::take(&mut event.comm) } else { event.comm.clone() },
            }),
            exit: event.exit.map(EventExit::told),
            boottime_ns: event.boottime_ns,
            tier,
            ..draft(event_type)
        });
    }
}

fn homes(moment: &Moment) -> HashMap<u64, (Named, Named)> {
    let mut homes = HashMap::new();
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

/// In words. It is made for each process of a machine that may do nothing but fork: piece by piece into one string.
fn message(event: &KernelEvent, container: Option<&Named>) -> String {
    let of = container.map_or("", |container| container.name.as_str());
    let mut message = String::with_capacity(event.comm.len() + of.len() + 48);
    message.push_str(&event.comm);
    // Writing to memory does not fail.
    let _ = write!(message, " ({})", event.tgid);
    if container.is_some() {
        message.push_str(" of ");
        message.push_str(of);
    }
    let _ = match (event.kind, event.exit) {
        (EventKind::Fork, _) => message.write_str(" started"),
        (EventKind::Exec, _) => message.write_str(" is another program now"),
        (_, Some(ExitStatus { signal: Some(signal), .. })) => write!(message, " ended by signal {signal}"),
        (_, Some(ExitStatus { code: Some(code), .. })) => write!(message, " ended with code {code}"),
        _ => message.write_str(" ended"),
    };
    message
}
