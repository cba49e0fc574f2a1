//! Which events somebody wants to know.

use crate::observation::Kind;
use crate::view::{Event, EventType, Named};

/// Events that match each of these, where there is anything to match; without, all.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of one of these types.
    pub types: Vec<EventType>,
    /// About a pod that has such a name, or an id that begins so, or into one.
    pub pods: Vec<String>,
    /// About such a container.
    pub containers: Vec<String>,
    /// About a namespace of one of these kinds.
    pub kinds: Vec<Kind>,
}

impl Wanted {
    /// Whether this one is wanted.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let entered = || event.namespaces.iter().filter_map(|it| it.to_pod.as_ref());
        let kind = |kind| {
            event.namespaces.iter().any(|it| it.kind == kind)
                || event.finding.as_ref().is_some_and(|it| it.subject.namespace_kind == Some(kind))
        };
        self.takes_type(event.event_type)
            && (matches(&self.pods, event.pod.as_ref()) || entered().any(|it| matches(&self.pods, Some(it))))
            && matches(&self.containers, event.container.as_ref())
            && (self.kinds.is_empty() || self.kinds.iter().any(|it| kind(*it)))
    }

    /// Whether [`Self::takes`] would take what is told of a process in this container, before it is made: it is about no
    /// namespace.
    pub(super) fn takes_process(&self, event_type: EventType, home: Option<&(Named, Named)>) -> bool {
        self.takes_type(event_type)
            && self.kinds.is_empty()
            && matches(&self.pods, home.map(|(pod, _)| pod))
            && matches(&self.containers, home.map(|(_, container)| container))
    }

    fn takes_type(&self, event_type: EventType) -> bool {
        self.types.is_empty() || self.types.contains(&event_type)
    }
}

fn matches(wanted: &[String], it: Option<&Named>) -> bool {
    wanted.is_empty()
        || it.is_some_and(|it| wanted.iter().any(|w| *w == it.name || it.id.starts_with(w.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Engine;
    use crate::live::tests::{event, look};
    use crate::observation::{EventCgroup, EventKind, ExitStatus, HeardBy, Input, KernelEvent, Told};
    use crate::state::tests::world::{World, id};
    use crate::view::EventType as T;

    /// Processes of a container, of the node and of a cgroup that nobody knows come and go, among them the container's init and
    /// one with namespaces of its own.
    fn world() -> (World, Vec<KernelEvent>) {
        let mut world = World::new();
        world.docker("app", 100);
        world.task(100).cgroup_id = Some(77);
        let mut events = Vec::new();
        for (pid, cgroup) in [(500, Some(77)), (501, None), (502, Some(78)), (503, Some(77))] {
            let mut task = world.task(100).clone();
            (task.pid, task.tgid, task.comm) = (pid, pid, format!("it \u{1b}{pid}").into());
            for (kind, status) in [(EventKind::Fork, 0), (EventKind::Exec, 0), (EventKind::Exit, pid << 8)] {
                let status = if pid == 503 { 9 } else { status };
                events.push(KernelEvent {
                    exit: (kind == EventKind::Exit).then(|| ExitStatus::from_wait(status)),
                    cgroup: EventCgroup { v2: cgroup, ..EventCgroup::default() },
                    ..event(&world, kind, &task, u64::from(pid))
                });
            }
        }
        // A thread, of which nothing is told; a process elsewhere than its maker; the end of the container.
        let mut thread = events[0].clone();
        thread.pid = 600;
        let mut apart = events[0].clone();
        apart.new.as_mut().unwrap().namespaces.set(Kind::Uts, 9_999);
        let init = world.task(100).clone();
        let cgroup = EventCgroup { v2: Some(77), ..EventCgroup::default() };
        let exit = Some(ExitStatus::from_wait(3 << 8));
        let end = KernelEvent { exit, cgroup, ..event(&world, EventKind::Exit, &init, 700) };
        events.extend([thread, apart, end]);
        (world, events)
    }

    fn told(world: &World, events: &[KernelEvent], wanted: Wanted) -> Vec<Event> {
        let mut engine = Engine::start(look(world), Some(HeardBy::Fexit), true).with_processes(Some(wanted));
        let told = |events: &[KernelEvent]| {
            Input::Told(Told { events: events.to_vec(), by: Some(HeardBy::Fexit), ..Told::default() })
        };
        let (first, second) = events.split_at(4);
        [told(first), told(second)].into_iter().flat_map(|input| engine.take(input)).collect()
    }

    #[test]
    fn what_is_not_wanted_is_left_out_and_counted_and_nothing_else_changes() {
        let (world, events) = world();
        let all = told(&world, &events, Wanted::default());
        assert_eq!(
            all.iter().map(|it| it.sequence).collect::<Vec<_>>(),
            (1..=all.len() as u64).collect::<Vec<_>>()
        );
        for wanted in [T::ProcessStarted, T::ProcessExecuted, T::ProcessExited, T::ContainerExited] {
            assert!(all.iter().any(|it| it.event_type == wanted), "{wanted:?}: {all:#?}");
        }
        let text = |text: &str| vec![text.to_owned()];
        let filters = [
            Wanted { types: vec![T::ProcessExited], ..Wanted::default() },
            Wanted { types: vec![T::ContainerExited, T::ProcessExecuted], ..Wanted::default() },
            Wanted { pods: text("app"), ..Wanted::default() },
            Wanted { pods: text("nobody"), ..Wanted::default() },
            Wanted { containers: text("app"), ..Wanted::default() },
            Wanted { containers: text(&id("app")[..12]), ..Wanted::default() },
            Wanted { kinds: vec![Kind::Uts], ..Wanted::default() },
            Wanted { types: vec![T::ProcessStarted], containers: text("app"), ..Wanted::default() },
        ];
        for wanted in filters {
            let expected: Vec<_> = all.iter().filter(|it| wanted.takes(it)).cloned().collect();
            let given = told(&world, &events, wanted.clone());
            let is_of_a_process = |it: &&Event| {
                matches!(it.event_type, T::ProcessStarted | T::ProcessExecuted | T::ProcessExited)
            };
            let made = given.iter().filter(is_of_a_process).count();
            assert_eq!(
                made,
                expected.iter().filter(is_of_a_process).count(),
                "{wanted:?}: none is made in vain"
            );
            let given: Vec<_> = given.into_iter().filter(|it| wanted.takes(it)).collect();
            assert_eq!(given, expected, "{wanted:?}");
        }
    }

    #[test]
    fn processes_are_told_of_in_words() {
        let (world, events) = world();
        let told = told(&world, &events, Wanted::default());
        let messages: Vec<_> = told.iter().map(|it| it.message.as_str()).collect();
        for expected in [
            "it \u{1b}500 (500) of app started",
            "it \u{1b}500 (500) of app is another program now",
            "it \u{1b}501 (501) ended with code 245",
            "it \u{1b}502 (502) started",
            "it \u{1b}503 (503) of app ended by signal 9",
        ] {
            assert!(messages.contains(&expected), "{expected}: {messages:#?}");
        }
    }
}
