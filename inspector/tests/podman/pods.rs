//! Pods: what they share, who owns it, and what is left when the infra container goes.

use serde_json::{Value, json};

use crate::check::agreed;
use crate::machine::{Container, Machine, Pod};
use crate::support::answer::{expect, lists_kind, namespace, strings};
use crate::support::keeper;
use crate::support::run::{inspector, wait_until};
use crate::support::truth::is_dead;

trials![
    the_infra_container_owns_what_a_pod_shares,
    a_pod_may_share_its_pid_namespace_too,
    a_pod_that_shares_nothing_is_isolated,
    a_pod_without_infra_is_isolated,
    a_pod_has_a_user_namespace_of_its_own,
    what_an_infra_container_owned_stays_its_own_when_it_is_killed,
    an_init_container_is_one,
    labels_that_ask_to_leave_findings_out_are_read,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

fn member(machine: &'static Machine, pod: &Pod, name: &str) -> Container {
    machine.run(name, &["--pod", &pod.id], &IDLE)
}

/// A namespace of the pod is the infra container's, made for it.
fn is_owned_by_infra(pod: &Value, kind: &str, infra: &Container, members: &[&Container]) {
    let shared = namespace(pod, kind);
    let mut ids: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(strings(shared, "sharedBy"), ids, "{kind}");
    expect(
        shared,
        [
            ("owner/container", json!(infra.id)),
            ("owner/pid", json!(infra.pid())),
            ("owner/alive", json!(true)),
            ("owner/class", json!("pause")),
            ("owner/evidence", json!("declared")),
            ("owner/classEvidence", json!("marked")),
        ],
    );
}

fn the_infra_container_owns_what_a_pod_shares(machine: &'static Machine) {
    let pod = machine.pod("default", &[]);
    let one = member(machine, &pod, "default-one");
    let other = member(machine, &pod, "default-other");
    let infra = pod.infra();
    let all = [&infra, &one, &other];
    let ours = agreed(machine, &all);
    let row = ours.the_pod();
    expect(row, [("id", json!(pod.id)), ("name", json!("default")), ("verdict", json!("pause-owned"))]);
    for kind in ["ipc", "net", "uts"] {
        is_owned_by_infra(row, kind, &infra, &all);
        for app in [&one, &other] {
            assert_eq!(ours.container(&app.id)["declared"][kind], "pod");
        }
        assert_eq!(ours.container(&infra.id)["declared"][kind], "private");
    }
    assert_eq!(ours.container(&one.id)["declared"]["pid"], "private");
    // Podman makes the network namespace itself and pins it: for the infra container all the same.
    let pins = namespace(row, "net")["holders"].as_array().unwrap();
    assert!(
        pins.iter().any(|pin| pin["path"].as_str().is_some_and(|path| path.contains("/netns/netns-"))),
        "{row:#}"
    );
    for (container, role) in [(&infra, "infra"), (&one, "app"), (&other, "app")] {
        expect(ours.container(&container.id), [("role", json!(role))]);
    }
    assert_eq!(ours.findings, Vec::<Value>::new());
}

fn a_pod_may_share_its_pid_namespace_too(machine: &'static Machine) {
    let pod = machine.pod("pids", &["--share", "net,ipc,uts,pid"]);
    let one = member(machine, &pod, "pids-one");
    let infra = pod.infra();
    let ours = agreed(machine, &[&infra, &one]);
    let row = ours.the_pod();
    expect(row, [("verdict", json!("pause-owned"))]);
    for kind in ["ipc", "net", "pid", "uts"] {
        is_owned_by_infra(row, kind, &infra, &[&infra, &one]);
        assert_eq!(ours.container(&one.id)["declared"][kind], "pod");
    }
}

fn shares_nothing(machine: &'static Machine, name: &str, options: &[&str]) {
    let pod = machine.pod(name, options);
    let one = member(machine, &pod, &format!("{name}-one"));
    let other = member(machine, &pod, &format!("{name}-other"));
    let ours = agreed(machine, &[&one, &other]);
    let row = ours.the_pod();
    expect(row, [("id", json!(pod.id)), ("verdict", json!("isolated"))]);
    assert!(["ipc", "net", "uts"].iter().all(|kind| !lists_kind(row, kind)), "{row:#}");
    for container in [&one, &other] {
        let declared = &ours.container(&container.id)["declared"];
        assert!(["ipc", "net", "pid", "uts"].iter().all(|kind| declared[kind] == "private"), "{declared:#}");
    }
    assert!(ours.findings_of("PNS012").is_empty(), "no infra container is missing: {:#?}", ours.findings);
}

fn a_pod_that_shares_nothing_is_isolated(machine: &'static Machine) {
    shares_nothing(machine, "nothing", &["--share", ""]);
}

fn a_pod_without_infra_is_isolated(machine: &'static Machine) {
    shares_nothing(machine, "no-infra", &["--infra=false"]);
}

fn a_pod_has_a_user_namespace_of_its_own(machine: &'static Machine) {
    let pod = machine.pod("users", &["--uidmap", "0:100000:1000"]);
    let one = member(machine, &pod, "users-one");
    let infra = pod.infra();
    let ours = agreed(machine, &[&infra, &one]);
    let row = ours.the_pod();
    expect(row, [("verdict", json!("pause-owned"))]);
    is_owned_by_infra(row, "user", &infra, &[&infra, &one]);
    assert_eq!(ours.container(&infra.id)["declared"]["user"], "private");
    assert_eq!(ours.container(&one.id)["declared"]["user"], "pod");
}

fn what_an_infra_container_owned_stays_its_own_when_it_is_killed(machine: &'static Machine) {
    let pod = machine.pod("killed", &[]);
    let one = member(machine, &pod, "killed-one");
    let other = member(machine, &pod, "killed-other");
    let infra = pod.infra();
    let pid = infra.pid();
    keeper::kill(pid);
    wait_until("the infra container's end", || is_dead(pid));
    infra.wait_exited();
    let ours = agreed(machine, &[&infra, &one, &other]);
    let row = ours.the_pod();
    expect(row, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    expect(ours.container(&infra.id), [("exit/code", json!(137)), ("role", json!("infra"))]);
    for kind in ["ipc", "net", "uts"] {
        let mut members = [one.id.as_str(), other.id.as_str()];
        members.sort_unstable();
        let shared = namespace(row, kind);
        assert_eq!(strings(shared, "sharedBy"), members);
        let owner = ("owner/container", json!(infra.id));
        expect(shared, [owner, ("owner/alive", json!(false)), ("owner/pid", json!(0))]);
        expect(shared, [("owner/class", json!("pause"))]);
    }
    let [finding] = ours.findings.as_slice() else { panic!("one finding expected: {:#?}", ours.findings) };
    expect(
        finding,
        [("rule", json!("PNS012")), ("subject/pod", json!(pod.id)), ("subject/container", json!(infra.id))],
    );
}

fn an_init_container_is_one(machine: &'static Machine) {
    let pod = machine.pod("init", &[]);
    let create = |name: &str, options: &[&str], command: &[&str]| {
        let first = ["create", "--name", name, "--pod", pod.id.as_str()];
        machine.podman(&[&first, options, &["busybox"], command].concat())
    };
    let init = create("init-first", &["--init-ctr=always"], &["true"]);
    let app = create("init-app", &[], &IDLE);
    keeper::note(&machine.folder, &app);
    machine.podman(&["pod", "start", &pod.id]);
    for place in [machine.with_socket(), machine.with_root()] {
        let ours = crate::check::pods(&[&place, "--all"]).ours(&[&init, &app]);
        expect(ours.container(&init), [("role", json!("init")), ("state", json!("exited"))]);
        expect(ours.container(&app), [("role", json!("app")), ("state", json!("running"))]);
    }
}

/// Of a pod and of a container; by the API and by the state on disk.
fn labels_that_ask_to_leave_findings_out_are_read(machine: &'static Machine) {
    let label = |rule: &str| format!("--label=pod-namespace-inspector/ignore={rule}");
    let pod = machine.pod("ignored", &[&label("PNS009")]);
    let app =
        machine.run("ignored-app", &["--pod", &pod.id, &label("PNS005"), "--label=other=hunter2"], &IDLE);
    agreed(machine, &[&pod.infra(), &app]);
    for place in [machine.with_socket(), machine.with_root()] {
        let recorded = inspector(["record", &place, "-"]).succeeded();
        assert!(!recorded.text().contains("hunter2"), "other labels are not kept");
        let lines = recorded.text().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<Value> = lines.collect();
        let rules = |sort: &str, id: &str| {
            let found = lines.iter().map(|line| &line[sort]).find(|it| it["id"] == id).unwrap();
            found["ignore"]["rules"].clone()
        };
        assert_eq!(
            (rules("container", &app.id), rules("pod", &pod.id)),
            (json!("PNS005"), json!("PNS009")),
            "{place}"
        );
    }
}
