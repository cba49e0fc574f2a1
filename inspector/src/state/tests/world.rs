//! Small nodes to judge, described in a line each.

use std::sync::Arc;

use crate::observation::{
    Behaviour, Declaration, DeclaredContainer, DeclaredPod, Inodes, Kind, Mount, MountKind, Observation,
    Origin, ProcessKey, Runtime, RuntimeState, Task, Wait,
};
use crate::view::Pod;

/// The inode of the node's own namespace of a kind.
pub fn host(kind: Kind) -> u32 {
    1000 + u32::try_from(kind.index()).unwrap()
}

/// A container's id: 64 hexadecimal digits that begin like the name's bytes.
pub fn id(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:0<64}")
}

/// A node under construction.
pub struct World {
    pub seen: Observation,
    next_inode: u32,
}

/// A process: its pid, then what differs from a plain process of the host.
pub struct Process<'w> {
    world: &'w mut World,
    pid: u32,
}

impl World {
    pub fn new() -> Self {
        let mut seen = Observation::default();
        seen.node.ticks_per_second = 100;
        seen.node.booted_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
        seen.host.inodes = Kind::ALL.into_iter().map(|kind| (kind, host(kind))).collect();
        let mut world = Self { seen, next_inode: 5000 };
        world.process(1, "init");
        world.process(2, "kthreadd").task().kernel_thread = true;
        world
    }

    /// A process in the node's own namespaces; later ones start later.
    pub fn process(&mut self, pid: u32, comm: &str) -> Process<'_> {
        self.seen.tasks.push(Task {
            pid,
            tgid: pid,
            parent: u32::from(pid > 2),
            start_boottime_ns: u64::from(pid) * 1_000_000_000,
            comm: comm.into(),
            uid: Some(0),
            pid_inside: Some(pid),
            pid_namespace_init: pid == 1,
            namespaces: self.seen.host.inodes,
            cgroup: Some("/".into()),
            ..Task::default()
        });
        Process { world: self, pid }
    }

    /// A running Docker container with a namespace of its own of every kind but user and time, made for it.
    pub fn docker(&mut self, name: &str, pid: u32) -> Process<'_> {
        let id = id(name);
        let mut declared = declared(name);
        declared.state = RuntimeState::Running;
        declared.pid = pid;
        self.seen.containers.push(declared);
        let mut process = self.process(pid, name);
        process.task().cgroup = Some(format!("/docker/{id}").into());
        for kind in [Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Net, Kind::Cgroup] {
            process = process.fresh(kind);
        }
        process
    }

    /// A Docker container that has exited.
    pub fn exited(&mut self, name: &str) -> &mut DeclaredContainer {
        let mut declared = declared(name);
        declared.state = RuntimeState::Exited;
        declared.exit_code = Some(0);
        self.seen.containers.push(declared);
        self.seen.containers.last_mut().unwrap()
    }

    /// Ends the init of a container and tells the runtime so.
    pub fn stop(&mut self, name: &str, at: &str, code: i32) {
        let pid = self.container(name).pid;
        let reaped = self.inode(pid, Kind::Pid);
        let namespace_dies = self.task(pid).pid_namespace_init;
        self.seen.tasks.retain(|task| {
            task.pid != pid && !(namespace_dies && task.namespaces.get(Kind::Pid) == Some(reaped))
        });
        let container = self.container(name);
        container.state = RuntimeState::Exited;
        container.pid = 0;
        container.exit_code = Some(code);
        container.finished_at = Some(at.parse().unwrap());
    }

    pub fn container(&mut self, name: &str) -> &mut DeclaredContainer {
        self.seen.containers.iter_mut().find(|container| container.name.as_deref() == Some(name)).unwrap()
    }

    pub fn task(&mut self, pid: u32) -> &mut Task {
        self.seen.tasks.iter_mut().find(|task| task.pid == pid).unwrap()
    }

    pub fn inode(&mut self, pid: u32, kind: Kind) -> u32 {
        self.task(pid).namespaces.get(kind).unwrap()
    }

    /// A container declares that it joins another's namespace (and does, unless its task says otherwise).
    pub fn join(&mut self, joiner: &str, owner: &str, kinds: &[Kind]) {
        let (from, to) = (self.container(joiner).pid, self.container(owner).pid);
        for kind in kinds {
            self.container(joiner).declared.insert(*kind, Declaration::Container(id(owner)));
            if from != 0 && to != 0 {
                let inode = self.inode(to, *kind);
                let task = self.task(from);
                task.namespaces.set(*kind, inode);
                task.pid_namespace_init &= *kind != Kind::Pid;
            }
        }
    }

    /// What a process was seen doing.
    pub fn does(&mut self, pid: u32, wait: Wait) -> &mut Behaviour {
        let start = self.task(pid).start_boottime_ns;
        let process = ProcessKey { pid, start_ticks: start / 10_000_000 };
        let executable = Some(self.task(pid).comm.clone());
        self.seen.behaviours.push(Behaviour {
            process,
            executable: executable.map(|name| name.to_string()),
            waits: vec![wait],
            sockets: Some(0),
            cpu_ms: Some(0),
            reaped_cpu_ms: Some(0),
            files: Vec::new(),
        });
        self.seen.behaviours.last_mut().unwrap()
    }

    /// It only waits for signals.
    pub fn pauses(&mut self, pid: u32) {
        self.does(pid, Wait::Signal);
    }

    /// It serves something.
    pub fn serves(&mut self, pid: u32) {
        self.does(pid, Wait::Other("accept".to_owned())).sockets = Some(3);
    }

    pub fn mount(&mut self, name: &str, source: &str, target: &str, read_only: bool) {
        let mount =
            Mount { source: source.to_owned(), target: target.to_owned(), read_only, kind: MountKind::Bind };
        self.container(name).mounts.push(mount);
    }

    /// Declares a Kubernetes pod.
    pub fn sandbox(&mut self, id: &str, name: &str) {
        self.seen.pods.push(DeclaredPod {
            namespace: Some("default".to_owned()),
            uid: Some(format!("uid-{name}")),
            ..DeclaredPod::new(id, name, Origin::Kubernetes)
        });
    }

    pub fn pods(&mut self) -> Vec<Arc<Pod>> {
        self.seen.tasks.put_in_order();
        crate::state::snapshot(&self.seen).pods
    }
}

impl Process<'_> {
    /// Gives it a new namespace of a kind. A new PID namespace makes it its init.
    pub fn fresh(mut self, kind: Kind) -> Self {
        self.world.next_inode += 1;
        let inode = self.world.next_inode;
        let task = self.task();
        task.namespaces.set(kind, inode);
        if kind == Kind::Pid {
            task.pid_namespace_init = true;
            task.pid_inside = Some(1);
        }
        self
    }

    /// Puts it into the namespaces of another process.
    pub fn with(mut self, pid: u32, kinds: &[Kind]) -> Self {
        let other: Inodes = self.world.task(pid).namespaces;
        for kind in kinds {
            self.task().namespaces.set(*kind, other.get(*kind).unwrap());
        }
        self
    }

    /// Puts it into the node's own namespaces.
    pub fn in_host(mut self, kinds: &[Kind]) -> Self {
        for kind in kinds {
            self.task().namespaces.set(*kind, host(*kind));
            if *kind == Kind::Pid {
                self.task().pid_namespace_init = false;
            }
        }
        self
    }

    pub fn child_of(mut self, parent: u32) -> Self {
        self.task().parent = parent;
        self
    }

    pub fn cgroup(mut self, path: &str) -> Self {
        self.task().cgroup = Some(path.into());
        self
    }

    pub fn task(&mut self) -> &mut Task {
        self.world.task(self.pid)
    }
}

fn declared(name: &str) -> DeclaredContainer {
    let host = [Kind::User, Kind::Time];
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Time);
    DeclaredContainer {
        name: Some(name.to_owned()),
        image: Some(format!("{name}-image")),
        command: vec![format!("/bin/{name}")],
        declared: kinds
            .map(|kind| {
                let own = !host.contains(&kind);
                (kind, if own { Declaration::Private } else { Declaration::Host })
            })
            .collect(),
        ..DeclaredContainer::new(id(name), Runtime::Docker, Origin::Docker, "test")
    }
}
