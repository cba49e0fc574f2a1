//! `inspector namespaces` on namespaces that the tests make themselves, beside lsns and /proc. As root, for namespaces
//! cannot be made or read otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

#[allow(dead_code, reason = "these tests need no Docker")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use serde_json::{Value, json};

use support::answer::{expect, list, strings, validate};
use support::clean::is_clean;
use support::helper::{Helper, folder};
use support::run::{inspector, run, wait_until};
use support::truth::{KINDS, Truth, host_namespace, is_dead, namespace as namespace_of, pids};

const SLEEP: [&str; 3] = ["busybox", "sleep", "1000"];

/// A namespace, by kind and inode.
type Key = (String, u64);

/// An answer, as the schema says it has to be.
fn ask(arguments: &[&str]) -> Value {
    assert!(rustix::process::geteuid().is_root(), "namespaces are made by root: use `cargo xtask test`");
    let answer = inspector([&["namespaces", "-o", "json"], arguments].concat()).succeeded();
    is_clean(&answer.stdout, "namespaces -o json");
    let answer: Value = serde_json::from_str(answer.text()).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/namespaces.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    validate(&schema, &answer).unwrap_or_else(|error| panic!("not as the schema says: {error}"));
    answer
}

fn key(row: &Value) -> Key {
    (row["kind"].as_str().unwrap().to_owned(), row["inode"].as_u64().unwrap())
}

fn row<'a>(answer: &'a Value, kind: &str, inode: u64) -> Option<&'a Value> {
    list(answer, "namespaces").iter().find(|row| key(row) == (kind.to_owned(), inode))
}

fn the_row<'a>(answer: &'a Value, kind: &str, inode: u64) -> &'a Value {
    row(answer, kind, inode).unwrap_or_else(|| panic!("{kind} {inode} is not listed"))
}

/// Processes and lowest pid by namespace, but for the node's own, where processes come and go as they please.
type Counts = BTreeMap<Key, (u64, u64)>;

fn not_the_nodes((kind, inode): &Key) -> bool {
    *inode != host_namespace(kind)
}

/// What lsns says.
fn lsns() -> Counts {
    // It gives up where a process ends while it reads.
    let ask = || run(Command::new("lsns").args(["-l", "--json", "-o", "ns,type,nprocs,pid"]));
    let mut said = ask();
    for _ in 0..20 {
        if said.code == Some(0) {
            break;
        }
        said = ask();
    }
    let said = said.succeeded();
    let said: Value = serde_json::from_str(said.text()).unwrap();
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    list(&said, "namespaces")
        .iter()
        .map(|row| {
            let key = (row["type"].as_str().unwrap().to_owned(), number(&row["ns"]));
            (key, (number(&row["nprocs"]), number(&row["pid"])))
        })
        // Newer ones also list what no process is in.
        .filter(|(key, (processes, _))| not_the_nodes(key) && *processes > 0)
        .collect()
}

/// What we say, of the namespaces that a process is in.
fn ours(answer: &Value) -> Counts {
    let rows = list(answer, "namespaces").iter().filter(|row| row["processes"] != 0);
    rows.map(|row| (key(row), (row["processes"].as_u64().unwrap(), row["pid"].as_u64().unwrap())))
        .filter(|(key, _)| not_the_nodes(key))
        .collect()
}

/// Threads by namespace, counted in /proc.
fn threads(of: &Key) -> u64 {
    let mut count = 0;
    for pid in pids() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let link = fs::read_link(thread.path().join("ns").join(&of.0)).unwrap_or_default();
            count += u64::from(link.to_str() == Some(&format!("{}:[{}]", of.0, of.1)));
        }
    }
    count
}

/// A namespace pinned by a bind mount; gone when dropped.
struct Pinned {
    folder: tempfile::TempDir,
    inode: u64,
}

impl Pinned {
    /// Pins that of a process.
    fn new(pid: u32, kind: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("inspector-pin-").tempdir().unwrap();
        let pinned = Self { folder, inode: namespace_of(pid, kind).unwrap() };
        fs::write(pinned.path(), "").unwrap();
        mount_bind(format!("/proc/{pid}/ns/{kind}"), pinned.path()).unwrap();
        let alone = rustix::mount::MountPropagationFlags::PRIVATE;
        rustix::mount::mount_change(pinned.path(), alone).unwrap();
        pinned
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("ns")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}

fn new(kinds: &str, command: &[&str]) -> Helper {
    Helper::start(&[&["new", kinds], command].concat())
}

/// The innermost process that a chain of helpers started: the only child of the only child.
fn innermost(helper: &Helper) -> u32 {
    let children = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().next().and_then(|pid| pid.parse().ok())
    };
    let last = || std::iter::successors(Some(helper.pid()), |pid| children(*pid)).last().unwrap();
    let sleeps = || fs::read(format!("/proc/{}/comm", last())).unwrap_or_default() == b"busybox\n";
    wait_until("the innermost process", sleeps);
    last()
}

#[test]
fn every_namespace_has_the_processes_that_lsns_counts() {
    let binary = folder().join("helper").display().to_string();
    let shared =
        new("net,ipc,uts,pid,mnt,cgroup", &["sh", "-c", "busybox sleep 1000 & busybox sleep 1000 & wait"]);
    let joiner = Helper::start(&[&["join", &shared.said, "net,ipc,pid"][..], &SLEEP].concat());
    let nested_pid = new("pid", &[&[binary.as_str(), "new", "pid"][..], &SLEEP].concat());
    // Its outer user namespace has no process, once it has become what it is to be.
    let nested_user = Helper::spawn(Command::new("unshare").args([
        "-Ur",
        "sh",
        "-c",
        "echo ready; exec unshare -Urn busybox sleep 1000",
    ]));
    let stray = Helper::start(&["stray"]);
    let leaderless = Helper::start(&["leaderless"]);
    let zombie = Helper::start(&["zombie", "pid,net"]);
    innermost(&nested_pid);
    assert_eq!(innermost(&nested_user), nested_user.pid());

    let zombie_pid: u32 = zombie.said.parse().unwrap();
    let dead = namespace_of(zombie_pid, "pid").unwrap();
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = as_lsns_counts(source);
        assert_eq!(lsns().get(&("pid".to_owned(), dead)), Some(&(1, u64::from(zombie_pid))));
        assert!(list(&answer, "namespaces").iter().map(key).map(order).is_sorted());
        expect(
            the_row(&answer, "pid", dead),
            [("pid", json!(0)), ("zombies", json!(1)), ("command", Value::Null), ("threads", json!(1))],
        );
    }
    drop((joiner, stray, leaderless));
}

/// An answer in which every namespace has the processes that lsns counts. Others make namespaces meanwhile, and neither
/// looks at everything in one moment: it has to be so once.
fn as_lsns_counts(source: &str) -> Value {
    let mut differing = Vec::new();
    for _ in 0..50 {
        let mut expected = lsns();
        let answer = ask(&[source]);
        let mut ours = ours(&answer);
        // lsns calls a zombie the lowest process; it can do nothing more for anybody.
        for (key, (_, pid)) in &mut expected {
            if let Some((_, of_ours)) = ours.get_mut(key)
                && is_over(*pid)
                && (*of_ours == 0 || !is_over(*of_ours))
            {
                (*pid, *of_ours) = (0, 0);
            }
        }
        let keys: BTreeSet<&Key> = ours.keys().chain(expected.keys()).collect();
        differing = keys
            .into_iter()
            .filter(|key| ours.get(*key) != expected.get(*key))
            .map(|key| (key.clone(), ours.get(key).copied(), expected.get(key).copied()))
            .collect();
        if differing.is_empty() {
            return answer;
        }
    }
    panic!("{source}: (namespace, our processes and lowest pid, lsns's): {differing:?}");
}

/// Whether a process is dead, or is only waiting for the zombies of its PID namespace to be reaped.
fn is_over(pid: u64) -> bool {
    let pid = u32::try_from(pid).unwrap();
    is_dead(pid) || namespace_of(pid, "mnt").is_none()
}

fn order((kind, inode): Key) -> (usize, u64) {
    (KINDS.iter().position(|it| *it == kind).unwrap(), inode)
}

#[test]
fn threads_are_counted_where_they_are() {
    let stray = Helper::start(&["stray"]);
    let tasks = fs::read_dir(format!("/proc/{}/task", stray.pid())).unwrap();
    let thread: u32 = tasks
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().ok())
        .find(|tid| *tid != stray.pid())
        .unwrap();
    let link = fs::read_link(format!("/proc/{}/task/{thread}/ns/net", stray.pid())).unwrap();
    let inode = link.to_str().unwrap()[5..15].parse().unwrap();
    // With a second main thread beside the first one's sibling.
    let sandbox = new("net,ipc", &SLEEP);
    let ipc = namespace_of(sandbox.command_pid(), "ipc").unwrap();
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = ask(&[source]);
        expect(
            the_row(&answer, "net", inode),
            [("processes", json!(0)), ("threads", json!(1)), ("pid", json!(thread)), ("uid", json!(0))],
        );
        for key in [("net".to_owned(), inode), ("ipc".to_owned(), ipc)] {
            assert_eq!(the_row(&answer, &key.0, key.1)["threads"], threads(&key), "{key:?}");
        }
    }
}

#[test]
fn what_only_a_bind_mount_keeps_is_listed_with_it() {
    let process = new("net", &SLEEP);
    let pinned = Pinned::new(process.command_pid(), "net");
    let path = pinned.path().display().to_string();
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = ask(&[source]);
        let row = the_row(&answer, "net", pinned.inode);
        assert_eq!(list(row, "holders"), [json!({"type": "bind-mount", "path": path})]);
        expect(row, [("processes", json!(1))]);
    }
    drop(process);
    for source in ["--source=bpf", "--source=procfs"] {
        let row = the_row(&ask(&[source]), "net", pinned.inode).clone();
        expect(
            &row,
            [
                ("processes", json!(0)),
                ("threads", json!(0)),
                ("pid", json!(0)),
                ("command", Value::Null),
                ("uid", Value::Null),
                ("host", json!(false)),
                ("owner/container", Value::Null),
                ("holders/0/type", json!("bind-mount")),
            ],
        );
    }
    let inode = pinned.inode;
    drop(pinned);
    assert_eq!(row(&ask(&[]), "net", inode), None);
}

#[test]
fn what_awaits_children_is_listed_with_who_will_have_them() {
    let later = Helper::start(&["later", "time"]);
    let link = fs::read_link(format!("/proc/{}/ns/time_for_children", later.pid())).unwrap();
    let inode = link.to_str().unwrap()[6..16].parse().unwrap();
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = ask(&[source]);
        expect(
            the_row(&answer, "time", inode),
            [("processes", json!(0)), ("threads", json!(0)), ("forChildren", json!([later.pid()]))],
        );
        let of_process = ask(&[source, "-p", &later.pid().to_string()]);
        assert_eq!(list(&of_process, "namespaces").len(), 9);
        assert!(row(&of_process, "time", inode).is_some());
    }
    // A PID namespace without any process yet: /proc keeps it to itself.
    let later = Helper::start(&["later", "pid"]);
    let answer = ask(&["--source=bpf", "-t", "pid", "-p", &later.pid().to_string()]);
    let waiting: Vec<&Value> =
        list(&answer, "namespaces").iter().filter(|row| row["processes"] == 0).collect();
    assert_eq!(waiting.len(), 1, "{answer:#}");
    assert_eq!(waiting[0]["forChildren"], json!([later.pid()]));
}

#[test]
fn a_groups_processes_are_its_containers_and_their_first_the_owner() {
    let owner = new("net,ipc,uts,pid", &SLEEP);
    let joiner = Helper::start(&[&["join", &owner.said, "net,pid"][..], &SLEEP].concat());
    let (owner, joiner) = (Truth::of(owner.command_pid()).unwrap(), Truth::of(joiner.command_pid()).unwrap());
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = ask(&[source]);
        let net = the_row(&answer, "net", owner.namespaces["net"]);
        let mut both = vec![owner.id(), joiner.id()];
        both.sort();
        assert_eq!(strings(net, "containers"), both);
        assert_eq!(strings(net, "pods"), [owner.id()]);
        expect(
            net,
            [
                ("processes", json!(2)),
                ("pid", json!(owner.pid.min(joiner.pid))),
                ("command", json!("busybox")),
                ("owner/container", json!(owner.id())),
                ("owner/pid", json!(owner.pid)),
                ("owner/evidence", json!("inferred")),
            ],
        );
        let uts = the_row(&answer, "uts", owner.namespaces["uts"]);
        assert_eq!(strings(uts, "containers"), [owner.id()]);
        expect(uts, [("owner/container", json!(owner.id())), ("host", json!(false))]);
        expect(the_row(&answer, "uts", joiner.namespaces["uts"]), [("host", json!(true))]);
    }
}

#[test]
fn filters_formats_and_refusals() {
    let sandbox = new("net,uts", &SLEEP);
    let truth = Truth::of(sandbox.command_pid()).unwrap();
    let pid = truth.pid.to_string();
    let of_process = ask(&["-p", &pid]);
    let listed: BTreeMap<String, u64> = list(&of_process, "namespaces").iter().map(key).collect();
    assert_eq!(listed, truth.namespaces);
    let names = inspector(["namespaces", "-p", &pid, "-t", "net,uts", "-o", "name"]).succeeded();
    let expected = format!("uts:[{}]\nnet:[{}]\n", truth.namespaces["uts"], truth.namespaces["net"]);
    assert_eq!(names.text(), expected);
    let columns = ["namespaces", "-p", &pid, "-t", "net", "--columns", "NS,NPROCS,PID", "--no-headers"];
    let columns = inspector(columns).succeeded();
    let fields: Vec<&str> = columns.text().split_whitespace().collect();
    assert_eq!(fields, [truth.namespaces["net"].to_string().as_str(), "1", &pid]);
    for arguments in
        [&["--tree"][..], &["--tree=owner"], &["-o", "wide"], &["--tree", "-p", &pid], &["-o", "yaml"]]
    {
        let run = inspector([&["namespaces"], arguments].concat()).succeeded();
        is_clean(&run.stdout, &run.command);
        assert!(run.text().contains(&host_namespace("user").to_string()), "{}\n{}", run.command, run.text());
    }
    for (arguments, complaint) in [
        (&["-p", "4194305"][..], "no process 4194305"),
        (&["--tree", "-o", "json"], "--tree"),
        (&["--columns", "NS", "-o", "yaml"], "--columns"),
    ] {
        let line = inspector([&["namespaces"], arguments].concat());
        assert!(line.refused(2).contains(complaint), "{line:?}");
    }
}

#[test]
fn a_recording_gives_the_same_answer() {
    let _sandbox = new("net,uts,pid", &SLEEP);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.rec").display().to_string();
    inspector(["record", &file]).succeeded();
    let replayed = |format| inspector(["namespaces", "--replay", &file, "-o", format]).succeeded().stdout;
    for format in ["json", "yaml", "table", "name"] {
        assert_eq!(replayed(format), replayed(format), "two answers from one recording differ");
    }
    let answer: Value = serde_json::from_slice(&replayed("json")).unwrap();
    assert!(list(&answer, "namespaces").len() >= 11);
}
