//! The folders in which runc, crun and runsc keep their containers, and what is in them.
//!
//! One folder is root's or one user's, and only that owner's files in it are read. It needs neither the tasks nor a
//! clock, so that [`super::collect()`] can give up on a folder that some user's file system keeps it waiting for.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::crun::CrunStatus;
use super::file::{Error, HostFiles};
use super::runc::RuncState;
use super::runsc::RunscState;
use super::spec::{Linux, Spec, SpecNamespace};
use crate::observation::{Gap, Runtime};
use crate::source::Context;
use crate::source::endpoints::Endpoints;

/// Where they keep them for root.
const ROOTS: [&str; 3] = ["/run/runc", "/run/crun", "/run/runsc"];
/// Where the folders of users lie, each named by its uid, and what is in one for a rootless runtime.
const USERS: &str = "/run/user";
const OF_USER: [&str; 3] = ["runc", "crun", "runsc"];
/// The most containers that one user is believed to have.
const MAX_OF_USER: usize = 4096;

/// A folder of containers.
#[derive(Clone, Debug)]
pub struct Root {
    /// The folder, as the host names it.
    pub path: PathBuf,
    /// Whose it is, where not root's.
    pub uid: Option<u32>,
    /// How to read it.
    files: HostFiles,
}

/// What is in a folder.
#[derive(Debug, Default)]
pub struct Contents {
    /// Its containers.
    pub containers: Vec<Found>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// A container, as its runtime wrote it down.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its id: any name that a folder can have.
    pub id: String,
    /// The pid of its init.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_ticks: Option<u64>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// The path of its cgroup from the hierarchy's root.
    pub cgroup: Option<String>,
    /// Whether it still waits to be started.
    pub waits: bool,
    /// The folder of its bundle, as the host names it.
    pub bundle: Option<PathBuf>,
    /// Its specification, with the namespaces that it was really made with. All that is known of it where its bundle is
    /// gone.
    pub spec: Spec,
    /// Why its namespaces on this host say nothing about its processes.
    pub opaque: Option<String>,
}

impl Root {
    fn new(context: &Context, path: PathBuf, uid: Option<u32>) -> Self {
        let files = HostFiles::owned_by(context.options.host_root.clone(), uid.unwrap_or(0));
        Self { path, uid, files }
    }

    /// Whether it is there; a folder that may not be looked for is taken to be.
    fn exists(&self) -> bool {
        !matches!(self.files.list(&self.path), Ok(None))
    }
}

/// The folders that the user named, else those at the usual places that are there.
#[must_use]
pub fn find(context: &Context, endpoints: &Endpoints) -> Vec<Root> {
    if endpoints.named {
        return endpoints.folders.iter().map(|folder| named(context, folder)).collect();
    }
    let own = ROOTS.iter().map(|path| Root::new(context, PathBuf::from(path), None));
    let users = HostFiles::new(context).list(Path::new(USERS)).ok().flatten().unwrap_or_default();
    let users = users.into_iter().filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let users = users.flat_map(|uid| {
        let folder = Path::new(USERS).join(uid.to_string());
        OF_USER.map(|name| Root::new(context, folder.join(name), Some(uid).filter(|uid| *uid != 0)))
    });
    own.chain(users).filter(Root::exists).collect()
}

/// A folder that the user named, as seen here or as the host names it. Its owner's files are believed: for that owner.
fn named(context: &Context, folder: &Path) -> Root {
    use std::os::unix::fs::MetadataExt as _;
    let uid = folder.metadata().ok().map(|data| data.uid()).filter(|uid| *uid != 0);
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let host = context.options.host_root.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
    let path =
        absolute.strip_prefix(host).map_or_else(|_| folder.to_owned(), |below| Path::new("/").join(below));
    Root::new(context, path, uid)
}

/// Reads a folder.
#[must_use]
pub fn read(root: &Root) -> Contents {
    let mut contents = Contents::default();
    let names = match root.files.list(&root.path) {
        Ok(names) => names.unwrap_or_default(),
        Err(error) => {
            let what = format!("the containers of {}", root.path.display());
            contents.gaps.push(Gap::deciding(what, error.to_string()));
            return contents;
        }
    };
    if root.uid.is_some() && names.len() > MAX_OF_USER {
        let why = format!(
            "it has more than {MAX_OF_USER} entries, more than a user is believed to have; the rest is left out"
        );
        contents.gaps.push(Gap::deciding(format!("the containers of {}", root.path.display()), why));
    }
    for name in names.into_iter().take(if root.uid.is_some() { MAX_OF_USER } else { usize::MAX }) {
        // A hidden one is no container: crun's own empty folder, a file that is being written.
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        match root.container(name) {
            Ok(Some((found, lacking))) => {
                contents.gaps.extend(lacking);
                contents.containers.push(found);
            }
            Ok(None) => {}
            Err(why) => {
                let what = format!("container {name}, by {}", root.path.display());
                contents.gaps.push(Gap::deciding(what, why));
            }
        }
    }
    contents
}

impl Root {
    /// What a name in the folder stands for; `None` where it is no container, or not one yet.
    fn container(&self, name: &str) -> Result<Option<(Found, Option<Gap>)>, String> {
        let text = |error: Error| error.to_string();
        let folder = self.path.join(name);
        if let Some((id, _)) = name.strip_suffix(".state").and_then(|name| name.split_once("_sandbox:")) {
            return self.runsc(id, &folder).map_err(text);
        }
        let Some(files) = self.files.list(&folder).map_err(text)? else { return Ok(None) };
        let has = |name: &str| files.iter().any(|file| file == name);
        let found = if has("state.json") {
            self.runc(name, &folder)?
        } else if has("status") {
            self.crun(name, &folder).map_err(text)?
        } else {
            None
        };
        Ok(found.map(|(found, lacking)| (Found { waits: has("exec.fifo"), ..found }, lacking)))
    }

    fn runc(&self, name: &str, folder: &Path) -> Result<Option<(Found, Option<Gap>)>, String> {
        let path = folder.join("state.json");
        let state: Option<RuncState> = self.files.json(&path).map_err(|error| error.to_string())?;
        let Some(state) = state else { return Ok(None) };
        if state.id != name {
            return Err(format!("{} is about another container", path.display()));
        }
        let bundle = state.config.bundle();
        let (spec, lacking) = self.of_bundle(name, bundle.as_deref());
        let mut spec = spec.unwrap_or_default();
        // runc's own word stands: the bundle's may have been changed since.
        spec.annotations = state.config.annotations();
        if let Some(namespaces) = state.config.namespaces() {
            spec.linux = Some(with_namespaces(spec.linux, namespaces));
        }
        let found = Found {
            id: state.id.clone(),
            pid: state.init_process_pid,
            start_ticks: Some(state.init_process_start),
            created_at: state.created,
            cgroup: state.cgroup(),
            bundle,
            spec,
            ..Found::default()
        };
        Ok(Some((found, lacking)))
    }

    fn crun(&self, name: &str, folder: &Path) -> Result<Option<(Found, Option<Gap>)>, Error> {
        let Some(status) = self.files.json::<CrunStatus>(&folder.join("status"))? else { return Ok(None) };
        let bundle = Some(status.bundle).filter(|path| path.is_absolute());
        // Its own copy of the specification stands: the bundle's may have been changed since.
        let (spec, lacking) = match self.files.json::<Spec>(&folder.join("config.json"))? {
            Some(spec) => (Some(spec), None),
            None => self.of_bundle(name, bundle.as_deref()),
        };
        let found = Found {
            id: name.to_owned(),
            pid: status.pid,
            start_ticks: Some(status.process_start_time).filter(|ticks| *ticks != 0),
            created_at: status.created,
            cgroup: Some(status.cgroup_path).filter(|path| path.starts_with('/')),
            bundle,
            spec: spec.unwrap_or_default(),
            ..Found::default()
        };
        Ok(Some((found, lacking)))
    }

    fn runsc(&self, id: &str, path: &Path) -> Result<Option<(Found, Option<Gap>)>, Error> {
        let state = self.files.json::<RunscState>(path)?.filter(|state| state.id == id);
        let found = state.map(|state| Found {
            id: state.id,
            pid: state.sandbox.unwrap_or_default().pid,
            created_at: state.created_at,
            bundle: Some(state.bundle_dir).filter(|path| path.is_absolute()),
            opaque: crate::source::cri::opaque("runsc"),
            spec: state.spec,
            ..Found::default()
        });
        Ok(found.map(|found| (found, None)))
    }

    /// The specification in a bundle, and what is missing without it.
    fn of_bundle(&self, id: &str, bundle: Option<&Path>) -> (Option<Spec>, Option<Gap>) {
        let Some(bundle) = bundle else { return (None, None) };
        match self.files.json(&bundle.join("config.json")) {
            Ok(spec) => (spec, None),
            Err(error) => {
                let what = format!("the command and volumes of container {id}");
                (None, Some(Gap::detail(what, error.to_string())))
            }
        }
    }
}

fn with_namespaces(linux: Option<Linux>, namespaces: Vec<SpecNamespace>) -> Linux {
    Linux { namespaces, ..linux.unwrap_or_default() }
}

impl Found {
    /// Whose it is, where a daemon marked it as its own: Podman and CRI-O run theirs in the same folders.
    #[must_use]
    pub fn manager(&self) -> Option<Runtime> {
        match self.spec.annotations.get("io.container.manager").map(String::as_str) {
            Some("cri-o") => Some(Runtime::CriO),
            Some("libpod") => Some(Runtime::Podman),
            _ if self.spec.annotations.keys().any(|name| name.starts_with("io.kubernetes.cri.")) => {
                Some(Runtime::Containerd)
            }
            _ => None,
        }
    }
}
