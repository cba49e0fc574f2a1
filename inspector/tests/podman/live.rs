//! `inspector watch` on Podman's pods.

use serde_json::json;

use crate::machine::{Container, Machine};
use crate::support::answer::expect;
use crate::support::keeper;
use crate::support::watch::{Watch, is};

trials![a_member_goes_and_then_the_infra_container];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

fn a_member_goes_and_then_the_infra_container(machine: &'static Machine) {
    let run = |attempt: usize| machine.run(&format!("live-sign{attempt}"), &[], &IDLE);
    let mut watch = Watch::start(&machine.with_socket(), run, |it: &Container| it.id.clone());
    let pod = machine.pod("live", &["--share", "net,ipc,uts,pid"]);
    let (web, side) = (
        machine.run("live-web", &["--pod", &pod.id], &IDLE),
        machine.run("live-side", &["--pod", &pod.id], &IDLE),
    );
    let infra = pod.infra();
    for member in [&web, &side] {
        let at = watch.find("the join", |it| is(it, "namespace-joined", &member.id));
        expect(
            &watch.events[at],
            [
                ("pod/id", json!(pod.id)),
                ("pod/name", json!("live")),
                ("namespaces/0/toOwner", json!(infra.id)),
            ],
        );
    }
    keeper::kill(web.pid());
    let ended = watch.find("the member's end", |it| is(it, "container-exited", &web.id));
    expect(&watch.events[ended], [("exit/code", json!(137)), ("exit/signal", json!(9))]);
    assert_ne!(watch.events[ended]["exit"]["cause"], "pid-namespace-died");
    let survived =
        watch.find("survival", |it| it["type"] == "pod-survived" && it["pod"]["id"] == pod.id.as_str());
    assert!(ended < survived);

    keeper::kill(infra.pid());
    let at = watch.find("the collapse", |it| is(it, "pod-collapsed", &infra.id));
    expect(&watch.events[at], [("victims/0/container", json!(side.id)), ("victims/0/signal", json!(9))]);
    watch.is_sound();
}
