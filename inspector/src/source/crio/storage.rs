//! Where CRI-O keeps its containers: a root that outlives the node's boots, and a run root that does not. Both are shared
//! with Podman, and both may be anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::observation::{Gap, Kind, Task};
use crate::source::oci::file::HostFiles;
use crate::source::{Context, TaskScan};

/// The usual places.
const ROOT: &str = "/var/lib/containers/storage";
const RUN_ROOT: &str = "/run/containers/storage";
/// Where it is told otherwise, the last word last. Drop-in files lie in the folder of the same name.
const SETTINGS: [&str; 3] =
    ["/usr/share/containers/storage.conf", "/etc/containers/storage.conf", "/etc/crio/crio.conf"];
const DROP_INS: &str = "/etc/crio/crio.conf.d";

/// One place where containers are kept: folders `<driver>-containers/<id>/userdata` below each of its roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The folders to look into, as the host names them; the one that outlives a boot first, where it is known.
    pub roots: Vec<PathBuf>,
}

/// The storage of the system's CRI-O, and of those whose containers run.
pub fn find(context: &Context, scan: &TaskScan, files: &HostFiles, gaps: &mut Vec<Gap>) -> Vec<Storage> {
    let told = settings(files, gaps);
    let setting = |names: [&str; 2], usual: &str| {
        let value = names.iter().find_map(|name| told.get(*name)).map_or(usual, String::as_str);
        PathBuf::from(value)
    };
    let usual = Storage {
        roots: vec![setting(["root", "graphroot"], ROOT), setting(["runroot", "runroot"], RUN_ROOT)],
    };
    let mut all = vec![usual];
    for run_root in run_roots_of_running(context, scan) {
        if !all.iter().any(|storage| storage.roots.contains(&run_root)) {
            all.push(Storage { roots: vec![run_root] });
        }
    }
    all
}

/// The folders that the user named, as seen here or as the host names them: roots and run roots of one CRI-O, or a folder
/// that holds both as `root` and `runroot`.
#[must_use]
pub fn named(context: &Context, files: &HostFiles, folders: &[PathBuf]) -> Option<Storage> {
    let host = context.options.host_root.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
    let roots = folders.iter().flat_map(|folder| {
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let folder =
            absolute.strip_prefix(&host).map_or(absolute.clone(), |below| Path::new("/").join(below));
        let both = [folder.join("root"), folder.join("runroot")];
        let are_roots = both.iter().all(|root| !container_folders(files, root).is_empty());
        if are_roots { both.to_vec() } else { vec![folder] }
    });
    let roots: Vec<PathBuf> = roots.collect();
    (!roots.is_empty()).then_some(Storage { roots })
}

/// The folders of containers below a root: one for each storage driver that was ever used.
#[must_use]
pub fn container_folders(files: &HostFiles, root: &Path) -> Vec<PathBuf> {
    let names = files.list(root).ok().flatten().unwrap_or_default();
    let folders =
        names.into_iter().filter(|name| name.to_str().is_some_and(|name| name.ends_with("-containers")));
    folders.map(|name| root.join(name)).collect()
}

/// The settings of all files, by name. Only names that mean one thing in every section are asked for.
fn settings(files: &HostFiles, gaps: &mut Vec<Gap>) -> BTreeMap<String, String> {
    let drop_ins = files.list(Path::new(DROP_INS)).ok().flatten().unwrap_or_default();
    let drop_ins = drop_ins.into_iter().map(|name| Path::new(DROP_INS).join(name));
    let all = SETTINGS
        .iter()
        .map(PathBuf::from)
        .chain(drop_ins.filter(|path| path.extension() == Some("conf".as_ref())));
    let mut told = BTreeMap::new();
    for path in all {
        match files.read(&path) {
            Ok(bytes) => told.extend(parse(&String::from_utf8_lossy(&bytes.unwrap_or_default()))),
            Err(error) => gaps.push(Gap::deciding("CRI-O's roots", error.to_string())),
        }
    }
    told
}

/// Lines of TOML of the form `name = "value"`, in the sections that say where containers are kept.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut section = "";
    let mut told = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            section = name.trim();
        } else if let ("crio" | "storage", Some((name, value))) = (section, line.split_once('=')) {
            let value = value.trim().strip_prefix('"').and_then(|value| value.split('"').next());
            if let Some(value) = value.filter(|value| value.starts_with('/')) {
                told.insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
    told
}

/// The run roots that the monitors of running containers work in: conmon's working folder is the bundle,
/// `<run root>/<driver>-containers/<id>/userdata`, and conmon is the parent of the container's init.
fn run_roots_of_running(context: &Context, scan: &TaskScan) -> BTreeSet<PathBuf> {
    let task = |pid: u32| scan.tasks.get(pid);
    let host = task(2).filter(|task| task.kernel_thread).or_else(|| task(1));
    let host = host.and_then(|task| task.namespaces.get(Kind::Mnt));
    // Only root's, and only in the host's mount namespace: elsewhere the path means another file.
    let monitor = |pid: &u32| {
        task(*pid).is_some_and(|task: &Task| {
            task.uid == Some(0)
                && task.is_leader()
                && task.namespaces.get(Kind::Mnt) == host
                && host.is_some()
        })
    };
    let parents: BTreeSet<u32> = scan
        .tasks
        .iter()
        .filter(|task| task.is_leader() && task.namespaces.get(Kind::Mnt) != host)
        .map(|task| task.parent)
        .collect();
    parents
        .iter()
        .filter(|pid| monitor(pid))
        .filter_map(|pid| fs::read_link(context.host(format!("/proc/{pid}/cwd"))).ok())
        .filter_map(|bundle| root_of_bundle(&bundle))
        .collect()
}

fn root_of_bundle(bundle: &Path) -> Option<PathBuf> {
    let folder = bundle.parent().filter(|_| bundle.ends_with("userdata"))?.parent()?;
    let is_containers = folder.file_name()?.to_str()?.ends_with("-containers");
    folder.parent().filter(|_| is_containers && bundle.is_absolute()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_storage_and_no_others() {
        let text = "[storage]\n# runroot = \"/no\"\ndriver = \"overlay\"\n runroot=\"/run/x\" # why\n[storage.options]\nroot = \"/no\"\n\
            [crio]\nroot = \"/var/y\"\n[crio.runtime.runtimes.runc]\nroot = \"/no\"\nrunroot = relative\n";
        let told = parse(text);
        assert_eq!(told.get("runroot").map(String::as_str), Some("/run/x"));
        assert_eq!(told.get("root").map(String::as_str), Some("/var/y"));
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn a_bundle_tells_its_run_root() {
        let root = |path: &str| root_of_bundle(Path::new(path));
        assert_eq!(root("/run/c/overlay-containers/abc/userdata"), Some(PathBuf::from("/run/c")));
        for other in ["/run/c/overlay-containers/abc", "/run/c/containers/abc/userdata", "/", "userdata"] {
            assert_eq!(root(other), None, "{other}");
        }
    }
}
