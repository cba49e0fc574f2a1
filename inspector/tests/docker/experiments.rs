//! The experiments of the article that this project grew from: who owns what containers share, and what
//! happens when the owner goes.

use std::fs;

use serde_json::{Value, json};

use crate::support::answer::{Ours, containers, expect, list, lists_kind, namespace, strings};
use crate::support::check::{agreed, agreed_with};
use crate::support::run::inspector;
use crate::support::world::{Container, Scenario, World};

trials![
    nginx_owns_what_busybox_joins,
    stopping_nginx_kills_the_joiner,
    pause_owns_and_outlives_nginx,
    a_joiner_outlives_the_owner_of_its_network,
    a_chain_is_one_pod_of_the_first,
    a_chain_over_two_kinds_has_two_owners,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

/// The three kinds that the article shares.
const SHARED: [&str; 3] = ["ipc", "net", "pid"];

fn join_all(owner: &Container) -> Vec<String> {
    SHARED.iter().map(|kind| owner.join(kind)).collect()
}

fn start_joiner(s: &Scenario, role: &str, owner: &Container, image: &str, command: &[&str]) -> Container {
    let options = join_all(owner);
    s.run(role, &options.iter().map(String::as_str).collect::<Vec<_>>(), image, command)
}

/// The owner of each kind that containers share is this living one, of this class.
fn owned_by(pod: &Value, owner: &Container, class: &str, members: &[&Container]) {
    let mut ids: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    ids.sort_unstable();
    for kind in SHARED {
        let shared = namespace(pod, kind);
        assert_eq!(strings(shared, "sharedBy"), ids);
        expect(
            shared,
            [
                ("owner/container", json!(owner.id)),
                ("owner/pid", json!(owner.pid())),
                ("owner/alive", json!(true)),
                ("owner/class", json!(class)),
                ("owner/evidence", json!("declared")),
                ("owner/classEvidence", json!("behaviour")),
            ],
        );
        assert!(!shared["owner"]["why"].as_str().unwrap().is_empty());
    }
    for kind in ["uts", "mnt"] {
        assert!(!lists_kind(pod, kind), "{kind} is private: {pod:#}");
    }
}

fn nginx_owns_what_busybox_joins(world: &'static World) {
    let s = Scenario::new(world, "1");
    let logs = world.scratch("1-logs");
    let html = world.scratch("1-html");
    fs::write(html.join("index.html"), "hello\n").unwrap();
    let logs = logs.display().to_string();
    let log_volume = format!("--volume={logs}:/var/log/nginx");
    let html_volume = format!("--volume={}:/usr/share/nginx/html:ro", html.display());
    let nginx = s.run("nginx", &["--ipc=shareable", &log_volume, &html_volume], "nginx", &[]);
    let shared_logs = format!("--volume={logs}:/logs:ro");
    let options = [join_all(&nginx), vec![shared_logs]].concat();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let busybox = s.run("busybox", &options, "busybox", &["tail", "-F", "/logs/access.log"]);

    // The arrangement works as the article's does: the joiner sees the other's pids and reaches its port.
    assert_eq!(busybox.exec(&["wget", "-q", "-O", "-", "http://127.0.0.1/index.html"]), "hello");
    assert!(busybox.exec(&["ps"]).contains("httpd"));

    let ours = agreed(world, &[&nginx, &busybox]);
    let pod = ours.the_pod();
    expect(
        pod,
        [("verdict", json!("application-owned")), ("id", json!(nginx.id)), ("name", json!(nginx.name))],
    );
    owned_by(pod, &nginx, "application", &[&nginx, &busybox]);
    let (owner, joiner) = (ours.container(&nginx.id), ours.container(&busybox.id));
    for kind in ["uts", "mnt"] {
        assert_ne!(owner["namespaces"][kind], joiner["namespaces"][kind]);
    }
    expect(
        owner,
        [
            ("role", json!("app")),
            ("declared/ipc", json!("shareable")),
            ("declared/net", json!("private")),
            ("declared/pid", json!("private")),
            ("declared/uts", json!("private")),
            ("declared/mnt", json!("private")),
        ],
    );
    let joins = json!(format!("container:{}", nginx.id));
    expect(
        joiner,
        [
            ("role", json!("app")),
            ("declared/ipc", joins.clone()),
            ("declared/net", joins.clone()),
            ("declared/pid", joins),
            ("declared/uts", json!("private")),
            ("declared/mnt", json!("private")),
        ],
    );

    // One finding for each kind, about the owner; nothing else is wrong.
    let wanted: Vec<_> = SHARED.iter().map(|kind| (*kind, nginx.id.as_str())).collect();
    assert_eq!(ours.findings_of("PNS001"), wanted);
    for finding in ours.findings.iter().filter(|finding| finding["rule"] == "PNS001") {
        let kind = finding["subject"]["namespaceKind"].as_str().unwrap();
        expect(
            finding,
            [
                ("name", json!("non-pause-owner")),
                ("severity", json!("high")),
                ("subject/pod", json!(nginx.id)),
                ("subject/inode", namespace(pod, kind)["inode"].clone()),
            ],
        );
        assert!(!list(finding, "evidence").is_empty() && finding["remedy"] != "");
        // Only a shared PID namespace takes the joiners with it; the others leave a split brain to whoever survives.
        assert_eq!(kills(finding), kind == "pid", "{kind}: {finding:#}");
        let split = finding["consequence"].as_str().unwrap().contains("split brain");
        assert_eq!(split, kind != "pid", "{kind}: {finding:#}");
    }

    let volume = list(pod, "volumes").iter().find(|volume| volume["source"] == logs.as_str());
    let mut mounts = list(volume.unwrap_or_else(|| panic!("no log volume: {pod:#}")), "mounts").to_vec();
    mounts.sort_by_key(|mount| mount["target"].to_string());
    assert_eq!(
        mounts,
        [
            json!({ "container": busybox.id, "target": "/logs", "readOnly": true }),
            json!({ "container": nginx.id, "target": "/var/log/nginx", "readOnly": false }),
        ]
    );
    assert!(
        list(pod, "volumes")
            .iter()
            .all(|volume| !volume["source"].as_str().unwrap().contains("/docker/containers/")),
        "the runtime's own files are no volumes: {pod:#}"
    );
    the_table_says_so(world, &nginx);
}

/// Whether a finding says that the joiners are killed.
fn kills(finding: &Value) -> bool {
    finding["consequence"].as_str().unwrap().contains("kill")
}

/// A non-pause owner is impossible to overlook, in 80 columns too.
fn the_table_says_so(world: &World, nginx: &Container) {
    for columns in ["80", "200"] {
        let mut command = std::process::Command::new("env");
        command.args([
            &format!("COLUMNS={columns}"),
            crate::support::run::BINARY,
            "pods",
            &world.with_socket(),
        ]);
        let table = crate::support::run::run(&mut command).succeeded();
        let text = table.text();
        assert!(
            text.contains(&nginx.name) && text.contains("application") && text.contains("PNS001"),
            "{text}"
        );
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= columns.parse().unwrap(), "{widest} columns, not {columns}:\n{text}");
        assert!(!text.contains('\x1b'), "no colours into a pipe");
    }
}

fn stopping_nginx_kills_the_joiner(world: &'static World) {
    let s = Scenario::new(world, "2");
    // Where no socket helps, a living container of the same daemon leads to the files of the dead ones.
    let _neighbour = s.run("neighbour", &[], "busybox", &IDLE);
    let nginx = s.run("nginx", &["--ipc=shareable"], "nginx", &[]);
    let busybox = start_joiner(&s, "busybox", &nginx, "busybox", &IDLE);
    nginx.stop();
    busybox.wait_exited();

    let ours = agreed_with(world, &[&nginx, &busybox], &["--all"]);
    let pod = ours.the_pod();
    assert_eq!(containers(pod).len(), 2);
    assert!(list(pod, "namespaces").is_empty(), "{pod:#}");
    for container in [&nginx, &busybox] {
        let row = ours.container(&container.id);
        expect(
            row,
            [
                ("state", json!("exited")),
                ("initPid", json!(0)),
                ("processes", json!(0)),
                ("namespaces", json!({})),
            ],
        );
        expect(row, [("exit/code", json!(137))]);
        assert!(row["exit"]["finishedAt"].is_string());
    }
    let nginx_exit = &ours.container(&nginx.id)["exit"];
    let busybox_exit = &ours.container(&busybox.id)["exit"];
    expect(nginx_exit, [("cause", json!("signal"))]);
    expect(busybox_exit, [("cause", json!("pid-namespace-died"))]);
    let why = busybox_exit["why"].as_str().unwrap();
    assert!(why.contains(&nginx.name) || why.contains(&nginx.id[..12]), "{why}");

    // Not shown unless asked for, and counted.
    let shown = agreed_with(world, &[&nginx, &busybox], &[]);
    assert_eq!(shown, Ours { pods: vec![], findings: vec![] });
    let answer = crate::support::check::pods(&[&world.with_socket()]);
    assert!(answer.json["hidden"]["exited"].as_u64().unwrap() >= 1);
    let table = inspector(["pods", &world.with_socket()]).succeeded();
    assert!(table.text().contains("--all") && !table.text().contains(&nginx.name), "{}", table.text());
}

fn pause_owns_and_outlives_nginx(world: &'static World) {
    let s = Scenario::new(world, "3");
    let pause = s.run("pause", &["--ipc=shareable"], "pause", &[]);
    let nginx = start_joiner(&s, "nginx", &pause, "nginx", &[]);
    let busybox = start_joiner(&s, "busybox", &pause, "busybox", &IDLE);

    let all = [&pause, &nginx, &busybox];
    let ours = agreed(world, &all);
    let pod = ours.the_pod();
    expect(pod, [("verdict", json!("pause-owned")), ("id", json!(pause.id)), ("name", json!(pause.name))]);
    owned_by(pod, &pause, "pause", &all);
    assert_eq!(ours.findings_of("PNS009"), [("pid", "")], "both are root, and see each other");
    assert_eq!(ours.findings.len(), 1, "{:#?}", ours.findings);
    for (container, role) in [(&pause, "infra"), (&nginx, "app"), (&busybox, "app")] {
        expect(ours.container(&container.id), [("role", json!(role))]);
    }
    // Infra first, then by start.
    let order: Vec<_> = containers(pod).iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(order, [&pause.id, &nginx.id, &busybox.id]);

    // Experiment 4: the business container goes, the others stay.
    nginx.stop();
    let ours = agreed(world, &all);
    let pod = ours.the_pod();
    expect(pod, [("verdict", json!("pause-owned")), ("id", json!(pause.id))]);
    owned_by(pod, &pause, "pause", &[&pause, &busybox]);
    assert_eq!(ours.findings_of("PNS009"), [("pid", "")], "the pause could still read busybox");
    assert_eq!(ours.findings.len(), 1, "{:#?}", ours.findings);
    let exited = ours.container(&nginx.id);
    // Whether SIGTERM or, after a second, SIGKILL: docker inspect's code is checked in `agreed`.
    expect(exited, [("state", json!("exited")), ("exit/cause", json!("signal"))]);
    expect(ours.container(&busybox.id), [("state", json!("running"))]);
}

fn a_joiner_outlives_the_owner_of_its_network(world: &'static World) {
    let s = Scenario::new(world, "5");
    let owner = s.run("owner", &[], "nginx", &[]);
    let joiner = s.run("joiner", &[&owner.join("net")], "busybox", &IDLE);
    let ours = agreed(world, &[&owner, &joiner]);
    expect(ours.the_pod(), [("verdict", json!("application-owned")), ("id", json!(owner.id))]);
    let net = namespace(ours.the_pod(), "net")["inode"].clone();

    let dead_owner = |ours: &Ours| {
        let pod = ours.pod_of(&joiner.id);
        expect(pod, [("verdict", json!("application-owned"))]);
        let shared = namespace(pod, "net");
        assert_eq!(strings(shared, "sharedBy"), [&joiner.id]);
        expect(
            shared,
            [
                ("inode", net.clone()),
                ("owner/container", json!(owner.id)),
                ("owner/alive", json!(false)),
                ("owner/pid", json!(0)),
                ("owner/class", json!("application")),
                ("owner/evidence", json!("declared")),
                ("owner/classEvidence", json!("command")),
            ],
        );
        // Its owner is gone: that is PNS002's to say.
        assert_eq!(ours.findings_of("PNS001"), []);
    };

    owner.stop();
    let ours = agreed(world, &[&owner, &joiner]);
    dead_owner(&ours);
    expect(ours.the_pod(), [("id", json!(joiner.id))]);
    expect(ours.container(&owner.id), [("state", json!("exited"))]);

    // Started again it is another incarnation, in a new namespace: two pods.
    owner.start();
    let ours = agreed(world, &[&owner, &joiner]);
    assert_eq!(ours.pods.len(), 2, "{:#?}", ours.pods);
    dead_owner(&ours);
    expect(ours.pod_of(&joiner.id), [("id", json!(joiner.id))]);
    let alone = ours.pod_of(&owner.id);
    expect(alone, [("id", json!(owner.id)), ("verdict", json!("isolated"))]);
    assert_ne!(ours.container(&owner.id)["namespaces"]["net"], net);
}

fn a_chain_is_one_pod_of_the_first(world: &'static World) {
    let s = Scenario::new(world, "6");
    let a = s.run("a", &[], "nginx", &[]);
    let b = s.run("b", &[&a.join("net")], "busybox", &IDLE);
    let c = s.run("c", &[&b.join("net")], "busybox", &IDLE);
    let ours = agreed(world, &[&a, &b, &c]);
    let pod = ours.the_pod();
    expect(pod, [("id", json!(a.id)), ("verdict", json!("application-owned"))]);
    expect(namespace(pod, "net"), [("owner/container", json!(a.id)), ("owner/class", json!("application"))]);
    // The mode is what was asked for; the owner is where it leads.
    expect(ours.container(&c.id), [("declared/net", json!(format!("container:{}", b.id)))]);
    assert_eq!(ours.findings_of("PNS001"), [("net", a.id.as_str())]);
    // Without a PID namespace in common the owner's exit kills nobody.
    assert!(!ours.findings.iter().any(kills), "{:#?}", ours.findings);
}

fn a_chain_over_two_kinds_has_two_owners(world: &'static World) {
    let s = Scenario::new(world, "6b");
    let a = s.run("a", &[], "nginx", &[]);
    let b = s.run("b", &[&a.join("net"), "--ipc=shareable"], "busybox", &["httpd", "-f", "-p", "81"]);
    let c = s.run("c", &[&b.join("ipc")], "busybox", &IDLE);
    let ours = agreed(world, &[&a, &b, &c]);
    let pod = ours.the_pod();
    // No PID namespace is shared: the owner of net names the pod.
    expect(pod, [("id", json!(a.id)), ("verdict", json!("application-owned"))]);
    expect(namespace(pod, "net"), [("owner/container", json!(a.id))]);
    expect(namespace(pod, "ipc"), [("owner/container", json!(b.id))]);
    let mut wanted = [("ipc", b.id.as_str()), ("net", a.id.as_str())];
    wanted.sort_unstable();
    assert_eq!(ours.findings_of("PNS001"), wanted);
    assert!(!ours.findings.iter().any(kills), "{:#?}", ours.findings);
}
