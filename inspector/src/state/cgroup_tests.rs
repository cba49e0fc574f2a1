use super::*;

const ID: &str = "82dfb618d84228d1f33d1d8329f6a9f9b43b1453783d1a949e00afa6abb0ec94";
const OUTER: &str = "0624e85f1e1692ffffa7cfb85094759196626841b10937a888703b6cd6ede825";
const UID: &str = "9ee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f";
const STATIC: &str = "f44ea3c515ef23563c722d5bc9f3a4ff";

/// Fills in the ids of a pattern: `I` the container's, `O` the outer one's, `U` the pod's uid, `V` the same with
/// underscores, `S` a static pod's, `P` a Podman pod's.
fn path(pattern: &str) -> String {
    pattern
        .replace("<I>", ID)
        .replace("<O>", OUTER)
        .replace("<U>", UID)
        .replace("<V>", &UID.replace('-', "_"))
        .replace("<S>", STATIC)
        .replace("<P>", &OUTER.replace('0', "f"))
}

#[test]
fn every_known_layout_is_read() {
    use Runtime::{Containerd, CriO, Docker, Podman};
    let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<V>.slice";
    // The path up to the container's own component, what is below it, the runtime, and the pod's id.
    let table: &[(&str, &str, Option<Runtime>, &str)] = &[
        // Kubernetes, systemd driver.
        (&format!("{pod}/cri-containerd-<I>.scope"), "", Some(Containerd), "<U>"),
        (&format!("{pod}/crio-<I>.scope"), "", Some(CriO), "<U>"),
        (&format!("{pod}/crio-<I>.scope"), "/container", Some(CriO), "<U>"),
        (&format!("{pod}/docker-<I>.scope"), "", Some(Docker), "<U>"),
        ("/kubepods.slice/kubepods-pod<V>.slice/cri-containerd-<I>.scope", "", Some(Containerd), "<U>"),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<V>.slice/crio-<I>.scope",
            "/a/b",
            Some(CriO),
            "<U>",
        ),
        // Kubernetes, cgroupfs driver.
        ("/kubepods/burstable/pod<U>/<I>", "", None, "<U>"),
        ("/kubepods/besteffort/pod<U>/<I>", "/init.scope", None, "<U>"),
        ("/kubepods/pod<U>/<I>", "", None, "<U>"),
        ("/kubepods/besteffort/pod<U>/crio-<I>", "", Some(CriO), "<U>"),
        // Any prefix before kubepods.
        ("/my/root/kubepods/burstable/pod<U>/<I>", "", None, "<U>"),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<V>.slice/cri-containerd-<I>.scope",
            "",
            Some(Containerd),
            "<U>",
        ),
        // Static pods.
        ("/kubepods/burstable/pod<S>/<I>", "", None, "<S>"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<S>.slice/crio-<I>.scope",
            "",
            Some(CriO),
            "<S>",
        ),
        // A systemd path given to the cgroupfs driver.
        ("/kubepods-burstable-pod<V>.slice:cri-containerd:<I>", "", Some(Containerd), "<U>"),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod<V>.slice:cri-containerd:<I>",
            "",
            Some(Containerd),
            "<U>",
        ),
        ("/kubepods-pod<S>.slice:crio:<I>", "/x", Some(CriO), "<S>"),
        // Nested nodes (kind), and Docker in a pod.
        ("/system.slice/docker-<O>.scope/kubelet/kubepods/besteffort/pod<U>/<I>", "", None, "<U>"),
        ("/docker/<O>/kubelet/kubepods/pod<U>/<I>", "", None, "<U>"),
        (
            "/docker/<O>/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<V>.slice/cri-containerd-<I>.scope",
            "",
            Some(Containerd),
            "<U>",
        ),
        ("/kubepods/pod<U>/<O>/docker/<I>", "", Some(Docker), ""),
        ("/docker/<O>/docker/<I>", "/init", Some(Docker), ""),
        // Docker.
        ("/docker/<I>", "", Some(Docker), ""),
        ("/docker/<I>", "/init.scope", Some(Docker), ""),
        ("/system.slice/docker-<I>.scope", "", Some(Docker), ""),
        ("/system.slice/docker-<I>.scope", "/init.scope", Some(Docker), ""),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<I>.scope", "", Some(Docker), ""),
        ("/my/slice/<I>", "", None, ""),
        // As a reader in a cgroup namespace of its own sees a neighbour.
        ("/../../docker/<I>", "", Some(Docker), ""),
        // containerd's own clients.
        ("/system.slice/nerdctl-<I>.scope", "", Some(Containerd), ""),
        ("/default/<I>", "", Some(Containerd), ""),
        ("/k8s.io/<I>", "", Some(Containerd), ""),
        // Podman.
        ("/machine.slice/libpod-<I>.scope", "", Some(Podman), ""),
        ("/machine.slice/libpod-<I>.scope", "/container", Some(Podman), ""),
        ("/machine.slice/machine-libpod_pod_<P>.slice/libpod-<I>.scope", "/container", Some(Podman), "<P>"),
        ("/libpod_parent/libpod-<I>", "", Some(Podman), ""),
        ("/libpod_parent/<P>/libpod-<I>", "", Some(Podman), "<P>"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<I>.scope",
            "/container",
            Some(Podman),
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_<P>.slice/libpod-<I>.scope",
            "",
            Some(Podman),
            "<P>",
        ),
        ("/system.slice/web.service/libpod-payload-<I>", "", Some(Podman), ""),
    ];
    for (prefix, below, runtime, pod) in table {
        let (prefix, pod) = (path(prefix), path(pod));
        let found = parse(&format!("{prefix}{below}")).unwrap_or_else(|| panic!("{prefix}{below}"));
        assert_eq!(found.id, ID, "{prefix}");
        assert_eq!(found.runtime, *runtime, "{prefix}");
        assert_eq!(found.prefix, prefix);
        let pod = (!pod.is_empty()).then_some(pod);
        let (kubernetes, podman) = if *runtime == Some(Podman) { (None, pod) } else { (pod, None) };
        assert_eq!((found.pod_uid, found.podman_pod), (kubernetes, podman), "{prefix}");
    }
}

#[test]
fn ctr_may_name_a_container_anything_in_its_own_layout_only() {
    for (path, id, prefix) in [
        ("/default/web", "web", "/default/web"),
        ("/default/my_app-1.2/init.scope", "my_app-1.2", "/default/my_app-1.2"),
        ("/k8s.io/busy", "busy", "/k8s.io/busy"),
    ] {
        let found = parse(path).unwrap();
        assert_eq!((found.id.as_str(), found.prefix.as_str()), (id, prefix));
        assert_eq!(found.runtime, Some(Runtime::Containerd));
    }
    let nested = path("/docker/<O>/default/web");
    assert_eq!(parse(&nested).unwrap().id, "web");
    let long = "a".repeat(77);
    for path in [
        "/default",
        "/default/ssh.service",
        "/default/a..b",
        "/default/-a",
        "/default/a b",
        "/default/\u{1b}[31m",
        "/user.slice/default/web",
        "/other/web",
        &format!("/default/{long}"),
    ] {
        assert_eq!(parse(path), None, "{path:?}");
    }
}

#[test]
fn what_only_looks_like_a_container_is_none() {
    for pattern in [
        "",
        "/",
        "//",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/ssh.service",
        "/user.slice/user-1000.slice/session-4.scope",
        "/kubepods/burstable/pod<U>",
        "/kubepods.slice/kubepods-pod<V>.slice",
        // Monitors.
        "/kubepods.slice/kubepods-pod<V>.slice/crio-conmon-<I>.scope",
        "/machine.slice/libpod-conmon-<I>.scope",
        "/libpod_parent/libpod-conmon-<I>",
        // A pod's own cgroup.
        "/libpod_parent/<P>",
        "/libpod_parent/<P>/conmon",
        "/machine.slice/machine-libpod_pod_<P>.slice",
        // Almost a name.
        "/system.slice/docker-<I>.scope.bak",
        "/system.slice/docker-<I>",
        "/system.slice/docker-<I>.service",
        "/system.slice/xdocker-<I>.scope",
        "/system.slice/docker--<I>.scope",
        "/system.slice/docker-<I>.scope\n",
        "/system.slice/\u{1b}[2Jdocker-<I>.scope",
        "/docker/<I>\n",
        "/docker/ <I>",
        "/docker/<I>0",
        "/docker/x<I>",
        "/docker/<I>:",
        "/x:cri-containerd:<I>",
        "/kubepods.slice:unknown:<I>",
    ] {
        let path = path(pattern);
        assert_eq!(parse(&path), None, "{path:?}");
    }
    for id in [&ID[1..], &ID.to_uppercase(), &ID.replacen('8', "g", 1), &ID.replacen("82", "é", 1)] {
        for pattern in [
            "/docker/@",
            "/system.slice/docker-@.scope",
            "/machine.slice/libpod-@.scope",
            "/a.slice:docker:@",
        ] {
            assert_eq!(parse(&pattern.replace('@', id)), None, "{id} in {pattern}");
        }
    }
}

#[test]
fn a_pod_uid_is_believed_in_full_shape_only() {
    for parent in
        ["pod", "podman", "pod1234", "podZee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f", "kubepods-pod_.slice"]
    {
        let found = parse(&format!("/kubepods/{parent}/{ID}")).unwrap();
        assert_eq!(found.pod_uid, None, "{parent}");
    }
}

#[test]
fn a_monitor_or_a_stranger_inside_a_container_is_the_outer_containers() {
    let conmon = path("/docker/<O>/machine.slice/libpod-conmon-<I>.scope");
    assert_eq!(parse(&conmon).unwrap().id, OUTER);
    let imitation = path("/docker/<O>/docker-<I>.scope/x");
    let ids: Vec<_> = parse_all(&imitation).map(|found| found.id).collect();
    assert_eq!(ids, [ID, OUTER]);
}

#[test]
fn no_string_makes_it_panic_and_every_prefix_is_a_prefix() {
    // Words that occur in real paths, glued at random (xorshift: the same on every run).
    let words = [
        "/",
        "docker",
        "-",
        ".scope",
        ".slice",
        ID,
        OUTER,
        "kubepods",
        "pod",
        UID,
        ":",
        "libpod_parent",
        "libpod",
        "libpod_pod_",
        "default",
        "cri-containerd",
        "crio",
        "\n",
        "\0",
        "é",
        "\u{202e}",
        "..",
        "container",
        "_",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut found = 0;
    for _ in 0..200_000 {
        let mut path = String::new();
        for _ in 0..12 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            path.push_str(words[usize::try_from(seed % words.len() as u64).unwrap()]);
        }
        for name in parse_all(&path) {
            found += 1;
            assert!(path.starts_with(&name.prefix) && name.prefix.contains(&name.id), "{path:?}");
        }
    }
    assert!(found > 1000, "the words are meant to hit: {found}");
}
