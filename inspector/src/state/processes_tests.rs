//! Who is listed where, with which number, and whose.

use super::*;
use crate::observation::NamespaceFact;
use crate::state::tests::world::{World, host, id};

/// The article's pod: nginx owns, busybox joins; nginx has a worker, busybox runs a shell and sleeps.
fn article() -> World {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200).child_of(90);
    world.join("busybox", "nginx", &[Kind::Pid, Kind::Net]);
    member(&mut world, 110, "nginx", 100, "nginx", &[29]).uid = Some(101);
    member(&mut world, 210, "sleep", 200, "busybox", &[37]);
    world.task(100).pids_below = vec![1];
    let shell = world.task(200);
    (shell.pids_below, shell.pid_inside) = (vec![31], Some(31));
    world
}

/// A process of a container, in its namespaces.
fn member<'w>(
    world: &'w mut World,
    pid: u32,
    comm: &str,
    parent: u32,
    of: &str,
    below: &[u32],
) -> &'w mut Task {
    let init = world.container(of).pid;
    let cgroup = format!("/docker/{}", id(of));
    world.process(pid, comm).with(init, &Kind::ALL).child_of(parent).cgroup(&cgroup);
    let task = world.task(pid);
    (task.pids_below, task.pid_inside) = (below.to_vec(), below.last().copied());
    task
}

fn spaces(world: &mut World) -> Vec<PidSpace> {
    world.seen.tasks.put_in_order();
    of(&world.seen, &crate::state::snapshot(&world.seen))
}

/// Pid inside, pid and container of each.
fn rows(space: &PidSpace) -> Vec<(Option<u32>, u32, Option<&str>)> {
    let row = |seen: &Seen| (seen.process.pod_pid, seen.process.pid, seen.process.container_name.clone());
    let rows = space.processes.iter().map(row);
    // Leaked: names of a test.
    rows.map(|(inside, pid, name)| (inside, pid, name.map(|name| &*Box::leak(name.into_boxed_str()))))
        .collect()
}

#[test]
fn every_process_of_a_shared_namespace_is_somebodys() {
    let mut world = article();
    let spaces = spaces(&mut world);
    assert_eq!(spaces.len(), 1);
    let space = &spaces[0];
    assert_eq!(
        rows(space),
        [
            (Some(1), 100, Some("nginx")),
            (Some(29), 110, Some("nginx")),
            (Some(31), 200, Some("busybox")),
            (Some(37), 210, Some("busybox")),
        ]
    );
    let names: Vec<_> =
        space.containers.iter().map(|(it, pod)| (it.name.as_str(), pod.name.as_str())).collect();
    assert_eq!(names, [("nginx", "nginx"), ("busybox", "nginx")]);
    let worker = &space.processes[1].process;
    assert_eq!((worker.parent, worker.uid, worker.comm.as_str()), (100, Some(101), "nginx"));
    assert_eq!(worker.container.as_deref(), Some(id("nginx").as_str()));
    assert_eq!(worker.started_at.as_deref(), Some("2026-01-01T00:01:50Z"));
    assert!(!space.host && !space.unmanaged);
}

#[test]
fn who_entered_from_outside_is_nobodys() {
    let mut world = article();
    world.process(300, "sh").with(100, &[Kind::Pid]).child_of(1).cgroup("/user.slice");
    (world.task(300).pids_below, world.task(300).pid_inside) = (vec![52], Some(52));
    // One that has a namespace of its own besides, which makes it an unmanaged group elsewhere.
    world.process(310, "spy").with(100, &[Kind::Pid]).fresh(Kind::Net).child_of(1).cgroup("/user.slice");
    (world.task(310).pids_below, world.task(310).pid_inside) = (vec![53], Some(53));
    let spaces = spaces(&mut world);
    let space = spaces.iter().find(|space| !space.unmanaged).unwrap();
    assert_eq!(rows(space)[4..], [(Some(52), 300, None), (Some(53), 310, None)]);
    assert_eq!(space.containers.len(), 2);
}

#[test]
fn a_zombie_is_whose_parent_has_to_reap_it() {
    let mut world = article();
    for (pid, parent, inside) in [(211, 210, 40), (212, 211, 41), (400, 1, 42)] {
        member(&mut world, pid, "gone", parent, "busybox", &[inside]).zombie = true;
        world.task(pid).cgroup = Some("/".into());
        world.task(pid).threads = Some(1);
    }
    world.task(212).parent = 211;
    let spaces = spaces(&mut world);
    assert_eq!(
        rows(&spaces[0])[4..],
        [(Some(40), 211, Some("busybox")), (Some(41), 212, Some("busybox")), (Some(42), 400, None)]
    );
    assert_eq!(spaces[0].processes[4].process.state.as_deref(), Some("Z"));
}

#[test]
fn nested_namespaces_are_listed_with_the_number_in_the_pods() {
    let mut world = article();
    // busybox starts a sandbox: by its parent just above, and one more below that, of which only the kernel tells.
    member(&mut world, 220, "sandbox", 200, "busybox", &[44, 1]);
    let inner = 6000;
    world.task(220).namespaces.set(Kind::Pid, inner);
    world.task(220).pid_namespace_init = true;
    member(&mut world, 230, "deeper", 1, "busybox", &[45, 2, 1]);
    world.task(230).namespaces.set(Kind::Pid, 6001);
    world.seen.namespaces.push(NamespaceFact {
        kind: Kind::Pid,
        inode: 6001,
        owner: None,
        parent: Some(inner),
        id: None,
    });
    let spaces = spaces(&mut world);
    assert_eq!(spaces.len(), 1);
    assert_eq!(rows(&spaces[0])[4..], [(Some(44), 220, Some("busybox")), (Some(45), 230, Some("busybox"))]);
    // Without the numbers they are listed where they are known to be below, and their number is not made up.
    world.task(230).pids_below.clear();
    let spaces = self::spaces(&mut world);
    assert!(rows(&spaces[0]).contains(&(None, 230, Some("busybox"))));
}

#[test]
fn a_parent_further_up_makes_no_nesting() {
    let mut world = article();
    // A pod's container whose init's parent was moved into another container's namespace by nsenter.
    world.process(500, "nsenter").with(100, &[Kind::Pid]).cgroup("/");
    (world.task(500).pids_below, world.task(500).pid_inside) = (vec![60], Some(60));
    world.docker("other", 510).child_of(500);
    world.task(510).pids_below = vec![1];
    let spaces = spaces(&mut world);
    assert!(spaces.iter().all(|space| space.containers[0].0.name == "other" || !rows(space).iter().any(|row| row.1 == 510)));
}

#[test]
fn a_nested_container_is_listed_in_both_and_at_home_in_its_own() {
    let mut world = World::new();
    world.docker("node", 100);
    world.task(100).pids_below = vec![1];
    world.docker("inner", 200).child_of(100);
    world.task(200).pids_below = vec![20, 1];
    let spaces = spaces(&mut world);
    assert_eq!(spaces.len(), 2);
    let node = spaces.iter().find(|space| space.containers[0].0.name == "node").unwrap();
    assert_eq!(rows(node), [(Some(1), 100, Some("node")), (Some(20), 200, Some("inner"))]);
    assert_eq!((node.processes[0].home, node.processes[1].home == node.inode), (node.inode, false));
    let inner = spaces.iter().find(|space| space.containers[0].0.name == "inner").unwrap();
    assert_eq!(rows(inner), [(Some(1), 200, Some("inner"))]);
}

#[test]
fn of_the_nodes_own_namespace_only_containers_are_listed() {
    let mut world = World::new();
    world.docker("agent", 100).in_host(&[Kind::Pid]);
    world.container("agent").declared.insert(Kind::Pid, crate::observation::Declaration::Host);
    member(&mut world, 110, "helper", 100, "agent", &[]).pid_inside = Some(110);
    world.process(120, "sshd");
    let spaces = spaces(&mut world);
    assert_eq!(spaces.len(), 1);
    assert!(spaces[0].host && spaces[0].inode == host(Kind::Pid));
    assert_eq!(rows(&spaces[0]), [(Some(100), 100, Some("agent")), (Some(110), 110, Some("agent"))]);
}

#[test]
fn inside_a_pod_the_readers_own_namespace_is_one_like_any() {
    let mut world = article();
    for task in world.seen.tasks.iter_mut() {
        // The reader shares the pod's PID namespace: numbers are its own, nothing is below.
        task.pids_below.clear();
        task.pid_inside = Some(task.pid);
    }
    world.seen.tasks.retain(|task| task.pid >= 100);
    world.seen.reader.pid = 210;
    let spaces = spaces(&mut world);
    let numbers: Vec<_> = rows(&spaces[0]).iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(numbers, [(Some(100), 100), (Some(110), 110), (Some(200), 200), (Some(210), 210)]);
    // An inspector that belongs to nobody does not report itself.
    world.task(210).cgroup = Some("/user.slice".into());
    assert_eq!(self::spaces(&mut world)[0].processes.len(), 3);
}

#[test]
fn an_unmanaged_group_is_listed_by_its_topmost_processes() {
    let mut world = World::new();
    // `unshare --fork --pid --net`: the waiting parent stays in the node's PID namespace.
    world.process(100, "unshare").fresh(Kind::Net);
    world.process(110, "sh").with(100, &[Kind::Net]).fresh(Kind::Pid).child_of(100);
    world.task(110).pids_below = vec![1];
    let spaces = spaces(&mut world);
    let own = spaces.iter().find(|space| !space.host).unwrap();
    assert!(own.unmanaged);
    assert_eq!(rows(own), [(Some(1), 110, Some("unshare"))]);
}

#[test]
fn rings_of_parents_and_namespaces_end() {
    let mut world = article();
    let inode = world.inode(100, Kind::Pid);
    for (one, other) in [(inode, 7000), (7000, inode)] {
        let fact = NamespaceFact { kind: Kind::Pid, inode: one, owner: None, parent: Some(other), id: None };
        world.seen.namespaces.push(fact);
    }
    for (pid, parent) in [(210, 211), (211, 210)] {
        if pid == 211 {
            member(&mut world, pid, "ring", parent, "busybox", &[50]);
        }
        let task = world.task(pid);
        (task.parent, task.zombie, task.threads, task.cgroup) = (parent, true, Some(1), Some("/".into()));
    }
    let spaces = spaces(&mut world);
    assert_eq!(rows(&spaces[0])[3..], [(Some(37), 210, None), (Some(50), 211, None)]);
}
