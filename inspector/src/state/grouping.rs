//! Which containers form a pod.
//!
//! Containers are kept together by a declaration (a sandbox, `container:<id>` modes), else by actually sharing a
//! non-host net, ipc, pid or uts namespace. A `container:<id>` declaration never bridges different living
//! namespaces, and an intruder that ties two declared pods together does not merge them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::observation::{Kind, Observation};
use crate::state::index::{Index, PodKey};
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
pub(super) fn pods(
    units: &Units<'_>,
    index: &Index<'_>,
    links: &Links,
    observation: &Observation,
) -> Vec<Vec<UnitId>> {
    let mut sets = Sets::new(units.list.len());
    let explicit = join_declared_pods(units, &mut sets);
    join_links(units, links, &explicit, &mut sets);
    join_sharers(units, index, observation, &mut sets);
    let mut pods: BTreeMap<UnitId, Vec<UnitId>> = BTreeMap::new();
    for unit in 0..units.list.len() {
        pods.entry(sets.find(unit)).or_default().push(unit);
    }
    pods.into_values().collect()
}

/// The declared pod of each unit, by what the runtime says or, failing that, by its cgroup's pod uid.
fn declared_pod<'a>(units: &'a Units<'_>, unit: UnitId) -> Option<PodKey<'a>> {
    let unit = units.list.get(unit)?;
    let by_cgroup = || Some(PodKey { word_of_uid: None, id: unit.cgroup_pod_uid.as_deref()? });
    unit.declared_pod().or_else(by_cgroup)
}

fn join_declared_pods<'a>(units: &'a Units<'_>, sets: &mut Sets) -> Vec<Option<PodKey<'a>>> {
    let mut first: HashMap<PodKey<'_>, UnitId> = HashMap::new();
    let pods: Vec<Option<PodKey<'_>>> = (0..units.list.len()).map(|unit| declared_pod(units, unit)).collect();
    for (unit, pod) in pods.iter().enumerate() {
        if let Some(pod) = pod {
            sets.join(unit, *first.entry(*pod).or_insert(unit));
        }
    }
    pods
}

/// Joins what `container:<id>` modes and paths declare, unless that would put containers into one set that live in
/// different namespaces, or containers of different declared pods.
fn join_links(units: &Units<'_>, links: &Links, explicit: &[Option<PodKey<'_>>], sets: &mut Sets) {
    let mut partners: BTreeMap<UnitId, Vec<UnitId>> = BTreeMap::new();
    for kind in Kind::POD {
        for (unit, partner) in sound_links(kind, units, links, explicit) {
            partners.entry(unit).or_default().push(partner);
        }
    }
    // Those that follow one partner only make the pods; those that follow several may be what ties two of them.
    let (torn, whole): (Vec<_>, Vec<_>) =
        partners.into_iter().partition(|(_, partners)| partners.iter().any(|one| *one != partners[0]));
    for (unit, partners) in whole {
        sets.join(unit, partners[0]);
    }
    for (unit, partners) in torn {
        join_torn(unit, &partners, units, sets);
    }
}

/// A container that follows several others: all of them are one pod, unless two of them have pods without it. Then it
/// is an intruder in all but one: that of which it shares the most, of equals the first in the order of [`Kind::POD`].
fn join_torn(unit: UnitId, partners: &[UnitId], units: &Units<'_>, sets: &mut Sets) {
    let own = sets.find(unit);
    let mut sizes: HashMap<UnitId, usize> = HashMap::new();
    for other in (0..units.list.len()).filter(|other| *other != unit) {
        *sizes.entry(sets.find(other)).or_default() += 1;
    }
    let roots: Vec<UnitId> = partners.iter().map(|partner| sets.find(*partner)).collect();
    let is_pod = |root: &UnitId| *root != own && sizes.get(root).is_some_and(|size| *size > 1);
    let shares = |root: UnitId| roots.iter().filter(|other| **other == root).count();
    // Of equals `max_by_key` takes the last, so the order is turned round.
    let home = roots.iter().copied().filter(is_pod).rev().max_by_key(|root| shares(*root));
    for root in roots.iter().copied() {
        if !is_pod(&root) || home == Some(root) {
            sets.join(unit, root);
        }
    }
}

/// The links of one kind between containers that may be in one pod by it.
fn sound_links(
    kind: Kind,
    units: &Units<'_>,
    links: &Links,
    explicit: &[Option<PodKey<'_>>],
) -> Vec<(UnitId, UnitId)> {
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
    let mut sound = Vec::new();
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
        sound.push((unit, partner));
    }
    sound
}

/// Joins what actually shares a namespace, except what would merge two pods that declarations made.
fn join_sharers(units: &Units<'_>, index: &Index<'_>, observation: &Observation, sets: &mut Sets) {
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
        let mut members: Vec<(u32, UnitId)> = Vec::new();
        for (index, unit) in units.list.iter().enumerate() {
            // Processes of an unmanaged group may have gone further down: they still tie it together.
            let below = unit.tasks.iter().filter(|_| unit.runtime.is_none());
            let below = below.filter_map(|task| task.namespaces.get(kind));
            let inodes = unit.namespaces.get(kind).into_iter().chain(below);
            let own = inodes.filter(|inode| observation.host.is_host(kind, *inode) == Some(false));
            members.extend(own.map(|inode| (inode, index)));
        }
        members.sort_unstable();
        members.dedup();
        for sharers in members.chunk_by(|(one, _), (other, _)| one == other) {
            let &[(inode, first), ..] = sharers else { continue };
            // Each sharer's declared pod, if it is in one; that which the namespace is pinned for, else the first of
            // them, takes those that are in none.
            let pinned_for = index.pinned_for.get(&(kind, inode));
            let is_foreign =
                |unit: UnitId| pinned_for.is_some() && declared_pod(units, unit).as_ref() != pinned_for;
            let home = sharers
                .iter()
                .map(|(_, unit)| (is_foreign(*unit), sets.find(*unit)))
                .filter(|(_, root)| declared.contains(root))
                .min_by_key(|(foreign, _)| *foreign)
                .map(|(_, root)| root);
            let home = home.unwrap_or_else(|| sets.find(first));
            for (_, unit) in sharers {
                let root = sets.find(*unit);
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
