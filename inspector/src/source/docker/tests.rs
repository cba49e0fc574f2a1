//! On files and answers of a real dockerd (20.10, cgroupfs), their paths rewritten to the usual ones.

mod modes;
mod server;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::server::{Script, Server};
use super::*;
use crate::observation::{Declaration, DeclaredPod, Infra, Kind, MountKind, Origin};
use crate::source::Options;
use crate::source::oci::tests::Scratch;

const NGINX: &str = "82dfb618d84228d1f33d1d8329f6a9f9b43b1453783d1a949e00afa6abb0ec94";
const JOINER: &str = "b15ff40a089845e93b27b93713ffcfc0be8eae598c8df6bc3c1026fd326bdd10";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/docker")
}

fn scan() -> TaskScan {
    let mut tasks: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(fixtures().join("tasks.json")).unwrap()).unwrap();
    for task in &mut tasks {
        let unread = ["threads", "level", "pid_inside", "pid_for_children", "time_for_children"];
        for field in unread {
            task[field] = serde_json::Value::Null;
        }
    }
    let mut tasks: Vec<crate::observation::Task> =
        tasks.into_iter().map(|task| serde_json::from_value(task).unwrap()).collect();
    let host = tasks.iter().find(|task| &*task.comm == "containerd-shim").unwrap().namespaces;
    let kthreadd = crate::observation::Task {
        pid: 2,
        tgid: 2,
        kernel_thread: true,
        namespaces: host,
        ..Default::default()
    };
    tasks.insert(0, kthreadd);
    TaskScan { tasks: tasks.into(), ..TaskScan::default() }
}

/// A host with Docker's files and a socket, which the test may break.
struct Host {
    folder: Scratch,
    scan: TaskScan,
    options: Options,
}

impl Host {
    fn new() -> Self {
        let folder = Scratch::copy_of(&fixtures().join("host"));
        let options = Options { host_root: folder.path().to_owned(), ..Options::default() };
        Self { folder, scan: scan(), options }
    }

    fn without_files() -> Self {
        let folder = Scratch::new();
        let options = Options { host_root: folder.path().to_owned(), ..Options::default() };
        Self { folder, scan: scan(), options }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn container_file(&self, id: &str, file: &str) -> PathBuf {
        self.path("var/lib/docker/containers").join(id).join(file)
    }

    async fn collect(&self) -> RuntimeFacts {
        let context = Context::new(self.options.clone());
        let files = HostFiles::owned_by(self.folder.path().to_owned(), rustix::process::geteuid().as_raw());
        collect_from(&context, &self.scan, files, Trust::Anyone).await
    }

    fn serve(&self, script: Script) -> Server {
        fs::create_dir_all(self.path("run")).unwrap();
        Server::start(&self.path("run/docker.sock"), script)
    }
}

fn find<'a>(facts: &'a RuntimeFacts, name: &str) -> &'a DeclaredContainer {
    facts.containers.iter().find(|container| container.name.as_deref() == Some(name)).unwrap()
}

/// Without what tells one source from the other.
fn content(facts: &RuntimeFacts) -> (Vec<DeclaredContainer>, &[DeclaredPod]) {
    let mut containers = facts.containers.clone();
    for container in &mut containers {
        container.source.clear();
    }
    (containers, &facts.pods)
}

#[tokio::test]
async fn the_disk_tells_what_the_daemon_would() {
    let host = Host::new();
    let by_disk = host.collect().await;
    assert_eq!(by_disk.gaps, []);
    assert_eq!(by_disk.reports.len(), 1);
    assert_eq!(by_disk.reports[0].endpoint, "/var/lib/docker/containers");
    assert_eq!(by_disk.reports[0].status, RuntimeStatus::Ok);
    assert_eq!(by_disk.reports[0].detail, "read from disk: 8 containers");

    let server = host.serve(Script::Docker);
    let by_socket = host.collect().await;
    assert_eq!(by_socket.gaps, []);
    assert_eq!(by_socket.reports.len(), 1, "{:?}", by_socket.reports);
    assert_eq!(by_socket.reports[0].detail, "Docker 20.10.24+dfsg1, cgroupfs, 8 containers");
    assert_eq!(content(&by_socket), content(&by_disk));
    assert!(server.most_at_once() <= 8);
}

#[tokio::test]
async fn a_pod_of_containers_is_declared_as_it_was_made() {
    let host = Host::new();
    let facts = host.collect().await;
    let nginx = find(&facts, "nginx");
    assert_eq!((nginx.pid, nginx.start_ticks, nginx.state), (11006, Some(198_837), RuntimeState::Running));
    assert_eq!(nginx.cgroup.as_deref(), Some(&*format!("/docker/{NGINX}")));
    assert_eq!(nginx.command, ["httpd", "-f", "-h", "/usr/share/nginx/html"]);
    assert_eq!((nginx.image.as_deref(), nginx.origin, nginx.exit_code), (Some("box"), Origin::Docker, None));
    assert_eq!(nginx.started_at.unwrap().to_string(), "2026-11-23T21:46:26.409278726Z");
    assert_eq!(nginx.finished_at, None, "Docker's year 1 means never");
    assert_eq!(nginx.declared[&Kind::Ipc], Declaration::Shareable);
    assert_eq!(nginx.declared[&Kind::Net], Declaration::Private);
    assert_eq!(nginx.declared[&Kind::Cgroup], Declaration::Host);
    let mounts: Vec<_> = nginx.mounts.iter().map(|m| (&*m.source, &*m.target, m.read_only, m.kind)).collect();
    assert_eq!(
        mounts,
        [
            ("/srv/web/html", "/usr/share/nginx/html", true, MountKind::Bind),
            ("/srv/web/log", "/var/log/nginx", false, MountKind::Bind)
        ]
    );

    let joiner = find(&facts, "busybox");
    for kind in [Kind::Net, Kind::Ipc, Kind::Pid] {
        assert_eq!(joiner.declared[&kind], Declaration::Container(NGINX.to_owned()), "{kind}");
    }
    assert_eq!(joiner.declared[&Kind::Uts], Declaration::Private, "a joined network shares no UTS namespace");
    let hosty = find(&facts, "hosty");
    for kind in [Kind::Net, Kind::Ipc, Kind::Pid, Kind::Uts, Kind::Cgroup, Kind::User, Kind::Time] {
        assert_eq!(hosty.declared[&kind], Declaration::Host, "{kind}");
    }
    assert_eq!(hosty.declared[&Kind::Mnt], Declaration::Private);

    let dead = find(&facts, "dead");
    assert_eq!((dead.state, dead.pid, dead.exit_code), (RuntimeState::Exited, 0, Some(1)));
    assert!(dead.finished_at > dead.started_at && dead.cgroup.is_none());
    let made = find(&facts, "made");
    assert_eq!((made.state, made.exit_code, made.started_at), (RuntimeState::Created, None, None));
    let volumes = &find(&facts, "anon").mounts;
    assert!(volumes.iter().all(|mount| mount.kind == MountKind::Volume), "{volumes:?}");
    assert_eq!(
        volumes[0].source,
        "/var/lib/docker/volumes/28b3ea66c8e4f71ce3a48828a8f30123cdd28318cb351bbcfbaf28ca80a8cbaa/_data"
    );
}

#[tokio::test]
async fn cri_dockerds_labels_make_a_pod() {
    let facts = Host::new().collect().await;
    let (sandbox, app) = (find(&facts, "sbx"), find(&facts, "app"));
    assert_eq!(sandbox.infra_mark.as_deref(), Some("label io.kubernetes.docker.type=podsandbox"));
    assert_eq!((sandbox.origin, app.origin), (Origin::Kubernetes, Origin::Kubernetes));
    assert_eq!((&sandbox.pod, &app.pod), (&Some(sandbox.id.clone()), &Some(sandbox.id.clone())));
    assert_eq!(app.declared[&Kind::Net], Declaration::Pod);
    assert_eq!(app.infra_mark, None);
    assert_eq!(
        facts.pods,
        [DeclaredPod {
            namespace: Some("prod".to_owned()),
            uid: Some("9ee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f".to_owned()),
            created_at: sandbox.created_at,
            infra: Infra::Container(sandbox.id.clone()),
            runtime: Some(Runtime::Docker),
            ..DeclaredPod::new(&sandbox.id, "web", Origin::Kubernetes)
        }]
    );
}

#[tokio::test]
async fn an_environment_is_never_kept() {
    let host = Host::new();
    let text = fs::read_to_string(host.container_file(NGINX, "config.v2.json")).unwrap();
    assert!(text.contains("CANARY"), "the fixture has one");
    let _server = host.serve(Script::Docker);
    for facts in [host.collect().await, Host::new().collect().await] {
        assert!(!format!("{facts:?}").contains("CANARY"));
    }
}

#[tokio::test]
async fn a_damaged_file_costs_its_container_only_and_is_named() {
    type Damage = fn(&Path);
    let breaks: &[(&str, Damage)] = &[
        ("cut short", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("empty", |file| fs::write(file, "").unwrap()),
        ("nonsense", |file| fs::write(file, b"\xff\xfe\0\x1b[2J").unwrap()),
        ("another type", |file| fs::write(file, "[1,2]").unwrap()),
        ("deep", |file| fs::write(file, format!("{{\"State\":{}", "[".repeat(1_000_000))).unwrap()),
        ("huge", |file| fs::File::options().write(true).open(file).unwrap().set_len(17 << 20).unwrap()),
        ("a link", |file| {
            fs::rename(file, file.with_extension("moved")).unwrap();
            symlink(file.with_extension("moved"), file).unwrap();
        }),
        ("a FIFO", |file| {
            fs::remove_file(file).unwrap();
            rustix::fs::mknodat(rustix::fs::CWD, file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        }),
        ("a folder", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        ("another's", |file| {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, text.replace(NGINX, JOINER)).unwrap();
        }),
    ];
    let whole = Host::new().collect().await;
    for (how, damage) in breaks {
        let host = Host::new();
        let file = host.container_file(NGINX, "config.v2.json");
        damage(&file);
        let facts = host.collect().await;
        let others: Vec<_> =
            whole.containers.iter().filter(|container| container.id != NGINX).cloned().collect();
        assert_eq!(facts.containers, others, "{how}");
        assert_eq!(facts.gaps.len(), 1, "{how}: {:?}", facts.gaps);
        let gap = &facts.gaps[0];
        assert!(gap.could_change_verdict && gap.what.contains(NGINX), "{how}: {gap:?}");
        assert!(gap.why.contains(&format!("{NGINX}/config.v2.json")), "{how}: {gap:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_roots_is_not_believed() {
    let host = Host::new();
    let context = Context::new(host.options.clone());
    let stranger = rustix::process::geteuid().as_raw() + 1;
    let files = HostFiles::owned_by(host.folder.path().to_owned(), stranger);
    let facts = collect_from(&context, &host.scan, files, Trust::Anyone).await;
    assert_eq!(facts.containers, []);
    assert!(facts.gaps.iter().any(|gap| gap.could_change_verdict && gap.why.contains("belongs to uid")));
}

#[tokio::test]
async fn without_the_runtimes_own_state_the_kernel_names_the_cgroup() {
    let host = Host::new();
    fs::remove_dir_all(host.path("run")).unwrap();
    let facts = host.collect().await;
    let nginx = find(&facts, "nginx");
    assert_eq!((nginx.pid, nginx.start_ticks, nginx.state), (11006, None, RuntimeState::Running));
    assert_eq!(nginx.cgroup.as_deref(), Some(&*format!("/docker/{NGINX}")));
}

#[tokio::test]
async fn a_pid_that_was_used_again_is_not_the_containers() {
    let mut host = Host::new();
    for task in host.scan.tasks.iter_mut() {
        // A process of another start, in another cgroup.
        if task.pid == 11006 {
            task.start_boottime_ns += 10_000_000;
            task.cgroup = Some("/system.slice/ssh.service".into());
        }
    }
    let facts = host.collect().await;
    let nginx = find(&facts, "nginx");
    assert_eq!((nginx.state, nginx.pid, nginx.start_ticks), (RuntimeState::Exited, 0, None));
    assert_eq!((nginx.exit_code, nginx.finished_at), (None, None), "nobody saw it exit");
    assert_eq!(find(&facts, "busybox").state, RuntimeState::Running);

    // The daemon says that it runs: so it does, but the start that runc wrote down is not that process'.
    let server = host.serve(Script::Docker);
    let facts = host.collect().await;
    assert_eq!((find(&facts, "nginx").pid, find(&facts, "nginx").start_ticks), (11006, None));
    drop(server);

    fs::remove_dir_all(host.path("run")).unwrap();
    assert_eq!(find(&host.collect().await, "nginx").state, RuntimeState::Exited);

    let _server = host.serve(Script::Docker);
    let facts = host.collect().await;
    let nginx = find(&facts, "nginx");
    assert_eq!((nginx.pid, nginx.start_ticks, nginx.cgroup.as_deref()), (11006, None, None));
}

#[tokio::test]
async fn a_daemon_with_roots_of_its_own_is_found_by_its_shims() {
    let host = Host::new();
    fs::rename(host.path("var/lib/docker"), host.path("srv-docker")).unwrap();
    fs::create_dir_all(host.path("own")).unwrap();
    fs::rename(host.path("run/containerd"), host.path("own/state")).unwrap();
    let bundles = host.path("own/state/io.containerd.runtime.v2.task/moby");
    for bundle in fs::read_dir(&bundles).unwrap() {
        let spec = bundle.unwrap().path().join("config.json");
        let text = fs::read_to_string(&spec).unwrap();
        fs::write(&spec, text.replace("/var/lib/docker", "/srv-docker")).unwrap();
    }
    assert_eq!(host.collect().await.containers, [], "nothing leads there yet");

    let shim = host.scan.tasks.iter().find(|task| task.pid == 11006).unwrap().parent;
    let proc = host.path(&format!("proc/{shim}"));
    fs::create_dir_all(&proc).unwrap();
    symlink(format!("/own/state/io.containerd.runtime.v2.task/moby/{NGINX}"), proc.join("cwd")).unwrap();
    let facts = host.collect().await;
    assert_eq!(facts.containers.len(), 8, "{:?}", facts.gaps);
    assert_eq!(find(&facts, "nginx").start_ticks, Some(198_837));

    for (what, change) in [
        ("a shim that is not root's", (|shim| shim.uid = Some(1000)) as fn(&mut crate::observation::Task)),
        ("a shim in another mount namespace", |shim| shim.namespaces.set(Kind::Mnt, 7)),
    ] {
        let mut scan = host.scan.clone();
        change(scan.tasks.iter_mut().find(|task| task.pid == shim).unwrap());
        let other =
            Host { folder: Scratch::copy_of(host.folder.path()), scan, options: host.options.clone() };
        assert_eq!(other.collect().await.containers, [], "{what}");
    }
}

#[tokio::test]
async fn where_there_is_no_docker_it_is_absent_and_nothing_is_missing() {
    let facts = Host::without_files().collect().await;
    assert_eq!((facts.containers.len(), facts.gaps.len(), facts.reports.len()), (0, 0, 1));
    assert_eq!(facts.reports[0].status, RuntimeStatus::Absent);
    assert!(facts.reports[0].endpoint.ends_with("/run/docker.sock"));
}

#[tokio::test]
async fn a_named_folder_is_a_data_root_and_a_named_socket_is_asked_alone() {
    let mut host = Host::new();
    let by_default = host.collect().await;
    host.options.sockets = vec![(Runtime::Docker, host.path("var/lib/docker"))];
    assert_eq!(content(&host.collect().await), content(&by_default));

    // Another daemon without containers: the ones on disk are not its.
    let socket = host.path("own.sock");
    host.options.sockets = vec![(Runtime::Docker, socket.clone())];
    let _server = Server::start(&socket, Script::Empty);
    let facts = host.collect().await;
    assert_eq!((facts.containers.len(), facts.gaps.len()), (0, 0));
}

#[tokio::test]
async fn podmans_imitation_is_not_docker() {
    let host = Host::without_files();
    let _server = host.serve(Script::Podman);
    let facts = host.collect().await;
    assert_eq!(facts.reports[0].status, RuntimeStatus::Absent);
    assert!(facts.reports[0].detail.contains("Podman"), "{:?}", facts.reports);
}

#[tokio::test]
async fn a_container_that_vanishes_is_skipped_and_a_broken_one_is_read_from_disk() {
    let host = Host::new();
    let server = host.serve(Script::Without(NGINX));
    let facts = host.collect().await;
    assert_eq!((facts.containers.len(), facts.gaps.len()), (7, 0), "{:?}", facts.gaps);
    drop(server);

    let _server = host.serve(Script::Stuck(NGINX));
    let facts = Host { options: Options { timeout: Duration::from_secs(1), ..host.options.clone() }, ..host }
        .collect()
        .await;
    assert_eq!(facts.containers.len(), 8);
    assert_eq!(facts.gaps.len(), 1, "{:?}", facts.gaps);
    assert!(!facts.gaps[0].could_change_verdict && facts.gaps[0].why.contains("from disk"));
    assert_eq!(facts.reports[0].status, RuntimeStatus::Error);
}

#[tokio::test]
async fn a_hostile_daemon_is_an_error_with_a_gap_in_time() {
    let scripts = [
        Script::NeverAccept,
        Script::AcceptOnly,
        Script::Hang,
        Script::DripHeaders,
        Script::DripBody,
        Script::Endless,
        Script::Raw("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        Script::Raw("HTTP/1.1 302 Found\r\nLocation: http://example.org/\r\nContent-Length: 0\r\n\r\n"),
        Script::Raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        Script::Raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Version\":"),
        Script::Raw("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"Version\":"),
        Script::Raw("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"Version\":1}"),
        Script::Raw("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"),
        Script::Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Script::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        Script::Raw("SSH-2.0-OpenSSH_9.2\r\n"),
        Script::Raw("\0\u{1}\u{2}"),
        Script::Raw(""),
    ];
    for script in scripts {
        let mut host = Host::without_files();
        host.options.timeout = Duration::from_millis(700);
        let _server = host.serve(script.clone());
        let start = Instant::now();
        let facts = host.collect().await;
        assert!(start.elapsed() < Duration::from_secs(3), "{script:?}: {:?}", start.elapsed());
        assert_eq!(facts.containers, [], "{script:?}");
        assert_eq!(facts.reports.len(), 1, "{script:?}");
        assert_eq!(facts.reports[0].status, RuntimeStatus::Error, "{script:?}: {:?}", facts.reports);
        assert_eq!(facts.gaps.len(), 1, "{script:?}");
        assert!(facts.gaps[0].could_change_verdict, "{script:?}");
        assert!(!facts.gaps[0].why.contains('\n') && facts.gaps[0].why.len() > 20, "{:?}", facts.gaps);
    }
}

#[tokio::test]
async fn a_gigabyte_is_refused_for_its_length() {
    let host = Host::without_files();
    let _server = host.serve(Script::Endless);
    let facts = host.collect().await;
    assert!(facts.gaps[0].why.contains("longer than 16777216 bytes"), "{:?}", facts.gaps);
}

#[tokio::test]
async fn a_data_root_behind_a_link_is_read_once() {
    let host = Host::new();
    // dockerd and its specifications name the real folder, the administrator its link.
    fs::rename(host.path("var/lib/docker"), host.path("data")).unwrap();
    symlink("/data", host.path("var/lib/docker")).unwrap();
    for bundle in fs::read_dir(host.path("run/containerd/io.containerd.runtime.v2.task/moby")).unwrap() {
        let spec = bundle.unwrap().path().join("config.json");
        fs::write(&spec, fs::read_to_string(&spec).unwrap().replace("/var/lib/docker", "/data")).unwrap();
    }
    let facts = host.collect().await;
    let endpoints: Vec<_> = facts.reports.iter().map(|report| &*report.endpoint).collect();
    assert_eq!((endpoints, facts.containers.len()), (vec!["/data/containers"], 8));
}

#[tokio::test]
async fn a_data_root_of_the_daemons_file_is_read_and_one_that_is_not_there_is_said() {
    let mut host = Host::new();
    fs::remove_dir_all(host.path("run")).unwrap();
    fs::rename(host.path("var/lib/docker"), host.path("data")).unwrap();
    fs::create_dir_all(host.path("etc/docker")).unwrap();
    fs::write(host.path("etc/docker/daemon.json"), r#"{"data-root":"/data","debug":true}"#).unwrap();
    assert_eq!(host.collect().await.containers.len(), 8);

    host.options.sockets = vec![(Runtime::Docker, host.path("etc"))];
    let facts = host.collect().await;
    assert_eq!((facts.containers.len(), facts.reports[0].status), (0, RuntimeStatus::Absent));
    assert!(facts.gaps[0].could_change_verdict);
}

#[tokio::test]
async fn one_request_has_five_seconds_and_the_files_stand_in() {
    let host = Host::new();
    let _server = host.serve(Script::Hang);
    let start = Instant::now();
    let facts = host.collect().await;
    assert!((4..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(facts.containers.len(), 8);
    let statuses: Vec<_> = facts.reports.iter().map(|report| report.status).collect();
    assert_eq!(statuses, [RuntimeStatus::Ok, RuntimeStatus::Error]);
    assert!(facts.gaps[0].why.contains("5.0 s"), "{:?}", facts.gaps);
}

#[tokio::test]
async fn ids_that_docker_does_not_make_lead_nowhere() {
    let host = Host::without_files();
    let server = host.serve(Script::StrangeIds);
    let facts = host.collect().await;
    assert_eq!(facts.containers, []);
    assert_eq!(facts.gaps.len(), 2, "{:?}", facts.gaps);
    assert!(server.targets().iter().all(|target| !target.contains("..")), "{:?}", server.targets());
}

#[tokio::test]
async fn a_usual_socket_that_is_not_roots_is_denied() {
    let host = Host::without_files();
    fs::create_dir_all(host.path("run")).unwrap();
    let socket = host.path("run/docker.sock");
    let _server = Server::as_nobody(&socket, Script::Docker);
    let context = Context::new(host.options.clone());
    let facts = collect(&context, &host.scan).await;
    assert_eq!(facts.reports[0].status, RuntimeStatus::Denied, "{:?}", facts.reports);
    assert!(facts.gaps[0].could_change_verdict && facts.gaps[0].why.contains("not by root"));
    // Named by the user, it is asked.
    let options = Options { sockets: vec![(Runtime::Docker, socket)], ..host.options.clone() };
    assert_eq!(collect(&Context::new(options), &host.scan).await.reports[0].status, RuntimeStatus::Ok);
}
