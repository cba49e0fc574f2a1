//! What is looked up again and again, looked up once: so that a node of 25,000 namespaces costs no more than its size.

use std::collections::HashMap;

use crate::observation::{Kind, Observation, Pin, Task};
use crate::state::hash::NumberMap;
use crate::state::units::{UnitId, Units};

/// A declared pod, told from those that another user's runtime declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PodKey<'a> {
    /// The user whose word it is; `None` for root's.
    pub word_of_uid: Option<u32>,
    /// Its id.
    pub id: &'a str,
}

/// The units in one namespace: in most there is one.
#[derive(Debug)]
enum Members {
    One(UnitId),
    More(Vec<UnitId>),
}

impl Members {
    fn push(&mut self, unit: UnitId) {
        match self {
            Self::One(first) => *self = Self::More(vec![*first, unit]),
            Self::More(list) => list.push(unit),
        }
    }

    fn as_slice(&self) -> &[UnitId] {
        match self {
            Self::One(unit) => std::slice::from_ref(unit),
            Self::More(list) => list,
        }
    }
}

/// Who is where.
#[derive(Debug)]
pub(super) struct Index<'a> {
    /// The living units in each namespace, by position.
    members: NumberMap<(Kind, u32), Members>,
    /// The init of each PID namespace.
    pub inits: NumberMap<u32, &'a Task>,
    /// The infra container of each declared pod, living or not.
    pub infra: HashMap<PodKey<'a>, UnitId>,
    /// Bind mounts of each namespace.
    pub pins: NumberMap<(Kind, u32), Vec<&'a Pin>>,
    /// The units of each id, by position: ids that users choose (runc's, ctr's) need not be unique on a node.
    pub by_id: HashMap<String, Vec<UnitId>>,
    /// The sandbox without a process that a runtime pinned each namespace for.
    pub pinned_for: NumberMap<(Kind, u32), PodKey<'a>>,
}

impl<'a> Index<'a> {
    pub(super) fn of(units: &Units<'a>, observation: &'a Observation) -> Self {
        let mut members: NumberMap<(Kind, u32), Members> = NumberMap::default();
        let mut infra = HashMap::new();
        let mut by_id: HashMap<String, Vec<UnitId>> = HashMap::new();
        for (index, unit) in units.list.iter().enumerate() {
            for namespace in unit.namespaces.iter() {
                members
                    .entry(namespace)
                    .and_modify(|members| members.push(index))
                    .or_insert(Members::One(index));
            }
            by_id.entry(unit.id.clone()).or_default().push(index);
            if unit.declared.is_some_and(|declared| declared.infra_mark.is_some())
                && let Some(pod) = unit.declared_pod()
            {
                infra.entry(pod).or_insert(index);
            }
        }
        let inits = observation
            .tasks
            .iter()
            .filter(|task| task.pid_namespace_init && task.is_leader())
            .filter_map(|task| Some((task.namespaces.get(Kind::Pid)?, task)))
            .collect();
        let mut pins: NumberMap<(Kind, u32), Vec<&Pin>> = NumberMap::default();
        for pin in &observation.pins {
            pins.entry((pin.kind, pin.inode)).or_default().push(pin);
        }
        let mut pinned_for = NumberMap::default();
        for pod in &observation.pods {
            let key = PodKey { word_of_uid: pod.word_of_uid, id: &pod.id };
            for namespace in &pod.namespaces {
                // What is mounted there is what is pinned; a path without a mount holds nothing.
                let inode = namespace.inode.or_else(|| mounted(observation, namespace.kind, &namespace.path));
                if let Some(inode) = inode
                    && observation.host.is_host(namespace.kind, inode) == Some(false)
                {
                    pinned_for.entry((namespace.kind, inode)).or_insert(key);
                }
            }
        }
        Self { members, inits, infra, pins, by_id, pinned_for }
    }

    /// The living units in a namespace.
    pub(super) fn members(&self, kind: Kind, inode: u32) -> &[UnitId] {
        self.members.get(&(kind, inode)).map_or(&[], Members::as_slice)
    }
}

/// The namespace that is mounted at a path, by the host's mountinfo: there `/var/run` is `/run`.
fn mounted(observation: &Observation, kind: Kind, path: &str) -> Option<u32> {
    let canonical = |path: &str| match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path.to_owned(),
    };
    let path = canonical(path);
    observation.pins.iter().find(|pin| pin.kind == kind && canonical(&pin.path) == path).map(|pin| pin.inode)
}
