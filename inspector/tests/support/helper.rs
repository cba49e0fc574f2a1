//! The small C programs of the tests: built when they are needed, from the sources beside this file.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::executable;

/// Builds `support/c/<name>.c` as a static binary (it has to run in containers that hold nothing else).
/// A machine without a compiler has it built already, in the folder `INSPECTOR_TEST_HELPERS`.
pub fn compile(name: &str, folder: &Path) -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/c/{name}.c"));
    let binary = folder.join(name);
    if let Some(built) = std::env::var_os("INSPECTOR_TEST_HELPERS").map(|built| Path::new(&built).join(name))
    {
        executable::copy(&built, &binary);
        return Ok(binary);
    }
    let output = Command::new("cc")
        .args(["-static", "-Os", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
        .arg(&binary)
        .arg(&source)
        .output()
        .map_err(|error| format!("cc: {error}: `cargo xtask setup` installs what the tests need"))?;
    if output.status.success() {
        Ok(binary)
    } else {
        Err(format!("cc {}: {}", source.display(), String::from_utf8_lossy(&output.stderr)))
    }
}

/// The folder with `pause` and `helper`, built once for each test binary.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Below the build folder, so that no run leaves anything behind; renamed into place, so that no run
        // writes to a program that another one runs.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let scratch = tempfile::tempdir_in(folder).unwrap();
        for name in ["pause", "helper"] {
            let built = compile(name, scratch.path()).unwrap_or_else(|error| panic!("{error}"));
            fs::rename(built, folder.join(name)).unwrap();
        }
        folder.to_owned()
    })
}

/// A running helper; killed, with all that it started, when dropped.
pub struct Helper {
    process: Child,
    /// The first line that it printed.
    pub said: String,
}

impl Helper {
    /// Starts `helper ARGUMENTS…` and waits for its first line.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(folder().join("helper"));
        command.args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts a command that prints one line when it is ready.
    pub fn spawn(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(!said.is_empty(), "{command:?} ended before it was ready");
        Self { process, said: said.trim_end().to_owned() }
    }

    /// Its own pid.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The pid that it printed: that of the command which `new` or `join` started, once that has become
    /// what it was told to become.
    pub fn command_pid(&self) -> u32 {
        let pid = self.said.parse().unwrap_or_else(|_| panic!("the helper said {:?}, not a pid", self.said));
        let own = fs::read(format!("/proc/{}/cmdline", self.process.id())).unwrap();
        for _ in 0..1000 {
            if fs::read(format!("/proc/{pid}/cmdline")).unwrap() != own {
                return pid;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("{pid} is still the helper");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
