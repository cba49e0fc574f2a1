//! Docker's own files: what its daemon would say, read without it. Also what only the disk has, the cgroup and the
//! start time of a container's init, for the API's answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::declared::Daemon;
use super::record::{HostConfig, Record};
use crate::observation::Gap;
use crate::source::oci::bundle::{self, BundleFolder};
use crate::source::oci::file::{Error, HostFiles};
use crate::source::oci::process::Processes;
use crate::source::oci::runc::RuncState;
use crate::source::oci::spec::Spec;
use crate::source::{Context, TaskScan};
use crate::state::cgroup;

/// Where dockerd keeps its containers unless told otherwise.
const DATA_ROOT: &str = "/var/lib/docker";
/// Where it is told otherwise.
const DAEMON_JSON: &str = "/etc/docker/daemon.json";
/// runc's root below dockerd's own folder of running things.
const RUNC_ROOT: &str = "/run/docker/runtime-runc";
/// The bundles of a containerd of the system's, and of one that dockerd starts itself.
const BUNDLES: [&str; 2] = [
    "/run/containerd/io.containerd.runtime.v2.task/moby",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby",
];

/// Docker's files of this host.
pub struct Disk<'a> {
    context: &'a Context,
    scan: &'a TaskScan,
    files: HostFiles,
    bundles: BTreeSet<BundleFolder>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DaemonJson {
    #[serde(rename = "data-root", alias = "graph")]
    data_root: Option<String>,
}

impl<'a> Disk<'a> {
    /// Finds the bundles of this host.
    #[must_use]
    pub fn new(context: &'a Context, scan: &'a TaskScan, files: HostFiles) -> Self {
        let mut bundles = bundle::of_running(context, scan);
        bundles.extend(BUNDLES.map(|path| BundleFolder { path: PathBuf::from(path) }));
        // The kubelet's containers are containerd's own.
        bundles.retain(|folder| folder.namespace() != "k8s.io");
        Self { context, scan, files, bundles }
    }

    /// The data roots where a daemon of the system's has them, if they are there.
    pub fn default_roots(&self, gaps: &mut Vec<Gap>) -> BTreeSet<PathBuf> {
        let told = self.files.json::<DaemonJson>(Path::new(DAEMON_JSON)).unwrap_or_else(|error| {
            gaps.push(Gap::deciding("Docker's data root", error.to_string()));
            None
        });
        let root = told.and_then(|told| told.data_root).unwrap_or_else(|| DATA_ROOT.to_owned());
        let root = PathBuf::from(root);
        // With `userns-remap`, a folder in it that is named by the ids of the remapped root. What may not be read
        // is said when the root itself is.
        let inner = self.files.list(&root).unwrap_or_default();
        let remapped =
            inner.into_iter().flatten().map(|name| root.join(name)).filter(|path| is_remapped(path));
        let mut roots: BTreeSet<PathBuf> = remapped.collect();
        roots.insert(root);
        roots.retain(|root| !matches!(self.files.list(&root.join("containers")), Ok(None)));
        roots.into_iter().map(|root| self.real_path(root)).collect()
    }

    /// The data roots of the daemons whose containers run: their specifications mount files from there.
    pub fn roots_of_running(&self, gaps: &mut Vec<Gap>) -> BTreeSet<PathBuf> {
        let mut roots = BTreeSet::<PathBuf>::new();
        for folder in &self.bundles {
            let ids = match self.files.list(&folder.path) {
                Ok(ids) => ids,
                // Where no container told of it, it need not even exist: its parent may not be looked into.
                Err(Error::Denied(_)) if BUNDLES.iter().any(|path| folder.path == Path::new(path)) => None,
                Err(error) => {
                    gaps.push(Gap::detail("Docker's bundles", error.to_string()));
                    None
                }
            };
            for id in ids.into_iter().flatten().filter_map(|id| id.into_string().ok()) {
                if !cgroup::is_id(&id) || roots.iter().any(|root| self.has(root, &id)) {
                    continue;
                }
                match folder.spec(&self.files, &id) {
                    Ok(Some(spec)) => roots.extend(data_root(&spec).filter(|root| self.has(root, &id))),
                    Ok(None) => {}
                    Err(error) => gaps.push(Gap::deciding(format!("container {id}"), error.to_string())),
                }
            }
        }
        roots
    }

    /// A data root without symbolic links, as dockerd itself and its specifications name it.
    pub fn real_path(&self, root: PathBuf) -> PathBuf {
        self.files.real_path(&root).unwrap_or(root)
    }

    fn has(&self, root: &Path, id: &str) -> bool {
        matches!(self.files.list(&root.join("containers").join(id)), Ok(Some(_)))
    }

    /// Every container of a data root, each as its daemon last wrote it, corrected by what runs; `None` where it has
    /// no folder of containers.
    ///
    /// # Errors
    /// When that folder may not be read. What is wrong with single containers goes into `gaps`.
    pub fn records(&self, root: &Path, gaps: &mut Vec<Gap>) -> Result<Option<Vec<Record>>, Error> {
        let Some(names) = self.files.list(&root.join("containers"))? else { return Ok(None) };
        let ids = names.into_iter().filter_map(|id| id.into_string().ok()).filter(|id| cgroup::is_id(id));
        let records = ids.filter_map(|id| {
            self.record(root, &id).unwrap_or_else(|why| {
                gaps.push(Gap::deciding(format!("container {id}"), why));
                None
            })
        });
        Ok(Some(records.collect()))
    }

    /// One container of a data root; `None` when it was never finished or is gone.
    ///
    /// # Errors
    /// A sentence that names the file, when it is there and cannot be read or believed.
    pub fn record(&self, root: &Path, id: &str) -> Result<Option<Record>, String> {
        let folder = root.join("containers").join(id);
        let record = self.files.json::<Record>(&folder.join("config.v2.json"));
        let Some(mut record) = record.map_err(|error| error.to_string())? else { return Ok(None) };
        if record.id != id {
            return Err(format!("{} is about another container", folder.join("config.v2.json").display()));
        }
        let host_config = self.files.json::<HostConfig>(&folder.join("hostconfig.json"));
        let Some(host_config) = host_config.map_err(|error| error.to_string())? else {
            return Err(format!("there is no {}", folder.join("hostconfig.json").display()));
        };
        record.host_config = host_config;
        self.correct(&mut record);
        Ok(Some(record))
    }

    /// Corrects the state of a container that its daemon did not live to write: what runs is known by the init's
    /// pid *and* start time or cgroup, never by the pid alone.
    fn correct(&self, record: &mut Record) {
        // What is unreadable there is said when the container is completed.
        let runc = self.runc_state(&record.id, &mut Vec::new());
        let state = &mut record.state;
        let living = match &runc {
            Some(runc) => self
                .processes()
                .lives(runc.init_process_pid, Some(runc.init_process_start))
                .then_some(runc.init_process_pid),
            None => (state.running && self.is_in_cgroup_of(state.pid, &record.id)).then_some(state.pid),
        };
        if let Some(pid) = living {
            (state.running, state.restarting, state.pid) = (true, false, pid);
        } else if state.running && !state.restarting {
            // The daemon was gone before it exited: nobody wrote down how and when.
            (state.running, state.pid, state.exit_code, state.finished_at) = (false, 0, None, None);
        }
    }

    /// runc's state of a container that runs.
    pub fn runc_state(&self, id: &str, gaps: &mut Vec<Gap>) -> Option<RuncState> {
        self.in_bundles(id, gaps, |folder| folder.runc_state(&self.files, id, RUNC_ROOT))
    }

    /// The specification of a container that runs.
    pub fn spec(&self, id: &str, gaps: &mut Vec<Gap>) -> Option<Spec> {
        self.in_bundles(id, gaps, |folder| folder.spec(&self.files, id))
    }

    fn in_bundles<T>(
        &self,
        id: &str,
        gaps: &mut Vec<Gap>,
        read: impl Fn(&BundleFolder) -> Result<Option<T>, Error>,
    ) -> Option<T> {
        self.bundles.iter().find_map(|folder| {
            read(folder).unwrap_or_else(|error| {
                // The kernel's own path of the cgroup stands in for it.
                gaps.push(Gap::detail(format!("the cgroup and start of container {id}"), error.to_string()));
                None
            })
        })
    }

    fn is_in_cgroup_of(&self, pid: u32, id: &str) -> bool {
        self.processes().cgroup(pid).is_some_and(|path| cgroup::parse_all(path).any(|name| name.id == id))
    }

    /// The processes of this host.
    pub const fn processes(&self) -> Processes<'a> {
        Processes::new(self.context, self.scan)
    }

    /// What a daemon with this data root is like.
    #[must_use]
    pub fn daemon(root: &Path) -> Daemon {
        Daemon { root: root.to_string_lossy().into_owned(), remaps_users: is_remapped(root) }
    }
}

/// Whether a data root is one of `userns-remap`: named `<uid>.<gid>`.
fn is_remapped(root: &Path) -> bool {
    let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('.').is_some_and(|(uid, gid)| number(uid) && number(gid))
}

/// The data root that a specification's mounts of Docker's own files lie in.
fn data_root(spec: &Spec) -> Option<PathBuf> {
    spec.mounts.iter().filter(|mount| mount.is_bind()).find_map(|mount| {
        let file = match mount.destination.as_str() {
            "/etc/hostname" => "hostname",
            "/etc/hosts" => "hosts",
            "/etc/resolv.conf" => "resolv.conf",
            "/dev/shm" => "mounts/shm",
            _ => return None,
        };
        let folder = Path::new(mount.source.strip_suffix(file)?.strip_suffix('/')?);
        let is_container = cgroup::is_id(folder.file_name()?.to_str()?);
        let containers = folder.parent().filter(|path| is_container && path.ends_with("containers"))?;
        containers.parent().filter(|root| root.is_absolute()).map(Path::to_owned)
    })
}
