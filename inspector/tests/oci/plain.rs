//! runc and crun by themselves: who joins whom is told by paths.

use std::fs;

use serde_json::json;

use crate::machine::{Container, Machine, ns};
use crate::support::answer::{Answer, containers, expect, namespace, strings};
use crate::support::run::inspector;
use crate::support::truth;

trials![
    a_pause_owns,
    an_application_owns,
    a_killed_owner_keeps_its_name,
    a_stopped_container_is_exited,
    a_recycled_pid_is_not_believed,
    crun_without_cgroups,
    a_users_word_is_good_for_that_users_processes,
    hostile_folders_are_gaps,
    a_folder_that_is_not_there,
];

const OWN: [(&str, Option<String>); 4] = [("pid", None), ("network", None), ("ipc", None), ("uts", None)];

fn joiner(m: &Machine, id: &str, owner: &Container) -> Container {
    let joined =
        [("pid", None), ("network", ns(owner.pid, "net")), ("ipc", ns(owner.pid, "ipc")), ("uts", None)];
    m.run(id, &["/bin/busybox", "sleep", "1000"], &joined)
}

fn a_pause_owns() {
    let m = Machine::new();
    let pause = m.run("o.pause", &["/pause"], &OWN);
    let (one, two) = (joiner(&m, "o.one", &pause), joiner(&m, "o.two", &pause));
    let ours = m.agreed(&m.runc_flag(), &[&pause, &one, &two], &[]);
    expect(
        ours.the_pod(),
        [("verdict", json!("pause-owned")), ("id", json!("o.pause")), ("origin", json!("oci"))],
    );
    for kind in ["net", "ipc"] {
        let shared = namespace(ours.the_pod(), kind);
        assert_eq!(strings(shared, "sharedBy"), ["o.one", "o.pause", "o.two"]);
        expect(shared, [("owner/container", json!("o.pause")), ("owner/class", json!("pause"))]);
    }
    let row = ours.container("o.one");
    assert_eq!(row["declared"]["net"], "container:o.pause");
    assert_eq!(
        (&row["cgroup"], &row["name"], &row["runtime"]),
        (&json!(m.cgroup("o.one")), &json!("o.one"), &json!("oci"))
    );
    assert_eq!(ours.findings_of("PNS001"), []);
}

fn an_application_owns() {
    let m = Machine::new();
    let owner = m.run("app", &["/bin/busybox", "httpd", "-f", "-p", "8080"], &OWN);
    let joined = joiner(&m, "side.car", &owner);
    let ours = m.agreed(&m.runc_flag(), &[&owner, &joined], &[]);
    expect(ours.the_pod(), [("verdict", json!("application-owned")), ("id", json!("app"))]);
    assert_eq!(ours.findings_of("PNS001"), [("ipc", "app"), ("net", "app")]);
}

fn a_killed_owner_keeps_its_name() {
    let m = Machine::new();
    let owner = m.run("app", &["/bin/busybox", "httpd", "-f", "-p", "8080"], &OWN);
    let joined = joiner(&m, "side", &owner);
    m.kill(owner.pid);
    let ours = m.agreed(&m.runc_flag(), &[&joined], &[]);
    let net = namespace(ours.pod_of("side"), "net");
    expect(net, [("owner/container", json!("app")), ("owner/alive", json!(false)), ("owner/pid", json!(0))]);
    assert_eq!(ours.container("side")["declared"]["net"], "container:app");
    assert_eq!(ours.findings_of("PNS002"), [("ipc", "app"), ("net", "app")]);
}

fn a_stopped_container_is_exited() {
    let m = Machine::new();
    let gone = m.run("gone", &["/bin/busybox", "true"], &OWN);
    crate::support::run::wait_until("it ends", || truth::is_dead(gone.pid));
    let ours = m.agreed(&m.runc_flag(), &[], &["--all"]);
    assert!(ours.pods.is_empty());
    let ours = m.agreed(&m.runc_flag(), &[&gone], &["--all"]);
    let row = ours.container("gone");
    expect(
        row,
        [
            ("state", json!("exited")),
            ("initPid", json!(0)),
            ("processes", json!(0)),
            ("namespaces", json!({})),
        ],
    );
}

fn a_recycled_pid_is_not_believed() {
    let m = Machine::new();
    let one = m.run("one", &["/pause"], &OWN);
    let two = m.run("two", &["/pause"], &OWN);
    m.kill(one.pid);
    // What is left when another process gets the dead one's number.
    let path = m.folder.join("runc/one/state.json");
    let mut state: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    state["init_process_pid"] = json!(two.pid);
    state["init_process_start"] = json!(truth::Truth::of(two.pid).unwrap().start_ticks - 1);
    fs::write(&path, state.to_string()).unwrap();
    let ours = m.agreed(&m.runc_flag(), &[&two], &["--all"]);
    assert_eq!(ours.container("two")["state"], "running");
    let ours = m.agreed_on(&m.runc_flag(), &[&two], &["one", "two"], &["--all"]);
    assert_eq!(ours.container("one")["state"], "exited");
}

fn crun_without_cgroups() {
    let m = Machine::new();
    // crun refuses a machine with cgroups of both versions; in this mount namespace it sees those of version 2 only.
    let unified = "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec crun --cgroup-manager=disabled \"$@\"";
    let crun = ["crun", "unshare", "--mount", "sh", "-c", unified, "crun"];
    let mut spec = m.spec("c.one", &["/pause"], &OWN);
    spec["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    let owner = m.run_bundle(&crun, "c.one", &m.bundle("c.one", &spec));
    let joined = [("pid", None), ("network", ns(owner.pid, "net"))];
    let mut spec = m.spec("c.two", &["/bin/busybox", "httpd", "-f", "-p", "8080"], &joined);
    spec["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    let other = m.run_bundle(&crun, "c.two", &m.bundle("c.two", &spec));
    let flag = format!("--socket=oci={}", m.folder.join("crun").display());
    let ours = m.agreed(&flag, &[&owner, &other], &[]);
    expect(ours.the_pod(), [("verdict", json!("pause-owned")), ("id", json!("c.one"))]);
    assert_eq!(ours.container("c.two")["declared"]["net"], "container:c.one");
}

fn hostile_folders_are_gaps() {
    let m = Machine::new();
    let good = m.run("good", &["/pause"], &OWN);
    let root = m.folder.join("runc");
    for name in ["fifo", "link", "junk", "other", "huge"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo/state.json"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("../good/state.json", root.join("link/state.json")).unwrap();
    fs::write(root.join("junk/state.json"), b"{\"id\":\x00\xff").unwrap();
    fs::copy(root.join("good/state.json"), root.join("other/state.json")).unwrap();
    fs::File::create(root.join("huge/state.json")).unwrap().set_len(1 << 30).unwrap();
    fs::write(root.join("file\u{1b}[31m"), "no folder").unwrap();
    let answer = Answer::of(inspector(["pods", "-o", "json", "--source=procfs", &m.runc_flag()]));
    let ours = answer.ours(&["good"]);
    assert_eq!(ours.container("good")["initPid"], good.pid);
    for name in ["fifo", "link", "junk", "other", "huge"] {
        let about = answer.gaps().iter().filter(|gap| gap.starts_with(&format!("container {name},"))).count();
        assert_eq!(about, 1, "gaps about {name}: {:#?}", answer.gaps());
    }
    assert_eq!(answer.json["coverage"]["partial"], true);
}

fn a_folder_that_is_not_there() {
    let answer =
        Answer::of(inspector(["pods", "-o", "json", "--source=procfs", "--socket=oci=/nonexistent/runc"]));
    assert_eq!(answer.status("/nonexistent/runc"), "absent");
    assert!(answer.gaps().iter().any(|gap| gap.contains("/nonexistent/runc")));
}

fn a_users_word_is_good_for_that_users_processes() {
    let m = Machine::new();
    let roots = m.run("roots", &["/pause"], &OWN);
    // A user writes down root's container as one of the user's own.
    let (folder, theirs) = (m.folder.join("user"), m.folder.join("user/mine"));
    fs::create_dir_all(&theirs).unwrap();
    let state = fs::read_to_string(m.folder.join("runc/roots/state.json")).unwrap();
    fs::write(theirs.join("state.json"), state.replace("\"id\":\"roots\"", "\"id\":\"mine\"")).unwrap();
    for path in [&folder, &theirs, &theirs.join("state.json")] {
        std::os::unix::fs::chown(path, Some(1234), Some(1234)).unwrap();
    }
    let flag = format!("--socket=oci={}", folder.display());
    let answer = Answer::of(inspector(["pods", "--all", "-o", "json", "--source=procfs", &flag]));
    let rows: Vec<_> = answer.json["pods"].as_array().unwrap().iter().flat_map(containers).collect();
    let claims = |row: &&&serde_json::Value| row["id"] == "mine" && row["initPid"] == roots.pid;
    assert_eq!(rows.iter().filter(claims).count(), 0, "{rows:#?}");
    // Nor is a file in the user's folder believed that is another's.
    std::os::unix::fs::chown(theirs.join("state.json"), Some(4321), Some(4321)).unwrap();
    let answer = Answer::of(inspector(["pods", "--all", "-o", "json", "--source=procfs", &flag]));
    assert!(answer.gaps().iter().any(|gap| gap.contains("4321")), "{:#?}", answer.gaps());
}
