//! Docker's API: what the daemon itself says, within limits that hold whatever answers.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::declared::Daemon;
use super::record::Record;
use crate::source::Context;
use crate::source::http::{Client, Error};
use crate::source::oci::spec::null_as_default;
use crate::state::cgroup::is_id;

/// The longest list of containers.
const MAX_LIST_BYTES: usize = 64 << 20;
/// The longest answer about one container, or about the daemon.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// The longest that one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Requests under way at once; and how many may be late before the rest is not asked for.
const CONCURRENCY: usize = 8;

/// What a daemon said.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its version and cgroup driver, for a reader.
    pub description: String,
    /// What it is like.
    pub daemon: Daemon,
    /// Its containers.
    pub records: Vec<Record>,
    /// The ids of those that it listed and did not describe, and why.
    pub missing: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    docker_root_dir: String,
    #[serde(default)]
    cgroup_driver: String,
    #[serde(default, deserialize_with = "null_as_default")]
    security_options: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

/// Asks a daemon for everything.
///
/// # Errors
/// When it gives no whole and sensible answer about itself, or no list of its containers.
pub async fn ask(client: &Client, context: &Context) -> Result<Answer, Error> {
    let version: Version = get(client, context, "/version", MAX_ANSWER_BYTES).await?;
    if version.components.iter().any(|component| component.name.starts_with("Podman")) {
        // Podman's package links Docker's socket to its own.
        return Err(Error::Absent(format!("{} is Podman's, not Docker's", client.socket().display())));
    }
    let info: Info = get(client, context, "/info", MAX_ANSWER_BYTES).await?;
    let list: Vec<Listed> = get(client, context, "/containers/json?all=1", MAX_LIST_BYTES).await?;
    let ids = list.into_iter().map(|listed| listed.id).collect();
    let (records, missing) = inspect(client, context, ids).await;
    Ok(Answer {
        description: format!("Docker {}, {}", version.version, info.cgroup_driver),
        daemon: Daemon {
            remaps_users: info
                .security_options
                .iter()
                .any(|option| option.split(',').any(|part| part == "name=userns")),
            root: info.docker_root_dir,
        },
        records,
        missing,
    })
}

/// Asks for each container by itself: the list has neither modes nor times.
async fn inspect(
    client: &Client,
    context: &Context,
    ids: Vec<String>,
) -> (Vec<Record>, Vec<(String, String)>) {
    let (ids, strange): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| is_id(id));
    let mut missing: Vec<_> =
        strange.into_iter().map(|id| (id, "its id is not one that Docker makes".to_owned())).collect();
    let (mut records, mut waiting, mut asked, mut late) = (Vec::new(), ids.into_iter(), JoinSet::new(), 0);
    loop {
        while asked.len() < CONCURRENCY && late < CONCURRENCY {
            let Some(id) = waiting.next() else { break };
            let (client, time) = (client.clone(), context.time_left(REQUEST_TIME));
            asked.spawn(async move {
                let answer = client.get(&format!("/containers/{id}/json"), MAX_ANSWER_BYTES, time).await;
                (id, answer.and_then(|body| parse::<Record>("its inspection", &body)))
            });
        }
        let Some(done) = asked.join_next().await else { break };
        match done {
            Ok((id, Ok(record))) if record.id == id => records.push(record),
            Ok((id, Ok(_))) => missing.push((id, "the answer was about another container".to_owned())),
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
    records.sort_by(|one, other| one.id.cmp(&other.id));
    missing.sort();
    (records, missing)
}

async fn get<T: DeserializeOwned>(
    client: &Client,
    context: &Context,
    target: &str,
    max_bytes: usize,
) -> Result<T, Error> {
    match client.get(target, max_bytes, context.time_left(REQUEST_TIME)).await {
        Ok(body) => parse(&format!("the answer to GET {target}"), &body),
        // Not for this: whoever answers here does not speak Docker's API.
        Err(Error::NotFound(why)) => Err(Error::Failed(why)),
        Err(error) => Err(error),
    }
}

/// Says where an answer went wrong, not what was there: it may hold secrets.
fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Failed(format!("{what} is not what Docker answers (line {line}, column {column})"))
    })
}
