//! Groups as they are found on real nodes: sandboxes within sandboxes, services, owners that changed their user or
//! died, namespaces that only a mount or a descriptor keeps.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::answer::{expect, list, namespace};
use crate::support::check::pods;
use crate::support::helper::folder;
use crate::support::run::{inspector, wait_until};
use crate::support::truth::{Truth, is_dead, pids};
use crate::{Member, SLEEP, agreed, has};

#[test]
fn a_service_with_a_network_of_its_own_is_one_line_until_asked_for() {
    // systemd's PrivateNetwork: one process, alone in its network namespace.
    let service = Member::new("net", &["busybox", "httpd", "-f", "-p", "80"]);
    let answer = pods(&["--source=procfs"]);
    assert!(answer.ours(&[&service.id()]).pods.is_empty());
    assert!(answer.json["hidden"]["unmanaged"].as_u64().unwrap() >= 1);
    let table = inspector(["pods", "--source=procfs"]).succeeded();
    let summary: Vec<&str> =
        table.text().lines().filter(|line| line.contains("single-process group")).collect();
    assert!(matches!(summary[..], [line] if line.contains("(--all)")), "{}", table.text());
    let ours = agreed(&[&service], &["--all"]);
    expect(ours.the_pod(), [("verdict", json!("host")), ("origin", json!("unmanaged"))]);
}

#[test]
fn a_browsers_sandbox_is_one_group() {
    // A broker in a network of its own, which starts renderers in user and PID namespaces of their own, one of them
    // below another PID namespace.
    let helper = folder().join("helper").display().to_string();
    let script = format!(
        "{helper} new user,pid busybox sleep 1000 & {helper} new pid {helper} new user,pid busybox sleep 1000 & wait"
    );
    let broker = Member::new("net", &["sh", "-c", &script]);
    let net = broker.truth.namespaces["net"];
    let inside = || {
        pids().into_iter().filter_map(Truth::of).filter(|it| it.namespaces["net"] == net).collect::<Vec<_>>()
    };
    // The shell, three helpers and two sleepers.
    wait_until("the sandboxes", || {
        inside().iter().filter(|it| comm(it.pid) == "busybox").count() == 2 && inside().len() == 6
    });
    let depth = |it: &Truth| it.nspid.len();
    assert!(inside().iter().any(|it| depth(it) == depth(&broker.truth) + 2), "{:?}", inside());
    let ours = agreed(&[&broker], &[]);
    let pod = ours.the_pod();
    expect(pod, [("id", json!(broker.id()))]);
    let processes: u64 = list(pod, "containers").iter().map(|it| it["processes"].as_u64().unwrap()).sum();
    assert_eq!(processes, 6, "{pod:#}");
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

#[test]
fn an_owner_that_changed_its_user_is_read_like_any() {
    // The kernel forgets with the old user that it is to die with its parent.
    let changed = [
        "setpriv",
        "--pdeathsig=KILL",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "busybox",
        "sleep",
        "1000",
    ];
    let owner = Member::new("net,ipc,uts,pid", &changed);
    wait_until("the change", || comm(owner.truth.pid) == "busybox");
    let joiner = Member::join(&owner, "net,ipc,pid", &SLEEP);
    let ours = agreed(&[&owner, &joiner], &[]);
    expect(ours.the_pod(), [("id", json!(owner.id()))]);
    for kind in ["net", "ipc", "pid"] {
        expect(namespace(ours.the_pod(), kind), [("owner/container", json!(owner.id()))]);
    }
    let run = inspector(["ps", "-o", "json", &owner.id()]).succeeded();
    let answer: serde_json::Value = serde_json::from_str(run.text()).unwrap();
    let uids: Vec<_> = list(&answer, "processes").iter().map(|row| row["uid"].clone()).collect();
    assert_eq!(uids, [65_534, 0]);
}

#[test]
fn an_init_that_nobody_reaps_owns_nothing_alive() {
    let owner = Member::new("net,ipc,pid", &SLEEP);
    let joiner = Member::join(&owner, "net,ipc", &SLEEP);
    let mate = Member::join(&owner, "net,ipc,pid", &SLEEP);
    // Its parent no longer runs, so it stays a zombie; the kernel kills whoever is in its PID namespace.
    let pid = |pid: u32| Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid(owner.helper.pid()), Signal::STOP).unwrap();
    kill_process(pid(owner.truth.pid), Signal::KILL).unwrap();
    wait_until("the namespace dies", || is_dead(owner.truth.pid) && is_dead(mate.truth.pid));
    assert!(fs::metadata(format!("/proc/{}", owner.truth.pid)).is_ok(), "it was reaped");
    let survivor = Member::join(&joiner, "net,ipc", &SLEEP);
    let ours = agreed(&[&joiner, &survivor], &[]);
    let pod = ours.the_pod();
    assert!(!has(pod, &owner.id()) && !has(pod, &mate.id()), "the dead are no members: {pod:#}");
    let ps = inspector(["ps", "--all", "-o", "name"]).succeeded();
    assert!(!ps.text().contains(&format!("pid/{}\n", mate.truth.pid)), "{}", ps.text());
}

/// A bind mount, taken away again however the test ends.
struct Pin(PathBuf);

impl Pin {
    fn of(pid: u32, kind: &str, folder: &tempfile::TempDir) -> Self {
        let path = folder.path().join(kind);
        File::create(&path).unwrap();
        rustix::mount::mount_bind(format!("/proc/{pid}/ns/{kind}"), &path).unwrap();
        Self(path)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn pins_and_descriptors_make_no_members() {
    let folder = tempfile::Builder::new().prefix("inspector-pins-").tempdir().unwrap();
    let owner = Member::new("net,ipc", &["busybox", "httpd", "-f", "-p", "80"]);
    let joiner = Member::join(&owner, "net,ipc", &SLEEP);
    let pin = Pin::of(owner.truth.pid, "net", &folder);
    let descriptor = File::open(format!("/proc/{}/ns/ipc", owner.truth.pid)).unwrap();
    let ours = agreed(&[&owner, &joiner], &[]);
    let held = namespace(ours.the_pod(), "net");
    let path = pin.0.display().to_string();
    let holders = list(held, "holders");
    assert!(
        holders.iter().any(|holder| holder["type"] == "bind-mount" && holder["path"] == path),
        "{held:#}"
    );
    expect(ours.the_pod(), [("verdict", json!("application-owned"))]);
    let ids = [owner.id(), joiner.id()];
    let inodes = ["net", "ipc"].map(|kind| owner.truth.namespaces[kind]);
    drop((owner, joiner));
    // Nobody is in them any more: they are no pod, whoever keeps them.
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = pods(&[source, "--all"]);
        assert!(answer.ours(&[&ids[0], &ids[1]]).pods.is_empty());
        let all = answer.json["pods"].to_string();
        assert!(!inodes.iter().any(|inode| all.contains(&inode.to_string())), "{all}");
    }
    drop(descriptor);
}
