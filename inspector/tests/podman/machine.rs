//! A Podman of the tests' own, shared by all tests of this binary, and the process that takes it away again however they
//! end.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::run::{self, Run, try_run, wait_until};
use crate::support::{cgroups, executable, helper, keeper};

/// The folder of a Podman, with its keeper.
pub struct Machine {
    pub folder: PathBuf,
    keeper: Mutex<Option<Child>>,
}

static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();

/// The tests' Podman, started when the first test asks. Fails the test where it cannot be.
pub fn machine() -> &'static Machine {
    match MACHINE.get_or_init(Machine::start) {
        Ok(machine) => machine,
        Err(error) => panic!("no Podman to test with: {error}; `cargo xtask setup` installs it"),
    }
}

/// Ends it, if it was started, and waits until nothing of it is left.
pub fn stop() {
    if let Some(Ok(machine)) = MACHINE.get()
        && let Some(mut keeper) = machine.keeper.lock().unwrap().take()
    {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        assert!(!machine.folder.exists(), "{} was not cleaned up", machine.folder.display());
    }
}

/// Keeps the API's service in `folder`; takes all containers and pods away at the end.
pub fn keep(folder: &Path) -> ExitCode {
    let start = |folder: &Path, daemons: &mut Vec<Child>| {
        let socket = format!("unix://{}/podman.sock", folder.display());
        let globals = globals(folder);
        let globals: Vec<&str> = globals.iter().map(String::as_str).collect();
        daemons.push(keeper::spawn(folder, "podman", &globals, &["system", "service", "--time=0", &socket])?);
        keeper::await_socket(folder, "podman", Some(b"GET /_ping HTTP/1.0\r\n\r\n"))
    };
    keeper::keep(folder, start, |folder| {
        for arguments in
            [["pod", "rm", "--all", "--force"].as_slice(), &["rm", "--all", "--force", "--time=0"]]
        {
            let _ = try_run(command(folder).args(arguments), Duration::from_secs(60));
        }
        // With cgroup v1 Podman leaves the pods' own behind.
        let pods = fs::read_to_string(folder.join("pods")).unwrap_or_default();
        for root in cgroups::hierarchies() {
            for id in pods.lines() {
                cgroups::remove_tree(&root.join("libpod_parent").join(id));
            }
        }
    })
}

/// What makes a Podman this one.
fn globals(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let values = [
        ("--root", path("root")),
        ("--runroot", path("runroot")),
        ("--tmpdir", path("tmp")),
        ("--runtime", "runc".to_owned()),
        ("--cgroup-manager", "cgroupfs".to_owned()),
        ("--storage-driver", "vfs".to_owned()),
    ];
    values.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("podman");
    configure(&mut command, folder).args(globals(folder));
    command
}

fn configure<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .env("CONTAINERS_CONF", folder.join("containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", folder.join("storage.conf"))
        .env_remove("CONTAINER_HOST")
        .env_remove("XDG_RUNTIME_DIR")
}

impl Machine {
    fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("these tests start real containers: run them as root".into());
        }
        let text = |error: std::io::Error| error.to_string();
        let folder = tempfile::Builder::new().prefix("inspector-podman-").tempdir().map_err(text)?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).map_err(text)?;
        write_configuration(folder.path()).map_err(text)?;
        let mut keeper = Command::new(std::env::current_exe().map_err(text)?);
        configure(&mut keeper, folder.path());
        let mut keeper = keeper
            .arg(keeper::ARGUMENT)
            .arg(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        // From here on the keeper removes the folder.
        let machine = Self { folder: folder.keep(), keeper: Mutex::default() };
        let mut word = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut word).map_err(text)?;
        }
        *machine.keeper.lock().unwrap() = Some(keeper);
        if word.trim_end() != "ready" {
            return Err(word.trim_end().to_owned());
        }
        machine.import()?;
        Ok(machine)
    }

    fn import(&self) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let tree = self.folder.join("busybox");
        fs::create_dir_all(tree.join("bin")).map_err(text)?;
        executable::copy("/bin/busybox".as_ref(), &tree.join("bin/busybox"));
        for name in ["sh", "sleep", "true", "httpd"] {
            std::os::unix::fs::symlink("busybox", tree.join("bin").join(name)).map_err(text)?;
        }
        helper::compile("pause", &tree)?;
        let archive = self.folder.join("image.tar");
        let mut tar = Command::new("tar");
        try_run(tar.arg("-C").arg(&tree).arg("-cf").arg(&archive).arg("."), run::LIMIT)?;
        let imported = try_run(command(&self.folder).arg("import").arg(&archive).arg("busybox"), run::LIMIT)?;
        if imported.code == Some(0) { Ok(()) } else { Err(imported.stderr) }
    }

    /// The flag that makes the program ask the API.
    pub fn with_socket(&self) -> String {
        format!("--socket=podman={}/podman.sock", self.folder.display())
    }

    /// The flag that makes the program read the storage root.
    pub fn with_root(&self) -> String {
        format!("--socket=podman={}/root", self.folder.display())
    }

    /// Runs `podman`; fails unless it succeeds. Returns what it printed.
    pub fn podman(&self, arguments: &[&str]) -> String {
        let run = self.try_podman(arguments);
        assert_eq!(run.code, Some(0), "{}\n{}", run.command, run.stderr);
        run.text().trim_end().to_owned()
    }

    pub fn try_podman(&self, arguments: &[&str]) -> Run {
        run::run(command(&self.folder).args(arguments))
    }

    /// Makes a pod: `podman pod create <options>`.
    pub fn pod(&'static self, name: &str, options: &[&str]) -> Pod {
        let id = self.podman(&[&["pod", "create", "--name", name], options].concat());
        let file = fs::File::options().append(true).create(true).open(self.folder.join("pods"));
        file.and_then(|mut file| file.write_all(format!("{id}\n").as_bytes())).unwrap();
        Pod { machine: self, id }
    }

    /// Starts a container: `podman run <options> busybox <command>`.
    pub fn run(&'static self, name: &str, options: &[&str], command: &[&str]) -> Container {
        let first = ["run", "--detach", "--name", name];
        let id = self.podman(&[&first, options, &["busybox"], command].concat());
        keeper::note(&self.folder, &id);
        Container { machine: self, id }
    }

    /// A folder for a test's own files.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("scratch").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

fn write_configuration(folder: &Path) -> std::io::Result<()> {
    let path = |name: &str| json!(folder.join(name)).to_string();
    // A network that only has a loopback: Podman makes and pins a namespace, and nothing of the machine's own network
    // is touched.
    let network = json!({ "cniVersion": "0.4.0", "name": "podman", "plugins": [{ "type": "loopback" }] });
    fs::create_dir_all(folder.join("cni"))?;
    // Any user may enter the images, those of a user namespace too.
    fs::create_dir_all(folder.join("root/vfs/dir"))?;
    fs::write(folder.join("cni/87-podman.conflist"), network.to_string())?;
    fs::write(
        folder.join("containers.conf"),
        format!(
            "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n\
             [engine]\nevents_logger=\"file\"\ncgroup_manager=\"cgroupfs\"\n\
             [network]\nnetwork_backend=\"cni\"\nnetwork_config_dir={}\ncni_plugin_dirs=[\"/usr/lib/cni\"]\n",
            path("cni")
        ),
    )?;
    fs::write(
        folder.join("storage.conf"),
        format!("[storage]\ndriver=\"vfs\"\ngraphroot={}\nrunroot={}\n", path("root"), path("runroot")),
    )
}

/// A pod; removed when dropped.
pub struct Pod {
    machine: &'static Machine,
    pub id: String,
}

impl Pod {
    /// Its infra container.
    pub fn infra(&self) -> Container {
        let id = self.inspect()["InfraContainerID"].as_str().unwrap().to_owned();
        keeper::note(&self.machine.folder, &id);
        Container { machine: self.machine, id }
    }

    pub fn inspect(&self) -> Value {
        serde_json::from_str(&self.machine.podman(&["pod", "inspect", &self.id])).unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The keeper removes what this could not.
        let _ = self.machine.try_podman(&["pod", "rm", "--force", "--time=0", &self.id]);
    }
}

/// A container; removed when dropped.
pub struct Container {
    machine: &'static Machine,
    pub id: String,
}

impl Container {
    /// What `podman inspect` says.
    pub fn inspect(&self) -> Value {
        let text = self.machine.podman(&["inspect", "--type=container", &self.id]);
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    }

    /// The pid of its init; 0 when it does not run.
    pub fn pid(&self) -> u32 {
        self.inspect()["State"]["Pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// Waits until it has ended and Podman knows.
    pub fn wait_exited(&self) {
        wait_until("a container's end", || {
            matches!(self.inspect()["State"]["Status"].as_str(), Some("exited" | "stopped"))
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // A pod's goes with its pod, and the keeper removes what this could not.
        let _ = self.machine.try_podman(&["rm", "--force", "--time=0", "--ignore", &self.id]);
    }
}
