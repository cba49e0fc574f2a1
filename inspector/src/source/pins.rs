//! Bind mounts of namespaces, from mountinfo: they keep a namespace alive without a process.

use std::collections::BTreeSet;
use std::path::PathBuf;

use procfs::FromBufRead as _;
use procfs::process::MountInfos;

use crate::observation::{Gap, HostNamespaces, Kind, Pin, Reader, Task};
use crate::source::{Context, HoldersScope, node};

/// Finds the pins in the host's mount namespace and the runtimes' (or, when asked, in every one).
///
/// `runtime_pids` are processes of runtimes (the parents of containers): where one lives in a mount namespace of its
/// own, its pins are not to be seen in the host's.
pub fn read(
    context: &Context,
    tasks: &[Task],
    host: &HostNamespaces,
    reader: Reader,
    runtime_pids: &BTreeSet<u32>,
) -> (Vec<Pin>, Vec<Gap>) {
    let mut pins = Vec::new();
    let mut gaps = Vec::new();
    let host_inode = host.inodes.get(Kind::Mnt);
    let of =
        |pid: u32| tasks.iter().find(|task| task.pid == pid).and_then(|task| task.namespaces.get(Kind::Mnt));
    let runtimes: BTreeSet<u32> = runtime_pids.iter().filter_map(|pid| of(*pid)).collect();
    let mut wanted: BTreeSet<u32> = host_inode.into_iter().chain(runtimes).collect();
    let namespaces = node::mount_namespaces(tasks, host);
    if context.options.holders == HoldersScope::All {
        wanted.extend(namespaces.iter().map(|(inode, _)| *inode));
    }
    for (inode, representative) in namespaces {
        if !wanted.remove(&inode) {
            continue;
        }
        // The reader's own is readable without any capability; PID 1's may be refused even to root.
        let pid = if of(reader.pid) == Some(inode) { reader.pid } else { representative.pid };
        match mountinfo(context.host(format!("/proc/{pid}/mountinfo"))) {
            Ok(found) => pins.extend(found),
            Err(why) => gaps.push(Gap::detail(format!("pins in mount namespace {inode}"), why)),
        }
        if context.time_left(std::time::Duration::MAX).is_zero() {
            gaps.push(Gap::detail(
                "pins in some mount namespaces",
                "the time limit ran out; allow more with --timeout",
            ));
            break;
        }
    }
    pins.sort_by(|a, b| (a.kind, a.inode, &a.path).cmp(&(b.kind, b.inode, &b.path)));
    pins.dedup();
    (pins, gaps)
}

fn mountinfo(path: PathBuf) -> Result<Vec<Pin>, String> {
    let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mounts = MountInfos::from_buf_read(std::io::BufReader::new(file))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "nsfs")
        .filter_map(|mount| {
            let (kind, inode) = namespace(&mount.root)?;
            Some(Pin { kind, inode, path: mount.mount_point.to_string_lossy().into_owned() })
        })
        .collect())
}

/// The namespace in the root field of an nsfs mount: `net:[4026532281]`.
fn namespace(root: &str) -> Option<(Kind, u32)> {
    let (kind, rest) = root.trim_start_matches('/').split_once(":[")?;
    Some((kind.parse().ok()?, rest.strip_suffix(']')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_nsfs_mount_names_the_namespace() {
        assert_eq!(namespace("net:[4026532281]"), Some((Kind::Net, 4_026_532_281)));
        for bad in ["", "net:", "net:[]", "net:[x]", "nett:[1]", "/", "net:[99999999999]"] {
            assert_eq!(namespace(bad), None, "{bad}");
        }
    }
}
