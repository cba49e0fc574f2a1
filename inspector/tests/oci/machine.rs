//! A folder of one test's own with runc's root, bundles and pins in it, and the process that takes all of it away again
//! however the test ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use serde_json::{Value, json};

use crate::support::answer::{Answer, Ours};
use crate::support::run::{inspector, wait_until};
use crate::support::{cgroups, executable, helper, keeper, truth};

/// The folder, with its keeper.
pub struct Machine {
    pub folder: PathBuf,
    keeper: Child,
}

/// A running container.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    pub pid: u32,
}

/// Waits until standard input closes, and removes everything in and of `folder`.
pub fn keep(folder: &Path) -> ExitCode {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let base = cgroup_base(folder);
    let identity = |path: &Path| fs::metadata(path).ok().map(|data| (data.dev(), data.ino()));
    let tree = identity(&folder.join("rootfs"));
    let mine = |pid: &u32| {
        truth::cgroup(*pid).is_some_and(|path| path.starts_with(&base))
            || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
            // crun's, without cgroups, are nowhere but on the tree that they were made with.
            || tree.is_some() && identity(Path::new(&format!("/proc/{pid}/root/"))) == tree
    };
    for _ in 0..100 {
        let left: Vec<u32> =
            truth::pids().into_iter().filter(mine).filter(|pid| !truth::is_dead(*pid)).collect();
        if left.is_empty() {
            break;
        }
        left.into_iter().for_each(keeper::kill);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    keeper::unmount_below(folder);
    for root in cgroups::hierarchies() {
        cgroups::remove_tree(&root.join(base.trim_start_matches('/')));
    }
    let _ = fs::remove_dir_all(folder);
    ExitCode::SUCCESS
}

fn cgroup_base(folder: &Path) -> String {
    format!("/{}", folder.file_name().unwrap().to_str().unwrap())
}

impl Machine {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests start real containers: run them as root");
        let folder = tempfile::Builder::new().prefix("inspector-oci-").tempdir().unwrap().keep();
        let keeper = Command::new(std::env::current_exe().unwrap())
            .arg(keeper::ARGUMENT)
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let bin = folder.join("rootfs/bin");
        for name in [
            "rootfs/bin",
            "rootfs/proc",
            "rootfs/dev",
            "rootfs/sys",
            "rootfs/data",
            "runc",
            "crun",
            "bundles",
        ] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        executable::copy("/bin/busybox".as_ref(), &bin.join("busybox"));
        executable::copy(&helper::folder().join("pause"), &folder.join("rootfs/pause"));
        Self { folder, keeper }
    }

    /// The flag that makes the program read runc's root.
    pub fn runc_flag(&self) -> String {
        format!("--socket=oci={}", self.folder.join("runc").display())
    }

    /// The cgroup of a container.
    pub fn cgroup(&self, id: &str) -> String {
        format!("{}/{id}", cgroup_base(&self.folder))
    }

    /// A specification: these namespaces, each with its path to join or none.
    pub fn spec(&self, id: &str, command: &[&str], namespaces: &[(&str, Option<String>)]) -> Value {
        let namespace = |(kind, path): &(&str, Option<String>)| match path {
            Some(path) => json!({ "type": kind, "path": path }),
            None => json!({ "type": kind }),
        };
        let list: Vec<Value> = [("mount", None)].iter().chain(namespaces).map(namespace).collect();
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": command, "cwd": "/",
                "env": ["PATH=/bin", "SECRET=hunter2-must-never-be-seen"],
            },
            "root": { "path": self.folder.join("rootfs"), "readonly": true },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            ],
            "linux": { "cgroupsPath": self.cgroup(id), "namespaces": list },
        })
    }

    /// Writes a bundle; returns its folder.
    pub fn bundle(&self, id: &str, spec: &Value) -> PathBuf {
        let bundle = self.folder.join("bundles").join(id);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        bundle
    }

    /// Runs a container of a bundle: the runtime's name, then the command that runs it.
    pub fn run_bundle(&self, runtime: &[&str], id: &str, bundle: &Path) -> Container {
        let log = self.folder.join(format!("{id}.log"));
        let out = fs::File::create(&log).unwrap();
        // No pipe: the container would hold its other end.
        let status = Command::new(runtime[1])
            .args(&runtime[2..])
            .arg("--root")
            .arg(self.folder.join(runtime[0]))
            .args(["run", "--detach", "--bundle"])
            .arg(bundle)
            .arg("--pid-file")
            .arg(self.folder.join(format!("{id}.pid")))
            .arg(id)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .status()
            .unwrap();
        assert!(status.success(), "{runtime:?} run {id}: {}", fs::read_to_string(&log).unwrap_or_default());
        let pid = fs::read_to_string(self.folder.join(format!("{id}.pid"))).unwrap().trim().parse().unwrap();
        Container { id: id.to_owned(), pid }
    }

    /// Runs a container by runc.
    pub fn run(&self, id: &str, command: &[&str], namespaces: &[(&str, Option<String>)]) -> Container {
        let bundle = self.bundle(id, &self.spec(id, command, namespaces));
        self.run_bundle(&["runc", "runc"], id, &bundle)
    }

    /// Asks by every source, checks that they agree and that each living container is as /proc says, and returns the
    /// part of the answer about these containers.
    pub fn agreed(&self, flag: &str, containers: &[&Container], more: &[&str]) -> Ours {
        let ids: Vec<&str> = containers.iter().map(|it| it.id.as_str()).collect();
        self.agreed_on(flag, containers, &ids, more)
    }

    /// The same, about more ids than those of containers.
    pub fn agreed_on(&self, flag: &str, containers: &[&Container], ids: &[&str], more: &[&str]) -> Ours {
        let ask = |source: &str| {
            let arguments = [&["pods", "-o", "json", source, flag, NO_DOCKER][..], more].concat();
            let run = inspector(arguments);
            assert!(!run.text().contains("hunter2"), "a secret was printed");
            Answer::of(run)
        };
        let (bpf, procfs) = (ask("--source=bpf"), ask("--source=procfs"));
        for gap in procfs.gaps() {
            assert!(
                !ids.iter().any(|id| gap.starts_with(&format!("container {id},"))),
                "a gap about our containers: {gap}"
            );
        }
        let of = |answer: &Answer| {
            let mut ours = answer.ours(ids);
            let extra = |pod: &&Value| ids.iter().any(|id| pod["id"] == *id);
            let listed = answer.json["pods"].as_array().unwrap().iter().filter(extra);
            for pod in listed {
                if !ours.pods.contains(pod) {
                    ours.pods.push(pod.clone());
                }
            }
            ours
        };
        let (ours, other) = (of(&bpf), of(&procfs));
        assert_eq!(ours, other, "the iterator (left) and /proc (right) differ");
        for container in containers {
            let Some(truth) = truth::Truth::of(container.pid).filter(|_| !truth::is_dead(container.pid))
            else {
                continue;
            };
            let row = ours.container(&container.id);
            assert_eq!(row["initPid"], truth.pid, "{row:#}");
            assert_eq!(row["namespaces"], serde_json::to_value(&truth.namespaces).unwrap(), "{row:#}");
            assert_eq!(row["identity"], "confirmed");
        }
        ours
    }

    /// Kills a process and waits until it is gone.
    pub fn kill(&self, pid: u32) {
        keeper::kill(pid);
        wait_until("the process ends", || truth::is_dead(pid));
    }
}

/// No Docker daemon is asked.
const NO_DOCKER: &str = "--socket=docker=/nonexistent/docker.sock";

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.keeper.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = self.keeper.wait();
    }
}

/// The path of a process's namespace.
pub fn ns(pid: u32, kind: &str) -> Option<String> {
    Some(format!("/proc/{pid}/ns/{kind}"))
}
