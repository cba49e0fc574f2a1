//! Where a containerd listens, and where it keeps what it knows and what runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::observation::Kind;
use crate::source::oci::bundle::{self, BundleFolder};
use crate::source::oci::file::HostFiles;
use crate::source::{Context, TaskScan};

/// The usual places.
struct Usual {
    socket: &'static str,
    root: &'static str,
    state: &'static str,
}

/// By itself, and inside k3s and RKE2, k0s and microk8s.
const USUAL: [Usual; 4] = [
    Usual {
        socket: "/run/containerd/containerd.sock",
        root: "/var/lib/containerd",
        state: "/run/containerd",
    },
    Usual {
        socket: "/run/k3s/containerd/containerd.sock",
        root: "/var/lib/rancher/k3s/agent/containerd",
        state: "/run/k3s/containerd",
    },
    Usual {
        socket: "/run/k0s/containerd.sock",
        root: "/var/lib/k0s/containerd",
        state: "/run/k0s/containerd",
    },
    Usual {
        socket: "/var/snap/microk8s/common/run/containerd.sock",
        root: "/var/snap/microk8s/common/var/lib/containerd",
        state: "/var/snap/microk8s/common/run/containerd",
    },
];

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it keeps what it knows.
    pub root: PathBuf,
    /// Where it usually listens, if it is one of the usual.
    pub socket: Option<&'static str>,
}

/// The usual sockets.
#[must_use]
pub fn sockets() -> [&'static str; 4] {
    USUAL.map(|usual| usual.socket)
}

/// The folders of bundles of the usual daemons.
#[must_use]
pub fn bundles(files: &HostFiles) -> BTreeSet<BundleFolder> {
    USUAL.iter().flat_map(|usual| bundle::of_state(files, Path::new(usual.state))).collect()
}

/// The daemons that are to be found: at the usual roots, and wherever a running one has its database open.
#[must_use]
pub fn find(context: &Context, scan: &TaskScan, files: &HostFiles) -> BTreeSet<Place> {
    let usual = USUAL.iter().map(|usual| Place { root: usual.root.into(), socket: Some(usual.socket) });
    let mut places: BTreeSet<Place> = usual.collect();
    for root in open_roots(context, scan) {
        let root = files.real_path(&root).unwrap_or(root);
        let is_usual = |place: &Place| {
            place.root == root || files.real_path(&place.root).is_some_and(|place| place == root)
        };
        if !places.iter().any(is_usual) {
            places.insert(Place { root, socket: None });
        }
    }
    places
}

/// The roots of the daemons that run: each keeps its database open.
fn open_roots(context: &Context, scan: &TaskScan) -> BTreeSet<PathBuf> {
    let host = bundle::host_mounts(scan);
    scan.tasks
        .iter()
        // A name proves nothing, but leads only to files of root's. Inside k3s and others it is a program of its own, too.
        .filter(|task| task.is_leader() && task.uid == Some(0) && &*task.comm == "containerd")
        // Elsewhere the path means another file.
        .filter(|task| host.is_some() && task.namespaces.get(Kind::Mnt) == host)
        .filter_map(|task| fs::read_dir(context.host(format!("/proc/{}/fd", task.pid))).ok())
        .flat_map(|folder| folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()))
        .filter_map(|file| super::metadata::root_of(&file))
        .collect()
}

/// A root that the user named, as seen here or as the host names it.
#[must_use]
pub fn named(context: &Context, folder: &Path) -> PathBuf {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let host = context.options.host_root.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
    absolute.strip_prefix(host).map_or_else(|_| folder.to_owned(), |below| Path::new("/").join(below))
}
