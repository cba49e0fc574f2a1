//! A node with every sort of namespace, for the tests of everything that chooses or prints them.

use crate::observation::{
    Declaration, DeclaredContainer, Gap, Handle, Inodes, Kind, NamespaceFact, Observation, Origin, Pin,
    Runtime, RuntimeReport, RuntimeState, RuntimeStatus, Task, Via,
};
use crate::render::samples::{HOSTILE, id};

/// The first inode that is not the node's own.
const FREE: u32 = 4_026_532_000;

fn host(kind: Kind) -> u32 {
    4_026_531_832 + u32::try_from(kind.index()).unwrap()
}

fn task<'o>(seen: &'o mut Observation, pid: u32, comm: &str) -> &'o mut Task {
    let namespaces: Inodes = Kind::ALL.into_iter().map(|kind| (kind, host(kind))).collect();
    seen.tasks.push(Task {
        pid,
        tgid: pid,
        parent: u32::from(pid > 2),
        start_boottime_ns: u64::from(pid) * 1_000_000_000,
        comm: comm.into(),
        uid: Some(if pid > 2_000 { 1_000 } else { 0 }),
        threads: Some(1 + pid % 3),
        pid_for_children: namespaces.get(Kind::Pid),
        time_for_children: namespaces.get(Kind::Time),
        namespaces,
        cgroup: Some("/".into()),
        ..Task::default()
    });
    seen.tasks.iter_mut().next_back().unwrap()
}

fn docker<'o>(seen: &'o mut Observation, name: &str, seed: u64, pid: u32, kinds: &[Kind]) -> &'o mut Task {
    let mut declared = DeclaredContainer::new(id(seed), Runtime::Docker, Origin::Docker, "sample");
    declared.name = Some(name.to_owned());
    declared.state = RuntimeState::Running;
    declared.pid = pid;
    declared.declared = kinds.iter().map(|kind| (*kind, Declaration::Private)).collect();
    seen.containers.push(declared);
    let task = task(seen, pid, name);
    task.cgroup = Some(format!("/docker/{}", id(seed)).into());
    for kind in kinds {
        task.namespaces.set(*kind, FREE + pid * 10 + u32::try_from(kind.index()).unwrap());
    }
    task.pid_namespace_init = kinds.contains(&Kind::Pid);
    task.pid_for_children = task.namespaces.get(Kind::Pid);
    task
}

fn fact(seen: &mut Observation, kind: Kind, inode: u32, owner: u32, parent: Option<u32>) {
    let id = Some(u64::from(inode) * 3);
    seen.namespaces.push(NamespaceFact { kind, inode, owner: Some(owner), parent, id });
}

/// Containers that share, a rootless sandbox two levels deep, and namespaces that only a mount, a descriptor, a
/// socket, a child or a promise to children keeps.
pub fn node() -> Observation {
    let mut seen = Observation::default();
    seen.node.name = "node-1".to_owned();
    seen.node.kernel = "6.18.0".to_owned();
    seen.node.time = Some("2026-11-23T21:44:13Z".parse().unwrap());
    seen.node.ticks_per_second = 100;
    seen.host.inodes = Kind::ALL.into_iter().map(|kind| (kind, host(kind))).collect();
    seen.runtimes = vec![RuntimeReport {
        runtime: Runtime::Docker,
        endpoint: "/run/docker.sock".to_owned(),
        status: RuntimeStatus::Ok,
        detail: "Docker 20.10.24".to_owned(),
    }];
    task(&mut seen, 1, "systemd");
    task(&mut seen, 2, "kthreadd").kernel_thread = true;
    let kinds = [Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Net, Kind::Cgroup];
    let net = docker(&mut seen, "nginx", 1, 310, &kinds).namespaces.get(Kind::Net).unwrap();
    let joiner = docker(&mut seen, "busybox", 2, 320, &[Kind::Mnt]);
    joiner.namespaces.set(Kind::Net, net);
    let pid = docker(&mut seen, "redis", 3, 330, &kinds).namespaces.get(Kind::Pid).unwrap();
    for container in &mut seen.containers {
        container.declared.entry(Kind::Net).or_insert(Declaration::Container(id(1)));
    }

    // A user's sandbox in a sandbox.
    let (outer, inner) = (FREE + 1, FREE + 2);
    let sandbox = task(&mut seen, 2_400, "bwrap");
    sandbox.namespaces.set(Kind::User, outer);
    sandbox.namespaces.set(Kind::Pid, FREE + 3);
    sandbox.pid_namespace_init = true;
    sandbox.pid_for_children = Some(FREE + 3);
    let nested = task(&mut seen, 2_401, "chrome");
    nested.parent = 2_400;
    nested.namespaces = [(Kind::User, inner), (Kind::Pid, FREE + 4), (Kind::Net, FREE + 5)]
        .into_iter()
        .chain([Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Cgroup, Kind::Time].map(|kind| (kind, host(kind))))
        .collect();
    nested.pid_namespace_init = true;
    nested.pid_for_children = Some(FREE + 6);
    // Dead, not reaped: only these two are left of it.
    let zombie = task(&mut seen, 2_402, "defunct");
    zombie.zombie = true;
    zombie.threads = Some(1);
    zombie.namespaces = [(Kind::User, inner), (Kind::Pid, FREE + 4)].into_iter().collect();
    (zombie.pid_for_children, zombie.time_for_children) = (None, None);

    let user = host(Kind::User);
    for kind in Kind::ALL {
        fact(&mut seen, kind, host(kind), user, None);
    }
    let facts: Vec<(Kind, u32)> =
        seen.tasks.shared()[2..5].iter().flat_map(|task| task.namespaces.iter()).collect();
    for (kind, inode) in facts {
        if inode != host(kind) {
            fact(&mut seen, kind, inode, user, (kind == Kind::Pid).then_some(host(Kind::Pid)));
        }
    }
    fact(&mut seen, Kind::User, outer, user, Some(user));
    fact(&mut seen, Kind::User, inner, outer, Some(outer));
    fact(&mut seen, Kind::Pid, FREE + 3, outer, Some(host(Kind::Pid)));
    fact(&mut seen, Kind::Pid, FREE + 4, inner, Some(FREE + 3));
    fact(&mut seen, Kind::Pid, FREE + 6, inner, Some(FREE + 4));
    fact(&mut seen, Kind::Net, FREE + 5, inner, None);
    // Its user namespace has no process any more, and lives on for it.
    fact(&mut seen, Kind::User, FREE + 7, user, Some(user));
    fact(&mut seen, Kind::Net, FREE + 8, FREE + 7, None);
    seen.namespaces.retain(|fact| !(fact.kind == Kind::User && fact.inode == user));
    seen.namespaces.sort();
    seen.namespaces.dedup();

    let pin = |inode, path: &str| Pin { kind: Kind::Net, inode, path: path.to_owned() };
    seen.pins = vec![
        pin(net, "/run/docker/netns/5f2b8c1d9a3e"),
        pin(FREE + 8, "/run/netns/blue"),
        pin(FREE + 8, "/run/netns/azure"),
    ];
    let handle = |kind, inode, pid, via, path: &str| Handle { kind, inode, pid, via, path: path.to_owned() };
    seen.handles = vec![
        handle(Kind::Pid, pid, 310, Via::Mount, "/var/lib/docker/overlay2/4f/merged/proc"),
        handle(Kind::Net, FREE + 9, 310, Via::Fd, "/proc/310/fd/7"),
        handle(Kind::Net, FREE + 9, 310, Via::Fd, "/proc/310/fd/8"),
        handle(Kind::Net, FREE + 9, 2_400, Via::Socket, "/proc/2400/fd/3"),
    ];
    seen
}

/// The same, with every string hostile that a process or a runtime can choose.
pub fn hostile() -> Observation {
    let mut seen = node();
    let long = format!("{}\u{202e}", "漢\x1b[2J".repeat(700));
    let hostile = |n: usize| format!("{}{long}", HOSTILE[n % HOSTILE.len()]);
    seen.node.name = hostile(0);
    for (n, task) in seen.tasks.iter_mut().enumerate() {
        task.comm = HOSTILE[n % HOSTILE.len()].into();
    }
    for (n, container) in seen.containers.iter_mut().enumerate() {
        container.name = Some(hostile(n));
    }
    for (n, pin) in seen.pins.iter_mut().enumerate() {
        pin.path = hostile(n + 4);
    }
    for (n, handle) in seen.handles.iter_mut().enumerate() {
        handle.path = hostile(n + 8);
    }
    seen.runtimes[0].detail = HOSTILE.concat();
    seen.gaps = vec![Gap::deciding(HOSTILE[4], HOSTILE.concat())];
    seen
}
