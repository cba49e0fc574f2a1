//! Whether two programs list the same namespaces. In a process of its own: reading megabytes of JSON would raise the
//! bench's own memory, and with it what the kernel reports as the peak of the programs that it starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Kind, inode, processes.
type Row = (String, u64, u64);

/// Compares what lsns and inspector wrote. Says how many rows both have; the processes that come and go between the two
/// runs (a kernel thread, the programs themselves) may move a count of the host's own namespaces by a few.
pub fn check(lsns: &Path, inspector: &Path) -> Result<()> {
    let theirs = rows(lsns, "namespaces", ["type", "ns", "nprocs"])?;
    let ours: BTreeSet<Row> = rows(inspector, "namespaces", ["kind", "inode", "processes"])?
        .into_iter()
        // lsns lists what processes are in, and nothing else.
        .filter(|(_, _, processes)| *processes > 0)
        .collect();
    let differs = |one: &BTreeSet<Row>, other: &BTreeSet<Row>| -> Vec<Row> {
        one.iter()
            .filter(|(kind, inode, processes)| {
                let slack = if *processes > 50 { 20 } else { 0 };
                !other
                    .range((kind.clone(), *inode, 0)..=(kind.clone(), *inode, u64::MAX))
                    .any(|(_, _, theirs)| theirs.abs_diff(*processes) <= slack)
            })
            .cloned()
            .collect()
    };
    let (missing, extra) = (differs(&theirs, &ours), differs(&ours, &theirs));
    ensure!(
        missing.is_empty() && extra.is_empty(),
        "the two lists differ: {} rows of lsns's are missing ({:?} …), {} are too many ({:?} …)",
        missing.len(),
        missing.iter().take(3).collect::<Vec<_>>(),
        extra.len(),
        extra.iter().take(3).collect::<Vec<_>>(),
    );
    println!("{}", ours.len());
    Ok(())
}

fn rows(path: &Path, list: &str, [kind, inode, processes]: [&str; 3]) -> Result<BTreeSet<Row>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let rows = value[list].as_array().with_context(|| format!("{} lists no {list}", path.display()))?;
    rows.iter()
        .map(|row| {
            let kind = row[kind].as_str().context("a row without its kind")?.to_owned();
            Ok((kind, number(&row[inode])?, number(&row[processes])?))
        })
        .collect()
}

/// lsns writes numbers, or strings of digits, by its version.
fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .with_context(|| format!("{value} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(theirs: &str, ours: &str) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&one, theirs).unwrap();
        fs::write(&two, ours).unwrap();
        check(&one, &two)
    }

    #[test]
    fn rows_are_compared_by_kind_inode_and_processes() {
        let theirs = r#"{"namespaces": [{"ns": 7, "type": "net", "nprocs": 2}]}"#;
        let ours = |rows: &str| format!(r#"{{"namespaces": [{rows}]}}"#);
        let row = r#"{"kind": "net", "inode": 7, "processes": 2}"#;
        compare(theirs, &ours(row)).unwrap();
        compare(theirs, &ours(&format!(r#"{row}, {{"kind": "uts", "inode": 9, "processes": 0}}"#))).unwrap();
        for wrong in [
            "",
            r#"{"kind": "net", "inode": 7, "processes": 3}"#,
            r#"{"kind": "ipc", "inode": 7, "processes": 2}"#,
            &format!(r#"{row}, {{"kind": "uts", "inode": 9, "processes": 1}}"#),
        ] {
            assert!(compare(theirs, &ours(wrong)).is_err(), "{wrong}");
        }
    }
}
