//! The runtimes' sockets: whether they are there, ours to use, and alive. Nothing is asked over them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::{Check, Status};
use crate::observation::Runtime;
use crate::source::Context;

/// Where each runtime listens, unless the user says otherwise.
const USUAL: [(Runtime, &str); 9] = [
    (Runtime::Docker, "/run/docker.sock"),
    (Runtime::Docker, CRI_DOCKERD),
    (Runtime::Containerd, "/run/containerd/containerd.sock"),
    // k3s and RKE2.
    (Runtime::Containerd, "/run/k3s/containerd/containerd.sock"),
    (Runtime::Containerd, "/run/k0s/containerd.sock"),
    (Runtime::Containerd, "/var/snap/microk8s/common/run/containerd.sock"),
    (Runtime::CriO, "/run/crio/crio.sock"),
    (Runtime::CriO, "/var/run/crio/crio.sock"),
    (Runtime::Podman, "/run/podman/podman.sock"),
];

/// Kubernetes' way to dockerd. It is no runtime of its own, and nothing is asked there: dockerd knows the same pods.
const CRI_DOCKERD: &str = "/run/cri-dockerd.sock";

/// The most rootless Podman sockets that are tried: one for each user who is logged in.
const USERS: usize = 64;

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
            let usual = USUAL.iter().filter(|(of, _)| *of == runtime).map(|(_, path)| context.host(path));
            let rootless = if runtime == Runtime::Podman { rootless(context) } else { Vec::new() };
            distinct(usual.chain(rootless))
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

/// The sockets of users' own Podman services, by uid.
fn rootless(context: &Context) -> Vec<PathBuf> {
    let Ok(users) = std::fs::read_dir(context.host("/run/user")) else { return Vec::new() };
    let mut uids: Vec<u32> =
        users.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(USERS).collect();
    uids.sort_unstable();
    uids.into_iter().map(|uid| context.host(format!("/run/user/{uid}/podman/podman.sock"))).collect()
}

/// Each socket once: `/var/run` is `/run` on most nodes.
fn distinct(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let file = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
    paths.filter(|path| file(path).is_none_or(|file| seen.insert(file))).collect()
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

/// What asking over a runtime's socket gives, and what is lost without: the files say the rest.
struct Worth {
    gives: &'static str,
    lost: &'static str,
}

const fn worth(runtime: Runtime) -> Worth {
    match runtime {
        Runtime::Docker => Worth {
            gives: "names, images, modes, volumes and exits of its containers, in the daemon's own words",
            lost: "little as root: its containers, exited ones too, are told by the files in its data root and in \
                   /run; without those rights names and modes, and exited containers are not known",
        },
        Runtime::Containerd => Worth {
            gives: "Kubernetes' pods as its CRI knows them: names, uids, sandboxes, modes, images, exits",
            lost: "little as root: its sandboxes and containers, those of ctr and nerdctl too, are told by the \
                   specifications in /run and the files in /var/lib/containerd; where those cannot be read, they \
                   are told by their cgroups, without names",
        },
        Runtime::CriO => Worth {
            gives: "Kubernetes' pods as CRI-O knows them: names, uids, sandboxes (also without a process), modes, exits",
            lost: "little as root: its sandboxes and containers are told by the files in /run/containers and \
                   /var/lib/containers; where those cannot be read, containers are told by their cgroups, and who \
                   pinned a namespace is not known",
        },
        Runtime::Podman => Worth {
            gives: "pods and containers as Podman knows them: names, modes, images, exits",
            lost: "nothing as a rule: Podman needs no service, and its pods, exited containers too, are told by its \
                   database and files where they can be read; else by their cgroups, without names",
        },
        Runtime::Oci => Worth { gives: "nothing: runc and crun have no daemon", lost: "nothing" },
    }
}

impl Probe {
    /// What it means.
    pub(super) fn check(&self) -> Check {
        let name = self.runtime.name();
        let path = self.path.display();
        let Worth { gives, lost } = worth(self.runtime);
        let check = |found: String| Check::new(name, found, gives);
        if self.path.ends_with(CRI_DOCKERD.trim_start_matches('/')) && self.outcome != Outcome::Absent {
            // Whether it answers or not: dockerd is the one to ask.
            return check(format!("{path} (cri-dockerd) is here; its pods are asked of dockerd"));
        }
        match &self.outcome {
            Outcome::Connects => check(format!("{path} takes connections")),
            Outcome::Absent if self.runtime == Runtime::Docker => check(format!("no {path}")).but(
                Status::Missing,
                "nothing, unless it runs here",
                format!("start it, or name its socket: --socket {name}=PATH"),
            ),
            Outcome::Absent => check(format!("no {path}: not here, or not where it usually listens")),
            Outcome::Denied => check(format!("{path}: permission denied")).but(
                Status::Degraded,
                lost,
                match self.runtime {
                    Runtime::Podman => "run with sudo, or as the user whose Podman it is",
                    _ => "run with sudo, or as a member of the group that owns the socket (which is root in all but name)",
                },
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
        for runtime in [Runtime::Docker, Runtime::Containerd, Runtime::CriO, Runtime::Podman] {
            for outcome in [Outcome::Denied, Outcome::Stale, Outcome::Hangs, Outcome::Error("odd".to_owned())]
            {
                let check = Probe { runtime, path: PathBuf::from("/s"), outcome }.check();
                assert_ne!(check.status, Status::Ok);
                assert!(check.lost.is_some() && check.remedy.is_some(), "{check:?}");
            }
            let works = Probe { runtime, path: PathBuf::from("/s"), outcome: Outcome::Connects }.check();
            assert_eq!((works.status, works.lost), (Status::Ok, None), "every runtime is asked");
        }
    }

    #[test]
    fn every_usual_socket_of_a_host_is_found_users_own_too() {
        let folder = Folder::new("host");
        let mut listeners = Vec::new();
        let rootless = "/run/user/1000/podman/podman.sock";
        std::fs::create_dir_all(folder.0.join("run/user/not-a-uid")).unwrap();
        // As on a real host, so that CRI-O's socket is one though two paths lead to it.
        std::fs::create_dir_all(folder.0.join("var")).unwrap();
        std::os::unix::fs::symlink("../run", folder.0.join("var/run")).unwrap();
        let names = USUAL.iter().map(|(_, path)| *path).chain([rootless]);
        for path in names.filter(|path| !path.starts_with("/var/run")) {
            let path = folder.0.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            listeners.push(UnixListener::bind(path).unwrap());
        }
        let probes = look(&Context::new(Options { host_root: folder.0.clone(), ..Options::default() }));
        assert_eq!(probes.len(), listeners.len(), "{probes:#?}");
        assert!(probes.iter().all(|probe| probe.outcome == Outcome::Connects), "{probes:#?}");
        let users_own: Vec<_> = probes.iter().filter(|probe| probe.path.ends_with(&rootless[1..])).collect();
        assert!(matches!(users_own[..], [Probe { runtime: Runtime::Podman, .. }]), "{probes:#?}");
        // cri-dockerd is no place to ask, and its absence no news.
        let cri_dockerd = probes.iter().find(|probe| probe.path.ends_with("run/cri-dockerd.sock")).unwrap();
        assert!(cri_dockerd.check().found.contains("asked of dockerd"));
    }
}
