//! What is left of a pod when something in it dies.

use serde_json::json;

use crate::check::{agreed, agreed_with, declares, pods};
use crate::support::answer::{containers, expect, list, namespace, strings};
use crate::support::cri::{CONTAINER, POD, Pod, Wish, World};
use crate::support::cri_messages::NamespaceOption;

trials![
    the_pause_dies_and_the_pod_lives_on,
    the_pause_takes_a_shared_pid_namespace_with_it,
    a_restarted_container_is_another,
    a_pod_whose_containers_have_stopped,
    a_pods_second_sandbox_is_another_pod,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

fn the_pause_dies_and_the_pod_lives_on(world: &'static World) {
    let pod = Pod::run(world, Wish::named("pause-killed"));
    let (web, side) = (pod.start("web", "busybox", &IDLE), pod.start("side", "busybox", &IDLE));
    pod.kill_pause();
    let ours = agreed(world, &[(&pod, &[&web, &side])]);
    let listed = ours.the_pod();
    // Owner is who it was made for, dead or alive.
    expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    let mut ids = [web.id.as_str(), side.id.as_str()];
    ids.sort_unstable();
    for kind in ["net", "ipc", "uts"] {
        let shared = namespace(listed, kind);
        assert_eq!(strings(shared, "sharedBy"), ids);
        expect(
            shared,
            [
                ("owner/container", json!(pod.id)),
                ("owner/pid", json!(0)),
                ("owner/alive", json!(false)),
                ("owner/class", json!("pause")),
                ("owner/classEvidence", json!("marked")),
            ],
        );
    }
    // What the specification names is a process that is gone; what was meant is the pod.
    for container in [&web, &side] {
        declares(&ours, &container.id, [("net", "pod"), ("ipc", "pod"), ("uts", "pod"), ("pid", "private")]);
    }
    expect(ours.container(&pod.id), [("state", json!("exited")), ("role", json!("infra"))]);
    // The most specific rule only: what PNS002 would say of each kind is in there.
    let [finding] = ours.findings.as_slice() else { panic!("one finding expected: {:#?}", ours.findings) };
    expect(
        finding,
        [
            ("rule", json!("PNS012")),
            ("severity", json!("high")),
            ("subject/pod", json!(pod.id)),
            ("subject/container", json!(pod.id)),
        ],
    );
    for kind in ["net", "ipc", "uts"] {
        assert!(finding["consequence"].as_str().unwrap().contains(kind), "{finding:#}");
    }
}

fn the_pause_takes_a_shared_pid_namespace_with_it(world: &'static World) {
    let pod = Pod::run(world, Wish { pid: POD, ..Wish::named("pause-killed-shared") });
    let web = pod.start("web", "busybox", &IDLE);
    pod.kill_pause();
    web.wait_exited();
    let ours = agreed_with(world, &[(&pod, &[&web])], &["--all"]);
    let listed = ours.the_pod();
    expect(listed, [("id", json!(pod.id))]);
    assert!(list(listed, "namespaces").iter().all(|namespace| strings(namespace, "sharedBy").is_empty()));
    let exit = &ours.container(&web.id)["exit"];
    expect(exit, [("code", json!(137))]);
    // CRI tells no time of a sandbox's end: whether the container died with it or before is not to be known.
    assert!(["signal", "pid-namespace-died"].iter().any(|cause| exit["cause"] == *cause), "{exit:#}");
}

fn a_restarted_container_is_another(world: &'static World) {
    let pod = Pod::run(world, Wish::named("restarted"));
    let failed = pod.start("web", "busybox", &["sh", "-c", "exit 3"]);
    failed.wait_exited();
    let options = NamespaceOption { pid: CONTAINER, ..NamespaceOption::default() };
    let again = pod.start_as("web", 1, "busybox", &IDLE, options, Vec::new());
    let ours = agreed(world, &[(&pod, &[&failed, &again])]);
    let listed = ours.the_pod();
    expect(listed, [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    let exited = ours.container(&failed.id);
    expect(exited, [("exit/code", json!(3)), ("exit/cause", json!("self"))]);
    assert!(exited["exit"]["finishedAt"].is_string());
    // Still of this pod, and in none of its namespaces.
    for shared in list(listed, "namespaces") {
        assert!(!strings(shared, "sharedBy").contains(&failed.id.as_str()));
    }
    // containerd forgets what the exited one's declared modes were no sooner than the container.
    declares(&ours, &failed.id, [("net", "pod"), ("pid", "private")]);
    assert_eq!(ours.findings, Vec::<serde_json::Value>::new());
}

fn a_pod_whose_containers_have_stopped(world: &'static World) {
    let pod = Pod::run(world, Wish::named("completed"));
    let (one, other) =
        (pod.start("one", "busybox", &["true"]), pod.start("other", "busybox", &["sh", "-c", "exit 1"]));
    one.wait_exited();
    other.wait_exited();
    // The pause lives: so does the pod.
    let ours = agreed(world, &[(&pod, &[&one, &other])]);
    let listed = ours.the_pod();
    expect(listed, [("id", json!(pod.id))]);
    expect(ours.container(&one.id), [("exit/code", json!(0))]);
    expect(ours.container(&other.id), [("exit/code", json!(1))]);
    expect(ours.container(&pod.id), [("state", json!("running"))]);

    // And when the pause has ended too, it is listed on demand only.
    pod.kill_pause();
    let hidden = agreed(world, &[(&pod, &[&one, &other])]);
    assert_eq!(hidden.pods, Vec::<serde_json::Value>::new());
    let answer = pods(&[&world.with_socket()]);
    assert!(answer.json["hidden"]["exited"].as_u64().unwrap() >= 1, "{:#}", answer.json["hidden"]);
    let all = agreed_with(world, &[(&pod, &[&one, &other])], &["--all"]);
    assert_eq!(containers(all.the_pod()).len(), 3);
}

fn a_pods_second_sandbox_is_another_pod(world: &'static World) {
    let first = Pod::run(world, Wish::named("resurrected"));
    let old = first.start("web", "busybox", &IDLE);
    old.stop();
    first.kill_pause();
    let second = Pod::run(world, Wish { attempt: 1, ..Wish::named("resurrected") });
    // As a kubelet counts: over all sandboxes of the pod.
    let options = NamespaceOption { pid: CONTAINER, ..NamespaceOption::default() };
    let new = second.start_as("web", 1, "busybox", &IDLE, options, Vec::new());
    assert_eq!(first.wish.uid, second.wish.uid);
    let ours = agreed_with(world, &[(&first, &[&old]), (&second, &[&new])], &["--all"]);
    assert_eq!(ours.pods.len(), 2);
    expect(ours.pod_of(&old.id), [("id", json!(first.id))]);
    expect(ours.pod_of(&new.id), [("id", json!(second.id)), ("verdict", json!("pause-owned"))]);
    let shown = agreed(world, &[(&second, &[&new])]);
    assert_eq!(shown.findings, Vec::<serde_json::Value>::new(), "an old sandbox is nobody's loss");
}
