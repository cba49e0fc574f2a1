//! Containers in the host's namespaces, and containers in none but their own.

use serde_json::{Value, json};

use crate::support::answer::{expect, list, lists_kind};
use crate::support::check::agreed;
use crate::support::truth::host_namespace;
use crate::support::world::{Scenario, World};

trials![the_hosts_namespaces_make_no_pod, isolated_containers_are_pods_of_one, host_beside_shared];

fn the_hosts_namespaces_make_no_pod(world: &'static World) {
    let s = Scenario::new(world, "8a");
    let net = s.run("net", &["--net=host"], "busybox", &["sleep", "infinity"]);
    let pid = s.run("pid", &["--pid=host"], "busybox", &["sleep", "infinity"]);
    let every = ["--net=host", "--pid=host", "--ipc=host", "--uts=host"];
    let all = s.run("all", &every, "busybox", &["sleep", "infinity"]);
    let ours = agreed(world, &[&net, &pid, &all]);
    assert_eq!(ours.pods.len(), 3, "sharing the host's makes no pod: {:#?}", ours.pods);
    for (container, kinds) in [(&net, &["net"][..]), (&pid, &["pid"]), (&all, &["ipc", "net", "pid", "uts"])]
    {
        let pod = ours.pod_of(&container.id);
        expect(pod, [("verdict", json!("host")), ("id", json!(container.id))]);
        let row = ours.container(&container.id);
        for kind in kinds {
            assert_eq!(row["declared"][*kind], "host");
            assert_eq!(row["namespaces"][*kind], host_namespace(kind));
            assert!(!lists_kind(pod, kind), "the host's {kind} is no namespace of a pod: {pod:#}");
        }
    }
    assert_eq!(ours.findings_of("PNS001"), []);
}

fn isolated_containers_are_pods_of_one(world: &'static World) {
    let s = Scenario::new(world, "8b");
    let one = s.run("one", &[], "nginx", &[]);
    let other = s.run("other", &["--net=none"], "busybox", &["httpd", "-f"]);
    let ours = agreed(world, &[&one, &other]);
    assert_eq!(ours.pods.len(), 2);
    for container in [&one, &other] {
        let pod = ours.pod_of(&container.id);
        expect(
            pod,
            [("verdict", json!("isolated")), ("id", json!(container.id)), ("name", json!(container.name))],
        );
        let kinds: Vec<_> = list(pod, "namespaces").iter().map(|namespace| &namespace["kind"]).collect();
        assert_eq!(kinds, ["pid"], "what is not shared is not listed");
    }
    assert_eq!(ours.findings, Vec::<Value>::new());
}

fn host_beside_shared(world: &'static World) {
    let s = Scenario::new(world, "8c");
    // In the host's network, and yet a pod: by IPC, which one of them owns.
    let owner = s.run("owner", &["--net=host", "--ipc=shareable"], "busybox", &["crond", "-f"]);
    let joiner = s.run("joiner", &["--net=host", &owner.join("ipc")], "busybox", &["sleep", "infinity"]);
    let ours = agreed(world, &[&owner, &joiner]);
    expect(ours.the_pod(), [("verdict", json!("application-owned")), ("id", json!(owner.id))]);
    assert!(!lists_kind(ours.the_pod(), "net"));
    assert_eq!(ours.findings_of("PNS001"), [("ipc", owner.id.as_str())]);
}
