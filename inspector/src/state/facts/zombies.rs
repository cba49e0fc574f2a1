//! Processes that are dead and that the init of their PID namespace has not reaped.

use std::collections::HashMap;

use crate::observation::Kind;
use crate::state::Model;
use crate::state::hash::NumberMap;
use crate::state::units::{UnitId, own_pod_namespaces};

/// What one init has not reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zombies {
    /// The pod's id.
    pub pod: String,
    /// The container whose init it is.
    pub container: String,
    /// The init, as the reader's /proc numbers it.
    pub pid: u32,
    /// Its kernel's name.
    pub comm: String,
    /// The PID namespace.
    pub inode: u32,
    /// How many of its dead children wait for it.
    pub count: u32,
}

pub(super) fn find(model: &Model<'_>, pod_of: &HashMap<UnitId, String>) -> Vec<Zombies> {
    let mut waiting: NumberMap<u32, u32> = NumberMap::default();
    for task in model.observation.tasks.iter().filter(|task| task.is_leader() && task.is_dead()) {
        *waiting.entry(task.parent).or_default() += 1;
    }
    let mut found: Vec<Zombies> = model
        .units
        .list
        .iter()
        .enumerate()
        .filter_map(|(index, unit)| {
            let init = unit.init.filter(|init| init.pid_namespace_init)?;
            let (_, inode) =
                own_pod_namespaces(init, model.observation).find(|(kind, _)| *kind == Kind::Pid)?;
            Some(Zombies {
                pod: pod_of.get(&index)?.clone(),
                container: unit.id.clone(),
                pid: init.pid,
                comm: init.comm.to_string(),
                inode,
                count: *waiting.get(&init.pid)?,
            })
        })
        .collect();
    found.sort_by(|a, b| (a.inode, &a.container).cmp(&(b.inode, &b.container)));
    found
}
