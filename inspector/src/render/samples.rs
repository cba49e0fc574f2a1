//! Answers to print, for the tests of everything that prints or selects.

mod processes;

use std::collections::BTreeMap;

pub use processes::{article_processes, hostile_processes, no_processes, process};

use crate::observation::{Kind, Origin, Runtime, RuntimeStatus};
use crate::view::{
    API_VERSION, Class, ClassEvidence, Container, Coverage, Evidence, Exit, ExitCause, Finding, GapInfo,
    Hidden, Holder, HolderType, Identity, Namespace, NodeInfo, Owner, Pod, PodList, Role, RuntimeInfo,
    Severity, State, Subject, Verdict, Volume, VolumeMount, VolumeType,
};

/// Strings as an attacker would choose them, and ones that a format could mistake.
pub const HOSTILE: [&str; 20] = [
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "\u{9b}31m\u{85}\u{90}q\u{9c}",
    "\u{202e}gpj.xnign\u{202c}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
    "a\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}b",
    "line\nbreak\r\n\ttab\0nul\x7fdel",
    "\u{2028}\u{2029}\u{a0}\u{3000}",
    "\u{e000}\u{f0000}\u{10ffff}\u{e0041}\u{1d173}",
    "quote\" back\\slash 'single' \\u001b \\n",
    "\u{fffd}\u{fffe}\u{ffff}",
    "日本語 🦀 e\u{301}",
    "",
    "null",
    "- x: [y]",
    "true",
    "12",
    "# comment",
    "key: value",
    "&anchor *alias !tag",
    "%percent @at `tick`",
    " lead and trail ",
];

/// An id of 64 hexadecimal digits.
pub fn id(seed: u64) -> String {
    (1..=4).map(|n| format!("{:016x}", seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n * 7))).collect()
}

/// A running container of Docker.
pub fn container(name: &str, seed: u64, role: Role) -> Container {
    let pid = 31_000 + u32::try_from(seed).unwrap() * 57;
    Container {
        id: id(seed),
        name: name.to_owned(),
        runtime: Some(Runtime::Docker),
        image: Some(format!("{name}:latest")),
        role,
        identity: Identity::Confirmed,
        state: State::Running,
        init_pid: pid,
        started_at: Some(format!("2026-11-23T20:{:02}:07Z", seed % 60)),
        processes: 1 + seed % 3,
        cgroup: Some(format!("/system.slice/docker-{}.scope", id(seed)).into()),
        namespaces: Kind::ALL.into_iter().map(|kind| (kind, inode(kind, seed))).collect(),
        declared: BTreeMap::new(),
        exit: None,
    }
}

fn inode(kind: Kind, seed: u64) -> u32 {
    match kind {
        Kind::User | Kind::Cgroup | Kind::Time => 4_026_531_834 + u32::try_from(kind.index()).unwrap(),
        _ => 4_026_532_000 + u32::try_from(seed * 8).unwrap() + u32::try_from(kind.index()).unwrap(),
    }
}

/// Its owner shares `kinds` with the containers after it.
pub fn pod(name: &str, origin: Origin, class: Class, kinds: &[Kind], mut containers: Vec<Container>) -> Pod {
    let owner = containers[0].clone();
    for joiner in &mut containers[1..] {
        for &kind in kinds {
            joiner.namespaces.insert(kind, owner.namespaces[&kind]);
            joiner.declared.insert(kind, format!("container:{}", owner.id));
        }
    }
    let namespaces = kinds
        .iter()
        .map(|&kind| Namespace {
            kind,
            inode: owner.namespaces[&kind],
            generation: 1,
            shared_by: containers.iter().map(|container| container.id.clone()).collect(),
            owner: Owner {
                container: Some(owner.id.clone()),
                pid: owner.init_pid,
                alive: true,
                class,
                evidence: Evidence::Declared,
                class_evidence: ClassEvidence::Behaviour,
                why: format!("the others were created with --{kind}=container:{}", owner.name),
            },
            holders: vec![],
        })
        .collect::<Vec<_>>();
    let verdict = match class {
        _ if kinds.is_empty() => Verdict::Isolated,
        Class::Pause => Verdict::PauseOwned,
        Class::Application => Verdict::ApplicationOwned,
        Class::RuntimePinned => Verdict::RuntimePinned,
        Class::Unknown => Verdict::Unknown,
    };
    Pod {
        id: owner.id,
        name: name.to_owned(),
        namespace: None,
        uid: None,
        origin,
        verdict,
        why: "the owner's class decides".to_owned(),
        containers,
        namespaces,
        volumes: vec![],
    }
}

/// PNS001 for each shared namespace of that pod.
pub fn non_pause_owner(pod: &Pod) -> Vec<Finding> {
    let owner = &pod.containers[0];
    let joiner = &pod.containers[1];
    pod.namespaces
        .iter()
        .map(|namespace| {
            let kind = namespace.kind;
            Finding {
                id: format!("{:016x}", kind.index() * 977),
                rule: "PNS001",
                name: "non-pause-owner",
                severity: Severity::High,
                subject: Subject {
                    pod: Some(pod.id.clone()),
                    container: Some(owner.id.clone()),
                    namespace_kind: Some(kind),
                    inode: Some(namespace.inode),
                    pid: None,
                },
                message: format!("{} owns the {kind} namespace that {} uses, and is no pause container", owner.name, joiner.name),
                evidence: vec![
                    format!("declared: {} was created with --{kind}=container:{}", joiner.name, owner.name),
                    format!("behaviour: {} holds 2 sockets and waits in epoll_wait (process {})", owner.name, owner.init_pid),
                ],
                consequence: match kind {
                    Kind::Pid => format!("when {} dies, the kernel kills {} with it", owner.name, joiner.name),
                    _ => format!("when {} is restarted, {} stays behind in a namespace that nobody configures any more: a split brain", owner.name, joiner.name),
                },
                remedy: "start a pause container first and let every container join it: --net, --ipc, --pid container:pause".to_owned(),
            }
        })
        .collect()
}

/// The article's two Docker pods.
pub fn article() -> PodList {
    let mut owned = pod(
        "nginx",
        Origin::Docker,
        Class::Application,
        &[Kind::Pid, Kind::Net, Kind::Ipc],
        vec![container("nginx", 1, Role::App), container("busybox", 2, Role::App)],
    );
    owned.containers[1].image = Some("yauritux/busybox-curl:latest".to_owned());
    owned.volumes = vec![Volume {
        source: "/root/log".to_owned(),
        volume_type: VolumeType::Volume,
        name: None,
        mounts: owned
            .containers
            .iter()
            .map(|container| VolumeMount {
                container: container.id.clone(),
                target: "/var/log/nginx".to_owned(),
                read_only: false,
            })
            .collect(),
    }];
    let paused = pod(
        "pause",
        Origin::Docker,
        Class::Pause,
        &[Kind::Pid, Kind::Net, Kind::Ipc],
        vec![
            container("pause", 3, Role::Infra),
            container("nginx-2", 4, Role::App),
            container("busybox-2", 5, Role::App),
        ],
    );
    let findings = non_pause_owner(&owned);
    list(vec![owned, paused], findings)
}

/// One pod of each other sort: dead, orphaned, unmanaged, Kubernetes, pinned, host, unknown, isolated.
pub fn zoo() -> PodList {
    let mut dead = pod(
        "web",
        Origin::Compose,
        Class::Application,
        &[],
        vec![container("web-nginx-1", 11, Role::App), container("web-log-1", 12, Role::App)],
    );
    dead.verdict = Verdict::Unknown;
    dead.why = "no container of it is alive".to_owned();
    for (container, (code, cause, why)) in dead.containers.iter_mut().zip([
        (0, ExitCause::Itself, "exit code 0"),
        (
            137,
            ExitCause::PidNamespaceDied,
            "the init of its PID namespace, web-nginx-1, exited 40 ms earlier",
        ),
    ]) {
        container.state = State::Exited;
        container.init_pid = 0;
        container.processes = 0;
        container.namespaces.clear();
        container.exit = Some(Box::new(Exit {
            code: Some(code),
            finished_at: Some("2026-11-23T21:40:00Z".to_owned()),
            cause,
            why: why.to_owned(),
        }));
    }

    let mut orphan = pod(
        "api",
        Origin::Docker,
        Class::Application,
        &[Kind::Net],
        vec![container("api", 13, Role::App), container("metrics", 14, Role::App)],
    );
    orphan.namespaces[0].owner.alive = false;
    orphan.namespaces[0].owner.pid = 0;
    orphan.namespaces[0].shared_by.remove(0);
    let gone = &mut orphan.containers[0];
    gone.state = State::Exited;
    gone.init_pid = 0;
    gone.namespaces.clear();
    gone.exit = Some(Box::new(Exit {
        code: Some(143),
        finished_at: None,
        cause: ExitCause::Signal,
        why: "SIGTERM".to_owned(),
    }));

    let mut group = pod(
        "chrome",
        Origin::Unmanaged,
        Class::Application,
        &[Kind::Pid, Kind::Net],
        vec![container("chrome", 15, Role::Unknown), container("nacl_helper", 16, Role::Unknown)],
    );
    for container in &mut group.containers {
        container.id = format!("proc:{}:8123456", container.init_pid);
        container.runtime = None;
        container.image = None;
    }
    let ids: Vec<String> = group.containers.iter().map(|container| container.id.clone()).collect();
    group.id.clone_from(&ids[0]);
    for namespace in &mut group.namespaces {
        namespace.shared_by.clone_from(&ids);
        namespace.owner.container = Some(ids[0].clone());
    }

    let mut kubernetes = pod(
        "coredns-5d78c9869d-8xk2v",
        Origin::Kubernetes,
        Class::Pause,
        &[Kind::Net, Kind::Ipc, Kind::Uts],
        vec![
            container("POD", 17, Role::Infra),
            container("coredns", 18, Role::App),
            container("debugger", 19, Role::Ephemeral),
        ],
    );
    kubernetes.namespace = Some("kube-system".to_owned());
    kubernetes.uid = Some("6f4f0a8e-0a52-4a0f-9a7e-1f6f2f0d6c11".to_owned());
    for container in &mut kubernetes.containers {
        container.runtime = Some(Runtime::Containerd);
        container.image = Some("registry.k8s.io/coredns/coredns:v1.11.1".to_owned());
    }

    let mut pinned = pod(
        "crio-pod",
        Origin::Kubernetes,
        Class::RuntimePinned,
        &[Kind::Net],
        vec![container("server", 20, Role::App)],
    );
    pinned.namespaces[0].owner.container = Some(id(99));
    pinned.namespaces[0].owner.pid = 0;
    pinned.namespaces[0].holders = vec![Holder {
        holder_type: HolderType::BindMount,
        path: Some("/run/netns/7f".to_owned()),
        pid: None,
    }];

    let mut host = pod(
        "node-exporter",
        Origin::Docker,
        Class::Unknown,
        &[],
        vec![container("node-exporter", 21, Role::App)],
    );
    host.verdict = Verdict::Host;
    host.containers[0].declared = [(Kind::Net, "host".to_owned()), (Kind::Pid, "host".to_owned())].into();

    let mut unknown = pod(
        "mystery",
        Origin::Oci,
        Class::Unknown,
        &[Kind::Net],
        vec![container("mystery", 22, Role::Unknown), container("guest", 23, Role::Unknown)],
    );
    unknown.containers[1].identity = Identity::CgroupOnly;
    unknown.namespaces[0].owner.container = None;
    unknown.namespaces[0].owner.evidence = Evidence::None;
    unknown.why =
        "net 4026532180 has two members that started in the same clock tick, and nothing declares it"
            .to_owned();

    let alone = pod("redis", Origin::Docker, Class::Unknown, &[], vec![container("redis", 24, Role::App)]);
    let mut list = list(vec![orphan, group, kubernetes, pinned, unknown, host, alone, dead], vec![]);
    list.coverage.partial = true;
    list.coverage.unreadable = 3;
    list.coverage.source = "procfs";
    list.coverage.runtimes.push(RuntimeInfo {
        runtime: Runtime::Containerd,
        endpoint: "/run/containerd/containerd.sock".to_owned(),
        status: RuntimeStatus::Denied,
        detail: "permission denied".to_owned(),
    });
    list.coverage.gaps = vec![GapInfo {
        what: "the namespaces of 3 processes".to_owned(),
        why: "/proc/PID/ns: permission denied; run as root, or with CAP_SYS_PTRACE".to_owned(),
    }];
    list
}

/// Every string that a process or a runtime can choose is hostile.
pub fn hostile() -> PodList {
    let mut containers: Vec<Container> =
        (0..HOSTILE.len()).map(|n| container(HOSTILE[n], 30 + n as u64, Role::App)).collect();
    let long = format!("{}\u{202e}", "漢\x1b[2J".repeat(700));
    containers[1].name.clone_from(&long);
    for (n, container) in containers.iter_mut().enumerate() {
        container.image = Some(HOSTILE[(n + 3) % HOSTILE.len()].to_owned() + &long);
        container.cgroup = Some(format!("/{}", HOSTILE[(n + 5) % HOSTILE.len()]).into());
        container.id = format!("{}{n}", HOSTILE[(n + 7) % HOSTILE.len()]);
    }
    let mut pod = pod(&long, Origin::Docker, Class::Application, &[Kind::Net], containers);
    pod.namespace = Some(HOSTILE[2].to_owned());
    pod.why = HOSTILE.concat();
    let mut findings = non_pause_owner(&pod);
    findings[0].message.push_str(HOSTILE[0]);
    findings[0].evidence.push(HOSTILE.concat());
    findings[0].remedy.push_str(&long);
    let mut list = list(vec![pod], findings);
    list.node.name = HOSTILE[0].to_owned();
    list.coverage.runtimes[0].detail = HOSTILE.concat();
    list.coverage.gaps = vec![GapInfo { what: HOSTILE[4].to_owned(), why: HOSTILE.concat() }];
    list
}

/// So many pods, of three containers each.
pub fn many(count: u64) -> PodList {
    let pods = (0..count)
        .map(|n| {
            pod(
                &format!("shop-{n:02}"),
                Origin::Docker,
                Class::Pause,
                &[Kind::Net, Kind::Ipc],
                vec![
                    container("pause", 40 + 3 * n, Role::Infra),
                    container("server", 41 + 3 * n, Role::App),
                    container("logger", 42 + 3 * n, Role::App),
                ],
            )
        })
        .collect();
    list(pods, vec![])
}

/// An answer of these pods.
pub fn list(pods: Vec<Pod>, findings: Vec<Finding>) -> PodList {
    PodList {
        api_version: API_VERSION,
        kind: "PodList",
        node: NodeInfo {
            name: "node-1".to_owned(),
            kernel: "6.18.0".to_owned(),
            time: Some("2026-11-23T21:44:13Z".to_owned()),
        },
        coverage: Coverage {
            source: "bpf",
            tier: "none",
            tasks: 312,
            unreadable: 0,
            events_lost: 0,
            partial: false,
            runtimes: vec![RuntimeInfo {
                runtime: Runtime::Docker,
                endpoint: "/run/docker.sock".to_owned(),
                status: RuntimeStatus::Ok,
                detail: "Docker 20.10.24".to_owned(),
            }],
            gaps: vec![],
        },
        pods,
        hidden: Hidden { exited: 2, unmanaged: 5 },
        findings,
    }
}
