//! What a target means, what is listed without one, and what is counted instead.

use std::sync::Arc;

use super::*;
use crate::observation::Task;
use crate::render::samples;
use crate::state::processes::Seen;

/// The pods of both samples, and a PID namespace for each living container that has one.
fn node_of_samples() -> (Observation, Snapshot, Vec<PidSpace>) {
    let mut pods = samples::article().pods;
    pods.extend(samples::zoo().pods);
    let mut spaces: Vec<PidSpace> = Vec::new();
    let mut observation = Observation::default();
    observation.host.inodes.set(Kind::Pid, 1000);
    let task = |pid| Task {
        pid,
        tgid: pid,
        namespaces: [(Kind::Pid, 1000)].into_iter().collect(),
        ..Task::default()
    };
    observation.tasks.extend([task(1), task(4)]);
    for pod in &pods {
        for container in pod.containers.iter().filter(|container| container.state == State::Running) {
            let inode = container.namespaces[&Kind::Pid];
            let name = ContainerName {
                id: container.id.clone(),
                name: container.name.clone(),
                role: container.role,
            };
            let position = spaces.iter().position(|space| space.inode == inode).unwrap_or_else(|| {
                let unmanaged = container.runtime.is_none();
                spaces.push(PidSpace {
                    inode,
                    host: false,
                    unmanaged,
                    containers: vec![],
                    processes: vec![],
                });
                spaces.len() - 1
            });
            let space = &mut spaces[position];
            space.processes.push(Seen { process: samples::process(container, pod, inode, 1), home: inode });
            space.containers.push((name, PodName::of(pod)));
            observation.tasks.push(task(container.init_pid));
        }
    }
    (observation, Snapshot { pods: pods.into_iter().map(Arc::new).collect(), gaps: vec![] }, spaces)
}

fn ask(target: Option<&str>, all: bool) -> Result<ProcessList, TargetError> {
    let (observation, snapshot, spaces) = node_of_samples();
    process_list(&observation, &snapshot, spaces, target, all)
}

fn containers(list: &ProcessList) -> Vec<&str> {
    let mut names: Vec<&str> = list.processes.iter().filter_map(|it| it.container_name.as_deref()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_target_is_a_pod_a_container_or_a_pid() {
    let article = samples::article();
    let (nginx, pause) = (&article.pods[0], &article.pods[1]);
    let of_nginx = ["busybox", "nginx"];
    let of_pause = ["busybox-2", "nginx-2", "pause"];
    let pid = nginx.containers[1].init_pid.to_string();
    for (target, expected) in [
        ("nginx", &of_nginx[..]),
        ("pod/nginx", &of_nginx),
        ("container/nginx", &of_nginx),
        ("busybox", &of_nginx),
        (&nginx.containers[1].id, &of_nginx),
        (&nginx.containers[1].id[..8], &of_nginx),
        (&nginx.id[..8], &of_nginx),
        (&pid, &of_nginx),
        (&format!("pid/{pid}"), &of_nginx),
        ("pause", &of_pause),
        ("nginx-2", &of_pause),
        (&pause.id[..12], &of_pause),
        ("kube-system/coredns-5d78c9869d-8xk2v", &["POD"]),
        ("debugger", &["debugger"]),
    ] {
        let list = ask(Some(target), false).unwrap_or_else(|error| panic!("{target}: {error}"));
        let listed = containers(&list);
        assert!(expected.iter().all(|name| listed.contains(name)), "{target}: {listed:?}");
        assert!(target.contains("coredns") || listed == expected, "{target}: {listed:?}");
        assert_eq!(list.hidden, HiddenPods::default());
    }
}

#[test]
fn what_is_unknown_or_ambiguous_is_refused_with_what_could_be_meant() {
    for (target, word) in [
        ("ngin", "there are"),
        ("", "there are"),
        ("pod/", "there are"),
        ("pod/busybox", "there are"),
        ("container/pod", "there are"),
        ("999999", "there are"),
        ("-1", "there are"),
        ("4", "process 4 is of no container"),
        ("pid/1", "process 1 is of no container"),
        ("\u{202e}\x1b[2J", "there are"),
    ] {
        let error = ask(Some(target), false).unwrap_err().to_string();
        assert!(error.contains(word), "{target:?}: {error}");
        assert!(error.len() < 1_500 && !error.contains('\n'), "{target:?}: {error}");
    }
}

#[test]
fn two_of_one_name_are_ambiguous_unless_one_alone_lives() {
    let (observation, mut snapshot, spaces) = node_of_samples();
    let mut twin = Pod::clone(&snapshot.pods[1]);
    twin.name = "nginx".to_owned();
    twin.id = samples::id(500);
    twin.namespace = Some("shop".to_owned());
    for (position, container) in twin.containers.iter_mut().enumerate() {
        container.id = samples::id(501 + position as u64);
    }
    snapshot.pods.push(twin.into());
    let ask = |snapshot: &Snapshot, target: &str| {
        process_list(&observation, snapshot, spaces.clone(), Some(target), false)
    };
    let error = ask(&snapshot, "nginx").unwrap_err();
    let TargetError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
    assert_eq!(candidates.len(), 2, "{error}");
    assert!(error.to_string().contains("pod/shop/nginx"), "{error}");
    assert!(ask(&snapshot, "shop/nginx").is_ok());
    for container in &mut Arc::make_mut(snapshot.pods.last_mut().unwrap()).containers {
        container.state = State::Exited;
    }
    assert_eq!(containers(&ask(&snapshot, "nginx").unwrap()), ["busybox", "nginx"]);
    // A dead one is known: it has no processes, which is no mistake of who asks.
    let dead = ask(&snapshot, &samples::id(500)).unwrap();
    assert!(dead.processes.is_empty() && dead.pid_namespaces.is_empty());
}

#[test]
fn without_a_target_what_is_shared_is_listed_and_the_rest_counted() {
    let list = ask(None, false).unwrap();
    assert_eq!(
        containers(&list),
        ["busybox", "busybox-2", "chrome", "nacl_helper", "nginx", "nginx-2", "pause"]
    );
    let all = ask(None, true).unwrap();
    assert!(all.processes.len() > list.processes.len());
    assert_eq!(all.hidden, HiddenPods::default());
    // api, coredns, crio-pod, mystery, node-exporter, redis: none of the samples lists its private PID namespace.
    assert_eq!((list.hidden.private, list.hidden.host), (0, 6));
}

#[test]
fn of_two_listed_namespaces_the_inner_one_has_the_process() {
    let (observation, snapshot, mut spaces) = node_of_samples();
    let inner = spaces[1].clone();
    spaces[0].processes.extend(inner.processes.clone());
    let list = process_list(&observation, &snapshot, spaces.clone(), None, false).unwrap();
    let pids: Vec<u32> = list.processes.iter().map(|process| process.pid).collect();
    let distinct: BTreeSet<u32> = pids.iter().copied().collect();
    assert_eq!(pids.len(), distinct.len());
    // Asked for the outer one, all that it shows is listed.
    let outer = process_list(&observation, &snapshot, spaces.clone(), Some("nginx"), false).unwrap();
    assert_eq!(outer.processes.len(), 2 + inner.processes.len());
    // A pid means the innermost.
    let pid = inner.processes[0].process.pid.to_string();
    let list = process_list(&observation, &snapshot, spaces, Some(&pid), false).unwrap();
    assert_eq!((list.pid_namespaces.len(), list.pid_namespaces[0].inode), (1, inner.inode));
}

#[test]
fn pods_of_the_nodes_namespace_stand_in_one() {
    let (observation, snapshot, mut spaces) = node_of_samples();
    for space in &mut spaces[..2] {
        space.host = true;
        space.inode = 1000;
        for seen in &mut space.processes {
            (seen.home, seen.process.pid_namespace) = (1000, 1000);
        }
    }
    let list = process_list(&observation, &snapshot, spaces, None, false).unwrap();
    let host: Vec<_> = list.pid_namespaces.iter().filter(|namespace| namespace.host).collect();
    assert_eq!((host.len(), host[0].pods.len(), host[0].containers.len()), (1, 2, 5));
}
