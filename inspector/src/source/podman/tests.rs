//! Tests of what needs no Podman: its JSON, its databases, and what they come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::database;
use super::declared;
use super::disk::storage_root;
use super::inspect;
use super::libpod::{ContainerConfig, ContainerState, PodConfig, PodState};
use super::record::{Contents, Mode, PodRecord, Record};
use crate::observation::{Declaration, Gap, Infra, Kind, MountKind, RuntimeState};
use crate::source::oci::file::HostFiles;

const INFRA: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const APP: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const POD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The configuration of a container that joins its pod, as Podman 4.3 writes it.
fn app_config() -> Value {
    json!({
        "spec": {
            "process": { "args": ["sleep", "9"], "env": ["PASSWORD=hunter2"] },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/bound", "type": "bind", "source": "/srv/b", "options": ["rbind", "ro"] },
                { "destination": "/run/.containerenv", "type": "bind", "source": "/x", "options": ["bind"] },
            ],
            "linux": { "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "mount" },
                { "type": "user", "path": "/run/userns/1" },
            ] },
        },
        "id": APP, "name": "app", "pod": POD, "rootfsImageName": "localhost/bb:latest",
        "netNsCtr": INFRA, "ipcNsCtr": INFRA, "createNetNS": false,
        "namedVolumes": [{ "volumeName": "v", "dest": "/data", "options": ["nodev", "rbind"] }],
        "userVolumes": ["/data", "/bound"], "createdTime": "2026-11-24T02:30:19Z", "runtime": "crun",
        "pause": false, "labels": null,
    })
}

fn state(state: i64, pid: u32) -> Value {
    json!({ "state": state, "pid": pid, "exitCode": 3, "startedTime": "2026-11-24T02:30:20Z",
        "finishedTime": "2026-11-24T02:31:00Z" })
}

fn record(config: Value, last: Value) -> Record {
    let config: ContainerConfig = serde_json::from_value(config).unwrap();
    let last: ContainerState = serde_json::from_value(last).unwrap();
    config.into_record(&last, &BTreeMap::from([("v".to_owned(), "/volumes/v/_data".to_owned())]))
}

#[test]
fn a_configuration_says_what_is_joined_made_and_inherited() {
    let record = record(app_config(), state(3, 42));
    assert_eq!((record.state, record.pid, record.exit_code), (RuntimeState::Running, 42, None));
    let mode = |kind: Kind| record.modes[&kind].clone();
    assert_eq!(mode(Kind::Net), Mode::Container(INFRA.to_owned()));
    assert_eq!(mode(Kind::Ipc), Mode::Container(INFRA.to_owned()));
    assert_eq!(mode(Kind::Pid), Mode::Private);
    assert_eq!(mode(Kind::Uts), Mode::Host, "it has no entry");
    assert_eq!(mode(Kind::User), Mode::Path("/run/userns/1".to_owned()));
    let targets: Vec<_> =
        record.mounts.iter().map(|it| (it.target.as_str(), it.read_only, it.kind)).collect();
    assert_eq!(targets, [("/bound", true, MountKind::Bind), ("/data", false, MountKind::Volume)]);
    assert_eq!(record.mounts[1].source, "/volumes/v/_data");
    assert!(!format!("{record:?}").contains("hunter2"));
}

#[test]
fn podman_makes_the_network_for_the_container() {
    let mut config = app_config();
    config["createNetNS"] = json!(true);
    config["spec"]["linux"]["namespaces"] = json!([{ "type": "network", "path": "/run/netns/netns-1" }]);
    assert_eq!(record(config, state(3, 1)).modes[&Kind::Net], Mode::Private);
}

#[test]
fn every_state_of_libpod_has_its_meaning() {
    let states = [
        (0, RuntimeState::Unknown),
        (1, RuntimeState::Created),
        (2, RuntimeState::Created),
        (3, RuntimeState::Running),
        (4, RuntimeState::Exited),
        (5, RuntimeState::Running),
        (6, RuntimeState::Exited),
        (7, RuntimeState::Exited),
        (8, RuntimeState::Running),
        (99, RuntimeState::Unknown),
    ];
    for (number, expected) in states {
        let record = record(app_config(), state(number, 7));
        assert_eq!(record.state, expected, "{number}");
        assert_eq!(record.exit_code, (expected == RuntimeState::Exited).then_some(3), "{number}");
    }
}

#[test]
fn the_api_says_the_same_in_words() {
    let inspected = json!({
        "Id": APP, "Name": "app", "Created": "2026-11-24T02:30:19Z", "Path": "sleep", "Args": ["9"],
        "State": { "Status": "running", "Pid": 42, "ExitCode": 0, "StartedAt": "2026-11-24T02:30:20Z",
            "FinishedAt": "0001-01-01T00:00:00Z" },
        "ImageName": "localhost/bb:latest", "Pod": POD, "OCIRuntime": "crun", "IsInfra": false,
        "StaticDir": format!("/store/overlay-containers/{APP}/userdata"),
        "Config": { "Env": ["PASSWORD=hunter2"] },
        "Mounts": [
            { "Type": "volume", "Source": "/volumes/v/_data", "Destination": "/data", "RW": true },
            { "Type": "image", "Source": "i", "Destination": "/i", "RW": false },
        ],
        "HostConfig": { "NetworkMode": format!("container:{INFRA}"), "IpcMode": "shareable", "PidMode": "private",
            "UTSMode": "host", "UsernsMode": "", "CgroupMode": "ns:/proc/1/ns/cgroup" },
    });
    let inspected: inspect::Container = serde_json::from_value(inspected).unwrap();
    assert_eq!(inspected.storage_root(), Some(Path::new("/store")));
    let record = inspected.into_record();
    assert_eq!(record.command, ["sleep", "9"]);
    assert_eq!((record.finished_at, record.mounts.len()), (None, 1));
    let expected = BTreeMap::from([
        (Kind::Mnt, Mode::Private),
        (Kind::Uts, Mode::Host),
        (Kind::Ipc, Mode::Private),
        (Kind::Pid, Mode::Private),
        (Kind::Net, Mode::Container(INFRA.to_owned())),
        (Kind::User, Mode::Host),
        (Kind::Cgroup, Mode::Path("/proc/1/ns/cgroup".to_owned())),
        (Kind::Time, Mode::Host),
    ]);
    assert_eq!(record.modes, expected);
    assert!(!format!("{record:?}").contains("hunter2"));
}

#[test]
fn only_a_containers_own_folder_tells_its_storage_root() {
    for strange in [
        "",
        "/userdata",
        "userdata",
        "/store/overlay-containers/another/userdata",
        &format!("c/{APP}/userdata"),
    ] {
        let inspected = json!({ "Id": APP, "StaticDir": strange });
        let inspected: inspect::Container = serde_json::from_value(inspected).unwrap();
        assert_eq!(inspected.storage_root(), None, "{strange}");
    }
}

#[test]
fn joining_the_infra_container_is_joining_the_pod() {
    let pods = [PodRecord {
        id: POD.to_owned(),
        has_infra: true,
        infra: Some(INFRA.to_owned()),
        ..PodRecord::default()
    }];
    let mut config = app_config();
    config["ipcNsCtr"] = json!(APP.replace('2', "3"));
    let container = declared::container(record(config, state(3, 42)), &pods, "here", |_| Some(7));
    assert_eq!(container.declared[&Kind::Net], Declaration::Pod);
    assert_eq!(container.declared[&Kind::Ipc], Declaration::Container(APP.replace('2', "3")));
    let path = Declaration::Path { path: "/run/userns/1".to_owned(), inode: Some(7) };
    assert_eq!(container.declared[&Kind::User], path);
    assert_eq!((container.infra_mark, container.opaque), (None, None));
}

#[test]
fn what_holds_a_pods_namespaces() {
    let infra = |runs: bool| Record {
        id: INFRA.to_owned(),
        pod: Some(POD.to_owned()),
        infra: true,
        state: if runs { RuntimeState::Running } else { RuntimeState::Exited },
        ..Record::default()
    };
    let cases = [
        ("net", true, Some(INFRA), true, Infra::Container(INFRA.to_owned())),
        ("net", true, Some(INFRA), false, Infra::Container(INFRA.to_owned())),
        ("net", true, None, false, Infra::Unknown),
        ("", true, Some(INFRA), true, Infra::Container(INFRA.to_owned())),
        ("", true, Some(INFRA), false, Infra::Nothing),
        ("", false, None, false, Infra::Nothing),
    ];
    for (shares, has_infra, id, runs, expected) in cases {
        let config = json!({ "id": POD, "name": "p", "hasInfra": has_infra, "sharesNet": shares == "net" });
        let config: PodConfig = serde_json::from_value(config).unwrap();
        let state: PodState =
            serde_json::from_value(json!({ "cgroupPath": "", "InfraContainerID": id })).unwrap();
        let contents = Contents { containers: vec![infra(runs)], pods: vec![config.into_record(state)] };
        let pods = declared::pods(&contents);
        assert_eq!(pods[0].infra, expected, "{shares} {has_infra} {id:?} {runs}");
        assert_eq!(pods[0].ready, Some(runs));
    }
}

#[test]
fn virtual_machines_are_opaque() {
    for (runtime, opaque) in
        [("crun", false), ("runc", false), ("krun", true), ("kata", true), ("runsc", true)]
    {
        let record = Record { oci_runtime: runtime.to_owned(), ..Record::default() };
        let container = declared::container(record, &[], "here", |_| None);
        assert_eq!(container.opaque.is_some(), opaque, "{runtime}");
    }
}

#[test]
fn a_storage_root_lies_above_its_bundles() {
    let cases = [
        ("/s/overlay-containers/1/userdata", Some("/s")),
        ("/var/lib/containers/storage/vfs-containers/1/userdata", Some("/var/lib/containers/storage")),
        ("/s/other/1/userdata", None),
        ("/s/overlay-containers/1/else", None),
        ("s/overlay-containers/1/userdata", None),
    ];
    for (bundle, root) in cases {
        assert_eq!(storage_root(Path::new(bundle)), root.map(PathBuf::from), "{bundle}");
    }
}

/// Podman 5's tables, without what their order needs.
const SCHEMA: &str = "
    CREATE TABLE DBConfig(ID INTEGER PRIMARY KEY NOT NULL, TmpDir TEXT NOT NULL, VolumeDir TEXT NOT NULL);
    CREATE TABLE ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT, PodID TEXT, JSON TEXT NOT NULL);
    CREATE TABLE ContainerState(ID TEXT PRIMARY KEY NOT NULL, State INTEGER, JSON TEXT NOT NULL);
    CREATE TABLE PodConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT, JSON TEXT NOT NULL);
    CREATE TABLE PodState(ID TEXT PRIMARY KEY NOT NULL, InfraContainerID TEXT, JSON TEXT NOT NULL);
    CREATE TABLE VolumeConfig(Name TEXT PRIMARY KEY NOT NULL, JSON TEXT NOT NULL);
    INSERT INTO DBConfig VALUES(1, '/run/elsewhere', '');";

fn podman_5(root: &Path, mode: &str) -> Connection {
    let database = Connection::open(root.join("db.sql")).unwrap();
    database.pragma_update(None, "journal_mode", mode).unwrap();
    database.execute_batch(SCHEMA).unwrap();
    let insert = |table: &str, columns: &str, values: &[&str]| {
        let marks = vec!["?"; values.len()].join(",");
        let query = format!("INSERT INTO {table}({columns}) VALUES({marks})");
        // As Podman's driver does it: names as text, JSON as bytes.
        let value = |text: &&str| match text.starts_with('{') {
            true => rusqlite::types::Value::Blob(text.as_bytes().to_vec()),
            false => rusqlite::types::Value::Text((*text).to_owned()),
        };
        database.execute(&query, rusqlite::params_from_iter(values.iter().map(value))).unwrap();
    };
    insert("ContainerConfig", "ID,JSON", &[APP, &app_config().to_string()]);
    insert("ContainerState", "ID,JSON", &[APP, &state(6, 0).to_string()]);
    insert("ContainerConfig", "ID,JSON", &[INFRA, "{ not JSON"]);
    insert("ContainerState", "ID,JSON", &[INFRA, "{}"]);
    let pod = json!({ "id": POD, "name": "p", "hasInfra": true, "sharesNet": true, "sharesIpc": true });
    insert("PodConfig", "ID,JSON", &[POD, &pod.to_string()]);
    insert("PodState", "ID,JSON", &[POD, &json!({ "InfraContainerID": INFRA }).to_string()]);
    insert("VolumeConfig", "Name,JSON", &["v", r#"{"name":"v","mountPoint":"/mnt/v"}"#]);
    database
}

fn read(root: &Path) -> (Result<Option<database::State>, String>, Vec<Gap>) {
    let files = HostFiles::owned_by("/".into(), rustix::process::geteuid().as_raw());
    let mut gaps = Vec::new();
    (database::read(&files, root, &mut gaps), gaps)
}

#[test]
fn podman_5s_database_is_read() {
    let folder = tempfile::tempdir().unwrap();
    drop(podman_5(folder.path(), "delete"));
    let (state, gaps) = read(folder.path());
    let state = state.unwrap().unwrap();
    let [container] = &state.contents.containers[..] else { panic!("{state:?}") };
    assert_eq!((container.id.as_str(), container.exit_code), (APP, Some(3)));
    assert_eq!(container.mounts[1].source, "/mnt/v");
    assert_eq!(state.contents.pods[0].shares, [Kind::Ipc, Kind::Net]);
    assert_eq!(state.contents.pods[0].infra.as_deref(), Some(INFRA));
    assert_eq!(state.tmp_dir, Path::new("/run/elsewhere"));
    // One broken entry spoils nothing but itself, and says so without what was there.
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].what.contains(INFRA) && gaps[0].could_change_verdict, "{gaps:?}");
    assert!(!gaps[0].why.contains("not JSON"), "{gaps:?}");
}

#[test]
fn half_a_transaction_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    // While it is open its log is not empty.
    let open = podman_5(folder.path(), "wal");
    let (state, _) = read(folder.path());
    assert!(state.unwrap_err().contains("is being written"));
    drop(open);
    let (state, _) = read(folder.path());
    assert_eq!(state.unwrap().unwrap().contents.containers.len(), 1);
    fs::write(folder.path().join("db.sql-journal"), "half").unwrap();
    assert!(read(folder.path()).0.is_err());
}

#[test]
fn what_is_no_database_is_an_error_and_none_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path()).0.unwrap().is_none());
    fs::write(folder.path().join("db.sql"), vec![b'x'; 5000]).unwrap();
    assert!(read(folder.path()).0.is_err());
    fs::create_dir_all(folder.path().join("libpod")).unwrap();
    fs::write(folder.path().join("libpod/bolt_state.db"), vec![0; 5000]).unwrap();
    assert!(read(folder.path()).0.is_err());
}
