//! containerd's folders of bundles, wherever a daemon's own root may be: a shim's working folder is the bundle of
//! the container that it was started for, and the bundles beside it are of the same daemon.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file::{Error, HostFiles};
use super::runc::RuncState;
use super::spec::Spec;
use crate::observation::{Kind, Task};
use crate::source::{Context, TaskScan};
use crate::state::cgroup;

/// What containerd calls the folder of its running tasks, below its state folder.
const TASKS: [&str; 2] = ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];

/// The bundles of one containerd namespace of one daemon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFolder {
    /// The folder, as the host names it: each bundle in it is named by its container's id.
    pub path: PathBuf,
}

/// What a shim was told about the runtime: `options.json` in the bundle.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ShimOptions {
    root: String,
}

impl BundleFolder {
    /// Reads a bundle's folder of bundles out of the bundle's path.
    fn of_bundle(bundle: &Path) -> Option<Self> {
        let path = bundle.parent()?;
        let tasks = path.parent()?.file_name()?.to_str()?;
        (TASKS.contains(&tasks) && path.is_absolute()).then(|| Self { path: path.to_owned() })
    }

    /// The containerd namespace: Docker's is `moby`, Kubernetes' `k8s.io`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The specification of a container, if it has a bundle here.
    ///
    /// # Errors
    /// When it has one that is not to be read or believed.
    pub fn spec(&self, files: &HostFiles, id: &str) -> Result<Option<Spec>, Error> {
        files.json(&self.path.join(id).join("config.json"))
    }

    /// runc's state of a container with a bundle here; `default_root` is runc's root where the bundle names none.
    ///
    /// # Errors
    /// When it has one that is not to be read or believed.
    pub fn runc_state(
        &self,
        files: &HostFiles,
        id: &str,
        default_root: &str,
    ) -> Result<Option<RuncState>, Error> {
        let state: Option<RuncState> =
            files.json(&self.runc_folder(files, id, default_root)?.join("state.json"))?;
        Ok(state.filter(|state| state.id == id))
    }

    /// Whether runc still waits to be told to start a container: it opens a FIFO for that.
    #[must_use]
    pub fn runc_waits(&self, files: &HostFiles, id: &str, default_root: &str) -> bool {
        let folder = self.runc_folder(files, id, default_root);
        folder.is_ok_and(|folder| files.modified(&folder.join("exec.fifo")).is_some())
    }

    fn runc_folder(&self, files: &HostFiles, id: &str, default_root: &str) -> Result<PathBuf, Error> {
        let options: ShimOptions = files.json(&self.path.join(id).join("options.json"))?.unwrap_or_default();
        let root = if options.root.is_empty() { default_root } else { &options.root };
        Ok(Path::new(root).join(self.namespace()).join(id))
    }
}

/// The folders of bundles of the daemon with this state folder, one for each of its namespaces.
#[must_use]
pub fn of_state(files: &HostFiles, state: &Path) -> BTreeSet<BundleFolder> {
    let tasks = TASKS.iter().map(|name| state.join(name));
    let folders = tasks.flat_map(|tasks| {
        let names = files.list(&tasks).ok().flatten().unwrap_or_default();
        names.into_iter().map(move |name| BundleFolder { path: tasks.join(name) })
    });
    folders.collect()
}

/// The folders of bundles that the shims of the running containers work in.
#[must_use]
pub fn of_running(context: &Context, scan: &TaskScan) -> BTreeSet<BundleFolder> {
    let host = host_mounts(scan);
    shims(scan)
        .into_iter()
        // Only root's, and only in the host's mount namespace: elsewhere the path means another file.
        .filter(|shim| shim.uid == Some(0) && shim.namespaces.get(Kind::Mnt).is_some())
        .filter(|shim| shim.namespaces.get(Kind::Mnt) == host)
        .filter_map(|shim| fs::read_link(context.host(format!("/proc/{}/cwd", shim.pid))).ok())
        .filter_map(|bundle| BundleFolder::of_bundle(&bundle))
        .collect()
}

/// The mount namespace that the host's paths are meant in: kthreadd's, else PID 1's.
#[must_use]
pub fn host_mounts(scan: &TaskScan) -> Option<u32> {
    let task = |pid| scan.tasks.iter().find(|task: &&Task| task.pid == pid);
    task(2)
        .filter(|task| task.kernel_thread)
        .or_else(|| task(1))
        .and_then(|task| task.namespaces.get(Kind::Mnt))
}

/// The parents of containers' first processes: those that are not in the container themselves. And what is named so.
fn shims(scan: &TaskScan) -> Vec<&Task> {
    let containers: Vec<_> = scan
        .tasks
        .iter()
        .filter(|task| task.is_leader())
        .filter_map(|task| Some((task, cgroup::parse(task.cgroup.as_deref()?)?)))
        .collect();
    let parents: BTreeSet<u32> = containers
        .iter()
        .filter(|(task, name)| {
            let parent = containers.binary_search_by_key(&task.parent, |(task, _)| task.pid);
            parent.map_or(true, |at| containers[at].1.prefix != name.prefix)
        })
        .map(|(task, _)| task.parent)
        .collect();
    // A name proves nothing, but leads only to files of root's. It finds those whose containers have ended, or are in
    // cgroups that name none.
    let is_shim = |task: &&Task| parents.contains(&task.pid) || &*task.comm == "containerd-shim";
    scan.tasks.iter().filter(|task| task.is_leader()).filter(is_shim).collect()
}
