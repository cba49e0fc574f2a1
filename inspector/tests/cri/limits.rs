//! Where the program cannot or must not look.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::check::{agreed, pods};
use crate::support::answer::{Answer, expect};
use crate::support::cri::{Pod, SECRET, Wish, World};
use crate::support::executable;
use crate::support::run::{BINARY, Run, inspector, run};

trials![
    nobody_is_told_what_is_missing,
    secrets_stay_where_they_are,
    a_virtual_machine_is_not_judged,
    the_socket_is_reported,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];

/// Runs a copy of the program as a user without any right.
fn as_nobody(world: &World, arguments: &[&str]) -> Run {
    let binary = world.scratch("nobody").join("inspector");
    if !binary.exists() {
        executable::copy(BINARY.as_ref(), &binary);
    }
    run(Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
        .arg(binary)
        .args(arguments))
}

fn nobody_is_told_what_is_missing(world: &'static World) {
    let pod = Pod::run(world, Wish::named("unseen"));
    let web = pod.start("web", "busybox", &IDLE);
    let socket = world.with_socket();
    let answer = Answer::of(as_nobody(world, &["pods", "-o", "json", &socket]));
    assert_eq!(answer.status("containerd.sock"), "denied");
    let gap = answer.gaps().into_iter().find(|gap| gap.contains("containerd.sock"));
    assert!(gap.as_ref().is_some_and(|gap| gap.contains("root")), "{:#?}", answer.gaps());
    expect(&answer.json, [("coverage/partial", json!(true))]);
    // The cgroup's name is all that it sees, and it says so.
    let ours = answer.ours(&[&web.id, &pod.id]);
    for listed in &ours.pods {
        assert_eq!(listed["verdict"], "unknown", "{listed:#}");
        for row in crate::support::answer::containers(listed) {
            assert_eq!(row["identity"], "cgroup-only");
        }
    }
    let strict = as_nobody(world, &["pods", "-o", "json", "--strict", &socket]);
    assert_eq!(strict.code, Some(3), "{strict:?}");
}

fn secrets_stay_where_they_are(world: &'static World) {
    let pod = Pod::run(world, Wish::named("secretive"));
    let web = pod.start("web", "busybox", &IDLE);
    assert!(web.info()["runtimeSpec"]["process"]["env"].to_string().contains(SECRET), "nothing to hide");
    let file = world.scratch("secrets").join("node.rec").display().to_string();
    let recorded = inspector(["record", &file, &world.with_socket()]);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    let replayed = pods(&["--replay", &file]);
    assert_eq!(
        replayed.ours(&[&pod.id, &web.id]),
        agreed(world, &[(&pod, &[&web])]),
        "the replay (left) and the node (right) differ"
    );
    let bytes = fs::read(&file).unwrap();
    let verbose = run(Command::new(BINARY).args(["pods", "-o", "json", "-vvv", &world.with_socket()]));
    for text in [&bytes, &verbose.stdout, &verbose.stderr.clone().into_bytes()] {
        let found = text.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "an environment leaked");
    }
}

fn a_virtual_machine_is_not_judged(world: &'static World) {
    let pod = Pod::run(world, Wish { handler: "kata-test".to_owned(), ..Wish::named("kata") });
    let web = pod.start("web", "busybox", &IDLE);
    let answer = pods(&[&world.with_socket()]);
    let ours = answer.ours(&[&pod.id, &web.id]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("unknown"))]);
    assert!(
        answer.gaps().iter().any(|gap| gap.contains("virtual machine") || gap.contains("kata")),
        "{:#?}",
        answer.gaps()
    );
}

fn the_socket_is_reported(world: &'static World) {
    let answer = pods(&[&world.with_socket()]);
    assert_eq!(answer.status("containerd.sock"), "ok");
    let absent = pods(&["--socket=containerd=/nonexistent/containerd.sock"]);
    assert_eq!(absent.status("/nonexistent/containerd.sock"), "absent");
    // A folder is no socket, and not passed over in silence.
    let folder = world.scratch("no-socket").display().to_string();
    let answer = pods(&[&format!("--socket=containerd={folder}")]);
    assert!(answer.gaps().iter().any(|gap| gap.contains(&folder)), "{:#?}", answer.gaps());
}
