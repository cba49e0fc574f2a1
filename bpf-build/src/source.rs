//! What the eBPF object is made from, and one hash that stands for all of it.
//!
//! The hash covers the two crates that end up in the object, the lock file that pins their dependencies and the
//! manifest that holds the build profile. It errs on the wide side: a change that cannot matter costs a rebuild of
//! seconds, a change that is missed would ship an object of other sources.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Folders of the workspace, every file of which is a source of the object.
const FOLDERS: [&str; 2] = ["inspector-common", "inspector-ebpf"];
/// Single files of the workspace that decide what is built from those folders.
const FILES: [&str; 2] = ["Cargo.lock", "Cargo.toml"];

/// Every file that the object is made from, relative to `workspace`, sorted.
pub fn source_files(workspace: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for folder in FOLDERS {
        walk(workspace, Path::new(folder), &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn walk(workspace: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let at = workspace.join(folder);
    for entry in fs::read_dir(&at).map_err(|e| named(&at, &e))? {
        let entry = entry?;
        let name = entry.file_name();
        // Editors leave hidden and backup files; a crate of its own might leave a target folder.
        let shown = name.to_string_lossy();
        if shown.starts_with('.') || shown.ends_with('~') || shown == "target" {
            continue;
        }
        let path = folder.join(&name);
        if entry.file_type()?.is_dir() {
            walk(workspace, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The SHA-256 of the object's sources as 64 lower-case hex digits.
///
/// Each file goes in as its path, its length and its bytes, so that no two trees can run into the same stream.
pub fn source_hash(workspace: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    for file in source_files(workspace)? {
        let path = workspace.join(&file);
        let bytes = fs::read(&path).map_err(|e| named(&path, &e))?;
        let name = file.as_os_str().as_encoded_bytes();
        for part in [name, &bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hex(&hash.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["inspector-common/src", "inspector-ebpf/src", "inspector/src"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["Cargo.toml", "Cargo.lock", "inspector-common/src/lib.rs", "inspector-ebpf/src/main.rs"]
        {
            fs::write(dir.path().join(file), file).unwrap();
        }
        dir
    }

    #[test]
    fn every_source_changes_the_hash() {
        let dir = tree();
        let before = source_hash(dir.path()).unwrap();
        assert_eq!(before.len(), 64);
        for file in source_files(dir.path()).unwrap() {
            let path = dir.path().join(&file);
            let kept = fs::read(&path).unwrap();
            fs::write(&path, [&kept[..], b" "].concat()).unwrap();
            assert_ne!(source_hash(dir.path()).unwrap(), before, "{}", file.display());
            fs::write(&path, kept).unwrap();
        }
        assert_eq!(source_hash(dir.path()).unwrap(), before);
    }

    #[test]
    fn a_new_or_renamed_source_changes_the_hash() {
        let dir = tree();
        let before = source_hash(dir.path()).unwrap();
        fs::write(dir.path().join("inspector-ebpf/src/new.rs"), "").unwrap();
        let added = source_hash(dir.path()).unwrap();
        fs::rename(
            dir.path().join("inspector-ebpf/src/new.rs"),
            dir.path().join("inspector-ebpf/src/old.rs"),
        )
        .unwrap();
        let renamed = source_hash(dir.path()).unwrap();
        assert!(before != added && added != renamed && before != renamed);
    }

    #[test]
    fn what_is_no_source_changes_nothing() {
        let dir = tree();
        let before = source_hash(dir.path()).unwrap();
        for file in ["inspector/src/lib.rs", "inspector-ebpf/src/.main.rs.swp", "inspector-ebpf/src/main.rs~"]
        {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        assert_eq!(source_hash(dir.path()).unwrap(), before);
    }

    #[test]
    fn a_missing_source_is_named() {
        let dir = tree();
        fs::remove_file(dir.path().join("Cargo.lock")).unwrap();
        let error = source_hash(dir.path()).unwrap_err().to_string();
        assert!(error.contains("Cargo.lock"), "{error}");
    }
}
