//! `inspector watch` on pods as a kubelet makes them.

use serde_json::json;

use crate::support::answer::expect;
use crate::support::cri::{Container, POD, Pod, Wish, World};
use crate::support::watch::{Watch, is};

trials![a_pause_that_dies_leaves_or_takes_its_pod];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

fn a_pause_that_dies_leaves_or_takes_its_pod(world: &'static World) {
    let signs = Pod::run(world, Wish::named("live-signs"));
    let run = |attempt: usize| signs.start(&format!("sign{attempt}"), "busybox", &IDLE);
    let mut watch = Watch::start(&world.with_socket(), run, |it: &Container| it.id.clone());

    // Of its own PID namespace each: they live on, without an owner.
    let pod = Pod::run(world, Wish { namespace: "live".to_owned(), ..Wish::named("live-private") });
    let web = pod.start("web", "busybox", &IDLE);
    watch.find("the start", |it| is(it, "container-started", &pod.id));
    let at = watch.find("the join", |it| is(it, "namespace-joined", &web.id));
    expect(
        &watch.events[at],
        [
            ("pod/id", json!(pod.id)),
            ("pod/name", json!("live-private")),
            ("namespaces/0/toOwner", json!(pod.id)),
            ("namespaces/0/toPod/name", json!("live-private")),
        ],
    );
    pod.kill_pause();
    let owner = watch.find("the owner's end", |it| is(it, "owner-exited", &pod.id));
    let survived =
        watch.find("survival", |it| it["type"] == "pod-survived" && it["pod"]["id"] == pod.id.as_str());
    let raised = watch.find("PNS012", |it| {
        it["type"] == "finding-raised"
            && it["finding"]["rule"] == "PNS012"
            && it["pod"]["id"] == pod.id.as_str()
    });
    assert!(owner < survived && survived < raised);

    // Of one PID namespace: the pause takes them with it.
    let pod = Pod::run(world, Wish { pid: POD, ..Wish::named("live-shared") });
    let web = pod.start("web", "busybox", &IDLE);
    watch.find("the join", |it| is(it, "namespace-joined", &web.id));
    pod.kill_pause();
    let at = watch.find("the collapse", |it| is(it, "pod-collapsed", &pod.id));
    expect(&watch.events[at], [("victims/0/container", json!(web.id)), ("victims/0/signal", json!(9))]);
    let at = watch.find("the victim's end", |it| is(it, "container-exited", &web.id));
    expect(&watch.events[at], [("exit/cause", json!("pid-namespace-died")), ("exit/signal", json!(9))]);
    watch.is_sound();
}
