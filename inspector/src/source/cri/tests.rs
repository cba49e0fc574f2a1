//! The client against a runtime that answers, and against one that misbehaves.

mod modes;
mod server;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use self::server::{Reply, Script, Server, runtime};
use super::info::Info;
use super::messages::{
    ContainerMetadata, ContainerStatus, ContainerStatusResponse, ImageSpec, LinuxSandboxStatus,
    NamespaceOption, Namespaces, SandboxMetadata, SandboxStatus,
};
use super::model::NamespaceMode;
use super::*;
use crate::observation::RuntimeState;
use crate::source::grpc::Error;
use crate::source::http::Trust;
use crate::source::oci::tests::Scratch;
use crate::source::{Context, Options};

const SECRET: &str = "correct horse battery staple";

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn sandbox_status() -> SandboxStatus {
    SandboxStatus {
        id: id('a'),
        metadata: Some(SandboxMetadata {
            name: "web".to_owned(),
            uid: "0f2".to_owned(),
            namespace: "default".to_owned(),
            attempt: 1,
        }),
        created_at: 1_700_000_000_000_000_000,
        linux: Some(LinuxSandboxStatus {
            namespaces: Some(Namespaces {
                options: Some(NamespaceOption { pid: 1, ..NamespaceOption::default() }),
            }),
        }),
        ..SandboxStatus::default()
    }
}

fn container_status(digit: char) -> ContainerStatus {
    ContainerStatus {
        id: id(digit),
        metadata: Some(ContainerMetadata { name: "nginx".to_owned(), attempt: 2 }),
        state: 1,
        started_at: 1_700_000_001_000_000_000,
        image: Some(ImageSpec { image: "docker.io/library/nginx:1".to_owned(), ..ImageSpec::default() }),
        ..ContainerStatus::default()
    }
}

/// As containerd 1.6 writes it, shortened.
fn containerd_info() -> String {
    json!({
        "sandboxID": id('a'), "pid": 4243, "removing": false, "snapshotter": "overlayfs",
        "runtimeType": "io.containerd.runc.v2", "runtimeOptions": {},
        "config": {
            "metadata": { "name": "nginx", "attempt": 2 }, "image": { "image": "sha256:00" },
            "envs": [{ "key": "PASSWORD", "value": SECRET }],
            "mounts": [{ "container_path": "/data", "host_path": "/srv/data", "readonly": true }],
            "linux": { "security_context": { "namespace_options": { "pid": 3, "target_id": id('c') } } },
        },
        "runtimeSpec": {
            "ociVersion": "1.0.2", "process": { "args": ["nginx"], "env": [format!("PASSWORD={SECRET}")] },
            "annotations": { "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.25" },
            "linux": { "namespaces": [{ "type": "pid", "path": "/proc/9/ns/pid" }, { "type": "mount" }] },
        },
    })
    .to_string()
}

struct Home {
    folder: Scratch,
    context: Context,
}

impl Home {
    fn new(timeout: Duration) -> Self {
        let options = Options { timeout, ..Options::default() };
        Self { folder: Scratch::new(), context: Context::new(options) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("cri.sock")
    }

    fn ask(&self) -> Result<Answer, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(&self.socket(), Trust::Anyone, &self.context))
    }
}

/// What a runtime answers that has one sandbox and three containers, changed by a test.
fn asked(change: impl Fn(&mut std::collections::BTreeMap<(String, String), Reply>)) -> (Answer, Server) {
    let home = Home::new(Duration::from_secs(30));
    let info = containerd_info();
    let containers = ['b', 'c', 'd'].map(|digit| (container_status(digit), id('a'), info.clone()));
    let containers: Vec<_> = containers
        .iter()
        .map(|(status, sandbox, info)| (status.clone(), sandbox.as_str(), info.as_str()))
        .collect();
    let mut replies = runtime(&[(sandbox_status(), r#"{"pid":4242}"#)], &containers);
    change(&mut replies);
    let server = Server::start(&home.socket(), Script::Runtime(replies));
    (home.ask().unwrap(), server)
}

fn status_of(digit: char) -> (String, String) {
    ("ContainerStatus".to_owned(), id(digit))
}

#[test]
fn a_runtime_is_asked_for_everything_over_one_connection() {
    let (answer, server) = asked(|_| ());
    assert_eq!((answer.runtime_name.as_str(), answer.runtime_version.as_str()), ("containerd", "1.6.20"));
    assert_eq!(answer.missing, []);
    let [sandbox] = answer.node.sandboxes.as_slice() else { panic!("{:?}", answer.node.sandboxes) };
    assert_eq!((sandbox.pid, sandbox.ready, sandbox.attempt), (4242, Some(true), 1));
    assert_eq!(
        (sandbox.name.as_str(), sandbox.namespace.as_str(), sandbox.uid.as_str()),
        ("web", "default", "0f2")
    );
    assert_eq!(sandbox.options.as_ref().map(|options| options.pid), Some(NamespaceMode::Container));
    assert_eq!(sandbox.created_at.map(|time| time.as_second()), Some(1_700_000_000));
    let ids: Vec<_> = answer.node.containers.iter().map(|container| container.id.clone()).collect();
    assert_eq!(ids, ['b', 'c', 'd'].map(id));
    let container = &answer.node.containers[0];
    assert_eq!((container.pid, container.state, container.attempt), (4243, RuntimeState::Running, 2));
    assert_eq!((&container.sandbox, container.name.as_str()), (&id('a'), "nginx"));
    // What the runtime wrote down for itself, as its files would tell.
    assert_eq!(container.image.as_deref(), Some("docker.io/library/nginx:1.25"));
    let options = container.options.as_ref().unwrap();
    assert_eq!((options.pid, &options.target_id), (NamespaceMode::Target, &id('c')));
    assert_eq!(container.mounts.as_ref().unwrap()[0].host_path, "/srv/data");
    assert_eq!(container.spec.as_ref().unwrap().process.args, ["nginx"]);
    assert_eq!((container.finished_at, container.exit_code), (None, None));
    assert_eq!(server.connections(), 1);
    assert!((2..=8).contains(&server.most_at_once()), "{}", server.most_at_once());
    assert_eq!(server.calls().len(), 3 + 4);
    assert!(!format!("{answer:?}").contains(SECRET));
}

#[test]
fn no_message_prints_an_environment() {
    let info = HashMap::from([("info".to_owned(), containerd_info())]);
    let answer = ContainerStatusResponse { status: Some(container_status('b')), info };
    assert!(!format!("{answer:?}").contains(SECRET));
    assert!(!format!("{:?}", Info::read(&answer.info)).contains(SECRET));
}

#[test]
fn one_container_does_not_spoil_the_others() {
    let wrong = |text: &str| {
        let info = HashMap::from([("info".to_owned(), text.to_owned())]);
        let answer = ContainerStatusResponse { status: Some(container_status('c')), info };
        Reply::Message(prost::Message::encode_to_vec(&answer))
    };
    let another = prost::Message::encode_to_vec(&ContainerStatusResponse {
        status: Some(container_status('d')),
        info: HashMap::new(),
    });
    // What the answer about the second container is, what is said of it, and whether it is known all the same.
    let cases = [
        (Reply::Status(5, "no such container".to_owned()), None, false),
        (
            Reply::Status(2, "it is\nbroken \u{1b}[31m".to_owned()),
            Some("ContainerStatus failed (Unknown): it is broken  [31m"),
            false,
        ),
        (Reply::Status(12, "unknown".to_owned()), Some("does not know ContainerStatus"), false),
        (Reply::Endless, Some("is longer than 16777216 bytes"), false),
        (Reply::CutShort, Some("ContainerStatus"), false),
        (Reply::Garbage, Some("ContainerStatus"), false),
        (Reply::Reset, Some("ContainerStatus"), false),
        (Reply::Message(another), Some("about another one"), false),
        (Reply::Message(Vec::new()), Some("about another one"), false),
        (
            wrong("{\"pid\": 1"),
            Some("its verbose information is not what a runtime writes (line 1, column 9)"),
            true,
        ),
        (wrong("[]]"), Some("its verbose information is not"), true),
        (wrong(r#"{"pid": -1}"#), Some("its verbose information is not"), true),
        (
            wrong(r#"{"runtimeSpec": {"linux": {"namespaces": {}}}}"#),
            Some("its verbose information is not"),
            true,
        ),
        (wrong(&format!("{}1", "[".repeat(100_000))), Some("its verbose information is not"), true),
    ];
    for (reply, why, known) in cases {
        let shown = format!("{reply:?}").chars().take(80).collect::<String>();
        let (answer, _server) = asked(|replies| {
            replies.insert(status_of('c'), reply.clone());
        });
        let ids: Vec<_> = answer.node.containers.iter().map(|container| container.id.clone()).collect();
        let wanted: &[char] = if known { &['b', 'c', 'd'] } else { &['b', 'd'] };
        assert_eq!(ids, wanted.iter().map(|digit| id(*digit)).collect::<Vec<_>>(), "{shown}");
        match (why, answer.missing.as_slice()) {
            (None, []) => {}
            (Some(why), [(who, said)]) => {
                assert_eq!(*who, id('c'), "{shown}");
                assert!(said.contains(why) && !said.contains(['\n', '\u{1b}']), "{shown}: {said}");
            }
            (why, missing) => panic!("{shown}: {why:?} {missing:?}"),
        }
    }
}

#[test]
fn words_in_an_error_are_cut() {
    let (answer, _server) = asked(|replies| {
        replies.insert(status_of('c'), Reply::Status(13, "x".repeat(5000)));
    });
    let said = &answer.missing[0].1;
    assert!(said.chars().count() < 600 && said.ends_with('…'), "{said}");
}

#[test]
fn older_releases_have_a_key_for_each_value() {
    let info = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>()
    };
    let read = Info::read(&info(&[("pid", "77"), ("runtimeSpec", r#"{"linux":{"cgroupsPath":"/a"}}"#)]));
    let read = read.unwrap().unwrap();
    assert_eq!((read.pid, read.runtime_spec.unwrap().linux.unwrap().cgroups_path.as_str()), (77, "/a"));
    assert_eq!(Info::read(&info(&[])), Ok(None));
    assert!(Info::read(&info(&[("pid", "many")])).unwrap_err().contains("pid"));
    // Go writes null for what is empty.
    let nulls = r#"{"pid":0,"image":null,"config":null,"runtimeSpec":null,"runtimeType":null}"#;
    assert_eq!(Info::read(&info(&[("info", nulls)])), Ok(Some(Info::default())));
}

#[test]
fn a_silent_container_costs_its_time_and_no_more() {
    for reply in [Reply::Silence, Reply::Drip] {
        let home = Home::new(Duration::from_secs(1));
        let status = container_status('b');
        let other = container_status('c');
        let info = containerd_info();
        let mut replies = runtime(&[], &[(status, &id('a'), &info), (other, &id('a'), &info)]);
        replies.insert(status_of('b'), reply);
        let _server = Server::start(&home.socket(), Script::Runtime(replies));
        let began = Instant::now();
        let answer = home.ask().unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(answer.node.containers.len(), 1);
        let [(who, why)] = answer.missing.as_slice() else { panic!("{:?}", answer.missing) };
        assert_eq!(*who, id('b'));
        assert!(why.contains("had no whole answer within"), "{why}");
    }
}

#[test]
fn many_silent_containers_are_not_all_waited_for() {
    let home = Home::new(Duration::from_secs(1));
    let info = containerd_info();
    let statuses: Vec<_> = (0..40)
        .map(|number| ContainerStatus { id: format!("{number:064x}"), ..container_status('b') })
        .collect();
    let sandbox = id('a');
    let containers: Vec<_> =
        statuses.iter().map(|status| (status.clone(), sandbox.as_str(), info.as_str())).collect();
    let mut replies = runtime(&[], &containers);
    for status in &statuses {
        replies.insert(("ContainerStatus".to_owned(), status.id.clone()), Reply::Silence);
    }
    let server = Server::start(&home.socket(), Script::Runtime(replies));
    let answer = home.ask().unwrap();
    assert_eq!((answer.node.containers.len(), answer.missing.len()), (0, 40));
    // Eight at once, and in place of each late one another until eight are late; a silent server lets go of none.
    assert!(server.most_at_once() < 16, "{}", server.most_at_once());
    let unasked = answer.missing.iter().filter(|(_, why)| why.starts_with("not asked for: "));
    assert!(unasked.count() > 24);
}

#[test]
fn what_is_no_id_is_not_asked_for() {
    for strange in ["", "../../etc", "short", "\u{1b}[31m"] {
        let home = Home::new(Duration::from_secs(5));
        let status = ContainerStatus { id: strange.to_owned(), ..container_status('b') };
        let replies = runtime(&[], &[(status, &id('a'), "{}")]);
        let server = Server::start(&home.socket(), Script::Runtime(replies));
        let answer = home.ask().unwrap();
        assert_eq!(
            answer.missing,
            [(strange.to_owned(), "its id is not one that a runtime makes".to_owned())]
        );
        assert_eq!(server.calls(), ["Version", "ListContainers", "ListPodSandbox"]);
    }
}

#[test]
fn what_is_no_runtime_is_refused_in_one_line() {
    let refusing = |status| {
        let version = ("Version".to_owned(), String::new());
        Script::Runtime([(version, Reply::Status(status, "no\nway".to_owned()))].into())
    };
    let endless = || {
        let mut replies = runtime(&[], &[]);
        replies.insert(("ListContainers".to_owned(), String::new()), Reply::Endless);
        Script::Runtime(replies)
    };
    // The script, and what the error has to be.
    type Expected = fn(&Error) -> bool;
    let cases: [(Script, Expected); 9] = [
        (Script::Raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), |it| {
            matches!(it, Error::Failed(_))
        }),
        (Script::Raw(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), |it| {
            matches!(it, Error::Failed(_))
        }),
        (Script::AcceptOnly, |it| matches!(it, Error::Failed(_))),
        (Script::Hang, |it| matches!(it, Error::Late(_))),
        (Script::Runtime([].into()), |it| matches!(it, Error::Unimplemented(_))),
        (refusing(7), |it| matches!(it, Error::Denied(_))),
        (refusing(16), |it| matches!(it, Error::Denied(_))),
        (refusing(14), |it| matches!(it, Error::Failed(_))),
        (endless(), |it| matches!(it, Error::Failed(_))),
    ];
    for (script, expected) in cases {
        let shown = format!("{script:?}").chars().take(60).collect::<String>();
        let home = Home::new(Duration::from_secs(1));
        let _server = Server::start(&home.socket(), script);
        let began = Instant::now();
        let error = home.ask().unwrap_err();
        assert!(expected(&error), "{shown}: {error:?}");
        assert!(
            !error.to_string().contains('\n') && error.to_string().contains("cri.sock"),
            "{shown}: {error}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{shown}: {:?}", began.elapsed());
    }
    let home = Home::new(Duration::from_secs(1));
    assert!(matches!(home.ask(), Err(Error::Absent(_))));
    std::fs::write(home.socket(), "no socket").unwrap();
    assert!(matches!(home.ask(), Err(Error::Failed(_))));
}

#[test]
fn runtimes_that_hide_their_processes_are_known_by_name() {
    let cases = [
        ("kata-qemu", "virtual machine"),
        ("io.containerd.kata.v2", "virtual machine"),
        ("io.containerd.runsc.v1", "user space"),
        ("gvisor", "user space"),
        ("/usr/local/bin/runsc", "user space"),
    ];
    for (name, why) in cases {
        assert!(opaque(name).is_some_and(|said| said.contains(why)), "{name}");
    }
    for name in ["", "runc", "io.containerd.runc.v2", "crun", "nvidia", "youki"] {
        assert_eq!(opaque(name), None, "{name}");
    }
}
