//! CRI-O's own files: what it would say, read without it.
//!
//! It must not take Podman's containers, which lie in the same folders, nor believe a pid without its start time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::record::{Annotations, State};
use super::storage::{self, Storage};
use crate::observation::{Gap, RuntimeState};
use crate::source::cri::model::{Container, CriNode, Sandbox};
use crate::source::cri::{is_spoofed, sandbox_mark, sandbox_of};
use crate::source::oci::file::{Error, HostFiles};
use crate::source::oci::process::Processes;
use crate::source::oci::spec::{Spec, cgroup_of};
use crate::state::cgroup::is_id;

/// Where conmon notes how containers ended, for whoever asks first.
const EXITS: &str = "/run/crio/exits";

/// Reads CRI-O's files of this host.
#[derive(Clone, Copy, Debug)]
pub struct Disk<'a> {
    files: &'a HostFiles,
    processes: Processes<'a>,
}

impl<'a> Disk<'a> {
    /// A reader.
    #[must_use]
    pub const fn new(files: &'a HostFiles, processes: Processes<'a>) -> Self {
        Self { files, processes }
    }

    /// Every sandbox and container that is kept in one place. What is wrong with single ones goes into `gaps`.
    ///
    /// # Errors
    /// When one of the folders may not be read.
    pub fn node(&self, storage: &Storage, gaps: &mut Vec<Gap>) -> Result<CriNode, Error> {
        let mut node = CriNode::default();
        for (id, folders) in self.containers(storage)? {
            match self.spec(&folders) {
                Ok(Some(spec)) if Annotations::of(&spec).are_crio() => {
                    if let Err(error) = self.add(&mut node, &id, spec, &folders, storage.roots.len() > 1) {
                        gaps.push(Gap::deciding(format!("container {id}"), error.to_string()));
                    }
                }
                // Podman's, or one that was never finished.
                Ok(_) => {}
                Err(error) => gaps.push(Gap::deciding(format!("container {id}"), error.to_string())),
            }
        }
        Ok(node)
    }

    /// The folders of each container, by id: that of the root, which has its state, before that of the run root.
    fn containers(&self, storage: &Storage) -> Result<BTreeMap<String, Vec<PathBuf>>, Error> {
        let mut all: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut folders: Vec<PathBuf> = Vec::new();
        for root in &storage.roots {
            // Says so where the root itself may not be read.
            self.files.list(root)?;
            folders.extend(storage::container_folders(self.files, root));
        }
        let mut seen = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            if !seen.insert(folder.clone()) {
                continue;
            }
            let names = self.files.list(&folder)?.unwrap_or_default();
            for id in names.into_iter().filter_map(|id| id.into_string().ok()).filter(|id| is_id(id)) {
                let own = folder.join(&id).join("userdata");
                all.entry(id).or_default().insert(0, own);
            }
        }
        Ok(all)
    }

    fn spec(&self, folders: &[PathBuf]) -> Result<Option<Spec>, Error> {
        self.first(folders, |folder| self.files.json(&folder.join("config.json")))
    }

    fn first<T>(
        &self,
        folders: &[PathBuf],
        read: impl Fn(&Path) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        for folder in folders {
            if let Some(found) = read(folder)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn add(
        &self,
        node: &mut CriNode,
        id: &str,
        spec: Spec,
        folders: &[PathBuf],
        has_run_root: bool,
    ) -> Result<(), Error> {
        let state = self.first(folders, |folder| self.files.json::<State>(&folder.join("state.json")))?;
        let life = Life::of(self, id, state.unwrap_or_default(), folders);
        match sandbox_mark(&spec) {
            Some(mark) => {
                let mut sandbox = self.sandbox(id, spec, mark, &life, folders);
                // The run root is emptied at boot: what has nothing there is of the boot before.
                if has_run_root && folders.len() < 2 {
                    sandbox.ready = Some(false);
                }
                node.sandboxes.push(sandbox);
            }
            None => node.containers.push(self.container(id, spec, &life)),
        }
        Ok(())
    }

    fn sandbox(&self, id: &str, spec: Spec, mark: String, life: &Life, folders: &[PathBuf]) -> Sandbox {
        let annotations = Annotations::of(&spec);
        let (name, namespace, uid, attempt) = annotations.pod();
        // A pod's author can annotate what CRI-O would; what has a process is not without one.
        let processless = is_spoofed(&spec) && life.state.init().0 == 0;
        let has = |file: &str| {
            folders.iter().any(|folder| matches!(self.files.read(&folder.join(file)), Ok(Some(_))))
        };
        Sandbox {
            id: id.to_owned(),
            name,
            namespace,
            uid,
            attempt,
            ready: Some(!has("stopped")),
            created_at: annotations.created().or(life.state.created),
            options: annotations.options(),
            pid: life.pid,
            start_ticks: life.start_ticks,
            started_at: life.state.started.filter(|_| !processless),
            finished_at: life.state.finished,
            exit_code: life.exit_code,
            cgroup: self.cgroup(id, &spec, life),
            image: annotations.image(),
            infra_name: Some("POD".to_owned()),
            processless,
            mark,
            ignore: annotations.ignore(),
            opaque: annotations.opaque(),
            spec: Some(spec),
        }
    }

    fn container(&self, id: &str, spec: Spec, life: &Life) -> Container {
        let annotations = Annotations::of(&spec);
        let (name, attempt) = annotations.container();
        Container {
            id: id.to_owned(),
            sandbox: sandbox_of(&spec).unwrap_or_default(),
            name,
            attempt,
            image: annotations.image(),
            state: life.is,
            created_at: life.state.created.or_else(|| annotations.created()),
            started_at: life.state.started,
            finished_at: life.state.finished,
            exit_code: life.exit_code,
            oom_killed: life.state.oom_killed,
            pid: life.pid,
            start_ticks: life.start_ticks,
            options: None,
            cgroup: self.cgroup(id, &spec, life),
            mounts: annotations.volumes(),
            ignore: annotations.ignore(),
            opaque: annotations.opaque(),
            spec: Some(spec),
        }
    }

    fn cgroup(&self, id: &str, spec: &Spec, life: &Life) -> Option<String> {
        let path = spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
        cgroup_of(id, path, self.processes.cgroup(life.pid))
    }
}

/// What became of a container's process: CRI-O's last word, corrected by what runs.
struct Life {
    state: State,
    is: RuntimeState,
    /// The init that lives; 0 where none does.
    pid: u32,
    start_ticks: Option<u64>,
    exit_code: Option<i32>,
}

impl Life {
    fn of(disk: &Disk<'_>, id: &str, mut state: State, folders: &[PathBuf]) -> Self {
        if state.init().0 == 0 {
            // Where only the run root is known, CRI-O's state is not, but its monitor's note of the pid is.
            let mut notes =
                folders.iter().filter_map(|folder| disk.files.read(&folder.join("pidfile")).ok()?);
            let note = notes.next().unwrap_or_default();
            state.init_pid = String::from_utf8_lossy(&note).trim().parse().unwrap_or_default();
        }
        let (pid, start_ticks) = state.init();
        // Without a start time the cgroup has to bear the pid out.
        let sure = start_ticks.is_some()
            || disk
                .processes
                .cgroup(pid)
                .is_some_and(|path| crate::state::cgroup::parse_all(path).any(|name| name.id == id));
        let lives = sure && disk.processes.lives(pid, start_ticks);
        let is = match (state.status.as_str(), lives) {
            ("created", true) => RuntimeState::Created,
            (_, true) => RuntimeState::Running,
            // Created, and never given a process.
            ("created" | "", false) if pid == 0 => RuntimeState::Created,
            (_, false) => RuntimeState::Exited,
        };
        let gone = is == RuntimeState::Exited;
        let mut exit_code = state.exit_code.filter(|_| gone && state.finished.is_some());
        if gone && exit_code.is_none() {
            // CRI-O did not live, or has not had the time, to write it down: its monitor did.
            let exits = std::iter::once(Path::new(EXITS).join(id))
                .chain(folders.iter().map(|folder| folder.join("exit")));
            let told = exits.filter_map(|path| Some((disk.files.read(&path).ok()??, path))).next();
            if let Some((code, path)) = told {
                exit_code = String::from_utf8_lossy(&code).trim().parse().ok();
                state.finished = state.finished.or_else(|| disk.files.modified(&path));
            }
        }
        // CRI-O says -1 where it did not see the end.
        let exit_code = exit_code.filter(|code| *code >= 0);
        let oom = folders.iter().any(|folder| matches!(disk.files.read(&folder.join("oom")), Ok(Some(_))));
        state.oom_killed = gone && (state.oom_killed || oom);
        Self {
            is,
            pid: if lives { pid } else { 0 },
            start_ticks: start_ticks.filter(|_| lives),
            exit_code,
            state,
        }
    }
}
