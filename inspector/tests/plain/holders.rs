//! What keeps a namespace when its processes are gone: descriptors, sockets, pins, mounted proc file systems, and the
//! namespaces below it; with what is above it, by both sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use serde_json::{Value, json};

use crate::support::answer::{expect, list, validate};
use crate::support::helper::{Helper, folder};
use crate::support::run::{inspector, run, wait_until};
use crate::support::truth::{Truth, host_namespace, namespace as namespace_of, pids};
use crate::{Member, SLEEP};

const SOURCES: [&str; 2] = ["--source=bpf", "--source=procfs"];

/// Asks, and holds the answer against the published schema.
fn ask(arguments: &[&str]) -> Value {
    let run = inspector([&["namespaces", "-o", "json"], arguments].concat()).succeeded();
    let json: Value = serde_json::from_str(run.text()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/namespaces.schema.json");
    let schema = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    validate(&schema, &json).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    json
}

fn row(answer: &Value, kind: &str, inode: u64) -> Option<Value> {
    list(answer, "namespaces").iter().find(|row| row["kind"] == kind && row["inode"] == inode).cloned()
}

/// The row of a namespace, by both sources, which have to agree to the letter.
fn agreed(kind: &str, inode: u64, arguments: &[&str]) -> Option<Value> {
    let [bpf, procfs] =
        SOURCES.map(|source| row(&ask(&[&[source, "-t", kind], arguments].concat()), kind, inode));
    assert_eq!(bpf, procfs, "{kind} {inode}: the iterator (left) and /proc (right) differ");
    bpf
}

/// The same of one that has to be there.
fn listed(kind: &str, inode: u64) -> Value {
    agreed(kind, inode, &[]).unwrap_or_else(|| panic!("{kind} {inode} is not listed"))
}

/// Where in /proc a process has what links to this.
fn descriptor(pid: u32, target: &str) -> String {
    let is_it =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with(target));
    let mut paths = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    paths.find(is_it).unwrap_or_else(|| panic!("{pid} has no {target}")).display().to_string()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A folder in which something is mounted, in this mount namespace only; unmounted when dropped.
pub struct MountPoint(tempfile::TempDir);

impl MountPoint {
    pub fn new() -> Self {
        // A name that mountinfo has to escape; `left_by` knows the prefix.
        let folder = tempfile::Builder::new().prefix("inspector-pins- ").tempdir().unwrap();
        mount_bind(folder.path(), folder.path()).unwrap();
        mount_change(folder.path(), MountPropagationFlags::PRIVATE).unwrap();
        Self(folder)
    }

    fn place(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Mounts a namespace there.
    pub fn pin(&self, name: &str, namespace: &str) {
        let place = self.place(name);
        fs::write(&place, "").unwrap();
        mount_bind(namespace, &place).unwrap();
    }

    /// As mountinfo says it.
    fn told(&self, name: &str) -> String {
        self.place(name).display().to_string().replace(' ', "\\040")
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            let _ = unmount(entry.path(), UnmountFlags::DETACH);
        }
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn an_open_descriptor_keeps_a_namespace_without_a_process() {
    let owner = Member::new("net,uts,pid", &SLEEP);
    let truth = owner.truth.clone();
    let holder = Helper::start(&["hold", &truth.pid.to_string(), "net,uts,pid"]);
    let held = |kind: &str| {
        let path = descriptor(holder.pid(), &format!("{kind}:["));
        json!([{"type": "fd", "path": path, "pid": holder.pid()}])
    };
    for kind in ["net", "uts", "pid"] {
        expect(&listed(kind, truth.namespaces[kind]), [("processes", json!(1)), ("holders", held(kind))]);
    }
    drop(owner);
    wait_until("the owner is gone", || !is_alive(truth.pid));
    for kind in ["net", "uts", "pid"] {
        let parent = if kind == "pid" { json!(host_namespace("pid")) } else { Value::Null };
        expect(
            &listed(kind, truth.namespaces[kind]),
            [
                ("processes", json!(0)),
                ("pid", json!(0)),
                ("holders", held(kind)),
                ("ownerUserNamespace", json!(host_namespace("user"))),
                ("parent", parent),
            ],
        );
    }
    a_recording_says_the_same("net", truth.namespaces["net"]);
    let pid = holder.pid();
    drop(holder);
    // Another test's namespace may have its inode by then.
    let is_held = |source| {
        row(&ask(&[source, "-t", "net"]), "net", truth.namespaces["net"])
            .is_some_and(|row| list(&row, "holders").iter().any(|it| it["pid"] == pid))
    };
    wait_until("nothing holds it", || !SOURCES.into_iter().any(is_held));
}

fn a_recording_says_the_same(kind: &str, inode: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.rec").display().to_string();
    inspector(["record", &file]).succeeded();
    assert_eq!(row(&ask(&["--replay", &file]), kind, inode), Some(listed(kind, inode)));
}

#[test]
fn a_socket_keeps_a_network_namespace_without_a_process() {
    let holder = Helper::start(&["socket"]);
    let inode: u64 = holder.said.parse().unwrap();
    assert_ne!(namespace_of(holder.pid(), "net"), Some(inode));
    let path = descriptor(holder.pid(), "socket:[");
    expect(
        &listed("net", inode),
        [
            ("processes", json!(0)),
            ("holders", json!([{"type": "socket", "path": path, "pid": holder.pid()}])),
            ("ownerUserNamespace", json!(host_namespace("user"))),
        ],
    );
    let table = inspector(["namespaces", "-t", "net", "-o", "wide"]).succeeded();
    assert!(table.text().contains("socket"), "{}", table.text());
}

#[test]
fn a_socket_of_its_processs_own_namespace_is_no_news() {
    let server = Member::new("net", &["busybox", "httpd", "-f", "-p", "80"]);
    wait_until("it listens", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", server.truth.pid)).unwrap();
        fds.flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket")))
    });
    expect(&listed("net", server.truth.namespaces["net"]), [("holders", json!([]))]);
}

#[test]
fn a_pin_keeps_a_namespace_and_that_keeps_the_user_namespace_that_owns_it() {
    let owner = Member::new("user,net", &SLEEP);
    let [user, net] = ["user", "net"].map(|kind| owner.truth.namespaces[kind]);
    let mounts = MountPoint::new();
    fs::write(mounts.place("net"), "").unwrap();
    mount_bind(format!("/proc/{}/ns/net", owner.truth.pid), mounts.place("net")).unwrap();
    let pin = json!([{"type": "bind-mount", "path": mounts.told("net")}]);
    let pid = owner.truth.pid;
    drop(owner);
    wait_until("the owner is gone", || !is_alive(pid));
    expect(
        &listed("net", net),
        [("processes", json!(0)), ("holders", pin), ("ownerUserNamespace", json!(user))],
    );
    expect(
        &listed("user", user),
        [
            ("processes", json!(0)),
            ("parent", json!(host_namespace("user"))),
            ("holders", json!([{"type": "child-namespace", "path": format!("net:[{net}]")}])),
        ],
    );
}

#[test]
fn a_mounted_proc_keeps_the_pid_namespace_that_it_shows() {
    let mounts = MountPoint::new();
    fs::create_dir(mounts.place("proc")).unwrap();
    let script =
        format!("mount -t proc proc '{}' && exec busybox sleep 1000", mounts.place("proc").display());
    let owner = Member::new("pid", &["sh", "-c", &script]);
    let is_mounted = || {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mountinfo.contains(&mounts.told("proc"))
    };
    wait_until("it is mounted", is_mounted);
    let inode = owner.truth.namespaces["pid"];
    let listed = listed("pid", inode);
    let holder = &list(&listed, "holders")[0];
    expect(holder, [("type", json!("mount")), ("path", json!(mounts.told("proc")))]);
    let seen_by = u32::try_from(holder["pid"].as_u64().unwrap()).unwrap();
    assert_eq!(namespace_of(seen_by, "mnt"), namespace_of(std::process::id(), "mnt"));
    // Who shows the namespace is dead: nobody can say any more which it was, and that is said.
    let pid = owner.truth.pid;
    drop(owner);
    wait_until("the owner is gone", || !is_alive(pid));
    for source in SOURCES {
        let gaps = ask(&[source])["coverage"]["gaps"].to_string();
        assert!(gaps.contains("inspector-pins-") && gaps.contains("proc file system"), "{gaps}");
    }
}

#[test]
fn nested_namespaces_are_told_with_what_is_above_them() {
    let helper = folder().join("helper").display().to_string();
    let outer = Member::new("user,pid", &[&helper, "new", "user,pid,net", "busybox", "sleep", "1000"]);
    let below = || {
        let nested = pids()
            .into_iter()
            .filter_map(Truth::of)
            .filter(|truth| truth.nspid.len() == outer.truth.nspid.len() + 1 && truth.nspid[1..].len() == 2);
        let of_ours = nested.filter(|truth| parent_of(truth.pid) == Some(outer.truth.pid));
        of_ours.collect::<Vec<Truth>>()
    };
    let is_busybox = |pid: u32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == b"busybox\n");
    wait_until("a process below", || below().first().is_some_and(|truth| is_busybox(truth.pid)));
    let inner = below().remove(0);
    let of = |truth: &Truth, kind: &str| json!(truth.namespaces[kind]);
    let host = |kind: &str| json!(host_namespace(kind));
    for (kind, truth, parent, owner) in [
        ("user", &outer.truth, host("user"), host("user")),
        ("pid", &outer.truth, host("pid"), of(&outer.truth, "user")),
        ("user", &inner, of(&outer.truth, "user"), of(&outer.truth, "user")),
        ("pid", &inner, of(&outer.truth, "pid"), of(&inner, "user")),
        ("net", &inner, Value::Null, of(&inner, "user")),
    ] {
        let row = listed(kind, truth.namespaces[kind]);
        expect(&row, [("parent", parent), ("ownerUserNamespace", owner), ("pid", json!(truth.pid))]);
    }
    // The kernel's id of each, where it has them, is one that no other has.
    for source in SOURCES {
        let answer = ask(&[source]);
        let ids: Vec<u64> = list(&answer, "namespaces").iter().filter_map(|row| row["id"].as_u64()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{source}: {ids:?}");
    }
    let tree = inspector(["namespaces", "--tree", "-t", "pid", "--source=procfs"]).succeeded();
    let depth = |inode: &Value| {
        let line = tree.text().lines().find(|line| line.contains(&inode.to_string()));
        line.unwrap_or_else(|| panic!("no {inode} in\n{}", tree.text())).find(char::is_numeric)
    };
    assert!(depth(&host("pid")) < depth(&of(&outer.truth, "pid")), "{}", tree.text());
    assert!(depth(&of(&outer.truth, "pid")) < depth(&of(&inner, "pid")), "{}", tree.text());
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn every_mount_namespace_is_looked_into_when_asked_for() {
    let owner = Member::new("uts", &SLEEP);
    let inode = owner.truth.namespaces["uts"];
    let helper = folder().join("helper").display().to_string();
    let holder = Helper::start(&["new", "mnt", &helper, "hold", &owner.truth.pid.to_string(), "uts"]);
    let pid = holder.command_pid();
    let held = format!("uts:[{inode}]");
    let is_it = |path: PathBuf| fs::read_link(path).is_ok_and(|link| link.to_string_lossy() == held);
    let holds = || {
        fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|mut fds| fds.any(|fd| is_it(fd.unwrap().path())))
    };
    wait_until("it holds", holds);
    let owner_pid = owner.truth.pid;
    drop(owner);
    wait_until("the owner is gone", || !is_alive(owner_pid));
    assert_eq!(agreed("uts", inode, &[]), None, "by default containers' descriptors are left alone");
    let row = agreed("uts", inode, &["--holders=all"]).unwrap();
    let path = descriptor(pid, "uts:[");
    assert_eq!(row["holders"], json!([{"type": "fd", "path": path, "pid": pid}]));
}

#[test]
fn a_file_named_like_a_namespace_is_none() {
    let scratch = tempfile::tempdir().unwrap();
    let name = "net:[4026539999]";
    fs::write(scratch.path().join(name), "").unwrap();
    let holder = Helper::spawn(Command::new("sh").current_dir(scratch.path()).args([
        "-c",
        &format!("exec 7<'{name}'; echo ready; read x <&9"),
        "9",
    ]));
    drop(holder);
    let told = run(Command::new("sh").current_dir(scratch.path()).args([
        "-c",
        &format!("exec 7<'{name}'; {} namespaces -o json --holders=all", crate::support::run::BINARY),
    ]));
    assert!(told.code == Some(0) && !told.text().contains("4026539999"), "{}", told.text());
}
