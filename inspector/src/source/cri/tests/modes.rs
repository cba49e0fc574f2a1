//! From sandboxes and containers to what they declare: containerd's ways and CRI-O's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::id;
use crate::observation::{Declaration, DeclaredContainer, DeclaredPod, Infra, Kind, Runtime, RuntimeState};
use crate::source::cri::model::{Container, CriMount, CriNode, NamespaceMode, NamespaceOptions, Sandbox};
use crate::source::cri::{facts, is_spoofed, sandbox_mark, sandbox_of};
use crate::source::oci::spec::Spec;

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

/// A specification with these entries: (type, path).
fn namespaces(entries: &[(&str, &str)]) -> Spec {
    let entry = |(kind, path): &(&str, &str)| match *path {
        "" => json!({ "type": kind }),
        path => json!({ "type": kind, "path": path }),
    };
    spec(json!({ "linux": { "namespaces": entries.iter().map(entry).collect::<Vec<_>>() } }))
}

fn options(network: NamespaceMode, pid: NamespaceMode, ipc: NamespaceMode) -> NamespaceOptions {
    NamespaceOptions { network, pid, ipc, ..NamespaceOptions::default() }
}

fn sandbox(pid: u32, modes: Option<NamespaceOptions>, spec: Option<Spec>) -> Sandbox {
    Sandbox {
        id: id('a'),
        name: "web".to_owned(),
        namespace: "default".to_owned(),
        uid: "0f2".to_owned(),
        ready: Some(pid != 0),
        options: modes,
        pid,
        spec,
        mark: "annotation x".to_owned(),
        ..Sandbox::default()
    }
}

fn container(digit: char, pid: u32, modes: Option<NamespaceOptions>, spec: Option<Spec>) -> Container {
    Container {
        id: id(digit),
        sandbox: id('a'),
        name: "nginx".to_owned(),
        state: if pid == 0 { RuntimeState::Exited } else { RuntimeState::Running },
        pid,
        options: modes,
        spec,
        ..Container::default()
    }
}

/// What they declare, with the inodes that paths lead to.
fn declared(
    sandbox: Sandbox,
    containers: Vec<Container>,
    inodes: &[(&str, u32)],
) -> (BTreeMap<String, DeclaredContainer>, Vec<DeclaredPod>) {
    let node = CriNode { sandboxes: vec![sandbox], containers };
    let inode = |path: &str| inodes.iter().find(|(of, _)| *of == path).map(|(_, inode)| *inode);
    let (containers, pods) = facts(&node, Runtime::Containerd, "test", &inode);
    (containers.into_iter().map(|container| (container.id.clone(), container)).collect(), pods)
}

fn modes(container: &DeclaredContainer) -> String {
    let mode = |(kind, declaration): (&Kind, &Declaration)| {
        let mode = match declaration {
            Declaration::Private => "private".to_owned(),
            Declaration::Shareable => "shareable".to_owned(),
            Declaration::Host => "host".to_owned(),
            Declaration::Pod => "pod".to_owned(),
            Declaration::Target(id) => format!("target:{}", &id[..1]),
            Declaration::Container(id) => format!("container:{}", &id[..1]),
            Declaration::Path { path, inode } => format!("{path}={}", inode.unwrap_or_default()),
        };
        format!("{kind}={mode}")
    };
    container.declared.iter().map(mode).collect::<Vec<_>>().join(" ")
}

const CNI: &str = "/var/run/netns/cni-1";

/// containerd's sandbox: all made by runc, but for the network, which it is handed.
fn pause() -> Spec {
    namespaces(&[("pid", ""), ("ipc", ""), ("uts", ""), ("mount", ""), ("network", CNI)])
}

/// What containerd writes for a container of the sandbox with this process.
fn joiner(pause: u32, pid: &str) -> Spec {
    let of = |kind: &str| format!("/proc/{pause}/ns/{kind}");
    namespaces(&[
        ("pid", pid),
        ("ipc", &of("ipc")),
        ("uts", &of("uts")),
        ("mount", ""),
        ("network", &of("net")),
    ])
}

#[test]
fn containerds_modes() {
    use NamespaceMode::{Container as Own, Node, Pod, Target};
    let host_pid = namespaces(&[("ipc", ""), ("uts", ""), ("mount", ""), ("network", CNI)]);
    let host_net = namespaces(&[("pid", ""), ("ipc", ""), ("mount", "")]);
    let target = NamespaceOptions { target_id: id('c'), ..options(Pod, Target, Pod) };
    let in_user = |base: Spec, path: &str| {
        let mut base = base;
        base.linux
            .as_mut()
            .unwrap()
            .namespaces
            .push(namespaces(&[("user", path)]).linux.unwrap().namespaces.remove(0));
        base
    };
    let userns = NamespaceOptions { user: Some(Pod), ..options(Pod, Own, Pod) };
    struct Case(&'static str, NamespaceOptions, Spec, Spec, &'static str, &'static str);
    let cases = [
        Case(
            "private PID",
            options(Pod, Own, Pod),
            pause(),
            joiner(42, ""),
            "mnt=private uts=private ipc=private pid=private net=private user=host cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=private net=pod user=host cgroup=host time=host",
        ),
        Case(
            "shared PID",
            options(Pod, Pod, Pod),
            pause(),
            joiner(42, "/proc/42/ns/pid"),
            "mnt=private uts=private ipc=private pid=private net=private user=host cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=pod net=pod user=host cgroup=host time=host",
        ),
        Case(
            "host network: the paths lead to the host's",
            options(Node, Own, Pod),
            host_net,
            joiner(42, ""),
            "mnt=private uts=host ipc=private pid=private net=host user=host cgroup=host time=host",
            "mnt=private uts=host ipc=pod pid=private net=host user=host cgroup=host time=host",
        ),
        Case(
            "host PID, by a path",
            options(Pod, Node, Pod),
            host_pid,
            joiner(42, "/proc/42/ns/pid"),
            "mnt=private uts=private ipc=private pid=host net=private user=host cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=host net=pod user=host cgroup=host time=host",
        ),
        Case(
            "TARGET",
            target,
            pause(),
            joiner(42, "/proc/77/ns/pid"),
            "mnt=private uts=private ipc=private pid=private net=private user=host cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=target:c net=pod user=host cgroup=host time=host",
        ),
        Case(
            "a user namespace that runc makes",
            userns.clone(),
            in_user(pause(), ""),
            in_user(joiner(42, ""), "/proc/42/ns/user"),
            "mnt=private uts=private ipc=private pid=private net=private user=private cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=private net=pod user=pod cgroup=host time=host",
        ),
        Case(
            "a user namespace that containerd makes",
            userns,
            in_user(pause(), "/run/userns/1"),
            in_user(joiner(42, ""), "/run/userns/1"),
            "mnt=private uts=private ipc=private pid=private net=private user=private cgroup=host time=host",
            "mnt=private uts=pod ipc=pod pid=private net=pod user=pod cgroup=host time=host",
        ),
    ];
    for Case(what, mode, of_sandbox, of_container, sandboxes, containers) in cases {
        let sandbox_modes = NamespaceOptions {
            pid: if mode.pid == Target { Own } else { mode.pid },
            target_id: String::new(),
            ..mode.clone()
        };
        // With the modes and without, as its files tell it; TARGET is then in the inodes.
        for told in [true, false] {
            let (rows, _) = declared(
                sandbox(42, told.then(|| sandbox_modes.clone()), Some(of_sandbox.clone())),
                vec![
                    container('b', 50, told.then(|| mode.clone()), Some(of_container.clone())),
                    container('c', 77, told.then(|| options(Pod, Own, Pod)), Some(joiner(42, ""))),
                ],
                &[("/proc/42/ns/pid", 1), ("/proc/77/ns/pid", 2), ("/proc/42/ns/net", 3), (CNI, 3)],
            );
            assert_eq!(modes(&rows[&id('a')]), sandboxes, "{what}: the sandbox, modes told: {told}");
            assert_eq!(modes(&rows[&id('b')]), containers, "{what}: the container, modes told: {told}");
        }
    }
}

#[test]
fn a_dead_pause_is_still_who_was_meant() {
    let told = || Some(options(NamespaceMode::Pod, NamespaceMode::Pod, NamespaceMode::Pod));
    let wanted = "mnt=private uts=pod ipc=pod pid=pod net=pod user=host cgroup=host time=host";
    for modes_told in [true, false] {
        let of = |modes: Option<NamespaceOptions>| modes.filter(|_| modes_told);
        let dead = || sandbox(0, of(told()), Some(pause()));
        let joins = || container('b', 50, of(told()), Some(joiner(42, "/proc/42/ns/pid")));
        // The number leads nowhere, or to a stranger by now.
        let recycled: Vec<_> =
            ["ipc", "uts", "net", "pid"].iter().map(|kind| (format!("/proc/42/ns/{kind}"), 9)).collect();
        let recycled: Vec<_> =
            recycled.iter().map(|(path, inode)| (path.as_str(), *inode)).chain([(CNI, 3)]).collect();
        for inodes in [&[(CNI, 3)][..], &recycled] {
            let (rows, pods) = declared(dead(), vec![joins()], inodes);
            assert_eq!(modes(&rows[&id('b')]), wanted, "{inodes:?}");
            let gone = &rows[&id('a')];
            assert_eq!((gone.state, gone.pid), (RuntimeState::Exited, 0));
            assert_eq!((pods[0].ready, &pods[0].infra), (Some(false), &Infra::Container(id('a'))));
        }
    }
    // A number that another known container has by now, and nobody says what was meant: whoever that is.
    let (rows, _) = declared(
        sandbox(0, None, Some(pause())),
        vec![container('b', 50, None, Some(joiner(42, ""))), container('c', 42, None, Some(joiner(41, "")))],
        &[("/proc/42/ns/ipc", 9)],
    );
    assert_eq!(rows[&id('b')].declared[&Kind::Ipc], path("/proc/42/ns/ipc", Some(9)));
}

fn path(path: &str, inode: Option<u32>) -> Declaration {
    Declaration::Path { path: path.to_owned(), inode }
}

#[test]
fn a_path_to_another_pod_stays_a_path() {
    let stray = namespaces(&[
        ("mount", ""),
        ("network", "/proc/99/ns/net"),
        ("ipc", "/run/elsewhere"),
        ("uts", "/proc/42/ns/uts"),
    ]);
    let told = options(NamespaceMode::Pod, NamespaceMode::Container, NamespaceMode::Pod);
    let (rows, _) = declared(
        sandbox(42, Some(told.clone()), Some(pause())),
        vec![container('b', 50, Some(told), Some(stray))],
        &[("/proc/99/ns/net", 8), (CNI, 3), ("/run/elsewhere", 5), ("/proc/42/ns/ipc", 4)],
    );
    let row = &rows[&id('b')];
    assert_eq!(row.declared[&Kind::Net], path("/proc/99/ns/net", Some(8)));
    assert_eq!(row.declared[&Kind::Ipc], path("/run/elsewhere", Some(5)));
    assert_eq!(row.declared[&Kind::Uts], Declaration::Pod);
    // No entry is the host's, whatever was asked for.
    assert_eq!(row.declared[&Kind::Pid], Declaration::Host);
}

/// CRI-O's sandbox without a process: its pins stand in its specification and in the containers'.
fn crio(network: NamespaceMode, told: bool) -> (Sandbox, Spec) {
    let pins = [("network", "/var/run/netns/1"), ("ipc", "/var/run/ipcns/2"), ("uts", "/var/run/utsns/3")];
    let mut spec = namespaces(&[&[("pid", ""), ("mount", "")], &pins[..]].concat());
    spec.annotations.insert("spoofed.crio.io".to_owned(), "true".to_owned());
    let modes = options(network, NamespaceMode::Container, NamespaceMode::Pod);
    let sandbox = Sandbox {
        processless: is_spoofed(&spec),
        ready: Some(true),
        ..sandbox(0, told.then_some(modes), Some(spec))
    };
    (sandbox, namespaces(&[&[("pid", ""), ("mount", "")], &pins[..]].concat()))
}

#[test]
fn crios_sandbox_without_a_process_is_its_pins() {
    let inodes = [("/var/run/netns/1", 11), ("/var/run/ipcns/2", 12)];
    let (sandbox, joins) = crio(NamespaceMode::Pod, true);
    let (rows, pods) = declared(sandbox, vec![container('b', 50, None, Some(joins))], &inodes);
    assert_eq!(rows.len(), 1, "a sandbox without a process is no container");
    assert_eq!(
        modes(&rows[&id('b')]),
        "mnt=private uts=pod ipc=pod pid=private net=pod user=host cgroup=host time=host"
    );
    let [pod] = pods.as_slice() else { panic!("{pods:?}") };
    assert_eq!((&pod.infra, pod.ready), (&Infra::Processless, Some(true)));
    let pinned: Vec<_> = pod.namespaces.iter().map(|pin| (pin.kind, pin.path.as_str(), pin.inode)).collect();
    assert_eq!(
        pinned,
        [
            (Kind::Uts, "/var/run/utsns/3", None),
            (Kind::Ipc, "/var/run/ipcns/2", Some(12)),
            (Kind::Net, "/var/run/netns/1", Some(11)),
        ]
    );
}

#[test]
fn crios_pin_of_the_hosts_network_is_the_hosts() {
    let (sandbox, joins) = crio(NamespaceMode::Node, true);
    let (rows, pods) = declared(sandbox, vec![container('b', 50, None, Some(joins))], &[]);
    assert_eq!(rows[&id('b')].declared[&Kind::Net], Declaration::Host);
    // It keeps a UTS namespace of its own there, other than containerd.
    assert_eq!(rows[&id('b')].declared[&Kind::Uts], Declaration::Pod);
    assert!(pods[0].namespaces.iter().all(|pin| pin.kind != Kind::Net), "{:?}", pods[0].namespaces);
}

#[test]
fn crios_debugger_is_told_by_what_its_pin_leads_to() {
    let (sandbox, joins) = crio(NamespaceMode::Pod, true);
    let debugger =
        namespaces(&[("pid", "/var/run/pidns/pid123"), ("mount", ""), ("network", "/var/run/netns/1")]);
    let containers = || {
        vec![container('b', 50, None, Some(joins.clone())), container('c', 60, None, Some(debugger.clone()))]
    };
    let (rows, _) = declared(
        sandbox.clone(),
        containers(),
        &[("/var/run/pidns/pid123", 7), ("/proc/50/ns/pid", 7), ("/proc/60/ns/pid", 7)],
    );
    assert_eq!(rows[&id('c')].declared[&Kind::Pid], Declaration::Target(id('b')));
    assert_eq!(rows[&id('c')].declared[&Kind::Net], Declaration::Pod);
    // Where nothing is to be read it is a path to nobody known.
    let (rows, _) = declared(sandbox, containers(), &[]);
    assert_eq!(rows[&id('c')].declared[&Kind::Pid], path("/var/run/pidns/pid123", None));
}

#[test]
fn modes_alone_say_what_they_can() {
    use NamespaceMode::{Container as Own, Node, Pod, Target};
    let target = NamespaceOptions { target_id: id('c'), ..options(Pod, Target, Pod) };
    let cases = [
        (
            options(Pod, Own, Pod),
            "uts=private ipc=private pid=private net=private user=host",
            "uts= ipc=pod pid=private net=pod user=host",
        ),
        (
            options(Node, Node, Node),
            "uts=host ipc=host pid=host net=host user=host",
            "uts= ipc=host pid=host net=host user=host",
        ),
        (
            target,
            "uts=private ipc=private pid=private net=private user=host",
            "uts= ipc=pod pid=target:c net=pod user=host",
        ),
    ];
    for (told, of_sandbox, of_container) in cases {
        let (rows, _) =
            declared(sandbox(42, Some(told.clone()), None), vec![container('b', 50, Some(told), None)], &[]);
        assert_eq!(modes(&rows[&id('a')]), of_sandbox);
        assert_eq!(modes(&rows[&id('b')]), of_container.trim_start_matches("uts= "));
    }
    let (rows, _) = declared(sandbox(42, None, None), vec![container('b', 50, None, None)], &[]);
    assert_eq!((modes(&rows[&id('a')]), modes(&rows[&id('b')])), (String::new(), String::new()));
    // A container whose sandbox nobody knows.
    let stray = Container { sandbox: id('f'), ..container('b', 50, None, Some(joiner(42, ""))) };
    let (rows, _) = declared(sandbox(42, None, Some(pause())), vec![stray], &[]);
    assert_eq!(rows[&id('b')].declared[&Kind::Ipc], path("/proc/42/ns/ipc", None));
}

#[test]
fn a_pod_is_named_as_its_runtime_names_it() {
    let (rows, pods) = declared(
        Sandbox { opaque: Some("in a VM".to_owned()), infra_name: None, ..sandbox(42, None, Some(pause())) },
        vec![container('b', 50, None, Some(joiner(42, "")))],
        &[],
    );
    let (infra, app) = (&rows[&id('a')], &rows[&id('b')]);
    assert_eq!((infra.name.as_deref(), infra.infra_mark.as_deref()), (Some("POD"), Some("annotation x")));
    assert_eq!((app.name.as_deref(), app.infra_mark.as_deref(), app.role), (Some("nginx"), None, None));
    assert_eq!((infra.pod.as_ref(), app.pod.as_ref()), (Some(&id('a')), Some(&id('a'))));
    assert_eq!((infra.opaque.as_deref(), app.opaque.as_deref()), (Some("in a VM"), Some("in a VM")));
    let pod = &pods[0];
    assert_eq!((pod.id.as_str(), pod.name.as_str()), (id('a').as_str(), "web"));
    assert_eq!((pod.namespace.as_deref(), pod.uid.as_deref()), (Some("default"), Some("0f2")));
    assert_eq!((pod.runtime, pod.namespaces.as_slice()), (Some(Runtime::Containerd), &[][..]));
}

#[test]
fn annotations_tell_a_sandbox() {
    let annotated = |pairs: &[(&str, &str)]| {
        let annotations: BTreeMap<_, _> = pairs.iter().copied().collect();
        spec(json!({ "annotations": annotations }))
    };
    let sandbox =
        annotated(&[("io.kubernetes.cri.container-type", "sandbox"), ("io.kubernetes.cri.sandbox-id", "x")]);
    assert_eq!(
        sandbox_mark(&sandbox).as_deref(),
        Some("annotation io.kubernetes.cri.container-type=sandbox")
    );
    assert_eq!(sandbox_of(&sandbox).as_deref(), Some("x"));
    let crio = annotated(&[
        ("io.kubernetes.cri-o.ContainerType", "sandbox"),
        ("io.kubernetes.cri-o.Spoofed", "true"),
    ]);
    assert!(sandbox_mark(&crio).is_some() && is_spoofed(&crio));
    // Docker's word for it is another, and no Kubernetes container is one.
    for value in ["container", "podsandbox", ""] {
        assert_eq!(sandbox_mark(&annotated(&[("io.kubernetes.cri.container-type", value)])), None);
    }
    assert!(!is_spoofed(&annotated(&[("spoofed.crio.io", "false")])));
}

#[test]
fn volumes_are_what_a_pod_asked_for() {
    let sandboxes = format!("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{}", id('a'));
    let shm = format!("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{}/shm", id('a'));
    let userdata = format!("/run/containers/storage/overlay-containers/{}/userdata", id('a'));
    let own = format!("/run/containers/storage/overlay-containers/{}/userdata", id('b'));
    let image_volume =
        format!("/var/lib/containerd/io.containerd.grpc.v1.cri/containers/{}/volumes/1", id('b'));
    let pod = "/var/lib/kubelet/pods/0f2";
    // The source, the target, and whether it is a volume of the pod's.
    let cases = [
        (format!("{pod}/volumes/kubernetes.io~empty-dir/data"), "/data", true),
        (
            format!("{pod}/volumes/kubernetes.io~projected/kube-api-access-x"),
            "/var/run/secrets/kubernetes.io/serviceaccount",
            true,
        ),
        (format!("{pod}/volume-subpaths/conf/web/0"), "/etc/app.conf", true),
        ("/srv/data".to_owned(), "/srv", true),
        // A pod's own file in the place of the runtime's.
        (format!("{pod}/volumes/kubernetes.io~configmap/hosts"), "/etc/hosts", true),
        ("/etc/resolv.conf".to_owned(), "/etc/resolv.conf", true),
        ("/srv/etc-hosts".to_owned(), "/etc/hosts", true),
        (format!("{pod}/etc-hosts"), "/etc/hosts", false),
        (format!("{pod}/containers/web/0badcafe"), "/dev/termination-log", false),
        (format!("{pod}/containers/web/0badcafe"), "/tmp/last-words", false),
        (format!("{sandboxes}/hostname"), "/etc/hostname", false),
        (format!("{sandboxes}/resolv.conf"), "/etc/resolv.conf", false),
        (shm, "/dev/shm", false),
        (format!("{userdata}/resolv.conf"), "/etc/resolv.conf", false),
        (format!("{own}/.containerenv"), "/run/.containerenv", false),
        (format!("{own}/run/secrets"), "/run/secrets", false),
        (image_volume, "/var/lib/data", false),
    ];
    let bind = |(source, target, _): &(String, &str, bool)| json!({ "source": source, "destination": target, "type": "bind", "options": ["rbind", "ro"] });
    let of_spec = spec(json!({ "mounts": cases.iter().map(bind).chain([
        json!({ "source": "proc", "destination": "/proc", "type": "proc" }),
    ]).collect::<Vec<_>>() }));
    let asked: Vec<CriMount> = cases
        .iter()
        .map(|(source, target, _)| CriMount {
            host_path: source.clone(),
            container_path: (*target).to_owned(),
            read_only: true,
        })
        .collect();
    let mut wanted: Vec<_> = cases
        .iter()
        .filter(|(.., is_volume)| *is_volume)
        .map(|(source, target, _)| ((*target).to_owned(), source.clone()))
        .collect();
    wanted.sort();
    for (of_spec, asked) in [(Some(of_spec), None), (None, Some(asked))] {
        let row = Container { mounts: asked, ..container('b', 50, None, of_spec) };
        let (rows, _) = declared(sandbox(42, None, None), vec![row], &[]);
        let found: Vec<_> = rows[&id('b')]
            .mounts
            .iter()
            .map(|mount| {
                assert!(mount.read_only);
                (mount.target.clone(), mount.source.clone())
            })
            .collect();
        assert_eq!(found, wanted);
    }
    // Where a link led is in the specification only.
    let linked = spec(json!({ "mounts": [
        { "source": "/data/real", "destination": "/data", "type": "bind", "options": ["rbind", "rw"] },
    ] }));
    let asked = vec![CriMount {
        host_path: "/link".to_owned(),
        container_path: "/data".to_owned(),
        read_only: false,
    }];
    let row = Container { mounts: Some(asked), ..container('b', 50, None, Some(linked)) };
    let (rows, _) = declared(sandbox(42, None, None), vec![row], &[]);
    assert_eq!(rows[&id('b')].mounts[0].source, "/data/real");
}
