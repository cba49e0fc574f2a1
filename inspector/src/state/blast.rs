//! What dies with a process: the blast radius. By the kernel's rules, and by what runtimes do when a container's init
//! is gone.
//!
//! * When the init of a PID namespace dies, the kernel kills every process in it and below it
//!   (`zap_pid_ns_processes`, kernel/pid_namespace.c).
//! * When a container's init dies, its runtime ends what is left of the container; runc without a daemon does not.
//! * A namespace lives while anything refers to it. One whose owner is dead is orphaned as long as it does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::observation::{Kind, Observation, Runtime, Task};
use crate::state::Model;
use crate::state::namespaces::Namespaces;
use crate::state::units::UnitId;
use crate::view::HolderType;

/// What a death brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// Who dies with it, in the order of pids; the first victims themselves left out.
    pub killed: Vec<Killed>,
    /// Namespaces that outlive their owner.
    pub orphaned: Vec<Orphaned>,
    /// Namespaces that nothing keeps any more.
    pub destroyed: Vec<(Kind, u32)>,
}

/// A process that dies with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Its pid.
    pub pid: u32,
    /// The kernel's name for it.
    pub comm: String,
    /// The container that it is of.
    pub container: Option<String>,
    /// Who does it, and why.
    pub by: &'static str,
}

/// A namespace that outlives its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphaned {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// The containers that stay in it.
    pub members: Vec<String>,
    /// What keeps it.
    pub kept_by: String,
}

/// The kernel, for the init of their PID namespace is dead.
pub const BY_KERNEL: &str = "kernel: init of pid namespace";
/// The runtime, for the container's init is dead.
pub const BY_RUNTIME: &str = "runtime: init of container";

/// What happens when these processes die.
#[must_use]
pub fn death(observation: &Observation, first: &[u32]) -> Death {
    let model = Model::of(observation);
    let leaders: HashMap<u32, &Task> = observation
        .tasks
        .iter()
        .filter(|task| task.is_leader() && !task.is_dead())
        .map(|task| (task.pid, task))
        .collect();
    let dead = dead(&model, &leaders, first);
    let container = |pid: u32| {
        let unit = model.units.of_task.get(&pid)?;
        Some(model.units.list.get(*unit)?.id.clone())
    };
    let killed = dead
        .iter()
        .filter(|(pid, _)| !first.contains(pid))
        .filter_map(|(pid, by)| {
            let comm = leaders.get(pid)?.comm.to_string();
            Some(Killed { pid: *pid, comm, container: container(*pid), by })
        })
        .collect();
    let mut death = Death { killed, ..Death::default() };
    after(&model, &dead, &mut death);
    death
}

/// Everyone who dies, with who does it.
fn dead(model: &Model<'_>, leaders: &HashMap<u32, &Task>, first: &[u32]) -> BTreeMap<u32, &'static str> {
    let inits: HashMap<u32, UnitId> = model
        .units
        .list
        .iter()
        .enumerate()
        .filter_map(|(index, unit)| Some((unit.init?.pid, index)))
        .collect();
    let above = above(model, leaders);
    let mut dead: BTreeMap<u32, &'static str> = BTreeMap::new();
    let mut dying: Vec<(u32, &'static str)> = first.iter().map(|pid| (*pid, "")).collect();
    while let Some((pid, by)) = dying.pop() {
        let Some(task) = leaders.get(&pid) else { continue };
        match dead.get_mut(&pid) {
            // What the kernel does comes before what the runtime would have done.
            Some(known) => {
                if by == BY_KERNEL && *known == BY_RUNTIME {
                    *known = by;
                }
                continue;
            }
            None => dead.insert(pid, by),
        };
        if task.pid_namespace_init
            && let Some(inode) = task.namespaces.get(Kind::Pid)
        {
            let inside = |other: &&Task| {
                let own = other.namespaces.get(Kind::Pid);
                let chain = std::iter::successors(own, |at| above.get(at).copied()).take(33);
                chain.into_iter().any(|at| at == inode)
            };
            dying.extend(leaders.values().copied().filter(inside).map(|other| (other.pid, BY_KERNEL)));
        }
        let unit = inits.get(&pid).and_then(|unit| model.units.list.get(*unit));
        if let Some(unit) = unit.filter(|unit| unit.runtime.is_some_and(|runtime| runtime != Runtime::Oci)) {
            dying.extend(unit.tasks.iter().map(|task| (task.pid, BY_RUNTIME)));
        }
    }
    dead
}

/// The PID namespace above each: by the kernel's word, else where its init's parent is.
fn above(model: &Model<'_>, leaders: &HashMap<u32, &Task>) -> HashMap<u32, u32> {
    let facts = model.observation.namespaces.iter().filter(|fact| fact.kind == Kind::Pid);
    let mut above: HashMap<u32, u32> = facts.filter_map(|fact| Some((fact.inode, fact.parent?))).collect();
    for task in leaders.values().filter(|task| task.pid_namespace_init) {
        let own = task.namespaces.get(Kind::Pid);
        let parent = leaders.get(&task.parent).and_then(|parent| parent.namespaces.get(Kind::Pid));
        if let (Some(own), Some(parent)) = (own, parent)
            && own != parent
        {
            above.entry(own).or_insert(parent);
        }
    }
    above
}

/// What becomes of the namespaces that the dead were in.
fn after(model: &Model<'_>, dead: &BTreeMap<u32, &'static str>, death: &mut Death) {
    let observation = model.observation;
    let mut left: BTreeSet<(Kind, u32)> = BTreeSet::new();
    let mut kept: BTreeSet<(Kind, u32)> = BTreeSet::new();
    for task in observation.tasks.iter().filter(|task| !task.is_dead()) {
        let of: &mut BTreeSet<(Kind, u32)> =
            if dead.contains_key(&task.tgid) { &mut left } else { &mut kept };
        of.extend(task.namespaces.iter());
        if !dead.contains_key(&task.tgid) {
            // Not so for `pid_for_children`: into a PID namespace whose init is dead nobody is born.
            kept.extend(task.time_for_children.map(|inode| (Kind::Time, inode)));
        }
    }
    left.retain(|(kind, inode)| observation.host.is_host(*kind, *inode) == Some(false));
    let all = Namespaces::of(observation);
    let owner_dies = |kind: Kind, inode: u32| {
        let parts = model.pods.iter().flat_map(|parts| &parts.owned);
        let owner = parts.into_iter().find(|it| (it.kind, it.inode) == (kind, inode)).map(|it| &it.owner);
        owner.is_some_and(|owner| {
            let init = owner.unit.and_then(|unit| model.units.list.get(unit)?.init);
            owner.alive && init.is_some_and(|init| dead.contains_key(&init.pid))
        })
    };
    let mut later: Vec<(Kind, u32)> = Vec::new();
    for (kind, inode) in left {
        if kept.contains(&(kind, inode)) {
            if owner_dies(kind, inode) {
                let members = members(model, dead, kind, inode);
                let kept_by =
                    if members.is_empty() { "processes that stay in it" } else { "those who stay in it" };
                death.orphaned.push(Orphaned { kind, inode, members, kept_by: kept_by.to_owned() });
            }
            continue;
        }
        later.push((kind, inode));
    }
    // User namespaces last: what they own decides.
    later.sort_by_key(|(kind, inode)| (*kind == Kind::User, *kind, *inode));
    let mut gone: BTreeSet<(Kind, u32)> = BTreeSet::new();
    for (kind, inode) in later {
        match keeper(&all, dead, &kept, &gone, kind, inode) {
            // Without its init no process can be in a PID namespace again.
            Some(kept_by) if kind != Kind::Pid => {
                death.orphaned.push(Orphaned { kind, inode, members: Vec::new(), kept_by });
            }
            _ => {
                gone.insert((kind, inode));
                death.destroyed.push((kind, inode));
            }
        }
    }
    death.orphaned.sort_by_key(|it| (it.kind, it.inode));
    death.destroyed.sort_unstable();
}

/// The living containers that stay in a namespace.
fn members(model: &Model<'_>, dead: &BTreeMap<u32, &'static str>, kind: Kind, inode: u32) -> Vec<String> {
    let units = model.index.members(kind, inode).iter().filter_map(|unit| model.units.list.get(*unit));
    let living = units.filter(|unit| unit.init.is_some_and(|init| !dead.contains_key(&init.pid)));
    living.map(|unit| unit.id.clone()).collect()
}

/// Where runtimes mount a container's network for as long as the container runs: Docker's, and root's and users' Podman's.
const WHILE_IT_RUNS: [&str; 2] = ["/run/docker/netns/", "/netns/netns-"];

/// What keeps a namespace that no process is in any more.
fn keeper(
    all: &Namespaces<'_>,
    dead: &BTreeMap<u32, &'static str>,
    kept: &BTreeSet<(Kind, u32)>,
    gone: &BTreeSet<(Kind, u32)>,
    kind: Kind,
    inode: u32,
) -> Option<String> {
    let namespace = all.get(all.position(kind, inode)?)?;
    let holders = namespace.holders();
    let by_holder = holders.iter().find_map(|holder| {
        let path = holder.path.as_deref().unwrap_or_default();
        match holder.holder_type {
            HolderType::BindMount => {
                let runtimes = WHILE_IT_RUNS.iter().any(|folder| path.contains(folder));
                (!runtimes).then(|| format!("bind mount {path}"))
            }
            HolderType::ChildNamespace => None,
            _ => {
                let pid = holder.pid.filter(|pid| !dead.contains_key(pid))?;
                Some(format!("{path} of process {pid}"))
            }
        }
    });
    by_holder.or_else(|| {
        if kind != Kind::User {
            return None;
        }
        // A user namespace lives as long as one that it owns, or that is below it.
        let below = all.iter().find(|other| {
            let key = (other.kind(), other.inode());
            other.owner_user_namespace() == Some(inode)
                && key != (kind, inode)
                && !gone.contains(&key)
                && (kept.contains(&key) || other.processes() == 0)
        });
        below.map(|other| format!("{} namespace {}, which it owns", other.kind(), other.inode()))
    })
}
