//! Podman: from its API where that answers, else from its state on disk; the same answer either way. Users' own
//! Podmans too, each believed for that user's processes only.
//!
//! It must not read an environment, open a database that a user made, believe a socket that is not its owner's, wait
//! without a limit, or let one broken container spoil the others.

mod api;
mod database;
mod declared;
mod disk;
mod inspect;
mod libpod;
mod record;
mod users;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::api::Answer;
use self::disk::Disk;
use self::record::{Contents, Mode};
use super::endpoints::Endpoints;
use super::http::{self, Client, Error, Trust};
use super::oci::spec::namespace_inode;
use super::{Context, RuntimeFacts, TaskScan};
use crate::observation::{Gap, Kind, Runtime, RuntimeReport, RuntimeStatus};

/// Where root's Podman listens.
const SOCKETS: [&str; 2] = ["/run/podman/podman.sock", "/var/run/podman/podman.sock"];
/// The most containers that one Podman is asked for.
const MAX_CONTAINERS: usize = 100_000;
/// How long to wait for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Asks Podman for its containers and pods.
///
/// Sockets that the user named are asked instead of the usual ones; a folder named in place of a socket is read as a
/// storage root. What no socket answers for is read from disk.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let endpoints = Endpoints::of(context, Runtime::Podman, &SOCKETS);
    let mut collection =
        Collection { context, disk: Disk::new(context, scan), facts: RuntimeFacts::default() };
    let mut answered = BTreeSet::new();
    let mut unanswered = endpoints.sockets.is_empty() && !endpoints.named;
    for socket in &endpoints.sockets {
        match collection.ask(socket, endpoints.named).await {
            Ok((answer, uid)) => {
                // A user's storage root is not to be read as root.
                match (&answer.root, uid) {
                    (Some(root), None) => {
                        answered.insert(collection.disk.real_path(root.clone()));
                    }
                    // Only the disk can tell what it would not.
                    (None, None) => unanswered |= !answer.missing.is_empty(),
                    _ => {}
                }
                collection.add_answer(socket, answer, uid);
            }
            Err(error) => {
                unanswered = true;
                collection.add_refusal(socket, &error);
            }
        }
    }
    // A folder that the user named may be written as seen here or as the host names it.
    let as_host = |folder: &PathBuf| match folder.strip_prefix(&context.options.host_root) {
        Ok(inside) => collection.disk.real_path(Path::new("/").join(inside)),
        Err(_) => collection.disk.real_path(folder.clone()),
    };
    let mut roots: BTreeSet<PathBuf> = endpoints.folders.iter().map(as_host).collect();
    if !endpoints.named || unanswered {
        // Podmans with storage roots of their own, told by their running containers.
        roots.extend(collection.disk.roots_of_running());
    }
    if unanswered {
        roots.extend(collection.disk.default_root(&mut collection.facts.gaps));
    }
    for root in roots.difference(&answered) {
        collection.add_root(root);
    }
    let mut facts = collection.facts;
    if !endpoints.named {
        if facts.reports.is_empty() {
            let endpoint = context.host(SOCKETS[0]).display().to_string();
            let detail = "no socket, and no database of root's".to_owned();
            facts.reports.push(report(endpoint, RuntimeStatus::Absent, detail));
        }
        facts.merge(users::collect(context, scan).await);
    }
    facts.containers.sort_by(|one, other| one.id.cmp(&other.id));
    facts.pods.sort_by(|one, other| one.id.cmp(&other.id));
    facts
}

fn report(endpoint: String, status: RuntimeStatus, detail: String) -> RuntimeReport {
    RuntimeReport { runtime: Runtime::Podman, endpoint, status, detail }
}

/// What has been collected so far.
struct Collection<'a> {
    context: &'a Context,
    disk: Disk<'a>,
    facts: RuntimeFacts,
}

impl Collection<'_> {
    /// Asks a socket; also whose word its answer is, where not root's.
    async fn ask(&self, socket: &Path, named: bool) -> Result<(Answer, Option<u32>), Error> {
        let uid = if named {
            let uid = http::peer_uid(socket, self.context.time_left(CONNECT_TIME)).await?;
            Some(uid).filter(|uid| *uid != 0)
        } else {
            None
        };
        let client = Client::new(socket.to_owned(), uid.map_or(Trust::Root, Trust::User));
        Ok((api::ask(&client, self.context, MAX_CONTAINERS).await?, uid))
    }

    /// Adds what a Podman answered; of root's, from disk what it left out.
    fn add_answer(&mut self, socket: &Path, answer: Answer, uid: Option<u32>) {
        let Answer { version, root, mut contents, missing, missing_pods } = answer;
        let endpoint = socket.display().to_string();
        let lost = match root {
            Some(root) if uid.is_none() => self.fill_in(root, &mut contents, missing),
            _ => missing,
        };
        let incomplete = lost.len() + missing_pods.len();
        let lost = lost.into_iter().map(|(id, why)| Gap::deciding(format!("container {id}"), why));
        let lost_pods = missing_pods.into_iter().map(|(id, why)| Gap::deciding(format!("pod {id}"), why));
        self.facts.gaps.extend(lost.chain(lost_pods));
        let mut detail = format!("Podman {version}, {} containers", contents.containers.len());
        if incomplete > 0 {
            detail.push_str(&format!("; {incomplete} more not described"));
        }
        self.add_contents(contents, &endpoint, uid);
        let status = if incomplete > 0 { RuntimeStatus::Error } else { RuntimeStatus::Ok };
        self.facts.reports.push(report(endpoint, status, detail));
    }

    /// Adds from disk what the API does not tell: which containers are init containers; that one has the host's IPC
    /// namespace (4.3 calls it shareable); and the containers that it would not describe. Returns what is still missing.
    fn fill_in(
        &self,
        root: PathBuf,
        contents: &mut Contents,
        missing: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        // What is unreadable there is told by the API, but for the details above.
        let Ok(Some(state)) = self.disk.state(&self.disk.real_path(root), &mut Vec::new()) else {
            return missing;
        };
        let mut on_disk = state.contents.containers;
        for record in &mut contents.containers {
            let Some(same) = on_disk.iter().find(|it| it.id == record.id) else { continue };
            record.init = same.init;
            if same.modes.get(&Kind::Ipc) == Some(&Mode::Host) {
                record.modes.insert(Kind::Ipc, Mode::Host);
            }
        }
        let mut lost = Vec::new();
        for (id, why) in missing {
            match on_disk.iter().position(|record| record.id == id) {
                Some(at) => contents.containers.push(on_disk.swap_remove(at)),
                None => lost.push((id, why)),
            }
        }
        lost
    }

    /// Adds what a storage root has.
    fn add_root(&mut self, root: &Path) {
        let mut gaps = Vec::new();
        let state = self.disk.state(root, &mut gaps);
        let incomplete = !gaps.is_empty();
        self.facts.gaps.extend(gaps);
        let (endpoint, status, detail) = match state {
            Ok(Some(state)) => {
                let endpoint = state.path.display().to_string();
                let detail = format!("read from disk: {} containers", state.contents.containers.len());
                self.add_contents(state.contents, &endpoint, None);
                let status = if incomplete { RuntimeStatus::Error } else { RuntimeStatus::Ok };
                (endpoint, status, detail)
            }
            Ok(None) => {
                let endpoint = root.display().to_string();
                (endpoint, RuntimeStatus::Absent, "it has no database of Podman's".to_owned())
            }
            Err(why) => {
                let status = if why.contains("may not be read") {
                    RuntimeStatus::Denied
                } else {
                    RuntimeStatus::Error
                };
                (root.display().to_string(), status, why)
            }
        };
        if !matches!(status, RuntimeStatus::Ok) && !incomplete {
            let what = format!("Podman's containers, by {endpoint}");
            self.facts.gaps.push(Gap::deciding(what, detail.clone()));
        }
        self.facts.reports.push(report(endpoint, status, detail));
    }

    /// Notes that a socket did not answer.
    fn add_refusal(&mut self, socket: &Path, error: &Error) {
        let endpoint = socket.display().to_string();
        let what = format!("Podman's containers, by {endpoint}");
        self.facts.gaps.push(Gap::deciding(what, error.to_string()));
        self.facts.reports.push(report(endpoint, status(error), error.to_string()));
    }

    fn add_contents(&mut self, contents: Contents, source: &str, uid: Option<u32>) {
        let mut pods = declared::pods(&contents);
        let inode = |path: &str| namespace_inode(self.context, path);
        for record in contents.containers {
            let mut container = declared::container(record, &contents.pods, source, inode);
            if uid.is_none() {
                self.disk.complete(&mut container);
            }
            container.word_of_uid = uid;
            let known = self.facts.containers.iter().any(|it| it.id == container.id);
            if !known {
                self.facts.containers.push(container);
            }
        }
        for pod in &mut pods {
            pod.word_of_uid = uid;
        }
        pods.retain(|pod| !self.facts.pods.iter().any(|it| it.id == pod.id));
        self.facts.pods.extend(pods);
    }
}

/// What a refusal comes to.
const fn status(error: &Error) -> RuntimeStatus {
    match error {
        Error::Absent(_) => RuntimeStatus::Absent,
        Error::Denied(_) => RuntimeStatus::Denied,
        Error::Late(_) | Error::NotFound(_) | Error::Failed(_) => RuntimeStatus::Error,
    }
}
