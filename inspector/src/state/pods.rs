//! A pod as the contract describes it: its name, its containers, its namespaces, and the verdict.

use std::collections::BTreeSet;

use crate::observation::{DeclaredRole, Gap, Kind, Origin};
use crate::state::class::{self, Behaviours, Judged};
use crate::state::links::{Link, Partner, root};
use crate::state::ownership::{Owned, OwnerFound};
use crate::state::units::{Age, Unit, UnitId, Units, short};
use crate::state::volumes::volumes;
use crate::state::{Model, PodParts, exits};
use crate::view::{
    Class, Container, Evidence, Holder, HolderType, Namespace, Owner, Pod, Role, State, Verdict,
};

/// Puts a pod together and judges it.
pub(super) fn assemble(parts: &PodParts<'_>, model: &Model<'_>, behaviours: &Behaviours<'_>) -> Pod {
    let (pod, owned) = (parts.units.as_slice(), parts.owned.as_slice());
    let judged: Vec<Judged> = owned
        .iter()
        .map(|namespace| {
            let joined = is_joined(namespace, pod, model);
            let mut judged =
                class::judge(&namespace.owner, joined, &model.units, behaviours, model.observation);
            if namespace.target_only {
                judged.class = Class::Application;
            }
            judged
        })
        .collect();
    let infra = infra_units(pod, owned, &judged, model);
    let (verdict, why) = verdict(pod, owned, &judged, model, behaviours);
    let mut order = pod.to_vec();
    order.sort_by_key(|unit| container_order(*unit, &infra, model));
    let name = identity(parts, model);
    let mut containers: Vec<Container> =
        order.iter().filter_map(|unit| container(*unit, infra.contains(unit), model)).collect();
    // Most pods are of one container, and there may be thousands.
    containers.shrink_to_fit();
    Pod {
        id: name.id,
        name: name.name,
        namespace: name.namespace,
        uid: name.uid,
        origin: name.origin,
        verdict,
        why,
        containers,
        namespaces: owned
            .iter()
            .zip(&judged)
            .map(|(owned, judged)| namespace(owned, judged, model))
            .collect(),
        volumes: volumes(&order, model),
    }
}

/// The id of a pod.
pub(super) fn id(parts: &PodParts<'_>, model: &Model<'_>) -> String {
    identity(parts, model).id
}

/// Living owners whose class depends on what they do.
pub(super) fn owners_judged_by_behaviour(parts: &PodParts<'_>, model: &Model<'_>) -> BTreeSet<UnitId> {
    let (pod, owned) = (parts.units.as_slice(), parts.owned.as_slice());
    let living = owned
        .iter()
        .filter(|namespace| namespace.owner.alive && is_joined(namespace, pod, model))
        .filter_map(|namespace| namespace.owner.unit);
    let declared = declared_owners(pod, model).into_iter().filter_map(|(_, partner)| partner.unit);
    living
        .chain(declared)
        .filter(|unit| {
            model.units.list.get(*unit).is_some_and(|unit| {
                unit.is_living() && unit.declared.is_none_or(|declared| declared.infra_mark.is_none())
            })
        })
        .collect()
}

/// Whether anyone but the owner is in the namespace, or is declared to be (and has exited).
fn is_joined(namespace: &Owned, pod: &[UnitId], model: &Model<'_>) -> bool {
    let owner = namespace.owner.unit;
    namespace.everywhere.iter().chain(&namespace.members).any(|unit| Some(*unit) != owner)
        || pod.iter().any(|unit| {
            declared_root(*unit, namespace.kind, model)
                .is_some_and(|root| root.unit.is_some() && root.unit == owner)
        })
}

/// Whom a container's declaration to share leads to in the end.
pub(super) fn declared_root(unit: UnitId, kind: Kind, model: &Model<'_>) -> Option<Partner> {
    match model.links.get(unit)?.get(&kind)? {
        Link::Joins(partner) => root(&model.links, kind, partner),
        Link::Pod => {
            let infra = *model.index.infra.get(&model.units.list.get(unit)?.declared_pod()?)?;
            // A host-network pod's sandbox has nothing of that kind to share.
            model.links.get(infra)?.get(&kind)?.is_own().then_some(())?;
            Some(Partner { id: model.units.list.get(infra)?.id.clone(), unit: Some(infra) })
        }
        _ => None,
    }
}

/// The owners that the declarations of a pod's containers lead to, by kind.
fn declared_owners(pod: &[UnitId], model: &Model<'_>) -> Vec<(Kind, Partner)> {
    Kind::POD
        .into_iter()
        .flat_map(|kind| pod.iter().filter_map(move |unit| Some((kind, declared_root(*unit, kind, model)?))))
        .collect()
}

fn unit<'m, 'a>(index: UnitId, model: &'m Model<'a>) -> Option<&'m Unit<'a>> {
    model.units.list.get(index)
}

/// Infra: marked so by the runtime, or of class pause and owner of a shared namespace.
fn infra_units(pod: &[UnitId], owned: &[Owned], judged: &[Judged], model: &Model<'_>) -> BTreeSet<UnitId> {
    let marked = pod.iter().copied().filter(|index| {
        unit(*index, model)
            .and_then(|unit| unit.declared)
            .is_some_and(|declared| declared.infra_mark.is_some())
    });
    let holding = owned
        .iter()
        .zip(judged)
        .filter(|(namespace, judged)| {
            judged.class == Class::Pause && namespace.owner.alive && is_joined(namespace, pod, model)
        })
        .filter_map(|(namespace, _)| namespace.owner.unit);
    marked.chain(holding).collect()
}

/// Infra first, then the living by start, then the dead by theirs.
fn container_order(
    index: UnitId,
    infra: &BTreeSet<UnitId>,
    model: &Model<'_>,
) -> (bool, bool, u64, String, u32, String) {
    let Some(unit) = unit(index, model) else { return (true, true, 0, String::new(), 0, String::new()) };
    let started = unit.declared.and_then(|declared| declared.started_at).map(|time| time.to_string());
    let (age, pid, id) = unit.age();
    (!infra.contains(&index), !unit.is_living(), age, started.unwrap_or_default(), pid, id.to_owned())
}

/// What a pod is called.
struct Name {
    id: String,
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    origin: Origin,
}

/// The declared pod's name; else that of the owner of what is shared (of pid, else net, ipc, uts) where it lives in the
/// pod; else of the oldest living member; else of whom the declarations lead to.
fn identity(parts: &PodParts<'_>, model: &Model<'_>) -> Name {
    let (pod, owned) = (parts.units.as_slice(), parts.owned.as_slice());
    if let Some(known) = parts.declared {
        return Name {
            id: known.id.clone(),
            name: known.name.clone(),
            namespace: known.namespace.clone(),
            uid: known.uid.clone(),
            origin: known.origin,
        };
    }
    let living = |index: &UnitId| unit(*index, model).is_some_and(Unit::is_living);
    let owner = Kind::POD.into_iter().find_map(|kind| {
        owned
            .iter()
            .filter(|namespace| {
                namespace.kind == kind && namespace.members.len() > 1 && namespace.owner.alive
            })
            .filter_map(|namespace| namespace.owner.unit)
            .find(|owner| pod.contains(owner) && living(owner))
    });
    let oldest = || pod.iter().copied().filter(living).min_by(|a, b| age(*a, model).cmp(&age(*b, model)));
    let meant = || {
        declared_owners(pod, model)
            .into_iter()
            .find_map(|(_, root)| root.unit.filter(|unit| pod.contains(unit)))
    };
    let eldest_dead = || {
        pod.iter().copied().min_by_key(|index| {
            unit(*index, model).and_then(|unit| unit.declared).and_then(|it| it.created_at)
        })
    };
    let speaker =
        owner.or_else(oldest).or_else(meant).or_else(eldest_dead).and_then(|index| unit(index, model));
    let Some(speaker) = speaker else {
        return Name {
            id: String::new(),
            name: String::new(),
            namespace: None,
            uid: None,
            origin: Origin::Unmanaged,
        };
    };
    Name {
        id: speaker.id.clone(),
        name: speaker.name.clone(),
        namespace: None,
        uid: speaker.cgroup_pod_uid.clone(),
        origin: speaker.origin,
    }
}

fn age<'m>(index: UnitId, model: &'m Model<'_>) -> Option<Age<'m>> {
    unit(index, model).map(Unit::age)
}

/// Says whether a pod hangs on a business container, and why we think so.
fn verdict(
    pod: &[UnitId],
    owned: &[Owned],
    judged: &[Judged],
    model: &Model<'_>,
    behaviours: &Behaviours<'_>,
) -> (Verdict, String) {
    if let Some(why) = pod.iter().find_map(|index| unit(*index, model)?.declared?.opaque.clone()) {
        return (Verdict::Unknown, format!("the host's namespaces say nothing about its processes: {why}"));
    }
    let shared: Vec<(&OwnerFound, Kind, &Judged)> = owned
        .iter()
        .zip(judged)
        .filter(|(namespace, _)| namespace.kind.makes_pod() && !namespace.target_only)
        .filter(|(namespace, _)| {
            namespace.members.len() > 1 || !namespace.owner.alive || namespace.owner.pinned
        })
        .map(|(namespace, judged)| (&namespace.owner, namespace.kind, judged))
        .collect();
    // What nobody living shares any more was still declared: the pod keeps the verdict of its dead owner.
    let meant: Vec<(OwnerFound, Kind, Judged)> =
        if shared.is_empty() { judged_by_declaration(pod, model, behaviours) } else { Vec::new() };
    let shared: Vec<(&OwnerFound, Kind, &Judged)> = if shared.is_empty() {
        meant.iter().map(|(owner, kind, judged)| (owner, *kind, judged)).collect()
    } else {
        shared
    };
    let kinds = |class: Class| -> String {
        let kinds: BTreeSet<&str> = shared
            .iter()
            .filter(|(.., judged)| judged.class == class)
            .map(|(_, kind, _)| kind.name())
            .collect();
        kinds.into_iter().collect::<Vec<_>>().join(", ")
    };
    let names = |class: Class| -> String {
        let names: BTreeSet<String> = shared
            .iter()
            .filter(|(.., judged)| judged.class == class)
            .map(|(owner, ..)| owner_name(owner, model))
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let any = |class: Class| shared.iter().any(|(.., judged)| judged.class == class);
    if any(Class::Application) {
        let (kinds, names) = (kinds(Class::Application), names(Class::Application));
        return (Verdict::ApplicationOwned, format!("{names}, an application, owns the shared {kinds}"));
    }
    if any(Class::Unknown) {
        let because: BTreeSet<&str> = shared
            .iter()
            .filter(|(.., judged)| judged.class == Class::Unknown)
            .map(|(owner, _, judged)| {
                if owner.unit.is_none() && owner.id.is_none() {
                    owner.why.as_str()
                } else {
                    judged.why.as_str()
                }
            })
            .collect();
        let because = because.into_iter().collect::<Vec<_>>().join("; ");
        return (
            Verdict::Unknown,
            format!("the owner of the shared {} is unclear: {because}", kinds(Class::Unknown)),
        );
    }
    if any(Class::RuntimePinned) {
        return (Verdict::RuntimePinned, "pins of its sandbox hold what it shares".to_owned());
    }
    if !shared.is_empty() {
        let (kinds, names) = (kinds(Class::Pause), names(Class::Pause));
        return (Verdict::PauseOwned, format!("{names}, which only pauses, owns the shared {kinds}"));
    }
    without_sharing(pod, model)
}

fn owner_name(owner: &OwnerFound, model: &Model<'_>) -> String {
    owner
        .unit
        .and_then(|index| unit(index, model))
        .map(|unit| unit.name.clone())
        .or_else(|| owner.id.as_deref().map(short))
        .unwrap_or_else(|| "someone unknown".to_owned())
}

/// The owners that the declarations lead to, where no living container shares anything (any more).
fn judged_by_declaration(
    pod: &[UnitId],
    model: &Model<'_>,
    behaviours: &Behaviours<'_>,
) -> Vec<(OwnerFound, Kind, Judged)> {
    let inside = |partner: &Partner| partner.unit.is_none_or(|unit| pod.contains(&unit));
    declared_owners(pod, model)
        .into_iter()
        .filter(|(_, partner)| inside(partner))
        .map(|(kind, partner)| {
            let alive = partner.unit.and_then(|index| unit(index, model)).is_some_and(Unit::is_living);
            let why = "a declaration leads to it".to_owned();
            let owner = OwnerFound {
                id: Some(partner.id),
                unit: partner.unit,
                alive,
                evidence: Evidence::Declared,
                why,
                pinned: false,
                seen: None,
            };
            let judged = class::judge(&owner, true, &model.units, behaviours, model.observation);
            (owner, kind, judged)
        })
        .collect()
}

/// The verdict of a pod that shares nothing of its own.
fn without_sharing(pod: &[UnitId], model: &Model<'_>) -> (Verdict, String) {
    let living: Vec<&Unit<'_>> =
        pod.iter().filter_map(|index| unit(*index, model)).filter(|unit| unit.is_living()).collect();
    let mut hosts: BTreeSet<&str> = BTreeSet::new();
    let mut unread: BTreeSet<&str> = BTreeSet::new();
    for kind in Kind::POD {
        for unit in &living {
            match unit.namespaces.get(kind) {
                Some(inode) => match model.observation.host.is_host(kind, inode) {
                    Some(true) => _ = hosts.insert(kind.name()),
                    Some(false) => {}
                    None => _ = unread.insert(kind.name()),
                },
                None => _ = unread.insert(kind.name()),
            }
        }
        let declared_host = |index: &UnitId| {
            unit(*index, model).is_some_and(|unit| !unit.is_living())
                && matches!(model.links.get(*index).and_then(|links| links.get(&kind)), Some(Link::Host))
        };
        if living.is_empty() && pod.iter().any(declared_host) {
            hosts.insert(kind.name());
        }
    }
    let list = |kinds: BTreeSet<&str>| kinds.into_iter().collect::<Vec<_>>().join(", ");
    if !unread.is_empty() {
        let why = format!("its {} namespaces, or the node's own, could not be read", list(unread));
        return (Verdict::Unknown, why);
    }
    if pod.is_empty() {
        return (Verdict::Unknown, "it has no container that anything knows of".to_owned());
    }
    if !hosts.is_empty() {
        return (Verdict::Host, format!("it shares the node's own {}, and nothing else", list(hosts)));
    }
    (Verdict::Isolated, "it shares no net, ipc, pid or uts namespace".to_owned())
}

/// What cannot be judged from this host, as gaps.
pub(super) fn opaque(units: &Units<'_>) -> Vec<Gap> {
    units
        .list
        .iter()
        .filter_map(|unit| {
            let why = unit.declared?.opaque.as_deref()?;
            let remedy = "look inside it with its runtime's own tools";
            Some(Gap::deciding(
                format!("the namespaces of container {}", unit.name),
                format!("{why}; {remedy}"),
            ))
        })
        .collect()
}

fn container(index: UnitId, infra: bool, model: &Model<'_>) -> Option<Container> {
    let unit = unit(index, model)?;
    let node = &model.observation.node;
    let declared = unit.declared;
    let started = match unit.init {
        Some(init) => node.wall_clock(init.start_boottime_ns),
        None => declared.and_then(|declared| declared.started_at),
    };
    Some(Container {
        id: unit.id.clone(),
        name: unit.name.clone(),
        runtime: unit.runtime,
        image: declared.and_then(|declared| declared.image.clone()),
        role: role(index, infra, model),
        identity: unit.identity,
        state: if unit.is_living() { State::Running } else { State::Exited },
        init_pid: unit.init.map_or(0, |init| init.pid),
        started_at: started.map(|time| time.to_string()),
        processes: if unit.is_living() { unit.processes.max(1) } else { 0 },
        cgroup: unit.cgroup.clone(),
        namespaces: unit.namespaces.iter().collect(),
        declared: model
            .links
            .get(index)
            .into_iter()
            .flatten()
            .map(|(kind, link)| (*kind, link.word()))
            .collect(),
        exit: exits::of(index, model).map(Box::new),
    })
}

fn role(index: UnitId, infra: bool, model: &Model<'_>) -> Role {
    if infra {
        return Role::Infra;
    }
    if let Some(Link::Target(_)) = model.links.get(index).and_then(|links| links.get(&Kind::Pid)) {
        return Role::Ephemeral;
    }
    match unit(index, model).and_then(|unit| unit.declared?.role) {
        Some(DeclaredRole::Init) => return Role::Init,
        Some(DeclaredRole::Ephemeral) => return Role::Ephemeral,
        Some(DeclaredRole::App) | None => {}
    }
    match unit(index, model).map(|unit| unit.declared.is_some()) {
        Some(true) => Role::App,
        _ => Role::Unknown,
    }
}

fn namespace(owned: &Owned, judged: &Judged, model: &Model<'_>) -> Namespace {
    let id = |index: &UnitId| unit(*index, model).map(|unit| unit.id.clone());
    let mut shared_by: Vec<String> = owned.members.iter().filter_map(id).collect();
    shared_by.shrink_to_fit();
    let owner_unit = owned.owner.unit.filter(|_| owned.owner.alive).and_then(|index| unit(index, model));
    Namespace {
        kind: owned.kind,
        inode: owned.inode,
        generation: 1,
        shared_by,
        owner: Owner {
            container: owned.owner.id.clone(),
            pid: owner_unit.and_then(|unit| unit.init).map_or(0, |init| init.pid),
            alive: owned.owner.alive,
            class: judged.class,
            evidence: owned.owner.evidence,
            class_evidence: judged.evidence,
            why: format!("{}; {}: {}", owned.owner.why, judged.class.name(), judged.why),
        },
        holders: model
            .index
            .pins
            .get(&(owned.kind, owned.inode))
            .into_iter()
            .flatten()
            .map(|pin| Holder { holder_type: HolderType::BindMount, path: Some(pin.path.clone()), pid: None })
            .collect(),
    }
}
