//! PID namespaces whose init is going. The kernel kills whoever else is in one, and the init waits until they are gone
//! (`zap_pid_ns_processes`): it has left its other namespaces by then and looks dead, while a look may find those alive. They
//! end with it; they have not begun without it, nor survived it.

use std::collections::HashMap;

use super::patch::{Member, Patch, Paths, members};
use super::{ENDS_NS, Ends};
use crate::observation::{Kind, Observation, ProcessKey};

/// Inits that others are killed with, and when they ended or were first seen to.
#[derive(Default)]
pub(super) struct Dying(HashMap<ProcessKey, u64>);

/// An init, and who was in its PID namespace when a look saw it.
pub(super) struct Doomed {
    key: ProcessKey,
    init: Member,
    members: Vec<Member>,
    at_ns: u64,
}

impl Dying {
    /// Those that a look shows. Whom the kernel has not got rid of for long hangs in there, and is alive.
    pub(super) fn see(&mut self, look: &Observation, ends: &Ends) -> Vec<Doomed> {
        let node = &look.node;
        let tasks = || look.tasks.iter();
        let mut doomed = Vec::new();
        for init in tasks().filter(|task| task.pid_namespace_init && task.is_leader() && task.is_dead()) {
            let Some(inode) = init.namespaces.get(Kind::Pid) else { continue };
            if !tasks().any(|task| task.namespaces.get(Kind::Pid) == Some(inode) && !task.is_dead()) {
                continue;
            }
            let key = ProcessKey { pid: init.pid, start_ticks: node.ticks(init.start_boottime_ns) };
            let heard_ns = || ends.get(&key).map(|end| end.boottime_ns);
            let at_ns = self.0.get(&key).copied().or_else(heard_ns).unwrap_or(node.boottime_ns);
            let members = members(look, tasks(), inode);
            doomed.push(Doomed { key, init: (init.pid, init.start_boottime_ns), members, at_ns });
        }
        self.0 = doomed.iter().map(|it| (it.key, it.at_ns)).collect();
        doomed.retain(|it| it.at_ns + ENDS_NS >= node.boottime_ns);
        doomed
    }
}

/// Takes them out.
pub(super) fn bury(observation: &mut Observation, doomed: &[Doomed], ends: &Ends, paths: &Paths) {
    if doomed.is_empty() {
        return;
    }
    let mut patch = Patch::new(observation, paths);
    for Doomed { key, init, members, at_ns } in doomed {
        patch.bury(*init, members, *at_ns, ends.get(key).map(|end| end.status));
    }
    patch.finish();
}
