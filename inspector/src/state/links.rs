//! Declarations, resolved: which container joins which.

use std::collections::{BTreeMap, HashMap};

use crate::observation::{Declaration, Kind, Observation};
use crate::state::units::{UnitId, Units};

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
pub(super) fn resolve(units: &Units<'_>, observation: &Observation) -> Links {
    let by_id: HashMap<&str, UnitId> =
        units.list.iter().enumerate().map(|(index, unit)| (unit.id.as_str(), index)).collect();
    let partner = |from: UnitId, given: &str| -> Partner {
        let unit = by_id.get(given).copied().or_else(|| by_name(units, from, given));
        let id = unit
            .and_then(|unit| units.list.get(unit))
            .map_or_else(|| given.to_owned(), |unit| unit.id.clone());
        Partner { id, unit }
    };
    let mut links: Links = Vec::with_capacity(units.list.len());
    for (index, unit) in units.list.iter().enumerate() {
        let Some(declared) = unit.declared else {
            links.push(BTreeMap::new());
            continue;
        };
        let pod = declared.pod.as_deref();
        let mut resolved = BTreeMap::new();
        for (kind, declaration) in &declared.declared {
            let link = match declaration {
                Declaration::Private => Link::Private,
                Declaration::Shareable => Link::Shareable,
                Declaration::Host => Link::Host,
                Declaration::Pod => Link::Pod,
                Declaration::Target(id) => Link::Target(partner(index, id)),
                Declaration::Container(id) => {
                    let partner = partner(index, id);
                    if is_own_sandbox(units, pod, partner.unit) { Link::Pod } else { Link::Joins(partner) }
                }
                Declaration::Path { path, inode } => {
                    by_path(units, observation, index, *kind, path, *inode, unit.namespaces.get(*kind))
                }
            };
            resolved.insert(*kind, link);
        }
        links.push(resolved);
    }
    links
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

fn is_own_sandbox(units: &Units<'_>, pod: Option<&str>, partner: Option<UnitId>) -> bool {
    let partner = partner.and_then(|unit| units.list.get(unit)).and_then(|unit| unit.declared);
    pod.is_some() && partner.is_some_and(|other| other.pod.as_deref() == pod && other.infra_mark.is_some())
}

/// Whose namespace a path leads to: first the namespace itself tells (a path may name a dead or recycled pid).
fn by_path(
    units: &Units<'_>,
    observation: &Observation,
    from: UnitId,
    kind: Kind,
    path: &str,
    behind: Option<u32>,
    actual: Option<u32>,
) -> Link {
    let Some(inode) = actual.or(behind) else { return Link::Unknown };
    if observation.host.is_host(kind, inode) == Some(true) {
        return Link::Host;
    }
    let made_for = |unit: &&(UnitId, &crate::state::units::Unit<'_>)| {
        unit.1.declared.is_some_and(|declared| {
            matches!(declared.declared.get(&kind), Some(Declaration::Private | Declaration::Shareable))
        })
    };
    let named =
        path.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()).and_then(|pid| pid.parse().ok());
    let members: Vec<_> = units
        .list
        .iter()
        .enumerate()
        .filter(|(index, unit)| *index != from && unit.namespaces.get(kind) == Some(inode))
        .collect();
    let by_pid = members.iter().find(|(_, unit)| unit.init.is_some_and(|init| Some(init.pid) == named));
    let Some((index, unit)) = by_pid.or_else(|| members.iter().find(made_for)).copied() else {
        return Link::Unknown;
    };
    let pod =
        units.list.get(from).and_then(|unit| unit.declared).and_then(|declared| declared.pod.as_deref());
    if is_own_sandbox(units, pod, Some(index)) {
        return Link::Pod;
    }
    Link::Joins(Partner { id: unit.id.clone(), unit: Some(index) })
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
