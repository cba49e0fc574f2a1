//! A real database of containerd's, whole and damaged in every way.

use std::path::{Path, PathBuf};

use super::{Db, Entry, Error};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/containerd/meta.db")
}

fn whole() -> Vec<u8> {
    std::fs::read(fixture()).unwrap()
}

/// Every key and value of a bucket and of those in it.
fn walk(bucket: &super::Bucket<'_>, depth: usize, seen: &mut Vec<Vec<u8>>) -> Result<(), Error> {
    // A bucket may name a page above: who walks it knows how deep those that it wants lie.
    if depth > 8 {
        return Ok(());
    }
    for (key, entry) in bucket.entries()? {
        seen.push(key);
        match entry {
            Entry::Value(value) => seen.push(value),
            Entry::Bucket(inner) => walk(&inner, depth + 1, seen)?,
        }
    }
    Ok(())
}

fn read(bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
    let db = Db::from_bytes(Path::new("meta.db"), bytes)?;
    let mut seen = Vec::new();
    walk(&db.root(), 0, &mut seen)?;
    Ok(seen)
}

#[test]
fn containerds_containers_are_found() {
    let db = Db::from_bytes(Path::new("meta.db"), whole()).unwrap();
    let names = |path: &[&[u8]]| -> Vec<String> {
        let bucket = db.bucket(path).unwrap().unwrap();
        let buckets = bucket.buckets().unwrap().into_iter();
        buckets.map(|(name, _)| String::from_utf8(name).unwrap()).collect()
    };
    assert_eq!(names(&[b"v1"]), ["example", "other"]);
    assert_eq!(names(&[b"v1", b"example", b"containers"]), ["one", "two"]);
    let labels = db.bucket(&[b"v1", b"example", b"containers", b"one", b"labels"]).unwrap().unwrap();
    assert_eq!(labels.value(b"nerdctl/name").unwrap().unwrap(), b"the-one");
    assert_eq!(labels.value(b"none").unwrap(), None);
    assert!(db.bucket(&[b"v1", b"none", b"containers"]).unwrap().is_none());
    assert!(db.is_current().unwrap());
}

#[test]
fn a_cut_database_is_an_error_or_less() {
    let (whole, all) = (whole(), read(whole()).unwrap());
    for length in (0..whole.len()).step_by(509).chain([16, 80, 4096, 8192, 65536]) {
        if let Ok(found) = read(whole[..length].to_vec()) {
            assert_eq!(found, all, "cut to {length} bytes");
        }
    }
}

#[test]
fn no_changed_byte_panics_or_reads_without_end() {
    let whole = whole();
    // What is written in: the rest of the file is free.
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    for at in used.into_iter().step_by(7) {
        for change in [0xff, 0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            // Either is an answer; a damaged value is not to be told from another.
            let _answer = read(damaged);
        }
    }
}

#[test]
fn pages_that_form_a_circle_end() {
    let whole = whole();
    let numbers = whole.len() / 4096;
    // Every page's number becomes that of every page that a bucket or branch may name.
    for page in 2..numbers.min(12) {
        for from in 2..numbers.min(12) {
            let mut damaged = whole.clone();
            let copy = whole[from * 4096..(from + 1) * 4096].to_vec();
            damaged[page * 4096..(page + 1) * 4096].copy_from_slice(&copy);
            damaged[page * 4096..page * 4096 + 8].copy_from_slice(&(page as u64).to_le_bytes());
            let _answer = read(damaged);
        }
    }
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    for bytes in [vec![], vec![0; 8192], b"SQLite format 3\0".repeat(600)] {
        let error = read(bytes).unwrap_err();
        assert!(error.to_string().starts_with("meta.db is no whole database"), "{error}");
    }
}
