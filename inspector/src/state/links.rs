//! Declarations, resolved: which container joins which.

use std::collections::BTreeMap;

use crate::observation::{Declaration, Kind, Observation};
use crate::state::index::Index;
use crate::state::units::{Unit, UnitId, Units};

/// A declaration with its target found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Made for it.
    Private,
    /// Made for it, and offered.
    Shareable,
    /// The node's.
    Host,
    /// Its own sandbox's.
    Pod,
    /// CRI's TARGET: on purpose that container's.
    Target(Partner),
    /// That container's.
    Joins(Partner),
    /// A path to nobody known.
    Unknown,
}

/// The container that a declaration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    /// Its id; what the declaration says where nobody has that id (any more).
    pub id: String,
    /// The container, while anything knows it.
    pub unit: Option<UnitId>,
}

impl Link {
    /// Whether the namespace was made for this container.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self, Self::Private | Self::Shareable)
    }

    /// The word in the contract.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Private => "private".to_owned(),
            Self::Shareable => "shareable".to_owned(),
            Self::Host => "host".to_owned(),
            Self::Pod => "pod".to_owned(),
            Self::Target(_) => "target".to_owned(),
            Self::Joins(partner) => format!("container:{}", partner.id),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// The links of every unit, by position.
pub(super) type Links = Vec<BTreeMap<Kind, Link>>;

/// Resolves every declaration.
pub(super) fn resolve(units: &Units<'_>, index: &Index<'_>, observation: &Observation) -> Links {
    let partner = |from: UnitId, given: &str| -> Partner {
        let unit = by_id(units, index, from, given).or_else(|| by_name(units, from, given));
        let id = unit
            .and_then(|unit| units.list.get(unit))
            .map_or_else(|| given.to_owned(), |unit| unit.id.clone());
        Partner { id, unit }
    };
    let mut links: Links = Vec::with_capacity(units.list.len());
    for (at, unit) in units.list.iter().enumerate() {
        let Some(declared) = unit.declared else {
            links.push(BTreeMap::new());
            continue;
        };
        let mut resolved = BTreeMap::new();
        for (kind, declaration) in &declared.declared {
            let link = match declaration {
                Declaration::Private => Link::Private,
                Declaration::Shareable => Link::Shareable,
                Declaration::Host => Link::Host,
                Declaration::Pod => Link::Pod,
                Declaration::Target(id) => Link::Target(partner(at, id)),
                Declaration::Container(id) => {
                    let partner = partner(at, id);
                    if is_own_sandbox(units, at, partner.unit) { Link::Pod } else { Link::Joins(partner) }
                }
                Declaration::Path { path, inode } => {
                    let leads_to = unit.namespaces.get(*kind).or(*inode);
                    by_path(units, index, observation, at, *kind, path, leads_to)
                }
            };
            resolved.insert(*kind, link);
        }
        links.push(resolved);
    }
    links
}

/// A container by its id: of the same runtime and the same user's where several have it. What a user's own runtime says
/// does not reach beyond that user's containers.
fn by_id(units: &Units<'_>, index: &Index<'_>, from: UnitId, given: &str) -> Option<UnitId> {
    let origin = |unit: UnitId| {
        let unit = units.list.get(unit)?;
        Some((unit.runtime, unit.declared.and_then(|declared| declared.word_of_uid)))
    };
    let (runtime, word) = origin(from)?;
    let found = index.by_id.get(given)?;
    let same_user = |unit: &&UnitId| origin(**unit).is_some_and(|(_, other)| word.is_none() || other == word);
    let same_runtime = |unit: &&UnitId| origin(**unit).is_some_and(|(other, _)| other == runtime);
    found.iter().filter(same_user).find(same_runtime).or_else(|| found.iter().find(same_user)).copied()
}

/// A container by its name, or by the beginning of its id, among those of the same runtime.
fn by_name(units: &Units<'_>, from: UnitId, given: &str) -> Option<UnitId> {
    let runtime = units.list.get(from)?.runtime;
    let same = || {
        units.list.iter().enumerate().filter(|(_, unit)| unit.runtime == runtime && unit.declared.is_some())
    };
    let mut found = same().filter(|(_, unit)| unit.name == given);
    if let Some((index, _)) = found.next() {
        return found.next().is_none().then_some(index);
    }
    // Docker takes any unambiguous beginning of an id; fewer than 12 digits we would not trust ourselves.
    let mut found = same().filter(|(_, unit)| given.len() >= 12 && unit.id.starts_with(given));
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}

fn is_own_sandbox(units: &Units<'_>, from: UnitId, partner: Option<UnitId>) -> bool {
    let pod = units.list.get(from).and_then(Unit::declared_pod);
    let Some(partner) = partner.and_then(|unit| units.list.get(unit)) else { return false };
    pod.is_some()
        && partner.declared_pod() == pod
        && partner.declared.is_some_and(|declared| declared.infra_mark.is_some())
}

/// Whose namespace a path leads to: first the namespace itself tells (a path may name a dead or recycled pid).
fn by_path(
    units: &Units<'_>,
    index: &Index<'_>,
    observation: &Observation,
    from: UnitId,
    kind: Kind,
    path: &str,
    leads_to: Option<u32>,
) -> Link {
    let Some(inode) = leads_to else { return Link::Unknown };
    if observation.host.is_host(kind, inode) == Some(true) {
        return Link::Host;
    }
    if let Some(pod) = index.pinned_for.get(&(kind, inode)) {
        let own = units.list.get(from).and_then(Unit::declared_pod);
        return if own == Some(*pod) {
            Link::Pod
        } else {
            Link::Joins(Partner { id: pod.id.to_owned(), unit: None })
        };
    }
    let unit = |at: UnitId| units.list.get(at);
    let made_for = |at: &UnitId| {
        unit(*at).and_then(|unit| unit.declared).is_some_and(|declared| {
            matches!(declared.declared.get(&kind), Some(Declaration::Private | Declaration::Shareable))
        })
    };
    let named: Option<u32> =
        path.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()).and_then(|pid| pid.parse().ok());
    let is_named =
        |at: &UnitId| named.is_some() && unit(*at).and_then(|unit| unit.init).map(|init| init.pid) == named;
    let members = || index.members(kind, inode).iter().copied().filter(|at| *at != from);
    let Some(found) = members().find(is_named).or_else(|| members().find(made_for)) else {
        return Link::Unknown;
    };
    if is_own_sandbox(units, from, Some(found)) {
        return Link::Pod;
    }
    Link::Joins(Partner {
        id: unit(found).map(|unit| unit.id.clone()).unwrap_or_default(),
        unit: Some(found),
    })
}

/// Follows `container:` links of one kind to the container that the namespace was made for.
///
/// `None` when the chain ends at someone who joined a path of nobody known, or goes in circles.
pub(super) fn root(links: &Links, kind: Kind, from: &Partner) -> Option<Partner> {
    let mut at = from.clone();
    for _ in 0..=links.len() {
        let Some(unit) = at.unit else { return Some(at) };
        match links.get(unit).and_then(|links| links.get(&kind)) {
            Some(Link::Joins(next) | Link::Target(next)) => at = next.clone(),
            Some(Link::Private | Link::Shareable) => return Some(at),
            Some(Link::Host | Link::Pod | Link::Unknown) | None => return None,
        }
    }
    None
}
