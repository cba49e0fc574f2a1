//! What is a pod, and what it is called.

use super::*;
use crate::observation::{Declaration, Inodes, Pin};

#[test]
fn sharing_only_the_hosts_makes_no_pod() {
    let mut world = World::new();
    for (name, pid) in [("a", 100), ("b", 200)] {
        world.docker(name, pid).in_host(&[Kind::Net, Kind::Pid]);
        world.container(name).declared.insert(Kind::Net, Declaration::Host);
        world.container(name).declared.insert(Kind::Pid, Declaration::Host);
    }
    let pods = world.pods();
    let pod = pod_of(&pods, "a");
    assert_eq!((names(pod), pod.verdict), (vec!["a"], Verdict::Host));
    assert!(pod.namespaces.is_empty(), "a host namespace shows in the container's own map only");
    assert_eq!(pod.containers[0].namespaces[&Kind::Net], world::host(Kind::Net));
    assert_eq!(pod.containers[0].declared[&Kind::Net], "host");
}

#[test]
fn a_container_alone_is_a_pod_of_one() {
    let mut world = World::new();
    world.docker("alone", 100);
    let pods = world.pods();
    assert_eq!((names(&pods[0]), pods[0].verdict), (vec!["alone"], Verdict::Isolated));
    assert_eq!((&pods[0].id, pods[0].name.as_str()), (&id("alone"), "alone"));
}

#[test]
fn mount_user_cgroup_and_time_namespaces_make_no_pod() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 200).with(100, &[Kind::Mnt, Kind::Cgroup]);
    let pods = world.pods();
    assert_eq!(pods.len(), 2);
}

#[test]
fn shared_namespaces_of_every_kind_are_listed_in_a_pod() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 200).with(100, &[Kind::Mnt, Kind::Cgroup]);
    world.join("b", "a", &[Kind::Net]);
    world.serves(100);
    let pods = world.pods();
    let kinds: Vec<&str> =
        pods[0].namespaces.iter().filter(|it| it.shared_by.len() == 2).map(|it| it.kind.name()).collect();
    assert_eq!(kinds, ["mnt", "net", "cgroup"], "in the order of the kinds");
    assert_eq!(
        pods[0].namespaces.iter().filter(|it| it.kind == Kind::Pid).count(),
        2,
        "and every PID namespace"
    );
}

#[test]
fn an_undeclared_sharer_is_in_the_pod() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 200).with(100, &[Kind::Net]);
    world.serves(100);
    world.container("b").declared.remove(&Kind::Net);
    let pods = world.pods();
    assert_eq!(names(pod_of(&pods, "a")), ["a", "b"]);
    assert_eq!(owner(&pods[0], Kind::Net).container, Some(id("a")));
}

#[test]
fn a_declaration_never_bridges_different_living_namespaces_even_through_the_dead() {
    let mut world = World::new();
    for (name, pid) in [("a", 100), ("b", 200), ("c", 300)] {
        world.docker(name, pid);
    }
    world.join("b", "a", &[Kind::Net]);
    world.join("c", "b", &[Kind::Net]);
    // `a` was started again, `b` has died since.
    let task = world.task(100);
    task.namespaces.set(Kind::Net, 7777);
    world.stop("b", "2026-01-02T00:00:00Z", 0);
    let pods = world.pods();
    assert!(!names(pod_of(&pods, "a")).contains(&"c"), "{pods:#?}");
    assert_eq!(owner(pod_of(&pods, "c"), Kind::Net).container, Some(id("a")));
    assert!(!owner(pod_of(&pods, "c"), Kind::Net).alive);
}

#[test]
fn different_kinds_may_have_different_owners_in_one_pod() {
    let mut world = World::new();
    for (name, pid) in [("a", 100), ("b", 200), ("c", 300)] {
        world.docker(name, pid);
    }
    world.join("b", "a", &[Kind::Net]);
    world.join("c", "b", &[Kind::Ipc]);
    world.pauses(100);
    world.serves(200);
    let pods = world.pods();
    let pod = pod_of(&pods, "c");
    assert_eq!(names(pod), ["a", "b", "c"]);
    assert_eq!(owner(pod, Kind::Net).container, Some(id("a")));
    assert_eq!(owner(pod, Kind::Ipc).container, Some(id("b")));
    assert_eq!(pod.verdict, Verdict::ApplicationOwned, "when any shared namespace is");
    assert_eq!(pod.name, "a", "of pid, else net, ipc, uts");
}

/// Two Kubernetes pods with a sandbox and a container each.
fn two_declared_pods() -> World {
    let mut world = World::new();
    for (pod, pid) in [("one", 100), ("two", 200)] {
        world.sandbox(&format!("sandbox-{pod}"), pod);
        let (pause, app) = (format!("pause-{pod}"), format!("app-{pod}"));
        world.docker(&pause, pid);
        world.docker(&app, pid + 10).with(pid, &[Kind::Net, Kind::Ipc, Kind::Uts]);
        for name in [&pause, &app] {
            world.container(name).pod = Some(format!("sandbox-{pod}"));
        }
        world.container(&pause).infra_mark = Some("marked".to_owned());
        for kind in [Kind::Net, Kind::Ipc, Kind::Uts] {
            world.container(&app).declared.insert(kind, Declaration::Pod);
        }
    }
    world
}

#[test]
fn a_declared_pod_is_named_by_its_declaration() {
    let pods = two_declared_pods().pods();
    assert_eq!(pods.len(), 2);
    let pod = pod_of(&pods, "app-one");
    assert_eq!((pod.id.as_str(), pod.name.as_str()), ("sandbox-one", "one"));
    assert_eq!((pod.namespace.as_deref(), pod.uid.as_deref()), (Some("default"), Some("uid-one")));
    assert_eq!((pod.verdict, names(pod)), (Verdict::PauseOwned, vec!["pause-one", "app-one"]));
    assert_eq!(pod.containers[1].declared[&Kind::Net], "pod");
}

#[test]
fn a_sandboxs_containers_stay_one_pod_split_or_not() {
    let mut world = two_declared_pods();
    world.task(110).namespaces.set(Kind::Net, 8888);
    let pods = world.pods();
    assert_eq!(names(pod_of(&pods, "app-one")), ["pause-one", "app-one"]);
}

#[test]
fn an_intruder_does_not_merge_two_declared_pods() {
    let mut world = two_declared_pods();
    world.docker("intruder", 300).with(100, &[Kind::Net]).with(200, &[Kind::Ipc]);
    let other = world.inode(100, Kind::Net);
    world.task(210).namespaces.set(Kind::Net, other);
    let pods = world.pods();
    assert_eq!(pods.len(), 2, "{pods:#?}");
    assert!(!names(pod_of(&pods, "app-one")).contains(&"app-two"));
}

#[test]
fn where_the_hosts_namespaces_are_unknown_nothing_is_called_isolated() {
    let mut world = World::new();
    world.docker("a", 100);
    world.seen.host.inodes = Inodes::default();
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "a").verdict, Verdict::Unknown);
}

#[test]
fn a_pod_that_died_keeps_its_verdict_and_lists_no_namespace() {
    let mut world = World::new();
    world.exited("pause").command = vec!["/pause".to_owned()];
    world.exited("app").declared.insert(Kind::Net, Declaration::Container(id("pause")));
    let pods = world.pods();
    let pod = pod_of(&pods, "app");
    assert_eq!((pod.verdict, pod.name.as_str()), (Verdict::PauseOwned, "pause"));
    assert!(pod.namespaces.is_empty());
    assert!(pod.containers.iter().all(|container| container.exit.is_some()));
}

#[test]
fn dead_joiners_leave_a_living_owner_its_verdict() {
    let mut world = World::new();
    world.docker("pause", 100);
    world.exited("app").declared.insert(Kind::Net, Declaration::Container(id("pause")));
    world.pauses(100);
    let pods = world.pods();
    let pod = pod_of(&pods, "pause");
    assert_eq!((names(pod), pod.verdict), (vec!["pause", "app"], Verdict::PauseOwned));
}

#[test]
fn pins_are_holders_and_change_no_verdict() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 200);
    world.join("b", "a", &[Kind::Net]);
    world.serves(100);
    let inode = world.inode(100, Kind::Net);
    world.seen.pins.push(Pin { kind: Kind::Net, inode, path: "/run/docker/netns/0123".to_owned() });
    let pods = world.pods();
    let net = pods[0].namespaces.iter().find(|it| it.kind == Kind::Net).unwrap();
    assert_eq!(net.holders[0].path.as_deref(), Some("/run/docker/netns/0123"));
    assert_eq!(pods[0].verdict, Verdict::ApplicationOwned);
}

#[test]
fn volumes_are_gathered_by_their_source() {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net]);
    world.mount("nginx", "/srv/log", "/var/log/nginx", false);
    world.mount("busybox", "/srv/log", "/logs", true);
    world.mount("nginx", "/srv/html", "/usr/share/nginx/html", true);
    let pods = world.pods();
    let [html, log] = &pods[0].volumes[..] else { panic!("{:#?}", pods[0].volumes) };
    assert_eq!((html.source.as_str(), html.mounts.len()), ("/srv/html", 1));
    let log: Vec<_> =
        log.mounts.iter().map(|it| (it.container.clone(), it.target.as_str(), it.read_only)).collect();
    assert_eq!(log, [(id("nginx"), "/var/log/nginx", false), (id("busybox"), "/logs", true)]);
}

#[test]
fn findings_name_who_dies_only_where_pids_are_shared() {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net, Kind::Ipc, Kind::Pid]);
    world.serves(100);
    let pods = world.pods();
    let findings = findings(&pods);
    let by_kind: Vec<_> = findings
        .iter()
        .map(|it| (it.rule, it.subject.namespace_kind.unwrap(), it.consequence.contains("kills busybox")))
        .collect();
    assert_eq!(
        by_kind,
        [("PNS001", Kind::Ipc, false), ("PNS001", Kind::Pid, true), ("PNS001", Kind::Net, false)]
    );
    let again = super::findings(&pods);
    assert_eq!(findings, again);
}

#[test]
fn a_findings_id_survives_a_restart() {
    let look = |pids: [u32; 2]| {
        let mut world = World::new();
        world.docker("nginx", pids[0]);
        world.docker("busybox", pids[1]);
        world.join("busybox", "nginx", &[Kind::Net]);
        world.serves(pids[0]);
        let findings = findings(&world.pods());
        findings[0].id.clone()
    };
    assert_eq!(look([100, 200]), look([4000, 5000]));
}

#[test]
fn two_looks_at_the_same_node_give_the_same_answer() {
    let mut world = two_declared_pods();
    let first = world.pods();
    world.seen.containers.reverse();
    assert_eq!(first, world.pods());
}
