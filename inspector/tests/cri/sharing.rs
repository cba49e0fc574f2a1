//! What Kubernetes' modes of sharing come to.

use serde_json::{Value, json};

use crate::check::{agreed, declares};
use crate::support::answer::{expect, list, lists_kind, namespace, strings};
use crate::support::cri::{CONTAINER, NODE, POD, Pod, Wish, World};
use crate::support::cri_messages::{Mount, NamespaceOption};
use crate::support::truth::host_namespace;

trials![
    a_pod_is_its_pauses,
    a_shared_pid_namespace_is_the_pauses_too,
    the_hosts_network_is_the_hosts,
    the_hosts_processes_are_the_hosts,
    a_debugger_is_in_its_targets_namespace_on_purpose,
    two_pods_of_one_name_are_two,
    a_volume_is_shared,
    an_annotation_suppresses_what_is_about_its_pod,
    manifests_are_compared_with_their_pods,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];
const SERVER: [&str; 4] = ["httpd", "-f", "-h", "/usr/share/nginx/html"];

/// Each of these kinds is shared by all of them, and the pause's.
fn pause_owns(pod: &Pod, listed: &Value, kinds: &[&str], ids: &[&str]) {
    let mut ids: Vec<&str> = ids.iter().copied().chain([pod.id.as_str()]).collect();
    ids.sort_unstable();
    for kind in kinds {
        let shared = namespace(listed, kind);
        assert_eq!(strings(shared, "sharedBy"), ids);
        expect(
            shared,
            [
                ("owner/container", json!(pod.id)),
                ("owner/pid", json!(pod.pid())),
                ("owner/alive", json!(true)),
                ("owner/class", json!("pause")),
                ("owner/evidence", json!("declared")),
                ("owner/classEvidence", json!("marked")),
            ],
        );
        assert!(!shared["owner"]["why"].as_str().unwrap().is_empty());
    }
}

fn a_pod_is_its_pauses(world: &'static World) {
    let pod = Pod::run(world, Wish::named("private-pid"));
    let (web, side) = (pod.start("web", "busybox", &SERVER), pod.start("side", "busybox", &IDLE));
    let ours = agreed(world, &[(&pod, &[&web, &side])]);
    let listed = ours.the_pod();
    expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    pause_owns(&pod, listed, &["net", "ipc", "uts"], &[&web.id, &side.id]);
    let pin = &namespace(listed, "net")["holders"];
    assert!(
        pin.as_array().unwrap().iter().any(|holder| holder["type"] == "bind-mount"),
        "containerd pins the network: {pin:#}"
    );
    // Each has a PID namespace of its own, and each is listed: three of one kind.
    let of_pid = list(listed, "namespaces").iter().filter(|namespace| namespace["kind"] == "pid");
    assert_eq!(of_pid.count(), 3, "{listed:#}");
    let private =
        [("net", "private"), ("ipc", "private"), ("uts", "private"), ("pid", "private"), ("mnt", "private")];
    declares(&ours, &pod.id, private);
    declares(&ours, &pod.id, [("user", "host"), ("time", "host")]);
    for container in [&web, &side] {
        declares(
            &ours,
            &container.id,
            [
                ("net", "pod"),
                ("ipc", "pod"),
                ("uts", "pod"),
                ("pid", "private"),
                ("mnt", "private"),
                ("user", "host"),
            ],
        );
        expect(ours.container(&container.id), [("role", json!("app"))]);
    }
    assert_eq!(ours.findings, Vec::<Value>::new());
}

fn a_shared_pid_namespace_is_the_pauses_too(world: &'static World) {
    let pod = Pod::run(world, Wish { pid: POD, ..Wish::named("shared-pid") });
    let (web, side) = (pod.start("web", "busybox", &SERVER), pod.start("side", "busybox", &IDLE));
    let ours = agreed(world, &[(&pod, &[&web, &side])]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    pause_owns(&pod, ours.the_pod(), &["net", "ipc", "uts", "pid"], &[&web.id, &side.id]);
    declares(&ours, &pod.id, [("pid", "private")]);
    declares(&ours, &web.id, [("pid", "pod"), ("net", "pod")]);
    assert_eq!(ours.findings_of("PNS001"), []);
}

fn the_hosts_network_is_the_hosts(world: &'static World) {
    // Static, as most such pods are: its uid is the hash of its configuration.
    let uid = "b1946ac92492d2347c6235b4d2611184".to_owned();
    let pod = Pod::run(world, Wish { network: NODE, uid, ..Wish::named("host-network") });
    let web = pod.start("web", "busybox", &IDLE);
    let ours = agreed(world, &[(&pod, &[&web])]);
    let listed = ours.the_pod();
    // IPC is the pod's own: what is not the host's is the pause's.
    expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    pause_owns(&pod, listed, &["ipc"], &[&web.id]);
    for kind in ["net", "uts"] {
        assert!(!lists_kind(listed, kind), "the host's {kind} is no namespace of a pod: {listed:#}");
        for id in [&pod.id, &web.id] {
            assert_eq!(ours.container(id)["namespaces"][kind], host_namespace(kind));
            // The container's specification joins its pause's by a path, and so the host's.
            declares(&ours, id, [(kind, "host")]);
        }
    }
    declares(&ours, &web.id, [("ipc", "pod"), ("pid", "private")]);
}

fn the_hosts_processes_are_the_hosts(world: &'static World) {
    let pod = Pod::run(world, Wish { pid: NODE, ..Wish::named("host-pid") });
    let web = pod.start("web", "busybox", &IDLE);
    let ours = agreed(world, &[(&pod, &[&web])]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    pause_owns(&pod, ours.the_pod(), &["net", "ipc", "uts"], &[&web.id]);
    for id in [&pod.id, &web.id] {
        assert_eq!(ours.container(id)["namespaces"]["pid"], host_namespace("pid"));
        declares(&ours, id, [("pid", "host")]);
    }
    declares(&ours, &web.id, [("net", "pod")]);
    assert!(!lists_kind(ours.the_pod(), "pid"));

    // All that there is to share is the host's.
    let pod = Pod::run(world, Wish { pid: NODE, network: NODE, ipc: NODE, ..Wish::named("host-all") });
    let web = pod.start("web", "busybox", &IDLE);
    let ours = agreed(world, &[(&pod, &[&web])]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("host"))]);
    for id in [&pod.id, &web.id] {
        declares(&ours, id, [("pid", "host"), ("net", "host"), ("ipc", "host"), ("uts", "host")]);
    }
}

fn a_debugger_is_in_its_targets_namespace_on_purpose(world: &'static World) {
    let pod = Pod::run(world, Wish::named("debugged"));
    let (web, other) = (pod.start("web", "busybox", &SERVER), pod.start("other", "busybox", &IDLE));
    let debugger = pod.debug(&web, &IDLE);
    let ours = agreed(world, &[(&pod, &[&web, &other, &debugger])]);
    let listed = ours.the_pod();
    expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    pause_owns(&pod, listed, &["net", "ipc", "uts"], &[&web.id, &other.id, &debugger.id]);
    declares(&ours, &debugger.id, [("pid", "target"), ("net", "pod")]);
    declares(&ours, &web.id, [("pid", "private")]);
    expect(ours.container(&debugger.id), [("role", json!("ephemeral"))]);
    let shared = list(listed, "namespaces").iter().find(|namespace| {
        namespace["kind"] == "pid" && namespace["inode"] == ours.container(&web.id)["namespaces"]["pid"]
    });
    let mut both = [web.id.as_str(), debugger.id.as_str()];
    both.sort_unstable();
    assert_eq!(strings(shared.unwrap(), "sharedBy"), both);
    expect(shared.unwrap(), [("owner/container", json!(web.id)), ("owner/class", json!("application"))]);
    assert_eq!(ours.findings_of("PNS001"), [], "{:#?}", ours.findings);
}

fn two_pods_of_one_name_are_two(world: &'static World) {
    let one = Pod::run(world, Wish::named("twin"));
    let other = Pod::run(world, Wish { namespace: "elsewhere".to_owned(), ..Wish::named("twin") });
    let (a, b) = (one.start("web", "busybox", &IDLE), other.start("web", "busybox", &IDLE));
    let ours = agreed(world, &[(&one, &[&a]), (&other, &[&b])]);
    assert_eq!(ours.pods.len(), 2);
    for (pod, container) in [(&one, &a), (&other, &b)] {
        let listed = ours.pod_of(&container.id);
        expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
        pause_owns(pod, listed, &["net", "ipc", "uts"], &[&container.id]);
    }
    assert_ne!(one.wish.uid, other.wish.uid);
}

fn a_volume_is_shared(world: &'static World) {
    let pod = Pod::run(world, Wish::named("volume"));
    // As the kubelet lays them out.
    let kubelet = world.scratch("kubelet").join("pods").join(&pod.wish.uid);
    let shared = kubelet.join("volumes/kubernetes.io~empty-dir/data");
    let token = kubelet.join("volumes/kubernetes.io~projected/kube-api-access-x");
    let log = kubelet.join("containers/web/0badcafe");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::create_dir_all(&token).unwrap();
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    for file in [kubelet.join("etc-hosts"), log.clone()] {
        std::fs::write(file, "").unwrap();
    }
    let mount = |host: &std::path::Path, target: &str, readonly| Mount {
        container_path: target.to_owned(),
        host_path: host.display().to_string(),
        readonly,
    };
    let options = || NamespaceOption { pid: CONTAINER, ..NamespaceOption::default() };
    let web_mounts = vec![
        mount(&shared, "/data", false),
        mount(&token, "/var/run/secrets/kubernetes.io/serviceaccount", true),
        mount(&kubelet.join("etc-hosts"), "/etc/hosts", false),
        mount(&log, "/dev/termination-log", false),
    ];
    let web = pod.start_as("web", 0, "busybox", &IDLE, options(), web_mounts);
    let side = pod.start_as("side", 0, "busybox", &IDLE, options(), vec![mount(&shared, "/in", true)]);
    web.exec(&["sh", "-c", "echo hello > /data/word"]);
    side.exec(&["grep", "hello", "/in/word"]);
    let ours = agreed(world, &[(&pod, &[&web, &side])]);
    let sources: Vec<_> =
        list(ours.the_pod(), "volumes").iter().map(|volume| volume["source"].clone()).collect();
    let volume = list(ours.the_pod(), "volumes")
        .iter()
        .find(|volume| volume["source"] == shared.display().to_string())
        .unwrap_or_else(|| panic!("{:#}", ours.the_pod()));
    let mut mounts = list(volume, "mounts").to_vec();
    mounts.sort_by_key(|mount| mount["target"].to_string());
    assert_eq!(
        mounts,
        [
            json!({ "container": web.id, "target": "/data", "readOnly": false }),
            json!({ "container": side.id, "target": "/in", "readOnly": true }),
        ]
    );
    let wanted = [shared, token].map(|path| json!(path.display().to_string()));
    assert!(sources.iter().all(|source| wanted.contains(source)), "others are no volumes: {sources:?}");
}

/// By CRI and by what lies on disk.
fn an_annotation_suppresses_what_is_about_its_pod(world: &'static World) {
    let ignore = "PNS005".to_owned();
    let quiet = Pod::run(world, Wish { network: NODE, ignore, ..Wish::named("quiet") });
    let loud = Pod::run(world, Wish { network: NODE, ..Wish::named("loud") });
    let apps = [&quiet, &loud].map(|pod| pod.start("app", "busybox", &IDLE));
    for place in [world.with_socket(), world.with_root()] {
        let audit = ["audit", "-o", "json", "--rule=PNS005", "--fail-on=critical", &place];
        let run = crate::support::run::inspector(audit).succeeded();
        let json: Value = serde_json::from_str(run.text()).unwrap();
        let statuses = apps.each_ref().map(|app| {
            let mut found = list(&json, "findings").iter();
            found.find(|it| it["subject"]["container"] == app.id.as_str()).unwrap()["status"].clone()
        });
        assert_eq!(statuses, ["suppressed", "open"], "{place}");
    }
}

fn manifests_are_compared_with_their_pods(world: &'static World) {
    let pod = Pod::run(world, Wish::named("declared"));
    let app = pod.start("app", "busybox", &IDLE);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let audit = |place: &str| {
        let manifests = folder.path().to_str().unwrap();
        let audit = ["audit", "-o", "json", "--rule=PNS008", "--manifests", manifests, place];
        crate::support::run::inspector(audit)
    };
    for place in [world.with_socket(), world.with_root()] {
        for (host_network, wanted) in [(true, 1), (false, 0)] {
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: declared, namespace: {}}}\nspec:\n  hostNetwork: {host_network}\n",
                pod.wish.namespace
            );
            std::fs::write(&file, text).unwrap();
            let run = audit(&place).succeeded();
            let json: Value = serde_json::from_str(run.text()).unwrap();
            let found = list(&json, "findings").iter();
            let ours: Vec<_> = found.filter(|it| it["subject"]["container"] == app.id.as_str()).collect();
            assert_eq!(ours.len(), wanted, "{place}: {json:#}");
            for finding in ours {
                expect(finding, [("subject/namespaceKind", json!("net"))]);
                let quote =
                    format!("Pod {}/declared (all.yaml) has spec.hostNetwork: true", pod.wish.namespace);
                assert_eq!(finding["evidence"][0], quote);
            }
        }
    }
}
