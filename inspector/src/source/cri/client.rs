//! Asks a runtime by the Container Runtime Interface: what sandboxes and containers it has, within limits that hold
//! whatever answers.
//!
//! It must not change anything at the runtime, keep an environment, or let one bad answer spoil the others.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::info::{Info, namespace_options};
use super::messages::{
    ContainerStatus, ContainerStatusResponse, ListContainersResponse, ListRequest, ListSandboxesResponse,
    Mount, NamespaceOption, SandboxStatus, SandboxStatusResponse, StatusRequest, VersionRequest,
    VersionResponse,
};
use super::model::{Container, CriMount, CriNode, NamespaceOptions, Sandbox};
use super::{declared, opaque};
use crate::observation::{Ignore, RuntimeState};
use crate::source::Context;
use crate::source::grpc::{Client, Error};
use crate::source::http::Trust;
use crate::state::cgroup::is_id;

/// The longest answer of any kind: what the kubelet too accepts.
const MAX_BYTES: usize = 16 << 20;
/// The longest that one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Requests under way at once; and how many may be late before the rest is not asked for.
const CONCURRENCY: usize = 8;

const VERSION: &str = "/runtime.v1.RuntimeService/Version";
const LIST_SANDBOXES: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
const LIST_CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
const SANDBOX_STATUS: &str = "/runtime.v1.RuntimeService/PodSandboxStatus";
const CONTAINER_STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";

/// What a runtime said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// `containerd`, `cri-o`, …
    pub runtime_name: String,
    /// Its version.
    pub runtime_version: String,
    /// Its sandboxes and containers, sorted by id.
    pub node: CriNode,
    /// The ids of those that it listed and did not describe, or not in full, and why. The latter are in `node` with
    /// what was told of them. Sorted.
    pub missing: Vec<(String, String)>,
}

/// One of the things asked about, and what of it could not be understood.
enum Told {
    Sandbox(Box<Sandbox>, Option<String>),
    Container(Box<Container>, Option<String>),
}

/// One of the things to ask about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Sandbox(String),
    Container { id: String, sandbox: String },
}

impl Wanted {
    fn id(&self) -> &str {
        match self {
            Self::Sandbox(id) | Self::Container { id, .. } => id,
        }
    }
}

/// Asks a runtime for everything.
///
/// # Errors
/// When it does not answer, or does not speak this interface.
pub async fn ask(socket: &Path, trust: Trust, context: &Context) -> Result<Answer, Error> {
    let client = Client::connect(socket, trust, context.time_left(REQUEST_TIME)).await?;
    let time = || context.time_left(REQUEST_TIME);
    let version: VersionResponse = client.call(VERSION, VersionRequest {}, MAX_BYTES, time()).await?;
    // The containers first: a pod that starts in between is then seen with too few of them in its sandbox, not as
    // containers without a sandbox.
    let containers: ListContainersResponse =
        client.call(LIST_CONTAINERS, ListRequest {}, MAX_BYTES, time()).await?;
    let sandboxes: ListSandboxesResponse =
        client.call(LIST_SANDBOXES, ListRequest {}, MAX_BYTES, time()).await?;
    let containers = containers
        .containers
        .into_iter()
        .map(|container| Wanted::Container { id: container.id, sandbox: container.pod_sandbox_id });
    let wanted = sandboxes.items.into_iter().map(|sandbox| Wanted::Sandbox(sandbox.id)).chain(containers);
    let wanted = wanted.collect::<BTreeSet<_>>();
    let (node, missing) = describe(&client, context, wanted).await;
    let VersionResponse { runtime_name, runtime_version } = version;
    Ok(Answer { runtime_name, runtime_version, node, missing })
}

/// Asks for each by itself: the lists have neither modes nor pids.
async fn describe(
    client: &Client,
    context: &Context,
    wanted: BTreeSet<Wanted>,
) -> (CriNode, Vec<(String, String)>) {
    let (wanted, strange): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|wanted| is_id(wanted.id()));
    let why = "its id is not one that a runtime makes";
    let mut missing: Vec<_> = strange.iter().map(|wanted| (wanted.id().to_owned(), why.to_owned())).collect();
    let (mut node, mut waiting, mut asked, mut late) =
        (CriNode::default(), wanted.into_iter(), JoinSet::new(), 0);
    loop {
        while asked.len() < CONCURRENCY && late < CONCURRENCY {
            let Some(wanted) = waiting.next() else { break };
            let (client, time) = (client.clone(), context.time_left(REQUEST_TIME));
            asked.spawn(async move { (status(&client, &wanted, time).await, wanted.id().to_owned()) });
        }
        let Some(done) = asked.join_next().await else { break };
        match done {
            Ok((Ok(told), id)) => {
                let incomplete = match told {
                    Told::Sandbox(sandbox, incomplete) => {
                        node.sandboxes.push(*sandbox);
                        incomplete
                    }
                    Told::Container(container, incomplete) => {
                        node.containers.push(*container);
                        incomplete
                    }
                };
                missing.extend(incomplete.map(|why| (id, why)));
            }
            // Removed since it was listed.
            Ok((Err(Error::NotFound(_)), _)) => {}
            Ok((Err(error), id)) => {
                late += usize::from(matches!(error, Error::Late(_)));
                missing.push((id, error.to_string()));
            }
            Err(error) => missing.push((String::new(), error.to_string())),
        }
    }
    let why = format!("not asked for: {late} answers before were late");
    missing.extend(waiting.map(|wanted| (wanted.id().to_owned(), why.clone())));
    node.sandboxes.sort_by(|one, other| one.id.cmp(&other.id));
    node.containers.sort_by(|one, other| one.id.cmp(&other.id));
    missing.sort();
    (node, missing)
}

async fn status(client: &Client, wanted: &Wanted, time: Duration) -> Result<Told, Error> {
    let request = StatusRequest { id: wanted.id().to_owned(), verbose: true };
    let another = || Error::Failed("the answer was about another one".to_owned());
    match wanted {
        Wanted::Sandbox(id) => {
            let answer: SandboxStatusResponse = client.call(SANDBOX_STATUS, request, MAX_BYTES, time).await?;
            let status = answer.status.filter(|status| status.id == *id).ok_or_else(another)?;
            let (info, incomplete) = understood(Info::read(&answer.info));
            Ok(Told::Sandbox(Box::new(sandbox(status, info)), incomplete))
        }
        Wanted::Container { id, sandbox } => {
            let answer: ContainerStatusResponse =
                client.call(CONTAINER_STATUS, request, MAX_BYTES, time).await?;
            let status = answer.status.filter(|status| status.id == *id).ok_or_else(another)?;
            let (info, incomplete) = understood(Info::read(&answer.info));
            Ok(Told::Container(Box::new(container(status, sandbox, info)), incomplete))
        }
    }
}

/// What there is of verbose information, and what is wrong with it. Runtimes that give none exist.
fn understood(info: Result<Option<Info>, String>) -> (Info, Option<String>) {
    match info {
        Ok(Some(info)) => (info, None),
        Ok(None) => (Info::default(), Some("its runtime tells neither its pid nor its specification".into())),
        Err(why) => (Info::default(), Some(why)),
    }
}

fn sandbox(status: SandboxStatus, info: Info) -> Sandbox {
    let metadata = status.metadata.unwrap_or_default();
    let options = status
        .linux
        .and_then(|linux| linux.namespaces?.options)
        .map(|options| modes(&options))
        .or_else(|| info.config.options());
    let ready = status.state == 0;
    let ignore = ignore(&status.annotations, &status.labels);
    let spec = info.runtime_spec;
    Sandbox {
        id: status.id,
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        attempt: metadata.attempt,
        ready: Some(ready),
        created_at: moment(status.created_at),
        options,
        pid: info.pid,
        cgroup: None,
        image: text(info.image),
        infra_name: None,
        processless: spec.as_ref().is_some_and(declared::is_spoofed),
        mark: spec
            .as_ref()
            .and_then(declared::sandbox_mark)
            .unwrap_or_else(|| "listed as a sandbox by CRI".to_owned()),
        opaque: [&status.runtime_handler, &info.runtime_handler, &info.runtime_type]
            .into_iter()
            .find_map(|name| opaque(name)),
        ignore,
        spec,
        ..Sandbox::default()
    }
}

fn container(status: ContainerStatus, sandbox: &str, info: Info) -> Container {
    let metadata = status.metadata.unwrap_or_default();
    let state = match status.state {
        0 => RuntimeState::Created,
        1 => RuntimeState::Running,
        2 => RuntimeState::Exited,
        _ => RuntimeState::Unknown,
    };
    let exited = state == RuntimeState::Exited;
    let ignore = ignore(&status.annotations, &status.labels);
    let image = status.image.unwrap_or_default();
    let spec = info.runtime_spec;
    // Named by the kubelet, else as the runtime wrote it down for itself: its files say the same.
    let image = text(image.user_specified_image)
        .or_else(|| text(info.config.image.user_specified_image.clone()))
        .or_else(|| spec.as_ref().and_then(declared::image))
        .or_else(|| text(image.image))
        .or_else(|| text(status.image_ref));
    let listed: Vec<CriMount> = status.mounts.into_iter().map(mount).collect();
    // Not every runtime and release tells its status' volumes; an empty list there proves nothing.
    let mounts = Some(listed).filter(|mounts| !mounts.is_empty()).or_else(|| info.config.mounts());
    Container {
        id: status.id,
        sandbox: sandbox.to_owned(),
        name: metadata.name,
        attempt: metadata.attempt,
        image,
        state,
        created_at: moment(status.created_at),
        started_at: moment(status.started_at),
        finished_at: moment(status.finished_at),
        // CRI-O says -1 where it did not see the end.
        exit_code: exited.then_some(status.exit_code).filter(|code| *code >= 0),
        oom_killed: status.reason == "OOMKilled",
        pid: if state == RuntimeState::Running { info.pid } else { 0 },
        start_ticks: None,
        options: info.config.options(),
        cgroup: None,
        mounts,
        opaque: opaque(&info.runtime_type),
        ignore,
        spec,
    }
}

fn ignore(annotations: &HashMap<String, String>, labels: &HashMap<String, String>) -> Option<Ignore> {
    let of = |map: &HashMap<String, String>| Ignore::of(|name| map.get(name).map(String::as_str));
    of(annotations).or_else(|| of(labels))
}

fn modes(options: &NamespaceOption) -> NamespaceOptions {
    let user = options.userns_options.as_ref().map(|user| user.mode);
    namespace_options(options.network, options.pid, options.ipc, &options.target_id, user)
}

fn mount(mount: Mount) -> CriMount {
    CriMount { host_path: mount.host_path, container_path: mount.container_path, read_only: mount.readonly }
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Nanoseconds since 1970; 0 and what is before stand for never.
fn moment(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}
