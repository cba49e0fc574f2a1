use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::file::{Error, HostFiles};
use super::runc::RuncState;
use super::spec::{Spec, cgroup_of, namespace_inode};
use crate::observation::{Declaration, Kind};
use crate::source::{Context, Options};

const ID: &str = "82dfb618d84228d1f33d1d8329f6a9f9b43b1453783d1a949e00afa6abb0ec94";

/// A folder of a test's own, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("inspector-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn copy_of(folder: &Path) -> Self {
        fn copy(from: &Path, to: &Path) {
            for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
                if kind.is_dir() {
                    fs::create_dir(&to).unwrap();
                    copy(&entry.path(), &to);
                } else if kind.is_symlink() {
                    symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
                } else {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        let scratch = Self::new();
        copy(folder, &scratch.0);
        scratch
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn files(&self) -> HostFiles {
        HostFiles::owned_by(self.0.clone(), rustix::process::geteuid().as_raw())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_specification_says_who_made_each_namespace() {
    let spec: Spec = serde_json::from_str(
        r#"{"process":{"args":["sleep"],"env":["SECRET=1"]},"mounts":null,"linux":{"cgroupsPath":"system.slice:docker:x",
        "namespaces":[{"type":"mount"},{"type":"network","path":"/proc/7/ns/net"},{"type":"uts","path":""},
        {"type":"pid","path":"/proc/8/ns/pid"},{"type":"quantum"}]}}"#,
    )
    .unwrap();
    assert!(!format!("{spec:?}").contains("SECRET"));
    let declared = spec.declarations(|path| (path == "/proc/7/ns/net").then_some(42));
    let path = |path: &str, inode| Declaration::Path { path: path.to_owned(), inode };
    assert_eq!(declared[&Kind::Mnt], Declaration::Private);
    assert_eq!(declared[&Kind::Uts], Declaration::Private);
    assert_eq!(declared[&Kind::Net], path("/proc/7/ns/net", Some(42)));
    assert_eq!(declared[&Kind::Pid], path("/proc/8/ns/pid", None));
    for inherited in [Kind::Ipc, Kind::User, Kind::Cgroup, Kind::Time] {
        assert_eq!(declared[&inherited], Declaration::Host, "{inherited}");
    }
    assert!(Spec::default().declarations(|_| None).is_empty(), "a virtual machine's says nothing of Linux");
}

#[test]
fn a_path_leads_to_a_namespace_or_to_nothing() {
    let context = Context::new(Options::default());
    let path = format!("/proc/{}/ns/net", std::process::id());
    let inode = fs::metadata("/proc/self/ns/net").unwrap().ino();
    assert_eq!(namespace_inode(&context, &path).map(u64::from), Some(inode));
    for other in ["/proc/self/stat", "/etc/passwd", "/nowhere", "", "/proc/0/ns/net"] {
        assert_eq!(namespace_inode(&context, other), None, "{other}");
    }
}

#[test]
fn runcs_state_names_the_cgroup_from_the_root_of_its_hierarchy() {
    type Paths = [(&'static str, &'static str)];
    let table: &[(&Paths, Option<&str>)] = &[
        // Hybrid, v1, v2, systemd's.
        (
            &[("", "/sys/fs/cgroup/unified/docker/x"), ("name=systemd", "/sys/fs/cgroup/systemd/docker/x")],
            Some("/docker/x"),
        ),
        (
            &[("cpu", "/sys/fs/cgroup/cpu/docker/x"), ("pids", "/sys/fs/cgroup/pids/docker/x")],
            Some("/docker/x"),
        ),
        (&[("", "/sys/fs/cgroup/docker/x")], Some("/docker/x")),
        (&[("", "/sys/fs/cgroup/system.slice/docker-x.scope")], Some("/system.slice/docker-x.scope")),
        (&[("", "/sys/fs/cgroup/unified/x"), ("cpu", "/sys/fs/cgroup/cpu/x")], Some("/x")),
        // Mounted elsewhere, or nothing of use.
        (&[("", "/mnt/cgroup/docker/x")], None),
        (&[("cpu", "/sys/fs/cgroup/cpu/docker/x")], None),
        (&[], None),
    ];
    for (paths, expected) in table {
        let cgroup_paths =
            paths.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        let state = RuncState { cgroup_paths, ..RuncState::default() };
        assert_eq!(state.cgroup().as_deref(), *expected, "{paths:?}");
    }
}

#[test]
fn a_cgroup_without_runcs_state_is_the_specifications_or_the_kernels() {
    let kernel = format!("/system.slice/docker-{ID}.scope/init.scope");
    assert_eq!(cgroup_of(ID, Some("/a/b"), Some(&kernel)).as_deref(), Some("/a/b"));
    let expected = format!("/system.slice/docker-{ID}.scope");
    assert_eq!(cgroup_of(ID, Some("system.slice:docker:x"), Some(&kernel)), Some(expected.clone()));
    assert_eq!(cgroup_of(ID, None, Some(&kernel)), Some(expected));
    assert_eq!(cgroup_of(&ID.replace('8', "9"), None, Some(&kernel)), None, "another container's");
    assert_eq!(cgroup_of(ID, None, None), None);
}

#[test]
fn a_link_inside_a_mounted_host_stays_inside() {
    let host = Scratch::new();
    fs::create_dir_all(host.path().join("mnt/data")).unwrap();
    fs::create_dir_all(host.path().join("var/lib")).unwrap();
    fs::write(host.path().join("mnt/data/file"), "inside").unwrap();
    // Absolute, as an administrator makes it; and one that climbs.
    symlink("/mnt/data", host.path().join("var/lib/docker")).unwrap();
    symlink("../../../../../../../../../../mnt", host.path().join("var/lib/up")).unwrap();
    let files = host.files();
    for path in ["/var/lib/docker/file", "/var/lib/up/data/file", "/../../mnt/data/file"] {
        assert_eq!(files.read(Path::new(path)), Ok(Some(b"inside".to_vec())), "{path}");
    }
    assert_eq!(files.read(Path::new("/etc/passwd")), Ok(None));
    assert_eq!(files.list(Path::new("/var/lib/docker")).unwrap().unwrap(), ["file"]);
    let link = Path::new("/var/lib/docker/link");
    symlink("file", host.path().join("mnt/data/link")).unwrap();
    assert_eq!(files.read(link), Err(Error::NotRegular(link.to_owned())));
}

#[test]
fn an_error_says_where_and_never_what() {
    let host = Scratch::new();
    fs::write(host.path().join("x.json"), "{\"id\":\n{\"SECRET\":1}}").unwrap();
    let error = host.files().json::<RuncState>(Path::new("/x.json")).unwrap_err().to_string();
    assert!(error.contains("/x.json") && error.contains("line 2") && !error.contains("SECRET"), "{error}");
}

#[test]
fn runcs_own_word_on_namespaces_and_annotations() {
    let state: RuncState = serde_json::from_str(
        r#"{"id":"x","init_process_pid":7,"init_process_start":9,"created":"2026-11-24T02:00:00.5Z","cgroup_paths":null,
        "config":{"namespaces":[{"type":"NEWNS","path":""},{"type":"NEWNET","path":"/proc/8/ns/net"},{"type":"NEWPID","path":null}],
        "labels":["bundle=/annotated","a=b=c","bundle=/b/x"]}}"#,
    )
    .unwrap();
    let kinds: Vec<_> =
        state.config.namespaces().unwrap().iter().map(|it| (it.kind(), it.path.clone())).collect();
    let path = |path: &str| Some(path.to_owned());
    assert_eq!(
        kinds,
        [(Some(Kind::Mnt), path("")), (Some(Kind::Net), path("/proc/8/ns/net")), (Some(Kind::Pid), path(""))]
    );
    assert_eq!(state.config.bundle(), Some(PathBuf::from("/b/x")));
    assert_eq!(
        state.config.annotations().into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), "b=c".to_owned())]
    );
    assert!(state.created.is_some());
    assert_eq!(RuncState::default().config.namespaces(), None);
}
