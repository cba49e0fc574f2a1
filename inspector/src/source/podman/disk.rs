//! Podman's storage roots on this host, and what the low-level runtimes and the kernel know of its containers: who
//! lives, since when, in which cgroup.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::database::{self, State};
use super::record::Record;
use crate::observation::{DeclaredContainer, Gap, Runtime, RuntimeState};
use crate::source::endpoints::Endpoints;
use crate::source::oci::file::HostFiles;
use crate::source::oci::process::Processes;
use crate::source::oci::roots::{self, Found, Root};
use crate::source::oci::spec::cgroup_of;
use crate::source::{Context, TaskScan};
use crate::state::cgroup;

/// Where root's Podman keeps its containers unless told otherwise.
const STORAGE_ROOT: &str = "/var/lib/containers/storage";
/// Where it is told otherwise; the first that is there counts.
const STORAGE_CONF: [&str; 2] = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];

/// Podman's files of this host.
pub struct Disk<'a> {
    files: HostFiles,
    processes: Processes<'a>,
    found: BTreeMap<String, Found>,
}

impl<'a> Disk<'a> {
    /// Reads what root's low-level runtimes know of the containers that Podman marked as its own.
    #[must_use]
    pub fn new(context: &'a Context, scan: &'a TaskScan) -> Self {
        let roots = roots::find(context, &Endpoints::default());
        // What cannot be read there is said by `source::oci`, which reads the same folders.
        let found = roots.iter().filter(|root| root.uid.is_none()).flat_map(of_podman);
        Self {
            files: HostFiles::new(context),
            processes: Processes::new(context, scan),
            found: found.map(|found| (found.id.clone(), found)).collect(),
        }
    }

    /// The storage root where root's Podman has it, if it has a database.
    pub fn default_root(&self, gaps: &mut Vec<Gap>) -> Option<PathBuf> {
        let mut root = PathBuf::from(STORAGE_ROOT);
        for path in STORAGE_CONF {
            match self.files.read(Path::new(path)) {
                Ok(Some(text)) => {
                    root = graph_root(&String::from_utf8_lossy(&text)).unwrap_or(root);
                    break;
                }
                Ok(None) => {}
                Err(error) => gaps.push(Gap::deciding("Podman's storage root", error.to_string())),
            }
        }
        let root = self.real_path(root);
        database::exists(&self.files, &root).then_some(root)
    }

    /// The storage roots whose containers run: each lies three folders above a bundle.
    pub fn roots_of_running(&self) -> BTreeSet<PathBuf> {
        let bundles = self.found.values().filter_map(|found| found.bundle.as_deref());
        let roots: BTreeSet<_> = bundles.filter_map(storage_root).collect();
        let roots = roots.into_iter().map(|root| self.real_path(root));
        roots.filter(|root| database::exists(&self.files, root)).collect()
    }

    /// A folder without symbolic links, as Podman itself names it.
    pub fn real_path(&self, root: PathBuf) -> PathBuf {
        self.files.real_path(&root).unwrap_or(root)
    }

    /// What a storage root has, corrected by what runs; `None` where it has no database.
    ///
    /// # Errors
    /// A sentence that says why it cannot be read or believed.
    pub fn state(&self, root: &Path, gaps: &mut Vec<Gap>) -> Result<Option<State>, String> {
        let Some(mut state) = database::read(&self.files, root, gaps)? else { return Ok(None) };
        for record in &mut state.contents.containers {
            self.correct(record, &state.tmp_dir);
        }
        Ok(Some(state))
    }

    /// Corrects the state of a container that nobody has looked at since: Podman has no daemon, and writes down what
    /// became of a container when it next looks. What runs is known by the init's pid *and* start time or cgroup.
    fn correct(&self, record: &mut Record, tmp_dir: &Path) {
        let found = self.found.get(&record.id);
        if let Some(found) = found.filter(|found| self.processes.lives(found.pid, found.start_ticks)) {
            record.state = if found.waits { RuntimeState::Created } else { RuntimeState::Running };
            record.pid = if found.waits { 0 } else { found.pid };
        } else if record.state == RuntimeState::Running {
            let unknown = found.is_none() && self.is_in_cgroup_of(record.pid, &record.id);
            if !unknown {
                let exit = tmp_dir.join("exits").join(&record.id);
                let code = self.files.read(&exit).ok().flatten();
                record.exit_code = code.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok());
                record.finished_at = self.files.modified(&exit);
                (record.state, record.pid) = (RuntimeState::Exited, 0);
            }
        }
    }

    fn is_in_cgroup_of(&self, pid: u32, id: &str) -> bool {
        let lives = self.processes.lives(pid, None);
        let path = self.processes.cgroup(pid).filter(|_| lives);
        path.is_some_and(|path| cgroup::parse_all(path).any(|name| name.id == id))
    }

    /// Adds what only the low-level runtime and the kernel know of a running container: its cgroup and its start.
    pub fn complete(&self, container: &mut DeclaredContainer) {
        complete(container, self.found.get(&container.id), &self.processes);
    }
}

/// The containers in a folder of a low-level runtime's that Podman marked as its own.
pub fn of_podman(root: &Root) -> Vec<Found> {
    let found = roots::read(root).containers;
    found.into_iter().filter(|found| found.manager() == Some(Runtime::Podman)).collect()
}

/// Adds what a low-level runtime and the kernel know of a running container.
pub fn complete(container: &mut DeclaredContainer, found: Option<&Found>, processes: &Processes<'_>) {
    if container.state != RuntimeState::Running {
        return;
    }
    // Its state may be of the incarnation before, or its pid have been used again.
    let found =
        found.filter(|found| found.pid == container.pid && processes.lives(container.pid, found.start_ticks));
    container.start_ticks = found.and_then(|found| found.start_ticks);
    let told = found.and_then(|found| found.cgroup.clone());
    container.cgroup = told.or_else(|| cgroup_of(&container.id, None, processes.cgroup(container.pid)));
    if container.opaque.is_none() {
        container.opaque = found.and_then(|found| found.opaque.clone());
    }
}

/// The storage root of a bundle: `<root>/<driver>-containers/<id>/userdata`.
#[must_use]
pub fn storage_root(bundle: &Path) -> Option<PathBuf> {
    let folder = bundle.parent().filter(|_| bundle.ends_with("userdata"))?;
    let containers = folder.parent()?;
    let driver = containers.file_name()?.to_str()?;
    let root = containers.parent().filter(|root| root.is_absolute())?;
    driver.ends_with("-containers").then(|| root.to_owned())
}

/// `graphroot` in a storage.conf, which is TOML: one string in the table `storage`.
fn graph_root(text: &str) -> Option<PathBuf> {
    let mut table = "";
    text.lines().map(str::trim).find_map(|line| {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').trim();
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| table == "storage")?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let (value, _) = value.get(1..)?.split_once(quote)?;
        (key.trim() == "graphroot" && value.starts_with('/')).then(|| PathBuf::from(value))
    })
}
