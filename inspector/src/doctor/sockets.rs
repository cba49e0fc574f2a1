//! The runtimes' sockets: whether they are there, ours to use, and alive. Nothing is asked over them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::{Check, Status};
use crate::observation::Runtime;
use crate::source::Context;

/// Where each runtime listens, unless the user says otherwise.
const USUAL: [(Runtime, &str); 7] = [
    (Runtime::Docker, "/run/docker.sock"),
    (Runtime::Containerd, "/run/containerd/containerd.sock"),
    (Runtime::Containerd, "/run/k3s/containerd/containerd.sock"),
    (Runtime::Containerd, "/run/k0s/containerd.sock"),
    (Runtime::Containerd, "/var/snap/microk8s/common/run/containerd.sock"),
    (Runtime::CriO, "/run/crio/crio.sock"),
    (Runtime::Podman, "/run/podman/podman.sock"),
];

/// How long a daemon with a full queue has to take one more.
const LIMIT: Duration = Duration::from_secs(1);

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Connects,
    Absent,
    Denied,
    /// A socket that nobody listens on.
    Stale,
    /// It takes no connection in time.
    Hangs,
    Error(String),
}

/// A socket that was tried (or the first usual one of a runtime that has none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) runtime: Runtime,
    pub(super) path: PathBuf,
    pub(super) outcome: Outcome,
}

/// Tries the sockets that the user named, and the usual ones of every other runtime.
pub(super) fn look(context: &Context) -> Vec<Probe> {
    let mut probes = Vec::new();
    for runtime in [Runtime::Docker, Runtime::Containerd, Runtime::CriO, Runtime::Podman] {
        let named: Vec<PathBuf> = context
            .options
            .sockets
            .iter()
            .filter(|(of, _)| *of == runtime)
            .map(|(_, path)| path.clone())
            .collect();
        let paths = if named.is_empty() {
            USUAL.iter().filter(|(of, _)| *of == runtime).map(|(_, path)| context.host(path)).collect()
        } else {
            named
        };
        let mut tried: Vec<Probe> = paths
            .into_iter()
            .map(|path| Probe { runtime, outcome: try_socket(&path, context.time_left(LIMIT)), path })
            .collect();
        // One line for a runtime that is not here, not one for each place where it is not.
        if tried.iter().any(|probe| probe.outcome != Outcome::Absent) {
            tried.retain(|probe| probe.outcome != Outcome::Absent);
        } else {
            tried.truncate(1);
        }
        probes.append(&mut tried);
    }
    probes
}

fn try_socket(path: &Path, limit: Duration) -> Outcome {
    let attempt = || -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    let deadline = Instant::now() + limit;
    loop {
        return match attempt() {
            Ok(()) => Outcome::Connects,
            Err(Errno::NOENT | Errno::NOTDIR) => Outcome::Absent,
            Err(Errno::ACCESS | Errno::PERM) => Outcome::Denied,
            Err(Errno::CONNREFUSED) => Outcome::Stale,
            // Its queue is full.
            Err(Errno::AGAIN) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            Err(Errno::AGAIN) => Outcome::Hangs,
            Err(error) => Outcome::Error(error.to_string()),
        };
    }
}

impl Probe {
    /// What it means.
    pub(super) fn check(&self) -> Check {
        let name = self.runtime.name();
        let path = self.path.display();
        let gives = match self.runtime {
            Runtime::Docker => "names, images, modes and exits of its containers, in the daemon's own words",
            _ => "that it runs here",
        };
        let check = |found: String| Check::new(name, found, gives);
        let lost = match self.runtime {
            Runtime::Docker => {
                "its containers are told by their files on disk, where readable; exited ones are not known"
            }
            _ => "nothing else: its containers are told by their files on disk, where readable",
        };
        match &self.outcome {
            Outcome::Connects => check(format!("{path} takes connections")),
            Outcome::Absent => check(format!("no {path}")).but(
                Status::Missing,
                "nothing, unless it runs here",
                format!("start it, or name its socket: --socket {name}=PATH"),
            ),
            Outcome::Denied => check(format!("{path}: permission denied")).but(
                Status::Degraded,
                lost,
                "run with sudo, or as a member of the group that owns the socket (which is root in all but name)",
            ),
            Outcome::Stale => check(format!("{path}: nobody listens")).but(
                Status::Degraded,
                lost,
                "start it, or remove the socket that it left behind",
            ),
            Outcome::Hangs => check(format!("{path}: no answer in {} s", LIMIT.as_secs())).but(
                Status::Degraded,
                lost,
                "see what the daemon waits for; its queue of connections is full",
            ),
            Outcome::Error(error) => check(format!("{path}: {error}")).but(
                Status::Degraded,
                lost,
                format!("name its socket: --socket {name}=PATH"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::source::Options;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("inspector-doctor-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn real_sockets() {
        let folder = Folder::new("sockets");
        let path = |name: &str| folder.0.join(name);
        let short = Duration::from_millis(60);
        let listener = UnixListener::bind(path("alive")).unwrap();
        assert_eq!(try_socket(&path("alive"), short), Outcome::Connects);
        drop(listener);
        assert_eq!(try_socket(&path("alive"), short), Outcome::Stale);
        assert_eq!(try_socket(&path("none"), short), Outcome::Absent);
        std::fs::write(path("file"), "").unwrap();
        assert_eq!(try_socket(&path("file"), short), Outcome::Stale, "no socket at all");
        assert!(
            matches!(try_socket(&path(&"x".repeat(200)), short), Outcome::Error(_)),
            "longer than an address"
        );
    }

    #[test]
    fn a_daemon_that_hangs_costs_its_limit_and_no_more() {
        let folder = Folder::new("hang");
        let path = folder.0.join("busy");
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _in_queue = UnixStream::connect(&path).unwrap();
        let start = Instant::now();
        assert_eq!(try_socket(&path, Duration::from_millis(60)), Outcome::Hangs);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_runtime_named_by_the_user_is_tried_there_only() {
        let socket = PathBuf::from("/nowhere/docker.sock");
        let options = Options { sockets: vec![(Runtime::Docker, socket.clone())], ..Options::default() };
        let probes = look(&Context::new(options));
        let docker: Vec<_> = probes.iter().filter(|probe| probe.runtime == Runtime::Docker).collect();
        assert_eq!(docker, [&Probe { runtime: Runtime::Docker, path: socket, outcome: Outcome::Absent }]);
    }

    #[test]
    fn whatever_is_wrong_is_said_with_its_remedy() {
        for outcome in [
            Outcome::Absent,
            Outcome::Denied,
            Outcome::Stale,
            Outcome::Hangs,
            Outcome::Error("odd".to_owned()),
        ] {
            for runtime in [Runtime::Docker, Runtime::Podman] {
                let check = Probe { runtime, path: PathBuf::from("/s"), outcome: outcome.clone() }.check();
                assert_ne!(check.status, Status::Ok);
                assert!(check.lost.is_some() && check.remedy.is_some(), "{check:?}");
            }
        }
    }
}
