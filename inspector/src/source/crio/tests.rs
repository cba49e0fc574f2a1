use std::fs;
use std::path::Path;

use super::collect_from;
use crate::observation::{
    Declaration, Infra, Inodes, Kind, Origin, Runtime, RuntimeState, RuntimeStatus, SandboxNamespace, Task,
};
use crate::source::oci::file::HostFiles;
use crate::source::oci::tests::Scratch;
use crate::source::{Context, Options, RuntimeFacts, TaskScan};

/// Of a processless sandbox, of its container, of one that has exited and of a pod of the boot before.
const SANDBOX: &str = "aa00000000000000000000000000000000000000000000000000000000000001";
const APP: &str = "bb00000000000000000000000000000000000000000000000000000000000002";
const EXITED: &str = "cc00000000000000000000000000000000000000000000000000000000000003";
const STALE: &str = "dd00000000000000000000000000000000000000000000000000000000000004";

/// The fixture's folder as a host's root, with this process in the place of the running container.
fn read(change: impl Fn(&Path)) -> RuntimeFacts {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/crio");
    let host = Scratch::copy_of(&fixture);
    change(host.path());
    let context = Context::new(Options {
        host_root: host.path().to_owned(),
        sockets: vec![
            (Runtime::CriO, host.path().join("var/lib/containers/storage")),
            (Runtime::CriO, host.path().join("run/containers/storage")),
        ],
        ..Options::default()
    });
    let task = Task {
        pid: 4242,
        tgid: 4242,
        start_boottime_ns: 1_234_560_000_000,
        namespaces: Inodes::default(),
        cgroup: Some(format!("/kubepods/burstable/podx/crio-{APP}").into()),
        ..Task::default()
    };
    let scan = TaskScan { tasks: vec![task].into(), ..TaskScan::default() };
    let files = HostFiles::owned_by(host.path().to_owned(), rustix::process::geteuid().as_raw());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(collect_from(&context, &scan, &files))
}

#[test]
fn a_sandbox_without_a_process_is_its_pins() {
    let facts = read(|_| ());
    let pod = facts.pods.iter().find(|pod| pod.id == SANDBOX).unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_deref(), pod.uid.as_deref()),
        ("web", Some("shop"), Some("6d1f0e5e-1111-4222-8333-444455556666"))
    );
    assert_eq!((pod.origin, &pod.infra, pod.ready), (Origin::Kubernetes, &Infra::Processless, Some(true)));
    let uuid = "0b8c4a4e-7a5e-4a0e-9d0f-0d1f3b0a9c11";
    let pin = |kind: Kind| SandboxNamespace { kind, path: format!("/var/run/{kind}ns/{uuid}"), inode: None };
    assert_eq!(pod.namespaces, [Kind::Uts, Kind::Ipc, Kind::Net].map(pin));
    assert!(!facts.containers.iter().any(|it| it.id == SANDBOX), "it is no container");
}

#[test]
fn a_container_is_known_by_its_files() {
    let facts = read(|_| ());
    let app = facts.containers.iter().find(|it| it.id == APP).unwrap();
    assert_eq!(
        (app.name.as_deref(), app.state, app.pid, app.start_ticks),
        (Some("nginx"), RuntimeState::Running, 4242, Some(123_456))
    );
    assert_eq!(app.image.as_deref(), Some("docker.io/library/nginx:1.27"));
    assert_eq!((app.pod.as_deref(), app.infra_mark.as_deref()), (Some(SANDBOX), None));
    assert_eq!(app.declared[&Kind::Net], Declaration::Pod);
    assert_eq!(app.declared[&Kind::Ipc], Declaration::Pod);
    assert_eq!(app.declared[&Kind::Pid], Declaration::Private);
    assert_eq!(app.declared[&Kind::User], Declaration::Host);
    let volumes: Vec<_> =
        app.mounts.iter().map(|it| (it.source.as_str(), it.target.as_str(), it.read_only)).collect();
    assert_eq!(volumes, [("/srv/shop", "/data", true)]);
    assert!(!format!("{facts:?}").contains("hunter2"), "an environment was read");
}

#[test]
fn how_a_container_ended_is_its_monitors_word_where_cri_o_has_none() {
    let facts = read(|_| ());
    let exited = facts.containers.iter().find(|it| it.id == EXITED).unwrap();
    assert_eq!((exited.state, exited.pid, exited.exit_code), (RuntimeState::Exited, 0, Some(137)));
    assert!(exited.oom_killed && exited.finished_at.is_some());
}

#[test]
fn the_boot_before_is_not_there_any_more() {
    let facts = read(|_| ());
    let stale = facts.pods.iter().find(|pod| pod.id == STALE).unwrap();
    assert_eq!(stale.ready, Some(false));
}

#[test]
fn podmans_containers_are_left_to_podman() {
    let facts = read(|host| {
        let config =
            host.join(format!("var/lib/containers/storage/overlay-containers/{APP}/userdata/config.json"));
        let text = fs::read_to_string(&config).unwrap().replace("\"cri-o\"", "\"libpod\"");
        fs::write(config, text).unwrap();
    });
    assert!(!facts.containers.iter().any(|it| it.id == APP));
}

#[test]
fn a_recycled_pid_and_a_damaged_file_are_not_believed() {
    let folder = |host: &Path, id: &str| {
        host.join(format!("var/lib/containers/storage/overlay-containers/{id}/userdata"))
    };
    let facts = read(|host| {
        let state = folder(host, APP).join("state.json");
        let text = fs::read_to_string(&state).unwrap().replace("\"123456\"", "\"123455\"");
        fs::write(state, text).unwrap();
        fs::write(
            folder(host, EXITED).join("config.json"),
            "{\"annotations\": {\"io.container.manager\": \"cri-o\"",
        )
        .unwrap();
    });
    let app = facts.containers.iter().find(|it| it.id == APP).unwrap();
    assert_eq!((app.state, app.pid), (RuntimeState::Exited, 0));
    assert!(
        facts.gaps.iter().any(|gap| gap.what == format!("container {EXITED}") && gap.could_change_verdict)
    );
    assert!(
        facts
            .reports
            .iter()
            .all(|report| report.status == RuntimeStatus::Ok && report.runtime == Runtime::CriO)
    );
}

#[test]
fn what_annotations_ask_to_leave_out_is_read() {
    let annotate = |host: &Path, store: &str, id: &str, rules: &str| {
        let file =
            host.join(format!("{store}/containers/storage/overlay-containers/{id}/userdata/config.json"));
        let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let text = format!(r#"{{"other": "x", "pod-namespace-inspector/ignore": "{rules}"}}"#);
        spec["annotations"]["io.kubernetes.cri-o.Annotations"] = text.into();
        fs::write(&file, spec.to_string()).unwrap();
    };
    let facts = read(|host| {
        for store in ["var/lib", "run"] {
            annotate(host, store, SANDBOX, "PNS001");
            annotate(host, store, APP, "PNS005");
        }
    });
    let pod = facts.pods.iter().find(|it| it.id == SANDBOX).unwrap();
    assert_eq!(pod.ignore.as_ref().unwrap().rules, "PNS001");
    let app = facts.containers.iter().find(|it| it.id == APP).unwrap();
    assert_eq!(app.ignore.as_ref().unwrap().rules, "PNS005");
    assert!(facts.containers.iter().filter(|it| it.id != APP).all(|it| it.ignore.is_none()));
}
