//! The churner (`support/c/churn.c`), by a name of its own, so that what it does is told from what others do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::{executable, helper};

/// A churner, ended with all that it made when dropped.
pub struct Churner {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What the kernel calls it and its children, those that have become another program apart.
    pub comm: String,
    _folder: TempDir,
}

/// The folder below the build's, where programs may be run.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The program, compiled once.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let scratch = folder();
        let built = helper::compile("churn", scratch.path()).unwrap_or_else(|error| panic!("{error}"));
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("churn-program");
        std::fs::rename(built, &kept).unwrap();
        kept
    })
}

impl Churner {
    /// Starts one, which waits.
    pub fn start(arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let comm = format!("ch{}.{number}", std::process::id());
        let folder = folder();
        let binary = folder.path().join(&comm);
        executable::copy(program(), &binary);
        let mut process = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let input = process.stdin.take();
        let churner = Self { process, input, lines, comm, _folder: folder };
        assert_eq!(churner.line(Duration::from_secs(10)), "ready");
        churner
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it says next.
    pub fn line(&self, limit: Duration) -> String {
        let line = self.lines.recv_timeout(limit);
        line.unwrap_or_else(|error| panic!("the churner says nothing within {limit:?}: {error}"))
    }

    /// Lets it begin.
    pub fn go(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Waits until it is done.
    pub fn quiet(&self, limit: Duration) {
        assert_eq!(self.line(limit), "quiet");
    }
}

impl Drop for Churner {
    fn drop(&mut self) {
        // It takes its children with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
