//! What a watcher hands on, redacted.

use super::Redactor;
use crate::observation::{
    Blind, Creation, EventCgroup, ExitStatus, History, Input, KernelEvent, Look, NamespaceSet, SeenOwner,
    TaskRef, Told,
};

impl Redactor {
    /// Gives every name in it its pseudonym.
    #[must_use]
    pub fn input(&self, input: Input) -> Input {
        match input {
            Input::Look(look) => Input::Look(Box::new(self.look(*look))),
            Input::Told(told) => Input::Told(self.told(told)),
            Input::Blind(Blind { boottime_ns, why }) => {
                Input::Blind(Blind { boottime_ns, why: self.words.sentence(&why) })
            }
        }
    }

    /// As [`Self::input`], of a look.
    #[must_use]
    pub fn look(&self, look: Look) -> Look {
        let Look { observation, since_boottime_ns } = look;
        Look { observation: self.observation(observation), since_boottime_ns }
    }

    fn told(&self, told: Told) -> Told {
        let Told { boottime_ns, events, lost, by } = told;
        Told {
            boottime_ns,
            events: events.into_iter().map(|event| self.event(event)).collect(),
            lost: lost.into_iter().map(|(cause, count)| (self.words.sentence(&cause), count)).collect(),
            by,
        }
    }

    fn event(&self, event: KernelEvent) -> KernelEvent {
        let KernelEvent {
            kind,
            boottime_ns,
            pid,
            tgid,
            start_boottime_ns,
            process_start_boottime_ns,
            comm,
            uid,
            user_namespace_owner,
            level,
            pid_inside,
            kernel_thread,
            pid_namespace_init,
            caller,
            parent_is_callers,
            parent,
            exit,
            old,
            old_is_parents,
            new,
            cgroup,
        } = event;
        let EventCgroup { v2, pids, name, name_is_of_pids, name_truncated } = cgroup;
        let name = self.words.name(&name).into();
        let cgroup = EventCgroup { v2, pids, name, name_is_of_pids, name_truncated };
        KernelEvent {
            kind,
            boottime_ns,
            pid,
            tgid,
            start_boottime_ns,
            process_start_boottime_ns,
            comm: self.words.comm(&comm).into(),
            uid,
            user_namespace_owner,
            level,
            pid_inside,
            kernel_thread,
            pid_namespace_init,
            caller: caller.map(plain_task),
            parent_is_callers,
            parent: parent.map(plain_task),
            exit: exit.map(plain_exit),
            old: old.map(plain_set),
            old_is_parents,
            new: new.map(plain_set),
            cgroup,
        }
    }

    pub(super) fn history(&self, history: History) -> History {
        let History { by, lost, creations, owners } = history;
        let creation = |it: Creation| {
            let Creation { kind, inode, boottime_ns, process, comm, made } = it;
            Creation { kind, inode, boottime_ns, process, comm: self.words.comm(&comm), made }
        };
        let owner = |it: SeenOwner| {
            let SeenOwner { kind, inode, container, init, class, why } = it;
            let (container, why) = (self.words.name(&container), self.words.sentence(&why));
            SeenOwner { kind, inode, container, init, class, why }
        };
        History {
            by,
            lost,
            creations: creations.into_iter().map(creation).collect(),
            owners: owners.into_iter().map(owner).collect(),
        }
    }
}

/// Numbers only, and so taken as they are.
fn plain_task(task: TaskRef) -> TaskRef {
    let TaskRef { pid, tgid, process_start_boottime_ns } = task;
    TaskRef { pid, tgid, process_start_boottime_ns }
}

/// As above.
fn plain_exit(exit: ExitStatus) -> ExitStatus {
    let ExitStatus { code, signal, core_dumped } = exit;
    ExitStatus { code, signal, core_dumped }
}

/// As above.
fn plain_set(set: NamespaceSet) -> NamespaceSet {
    let NamespaceSet { namespaces, pid_for_children, time_for_children } = set;
    NamespaceSet { namespaces, pid_for_children, time_for_children }
}
