//! Docker: from its API where that answers, else from its files; the same answer either way.
//!
//! It must not read an environment, believe a socket that is not root's unless the user named it, wait without a
//! limit, or let one broken container spoil the others.

mod api;
mod declared;
mod disk;
mod record;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use self::api::Answer;
use self::declared::{Daemon, Directory};
use self::disk::Disk;
use self::record::Record;
use super::http::{Client, Error, Trust};
use super::oci::file::{self, HostFiles};
use super::oci::runc::RuncState;
use super::oci::spec::cgroup_of;
use super::{Context, RuntimeFacts, TaskScan};
use crate::observation::{DeclaredContainer, Gap, Runtime, RuntimeReport, RuntimeState, RuntimeStatus};

/// Where dockerd listens; the second is the first by another name on most systems.
const SOCKETS: [&str; 2] = ["/run/docker.sock", "/var/run/docker.sock"];

/// Asks Docker for its containers.
///
/// Sockets that the user named are asked instead of the usual one; a folder named in place of a socket is read as a
/// data root. What no socket answers for is read from disk.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    collect_from(context, scan, HostFiles::new(context), Trust::Root).await
}

async fn collect_from(context: &Context, scan: &TaskScan, files: HostFiles, trust: Trust) -> RuntimeFacts {
    let mut collection = Collection { disk: Disk::new(context, scan, files), facts: RuntimeFacts::default() };
    let named: Vec<&Path> = context
        .options
        .sockets
        .iter()
        .filter(|(runtime, _)| *runtime == Runtime::Docker)
        .map(|(_, path)| path.as_path())
        .collect();
    let (folders, sockets): (Vec<&Path>, Vec<&Path>) = named.iter().partition(|path| path.is_dir());
    let mut answered = BTreeSet::new();
    let mut unanswered = Vec::new();
    let usual = usual_socket(context);
    let sockets = if named.is_empty() { vec![usual.as_path()] } else { sockets };
    for socket in sockets {
        let trust = if named.is_empty() { trust } else { Trust::Anyone };
        let client = Client::new(socket.to_owned(), trust);
        match api::ask(&client, context).await {
            Ok(answer) => {
                answered.insert(PathBuf::from(&answer.daemon.root));
                collection.add_answer(socket, answer);
            }
            Err(error) => unanswered.push((socket, error)),
        }
    }
    // A folder that the user named may be written as seen here or as the host names it.
    let as_host = |folder: &&Path| match folder.strip_prefix(&context.options.host_root) {
        Ok(inside) => collection.disk.real_path(Path::new("/").join(inside)),
        Err(_) => collection.disk.real_path(folder.to_path_buf()),
    };
    let mut roots: BTreeSet<PathBuf> = folders.iter().map(as_host).collect();
    if named.is_empty() || !unanswered.is_empty() {
        // Daemons with roots and sockets of their own, told by their running containers.
        roots.extend(collection.disk.roots_of_running(&mut collection.facts.gaps));
    }
    if !unanswered.is_empty() {
        roots.extend(collection.disk.default_roots(&mut collection.facts.gaps));
    }
    let roots: Vec<_> = roots.difference(&answered).collect();
    for root in &roots {
        collection.add_root(root);
    }
    for (socket, error) in unanswered {
        // No usual socket is no news where the files have told everything.
        let expected = named.is_empty() && matches!(error, Error::Absent(_));
        if !expected || roots.is_empty() {
            collection.add_refusal(socket, &error, expected);
        }
    }
    collection.finish()
}

/// The usual socket that is there; the first if none is.
fn usual_socket(context: &Context) -> PathBuf {
    let [first, second] = SOCKETS.map(|path| context.host(path));
    // Not through a link of a mounted host: it would lead back into the reader's own files.
    let is_linked = second.parent().is_some_and(Path::is_symlink);
    let exists = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.file_type().is_socket());
    if !exists(&first) && !is_linked && exists(&second) { second } else { first }
}

/// What has been collected so far.
struct Collection<'a> {
    disk: Disk<'a>,
    facts: RuntimeFacts,
}

impl Collection<'_> {
    /// Adds what a daemon answered, and from disk what it left out.
    fn add_answer(&mut self, socket: &Path, answer: Answer) {
        let Answer { description, daemon, mut records, missing } = answer;
        let gaps_before = self.facts.gaps.len();
        for (id, why) in missing {
            match self.disk.record(Path::new(&daemon.root), &id) {
                Ok(Some(record)) if crate::state::cgroup::is_id(&id) => {
                    let why = format!("Docker did not describe it: {why}; read from disk instead");
                    self.facts.gaps.push(Gap::detail(format!("container {id}"), why));
                    records.push(record);
                }
                _ => self.facts.gaps.push(Gap::deciding(format!("container {id}"), why)),
            }
        }
        let incomplete = self.facts.gaps.len() - gaps_before;
        let endpoint = socket.display().to_string();
        let mut detail = format!("{description}, {} containers", records.len());
        if incomplete > 0 {
            detail.push_str(&format!("; {incomplete} more not described in full"));
        }
        self.add_records(&records, &daemon, &endpoint);
        let status = if incomplete > 0 { RuntimeStatus::Error } else { RuntimeStatus::Ok };
        self.report(endpoint, status, detail);
    }

    /// Adds what a data root has.
    fn add_root(&mut self, root: &Path) {
        let endpoint = root.join("containers").display().to_string();
        let (status, detail) = match self.disk.records(root, &mut self.facts.gaps) {
            Ok(Some(records)) => {
                self.add_records(&records, &Disk::daemon(root), &endpoint);
                (RuntimeStatus::Ok, format!("read from disk: {} containers", records.len()))
            }
            Ok(None) => (RuntimeStatus::Absent, format!("there is no {endpoint}")),
            Err(error @ file::Error::Denied(_)) => (RuntimeStatus::Denied, error.to_string()),
            Err(error) => (RuntimeStatus::Error, error.to_string()),
        };
        if status != RuntimeStatus::Ok {
            self.facts
                .gaps
                .push(Gap::deciding(format!("Docker's containers, by {endpoint}"), detail.clone()));
        }
        self.report(endpoint, status, detail);
    }

    /// Notes that a socket did not answer.
    fn add_refusal(&mut self, socket: &Path, error: &Error, expected: bool) {
        let why = error.to_string();
        let status = match error {
            Error::Absent(_) => RuntimeStatus::Absent,
            Error::Denied(_) => RuntimeStatus::Denied,
            Error::Late(_) | Error::NotFound(_) | Error::Failed(_) => RuntimeStatus::Error,
        };
        let endpoint = socket.display().to_string();
        if !expected {
            self.facts.gaps.push(Gap::deciding(format!("Docker's containers, by {endpoint}"), why.clone()));
        }
        self.report(endpoint, status, why);
    }

    fn add_records(&mut self, records: &[Record], daemon: &Daemon, source: &str) {
        let directory = Directory::new(records);
        for record in records {
            let mut container = declared::container(record, daemon, &directory, source);
            self.complete(&mut container);
            self.facts.containers.push(container);
        }
        self.facts.pods.extend(declared::pods(records));
    }

    /// Adds what only the disk and the kernel know of a running container: its cgroup and its start.
    fn complete(&mut self, container: &mut DeclaredContainer) {
        if container.state != RuntimeState::Running {
            return;
        }
        let (id, gaps) = (&container.id, &mut self.facts.gaps);
        // runc's state may be of the incarnation before, or its pid have been used again.
        let state = self.disk.runc_state(id, gaps).filter(|state| {
            state.init_process_pid == container.pid
                && self.disk.processes().lives(container.pid, Some(state.init_process_start))
        });
        container.start_ticks = state.as_ref().map(|state| state.init_process_start);
        container.cgroup = state.as_ref().and_then(RuncState::cgroup).or_else(|| {
            let spec = self.disk.spec(id, gaps).and_then(|spec| spec.linux).map(|linux| linux.cgroups_path);
            cgroup_of(id, spec.as_deref(), self.disk.processes().cgroup(container.pid))
        });
    }

    fn report(&mut self, endpoint: String, status: RuntimeStatus, detail: String) {
        self.facts.reports.push(RuntimeReport { runtime: Runtime::Docker, endpoint, status, detail });
    }

    /// Sorts, and drops what two daemons or ways told twice: the first, the socket's, stands.
    fn finish(self) -> RuntimeFacts {
        let mut facts = self.facts;
        let mut seen = BTreeSet::new();
        facts.containers.retain(|container| seen.insert(container.id.clone()));
        facts.containers.sort_by(|one, other| one.id.cmp(&other.id));
        facts.pods.sort_by(|one, other| one.id.cmp(&other.id));
        facts.pods.dedup_by(|one, other| one.id == other.id);
        facts
    }
}
