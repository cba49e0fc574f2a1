//! containerd: Kubernetes' pods, by CRI; and the containers of ctr, nerdctl and others, by its own API. From its socket
//! where that answers, else from its database, its bundles and runc's state; the same pods either way.
//!
//! Docker's containers are containerd's too, in a namespace of their own: of them Docker tells better, and nothing is
//! read here.

mod api;
mod declared;
mod messages;
mod metadata;
mod places;
mod pods;
mod record;
mod tasks;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use self::places::Place;
use self::record::Known;
use self::tasks::Bundles;
use super::cri::model::CriNode;
use super::cri::{self};
use super::endpoints::Endpoints;
use super::grpc::Error;
use super::oci::bundle;
use super::oci::dead::name_the_dead;
use super::oci::file::HostFiles;
use super::oci::process::Processes;
use super::oci::spec::namespace_inode;
use super::{Context, RuntimeFacts, TaskScan, bolt};
use crate::observation::{Gap, Runtime, RuntimeReport, RuntimeStatus};

/// Asks every containerd that is to be found.
///
/// Sockets that the user named are asked instead of the usual ones; a folder named in place of a socket is read as a
/// daemon's root. What no socket answers for is read from disk.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let files = HostFiles::new(context);
    let endpoints = Endpoints::of(context, Runtime::Containerd, &places::sockets());
    let mut folders = bundle::of_running(context, scan);
    folders.extend(places::bundles(&files));
    folders.retain(|folder| folder.namespace() != record::DOCKER);
    let bundles = Bundles::new(&files, Processes::new(context, scan), folders);
    let mut collection = Collection { context, files: &files, bundles, facts: RuntimeFacts::default() };
    let mut answered = BTreeSet::new();
    for socket in &endpoints.sockets {
        if collection.by_socket(socket, &endpoints).await {
            answered.insert(socket.as_path());
        }
    }
    for folder in &endpoints.folders {
        collection.by_root(&places::named(context, folder), true);
    }
    // Where the user named all that is to be asked and it answered, that is enough.
    let enough = endpoints.named && answered.len() == endpoints.sockets.len();
    if !enough {
        let told_by = |place: &Place| {
            place.socket.is_some_and(|socket| answered.contains(context.host(socket).as_path()))
        };
        for place in places::find(context, scan, &files).into_iter().filter(|place| !told_by(place)) {
            collection.by_root(&place.root, false);
        }
        collection.by_bundles();
    }
    let mut facts = collection.facts;
    if facts.reports.is_empty() && !enough {
        let endpoint = context.host(places::sockets()[0]).display().to_string();
        facts.reports.push(report(endpoint, RuntimeStatus::Absent, "nobody listens there".to_owned()));
    }
    facts
}

/// What is known so far.
struct Collection<'a> {
    context: &'a Context,
    files: &'a HostFiles,
    bundles: Bundles<'a>,
    facts: RuntimeFacts,
}

impl Collection<'_> {
    /// Asks one daemon; whether it answered.
    async fn by_socket(&mut self, socket: &Path, endpoints: &Endpoints) -> bool {
        let endpoint = socket.display().to_string();
        let trust = endpoints.trust();
        let by_cri = match cri::ask(socket, trust, self.context).await {
            Ok(answer) => Some(answer),
            // A containerd without Kubernetes.
            Err(Error::Unimplemented(_)) => None,
            Err(error) => {
                self.refused(&endpoint, &error, endpoints.named);
                return false;
            }
        };
        let native = match api::ask(socket, trust, self.context).await {
            Ok(native) => native,
            // Another program than containerd that speaks CRI.
            Err(Error::Unimplemented(_)) if by_cri.is_some() => api::Answer::default(),
            Err(error) => {
                self.refused(&endpoint, &error, endpoints.named);
                return false;
            }
        };
        let has_cri = by_cri.is_some();
        let answer = by_cri.unwrap_or_else(|| cri::Answer {
            runtime_name: "containerd".to_owned(),
            runtime_version: native.version.clone(),
            ..cri::Answer::default()
        });
        let mut node = answer.node;
        let mut others = native.known;
        for known in &mut others {
            if let Some(task) = &mut known.task {
                self.bundles.complete(task, &known.record.namespace, &known.record.id);
            }
        }
        let cris: Vec<Known> = others.extract_if(.., |known| known.record.is_cri()).collect();
        if has_cri {
            self.complete(&mut node);
        } else {
            node = pods::node(cris, &|_| None);
        }
        let missing = answer.missing.into_iter().chain(native.missing);
        let gaps: Vec<Gap> = missing
            .map(|(what, why)| Gap::deciding(format!("container {what}"), format!("containerd: {why}")))
            .chain(damages(&others))
            .collect();
        let status = if gaps.is_empty() { RuntimeStatus::Ok } else { RuntimeStatus::Error };
        let detail =
            format!("{} {}, {}", answer.runtime_name, answer.runtime_version, counted(&node, &others));
        self.add(
            &node,
            &others,
            &endpoint,
            RuntimeFacts {
                reports: vec![report(endpoint.clone(), status, detail)],
                gaps,
                ..RuntimeFacts::default()
            },
        );
        true
    }

    /// Reads the files of one daemon by its root, unless a socket told of the same.
    fn by_root(&mut self, root: &Path, named: bool) {
        let endpoint = root.display().to_string();
        let what = || format!("containerd's containers, by {endpoint}");
        let records = match metadata::read(self.files, root) {
            Ok(Some(records)) => records,
            Ok(None) if !named => return,
            Ok(None) => {
                let why =
                    format!("it is no root of containerd's: {} is not there", metadata::path(root).display());
                self.facts.gaps.push(Gap::deciding(what(), why.clone()));
                self.facts.reports.push(report(endpoint, RuntimeStatus::Absent, why));
                return;
            }
            Err(error) => {
                let status = match &error {
                    bolt::Error::File(super::oci::file::Error::Denied(_)) => RuntimeStatus::Denied,
                    _ => RuntimeStatus::Error,
                };
                self.facts.gaps.push(Gap::deciding(what(), error.to_string()));
                self.facts.reports.push(report(endpoint, status, error.to_string()));
                return;
            }
        };
        let is_told = |record: &record::Record| self.facts.containers.iter().any(|it| it.id == record.id);
        // An installed containerd that nobody uses is no news.
        if !named && (records.is_empty() || records.iter().any(is_told)) {
            return;
        }
        let mut gaps = Vec::new();
        let known: Vec<Known> = records
            .into_iter()
            .map(|record| Known {
                task: self.bundles.task(&record.namespace, &record.id, record.spec.as_ref(), &mut gaps),
                record,
            })
            .collect();
        self.add_disk(known, endpoint, gaps, &|id| pods::status(self.files, root, id));
    }

    /// Reads the bundles of daemons of which nothing else was found: of what runs there they say enough.
    fn by_bundles(&mut self) {
        let told: BTreeSet<String> = self.facts.containers.iter().map(|it| it.id.clone()).collect();
        for (folder, ids) in self.bundles.ids() {
            if ids.is_empty() || ids.iter().any(|id| told.contains(id)) {
                continue;
            }
            let endpoint = folder.path.display().to_string();
            let mut gaps = vec![Gap::detail(
                format!("containers that have ended, by {endpoint}"),
                "containerd's database was not found; what runs is read from its bundles: name its root with \
                 --socket containerd=DIR",
            )];
            let mut known = Vec::new();
            for id in ids {
                match folder.spec(self.files, &id) {
                    Ok(Some(spec)) => {
                        let task = self.bundles.task(folder.namespace(), &id, None, &mut gaps);
                        known.push(Known {
                            record: record::Record::of_spec(folder.namespace(), id, spec),
                            task,
                        });
                    }
                    Ok(None) => {}
                    Err(error) => gaps.push(Gap::deciding(format!("container {id}"), error.to_string())),
                }
            }
            self.add_disk(known, endpoint, gaps, &|_| None);
        }
    }

    fn add_disk(
        &mut self,
        mut others: Vec<Known>,
        endpoint: String,
        mut gaps: Vec<Gap>,
        status: &dyn Fn(&str) -> Option<Result<pods::Status, super::oci::file::Error>>,
    ) {
        gaps.extend(damages(&others));
        let cris: Vec<Known> = others.extract_if(.., |known| known.record.is_cri()).collect();
        let told = |id: &str| match status(id)? {
            Ok(status) => Some(status),
            Err(error) => {
                log::info!("container {id}: {error}");
                None
            }
        };
        let node = pods::node(cris, &told);
        let is_error = gaps.iter().any(|gap| gap.could_change_verdict);
        let state = if is_error { RuntimeStatus::Error } else { RuntimeStatus::Ok };
        let detail = format!("read from disk: {}", counted(&node, &others));
        self.add(
            &node,
            &others,
            &endpoint,
            RuntimeFacts {
                reports: vec![report(endpoint.clone(), state, detail)],
                gaps,
                ..RuntimeFacts::default()
            },
        );
    }

    /// Completes what CRI said by what only runc wrote down.
    fn complete(&self, node: &mut CriNode) {
        for sandbox in &mut node.sandboxes {
            let (start_ticks, cgroup) = self.bundles.identity(&sandbox.id, sandbox.pid);
            (sandbox.start_ticks, sandbox.cgroup) = (start_ticks, cgroup);
        }
        for container in &mut node.containers {
            let (start_ticks, cgroup) = self.bundles.identity(&container.id, container.pid);
            (container.start_ticks, container.cgroup) = (start_ticks, cgroup);
        }
    }

    fn add(&mut self, node: &CriNode, others: &[Known], source: &str, mut more: RuntimeFacts) {
        let inode = |path: &str| namespace_inode(self.context, path);
        let (mut containers, pods) = cri::facts(node, Runtime::Containerd, source, &inode);
        let mut plain: Vec<_> =
            others.iter().map(|known| declared::container(known, source, &inode)).collect();
        name_the_dead(&mut plain, &declared::dead(others));
        containers.extend(plain);
        more.containers = containers;
        more.pods = pods;
        self.facts.merge(more);
    }

    fn refused(&mut self, endpoint: &str, error: &Error, named: bool) {
        let status = match error {
            Error::Absent(_) => RuntimeStatus::Absent,
            Error::Denied(_) => RuntimeStatus::Denied,
            _ => RuntimeStatus::Error,
        };
        // A socket that is usually there and left behind is no news: the files tell.
        if status != RuntimeStatus::Absent || named {
            let what = format!("containerd's containers, by {endpoint}");
            self.facts.gaps.push(Gap::deciding(what, error.to_string()));
        }
        self.facts.reports.push(report(endpoint.to_owned(), status, error.to_string()));
    }
}

/// What of the records is not as containerd writes it.
fn damages(known: &[Known]) -> Vec<Gap> {
    let damaged = known.iter().filter_map(|it| Some((&it.record.id, it.record.damaged.as_ref()?)));
    damaged.map(|(id, why)| Gap::deciding(format!("container {id}"), format!("containerd: {why}"))).collect()
}

fn counted(node: &CriNode, others: &[Known]) -> String {
    let mut parts = Vec::new();
    if *node != CriNode::default() || others.is_empty() {
        parts.push(format!("{} sandboxes, {} containers", node.sandboxes.len(), node.containers.len()));
    }
    if !others.is_empty() {
        let by_whom = if parts.is_empty() { "containers" } else { "outside Kubernetes" };
        parts.push(format!("{} {by_whom}", others.len()));
    }
    parts.join(", ")
}

fn report(endpoint: String, status: RuntimeStatus, detail: String) -> RuntimeReport {
    RuntimeReport { runtime: Runtime::Containerd, endpoint, status, detail }
}
