//! The tests' own Docker daemon, shared by all tests of a binary, and the containers that a test starts in it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::{env, fs};

use serde_json::Value;

use super::run::{self, Run, wait_until};
use super::{images, keeper};

/// The daemon and its folder.
pub struct World {
    /// Everything of the daemons' and the tests' lies here. Any user may enter it.
    pub folder: PathBuf,
    keeper: Mutex<Option<Child>>,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

/// The daemon, started when the first test asks. Fails the test where it cannot be started.
pub fn world() -> &'static World {
    match WORLD.get_or_init(World::start) {
        Ok(world) => world,
        Err(error) => panic!("no Docker daemon to test with: {error}"),
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

impl World {
    fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err(
                "these tests start real containers: run them as root (`cargo xtask test` asks for sudo)"
                    .into(),
            );
        }
        let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .collect();
        let prebuilt = env::var_os("INSPECTOR_TEST_HELPERS").is_some();
        for program in ["containerd", "dockerd", "runc", "docker", "setpriv", "cc", "tar", "ldd"] {
            let needless = program == "cc" && prebuilt;
            if !needless && !folders.iter().any(|folder| folder.join(program).exists()) {
                return Err(format!(
                    "{program} is not installed: `cargo xtask setup` installs what the tests need"
                ));
            }
        }
        let folder = tempfile::Builder::new()
            .prefix("inspector-docker-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        let mut keeper = Command::new(env::current_exe().map_err(|error| error.to_string())?)
            .arg(keeper::ARGUMENT)
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
        let imported = images::import(&world.folder, |arguments| {
            let run = run::try_run(&mut world.docker_command(arguments), run::LIMIT)?;
            if run.code == Some(0) { Ok(()) } else { Err(format!("{}: {}", run.command, run.stderr)) }
        });
        imported.map(|()| world)
    }

    /// The daemon's socket.
    pub fn socket(&self) -> String {
        format!("{}/docker.sock", self.folder.display())
    }

    /// The flag that makes the program ask the daemon.
    pub fn with_socket(&self) -> String {
        format!("--socket=docker={}", self.socket())
    }

    /// Runs the `docker` command; fails unless it succeeds. Returns what it printed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let run = self.try_docker(arguments);
        assert_eq!(run.code, Some(0), "{}\n{}", run.command, run.stderr);
        run.text().trim_end().to_owned()
    }

    /// Runs the `docker` command.
    pub fn try_docker(&self, arguments: &[&str]) -> Run {
        run::run(&mut self.docker_command(arguments))
    }

    fn docker_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_CONFIG", &self.folder)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_API_VERSION");
        command.env("DOCKER_HOST", format!("unix://{}", self.socket())).args(arguments);
        command
    }

    /// A folder for a test's own files, which any user may enter.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("scratch").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

/// The containers of one test; removed when dropped.
pub struct Scenario {
    pub world: &'static World,
    name: &'static str,
    started: Mutex<Vec<String>>,
}

impl Scenario {
    /// `name` tells this test's containers from those of the others.
    pub fn new(world: &'static World, name: &'static str) -> Self {
        Self { world, name, started: Mutex::default() }
    }

    /// Starts a container: `docker run <options> <image> <command>`.
    pub fn run(&self, role: &str, options: &[&str], image: &str, command: &[&str]) -> Container {
        let name = format!("{role}.{}", self.name);
        self.run_named(&name, options, image, command)
    }

    /// Starts a container of exactly this name.
    pub fn run_named(&self, name: &str, options: &[&str], image: &str, command: &[&str]) -> Container {
        let mut arguments = vec!["run", "--detach", "--pull=never", "--stop-timeout=1", "--name", name];
        arguments.extend(options);
        arguments.push(image);
        arguments.extend(command);
        let id = self.world.docker(&arguments);
        keeper::note(&self.world.folder, &id);
        self.started.lock().unwrap().push(id.clone());
        Container { world: self.world, id, name: name.to_owned() }
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        let started = self.started.lock().unwrap();
        if !started.is_empty() {
            let mut arguments = vec!["rm", "--force", "--volumes"];
            arguments.extend(started.iter().map(String::as_str));
            // The keeper removes what this could not.
            let _ = self.world.try_docker(&arguments);
        }
    }
}

/// A container.
#[derive(Clone)]
pub struct Container {
    world: &'static World,
    pub id: String,
    pub name: String,
}

impl Container {
    /// What `docker inspect` says.
    pub fn inspect(&self) -> Value {
        let text = self.world.docker(&["inspect", "--type=container", &self.id]);
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    }

    /// The pid of its init; 0 when it does not run.
    pub fn pid(&self) -> u32 {
        self.world.docker(&["inspect", "--format={{.State.Pid}}", &self.id]).parse().unwrap()
    }

    /// Stops it: SIGTERM, then after a second SIGKILL.
    pub fn stop(&self) {
        self.world.docker(&["stop", "--time=1", &self.id]);
    }

    pub fn start(&self) {
        self.world.docker(&["start", &self.id]);
    }

    /// Runs a command in it and waits for its end.
    pub fn exec(&self, command: &[&str]) -> String {
        self.world.docker(&[&["exec", &self.id], command].concat())
    }

    /// Leaves a command running in it.
    pub fn exec_detached(&self, command: &[&str]) {
        self.world.docker(&[&["exec", "--detach", &self.id], command].concat());
    }

    /// The flag that makes another container join its namespace of a kind (`net`, `ipc` or `pid`).
    pub fn join(&self, kind: &str) -> String {
        format!("--{kind}=container:{}", self.id)
    }

    /// Waits until it has printed "ready".
    pub fn wait_ready(&self) {
        wait_until(&self.name, || self.world.docker(&["logs", &self.id]).contains("ready"));
    }

    /// Waits until it no longer runs.
    pub fn wait_exited(&self) {
        wait_until(&self.name, || self.inspect()["State"]["Running"] == false);
    }
}
