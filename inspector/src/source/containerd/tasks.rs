//! The running halves of containers by what lies on disk: a bundle in containerd's state folder, and runc's state.
//!
//! It must not believe a pid without its start time or its cgroup.

use std::collections::BTreeSet;
use std::path::Path;

use super::record::{KUBERNETES, Task};
use crate::observation::{Gap, RuntimeState};
use crate::source::oci::bundle::BundleFolder;
use crate::source::oci::file::{Error, HostFiles};
use crate::source::oci::process::Processes;
use crate::source::oci::runc::RuncState;
use crate::source::oci::spec::{Spec, cgroup_of};
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

    /// A container's task; `None` where it has none: it was never started, or its end was taken note of. `spec` tells
    /// it from one of another daemon's with the same id.
    pub fn task(&self, namespace: &str, id: &str, spec: Option<&Spec>, gaps: &mut Vec<Gap>) -> Option<Task> {
        let mut tasks = Vec::new();
        for folder in self.of(namespace) {
            match self.read(folder, id) {
                Ok(Some(task)) => tasks.push((folder, task)),
                Ok(None) => {}
                Err(error) => gaps.push(Gap::deciding(format!("container {id}"), error.to_string())),
            }
        }
        if tasks.len() > 1 && spec.is_some() {
            tasks.retain(|(folder, _)| folder.spec(self.files, id).ok().flatten().as_ref() == spec);
        }
        tasks.into_iter().map(|(_, task)| task).max_by_key(|task| task.state == RuntimeState::Running)
    }

    /// Completes what an API said of a task by what only runc wrote down.
    pub fn complete(&self, task: &mut Task, namespace: &str, id: &str) {
        let written = self.of(namespace).filter_map(|folder| self.read(folder, id).ok().flatten());
        if let Some(same) = written.filter(|it| it.pid == task.pid && it.state == task.state).last() {
            task.start_ticks = same.start_ticks;
            task.cgroup = same.cgroup;
        }
    }

    /// When a container of Kubernetes' started, in clock ticks since boot, and its cgroup: by runc where that speaks of
    /// the same process, else by the kernel.
    #[must_use]
    pub fn identity(&self, id: &str, pid: u32) -> (Option<u64>, Option<String>) {
        if pid == 0 {
            return (None, None);
        }
        let mut task = Task { pid, state: RuntimeState::Running, ..Task::default() };
        self.complete(&mut task, KUBERNETES, id);
        let cgroup = task.cgroup.or_else(|| cgroup_of(id, None, self.processes.cgroup(pid)));
        (task.start_ticks, cgroup)
    }

    /// The ids of the bundles in each folder.
    pub fn ids(&self) -> Vec<(BundleFolder, Vec<String>)> {
        let ids = |folder: &BundleFolder| {
            let names = self.files.list(&folder.path).ok().flatten().unwrap_or_default();
            // A hidden one is a bundle that is being removed.
            let names = names.into_iter().filter_map(|name| name.into_string().ok());
            names.filter(|name| !name.starts_with('.')).collect()
        };
        self.folders.iter().map(|folder| (folder.clone(), ids(folder))).collect()
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
            cgroup: state
                .as_ref()
                .filter(|_| lives)
                .and_then(RuncState::cgroup)
                .or_else(|| cgroup_of(id, None, self.processes.cgroup(pid).filter(|_| lives))),
            exit_code: None,
            exited_at: None,
        }))
    }
}
