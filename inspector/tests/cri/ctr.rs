//! containerd without Kubernetes: ctr's containers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::check::pods;
use crate::support::answer::{Answer, Ours, expect, namespace, strings};
use crate::support::cri::{Pod, SECRET, Wish, World};
use crate::support::executable;
use crate::support::run::{BINARY, Run, inspector, run, wait_until};
use crate::support::truth::Truth;

trials![
    a_containers_namespaces_joined_by_others,
    an_exited_container_is_listed_on_demand,
    a_container_in_a_pods_namespace_leaves_the_pod_as_it_is,
    without_a_database_the_bundles_tell,
];

/// containerd's namespace of these tests.
const NAMESPACE: &str = "inspector-tests";

const IDLE: [&str; 3] = ["/bin/sh", "-c", "while true; do sleep 3600; done"];

/// What no pause does: it listens.
const SERVER: [&str; 5] = ["/bin/busybox", "httpd", "-f", "-p", "80"];

/// A container of ctr's; removed when dropped.
struct Ctr {
    world: &'static World,
    id: String,
}

impl Ctr {
    fn run(world: &'static World, id: &str, flags: &[&str], command: &[&str]) -> Self {
        let tree = tree(world);
        // Below the folder of the daemon's cgroups, which the keeper cleans up.
        let cgroup = format!("/{}/ctr/{id}", world.folder.file_name().unwrap().to_string_lossy());
        let secret = format!("PASSWORD={SECRET}");
        let own = ["run", "--detach", "--rootfs", "--cgroup", &cgroup, "--env", &secret];
        let container = Self { world, id: id.to_owned() };
        let made = container.ctr(&[&own, flags, &[tree.to_str().unwrap(), id], command].concat());
        assert_eq!(made.code, Some(0), "{made:?}");
        container
    }

    fn ctr(&self, arguments: &[&str]) -> Run {
        let socket = self.world.socket();
        run(Command::new("ctr").args(["--address", &socket, "--namespace", NAMESPACE]).args(arguments))
    }

    /// The pid and the state, by containerd.
    fn task(&self) -> (u32, String) {
        let listed = self.ctr(&["tasks", "list"]);
        let mut rows = listed.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row[0] == self.id).unwrap_or_else(|| panic!("no {}: {listed:?}", self.id));
        (row[1].parse().unwrap(), row[2].to_owned())
    }

    fn pid(&self) -> u32 {
        self.task().0
    }

    /// The flag that makes another join a namespace of this one.
    fn joined(&self, kind: &str) -> String {
        let name = if kind == "network" { "net" } else { kind };
        format!("--with-ns={kind}:/proc/{}/ns/{name}", self.pid())
    }
}

impl Drop for Ctr {
    fn drop(&mut self) {
        // The keeper removes what these cannot.
        self.ctr(&["tasks", "delete", "--force", &self.id]);
        self.ctr(&["containers", "delete", &self.id]);
    }
}

/// A root file system with a shell.
fn tree(world: &World) -> PathBuf {
    let tree = world.scratch("ctr");
    static MADE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = MADE.lock();
    if !tree.join("bin").exists() {
        for folder in ["bin", "proc", "dev", "sys", "data"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
        }
        executable::copy("/bin/busybox".as_ref(), &tree.join("bin/busybox"));
        for applet in ["sh", "sleep"] {
            std::os::unix::fs::symlink("busybox", tree.join("bin").join(applet)).unwrap();
        }
    }
    tree
}

/// The same by every source: the socket, the daemon's root, and what is found without a word.
fn agreed(world: &World, ids: &[&str], arguments: &[&str]) -> Ours {
    let ask = |source: &str, from: &[String]| {
        let from: Vec<&str> = from.iter().map(String::as_str).collect();
        let answer = pods(&[&[source], from.as_slice(), arguments].concat());
        for gap in answer.gaps() {
            assert!(!ids.iter().any(|id| gap.contains(id)), "a gap about our containers: {gap}");
        }
        answer.ours(ids)
    };
    let bpf = ask("--source=bpf", &[world.with_socket()]);
    assert_eq!(bpf, ask("--source=procfs", &[world.with_socket()]), "the iterator (left), /proc (right)");
    for from in [vec![world.with_root()], vec![]] {
        let files = ask("--source=procfs", &from);
        assert_eq!(
            bpf.without_words(),
            files.without_words(),
            "the socket (left) and {from:?} (right) differ"
        );
    }
    bpf
}

fn is(row: &Value, container: &Ctr) {
    let truth = Truth::of(container.pid()).unwrap();
    expect(
        row,
        [
            ("name", json!(container.id)),
            ("runtime", json!("containerd")),
            ("state", json!("running")),
            ("identity", json!("confirmed")),
            ("initPid", json!(truth.pid)),
            ("cgroup", json!(truth.cgroup)),
            ("namespaces", serde_json::to_value(&truth.namespaces).unwrap()),
        ],
    );
}

fn a_containers_namespaces_joined_by_others(world: &'static World) {
    let folder = world.scratch("ctr-data").display().to_string();
    let mount = |options: &str| format!("--mount=type=bind,src={folder},dst=/data,options=rbind:{options}");
    let web = Ctr::run(world, "ctr-web", &[&mount("rw")], &SERVER);
    let (net, ipc, pid) = (web.joined("network"), web.joined("ipc"), web.joined("pid"));
    let side = Ctr::run(world, "ctr-side", &[&net, &ipc, &pid, &mount("ro")], &IDLE);
    let ours = agreed(world, &[&web.id, &side.id], &[]);
    let pod = ours.the_pod();
    expect(pod, [("verdict", json!("application-owned")), ("origin", json!("containerd"))]);
    is(ours.container(&web.id), &web);
    is(ours.container(&side.id), &side);
    for kind in ["net", "ipc", "pid"] {
        let shared = namespace(pod, kind);
        assert_eq!(strings(shared, "sharedBy"), [&side.id, &web.id]);
        expect(shared, [("owner/container", json!(web.id)), ("owner/class", json!("application"))]);
    }
    assert_eq!(
        ours.findings_of("PNS001"),
        [("ipc", &*web.id), ("net", &*web.id), ("pid", &*web.id)],
        "{:#?}",
        ours.findings
    );
    let volume = &pod["volumes"];
    assert!(volume.to_string().contains(&folder), "{pod:#}");
    let verbose = run(Command::new(BINARY).args(["pods", "-o", "json", "-vvv", &world.with_socket()]));
    assert!(!verbose.text().contains(SECRET) && !verbose.stderr.contains(SECRET), "an environment leaked");
}

fn an_exited_container_is_listed_on_demand(world: &'static World) {
    let owner = Ctr::run(world, "ctr-owner", &[], &["/bin/sh", "-c", "sleep 3600 & wait"]);
    let joiner = Ctr::run(world, "ctr-joiner", &[&owner.joined("network")], &IDLE);
    let before = owner.pid();
    owner.ctr(&["tasks", "kill", "--signal", "SIGKILL", &owner.id]);
    wait_until("the owner ends", || owner.task().1 == "STOPPED");
    let ids = [owner.id.as_str(), joiner.id.as_str()];
    for from in [world.with_socket(), world.with_root()] {
        let answer = pods(&["--all", &from]);
        let ours = answer.ours(&ids);
        let pod = ours.the_pod();
        let row = ours.container(&owner.id);
        expect(row, [("state", json!("exited")), ("initPid", json!(0)), ("namespaces", json!({}))]);
        // Its process is gone, and whom it meant is known by what containerd keeps: not by the bare pid.
        expect(namespace(pod, "net"), [("owner/container", json!(owner.id)), ("owner/alive", json!(false))]);
        assert!(!Truth::of(before).is_some_and(|it| it.cgroup.contains(&owner.id)));
    }
    // How it ended containerd tells, and no file.
    let answer = pods(&["--all", &world.with_socket()]);
    expect(answer.ours(&ids).container(&owner.id), [("exit/code", json!(137))]);
}

fn a_container_in_a_pods_namespace_leaves_the_pod_as_it_is(world: &'static World) {
    let pod = Pod::run(world, Wish::named("visited"));
    let web = pod.start("web", "busybox", &IDLE);
    let net = format!("--with-ns=network:/proc/{}/ns/net", pod.pid());
    let guest = Ctr::run(world, "ctr-guest", &[&net], &IDLE);
    let ours = agreed(world, &[&pod.id, &web.id, &guest.id], &[]);
    expect(ours.pod_of(&web.id), [("id", json!(pod.id)), ("name", json!("visited"))]);
    is(ours.container(&guest.id), &guest);
    expect(ours.pod_of(&web.id), [("verdict", json!("pause-owned"))]);
    assert!(strings(namespace(ours.pod_of(&web.id), "net"), "sharedBy").contains(&guest.id.as_str()));
}

fn without_a_database_the_bundles_tell(world: &'static World) {
    let pod = Pod::run(world, Wish::named("bundled"));
    let web = pod.start("web", "busybox", &IDLE);
    let own = Ctr::run(world, "ctr-own", &[], &SERVER);
    let other = Ctr::run(world, "ctr-other", &[&own.joined("network")], &IDLE);
    let ids = [pod.id.as_str(), &web.id, &own.id, &other.id];
    let by_socket = Answer::of(inspector(["pods", "-o", "json", &world.with_socket()])).ours(&ids);
    // As where containerd has been lost with its disk: an empty folder in place of its root.
    let script = format!("mount -t tmpfs none {}/root; exec \"$0\" pods -o json", world.folder.display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-ec", &script, BINARY]);
    let answer = Answer::of(run(&mut command));
    let gaps = answer.gaps();
    assert!(gaps.iter().any(|gap| gap.contains("database was not found")), "{gaps:#?}");
    let by_bundles = answer.ours(&ids);
    for (id, fields) in [
        (&pod.id, ["name", "role", "state", "cgroup", "namespaces"]),
        (&web.id, ["name", "role", "state", "cgroup", "namespaces"]),
        (&own.id, ["name", "runtime", "state", "cgroup", "declared"]),
        (&other.id, ["name", "runtime", "state", "cgroup", "declared"]),
    ] {
        for field in fields {
            assert_eq!(by_bundles.container(id)[field], by_socket.container(id)[field], "{field} of {id}");
        }
    }
    for field in ["id", "name", "namespace", "uid", "verdict", "origin"] {
        assert_eq!(by_bundles.pod_of(&web.id)[field], by_socket.pod_of(&web.id)[field], "{field}");
    }
    assert_eq!(by_bundles.pod_of(&own.id)["verdict"], "application-owned");
}
