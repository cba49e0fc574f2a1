//! containerd's records, from its files and from its API's messages.

use std::collections::HashMap;
use std::path::Path;

use super::messages::{self, Any};
use super::record::{Known, Record, Task};
use super::{declared, metadata, pods};
use crate::observation::{Declaration, Kind, MountKind, Origin, RuntimeState};
use crate::source::oci::dead::name_the_dead;
use crate::source::oci::file::HostFiles;

const ID: &str = "82dfb618d84228d1f33d1d8329f6a9f9b43b1453783d1a949e00afa6abb0ec94";
const SANDBOX: &str = "0b2d93bc0fbb2d0b3e5b1ef55a1b1a3d8d4b8ee3c6dc6aa62a8d7e5a3a1f0c11";

fn any(text: &str) -> Any {
    Any { value: text.as_bytes().to_vec() }
}

fn container(id: &str, labels: &[(&str, &str)], spec: &str, extensions: &[(&str, &str)]) -> Record {
    let container = messages::Container {
        id: id.to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        image: "localhost/busybox:1".to_owned(),
        runtime: Some(messages::Runtime { name: "io.containerd.runc.v2".to_owned() }),
        spec: Some(any(spec)),
        created_at: Some(messages::Moment { seconds: 1_700_000_000, nanoseconds: 5 }),
        extensions: extensions
            .iter()
            .map(|(name, text)| ((*name).to_owned(), any(text)))
            .collect::<HashMap<_, _>>(),
    };
    Record::of("k8s.io", container)
}

fn running(pid: u32) -> Task {
    Task { pid, state: RuntimeState::Running, start_ticks: Some(77), ..Task::default() }
}

fn sandbox() -> Record {
    let metadata = r#"{"Version":"v1","Metadata":{"ID":"x","Name":"n","Config":{"metadata":{"name":"web","uid":"u-1",
        "namespace":"default","attempt":2},"hostname":"web","linux":{"security_context":{"namespace_options":{"pid":1}}}},
        "NetNSPath":"/run/netns/cni-1","RuntimeHandler":"kata-qemu"}}"#;
    let spec = r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox"},"linux":{"namespaces":[{"type":"pid"}]}}"#;
    container(SANDBOX, &[], spec, &[("io.cri-containerd.sandbox.metadata", metadata)])
}

fn member(extensions: &[(&str, &str)]) -> Record {
    let spec = format!(
        r#"{{"process":{{"args":["sh"],"env":["PASSWORD=hunter2"]}},"annotations":{{"io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.sandbox-id":"{SANDBOX}","io.kubernetes.cri.container-name":"app"}},"linux":{{"namespaces":[]}}}}"#
    );
    container(ID, &[], &spec, extensions)
}

#[test]
fn a_real_database_is_read() {
    let root = tempfile::tempdir().unwrap();
    let path = metadata::path(root.path());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/containerd/meta.db");
    std::fs::copy(fixture, &path).unwrap();
    let owner = rustix::process::geteuid().as_raw();
    let files = HostFiles::owned_by("/".into(), owner);
    let records = metadata::read(&files, root.path()).unwrap().unwrap();
    let names: Vec<_> = records.iter().map(|it| (it.namespace.as_str(), it.id.as_str())).collect();
    assert_eq!(names, [("example", "one"), ("example", "two"), ("other", "one")]);
    let one = &records[0];
    assert_eq!(one.label("nerdctl/name"), Some("the-one"));
    assert_eq!(one.runtime, "io.containerd.runc.v2");
    assert_eq!(one.spec.as_ref().unwrap().process.args, ["/bin/busybox", "sleep", "100"]);
    assert!(one.created_at.is_some() && one.damaged.is_none() && !one.is_cri());
    assert_eq!(metadata::root_of(&path).as_deref(), Some(root.path()));
    assert_eq!(metadata::root_of(Path::new("/tmp/meta.db")), None);
    // Somebody else's file is not believed.
    let others = HostFiles::owned_by("/".into(), owner + 1);
    assert!(metadata::read(&others, root.path()).is_err());
    assert_eq!(metadata::read(&files, Path::new("/nonexistent")).unwrap(), None);
}

#[test]
fn a_pod_is_as_cri_wrote_it_down() {
    let metadata = format!(
        r#"{{"Version":"v1","Metadata":{{"SandboxID":"{SANDBOX}","Config":{{"metadata":{{"name":"app","attempt":3}},
        "image":{{"user_specified_image":"busybox:1"}},"envs":[{{"key":"PASSWORD","value":"hunter2"}}],
        "mounts":[{{"container_path":"/data","host_path":"/srv","readonly":true}}]}}}}}}"#
    );
    let known = vec![
        Known { record: sandbox(), task: Some(running(40)) },
        Known {
            record: member(&[("io.cri-containerd.container.metadata", &metadata)]),
            task: Some(running(50)),
        },
    ];
    assert!(known.iter().all(|known| known.record.is_cri()));
    let printed = format!("{known:?}");
    assert!(!printed.contains("hunter2"), "a secret was kept");
    let node = pods::node(known, &|_| None);
    let (pod, app) = (&node.sandboxes[0], &node.containers[0]);
    assert_eq!((pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()), ("web", "default", "u-1"));
    assert_eq!((pod.attempt, pod.pid, pod.ready, pod.start_ticks), (2, 40, Some(true), Some(77)));
    assert!(pod.opaque.as_ref().is_some_and(|why| why.contains("kata-qemu")));
    assert_eq!((app.name.as_str(), app.attempt, app.sandbox.as_str()), ("app", 3, SANDBOX));
    assert_eq!((app.image.as_deref(), app.pid, app.state), (Some("busybox:1"), 50, RuntimeState::Running));
    assert!(app.mounts.as_ref().unwrap()[0].read_only);
}

#[test]
fn annotations_tell_where_metadata_is_damaged() {
    let record = member(&[("io.cri-containerd.container.metadata", r#"{"Metadata":{"Config":"hunter2"#)]);
    let why = record.damaged.clone().unwrap();
    assert!(why.contains("column") && !why.contains("hunter2"), "{why}");
    assert!(record.is_cri() && !record.is_sandbox());
    let node = pods::node(vec![Known { record, task: None }], &|_| None);
    assert_eq!((node.containers[0].name.as_str(), node.containers[0].sandbox.as_str()), ("app", SANDBOX));
    // Only in Kubernetes' own namespace: elsewhere a user may annotate anything.
    let elsewhere = Record { namespace: "default".to_owned(), ..member(&[]) };
    assert!(!elsewhere.is_cri());
}

#[test]
fn what_lives_and_what_was_written_down_make_the_state() {
    let state = |status: &str, task: Option<Task>| {
        let status: pods::Status = serde_json::from_str(status).unwrap();
        let node = pods::node(vec![Known { record: member(&[]), task }], &|_| Some(status.clone()));
        let container = &node.containers[0];
        (container.state, container.pid, container.exit_code)
    };
    let (started, ended) = (
        r#"{"Version":"v1","Pid":50,"CreatedAt":5,"StartedAt":7,"FinishedAt":0}"#,
        r#"{"Version":"v1","Pid":0,"CreatedAt":5,"StartedAt":7,"FinishedAt":9,"ExitCode":137,"Reason":"OOMKilled"}"#,
    );
    assert_eq!(state(started, Some(running(50))), (RuntimeState::Running, 50, None));
    // It ended while nobody looked: how, nobody knows.
    assert_eq!(state(started, None), (RuntimeState::Exited, 0, None));
    assert_eq!(state(ended, None), (RuntimeState::Exited, 0, Some(137)));
    assert_eq!(state(r#"{"CreatedAt":5}"#, None), (RuntimeState::Created, 0, None));
    let waits = Task { state: RuntimeState::Created, ..running(50) };
    assert_eq!(state(r#"{"CreatedAt":5}"#, Some(waits)), (RuntimeState::Created, 0, None));
}

#[test]
fn nerdctl_says_whom_it_joined() {
    let spec = r#"{"linux":{"namespaces":[{"type":"network","path":"/proc/9/ns/net"},{"type":"pid","path":"/proc/9/ns/pid"},
        {"type":"ipc"}]},"mounts":[{"destination":"/x","type":"bind","source":"/y","options":["rbind"]}]}"#;
    let labels = [
        ("nerdctl/name", "side"),
        ("nerdctl/networks", r#"["container:abc"]"#),
        (
            "nerdctl/mounts",
            r#"[{"Type":"volume","Name":"v","Source":"/var/v","Destination":"/d","RW":false}]"#,
        ),
        ("com.docker.compose.project", "shop"),
    ];
    let known = Known { record: container("side1", &labels, spec, &[]), task: Some(running(60)) };
    let row = declared::container(&known, "here", &|_| None);
    assert_eq!((row.name.as_deref(), row.origin), (Some("side"), Origin::Compose));
    assert_eq!(row.declared[&Kind::Net], Declaration::Container("abc".to_owned()));
    assert!(matches!(row.declared[&Kind::Pid], Declaration::Path { .. }));
    assert_eq!(row.declared[&Kind::Ipc], Declaration::Private);
    assert_eq!((row.mounts[0].kind, row.mounts[0].read_only, row.mounts.len()), (MountKind::Volume, true, 1));

    // The process behind the other path has ended: containerd still has whose it was.
    let mut owner = container("owner1", &[], "{}", &[]);
    owner.created_at = owner.created_at.map(|time| time - std::time::Duration::from_secs(9));
    let ended = Task { pid: 9, state: RuntimeState::Exited, ..Task::default() };
    let mut rows = [row];
    name_the_dead(&mut rows, &declared::dead(&[Known { record: owner, task: Some(ended) }]));
    assert_eq!(rows[0].declared[&Kind::Pid], Declaration::Container("owner1".to_owned()));
}

#[test]
fn hostile_words_are_no_containers() {
    let labels = [("nerdctl/networks", "[\"container:"), ("nerdctl/mounts", "{}")];
    let record =
        container("side", &labels, "{\"process\":7}", &[("io.cri-containerd.container.metadata", "[]")]);
    assert!(record.damaged.is_some());
    let row = declared::container(&Known { record, task: None }, "here", &|_| None);
    assert_eq!((row.state, row.pid, row.mounts.len()), (RuntimeState::Created, 0, 0));
}
