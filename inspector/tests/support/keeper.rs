//! The keeper: a process that starts a containerd and a dockerd of the tests' own and takes them, their
//! containers, mounts and cgroups away again.
//!
//! It is a process because nothing else outlives every way in which a test run can end: it cleans up when its
//! standard input closes, which happens when the tests finish, panic, are interrupted or are killed alike. It
//! ends no process by name and touches nothing outside its own folder and its own containers' cgroups.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::run::{patience, try_run};
use super::{cgroups, truth};

/// The argument that makes the test binary a keeper.
pub const ARGUMENT: &str = "--keeper";

const CONTAINERD: &str = r#"version = 2
# Docker needs none of these, and each costs time or looks at the machine.
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
"#;

/// Keeps containerd and dockerd in `folder`.
pub fn main(folder: &Path) -> ExitCode {
    keep(folder, start, |_| ())
}

/// Runs daemons in `folder` until standard input closes. Says "ready" or "error: …" on standard output. `tidy` takes
/// away what the daemons leave behind and nobody else would, once they have ended.
pub fn keep(
    folder: &Path,
    start: impl Fn(&Path, &mut Vec<Child>) -> Result<(), String>,
    tidy: impl Fn(&Path),
) -> ExitCode {
    let mut daemons = Vec::new();
    let started = start(folder, &mut daemons);
    let word = match &started {
        Ok(()) => "ready".to_owned(),
        Err(error) => format!("error: {}", error.replace('\n', " | ")),
    };
    // Nobody may be listening any more; then the pipe is closed too, and the end comes at once.
    let _ = writeln!(std::io::stdout(), "{word}").and_then(|()| std::io::stdout().flush());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    stop(folder, daemons, tidy);
    if started.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start(folder: &Path, daemons: &mut Vec<Child>) -> Result<(), String> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    fs::write(folder.join("containerd.toml"), CONTAINERD).map_err(|error| error.to_string())?;
    daemons.push(spawn(
        folder,
        "containerd",
        &[
            "--config",
            &path("containerd.toml"),
            "--root",
            &path("containerd"),
            "--state",
            &path("containerd-state"),
        ],
        &["--address", &path("containerd.sock")],
    )?);
    await_socket(folder, "containerd", None)?;
    daemons.push(spawn(
        folder,
        "dockerd",
        &[
            "--data-root",
            &path("docker"),
            "--exec-root",
            &path("docker-exec"),
            "--pidfile",
            &path("docker.pid"),
        ],
        // No bridge and no firewall rules: nothing of the machine's own network is touched, and a container has
        // a network namespace of its own all the same.
        &[
            "--host",
            &format!("unix://{}", path("docker.sock")),
            "--containerd",
            &path("containerd.sock"),
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
        ],
    )?);
    await_socket(folder, "docker", Some(b"GET /_ping HTTP/1.0\r\n\r\n"))
}

/// Starts a daemon in `folder`, its log beside it; it dies with this process.
pub fn spawn(folder: &Path, program: &str, first: &[&str], then: &[&str]) -> Result<Child, String> {
    let log = File::create(folder.join(format!("{program}.log"))).map_err(|error| error.to_string())?;
    let path = std::env::var("PATH").unwrap_or_default();
    // setpriv: should this process be killed, its daemons die with it. The group of its own keeps a terminal's
    // Ctrl-C from them, so that the containers are removed while they still work.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", program])
        .args(first)
        .args(then)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|error| error.to_string())?)
        .stderr(log)
        .spawn()
        .map_err(|error| format!("setpriv {program}: {error}"))
}

/// Waits until a daemon's socket accepts, and answers `request` if there is one.
pub fn await_socket(folder: &Path, name: &str, request: Option<&[u8]>) -> Result<(), String> {
    let deadline = Instant::now() + patience(Duration::from_secs(60));
    while Instant::now() < deadline {
        let answered = UnixStream::connect(folder.join(format!("{name}.sock"))).and_then(|mut socket| {
            socket.set_read_timeout(Some(patience(Duration::from_secs(5))))?;
            let Some(request) = request else { return Ok(true) };
            socket.write_all(request)?;
            let mut answer = [0; 64];
            let length = socket.read(&mut answer)?;
            Ok(answer[..length].windows(6).any(|window| window == b"200 OK"))
        });
        if answered.unwrap_or(false) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(30));
    }
    let log = |program: &str| {
        let text = fs::read_to_string(folder.join(format!("{program}.log"))).unwrap_or_default();
        text.lines().rev().take(3).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    Err(format!("{name} does not answer: {}\n{}", log("containerd"), log("dockerd")))
}

/// Notes a container that was started, so that nothing of it is left even where the runtime forgets it.
pub fn note(folder: &Path, id: &str) {
    let file = File::options().append(true).create(true).open(folder.join("started"));
    file.and_then(|mut file| file.write_all(format!("{id}\n").as_bytes())).unwrap();
}

fn stop(folder: &Path, daemons: Vec<Child>, tidy: impl Fn(&Path)) {
    let started = fs::read_to_string(folder.join("started")).unwrap_or_default();
    let containers: Vec<&str> = started.lines().collect();
    if daemons.len() == 2 && !containers.is_empty() {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_CONFIG", folder).arg("-H").arg(format!("unix://{}/docker.sock", folder.display()));
        let _ =
            try_run(docker.args(["rm", "--force", "--volumes"]).args(&containers), Duration::from_secs(30));
    }
    for daemon in daemons.into_iter().rev() {
        end(daemon);
    }
    // Only where a daemon failed to do its part is anything left: shims (their working folder is a bundle of
    // ours) and containers.
    for pid in truth::pids() {
        let ours = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
            || truth::cgroup(pid).is_some_and(|path| containers.iter().any(|id| path.contains(id)));
        if ours && pid != std::process::id() {
            signal(pid, Signal::KILL);
        }
    }
    tidy(folder);
    unmount_below(folder);
    for root in cgroups::hierarchies() {
        for id in &containers {
            cgroups::remove_tree(&root.join("docker").join(id));
        }
    }
    let _ = fs::remove_dir_all(folder);
}

fn end(mut daemon: Child) {
    signal(daemon.id(), Signal::TERM);
    let deadline = Instant::now() + patience(Duration::from_secs(20));
    while Instant::now() < deadline {
        if !matches!(daemon.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = daemon.kill();
    let _ = daemon.wait();
}

/// Kills a process.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

pub fn unmount_below(folder: &Path) {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below = mountinfo.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    for target in below.filter(|target| target.starts_with(folder)) {
        let _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
    }
}
