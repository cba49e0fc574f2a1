//! Namespaces that no process is in and that no runtime claims.

use std::collections::HashSet;

use crate::observation::{Declaration, Kind};
use crate::state::Model;
use crate::state::namespaces::Namespaces;
use crate::view::HolderType;

/// A namespace that only a bind mount, a descriptor or nothing visible keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// What keeps it, in words.
    pub held_by: Vec<String>,
    /// Where it is mounted, or which process has it open: what stays the same from look to look.
    pub place: Option<String>,
}

/// Where a runtime keeps namespaces that are its own business (Docker's load balancers have no process).
const RUNTIMES_OWN: [&str; 2] = ["/run/docker/netns/", "/var/run/docker/netns/"];

pub(super) fn find(model: &Model<'_>) -> Vec<Orphan> {
    let observation = model.observation;
    let claimed: HashSet<(Kind, u32)> = observation
        .containers
        .iter()
        .flat_map(|container| &container.declared)
        .filter_map(|(kind, declaration)| match declaration {
            Declaration::Path { inode, .. } => Some((*kind, (*inode)?)),
            _ => None,
        })
        .chain(
            observation
                .pods
                .iter()
                .flat_map(|pod| &pod.namespaces)
                .filter_map(|namespace| Some((namespace.kind, namespace.inode?))),
        )
        .collect();
    let of_pods: HashSet<(Kind, u32)> =
        model.pods.iter().flat_map(|pod| &pod.owned).map(|it| (it.kind, it.inode)).collect();
    let is_nobodys = |kind: Kind, inode: u32| {
        observation.host.is_host(kind, inode) == Some(false)
            && !of_pods.contains(&(kind, inode))
            && !claimed.contains(&(kind, inode))
    };
    // On most nodes nothing that is nobody's is kept, and so there is nothing to look for.
    let pins = observation.pins.iter().map(|pin| (pin.kind, pin.inode));
    let handles = observation.handles.iter().map(|handle| (handle.kind, handle.inode));
    if !pins.chain(handles).any(|(kind, inode)| is_nobodys(kind, inode)) {
        return Vec::new();
    }
    let all = Namespaces::without_members(observation);
    all.iter()
        .filter(|it| it.processes() == 0 && it.threads() == 0 && it.for_children().is_empty())
        .filter(|it| is_nobodys(it.kind(), it.inode()))
        .filter_map(|it| {
            let holders = it.holders();
            let only = |of: &[HolderType]| holders.iter().all(|holder| of.contains(&holder.holder_type));
            let own = |path: &str| RUNTIMES_OWN.iter().any(|folder| path.starts_with(folder));
            let paths = || holders.iter().filter_map(|holder| holder.path.as_deref());
            if !only(&[HolderType::BindMount, HolderType::Fd]) || paths().any(own) {
                return None;
            }
            let held_by = holders
                .iter()
                .map(|holder| {
                    let path = holder.path.as_deref().unwrap_or("?");
                    match holder.pid {
                        Some(pid) => format!("{path} of process {pid}"),
                        None => format!("the bind mount {path}"),
                    }
                })
                .collect();
            let mount = holders.iter().find(|holder| holder.holder_type == HolderType::BindMount);
            let place = mount.and_then(|holder| holder.path.as_deref()).map(str::to_owned);
            Some(Orphan { kind: it.kind(), inode: it.inode(), held_by, place })
        })
        .collect()
}
