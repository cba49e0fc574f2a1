//! The running halves of containers by what lies on disk: a bundle in containerd's state folder, and runc's state.
//!
//! It must not believe a pid without its start time or its cgroup.

use std::collections::BTreeSet;
use std::path::Path;

use super::record::Task;
use crate::observation::{Gap, RuntimeState};
use crate::source::oci::bundle::BundleFolder;
use crate::source::oci::file::{Error, HostFiles};
use crate::source::oci::process::Processes;
use crate::source::oci::runc::RuncState;
use crate::state::cgroup;

/// runc's root for containerd, unless a bundle names another.
const RUNC_ROOT: &str = "/run/containerd/runc";

/// The bundles of this host.
#[derive(Clone, Debug)]
pub struct Bundles<'a> {
    files: &'a HostFiles,
    processes: Processes<'a>,
    folders: BTreeSet<BundleFolder>,
}

impl<'a> Bundles<'a> {
    /// Those in these folders.
    #[must_use]
    pub const fn new(
        files: &'a HostFiles,
        processes: Processes<'a>,
        folders: BTreeSet<BundleFolder>,
    ) -> Self {
        Self { files, processes, folders }
    }

    /// The same, of one daemon only.
    #[must_use]
    pub fn below(&self, state: &Path) -> Self {
        let folders = self.folders.iter().filter(|folder| folder.path.starts_with(state)).cloned().collect();
        Self { folders, ..self.clone() }
    }

    /// A container's task; `None` where it has none: it was never started, or its end was taken note of.
    pub fn task(&self, namespace: &str, id: &str, gaps: &mut Vec<Gap>) -> Option<Task> {
        let tasks = self.of(namespace).filter_map(|folder| {
            self.read(folder, id).unwrap_or_else(|error| {
                gaps.push(Gap::deciding(format!("container {id}"), error.to_string()));
                None
            })
        });
        // Two daemons can have a container of this id each; at most one is asked about.
        tasks.max_by_key(|task| task.state == RuntimeState::Running)
    }

    /// Completes what an API said of a task by what only runc wrote down.
    pub fn complete(&self, task: &mut Task, namespace: &str, id: &str) {
        let written = self.of(namespace).filter_map(|folder| self.read(folder, id).ok().flatten());
        if let Some(same) = written.filter(|it| it.pid == task.pid && it.state == task.state).last() {
            task.start_ticks = same.start_ticks;
            task.cgroup = same.cgroup;
        }
    }

    fn of<'s>(&'s self, namespace: &'s str) -> impl Iterator<Item = &'s BundleFolder> {
        self.folders.iter().filter(move |folder| folder.namespace() == namespace)
    }

    fn read(&self, folder: &BundleFolder, id: &str) -> Result<Option<Task>, Error> {
        let bundle = folder.path.join(id);
        // An id is a name of containerd's, but one from a database may be anything.
        if Path::new(id).components().count() != 1 || self.files.list(&bundle)?.is_none() {
            return Ok(None);
        }
        let state: Option<RuncState> = folder.runc_state(self.files, id, RUNC_ROOT)?;
        let written = self.files.read(&bundle.join("init.pid"))?;
        let written = written.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok());
        let pid = state.as_ref().map(|state| state.init_process_pid).or(written).unwrap_or(0);
        let start_ticks = state.as_ref().map(|state| state.init_process_start);
        // Without a start time (another program than runc) the cgroup has to bear the pid out.
        let names_it = |path: &str| cgroup::parse_all(path).any(|name| name.id == id);
        let sure = start_ticks.is_some() || self.processes.cgroup(pid).is_some_and(names_it);
        let lives = sure && self.processes.lives(pid, start_ticks);
        let waits = || folder.runc_waits(self.files, id, RUNC_ROOT);
        Ok(Some(Task {
            pid,
            state: match (pid, lives) {
                (0, _) => RuntimeState::Created,
                (_, true) if waits() => RuntimeState::Created,
                (_, true) => RuntimeState::Running,
                (_, false) => RuntimeState::Exited,
            },
            start_ticks: start_ticks.filter(|_| lives),
            cgroup: state.as_ref().filter(|_| lives).and_then(RuncState::cgroup),
            exit_code: None,
            exited_at: None,
        }))
    }
}
