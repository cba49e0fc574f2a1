//! The blast radius against reality: `explain` predicts, the test kills, and what then is dead, orphaned and gone is
//! compared with what was predicted.

use serde_json::Value;

use crate::support::answer::list;
use crate::support::blast::{explain, kill};
use crate::support::check::agreed;
use crate::support::random::{Random, topologies};
use crate::support::run::inspector;
use crate::support::truth::{Truth, processes_in};
use crate::support::world::{Container, Scenario, World};

trials![
    the_articles_topologies,
    random_topologies,
    what_is_explained_is_as_the_schema_says,
    what_a_pause_costs_is_said,
];

const IDLE: [&str; 3] = ["sh", "-c", "sleep 3600 & while true; do sleep 3600; done"];

/// A container: what it joins of which earlier one.
type Joins = Vec<(&'static str, usize)>;

/// A topology, and whom to kill.
#[derive(Clone, Debug)]
struct Case {
    members: Vec<Joins>,
    /// A session by the runtime's exec in that container.
    session: Option<usize>,
    target: usize,
}

fn the_articles_topologies(world: &'static World) {
    let all = |to: usize| vec![("net", to), ("ipc", to), ("pid", to)];
    let cases = [
        // nginx owns all that busybox joins; the one dies, or the other.
        Case { members: vec![vec![], all(0)], session: Some(1), target: 0 },
        Case { members: vec![vec![], all(0)], session: Some(0), target: 1 },
        // Without the PID namespace the joiner lives on.
        Case { members: vec![vec![], vec![("net", 0), ("ipc", 0)]], session: Some(0), target: 0 },
        // Under a pause: one of the others, then the pause.
        Case { members: vec![vec![], all(0), all(0)], session: Some(1), target: 1 },
        Case { members: vec![vec![], all(0), all(0)], session: None, target: 0 },
        // A chain, and a container alone.
        Case {
            members: vec![vec![], vec![("net", 0)], vec![("net", 1), ("pid", 1)]],
            session: None,
            target: 1,
        },
        Case { members: vec![vec![]], session: Some(0), target: 0 },
    ];
    for (number, case) in cases.iter().enumerate() {
        check(world, &format!("t{number}"), case);
    }
}

/// `INSPECTOR_TEST_SEED` and `INSPECTOR_TEST_TOPOLOGIES` repeat a run or make it longer.
fn random_topologies(world: &'static World) {
    let mut random = Random::new("random topologies");
    for number in 0..topologies(10) {
        let count = 2 + random.below(3);
        let members: Vec<Joins> = (0..count)
            .map(|member| {
                let mut joins = Vec::new();
                for kind in ["net", "ipc", "pid"] {
                    if member > 0 && random.below(2) == 0 {
                        joins.push((kind, random.below(member)));
                    }
                }
                joins
            })
            .collect();
        let session = (random.below(2) == 0).then(|| random.below(count));
        let case = Case { members, session, target: random.below(count) };
        eprintln!("topology {number}: {case:?}");
        check(world, &format!("x{number}"), &case);
    }
}

fn check(world: &'static World, name: &str, case: &Case) {
    // Names have to live as long as the scenario; a test makes a few.
    let s = Scenario::new(world, Box::leak(name.to_owned().into_boxed_str()));
    let mut containers: Vec<Container> = Vec::new();
    for (number, joins) in case.members.iter().enumerate() {
        let mut options: Vec<String> = joins.iter().map(|(kind, to)| containers[*to].join(kind)).collect();
        if !joins.iter().any(|(kind, _)| *kind == "ipc") {
            options.push("--ipc=shareable".to_owned());
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        containers.push(s.run(&format!("m{number}"), &options, "busybox", &IDLE));
    }
    if let Some(session) = case.session {
        containers[session].exec_detached(&["sleep", "3600"]);
    }
    agreed(world, &containers.iter().collect::<Vec<_>>());
    let target = &containers[case.target];
    let pids: Vec<u32> = containers.iter().map(Container::pid).collect();
    kill(&format!("{case:?}"), &world.with_socket(), &pids, (&target.id, target.pid()), |dead| {
        // The runtime has done its part when it calls all of them exited.
        for container in containers.iter().filter(|it| it.pid() == 0 || dead.contains(&it.pid())) {
            container.wait_exited();
        }
    });
}

fn what_is_explained_is_as_the_schema_says(world: &'static World) {
    let s = Scenario::new(world, "e1");
    let web = s.run("web", &[], "busybox", &["httpd", "-f", "-p", "8080"]);
    let tool = s.run("tool", &[&web.join("net")], "busybox", &IDLE);
    agreed(world, &[&web, &tool]);
    let socket = world.with_socket();
    let said = explain(&format!("container/{}", web.name), &socket);
    let listener = &list(&said["network"], "listeners")[0];
    assert_eq!(
        (&listener["port"], &listener["container"]),
        (&8080.into(), &web.id.as_str().into()),
        "{said:#}"
    );
    let started: Vec<&str> =
        list(&said, "started").iter().map(|it| it["container"].as_str().unwrap()).collect();
    assert_eq!(started, [&web.id, &tool.id]);
    // The same by its pid, its namespace, and its pod.
    let net = Truth::of(web.pid()).unwrap().namespaces["net"];
    for target in
        [web.pid().to_string(), format!("net:{net}"), format!("net:[{net}]"), format!("pod/{}", web.name)]
    {
        let other = explain(&target, &socket);
        assert_eq!(other["pod"]["id"], web.id.as_str(), "{target}");
        assert_eq!(other["network"], said["network"], "{target}");
        assert_eq!(other["ifDies"]["orphaned"], said["ifDies"]["orphaned"], "{target}");
    }
    // A recording knows it too.
    let file = world.scratch("e1").join("node.rec").display().to_string();
    inspector(["record", &file, &socket]).succeeded();
    let replayed = inspector(["explain", "-o", "json", "--replay", &file, &web.id]).succeeded();
    let replayed: Value = serde_json::from_str(replayed.text()).unwrap();
    for part in ["target", "sharing", "started", "ifDies", "visibleTo", "network"] {
        assert_eq!(replayed[part], said[part], "{part}");
    }
    for (target, words) in
        [("nobody-is-called-so", "there are"), ("net:1", "no net namespace 1"), ("pid/4194305", "there are")]
    {
        let refused = inspector(["explain", &socket, target]);
        assert!(refused.refused(2).contains(words), "{}", refused.stderr);
    }
    // A child of the container's dies alone.
    let child =
        processes_in(&Truth::of(tool.pid()).unwrap().cgroup).into_iter().find(|pid| *pid != tool.pid());
    let said = explain(&child.unwrap().to_string(), &socket);
    assert_eq!(list(&said["ifDies"], "killed"), &[] as &[Value]);
}

fn what_a_pause_costs_is_said(world: &'static World) {
    let s = Scenario::new(world, "e2");
    let pause = s.run("pause", &[], "pause", &[]);
    let web = s.run("web", &[&pause.join("net")], "busybox", &IDLE);
    agreed(world, &[&pause, &web]);
    let cost = |target: &str| explain(target, &world.with_socket())["infraCost"].take();
    let said = cost(&format!("container/{}", web.name));
    let [of_pause] = list_of(&said) else { panic!("of the pause alone: {said:#}") };
    assert_eq!((&of_pause["container"], &of_pause["processes"]), (&pause.id.as_str().into(), &1.into()));
    // As /proc/PID/statm has it, whose second field the kernel sums up in the same way.
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", pause.pid())).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    let page = rustix::param::page_size() as u64;
    let resident = of_pause["residentBytes"].as_u64().unwrap();
    assert!(resident.abs_diff(pages * page) <= 64 * page, "{resident} and {pages} pages");
    assert!(of_pause["cpuMs"].as_u64().unwrap() < 1000, "a pause does nothing: {said:#}");
    // A container that owns nothing of others' and does something is no infra.
    assert_eq!(cost(&format!("container/{}", s.run("alone", &[], "busybox", &IDLE).name)), Value::Null);
}

fn list_of(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
