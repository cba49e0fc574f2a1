//! Pods as CRI-O lays them out: `config.json` and `state.json` in two folders for each sandbox and container, real bind
//! mounts of namespaces, and containers that real runc started and made join those.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::machine::{Container, Machine, ns};
use crate::support::helper::Helper;
use crate::support::truth;

const CREATED: &str = "2026-11-23T10:00:00.123456789Z";

/// What a pod is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// One PID namespace for all, held by a pause process.
    pub shared_pid: bool,
    /// The host's network.
    pub host_network: bool,
    /// Each container below a real conmon, as CRI-O starts it.
    pub monitored: bool,
}

/// Starts a container as CRI-O does: conmon works in the bundle, has the runtime create it, and stays its init's parent.
const CONMON: &str = r#"cd "$6" && conmon --api-version 1 -c "$9" -u "$9" -n "$9" -r "$(command -v runc)" --runtime-arg --root="$2" \
  -b "$6" -p "$8" --exit-dir "$6" --persist-dir "$6" --socket-dir-path "$6" -l k8s-file:"$6/log" || exit
n=0; until [ -s "$8" ]; do n=$((n+1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done
exec runc --root "$2" start "$9""#;

/// A pod.
pub struct Pod<'m> {
    machine: &'m Machine,
    pub id: String,
    name: String,
    uid: String,
    wish: Wish,
    /// Kind, by the specification's name, and pin.
    pub pins: Vec<(&'static str, String)>,
    pub pause: Option<Container>,
}

/// The folder that stands for the storage.
pub fn flag(machine: &Machine) -> String {
    format!("--socket=cri-o={}", machine.folder.join("storage").display())
}

fn next_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{:08x}{:056x}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// The folders of a container: what outlives a boot, and what does not.
fn folders(machine: &Machine, id: &str) -> [PathBuf; 2] {
    ["root", "runroot"].map(|root| {
        let folder =
            machine.folder.join("storage").join(root).join("overlay-containers").join(id).join("userdata");
        fs::create_dir_all(&folder).unwrap();
        folder
    })
}

/// Pins a namespace as CRI-O's pinns does: a bind mount over an empty file.
pub fn pin(machine: &Machine, kind: &str, name: &str, pid: u32) -> String {
    let folder = machine.folder.join("ns").join(format!("{kind}ns"));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, "").unwrap();
    rustix::mount::mount_bind(format!("/proc/{pid}/ns/{kind}"), &path).unwrap();
    path.to_str().unwrap().to_owned()
}

impl<'m> Pod<'m> {
    pub fn new(machine: &'m Machine, name: &str, wish: Wish) -> Self {
        let id = next_id();
        let uuid = format!("5c1f0e5e-0000-4000-8000-{}", &id[52..]);
        let maker = Helper::start(&["new", "net,ipc,uts", "/bin/busybox", "sleep", "1000"]);
        let pid = maker.command_pid();
        // The tests' own network is the host's, and their own entry in /proc is readable where PID 1's is not.
        let own = std::process::id();
        assert_eq!(truth::namespace(own, "net"), Some(truth::host_namespace("net")));
        let net = if wish.host_network { own } else { pid };
        let pins = vec![
            ("ipc", pin(machine, "ipc", &uuid, pid)),
            ("network", pin(machine, "net", &uuid, net)),
            ("uts", pin(machine, "uts", &uuid, pid)),
        ];
        drop(maker);
        let uid = format!("6d1f0e5e-0000-4000-8000-{}", &id[52..]);
        let mut pod = Self { machine, id, name: name.to_owned(), uid, wish, pins, pause: None };
        pod.write_sandbox();
        pod
    }

    fn namespaces(&self, pid: Option<String>) -> Vec<(&'static str, Option<String>)> {
        let pins = self.pins.iter().map(|(kind, path)| (*kind, Some(path.clone())));
        std::iter::once(("pid", pid)).chain(pins).collect()
    }

    fn spec(
        &self,
        id: &str,
        command: &[&str],
        namespaces: &[(&str, Option<String>)],
        annotations: Value,
    ) -> Value {
        let mut spec = self.machine.spec(id, command, namespaces);
        spec["linux"]["cgroupsPath"] = json!(self.cgroup(id));
        spec["annotations"] = annotations;
        spec["annotations"]["io.container.manager"] = json!("cri-o");
        spec
    }

    pub fn cgroup(&self, id: &str) -> String {
        self.machine.cgroup(&format!("kubepods/burstable/pod{}/crio-{id}", self.uid))
    }

    fn write_sandbox(&mut self) {
        let mode = if self.wish.host_network { json!({ "network": 2 }) } else { json!({}) };
        let mut modes = mode;
        if !self.wish.shared_pid {
            modes["pid"] = json!(1);
        }
        let labels = json!({
            "io.kubernetes.pod.name": self.name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": self.uid,
            "io.kubernetes.container.name": "POD",
        });
        let crio_name = format!("k8s_{}_shop_{}_0", self.name, self.uid);
        let mut annotations = json!({
            "io.kubernetes.cri-o.Metadata": json!({ "name": self.name, "uid": self.uid, "namespace": "shop" }).to_string(),
            "io.kubernetes.cri-o.Labels": labels.to_string(),
            "io.kubernetes.cri-o.Annotations": "{}",
            "io.kubernetes.cri-o.Name": crio_name,
            "io.kubernetes.cri-o.SandboxName": crio_name,
            "io.kubernetes.cri-o.Namespace": "shop",
            "io.kubernetes.cri-o.ContainerType": "sandbox",
            "io.kubernetes.cri-o.SandboxID": self.id,
            "io.kubernetes.cri-o.Image": "registry.k8s.io/pause:3.10",
            "io.kubernetes.cri-o.ImageName": "registry.k8s.io/pause:3.10",
            "io.kubernetes.cri-o.ContainerName": format!("k8s_POD_{}_shop_{}_0", self.name, self.uid),
            "io.kubernetes.cri-o.ContainerID": self.id,
            "io.kubernetes.cri-o.RuntimeHandler": "runc",
            "io.kubernetes.cri-o.NamespaceOptions": modes.to_string(),
            "io.kubernetes.cri-o.KubeName": self.name,
            "io.kubernetes.cri-o.HostNetwork": self.wish.host_network.to_string(),
            "io.kubernetes.cri-o.Created": CREATED,
            "io.kubernetes.cri-o.PortMappings": "[]",
        });
        for (name, value) in labels.as_object().unwrap() {
            annotations[name] = value.clone();
        }
        let [root, run_root] = folders(self.machine, &self.id);
        if self.wish.shared_pid {
            let spec = self.spec(&self.id, &["/pause"], &self.namespaces(None), annotations);
            self.pause = Some(self.start(&self.id.clone(), &spec));
        } else {
            annotations["spoofed.crio.io"] = json!("true");
            let spec = self.spec(&self.id, &["/pause"], &self.namespaces(None), annotations);
            fs::write(root.join("config.json"), spec.to_string()).unwrap();
            fs::write(run_root.join("config.json"), spec.to_string()).unwrap();
            let state = json!({ "ociVersion": "", "id": "", "status": "", "bundle": "", "created": CREATED, "started": CREATED,
                "finished": "0001-01-01T00:00:00Z", "checkpointedTime": "0001-01-01T00:00:00Z" });
            fs::write(run_root.join("state.json"), state.to_string()).unwrap();
        }
    }

    /// Starts a container of the pod.
    pub fn run(&self, name: &str, command: &[&str]) -> Container {
        let pid = self.pause.as_ref().and_then(|pause| ns(pause.pid, "pid"));
        let mut namespaces = self.namespaces(pid);
        if self.wish.host_network {
            namespaces.retain(|(kind, _)| *kind != "network");
        }
        self.run_in(name, command, &namespaces)
    }

    /// Starts a container of the pod in these namespaces.
    pub fn run_in(&self, name: &str, command: &[&str], namespaces: &[(&str, Option<String>)]) -> Container {
        let id = next_id();
        let labels = json!({
            "io.kubernetes.pod.name": self.name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": self.uid,
            "io.kubernetes.container.name": name,
        });
        // Real ones carry the labels too with a kubelet; without one, only this.
        let annotations = json!({
            "io.kubernetes.cri-o.Image": "docker.io/library/busybox:1.36",
            "io.kubernetes.cri-o.ImageName": "docker.io/library/busybox:1.36",
            "io.kubernetes.cri-o.Name": format!("k8s_{name}_{}_shop_{}_0", self.name, self.uid),
            "io.kubernetes.cri-o.ContainerID": id,
            "io.kubernetes.cri-o.SandboxID": self.id,
            "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.Created": CREATED,
            "io.kubernetes.cri-o.Metadata": json!({ "name": name }).to_string(),
            "io.kubernetes.cri-o.Labels": labels.to_string(),
            "io.kubernetes.cri-o.Volumes": json!([{ "container_path": "/data", "host_path": "/srv/shop", "readonly": true,
                "recursive_read_only": false, "propagation": 0, "selinux_relabel": false }]).to_string(),
        });
        let spec = self.spec(&id, command, namespaces, annotations);
        self.start(&id, &spec)
    }

    fn start(&self, id: &str, spec: &Value) -> Container {
        let [root, run_root] = folders(self.machine, id);
        fs::write(root.join("config.json"), spec.to_string()).unwrap();
        fs::write(run_root.join("config.json"), spec.to_string()).unwrap();
        let monitored = ["runc", "sh", "-c", CONMON, "conmon"];
        let runtime = if self.wish.monitored { &monitored[..] } else { &["runc", "runc"] };
        let container = self.machine.run_bundle(runtime, id, &run_root);
        fs::write(run_root.join("pidfile"), container.pid.to_string()).unwrap();
        let start = truth::Truth::of(container.pid).unwrap().start_ticks.to_string();
        let state = json!({ "ociVersion": "1.0.2", "id": id, "status": "running", "pid": container.pid, "bundle": run_root,
            "created": CREATED, "started": CREATED, "finished": "0001-01-01T00:00:00Z", "initPid": container.pid,
            "initStartTime": start, "checkpointedTime": "0001-01-01T00:00:00Z" });
        fs::write(root.join("state.json"), state.to_string()).unwrap();
        container
    }

    /// Ends a container, as conmon notes it.
    pub fn stop(&self, container: &Container) {
        self.machine.kill(container.pid);
        fs::write(folders(self.machine, &container.id)[0].join("exit"), "137").unwrap();
    }

    /// The inode behind a pin.
    pub fn inode(&self, kind: &str) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(&self.pins.iter().find(|(of, _)| *of == kind).unwrap().1).unwrap().ino()
    }
}
