//! Podman's API (libpod's, not Docker's): what Podman itself says, within limits that hold whatever answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::inspect::{Container, Pod};
use super::record::Contents;
use crate::source::Context;
use crate::source::http::{Client, Error};
use crate::state::cgroup::is_id;

/// The version of the API that Podman 4 and 5 both speak.
const API: &str = "/v4.0.0/libpod";
/// What every answer of Podman's has, and no other's: its version.
const VERSION_HEADER: &str = "libpod-api-version";
/// The longest list.
const MAX_LIST_BYTES: usize = 64 << 20;
/// The longest answer about one thing.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// The longest that one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Requests under way at once; and how many may be late before the rest is not asked for.
const CONCURRENCY: usize = 8;

/// What a Podman said.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its version.
    pub version: String,
    /// Its storage root, as the host names it; its containers tell, so that it is known only where one was described.
    pub root: Option<PathBuf>,
    /// Its containers and pods.
    pub contents: Contents,
    /// The ids of containers that it listed and did not describe, and why.
    pub missing: Vec<(String, String)>,
    /// The same of pods.
    pub missing_pods: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

/// Asks a Podman for everything; for at most `max_containers`, the rest is missing.
///
/// # Errors
/// When it gives no whole and sensible list, or is no Podman.
pub async fn ask(client: &Client, context: &Context, max_containers: usize) -> Result<Answer, Error> {
    // Its version is a header, and its storage root in every container: `info` and `version` tell both, but run
    // conmon, the OCI runtime, the network's helpers and dpkg or rpm for it, a hundred times the work of all the rest.
    let list = format!("{API}/containers/json?all=true");
    let (headers, containers) = get::<Option<Vec<Listed>>>(client, context, &list, MAX_LIST_BYTES).await?;
    let Some(version) = headers.get(VERSION_HEADER).and_then(|version| version.to_str().ok()) else {
        return Err(Error::Failed(format!("{} is not Podman's", client.socket().display())));
    };
    let pods = format!("{API}/pods/json");
    let (_, pods) = get::<Option<Vec<Listed>>>(client, context, &pods, MAX_LIST_BYTES).await?;
    let mut ids: Vec<String> = containers.into_iter().flatten().map(|listed| listed.id).collect();
    let mut pod_ids: Vec<String> = pods.into_iter().flatten().map(|listed| listed.id).collect();
    let beyond = ids.split_off(ids.len().min(max_containers));
    pod_ids.truncate(max_containers);
    let (found, mut missing) = inspect::<Container>(client, context, "containers", ids).await;
    let (found_pods, missing_pods) = inspect::<Pod>(client, context, "pods", pod_ids).await;
    if !beyond.is_empty() {
        missing.push((
            format!("{} and {} more", beyond[0], beyond.len() - 1),
            format!("no more than {max_containers} are asked for"),
        ));
    }
    Ok(Answer {
        version: version.to_owned(),
        root: found.values().find_map(Container::storage_root).map(Path::to_owned),
        contents: Contents {
            containers: found.into_values().map(Container::into_record).collect(),
            pods: found_pods.into_values().map(Pod::into_record).collect(),
        },
        missing,
        missing_pods,
    })
}

/// What has an id of its own.
trait Identified: DeserializeOwned + Send + 'static {
    fn id(&self) -> &str;
}

impl Identified for Container {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Pod {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Asks for each by itself: the lists have neither modes nor times.
async fn inspect<T: Identified>(
    client: &Client,
    context: &Context,
    what: &'static str,
    ids: Vec<String>,
) -> (BTreeMap<String, T>, Vec<(String, String)>) {
    let (ids, strange): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| is_id(id));
    let mut missing: Vec<_> =
        strange.into_iter().map(|id| (id, "its id is not one that Podman makes".to_owned())).collect();
    let (mut found, mut waiting, mut asked, mut late) = (BTreeMap::new(), ids.into_iter(), JoinSet::new(), 0);
    loop {
        while asked.len() < CONCURRENCY && late < CONCURRENCY {
            let Some(id) = waiting.next() else { break };
            let (client, time) = (client.clone(), context.time_left(REQUEST_TIME));
            asked.spawn(async move {
                let answer = client.get(&format!("{API}/{what}/{id}/json"), MAX_ANSWER_BYTES, time).await;
                (id, answer.and_then(|body| parse::<T>("its inspection", &body)))
            });
        }
        let Some(done) = asked.join_next().await else { break };
        match done {
            Ok((id, Ok(answer))) if answer.id() == id => {
                found.insert(id, answer);
            }
            Ok((id, Ok(_))) => missing.push((id, "the answer was about another one".to_owned())),
            // Removed since it was listed.
            Ok((_, Err(Error::NotFound(_)))) => {}
            Ok((id, Err(error))) => {
                late += usize::from(matches!(error, Error::Late(_)));
                missing.push((id, error.to_string()));
            }
            Err(error) => missing.push((String::new(), error.to_string())),
        }
    }
    let why = format!("not asked for: {late} answers before were late");
    missing.extend(waiting.map(|id| (id, why.clone())));
    missing.sort();
    (found, missing)
}

async fn get<T: DeserializeOwned>(
    client: &Client,
    context: &Context,
    target: &str,
    max_bytes: usize,
) -> Result<(HeaderMap, T), Error> {
    match client.get_with_headers(target, max_bytes, context.time_left(REQUEST_TIME)).await {
        Ok(answer) => Ok((answer.headers, parse(&format!("the answer to GET {target}"), &answer.body)?)),
        // Not for this: whoever answers here does not speak Podman's API.
        Err(Error::NotFound(why)) => Err(Error::Failed(why)),
        Err(error) => Err(error),
    }
}

/// Says where an answer went wrong, not what was there: it may hold secrets.
fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::Failed(format!(
            "{what} is not what Podman answers (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}
