//! Users' own Podmans: by each user's socket, else by what their low-level runtimes and their storage say.
//!
//! All of it is the word of that user. It is marked so, bounded, read by that user's files only, and waited for all at
//! once and not long: whatever lies below a user's folder may be that user's own file system. No database is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;

use super::api::{self, Answer};
use super::disk::{complete, of_podman, storage_root};
use super::{declared, report, status};
use crate::observation::{
    Declaration, DeclaredContainer, DeclaredPod, Gap, HostNamespaces, Ignore, Infra, Origin, Runtime,
    RuntimeState, RuntimeStatus,
};
use crate::source::endpoints::Endpoints;
use crate::source::http::{Client, Error, Trust};
use crate::source::oci::file::HostFiles;
use crate::source::oci::process::Processes;
use crate::source::oci::roots::{self, Found};
use crate::source::oci::spec::{namespace_inode, null_as_default};
use crate::source::{Context, RuntimeFacts, TaskScan, cri, node};
use crate::state::cgroup;

/// Where the folders of users lie, each named by its uid.
const USERS: &str = "/run/user";
/// Where a user's Podman listens, below the user's folder.
const SOCKET: &str = "podman/podman.sock";
/// How long to wait for one user's Podman and files, all users at once.
const USER_TIME: Duration = Duration::from_secs(5);
/// The most users, and the most containers that one user is believed to have.
const MAX_USERS: usize = 1024;
const MAX_CONTAINERS: usize = 4096;

/// A container of a user's, as its low-level runtime wrote it down, and where its paths lead.
struct Read {
    found: Found,
    declared: BTreeMap<crate::observation::Kind, Declaration>,
    name: Option<String>,
    image: Option<String>,
}

/// One container in the list of containers/storage (`containers.json`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    names: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    metadata: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Metadata {
    #[serde(deserialize_with = "null_as_default")]
    image_name: String,
}

/// Asks every user's Podman.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let mut facts = RuntimeFacts::default();
    let names = HostFiles::new(context).list(Path::new(USERS)).ok().flatten().unwrap_or_default();
    let uids: Vec<u32> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    let mut asked = JoinSet::new();
    for uid in uids.into_iter().filter(|uid| *uid != 0).take(MAX_USERS) {
        let context = context.clone();
        asked.spawn(async move { (uid, ask(&context, uid).await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(done) = asked.join_next().await {
        if let Ok((uid, answer)) = done {
            answers.insert(uid, answer);
        }
    }
    let (host, _) = node::host_namespaces(&scan.tasks);
    let processes = Processes::new(context, scan);
    for (uid, answer) in answers {
        let socket = socket_of(context, uid).display().to_string();
        let said = match answer {
            Some(Ok(answer)) => {
                add_answer(context, answer, &socket, uid, &mut facts);
                true
            }
            Some(Err(error)) => {
                let what = format!("Podman's containers of uid {uid}, by {socket}");
                facts.gaps.push(Gap::deciding(what, error.to_string()));
                facts.reports.push(report(socket.clone(), status(&error), error.to_string()));
                false
            }
            None => false,
        };
        // Where the socket answered, the files still tell the cgroups and starts.
        let read = of_files(context, uid).await;
        match read {
            Ok(found) if said => finish(found, uid, &processes, &mut facts),
            Ok(found) => add_files(context, found, uid, &processes, &mut facts),
            Err(why) => facts.gaps.push(Gap::deciding(format!("Podman's containers of uid {uid}"), why)),
        }
        keep_what_a_user_can_say(&mut facts, uid, &host, &processes);
    }
    facts
}

fn socket_of(context: &Context, uid: u32) -> PathBuf {
    context.host(Path::new(USERS).join(uid.to_string()).join(SOCKET))
}

/// Asks one user's socket; `None` where there is none.
async fn ask(context: &Context, uid: u32) -> Option<Result<Answer, Error>> {
    let socket = socket_of(context, uid);
    let client = Client::new(socket.clone(), Trust::User(uid));
    let time = context.time_left(USER_TIME);
    let answer = tokio::time::timeout(time, api::ask(&client, context, MAX_CONTAINERS)).await;
    match answer {
        Ok(Err(Error::Absent(_))) => None,
        Ok(answer) => Some(answer),
        Err(_) => {
            let why = format!("{} had no whole answer within {:.1} s", socket.display(), time.as_secs_f64());
            Some(Err(Error::Late(why)))
        }
    }
}

fn add_answer(context: &Context, answer: Answer, socket: &str, uid: u32, facts: &mut RuntimeFacts) {
    let Answer { version, contents, missing, missing_pods, .. } = answer;
    let incomplete = missing.len() + missing_pods.len();
    let lost = missing.into_iter().map(|(id, why)| Gap::deciding(format!("container {id}"), why));
    let lost_pods = missing_pods.into_iter().map(|(id, why)| Gap::deciding(format!("pod {id}"), why));
    facts.gaps.extend(lost.chain(lost_pods));
    let detail = format!("Podman {version}, {} containers of uid {uid}", contents.containers.len());
    let mut said = RuntimeFacts { pods: declared::pods(&contents), ..RuntimeFacts::default() };
    for record in contents.containers {
        // No path of a user's choosing is followed.
        said.containers
            .push(declared::container(record, &contents.pods, socket, |path| proc_inode(context, path)));
    }
    for container in &mut said.containers {
        container.word_of_uid = Some(uid);
    }
    for pod in &mut said.pods {
        pod.word_of_uid = Some(uid);
    }
    let status = if incomplete > 0 { RuntimeStatus::Error } else { RuntimeStatus::Ok };
    said.reports.push(report(socket.to_owned(), status, detail));
    facts.merge(said);
}

/// What a path leads to, where it is one of the kernel's own.
fn proc_inode(context: &Context, path: &str) -> Option<u32> {
    path.starts_with("/proc/").then(|| namespace_inode(context, path)).flatten()
}

/// What a user's low-level runtimes know of that user's Podman's containers, read for a limited time.
async fn of_files(context: &Context, uid: u32) -> Result<Vec<Read>, String> {
    let (sender, receiver) = mpsc::channel();
    let (time, context) = (context.time_left(USER_TIME), context.clone());
    // A thread of its own, left behind when it is late: what waits for a user's file system cannot be told to stop.
    let reader = thread::Builder::new().name("podman-user".to_owned()).spawn(move || {
        // Nobody listens any more where it was late.
        let _late = sender.send(read(&context, uid));
    });
    reader.map_err(|error| error.to_string())?;
    let waited = tokio::task::spawn_blocking(move || receiver.recv_timeout(time).ok()).await;
    waited.ok().flatten().ok_or_else(|| "the user's file system does not answer in time".to_owned())
}

fn read(context: &Context, uid: u32) -> Vec<Read> {
    let files = HostFiles::owned_by(context.options.host_root.clone(), uid);
    let roots = roots::find(context, &Endpoints::default());
    let found = roots.iter().filter(|root| root.uid == Some(uid)).flat_map(of_podman).take(MAX_CONTAINERS);
    let mut stored: BTreeMap<PathBuf, BTreeMap<String, Stored>> = BTreeMap::new();
    let read = |found: Found| {
        let folder = found.bundle.as_deref().filter(|bundle| storage_root(bundle).is_some());
        let folder = folder.and_then(|bundle| bundle.parent()?.parent()).map(Path::to_owned);
        let stored = folder.and_then(|folder| {
            let list = stored.entry(folder.clone()).or_insert_with(|| list(&files, &folder));
            list.get(&found.id).cloned()
        });
        let image = stored.as_ref().and_then(|stored| {
            let metadata: Metadata = serde_json::from_str(&stored.metadata).ok()?;
            Some(metadata.image_name).filter(|image| !image.is_empty())
        });
        Read {
            declared: found.spec.declarations(|path| proc_inode(context, path)),
            name: stored.and_then(|stored| stored.names.into_iter().next()),
            image,
            found,
        }
    };
    found.map(read).collect()
}

/// The containers in a user's storage, by id: only their names and images come from here.
fn list(files: &HostFiles, folder: &Path) -> BTreeMap<String, Stored> {
    let list: Vec<Stored> = files.json(&folder.join("containers.json")).ok().flatten().unwrap_or_default();
    list.into_iter().map(|stored| (stored.id.clone(), stored)).collect()
}

/// Completes what a user's socket said.
fn finish(read: Vec<Read>, uid: u32, processes: &Processes<'_>, facts: &mut RuntimeFacts) {
    let found: BTreeMap<String, Found> =
        read.into_iter().map(|read| (read.found.id.clone(), read.found)).collect();
    for container in facts.containers.iter_mut().filter(|it| it.word_of_uid == Some(uid)) {
        complete(container, found.get(&container.id), processes);
    }
}

/// Adds a user's containers by the user's files.
fn add_files(
    context: &Context,
    read: Vec<Read>,
    uid: u32,
    processes: &Processes<'_>,
    facts: &mut RuntimeFacts,
) {
    if read.is_empty() {
        return;
    }
    let inits: BTreeMap<String, u32> = read.iter().map(|it| (it.found.id.clone(), it.found.pid)).collect();
    let source = context.host(Path::new(USERS).join(uid.to_string())).display().to_string();
    let detail = format!("read from disk: {} containers of uid {uid}", read.len());
    let mut said = RuntimeFacts::default();
    for read in read {
        let (container, pod) = of_file(read, uid, &source, &inits, processes);
        said.containers.push(container);
        said.pods.extend(pod.filter(|pod| !said.pods.iter().any(|it| it.id == pod.id)));
    }
    let what = format!("names of the pods, and exited containers, of uid {uid}'s Podman");
    let why = "its database is not opened as root; its API has them: `systemctl --user start podman.socket`";
    said.gaps.push(Gap::detail(what, why));
    said.reports.push(report(source, RuntimeStatus::Ok, detail));
    facts.merge(said);
}

fn of_file(
    read: Read,
    uid: u32,
    source: &str,
    inits: &BTreeMap<String, u32>,
    processes: &Processes<'_>,
) -> (DeclaredContainer, Option<DeclaredPod>) {
    let Read { found, mut declared, name, image } = read;
    let lives = processes.lives(found.pid, found.start_ticks);
    let annotation = |name: &str| found.spec.annotations.get(name).cloned();
    // Podman names the infra container there as CRI-O names a sandbox.
    let infra = annotation("io.kubernetes.cri-o.SandboxID").filter(|id| cgroup::is_id(id));
    let is_infra = annotation("io.kubernetes.cri-o.ContainerType").as_deref() == Some("sandbox");
    if let Some(pid) = infra.as_ref().filter(|id| **id != found.id).and_then(|id| inits.get(id)) {
        let of_infra = format!("/proc/{pid}/ns/");
        for declaration in declared.values_mut() {
            if matches!(declaration, Declaration::Path { path, .. } if path.starts_with(&of_infra)) {
                *declaration = Declaration::Pod;
            }
        }
    }
    let kernel = processes.cgroup(found.pid).filter(|_| lives);
    let pod = kernel.and_then(|path| {
        cgroup::parse_all(path).find(|name| name.id == found.id).and_then(|name| name.podman_pod)
    });
    let state = match (lives, found.waits) {
        (true, true) => RuntimeState::Created,
        (true, false) => RuntimeState::Running,
        (false, _) => RuntimeState::Exited,
    };
    let mut container = DeclaredContainer {
        name: name.or_else(|| Some(found.id.clone())),
        image,
        state,
        pid: if lives { found.pid } else { 0 },
        created_at: found.created_at,
        infra_mark: cri::sandbox_mark(&found.spec),
        command: found.spec.process.args.clone(),
        declared,
        pod: pod.clone(),
        word_of_uid: Some(uid),
        opaque: found.opaque.clone(),
        ignore: Ignore::of(|name| found.spec.annotations.get(name).map(String::as_str)),
        ..DeclaredContainer::new(&found.id, Runtime::Podman, Origin::Podman, source)
    };
    complete(&mut container, Some(&found), processes);
    let infra = if is_infra { Some(found.id) } else { infra };
    let pod = pod.map(|id| DeclaredPod {
        infra: infra.map_or(Infra::Unknown, Infra::Container),
        ready: Some(lives),
        runtime: Some(Runtime::Podman),
        word_of_uid: Some(uid),
        ..DeclaredPod::new(&id, &id, Origin::Podman)
    });
    (container, pod)
}

/// A user's word is good for what the kernel bears out: not for a cgroup that its process is not in, nor for the host's
/// namespaces, since rootless Podmans run in namespaces of their own and call those the host's.
fn keep_what_a_user_can_say(
    facts: &mut RuntimeFacts,
    uid: u32,
    host: &HostNamespaces,
    processes: &Processes<'_>,
) {
    for container in facts.containers.iter_mut().filter(|it| it.word_of_uid == Some(uid)) {
        let init = processes.task(container.pid);
        let kernel = init.and_then(|task| task.cgroup.as_deref());
        let inside = |path: &String| {
            kernel
                .and_then(|kernel| kernel.strip_prefix(path.as_str()))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        container.cgroup = container.cgroup.take().filter(inside);
        container.declared.retain(|kind, declaration| {
            let inode = init.and_then(|task| task.namespaces.get(*kind));
            *declaration != Declaration::Host
                || inode.and_then(|inode| host.is_host(*kind, inode)) == Some(true)
        });
    }
}
