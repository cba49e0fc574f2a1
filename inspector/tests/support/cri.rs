//! A containerd of the tests' own, driven by the Container Runtime Interface as a kubelet drives it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, OnceLock};

use inspector::source::grpc::Client;
use inspector::source::http::Trust;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::cri_messages::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, Empty, ExecSyncRequest, Id, ImageSpec,
    KeyValue, LinuxContainerConfig, LinuxSandboxConfig, Mount, NamespaceOption, RunSandboxRequest,
    SandboxConfig, SandboxMetadata, SecurityContext, StatusRequest, StatusResponse, StopContainerRequest,
};
use super::run::{self, wait_until};
use super::{cgroups, images, keeper, truth};

/// The argument that makes the test binary a keeper of containerd.
pub const ARGUMENT: &str = "--cri-keeper";

/// Modes of `runtime.v1.NamespaceMode`.
pub const POD: i32 = 0;
pub const CONTAINER: i32 = 1;
pub const NODE: i32 = 2;
pub const TARGET: i32 = 3;

/// In the environment of every container: nobody may find it in what the program writes.
pub const SECRET: &str = "correct horse battery staple";

/// A network that only says that it is there: nothing of the machine's own is touched.
const PLUGIN: &str = r#"#!/bin/sh
cat >/dev/null
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],
  "ips":[{"version":"4","interface":0,"address":"192.0.2.1/32"}]}' ;;
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}' ;;
esac
"#;

/// The daemon and its folder.
pub struct World {
    /// Everything of the daemon's and the tests' lies here. Any user may enter it.
    pub folder: PathBuf,
    keeper: Mutex<Option<Child>>,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

/// The daemon, started when the first test asks. Fails the test where it cannot be started.
pub fn world() -> &'static World {
    match WORLD.get_or_init(World::start) {
        Ok(world) => world,
        Err(error) => panic!("no containerd to test with: {error}"),
    }
}

/// Ends the daemon, if one was started, and waits until nothing of it is left.
pub fn stop() {
    if let Some(Ok(world)) = WORLD.get()
        && let Some(mut keeper) = world.keeper.lock().unwrap().take()
    {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        assert!(!world.folder.exists(), "{} was not cleaned up", world.folder.display());
    }
}

/// Keeps the daemon of a folder until standard input closes.
pub fn keep(folder: &Path) -> ExitCode {
    keeper::keep(folder, start_daemon, tidy)
}

fn start_daemon(folder: &Path, daemons: &mut Vec<Child>) -> Result<(), String> {
    let path = |name: &str| folder.join(name).display().to_string();
    configure(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    daemons.push(keeper::spawn(
        folder,
        "containerd",
        &["--config", &path("containerd.toml")],
        &["--root", &path("root"), "--state", &path("state"), "--address", &path("containerd.sock")],
    )?);
    keeper::await_socket(folder, "containerd", None)
}

fn configure(folder: &Path) -> std::io::Result<()> {
    let (plugins, networks) = (folder.join("cni/bin"), folder.join("cni/net.d"));
    fs::create_dir_all(&plugins)?;
    fs::create_dir_all(&networks)?;
    std::os::unix::fs::symlink("/usr/lib/cni/loopback", plugins.join("loopback"))?;
    fs::write(plugins.join("none"), PLUGIN)?;
    fs::set_permissions(plugins.join("none"), fs::Permissions::from_mode(0o755))?;
    let network = json!({ "cniVersion": "0.4.0", "name": "none", "plugins": [{ "type": "none" }] });
    fs::write(networks.join("none.conflist"), network.to_string())?;
    let config = format!(
        r#"version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "{}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {}
  # The same program by a name that says that it is something else.
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata-test]
    runtime_type = "io.containerd.runc.v2"
"#,
        plugins.display(),
        networks.display(),
        on_node()
    );
    fs::write(folder.join("containerd.toml"), config)
}

/// Takes away what the daemon left: its containers outlive it.
fn tidy(folder: &Path) {
    let parent = cgroup_root(folder);
    for pid in truth::pids() {
        let below = truth::cgroup(pid).is_some_and(|path| path.starts_with(&format!("{parent}/")));
        let ours =
            below || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        if ours && pid != std::process::id() {
            keeper::kill(pid);
        }
    }
    wait_until("the containers' processes end", || truth::processes_in(&parent).is_empty());
    for root in cgroups::hierarchies() {
        cgroups::remove_tree(&root.join(parent.trim_start_matches('/')));
    }
}

/// Whether this machine was made for the tests (`cargo xtask guest`): systemd keeps its cgroups, as on most nodes.
fn on_node() -> bool {
    std::env::var_os("INSPECTOR_TEST_NODE").is_some()
}

/// A parent of its own for the pods' cgroups, so that a kubelet of this machine leaves them alone.
fn cgroup_root(folder: &Path) -> String {
    if on_node() {
        return "/kubepods.slice".to_owned();
    }
    format!("/{}", folder.file_name().unwrap().to_string_lossy())
}

/// Where a kubelet puts a pod, with systemd's cgroup driver or the other.
fn cgroup_of_pod(folder: &Path, uid: &str) -> String {
    let root = cgroup_root(folder);
    if on_node() {
        let uid = uid.replace('-', "_");
        return format!("{root}/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice");
    }
    format!("{root}/kubepods/besteffort/pod{uid}")
}

impl World {
    fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err(
                "these tests start real containers: run them as root (`cargo xtask test` asks for sudo)"
                    .into(),
            );
        }
        let folder =
            tempfile::Builder::new().prefix("inspector-cri-").tempdir().map_err(|error| error.to_string())?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        let mut keeper = Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
            .arg(ARGUMENT)
            .arg(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // From here on the keeper removes the folder.
        let folder = folder.keep();
        let mut word = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut word).map_err(|error| error.to_string())?;
        }
        let world = Self { folder, keeper: Mutex::new(Some(keeper)) };
        if word.trim_end() != "ready" {
            return Err(format!("{}: `cargo xtask setup` installs what the tests need", word.trim_end()));
        }
        images::import(&world.folder, |arguments| world.import(arguments)).map(|()| world)
    }

    /// Imports an image as `docker import` would: `["import", "--change", "CMD […]", archive, name]`.
    fn import(&self, arguments: &[&str]) -> Result<(), String> {
        let [_, _, change, layer, name] = arguments else { return Err(format!("{arguments:?}")) };
        let command: Value =
            serde_json::from_str(change.trim_start_matches("CMD ")).map_err(|e| e.to_string())?;
        let bytes = fs::read(layer).map_err(|error| error.to_string())?;
        let digest: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let image = self.folder.join("image");
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&image)?;
            fs::write(image.join("layer.tar"), &bytes)?;
            let config = json!({
                "architecture": "amd64", "os": "linux", "config": { "Cmd": command },
                "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
            });
            fs::write(image.join("config.json"), config.to_string())?;
            let manifest = json!([{ "Config": "config.json", "RepoTags": [format!("localhost/{name}:1")], "Layers": ["layer.tar"] }]);
            fs::write(image.join("manifest.json"), manifest.to_string())
        };
        write().map_err(|error| error.to_string())?;
        let archive = self.folder.join("archive.tar");
        let succeed = |command: &mut Command| {
            let run = run::try_run(command, run::LIMIT)?;
            if run.code == Some(0) { Ok(()) } else { Err(format!("{}: {}", run.command, run.stderr)) }
        };
        succeed(Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&archive).arg("."))?;
        succeed(
            Command::new("ctr")
                .args(["-a", &self.socket(), "-n", "k8s.io", "images", "import"])
                .arg(&archive),
        )?;
        fs::remove_dir_all(&image).and_then(|()| fs::remove_file(&archive)).map_err(|error| error.to_string())
    }

    /// The daemon's socket.
    pub fn socket(&self) -> String {
        format!("{}/containerd.sock", self.folder.display())
    }

    /// The flag that makes the program ask the daemon.
    pub fn with_socket(&self) -> String {
        format!("--socket=containerd={}", self.socket())
    }

    /// The flag that makes the program read the daemon's files.
    pub fn with_root(&self) -> String {
        format!("--socket=containerd={}/root", self.folder.display())
    }

    /// A folder for a test's own files, which any user may enter.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("scratch").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// One call of `runtime.v1.RuntimeService`.
    pub fn call<Q, A>(&self, method: &'static str, question: Q) -> A
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.try_call(method, question).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_call<Q, A>(&self, method: &'static str, question: Q) -> Result<A, inspector::source::grpc::Error>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::connect(Path::new(&self.socket()), Trust::Root, run::LIMIT).await?;
            client.call(method, question, 16 << 20, run::LIMIT).await
        })
    }
}

/// How a pod is to be.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub name: String,
    pub namespace: String,
    /// Made up from the others where it is empty.
    pub uid: String,
    pub attempt: u32,
    pub network: i32,
    pub pid: i32,
    pub ipc: i32,
    /// `RuntimeClass`' handler.
    pub handler: String,
    /// Rules that it asks to leave out, by an annotation.
    pub ignore: String,
}

impl Wish {
    /// A pod of this name in namespace `default`, PID namespaces private as Kubernetes has them by default.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: "default".to_owned(), pid: CONTAINER, ..Self::default() }
    }

    fn options(&self) -> NamespaceOption {
        NamespaceOption { network: self.network, pid: self.pid, ipc: self.ipc, target_id: String::new() }
    }
}

/// A sandbox and what runs in it; removed when dropped.
pub struct Pod {
    world: &'static World,
    pub id: String,
    pub wish: Wish,
    config: SandboxConfig,
}

impl Pod {
    /// Runs a sandbox as a kubelet does.
    pub fn run(world: &'static World, mut wish: Wish) -> Self {
        if wish.uid.is_empty() {
            let digest = sha2::Sha256::digest(format!("{}/{}", wish.namespace, wish.name));
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            wish.uid =
                format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30]);
        }
        let labels = [
            ("io.kubernetes.pod.name", &wish.name),
            ("io.kubernetes.pod.namespace", &wish.namespace),
            ("io.kubernetes.pod.uid", &wish.uid),
        ];
        let config = SandboxConfig {
            metadata: Some(SandboxMetadata {
                name: wish.name.clone(),
                uid: wish.uid.clone(),
                namespace: wish.namespace.clone(),
                attempt: wish.attempt,
            }),
            hostname: if wish.network == NODE { String::new() } else { wish.name.clone() },
            log_directory: world.scratch("logs").display().to_string(),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect(),
            annotations: [
                ("kubernetes.io/config.source", "api"),
                ("pod-namespace-inspector/ignore", &wish.ignore),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
            linux: Some(LinuxSandboxConfig {
                cgroup_parent: cgroup_of_pod(&world.folder, &wish.uid),
                security_context: Some(SecurityContext {
                    sandbox_options: Some(wish.options()),
                    container_options: None,
                }),
            }),
        };
        let request =
            RunSandboxRequest { config: Some(config.clone()), runtime_handler: wish.handler.clone() };
        let Id { id } = world.call("/runtime.v1.RuntimeService/RunPodSandbox", request);
        Self { world, id, wish, config }
    }

    /// Creates and starts a container that shares as its pod does.
    pub fn start(&self, name: &str, image: &str, command: &[&str]) -> Container {
        self.start_as(name, 0, image, command, self.wish.options(), Vec::new())
    }

    /// The same with everything to choose.
    pub fn start_as(
        &self,
        name: &str,
        attempt: u32,
        image: &str,
        command: &[&str],
        options: NamespaceOption,
        mounts: Vec<Mount>,
    ) -> Container {
        let mut labels = self.config.labels.clone();
        labels.insert("io.kubernetes.container.name".to_owned(), name.to_owned());
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt }),
            image: Some(ImageSpec { image: format!("localhost/{image}:1") }),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            envs: vec![KeyValue { key: "PASSWORD".to_owned(), value: SECRET.to_owned() }],
            mounts,
            labels,
            log_path: format!("{}-{name}-{attempt}.log", self.wish.uid),
            linux: Some(LinuxContainerConfig {
                security_context: Some(SecurityContext {
                    sandbox_options: None,
                    container_options: Some(options),
                }),
            }),
        };
        let request = CreateContainerRequest {
            sandbox: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let Id { id } = self.world.call("/runtime.v1.RuntimeService/CreateContainer", request);
        let _: Empty = self.world.call("/runtime.v1.RuntimeService/StartContainer", Id { id: id.clone() });
        Container { world: self.world, id, name: name.to_owned(), image: format!("localhost/{image}:1") }
    }

    /// A debug container in another's PID namespace, as `kubectl debug --target` makes one.
    pub fn debug(&self, target: &Container, command: &[&str]) -> Container {
        let options = NamespaceOption { pid: TARGET, target_id: target.id.clone(), ..self.wish.options() };
        self.start_as("debugger", 0, "busybox", command, options, Vec::new())
    }

    /// The cgroup of the sandbox or of one of its containers, by a kubelet's and containerd's rules.
    pub fn cgroup_of(&self, id: &str) -> String {
        let pod = cgroup_of_pod(&self.world.folder, &self.wish.uid);
        if on_node() { format!("{pod}/cri-containerd-{id}.scope") } else { format!("{pod}/{id}") }
    }

    /// What the runtime says of the sandbox besides.
    pub fn info(&self) -> Value {
        self.world.info("/runtime.v1.RuntimeService/PodSandboxStatus", &self.id)
    }

    /// The pid of the pause process; 0 when it is gone.
    pub fn pid(&self) -> u32 {
        pid(&self.info())
    }

    /// Kills the pause process, and waits until its runtime knows.
    pub fn kill_pause(&self) {
        keeper::kill(self.pid());
        wait_until("the runtime notices that the sandbox is gone", || self.pid() == 0);
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The keeper removes what this could not.
        let id = || Id { id: self.id.clone() };
        let _stopped: Result<Empty, _> =
            self.world.try_call("/runtime.v1.RuntimeService/StopPodSandbox", id());
        let _removed: Result<Empty, _> =
            self.world.try_call("/runtime.v1.RuntimeService/RemovePodSandbox", id());
    }
}

/// A container.
pub struct Container {
    world: &'static World,
    pub id: String,
    pub name: String,
    pub image: String,
}

impl Container {
    /// What the runtime says of it besides.
    pub fn info(&self) -> Value {
        self.world.info("/runtime.v1.RuntimeService/ContainerStatus", &self.id)
    }

    /// The pid of its init; 0 when it does not run.
    pub fn pid(&self) -> u32 {
        pid(&self.info())
    }

    /// Stops it: SIGTERM, then after a second SIGKILL.
    pub fn stop(&self) {
        let request = StopContainerRequest { id: self.id.clone(), timeout: 1 };
        let _: Empty = self.world.call("/runtime.v1.RuntimeService/StopContainer", request);
    }

    /// Waits until it no longer runs.
    pub fn wait_exited(&self) {
        wait_until(&self.name, || self.pid() == 0);
    }

    /// Runs a command in it, which has to succeed.
    pub fn exec(&self, command: &[&str]) {
        let cmd = command.iter().map(|&word| word.to_owned()).collect();
        let request = ExecSyncRequest { id: self.id.clone(), cmd, timeout: 10 };
        let answer: super::cri_messages::ExecSyncResponse =
            self.world.call("/runtime.v1.RuntimeService/ExecSync", request);
        assert_eq!(answer.exit_code, 0, "{command:?} in {}", self.name);
    }
}

impl World {
    fn info(&self, method: &'static str, id: &str) -> Value {
        let request = StatusRequest { id: id.to_owned(), verbose: true };
        let answer: StatusResponse = self.call(method, request);
        serde_json::from_str(&answer.info["info"]).unwrap()
    }
}

fn pid(info: &Value) -> u32 {
    info["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0)
}
