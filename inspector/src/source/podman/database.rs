//! libpod's state on disk: Podman 4's bbolt file and Podman 5's SQLite file, which hold the same JSON.
//!
//! Both are read from a copy in memory, taken while nobody writes. Only root's are ever opened: a database that a user
//! made is a program in a language for attacking its readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB};
use serde::de::DeserializeOwned;

use super::libpod::{ContainerConfig, ContainerState, PodConfig, PodState, VolumeConfig};
use super::record::{Contents, PodRecord, Record};
use crate::observation::Gap;
use crate::source::bolt::{self, Bucket, Db};
use crate::source::oci::file::HostFiles;

/// Podman 4's, below its storage root.
const BOLT: &str = "libpod/bolt_state.db";
/// Podman 5's.
const SQLITE: &str = "db.sql";
/// How often to copy a file that is being written, and how long to wait in between.
const COPIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);
/// The most rows of one table, and the longest value in one.
const MAX_ROWS: usize = 200_000;
/// Where Podman keeps what does not outlive a boot, unless the database says otherwise.
const TMP_DIR: &str = "/run/libpod";

/// What a storage root's database holds.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Its containers and pods.
    pub contents: Contents,
    /// Where conmon leaves exit codes.
    pub tmp_dir: PathBuf,
    /// The file, as the host names it.
    pub path: PathBuf,
}

/// An id or name, and the JSON of its row or bucket.
type Row = (String, Vec<Vec<u8>>);

/// What both sorts of database have.
#[derive(Debug, Default)]
struct Tables {
    /// Configuration and state.
    containers: Vec<Row>,
    /// Configuration and state.
    pods: Vec<Row>,
    /// Configuration.
    volumes: Vec<Row>,
    tmp_dir: Option<String>,
    volume_dir: Option<String>,
}

/// Whether a storage root has a database of Podman's.
#[must_use]
pub fn exists(files: &HostFiles, root: &Path) -> bool {
    [BOLT, SQLITE].iter().any(|name| files.modified(&root.join(name)).is_some())
}

/// Reads a storage root's database; `None` where it has none. What is wrong with single entries goes into `gaps`.
///
/// # Errors
/// A sentence that says why it cannot be read or believed.
pub fn read(files: &HostFiles, root: &Path, gaps: &mut Vec<Gap>) -> Result<Option<State>, String> {
    // Where both are there Podman itself goes on with the first.
    let path = root.join(BOLT);
    if let Some(tables) = bolt::read(files, &path, of_bolt).map_err(|error| error.to_string())? {
        return Ok(Some(tables.into_state(path, root, gaps)));
    }
    let path = root.join(SQLITE);
    let beside = [root.join("db.sql-journal"), root.join("db.sql-wal")];
    let Some(bytes) = copy(files, &path, &beside)? else { return Ok(None) };
    let tables = of_sqlite(bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(tables.into_state(path, root, gaps)))
}

/// Copies a file until two copies in a row are equal, while the files `beside` it that hold half of a transaction are
/// empty or not there.
fn copy(files: &HostFiles, path: &Path, beside: &[PathBuf]) -> Result<Option<Vec<u8>>, String> {
    let read = |path: &Path| files.read(path).map_err(|error| error.to_string());
    let quiet = || -> Result<bool, String> {
        for file in beside {
            if read(file)?.is_some_and(|bytes| !bytes.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let mut last = None;
    for _ in 0..COPIES {
        let Some(bytes) = read(path)? else { return Ok(None) };
        if quiet()? && last.as_ref() == Some(&bytes) {
            return Ok(Some(bytes));
        }
        last = Some(bytes);
        thread::sleep(PAUSE);
    }
    Err(format!("{} is being written all the time, or a crash left a transaction in it", path.display()))
}

/// Podman 4's tables: a bucket for each container, pod and volume.
fn of_bolt(database: &Db) -> Result<Tables, bolt::Error> {
    let rows = |name: &str, keys: &[&str]| -> Result<Vec<Row>, bolt::Error> {
        let Some(bucket) = database.bucket(&[name.as_bytes()])? else { return Ok(Vec::new()) };
        let row = |(id, bucket): (Vec<u8>, Bucket<'_>)| {
            let value = |key: &&str| Ok(bucket.value(key.as_bytes())?.unwrap_or_default());
            let values = keys.iter().map(value).collect::<Result<_, bolt::Error>>()?;
            Ok((String::from_utf8_lossy(&id).into_owned(), values))
        };
        bucket.buckets()?.into_iter().map(row).collect()
    };
    let settings = database.bucket(&[b"runtime-config"])?;
    let setting = |name: &str| -> Result<Option<String>, bolt::Error> {
        let value = settings.as_ref().map(|settings| settings.value(name.as_bytes())).transpose()?.flatten();
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    };
    Ok(Tables {
        containers: rows("ctr", &["config", "state"])?,
        pods: rows("pod", &["config", "state"])?,
        volumes: rows("vol", &["config"])?,
        tmp_dir: setting("tmp-dir")?,
        volume_dir: setting("volume-path")?,
    })
}

/// Podman 5's tables.
fn of_sqlite(mut bytes: Vec<u8>) -> Result<Tables, rusqlite::Error> {
    // A database in WAL mode cannot be opened in memory. Its log is empty: see `copy`.
    if let Some([write, read]) = bytes.get_mut(18..20) {
        (*write, *read) = (1, 1);
    }
    let database = open(&bytes)?;
    let mut settings = rows(&database, "SELECT '', TmpDir, VolumeDir FROM DBConfig")?.into_iter();
    let mut settings = settings.next().map(|(_, values)| values).unwrap_or_default().into_iter();
    let mut setting = || settings.next().map(|value| String::from_utf8_lossy(&value).into_owned());
    Ok(Tables {
        tmp_dir: setting(),
        volume_dir: setting(),
        containers: rows(
            &database,
            "SELECT ContainerConfig.ID, ContainerConfig.JSON, ContainerState.JSON FROM ContainerConfig \
             JOIN ContainerState ON ContainerConfig.ID = ContainerState.ID ORDER BY ContainerConfig.ID",
        )?,
        pods: rows(
            &database,
            "SELECT PodConfig.ID, PodConfig.JSON, PodState.JSON FROM PodConfig \
             JOIN PodState ON PodConfig.ID = PodState.ID ORDER BY PodConfig.ID",
        )?,
        volumes: rows(&database, "SELECT Name, JSON, '' FROM VolumeConfig ORDER BY Name")?,
    })
}

impl Tables {
    fn into_state(self, path: PathBuf, root: &Path, gaps: &mut Vec<Gap>) -> State {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let volumes = folders(&self.volumes, text(self.volume_dir).as_deref(), root);
        State {
            contents: Contents {
                containers: container_records(&self.containers, &volumes, gaps),
                pods: pod_records(&self.pods, gaps),
            },
            tmp_dir: text(self.tmp_dir).map_or_else(|| PathBuf::from(TMP_DIR), PathBuf::from),
            path,
        }
    }
}

/// A database in memory, read only, whose own schema may run nothing.
fn open(bytes: &[u8]) -> rusqlite::Result<Connection> {
    let mut database = Connection::open_in_memory()?;
    database.deserialize_read_exact(MAIN_DB, bytes, bytes.len(), true)?;
    database.pragma_update(None, "query_only", true)?;
    database.pragma_update(None, "trusted_schema", false)?;
    Ok(database)
}

fn rows(database: &Connection, query: &str) -> rusqlite::Result<Vec<Row>> {
    let mut statement = database.prepare(query)?;
    // A column's type is no promise: Podman gives its JSON as bytes, and SQLite keeps it as such in a column of text.
    let bytes = |row: &rusqlite::Row<'_>, index: usize| -> rusqlite::Result<Vec<u8>> {
        Ok(row.get_ref(index)?.as_bytes_or_null()?.unwrap_or_default().to_vec())
    };
    let rows = statement.query_map([], |row| {
        let id = String::from_utf8_lossy(&bytes(row, 0)?).into_owned();
        Ok((id, vec![bytes(row, 1)?, bytes(row, 2)?]))
    })?;
    rows.take(MAX_ROWS).collect()
}

/// The folders of the volumes, by name.
fn folders(volumes: &[Row], folder: Option<&str>, root: &Path) -> BTreeMap<String, String> {
    let usual = folder.map_or_else(|| root.join("volumes"), PathBuf::from);
    let folder = |(name, values): &Row| {
        let told = values.first().and_then(|json| serde_json::from_slice::<VolumeConfig>(json).ok());
        let told = told.map(|volume| volume.mount_point).filter(|path| !path.is_empty());
        let usual = || usual.join(name).join("_data").to_string_lossy().into_owned();
        (name.clone(), told.unwrap_or_else(usual))
    };
    volumes.iter().map(folder).collect()
}

fn container_records(rows: &[Row], volumes: &BTreeMap<String, String>, gaps: &mut Vec<Gap>) -> Vec<Record> {
    let record = |(id, values): &Row| {
        let config: ContainerConfig = part("container", id, "configuration", values.first(), gaps)?;
        let state: ContainerState = part("container", id, "state", values.get(1), gaps)?;
        (config.id == *id).then(|| config.into_record(&state, volumes))
    };
    rows.iter().filter_map(record).collect()
}

fn pod_records(rows: &[Row], gaps: &mut Vec<Gap>) -> Vec<PodRecord> {
    let record = |(id, values): &Row| {
        let config: PodConfig = part("pod", id, "configuration", values.first(), gaps)?;
        let state: PodState = part("pod", id, "state", values.get(1), gaps)?;
        (config.id == *id).then(|| config.into_record(state))
    };
    rows.iter().filter_map(record).collect()
}

/// One piece of JSON. Says where it went wrong, not what was there: it may hold secrets.
fn part<T: DeserializeOwned>(
    what: &str,
    id: &str,
    which: &str,
    json: Option<&Vec<u8>>,
    gaps: &mut Vec<Gap>,
) -> Option<T> {
    match serde_json::from_slice(json.map(Vec::as_slice).unwrap_or_default()) {
        Ok(part) => Some(part),
        Err(error) => {
            let why = format!(
                "its {which} in Podman's database is not what Podman writes (line {}, column {})",
                error.line(),
                error.column()
            );
            gaps.push(Gap::deciding(format!("{what} {id}"), why));
            None
        }
    }
}
