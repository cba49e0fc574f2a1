//! Containers that try to look like something else, to vanish, to crowd, or to write on the screen.

use std::fs;

use serde_json::{Value, json};

use crate::support::answer::{Answer, expect};
use crate::support::cgroups::Cgroup;
use crate::support::check::{NO_SOCKET, agreed, pods};
use crate::support::clean::is_clean;
use crate::support::helper::Helper;
use crate::support::run::{BINARY, inspector, run, wait_until};
use crate::support::truth::{Truth, cgroup, namespace, pids, processes_in};
use crate::support::world::{Scenario, World};

trials![
    strings_are_only_text,
    a_long_name_is_cut_in_the_table_only,
    a_comm_that_imitates_stat_is_read_as_a_comm,
    a_cgroup_named_like_a_container_is_not_believed,
    a_container_below_a_containers_cgroup_is_its_own,
    what_leaves_mid_read_is_no_gap,
    a_stray_thread_moves_no_container,
    a_process_without_its_main_thread_still_runs,
    five_thousand_processes,
    secrets_stay_where_they_are,
];

/// Colours, a title, a carriage return, a C1 control, marks that reorder, and a line of its own.
const EVIL: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\r\u{9b}2J\u{202e}txt\u{2066}\u{200f}\nINJECTED";

fn strings_are_only_text(world: &'static World) {
    let s = Scenario::new(world, "8h");
    let scratch = world.scratch("8h");
    let evil_path = EVIL.replace('\n', "");
    let folder = scratch.join(&evil_path);
    fs::create_dir_all(&folder).unwrap();
    let volume = format!("--volume={}:/data/{evil_path}", folder.display());
    let label = format!("--label=evil={EVIL}");
    let project = format!("--label=com.docker.compose.project={EVIL}");
    let set_comm = "printf '\\033[31m\\377\\342\\200\\256\\n\\033[2J' > /proc/self/comm; while true; do sleep 3600; done";
    let hostname = "--hostname=plain";
    let options = ["--ipc=shareable", hostname, &label, &project, &volume];
    let owner = s.run("owner", &options, "busybox", &["sh", "-c", set_comm, EVIL]);
    let joiner =
        s.run("joiner", &[&owner.join("ipc"), &owner.join("pid")], "busybox", &["sleep", "infinity"]);
    let comm = format!("/proc/{}/comm", owner.pid());
    wait_until("the comm", || fs::read(&comm).unwrap().starts_with(b"\x1b[31m\xff"));

    for socket in [&world.with_socket(), NO_SOCKET] {
        for source in ["--source=bpf", "--source=procfs"] {
            for format in ["table", "wide", "json", "yaml", "name"] {
                let run = inspector(["pods", "--all", "-o", format, source, socket]).succeeded();
                is_clean(&run.stdout, &format!("pods -o {format} {source}"));
                assert!(!run.text().lines().any(|line| line.starts_with("INJECTED")), "{}", run.text());
            }
        }
        // JSON holds the strings as they are, and YAML says the same as JSON.
        let answer = pods(&[socket]);
        let ids = [owner.id.as_str(), joiner.id.as_str()];
        let ours = answer.ours(&ids);
        let sources: Vec<_> =
            ours.the_pod()["volumes"].as_array().unwrap().iter().map(|row| &row["source"]).collect();
        assert_eq!(sources, [&json!(folder.to_str().unwrap())]);
        let yaml = inspector(["pods", "-o", "yaml", socket]).succeeded();
        let yaml = Answer { json: serde_saphyr::from_str(yaml.text()).unwrap() };
        assert_eq!(yaml.ours(&ids), ours);
    }
}

fn a_long_name_is_cut_in_the_table_only(world: &'static World) {
    let s = Scenario::new(world, "8l");
    let name = format!("long-{}", "x".repeat(4091));
    let owner = s.run_named(&name, &["--ipc=shareable", "--hostname=short"], "busybox", &["crond", "-f"]);
    let joiner = s.run("joiner", &[&owner.join("ipc")], "busybox", &["sleep", "infinity"]);
    let ours = agreed(world, &[&owner, &joiner]);
    assert_eq!(ours.container(&owner.id)["name"], name.as_str());
    let mut command = std::process::Command::new("env");
    let table = run(command.args(["COLUMNS=80", BINARY, "pods", &world.with_socket()])).succeeded();
    assert!(table.text().lines().all(|line| line.chars().count() <= 80), "{}", table.text());
}

fn a_comm_that_imitates_stat_is_read_as_a_comm(world: &'static World) {
    let s = Scenario::new(world, "8m");
    // To a reader that looks for the first parenthesis: a zombie, child of 1, that started at boot.
    let comm: String = b") Z 1 1 (".iter().map(|byte| format!("{byte:02x}")).collect();
    let owner = s.run("owner", &["--ipc=shareable"], "busybox", &["helper", "comm", &comm]);
    owner.wait_ready();
    let joiner =
        s.run("joiner", &[&owner.join("ipc"), &owner.join("pid")], "busybox", &["sleep", "infinity"]);
    let ours = agreed(world, &[&owner, &joiner]);
    expect(ours.container(&owner.id), [("state", json!("running")), ("processes", json!(1))]);
    expect(ours.the_pod(), [("verdict", json!("pause-owned"))]);
}

fn a_cgroup_named_like_a_container_is_not_believed(world: &'static World) {
    let s = Scenario::new(world, "8c");
    let victim = s.run("victim", &[], "busybox", &["sleep", "infinity"]);
    let own = cgroup(victim.pid()).unwrap();
    let before = agreed(world, &[&victim]);

    // A process of nobody's, in a cgroup of the victim's name elsewhere: nobody but root can, and a nested
    // runtime or a user's delegated tree looks just so.
    let evil = Cgroup::make(&format!("/inspector-evil-{}/docker/{}", std::process::id(), victim.id));
    let intruder = Helper::start(&["new", "net,ipc,uts,pid", "sleep", "1000"]);
    evil.add(intruder.command_pid());
    assert!(cgroup(intruder.command_pid()).unwrap().ends_with(&victim.id));
    let after = agreed(world, &[&victim]);
    assert_eq!(after, before, "an imitated cgroup changed the container");

    // An id that no runtime knows is never confirmed by its cgroup's name.
    let unknown = "0123456789abcdef".repeat(4);
    let imitation = Cgroup::make(&format!("/inspector-evil-{}/docker/{unknown}", std::process::id()));
    imitation.add(intruder.command_pid());
    for source in ["--source=bpf", "--source=procfs"] {
        let answer = pods(&["--all", source, &world.with_socket()]);
        for row in answer.ours(&[&unknown]).pods.iter().flat_map(|pod| pod["containers"].as_array().unwrap())
        {
            assert_eq!(row["identity"], "cgroup-only", "{row:#}");
        }
    }

    // Deeper in a cgroup of the victim's own it is one of the victim's processes, for that is what the kernel says.
    let inner = Cgroup::make(&format!("{own}/inner"));
    inner.add(intruder.command_pid());
    let inside = agreed(world, &[&victim]);
    expect(inside.container(&victim.id), [("processes", json!(2)), ("initPid", json!(victim.pid()))]);
}

fn a_container_below_a_containers_cgroup_is_its_own(world: &'static World) {
    let s = Scenario::new(world, "8n");
    let outer = s.run("outer", &[], "busybox", &["sleep", "infinity"]);
    let other = s.run("other", &[], "busybox", &["sleep", "infinity"]);
    let outer_cgroup = cgroup(outer.pid()).unwrap();
    // Whoever owns a cgroup can make one below it and call it what he likes.
    let imitation = Cgroup::make(&format!("{outer_cgroup}/docker/{}", other.id));
    outer.exec_detached(&["sleep", "1234"]);
    let session = processes_in(&outer_cgroup).into_iter().find(|pid| *pid != outer.pid()).unwrap();
    imitation.add(session);
    let ours = agreed(world, &[&outer, &other]);
    assert_eq!(ours.pods.len(), 2);
    expect(ours.container(&other.id), [("processes", json!(1)), ("initPid", json!(other.pid()))]);
    expect(ours.container(&outer.id), [("processes", json!(2)), ("initPid", json!(outer.pid()))]);
}

fn what_leaves_mid_read_is_no_gap(world: &'static World) {
    let s = Scenario::new(world, "8x");
    let churn = s.run("churn", &[], "busybox", &["helper", "churn"]);
    let truth = Truth::of(churn.pid()).unwrap();
    for round in 0..20 {
        let source = if round % 2 == 0 { "--source=procfs" } else { "--source=bpf" };
        let answer = pods(&[source, &world.with_socket()]);
        // Unreadable is what this test cannot read either (PID 1, on some machines), not what is gone.
        let refused = pids().into_iter().filter(|pid| {
            fs::read_link(format!("/proc/{pid}/ns/net"))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        });
        let unreadable = answer.json["coverage"]["unreadable"].as_u64().unwrap();
        assert!(unreadable <= refused.count() as u64, "{unreadable} unreadable: {:?}", answer.gaps());
        let gone =
            |gap: &String| gap.contains("No such") || gap.contains("ESRCH") || gap.contains(&churn.id[..12]);
        assert!(!answer.gaps().iter().any(gone), "{:?}", answer.gaps());
        let ours = answer.ours(&[&churn.id]);
        let row = ours.container(&churn.id);
        assert_eq!(row["namespaces"], serde_json::to_value(&truth.namespaces).unwrap());
        assert_eq!(row["initPid"], truth.pid);
        assert!((1..=3).contains(&row["processes"].as_u64().unwrap()), "{row:#}");
        assert_eq!(ours.findings, Vec::<Value>::new());
    }
}

fn a_stray_thread_moves_no_container(world: &'static World) {
    let s = Scenario::new(world, "8t");
    let container = s.run("stray", &["--cap-add=SYS_ADMIN"], "busybox", &["helper", "stray"]);
    container.wait_ready();
    let pid = container.pid();
    let main = namespace(pid, "net").unwrap();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let strays = threads.filter(|thread| {
        let link = fs::read_link(thread.path().join("ns/net")).unwrap();
        link.to_str().unwrap() != format!("net:[{main}]")
    });
    assert_eq!(strays.count(), 1, "the thread did not stray");
    let ours = agreed(world, &[&container]);
    let row = ours.container(&container.id);
    expect(row, [("namespaces/net", json!(main)), ("processes", json!(1))]);
    expect(ours.the_pod(), [("verdict", json!("isolated"))]);
}

fn a_process_without_its_main_thread_still_runs(world: &'static World) {
    let s = Scenario::new(world, "8z");
    let container = s.run("leaderless", &[], "busybox", &["helper", "leaderless"]);
    container.wait_ready();
    let pid = container.pid();
    // The runtime takes it for dead, and would leave it behind.
    let _end = Ended(pid);
    assert!(fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tZ"));
    let ask = |source: &str| pods(&[source, &world.with_socket()]).ours(&[&container.id]);
    let (bpf, procfs) = (ask("--source=bpf"), ask("--source=procfs"));
    assert_eq!(bpf, procfs);
    expect(bpf.container(&container.id), [("state", json!("running")), ("initPid", json!(pid))]);
}

/// Ends a process when it goes out of scope.
struct Ended(u32);

impl Drop for Ended {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL);
    }
}

fn five_thousand_processes(world: &'static World) {
    let s = Scenario::new(world, "8k");
    let owner = s.run("crowd", &["--ipc=shareable"], "busybox", &["helper", "crowd", "5000"]);
    let joiner =
        s.run("joiner", &[&owner.join("ipc"), &owner.join("pid")], "busybox", &["sleep", "infinity"]);
    owner.wait_ready();
    let ours = agreed(world, &[&owner, &joiner]);
    expect(ours.container(&owner.id), [("processes", json!(5001))]);
    expect(ours.the_pod(), [("id", json!(owner.id))]);
    // So many are the iterator's case; who may not use it is told so.
    let mut command = std::process::Command::new("setpriv");
    command.args([
        "--bounding-set=-bpf,-perfmon,-sys_admin",
        BINARY,
        "pods",
        "-o",
        "json",
        &world.with_socket(),
    ]);
    let answer = Answer::of(run(&mut command));
    assert_eq!(answer.json["coverage"]["source"], "procfs");
    assert!(answer.gaps().iter().any(|gap| gap.contains("CAP_BPF")), "{:?}", answer.gaps());
    let held_back = answer.ours(&[&owner.id, &joiner.id]);
    assert_eq!(held_back.without_words(), ours.without_words());
}

fn secrets_stay_where_they_are(world: &'static World) {
    let s = Scenario::new(world, "8s");
    let secret = "hunter2-hunter2";
    let environment = format!("--env=PASSWORD={secret}");
    let owner = s.run("owner", &["--ipc=shareable", &environment], "busybox", &["crond", "-f"]);
    let joiner = s.run("joiner", &[&owner.join("ipc"), &environment], "busybox", &["sleep", "infinity"]);
    assert!(owner.inspect().to_string().contains(secret));
    let recording = world.scratch("8s").join("node.rec");
    let file = recording.to_str().unwrap();
    for socket in [&world.with_socket(), NO_SOCKET] {
        inspector(["record", file, socket]).succeeded();
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        let replayed = inspector(["pods", "-o", "json", "--replay", file]).succeeded();
        assert!(replayed.text().contains(&owner.id) && replayed.text().contains(&joiner.id));
        assert!(!holds(&replayed.stdout) && !holds(&fs::read(&recording).unwrap()), "a secret got out");
    }
}
