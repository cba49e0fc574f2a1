//! What only who watched can know: the verdicts are those of who came later, and the evidence is better.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::answer::{Answer, expect, namespace};
use crate::support::run::{BINARY, inspector, patience, wait_until};
use crate::support::watch::{self, Watch};
use crate::support::world::{Container, Scenario, World};

trials![
    who_watched_sees_the_same_with_better_evidence,
    who_came_and_went_in_a_moment_is_told_and_execs_are_not,
    restarts_are_told_one_by_one,
];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];
const SHARED: [&str; 3] = ["ipc", "net", "pid"];

/// A recording over time, that goes on until it is told to stop.
struct Recording {
    child: Child,
    file: PathBuf,
}

impl Recording {
    fn start(world: &World, folder: &Path) -> Self {
        let file = folder.join("stream.rec");
        let child = Command::new(BINARY)
            .args(["record", "--for", "10m", &world.with_socket()])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It is there once the first look is in.
        wait_until("the first look", || file.exists());
        Self { child, file }
    }

    fn end(mut self) -> PathBuf {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        assert!(self.child.wait().unwrap().success());
        self.file
    }
}

/// The pod that a container is in.
fn pod_of<'a>(answer: &'a Answer, container: &Container) -> &'a Value {
    let pods = answer.json["pods"].as_array().unwrap();
    let has = |pod: &&Value| pod["containers"].as_array().unwrap().iter().any(|it| it["id"] == container.id);
    pods.iter().find(has).unwrap_or_else(|| panic!("{} is in no pod: {:#}", container.name, answer.json))
}

/// What is in the recording at its end.
fn answer(file: &Path) -> Answer {
    Answer::of(inspector(["pods", "--all", "-o", "json", "--replay", file.to_str().unwrap()]))
}

fn who_watched_sees_the_same_with_better_evidence(world: &'static World) {
    let s = Scenario::new(world, "w1");
    let scratch = world.scratch("w1");
    let recording = Recording::start(world, &scratch);
    let pause = s.run("pause", &["--ipc=shareable"], "pause", &[]);
    let with_pause: Vec<String> = SHARED.iter().map(|kind| pause.join(kind)).collect();
    let options: Vec<&str> = with_pause.iter().map(String::as_str).collect();
    let nginx = s.run("nginx", &options, "nginx", &[]);
    let owner = s.run("owner", &["--ipc=shareable"], "nginx", &[]);
    let with_owner: Vec<String> = SHARED.iter().map(|kind| owner.join(kind)).collect();
    let options: Vec<&str> = with_owner.iter().map(String::as_str).collect();
    let busybox = s.run("busybox", &options, "busybox", &IDLE);
    let network = s.run("network", &[], "nginx", &[]);
    let orphan = s.run("orphan", &[&network.join("net")], "busybox", &IDLE);
    // Long enough for looks, and for what is young to have grown up.
    std::thread::sleep(Duration::from_millis(2500));
    network.stop();
    let live = Answer::of(inspector(["pods", "--all", "-o", "json", &world.with_socket()]));
    std::thread::sleep(Duration::from_millis(2500));
    let watched = answer(&recording.end());
    assert_ne!(watched.json["coverage"]["tier"], "none");
    assert_eq!(live.json["coverage"]["tier"], "none");

    for (container, verdict) in
        [(&nginx, "pause-owned"), (&busybox, "application-owned"), (&orphan, "application-owned")]
    {
        let (before, after) = (pod_of(&watched, container), pod_of(&live, container));
        for pod in [before, after] {
            expect(pod, [("verdict", json!(verdict))]);
        }
        assert_eq!(before["id"], after["id"]);
        let kinds = |pod: &Value| -> Vec<Value> {
            pod["namespaces"].as_array().unwrap().iter().map(|it| it["kind"].clone()).collect()
        };
        assert_eq!(kinds(before), kinds(after));
        for kind in kinds(before) {
            let kind = kind.as_str().unwrap();
            let (seen, told) = (&namespace(before, kind)["owner"], &namespace(after, kind)["owner"]);
            for field in ["container", "pid", "alive", "class"] {
                assert_eq!(seen[field], told[field], "{kind} {field}: {seen:#} {told:#}");
            }
        }
    }
    // runc's stages are siblings: who made the namespaces is not the parent of the container's first process.
    let of = |pod: &Value, kind: &str| namespace(pod, kind)["owner"]["evidence"].clone();
    for kind in SHARED {
        assert_eq!(of(pod_of(&watched, &nginx), kind), "observed", "{:#}", pod_of(&watched, &nginx));
        assert_eq!(of(pod_of(&live, &nginx), kind), "declared");
    }
    // Of a dead owner: what it was while it lived, and not only what it was told to run.
    let class = |pod: &Value| namespace(pod, "net")["owner"]["classEvidence"].clone();
    assert_eq!(class(pod_of(&watched, &orphan)), "observed");
    assert_eq!(class(pod_of(&live, &orphan)), "command");
}

/// Waits for the sign that a stream has begun.
fn begin(s: &Scenario, world: &World) -> Watch {
    let run = |attempt| s.run(&format!("sign{attempt}"), &[], "busybox", &IDLE);
    Watch::start(&world.with_socket(), run, |it: &Container| it.id.clone())
}

fn who_came_and_went_in_a_moment_is_told_and_execs_are_not(world: &'static World) {
    let s = Scenario::new(world, "w2");
    let mut watch = begin(&s, world);
    let app = s.run("app", &[], "busybox", &IDLE);
    watch.find("start", |it| watch::is(it, "container-started", &app.id));
    for _ in 0..5 {
        app.exec(&["true"]);
    }
    let pid = app.pid().to_string();
    let nsenter = ["--target", &pid, "--net", "--uts", "--ipc", "true"];
    assert!(Command::new("nsenter").args(nsenter).status().unwrap().success());
    let entered = |it: &Value| it["type"] == "foreign-entered" && it["pod"]["id"] == app.id;
    let at = watch.find("entry", entered);
    expect(&watch.events[at], [("process/comm", json!("true")), ("namespaces/0/toPod/id", json!(app.id))]);
    std::thread::sleep(Duration::from_millis(1500));
    watch.read(Duration::from_millis(500));
    let entries: Vec<&Value> = watch.events.iter().filter(|it| entered(it)).collect();
    assert_eq!(entries.len(), 1, "{entries:#?}");
    watch.is_sound();
}

/// How many restarts, unless `INSPECTOR_DOCKER_RESTARTS` says so.
const RESTARTS: usize = 8;

fn restarts() -> usize {
    let given = std::env::var("INSPECTOR_DOCKER_RESTARTS").ok();
    given.map_or(RESTARTS, |text| {
        text.parse().unwrap_or_else(|error| panic!("INSPECTOR_DOCKER_RESTARTS={text}: {error}"))
    })
}

fn restarts_are_told_one_by_one(world: &'static World) {
    let restarts = restarts();
    let s = Scenario::new(world, "w3");
    let mut watch = begin(&s, world);
    let app = s.run("app", &[], "busybox", &["sleep", "1000"]);
    for _ in 0..restarts {
        world.docker(&["restart", "--time", "0", &app.id]);
    }
    let count = |watch: &Watch, event_type: &str| {
        watch.events.iter().filter(|it| watch::is(it, event_type, &app.id)).count()
    };
    let began = Instant::now();
    while count(&watch, "container-started") <= restarts
        && began.elapsed() < patience(Duration::from_secs(20))
    {
        watch.read(Duration::from_millis(200));
    }
    // Nothing twice, either.
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..50 {
        watch.read(Duration::from_millis(20));
    }
    assert_eq!(count(&watch, "container-started"), restarts + 1, "{:#?}", watch.events);
    assert_eq!(count(&watch, "container-exited"), restarts, "{:#?}", watch.events);
    watch.is_sound();
}
