//! What each word in Docker's configuration declares.

use std::collections::BTreeMap;

use super::super::declared::{Daemon, Directory, container, pods};
use super::super::record::{Config, HostConfig, MountPoint, Record, State};
use super::{JOINER, NGINX};
use crate::observation::{Declaration, Kind, MountKind, RuntimeState};

const OTHER: &str = "0624e85f1e1692ffffa7cfb85094759196626841b10937a888703b6cd6ede825";

fn record(id: &str, name: &str) -> Record {
    Record { id: id.to_owned(), name: format!("/{name}"), ..Record::default() }
}

fn labelled(id: &str, name: &str, labels: &[(&str, &str)]) -> Record {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Record { config: Config { labels, ..Config::default() }, ..record(id, name) }
}

fn declared(host_config: HostConfig, daemon: &Daemon) -> BTreeMap<Kind, Declaration> {
    let records = [record(NGINX, "nginx"), record(OTHER, "b15ff4"), record(JOINER, "joiner")];
    let joiner = Record { host_config, ..records[2].clone() };
    container(&joiner, daemon, &Directory::new(&records), "").declared
}

#[test]
fn every_mode_of_each_kind() {
    use Declaration::{Container, Host, Private, Shareable};
    let joined = |id: &str| Container(id.to_owned());
    let table: Vec<(Kind, &str, Declaration)> = vec![
        (Kind::Net, "default", Private),
        (Kind::Net, "bridge", Private),
        (Kind::Net, "none", Private),
        (Kind::Net, "my-network", Private),
        (Kind::Net, "", Private),
        (Kind::Net, "host", Host),
        (Kind::Net, "container:82dfb618d842", joined(NGINX)),
        (Kind::Net, "container:nginx", joined(NGINX)),
        (Kind::Net, "container:/nginx", joined(NGINX)),
        // A name goes before the start of an id; what leads nowhere is kept.
        (Kind::Net, "container:b15ff4", joined(OTHER)),
        (Kind::Net, "container:b15ff40", joined(JOINER)),
        (Kind::Net, "container:gone", joined("gone")),
        (Kind::Net, "container:", joined("")),
        (Kind::Ipc, "shareable", Shareable),
        (Kind::Ipc, "", Shareable),
        (Kind::Ipc, "private", Private),
        (Kind::Ipc, "none", Private),
        (Kind::Ipc, "host", Host),
        (Kind::Ipc, "container:nginx", joined(NGINX)),
        (Kind::Pid, "", Private),
        (Kind::Pid, "host", Host),
        (Kind::Pid, "container:nginx", joined(NGINX)),
        (Kind::Uts, "", Private),
        (Kind::Uts, "host", Host),
        (Kind::Cgroup, "", Host),
        (Kind::Cgroup, "host", Host),
        (Kind::Cgroup, "private", Private),
        (Kind::User, "", Host),
        (Kind::User, "host", Host),
    ];
    for (kind, mode, expected) in table {
        let mut config = HostConfig::default();
        let field = match kind {
            Kind::Net => &mut config.network_mode,
            Kind::Ipc => &mut config.ipc_mode,
            Kind::Pid => &mut config.pid_mode,
            Kind::Uts => &mut config.uts_mode,
            Kind::User => &mut config.userns_mode,
            _ => &mut config.cgroupns_mode,
        };
        mode.clone_into(field);
        let declared = declared(config, &Daemon::default());
        assert_eq!(declared[&kind], expected, "{kind} {mode:?}");
        assert_eq!((&declared[&Kind::Mnt], &declared[&Kind::Time]), (&Private, &Host));
        assert_eq!(declared.len(), Kind::ALL.len());
    }
}

#[test]
fn a_daemon_that_remaps_users_gives_a_namespace_or_that_of_the_container_joined() {
    let daemon = Daemon { remaps_users: true, ..Daemon::default() };
    let user = |network_mode: &str, userns_mode: &str| {
        let config = HostConfig {
            network_mode: network_mode.to_owned(),
            userns_mode: userns_mode.to_owned(),
            ..HostConfig::default()
        };
        declared(config, &daemon)[&Kind::User].clone()
    };
    assert_eq!(user("bridge", ""), Declaration::Private);
    assert_eq!(user("bridge", "host"), Declaration::Host);
    assert_eq!(user("container:nginx", ""), Declaration::Container(NGINX.to_owned()));
}

#[test]
fn only_a_label_marks_an_infra_container() {
    let mark = |name: &str, labels: &[(&str, &str)]| {
        let record = labelled(NGINX, name, labels);
        container(&record, &Daemon::default(), &Directory::new([&record]), "").infra_mark
    };
    let nomad = ("com.hashicorp.nomad.alloc_id", "8f3");
    assert!(mark("k8s_POD_a_b_c_0", &[("io.kubernetes.docker.type", "podsandbox")]).is_some());
    assert!(mark("x", &[("com.amazonaws.ecs.container-name", "~internal~ecs~pause")]).is_some());
    assert!(mark("nomad_init_8f3", &[nomad]).is_some());
    assert_eq!(mark("nomad_init_8f3", &[]), None);
    assert_eq!(mark("nomad_init_8f4", &[nomad]), None);
    assert_eq!(mark("web-8f3", &[nomad]), None, "a task of the allocation");
    assert_eq!(mark("pause", &[]), None);
    assert_eq!(mark("k8s_POD_a_b_c_0", &[]), None);
    assert_eq!(mark("x", &[("io.kubernetes.docker.type", "sandbox")]), None);
}

#[test]
fn a_pod_outlives_its_sandbox_and_a_debug_container_targets() {
    let labels = [
        ("io.kubernetes.docker.type", "container"),
        ("io.kubernetes.sandbox.id", NGINX),
        ("io.kubernetes.container.name", "debugger"),
        ("io.kubernetes.pod.name", "web"),
        ("io.kubernetes.pod.uid", "f44ea3c515ef23563c722d5bc9f3a4ff"),
    ];
    let host_config = HostConfig {
        network_mode: format!("container:{NGINX}"),
        pid_mode: format!("container:{OTHER}"),
        ..HostConfig::default()
    };
    let record = Record { host_config, ..labelled(JOINER, "k8s_debugger_web", &labels) };
    let found = container(&record, &Daemon::default(), &Directory::default(), "");
    assert_eq!(found.name.as_deref(), Some("debugger"));
    assert_eq!(found.declared[&Kind::Net], Declaration::Pod);
    assert_eq!(found.declared[&Kind::Pid], Declaration::Target(OTHER.to_owned()));
    let pods = pods([&record]);
    assert_eq!((&*pods[0].id, &*pods[0].name, pods[0].created_at), (NGINX, "web", None));
    assert_eq!(pods[0].uid.as_deref(), Some("f44ea3c515ef23563c722d5bc9f3a4ff"));
}

#[test]
fn the_flags_of_a_state_in_dockers_order() {
    let started = Some("2026-11-23T21:46:26Z".parse().unwrap());
    let table = [
        (State { running: true, pid: 7, started_at: started, ..State::default() }, RuntimeState::Running, 7),
        // Between two attempts of a restart; and while a process lives.
        (
            State { running: true, restarting: true, started_at: started, ..State::default() },
            RuntimeState::Exited,
            0,
        ),
        (
            State { running: true, restarting: true, pid: 7, started_at: started, ..State::default() },
            RuntimeState::Running,
            7,
        ),
        (State { exit_code: Some(3), started_at: started, ..State::default() }, RuntimeState::Exited, 0),
        (State { exit_code: Some(127), ..State::default() }, RuntimeState::Created, 0),
        (State { dead: true, ..State::default() }, RuntimeState::Exited, 0),
        // A pid that is left over is none.
        (State { pid: 7, started_at: started, ..State::default() }, RuntimeState::Exited, 0),
    ];
    for (state, expected, pid) in table {
        let record = Record { state: state.clone(), ..record(NGINX, "x") };
        let found = container(&record, &Daemon::default(), &Directory::default(), "");
        assert_eq!((found.state, found.pid), (expected, pid), "{state:?}");
        let code = state.exit_code.filter(|_| expected == RuntimeState::Exited);
        assert_eq!(found.exit_code, code, "{state:?}");
    }
}

#[test]
fn volumes_are_kept_and_the_runtimes_own_files_are_not() {
    let mount = |kind: &str, source: &str, destination: &str| MountPoint {
        kind: kind.to_owned(),
        source: source.to_owned(),
        destination: destination.to_owned(),
        ..MountPoint::default()
    };
    let pod = "/var/lib/kubelet/pods/9ee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f";
    let mounts = vec![
        mount("volume", "/data/volumes/x/_data", "/z"),
        mount("bind", "/data/containers/x/hostname", "/etc/hostname"),
        mount("bind", &format!("{pod}/etc-hosts"), "/etc/hosts"),
        mount("bind", &format!("{pod}/containers/app/1"), "/dev/termination-log"),
        mount("bind", &format!("{pod}/volumes/kubernetes.io~empty-dir/log"), "/log"),
        mount("tmpfs", "", "/tmp"),
        mount("npipe", "x", "/y"),
    ];
    let labels = [("io.kubernetes.docker.type", "container"), ("io.kubernetes.sandbox.id", NGINX)];
    let daemon = Daemon { root: "/data".to_owned(), remaps_users: false };
    let record = Record { mounts, ..labelled(JOINER, "x", &labels) };
    let found = container(&record, &daemon, &Directory::default(), "").mounts;
    let kept: Vec<_> = found.iter().map(|mount| (&*mount.target, mount.kind)).collect();
    assert_eq!(kept, [("/log", MountKind::Bind), ("/z", MountKind::Volume)]);
    // An administrator's own /etc/hosts is a volume like any other.
    let plain =
        Record { mounts: vec![mount("bind", "/srv/pods/etc-hosts", "/etc/hosts")], ..record_without_pod() };
    assert_eq!(container(&plain, &daemon, &Directory::default(), "").mounts.len(), 1);
}

fn record_without_pod() -> Record {
    record(OTHER, "plain")
}
