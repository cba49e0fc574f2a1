//! Asks a containerd by its own API, version 1: what containers and tasks it has in each of its namespaces but
//! Docker's, within limits that hold whatever answers.
//!
//! It must not change anything at the daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::messages::{
    Empty, ListContainersResponse, ListNamespacesResponse, ListTasksResponse, Process, VersionResponse,
};
use super::record::{DOCKER, Known, Record, Task};
use crate::observation::RuntimeState;
use crate::source::Context;
use crate::source::grpc::{Client, Error};
use crate::source::http::Trust;

/// The longest answer: containers come with their specifications, some 20 KB each.
const MAX_BYTES: usize = 64 << 20;
/// The longest that one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The most namespaces that are asked about.
const MAX_NAMESPACES: usize = 256;

const VERSION: &str = "/containerd.services.version.v1.Version/Version";
const LIST_NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";
const LIST_CONTAINERS: &str = "/containerd.services.containers.v1.Containers/List";
const LIST_TASKS: &str = "/containerd.services.tasks.v1.Tasks/List";

/// What it said.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its version.
    pub version: String,
    /// Its containers, by namespace and id.
    pub known: Vec<Known>,
    /// What it did not tell, and why.
    pub missing: Vec<(String, String)>,
}

/// Asks it for everything.
///
/// # Errors
/// When it does not answer, or does not speak this API.
pub async fn ask(socket: &Path, trust: Trust, context: &Context) -> Result<Answer, Error> {
    let client = Client::connect(socket, trust, context.time_left(REQUEST_TIME)).await?;
    let time = || context.time_left(REQUEST_TIME);
    let version: VersionResponse = client.call(VERSION, Empty {}, MAX_BYTES, time()).await?;
    let listed: ListNamespacesResponse = client.call(LIST_NAMESPACES, Empty {}, MAX_BYTES, time()).await?;
    let mut names: Vec<String> = listed.namespaces.into_iter().map(|it| it.name).collect();
    names.retain(|name| name != DOCKER);
    names.sort();
    let mut answer = Answer { version: version.version, ..Answer::default() };
    for name in names.split_off(names.len().min(MAX_NAMESPACES)) {
        let why = format!("more than {MAX_NAMESPACES} namespaces; this one was not asked about");
        answer.missing.push((format!("namespace {name}"), why));
    }
    for name in names {
        match containers(&client, &name, context).await {
            Ok(known) => answer.known.extend(known),
            Err(error) => answer.missing.push((format!("namespace {name}"), error.to_string())),
        }
    }
    Ok(answer)
}

async fn containers(client: &Client, namespace: &str, context: &Context) -> Result<Vec<Known>, Error> {
    let client = client.with_metadata("containerd-namespace", namespace)?;
    let time = || context.time_left(REQUEST_TIME);
    // The tasks first: a container that starts in between is then seen as created, not as a task without a container.
    let tasks: ListTasksResponse = client.call(LIST_TASKS, Empty {}, MAX_BYTES, time()).await?;
    let listed: ListContainersResponse = client.call(LIST_CONTAINERS, Empty {}, MAX_BYTES, time()).await?;
    let mut tasks: BTreeMap<String, Task> =
        tasks.tasks.into_iter().map(|process| (process.id.clone(), task(&process))).collect();
    let mut known: Vec<Known> = listed
        .containers
        .into_iter()
        .map(|container| Known {
            task: tasks.remove(&container.id),
            record: Record::of(namespace, container),
        })
        .collect();
    known.sort_by(|one, other| one.record.id.cmp(&other.record.id));
    Ok(known)
}

fn task(process: &Process) -> Task {
    let state = match process.status {
        1 => RuntimeState::Created,
        2 | 4 | 5 => RuntimeState::Running,
        3 => RuntimeState::Exited,
        _ => RuntimeState::Unknown,
    };
    let exited = state == RuntimeState::Exited;
    Task {
        pid: process.pid,
        state,
        exit_code: i32::try_from(process.exit_status).ok().filter(|_| exited),
        exited_at: process.exited_at.and_then(super::messages::Moment::time).filter(|_| exited),
        ..Task::default()
    }
}
