//! Reads the folder of Kubernetes manifests that `audit --manifests` names.

use std::fs;
use std::path::{Path, PathBuf};

use super::audit::read as read_file;
use super::failure::Failure;
use crate::manifests::{Manifests, parse};

/// How deep folders are looked into, and how many entries and bytes at most: far more than anybody has.
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 20_000;
const MAX_FILE: u64 = 8 << 20;
const MAX_ALL: usize = 128 << 20;

/// Every manifest in a folder and the ones in it, in the order of their names. Symbolic links are not followed.
///
/// # Errors
/// If it is no folder, something in it cannot be read or is not as it should be, or it is too much.
pub fn read(folder: &Path) -> Result<Manifests, Failure> {
    let mut files = Vec::new();
    let mut entries = 0;
    walk(folder, 0, &mut entries, &mut files)?;
    files.sort_unstable();
    let mut found = Manifests::default();
    let mut length = 0;
    for file in files {
        let text = read_file(&file, MAX_FILE)?;
        length += text.len();
        if length > MAX_ALL {
            return Err(too_much(folder, &format!("the manifests are longer than {} MiB", MAX_ALL >> 20)));
        }
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        found.list.extend(parse(&name, &text).map_err(|error| {
            Failure::usage(format!(
                "{} is no file of Kubernetes manifests: {error}; correct it, or keep it elsewhere",
                file.display()
            ))
        })?);
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, entries: &mut usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!(
            "cannot read the manifests in {}: {error}; name a folder that you may read",
            folder.display()
        ))
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        *entries += 1;
        if *entries > MAX_ENTRIES {
            return Err(too_much(folder, &format!("there are more than {MAX_ENTRIES} files")));
        }
        // Of the entry itself, not of what a link leads to.
        let sort = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if sort.is_dir() {
            if depth == MAX_DEPTH {
                return Err(too_much(&path, &format!("folders are more than {MAX_DEPTH} deep")));
            }
            walk(&path, depth + 1, entries, files)?;
        } else if sort.is_file()
            && path.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn too_much(place: &Path, what: &str) -> Failure {
    Failure::usage(format!("{}: {what}; name the folder of the manifests only", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let pod = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{}}\n");
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/one.yml"), pod("one")).unwrap();
        fs::write(folder.path().join("a.yaml"), pod("two")).unwrap();
        fs::write(folder.path().join("notes.txt"), "kind: [").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("a.yaml", folder.path().join("link.yaml")).unwrap();
        let files: Vec<_> = read(folder.path()).unwrap().list.into_iter().map(|it| it.file).collect();
        assert_eq!(files, ["a.yaml", "b/one.yml"]);
    }

    #[test]
    fn what_is_wrong_names_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad.yaml");
        fs::write(&bad, "kind: [").unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("bad.yaml") && error.contains("line 1") && !error.contains('\n'), "{error}");
        let error = read(&bad).unwrap_err().to_string();
        assert!(error.contains("name a folder"), "{error}");
    }
}
