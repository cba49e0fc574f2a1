//! Pause or application: what an owner does decides, never what it is called.

use serde_json::{Value, json};

use crate::support::answer::{Ours, expect, namespace};
use crate::support::check::agreed;
use crate::support::world::{Container, Scenario, World};

trials![
    home_made_pauses_are_told_by_what_they_do,
    what_works_is_an_application_even_when_idle,
    a_name_proves_nothing,
    an_exec_session_makes_no_application_of_a_pause,
    a_sleeper_that_nobody_joins_is_an_application,
];

struct Owner {
    role: &'static str,
    options: &'static [&'static str],
    image: &'static str,
    command: &'static [&'static str],
}

const fn owner(role: &'static str, image: &'static str, command: &'static [&'static str]) -> Owner {
    Owner { role, options: &[], image, command }
}

/// Starts the owners of a table, each with one that joins its network and IPC, and asks once for all.
fn each_is(world: &'static World, name: &'static str, class: &str, table: &[Owner]) {
    let s = Scenario::new(world, name);
    let pairs: Vec<(Container, Container)> = table
        .iter()
        .map(|row| {
            let options = [&["--ipc=shareable"], row.options].concat();
            let owner = s.run(row.role, &options, row.image, row.command);
            let role = format!("{}-joiner", row.role);
            let joiner = s.run(
                &role,
                &[&owner.join("net"), &owner.join("ipc")],
                "busybox",
                &["httpd", "-f", "-p", "8000"],
            );
            (owner, joiner)
        })
        .collect();
    let all: Vec<&Container> = pairs.iter().flat_map(|(owner, joiner)| [owner, joiner]).collect();
    let ours = agreed(world, &all);
    for (owner, joiner) in &pairs {
        judged(&ours, owner, joiner, class);
    }
}

fn judged(ours: &Ours, owner: &Container, joiner: &Container, class: &str) {
    let pod = ours.pod_of(&joiner.id);
    let (verdict, role) =
        if class == "pause" { ("pause-owned", "infra") } else { ("application-owned", "app") };
    expect(pod, [("id", json!(owner.id)), ("verdict", json!(verdict))]);
    for kind in ["net", "ipc"] {
        expect(
            namespace(pod, kind),
            [
                ("owner/container", json!(owner.id)),
                ("owner/class", json!(class)),
                ("owner/evidence", json!("declared")),
                ("owner/classEvidence", json!("behaviour")),
            ],
        );
    }
    expect(ours.container(&owner.id), [("role", json!(role))]);
    expect(ours.container(&joiner.id), [("role", json!("app"))]);
    let about_owner: Vec<_> =
        ours.findings_of("PNS001").into_iter().filter(|(_, id)| *id == owner.id).collect();
    let expected: &[(&str, &str)] =
        if class == "pause" { &[] } else { &[("ipc", &owner.id), ("net", &owner.id)] };
    assert_eq!(about_owner, expected, "{}", owner.name);
}

fn home_made_pauses_are_told_by_what_they_do(world: &'static World) {
    each_is(
        world,
        "7a",
        "pause",
        &[
            owner("sleep", "busybox", &["sleep", "infinity"]),
            owner("coreutils-sleep", "coreutils", &["/usr/bin/sleep", "infinity"]),
            owner("tail", "busybox", &["tail", "-f", "/dev/null"]),
            owner("coreutils-tail", "coreutils", &["/usr/bin/tail", "-f", "/dev/null"]),
            owner("tini", "busybox", &["tini", "--", "sleep", "infinity"]),
            owner("catatonit-pause", "busybox", &["catatonit", "-P"]),
            owner("catatonit", "busybox", &["catatonit", "--", "sleep", "infinity"]),
            Owner { role: "init", options: &["--init"], image: "busybox", command: &["sleep", "infinity"] },
            owner("loop", "busybox", &["sh", "-c", "while true; do sleep 1h; done"]),
            owner(
                "dash-loop",
                "coreutils",
                &["/usr/bin/dash", "-c", "while true; do /usr/bin/sleep 1h; done"],
            ),
        ],
    );
}

fn what_works_is_an_application_even_when_idle(world: &'static World) {
    each_is(
        world,
        "7b",
        "application",
        &[
            // Between jobs it sleeps, for a while.
            owner("cron", "busybox", &["crond", "-f"]),
            owner(
                "home-made-cron",
                "busybox",
                &["sh", "-c", "while true; do date >> /tmp/x; sleep 60; done"],
            ),
            owner("idle-httpd", "busybox", &["httpd", "-f", "-p", "80"]),
            owner("idle-nc", "busybox", &["nc", "-l", "-p", "80"]),
        ],
    );
}

fn a_name_proves_nothing(world: &'static World) {
    let s = Scenario::new(world, "7c");
    // A busy web server called pause.
    let server = s.run_named("pause", &["--ipc=shareable"], "nginx", &[]);
    let client = s.run(
        "client",
        &[&server.join("net"), &server.join("ipc")],
        "busybox",
        &["httpd", "-f", "-p", "8000"],
    );
    for _ in 0..5 {
        client.exec(&["wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"]);
    }
    // An nginx that only sleeps.
    let sleeper = s.run("nginx", &["--ipc=shareable"], "nginx", &["sleep", "infinity"]);
    let joiner = s.run("joiner", &[&sleeper.join("net"), &sleeper.join("ipc")], "busybox", &["httpd", "-f"]);
    let ours = agreed(world, &[&server, &client, &sleeper, &joiner]);
    judged(&ours, &server, &client, "application");
    judged(&ours, &sleeper, &joiner, "pause");
}

fn an_exec_session_makes_no_application_of_a_pause(world: &'static World) {
    let s = Scenario::new(world, "7d");
    let owner = s.run("owner", &["--ipc=shareable"], "busybox", &["sleep", "infinity"]);
    let joiner = s.run("joiner", &[&owner.join("net"), &owner.join("ipc")], "busybox", &["httpd", "-f"]);
    owner.exec_detached(&["sleep", "100"]);
    owner.exec_detached(&["sh", "-c", "httpd -f -p 9000"]);
    let ours = agreed(world, &[&owner, &joiner]);
    judged(&ours, &owner, &joiner, "pause");
    // They are its processes all the same.
    assert!(ours.container(&owner.id)["processes"].as_u64().unwrap() >= 3);
}

fn a_sleeper_that_nobody_joins_is_an_application(world: &'static World) {
    let s = Scenario::new(world, "7e");
    let alone = s.run("alone", &[], "busybox", &["sleep", "infinity"]);
    let ours = agreed(world, &[&alone]);
    let pod = ours.the_pod();
    expect(pod, [("verdict", json!("isolated")), ("id", json!(alone.id))]);
    let pid = namespace(pod, "pid");
    expect(pid, [("owner/container", json!(alone.id)), ("owner/class", json!("application"))]);
    expect(ours.container(&alone.id), [("role", json!("app"))]);
    assert_eq!(ours.findings, Vec::<Value>::new());
}
