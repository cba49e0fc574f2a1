//! The distribution's own Docker: systemd's cgroup driver, its usual places, and `live-restore`.

use serde_json::json;

use crate::sh;
use crate::support::answer::{Ours, expect, namespace};
use crate::support::check::pods;
use crate::support::{images, run, truth};

trials![a_pause_and_an_application_with_the_daemon_and_after_it];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

fn start(name: &str, options: &[String], image: &str, command: &[&str]) -> String {
    let mut words = vec!["docker", "run", "--detach", "--pull=never", "--name", name];
    words.extend(options.iter().map(String::as_str));
    words.push(image);
    words.extend(command);
    sh(&words)
}

fn join(owner: &str) -> Vec<String> {
    ["net", "ipc", "pid"].iter().map(|kind| format!("--{kind}=container:{owner}")).collect()
}

fn a_pause_and_an_application_with_the_daemon_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    images::import(folder.path(), |arguments| {
        let run = run::run(std::process::Command::new("docker").args(arguments));
        if run.code == Some(0) { Ok(()) } else { Err(run.stderr) }
    })
    .unwrap();
    assert_eq!(sh(&["docker", "info", "--format={{.CgroupDriver}} {{.CgroupVersion}}"]), "systemd 2");

    let shareable = ["--ipc=shareable".to_owned()];
    let pause = start("pause", &shareable, "pause", &[]);
    let nginx = start("nginx", &join("pause"), "nginx", &[]);
    let busybox = start("busybox", &join("pause"), "busybox", &IDLE);
    let owner = start("owner", &shareable, "nginx", &[]);
    let joiner = start("joiner", &join("owner"), "busybox", &IDLE);
    let ids = [&pause, &nginx, &busybox, &owner, &joiner].map(String::as_str);

    let by_socket = agreed(&ids);
    right(&by_socket, &ids);
    sh(&["systemctl", "stop", "docker.socket", "docker.service"]);
    let by_disk = agreed(&ids);
    assert_eq!(by_socket.without_words(), by_disk.without_words(), "the daemon (left) and its files (right)");

    sh(&["systemctl", "start", "docker.socket", "docker.service"]);
    sh(&["docker", "stop", "--time=1", "nginx"]);
    let after = agreed(&ids);
    expect(after.pod_of(&pause), [("verdict", json!("pause-owned"))]);
    expect(after.container(&nginx), [("state", json!("exited"))]);
    expect(after.container(&busybox), [("state", json!("running"))]);
    sh(&[&["docker", "rm", "--force"][..], &ids].concat());
}

/// The iterator and /proc say the same.
fn agreed(ids: &[&str]) -> Ours {
    let bpf = pods(&["--source=bpf"]).ours(ids);
    assert_eq!(bpf, pods(&["--source=procfs"]).ours(ids), "the iterator (left) and /proc (right) differ");
    bpf
}

fn right(ours: &Ours, ids: &[&str; 5]) {
    let [pause, nginx, busybox, owner, joiner] = *ids;
    assert_eq!(ours.pods.len(), 2, "{:#?}", ours.pods);
    for (first, class, verdict, members) in [
        (pause, "pause", "pause-owned", vec![pause, nginx, busybox]),
        (owner, "application", "application-owned", vec![owner, joiner]),
    ] {
        let pod = ours.pod_of(first);
        expect(pod, [("verdict", json!(verdict)), ("id", json!(first)), ("origin", json!("docker"))]);
        for kind in ["net", "ipc", "pid"] {
            expect(
                namespace(pod, kind),
                [
                    ("owner/container", json!(first)),
                    ("owner/class", json!(class)),
                    ("owner/evidence", json!("declared")),
                ],
            );
        }
        for id in members {
            let row = ours.container(id);
            let truth = truth::Truth::of(row["initPid"].as_u64().unwrap().try_into().unwrap()).unwrap();
            expect(
                row,
                [
                    ("identity", json!("confirmed")),
                    ("namespaces", json!(truth.namespaces)),
                    ("cgroup", json!(format!("/system.slice/docker-{id}.scope"))),
                ],
            );
        }
    }
    assert_eq!(ours.findings_of("PNS001"), [("ipc", owner), ("net", owner), ("pid", owner)]);
}
