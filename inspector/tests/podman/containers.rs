//! Containers outside of pods: joins, the host's namespaces, users, volumes, exits.

use std::fs;

use serde_json::json;

use crate::check::agreed;
use crate::machine::Machine;
use crate::support::answer::{expect, list, namespace};

trials![
    a_joiner_makes_the_joined_one_an_owner,
    the_hosts_namespaces_are_declared_and_real,
    a_user_namespace_is_private,
    volumes_are_named_by_their_folders,
    an_exited_container_says_how,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];
const SERVER: [&str; 4] = ["httpd", "-f", "-p", "80"];

fn a_joiner_makes_the_joined_one_an_owner(machine: &'static Machine) {
    let owner = machine.run("joined", &[], &SERVER);
    let join = format!("container:{}", owner.id);
    let joiner = machine.run("joiner", &["--network", &join, "--pid", &join], &IDLE);
    let ours = agreed(machine, &[&owner, &joiner]);
    let pod = ours.the_pod();
    let verdict = ("verdict", json!("application-owned"));
    expect(pod, [verdict, ("id", json!(owner.id)), ("name", json!("joined"))]);
    for kind in ["net", "pid"] {
        expect(
            namespace(pod, kind),
            [
                ("owner/container", json!(owner.id)),
                ("owner/class", json!("application")),
                ("owner/evidence", json!("declared")),
            ],
        );
        assert_eq!(ours.container(&joiner.id)["declared"][kind], join);
        assert_eq!(ours.container(&owner.id)["declared"][kind], "private");
    }
    assert_eq!(ours.container(&joiner.id)["declared"]["ipc"], "private");
    let found = ours.findings_of("PNS001");
    assert_eq!(found, [("net", owner.id.as_str()), ("pid", owner.id.as_str())]);
}

fn the_hosts_namespaces_are_declared_and_real(machine: &'static Machine) {
    let options = ["--network=host", "--pid=host", "--ipc=host", "--uts=host"];
    let container = machine.run("host", &options, &IDLE);
    let ours = agreed(machine, &[&container]);
    expect(ours.the_pod(), [("verdict", json!("host"))]);
    for kind in ["ipc", "net", "pid", "uts"] {
        assert_eq!(ours.container(&container.id)["declared"][kind], "host", "{kind}");
    }
}

fn a_user_namespace_is_private(machine: &'static Machine) {
    let options = ["--uidmap", "0:100000:1000", "--network", "none"];
    let container = machine.run("mapped", &options, &IDLE);
    let ours = agreed(machine, &[&container]);
    expect(ours.the_pod(), [("verdict", json!("isolated"))]);
    for kind in ["net", "user"] {
        assert_eq!(ours.container(&container.id)["declared"][kind], "private", "{kind}");
    }
}

fn volumes_are_named_by_their_folders(machine: &'static Machine) {
    let folder = machine.scratch("volume");
    fs::write(folder.join("file"), "").unwrap();
    let bind = format!("{}:/bound:ro", folder.display());
    let options = ["--network=none", "--volume=shared-data:/data", "--volume", &bind, "--tmpfs=/scratch"];
    let writer = machine.run("writer", &options, &IDLE);
    let join = format!("container:{}", writer.id);
    let reader = machine.run("reader", &["--network", &join, "--volume=shared-data:/in:ro"], &IDLE);
    let ours = agreed(machine, &[&writer, &reader]);
    let source = machine.folder.join("root/volumes/shared-data/_data");
    let mut volumes = list(ours.the_pod(), "volumes").to_vec();
    volumes.sort_by_key(|volume| volume["source"].to_string());
    let mounted = |container: &str, target: &str, read_only: bool| json!({ "container": container, "target": target, "readOnly": read_only });
    let of = |index: usize| {
        let mut mounts = list(&volumes[index], "mounts").to_vec();
        mounts.sort_by_key(|mount| mount["target"].to_string());
        (volumes[index]["source"].clone(), mounts)
    };
    assert_eq!(volumes.len(), 2, "Podman's own files are no volumes: {volumes:#?}");
    assert_eq!(
        of(0),
        (json!(source), vec![mounted(&writer.id, "/data", false), mounted(&reader.id, "/in", true)])
    );
    assert_eq!(of(1), (json!(folder), vec![mounted(&writer.id, "/bound", true)]));
}

fn an_exited_container_says_how(machine: &'static Machine) {
    let code = machine.run("code", &["--network=none"], &["sh", "-c", "exit 7"]);
    let killed = machine.run("killed-by-signal", &["--network=none"], &IDLE);
    machine.podman(&["kill", "--signal=KILL", &killed.id]);
    code.wait_exited();
    killed.wait_exited();
    let ours = agreed(machine, &[&code, &killed]);
    expect(ours.container(&code.id), [("exit/code", json!(7)), ("exit/cause", json!("self"))]);
    expect(ours.container(&killed.id), [("exit/code", json!(137)), ("exit/cause", json!("signal"))]);
}
