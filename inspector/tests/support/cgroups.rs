//! Cgroups made by hand, in every hierarchy that this machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// The roots of the hierarchies (v1, hybrid or v2).
pub fn hierarchies() -> Vec<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let roots = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let kind = after.split(' ').next()?;
        (kind == "cgroup" || kind == "cgroup2")
            .then(|| PathBuf::from(before.split(' ').nth(4).unwrap_or_default()))
    });
    let mut roots: Vec<_> = roots.collect();
    roots.sort();
    roots.dedup();
    roots
}

/// Those that containers are told by: v2's and v1's `name=systemd` and `pids`. The others (cpuset, memory) ask
/// for settings of their own before a process may enter.
fn telling() -> Vec<PathBuf> {
    let tells = |root: &PathBuf| {
        root.join("cgroup.controllers").exists() || root.ends_with("systemd") || root.ends_with("pids")
    };
    hierarchies().into_iter().filter(tells).collect()
}

/// A cgroup of the same path in each telling hierarchy; removed, with those above it that it made, when dropped.
pub struct Cgroup {
    made: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes it. `path` is absolute, from the hierarchies' roots.
    pub fn make(path: &str) -> Self {
        let mut group = Self { made: Vec::new(), folders: Vec::new() };
        for root in telling() {
            let mut folder = root;
            for name in path.split('/').filter(|name| !name.is_empty()) {
                folder.push(name);
                match fs::create_dir(&folder) {
                    Ok(()) => group.made.push(folder.clone()),
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    Err(error) => panic!("{}: {error}", folder.display()),
                }
            }
            group.folders.push(folder);
        }
        group
    }

    /// Puts a process in.
    pub fn add(&self, pid: u32) {
        for folder in &self.folders {
            fs::write(folder.join("cgroup.procs"), pid.to_string())
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in self.made.iter().rev() {
            // Whoever is still in moves up: only an empty cgroup can be removed.
            let inside = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for pid in inside.lines() {
                let _ = fs::write(folder.join("../cgroup.procs"), pid);
            }
            // A process that was just killed takes a moment to leave.
            for _ in 0..100 {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// Removes a cgroup and those below it.
pub fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
