//! Which containers form a pod.
//!
//! Containers are kept together by a declaration (a sandbox, `container:<id>` modes), else by actually sharing a
//! non-host net, ipc, pid or uts namespace. A `container:<id>` declaration never bridges different living
//! namespaces, and an intruder that ties two declared pods together does not merge them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::observation::{Kind, Observation};
use crate::state::links::{Link, Links};
use crate::state::units::{UnitId, Units};

/// Disjoint sets of units.
#[derive(Debug)]
struct Sets {
    parent: Vec<UnitId>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    fn find(&mut self, unit: UnitId) -> UnitId {
        let mut root = unit;
        while let Some(&above) = self.parent.get(root).filter(|above| **above != root) {
            root = above;
        }
        let mut at = unit;
        while let Some(slot) = self.parent.get_mut(at).filter(|slot| **slot != root) {
            at = std::mem::replace(slot, root);
        }
        root
    }

    fn join(&mut self, a: UnitId, b: UnitId) {
        let (a, b) = (self.find(a), self.find(b));
        // The lower number leads: the same input gives the same sets in the same order.
        if let Some(slot) = self.parent.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

/// The pods, each a sorted list of units.
pub(super) fn pods(units: &Units<'_>, links: &Links, observation: &Observation) -> Vec<Vec<UnitId>> {
    let mut sets = Sets::new(units.list.len());
    let explicit = join_declared_pods(units, &mut sets);
    for kind in Kind::POD {
        join_links(kind, units, links, &explicit, &mut sets);
    }
    join_sharers(units, observation, &mut sets);
    let mut pods: BTreeMap<UnitId, Vec<UnitId>> = BTreeMap::new();
    for unit in 0..units.list.len() {
        pods.entry(sets.find(unit)).or_default().push(unit);
    }
    pods.into_values().collect()
}

/// The declared pod of each unit, by what the runtime says or, failing that, by its cgroup's pod uid.
fn declared_pod<'a>(units: &'a Units<'_>, unit: UnitId) -> Option<&'a str> {
    let unit = units.list.get(unit)?;
    unit.declared.and_then(|declared| declared.pod.as_deref()).or(unit.cgroup_pod_uid.as_deref())
}

fn join_declared_pods<'a>(units: &'a Units<'_>, sets: &mut Sets) -> Vec<Option<&'a str>> {
    let mut first: HashMap<&str, UnitId> = HashMap::new();
    let pods: Vec<Option<&str>> = (0..units.list.len()).map(|unit| declared_pod(units, unit)).collect();
    for (unit, pod) in pods.iter().enumerate() {
        if let Some(pod) = pod {
            sets.join(unit, *first.entry(pod).or_insert(unit));
        }
    }
    pods
}

/// Joins what `container:<id>` of one kind declares, unless that would put containers into one set that live in
/// different namespaces of this kind, or containers of different declared pods.
fn join_links(kind: Kind, units: &Units<'_>, links: &Links, explicit: &[Option<&str>], sets: &mut Sets) {
    let inode = |unit: UnitId| units.list.get(unit).and_then(|unit| unit.namespaces.get(kind));
    // What this kind alone holds together decides about conflicts; other kinds may well differ.
    let mut same_kind = Sets::new(units.list.len());
    let mut inodes: HashMap<UnitId, u32> =
        (0..units.list.len()).filter_map(|unit| Some((unit, inode(unit)?))).collect();
    let mut edges: Vec<(bool, UnitId, UnitId)> = links
        .iter()
        .enumerate()
        .filter_map(|(unit, links)| match links.get(&kind)? {
            Link::Joins(partner) | Link::Target(partner) => Some((unit, partner.unit?)),
            _ => None,
        })
        // Those between living containers first: the kernel decides them, and the dead follow.
        .map(|(unit, partner)| (inode(unit).is_none() || inode(partner).is_none(), unit, partner))
        .collect();
    edges.sort_unstable();
    for (_, unit, partner) in edges {
        let (a, b) = (same_kind.find(unit), same_kind.find(partner));
        let conflict = matches!((inodes.get(&a), inodes.get(&b)), (Some(x), Some(y)) if x != y);
        let foreign = matches!(
            (explicit.get(unit), explicit.get(partner)),
            (Some(Some(x)), Some(Some(y))) if x != y
        );
        if conflict || foreign {
            continue;
        }
        let known = inodes.get(&a).or(inodes.get(&b)).copied();
        same_kind.join(a, b);
        if let Some(known) = known {
            inodes.insert(same_kind.find(a), known);
        }
        sets.join(unit, partner);
    }
}

/// Joins what actually shares a namespace, except what would merge two pods that declarations made.
fn join_sharers(units: &Units<'_>, observation: &Observation, sets: &mut Sets) {
    let mut declared: BTreeSet<UnitId> = BTreeSet::new();
    let mut sizes: HashMap<UnitId, usize> = HashMap::new();
    for unit in 0..units.list.len() {
        let root = sets.find(unit);
        let size = sizes.entry(root).or_default();
        *size += 1;
        if *size > 1 || declared_pod(units, unit).is_some() {
            declared.insert(root);
        }
    }
    for kind in Kind::POD {
        let mut members: BTreeMap<u32, Vec<UnitId>> = BTreeMap::new();
        for (index, unit) in units.list.iter().enumerate() {
            if let Some(inode) = unit.namespaces.get(kind) {
                members.entry(inode).or_default().push(index);
            }
            // Processes of an unmanaged group may have gone further down: they still tie it together.
            for task in unit.tasks.iter().filter(|_| unit.runtime.is_none()) {
                members.entry(task.namespaces.get(kind).unwrap_or_default()).or_default().push(index);
            }
        }
        for (inode, sharers) in members {
            if inode == 0 || observation.host.is_host(kind, inode) != Some(false) {
                continue;
            }
            // Each sharer's declared pod, if it is in one; the first of them takes those that are in none.
            let mut home: Option<UnitId> = None;
            for unit in &sharers {
                let root = sets.find(*unit);
                if declared.contains(&root) {
                    home = home.or(Some(root));
                }
            }
            let home = home.unwrap_or_else(|| sets.find(sharers[0]));
            for unit in sharers {
                let root = sets.find(unit);
                if root == sets.find(home) || declared.contains(&root) {
                    continue;
                }
                let is_declared = declared.contains(&sets.find(home));
                sets.join(root, home);
                if is_declared {
                    declared.insert(sets.find(home));
                }
            }
        }
    }
}
