//! What of all that the kernel tells is worth a look. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use crate::observation::{EventKind, KernelEvent, Look, Task};

/// The processes whose death is worth one, where every process is told of: those whose death the kernel side would tell
/// otherwise, too. Where it tells of no other, all that it tells is.
#[derive(Default)]
pub(super) struct News(Option<HashSet<(u32, u64)>>);

impl News {
    pub(super) fn new(all_processes: bool) -> Self {
        Self(all_processes.then(HashSet::new))
    }

    /// Whether an event is more than that a process like its maker has begun, become another program or ended. Each is to be
    /// asked for once, in the kernel's order.
    pub(super) fn are_in(&mut self, event: &KernelEvent) -> bool {
        let Some(noted) = &mut self.0 else { return true };
        let process = (event.tgid, event.process_start_boottime_ns);
        let stays = event.old.is_some() && event.old == event.new;
        match event.kind {
            EventKind::Exit => return !noted.is_empty() && noted.remove(&process),
            EventKind::Fork if stays => return false,
            // Who was told of before is compared with what it was then.
            EventKind::Exec if stays && event.old_is_parents => return false,
            EventKind::Fork | EventKind::Exec | EventKind::Setns | EventKind::Unshare => {}
        }
        noted.insert(process);
        true
    }

    /// Notes those whose death the kernel side is asked to tell, and lets go of whose end was not heard.
    pub(super) fn track(&mut self, tasks: &[Arc<Task>], look: &Look) {
        let Some(noted) = &mut self.0 else { return };
        noted.retain(|(tgid, start)| {
            let seen = || look.observation.task(*tgid).is_some_and(|it| it.start_boottime_ns == *start);
            *start >= look.since_boottime_ns || seen()
        });
        noted.extend(tasks.iter().map(|task| (task.tgid, task.start_boottime_ns)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{EventCgroup, Inodes, Kind, NamespaceSet, Observation};

    fn set(uts: u32) -> NamespaceSet {
        let namespaces: Inodes = [(Kind::Uts, uts)].into_iter().collect();
        NamespaceSet { namespaces, ..NamespaceSet::default() }
    }

    fn event(kind: EventKind, tgid: u32, old: u32, new: u32) -> KernelEvent {
        KernelEvent {
            kind,
            boottime_ns: 1,
            pid: tgid,
            tgid,
            start_boottime_ns: tgid.into(),
            process_start_boottime_ns: tgid.into(),
            comm: "it".into(),
            uid: 0,
            user_namespace_owner: 0,
            level: 0,
            pid_inside: tgid,
            kernel_thread: false,
            pid_namespace_init: false,
            caller: None,
            parent_is_callers: false,
            parent: None,
            exit: None,
            old: Some(set(old)),
            old_is_parents: kind == EventKind::Exec,
            new: (kind != EventKind::Exit).then_some(set(new)),
            cgroup: EventCgroup::default(),
        }
    }

    fn exit(tgid: u32) -> KernelEvent {
        event(EventKind::Exit, tgid, 1, 0)
    }

    #[test]
    fn where_only_changes_are_told_all_is_news() {
        let mut news = News::new(false);
        assert!(news.are_in(&event(EventKind::Fork, 10, 1, 1)) && news.are_in(&exit(10)));
    }

    #[test]
    fn of_all_processes_those_are_news_that_would_be_told_of_otherwise() {
        let mut news = News::new(true);
        for kind in [EventKind::Fork, EventKind::Exec] {
            assert!(!news.are_in(&event(kind, 10, 1, 1)), "{kind}");
        }
        assert!(!news.are_in(&exit(10)));
        for kind in [EventKind::Fork, EventKind::Exec, EventKind::Setns, EventKind::Unshare] {
            assert!(news.are_in(&event(kind, 11, 1, 2)), "{kind}");
            assert!(news.are_in(&exit(11)), "{kind}");
            assert!(!news.are_in(&exit(11)), "{kind}: it ends once");
        }
        let unknown = KernelEvent { old: None, ..event(EventKind::Exec, 12, 1, 1) };
        assert!(news.are_in(&unknown));
        // Of who was told of, any other program is told.
        let again = KernelEvent { old_is_parents: false, ..event(EventKind::Exec, 12, 1, 1) };
        assert!(news.are_in(&again));
    }

    #[test]
    fn the_ends_of_who_is_tracked_are_news_and_who_is_gone_is_let_go() {
        let mut news = News::new(true);
        let task = |tgid: u32| Task { pid: tgid, tgid, start_boottime_ns: tgid.into(), ..Task::default() };
        let look = |tasks: Vec<Task>| Look {
            observation: Observation { tasks: tasks.into(), ..Observation::default() },
            since_boottime_ns: 100,
        };
        news.track(&[task(20).into()], &look(vec![task(20)]));
        // One is there, one has ended unheard, and one began after the look.
        for tgid in [30, 40, 500] {
            assert!(news.are_in(&event(EventKind::Unshare, tgid, 1, 2)));
        }
        news.track(&[task(20).into()], &look(vec![task(20), task(30)]));
        let ends: Vec<_> = [20, 30, 40, 500].into_iter().filter(|it| news.are_in(&exit(*it))).collect();
        assert_eq!(ends, [20, 30, 500]);
    }
}
