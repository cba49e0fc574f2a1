//! containerd's database, `meta.db`: the containers of all of its namespaces but Docker's.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use prost::Message as _;

use super::messages::Any;
use super::record::{DOCKER, Record};
use crate::source::bolt::{self, Bucket, Db, Entry};
use crate::source::oci::file::HostFiles;

/// Where it lies below containerd's root.
const FILE: &str = "io.containerd.metadata.v1.bolt/meta.db";
/// Seconds from the first year, from which Go counts, to 1970.
const UNIX_EPOCH_S: i64 = 62_135_596_800;

/// The database of a root.
#[must_use]
pub fn path(root: &Path) -> PathBuf {
    root.join(FILE)
}

/// The root that a database is of, by its path.
#[must_use]
pub fn root_of(database: &Path) -> Option<PathBuf> {
    let root = database.parent()?.parent()?;
    (root.is_absolute() && path(root) == database).then(|| root.to_owned())
}

/// Every container in it, sorted by namespace and id; `None` where there is no database.
///
/// # Errors
/// When it may not be read or is damaged.
pub fn read(files: &HostFiles, root: &Path) -> Result<Option<Vec<Record>>, bolt::Error> {
    bolt::read(files, &path(root), records)
}

fn records(db: &Db) -> Result<Vec<Record>, bolt::Error> {
    let mut records = Vec::new();
    let Some(version) = db.bucket(&[b"v1"])? else { return Ok(records) };
    for (namespace, bucket) in version.buckets()? {
        let namespace = String::from_utf8_lossy(&namespace).into_owned();
        if namespace == DOCKER {
            continue;
        }
        let Some(containers) = bucket.bucket(b"containers")? else { continue };
        for (id, container) in containers.buckets()? {
            let id = String::from_utf8_lossy(&id).into_owned();
            records.push(record(namespace.clone(), id, &container)?);
        }
    }
    Ok(records)
}

fn record(namespace: String, id: String, bucket: &Bucket<'_>) -> Result<Record, bolt::Error> {
    let mut record = Record { namespace, id, ..Record::default() };
    for (key, entry) in bucket.entries()? {
        match (key.as_slice(), entry) {
            (b"createdat", Entry::Value(value)) => record.created_at = go_time(&value),
            (b"image", Entry::Value(value)) => record.image = text(&value),
            (b"spec", Entry::Value(value)) => match Any::decode(value.as_slice()) {
                Ok(spec) => record.read_spec(&spec),
                Err(_) => record.damaged = Some("its specification is cut short".to_owned()),
            },
            (b"runtime", Entry::Bucket(runtime)) => {
                record.runtime = runtime.value(b"name")?.map(|name| text(&name)).unwrap_or_default();
            }
            (b"labels", Entry::Bucket(labels)) => {
                for (name, entry) in labels.entries()? {
                    if let Entry::Value(value) = entry {
                        record.labels.insert(text(&name), text(&value));
                    }
                }
            }
            (b"extensions", Entry::Bucket(extensions)) => {
                for (name, entry) in extensions.entries()? {
                    let Entry::Value(value) = entry else { continue };
                    match Any::decode(value.as_slice()) {
                        Ok(extension) => record.read_extension(&text(&name), &extension),
                        Err(_) => record.damaged = Some("its metadata is cut short".to_owned()),
                    }
                }
            }
            _ => {}
        }
    }
    Ok(record)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A time as Go's `MarshalBinary` writes it: a version, seconds since the first year and nanoseconds, big-endian, and
/// the time zone, which does not matter.
fn go_time(bytes: &[u8]) -> Option<Timestamp> {
    let (version, rest) = bytes.split_first()?;
    let (seconds, rest) = rest.split_first_chunk::<8>()?;
    let (nanoseconds, _) = rest.split_first_chunk::<4>()?;
    let seconds = i64::from_be_bytes(*seconds).checked_sub(UNIX_EPOCH_S)?;
    let time = Timestamp::new(seconds, i32::from_be_bytes(*nanoseconds)).ok()?;
    (matches!(version, 1 | 2) && time > Timestamp::UNIX_EPOCH).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::go_time;

    #[test]
    fn go_writes_times_in_binary() {
        // time.Unix(1700000000, 123456789).UTC().MarshalBinary()
        let seconds = (1_700_000_000_i64 + super::UNIX_EPOCH_S).to_be_bytes();
        let mut bytes = vec![1];
        bytes.extend(seconds);
        bytes.extend(123_456_789_i32.to_be_bytes());
        bytes.extend([0xff, 0xff]);
        assert_eq!(go_time(&bytes).unwrap().to_string(), "2023-11-14T22:13:20.123456789Z");
        for end in 0..13 {
            assert_eq!(go_time(&bytes[..end]), None, "cut to {end} bytes");
        }
        assert_eq!(go_time(&[1; 15]), None, "beyond what a clock shows");
        // The zero time stands for never.
        assert_eq!(go_time(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), None);
    }
}
