//! Mounts that keep namespaces, from mountinfo: bind mounts of namespaces, which keep them without a process, and proc
//! file systems, which keep the PID namespace that they show.
//!
//! It reads mountinfo only. What is mounted is opened in [`super::holders`], where that is wanted.

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{Gap, HostNamespaces, Kind, Pin, Reader, Tasks};
use crate::source::mounts::{self, Mount};
use crate::source::{Context, HoldersScope, node};

/// Which mount namespaces to look into.
pub struct Scope {
    /// The host's first.
    pub namespaces: Vec<Namespace>,
}

/// A mount namespace.
pub struct Namespace {
    /// Its inode.
    pub inode: u32,
    /// A process that is in it: the first that was met.
    pub member: u32,
    /// The process that it is looked into by.
    pub by: u32,
}

impl Scope {
    /// The host's mount namespace and the runtimes' (or, when asked, every one).
    ///
    /// `runtime_pids` are processes of runtimes (the parents of containers): where one lives in a mount namespace of its
    /// own, its pins are not to be seen in the host's.
    #[must_use]
    pub fn of(
        context: &Context,
        tasks: &Tasks,
        host: &HostNamespaces,
        reader: Reader,
        runtime_pids: &BTreeSet<u32>,
    ) -> Self {
        let of = |pid: u32| {
            tasks.iter().find(|task| task.pid == pid).and_then(|task| task.namespaces.get(Kind::Mnt))
        };
        let own = of(reader.pid);
        let runtimes = runtime_pids.iter().filter_map(|pid| of(*pid));
        let wanted: BTreeSet<u32> = host.inodes.get(Kind::Mnt).into_iter().chain(runtimes).collect();
        let everywhere = context.options.holders == HoldersScope::All;
        let namespaces = node::mount_namespaces(tasks, host)
            .into_iter()
            .filter(|(inode, _)| everywhere || wanted.contains(inode))
            // The reader's own is readable without any capability; PID 1's may be refused even to root.
            .map(|(inode, first)| Namespace {
                inode,
                member: first.pid,
                by: if own == Some(inode) { reader.pid } else { first.pid },
            })
            .collect();
        Self { namespaces }
    }
}

/// What was found.
#[derive(Default)]
pub struct Found {
    /// Bind mounts of namespaces, sorted.
    pub pins: Vec<Pin>,
    /// Where the namespaces of those can be opened; one place for each.
    pub places: BTreeMap<(Kind, u32), Place>,
    /// Where proc file systems are mounted; one place for each, by device.
    pub procs: BTreeMap<(u32, u32), Place>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// A place in somebody's mount namespace.
pub struct Place {
    /// A process that sees it.
    pub member: u32,
    /// The process that it is opened by.
    pub by: u32,
    /// Where, as that process's mountinfo says it.
    pub point: Vec<u8>,
    /// Whether the way there leads through local file systems only.
    pub reachable: bool,
}

/// Looks into them.
#[must_use]
pub fn read(context: &Context, scope: &Scope) -> Found {
    let mut found = Found::default();
    for namespace in &scope.namespaces {
        match mounts::read(&context.host(format!("/proc/{}/mountinfo", namespace.by))) {
            Ok(mountinfo) => found.add(namespace, &mounts::parse(&mountinfo)),
            Err(why) => {
                found.gaps.push(Gap::detail(format!("pins in mount namespace {}", namespace.inode), why));
            }
        }
        if context.time_left(std::time::Duration::MAX).is_zero() {
            found.gaps.push(Gap::detail(
                "pins in some mount namespaces",
                "the time limit ran out; allow more with --timeout",
            ));
            break;
        }
    }
    found.pins.sort_by(|a, b| (a.kind, a.inode, &a.path).cmp(&(b.kind, b.inode, &b.path)));
    found.pins.dedup();
    found
}

impl Found {
    fn add(&mut self, seen: &Namespace, mounts: &[Mount<'_>]) {
        let obstacles = mounts::obstacles(mounts);
        let place = |mount: &Mount<'_>| {
            let reachable = mounts::is_reachable(&obstacles, mount);
            Place { member: seen.member, by: seen.by, point: mount.point.to_vec(), reachable }
        };
        for mount in mounts {
            match mount.file_system {
                b"nsfs" => {
                    let Some((kind, inode)) = namespace(mount.root) else { continue };
                    self.pins.push(Pin {
                        kind,
                        inode,
                        path: String::from_utf8_lossy(mount.point).into_owned(),
                    });
                    let known = self.places.entry((kind, inode)).or_insert_with(|| place(mount));
                    if !known.reachable {
                        *known = place(mount);
                    }
                }
                // Parts of one, as containers have them, lie beside the whole.
                b"proc" if mount.root == b"/" => {
                    let known = self.procs.entry(mount.device).or_insert_with(|| place(mount));
                    if !known.reachable {
                        *known = place(mount);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The namespace in the root field of an nsfs mount, or in the link of a descriptor: `net:[4026532281]`.
#[must_use]
pub fn namespace(name: &[u8]) -> Option<(Kind, u32)> {
    let (kind, rest) = std::str::from_utf8(name).ok()?.split_once(":[")?;
    Some((kind.parse().ok()?, rest.strip_suffix(']')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_nsfs_mount_names_the_namespace() {
        assert_eq!(namespace(b"net:[4026532281]"), Some((Kind::Net, 4_026_532_281)));
        for bad in ["", "net:", "net:[]", "net:[x]", "nett:[1]", "/", "net:[99999999999]", "/net:[1]"] {
            assert_eq!(namespace(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn pins_and_proc_file_systems_are_found_with_a_place_to_open_them() {
        let mut found = Found::default();
        let lines = b"1 0 0:1 / / rw - ext4 a rw\n\
            2 1 0:2 / /srv rw - nfs4 a rw\n\
            3 1 0:4 net:[70] /srv/a rw - nsfs nsfs rw\n\
            4 1 0:4 net:[70] /b rw - nsfs nsfs rw\n\
            5 1 0:4 net:[71] /srv/c rw - nsfs nsfs rw\n\
            6 1 0:9 /sys /ro rw - proc proc rw\n\
            7 1 0:9 / /proc rw - proc proc rw\n";
        found.add(&Namespace { inode: 80, member: 7, by: 8 }, &mounts::parse(lines));
        let pins: Vec<(u32, &str)> = found.pins.iter().map(|pin| (pin.inode, pin.path.as_str())).collect();
        assert_eq!(pins, [(70, "/srv/a"), (70, "/b"), (71, "/srv/c")]);
        let told = |place: &Place| (String::from_utf8(place.point.clone()).unwrap(), place.reachable);
        assert_eq!(told(&found.places[&(Kind::Net, 70)]), ("/b".into(), true));
        assert_eq!(told(&found.places[&(Kind::Net, 71)]), ("/srv/c".into(), false));
        assert_eq!(told(&found.procs[&(0, 9)]), ("/proc".into(), true));
        let proc = &found.procs[&(0, 9)];
        assert_eq!((found.procs.len(), proc.member, proc.by), (1, 7, 8));
    }
}
