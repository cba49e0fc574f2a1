//! Runs a program under limits: whatever is tested, the test ends.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_inspector");

/// How long one run of anything may take, on a machine of ordinary speed.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A time limit as this machine needs it: an emulated one, some twenty times slower, says by
/// `INSPECTOR_TEST_PATIENCE` how many times longer everything may take.
pub fn patience(limit: Duration) -> Duration {
    let factor = std::env::var("INSPECTOR_TEST_PATIENCE").ok();
    let factor = factor.map(|text| text.parse::<u32>().unwrap_or_else(|error| panic!("{text}: {error}")));
    limit * factor.unwrap_or(1)
}

/// How a run went.
#[derive(Debug)]
pub struct Run {
    /// What was run, for messages.
    pub command: String,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub took: Duration,
    /// The most memory it was seen to use (`VmHWM`), in KiB.
    pub peak_rss_kib: u64,
}

impl Run {
    /// The standard output, which has to be UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: the output is not UTF-8: {error}", self.command))
    }

    /// Fails unless it succeeded and had nothing to complain about.
    pub fn succeeded(self) -> Self {
        assert!(
            self.code == Some(0) && self.stderr.is_empty(),
            "{}: exit {:?} (signal {:?}) after {:?}\n--- stderr\n{}\n--- stdout\n{}",
            self.command,
            self.code,
            self.signal,
            self.took,
            self.stderr,
            String::from_utf8_lossy(&self.stdout),
        );
        self
    }

    /// Fails unless it refused: this code, nothing on stdout, and one line on stderr, which is returned.
    pub fn refused(&self, code: i32) -> &str {
        let line = self.stderr.trim_end_matches('\n');
        assert!(
            self.code == Some(code) && self.stdout.is_empty() && !line.is_empty() && !line.contains('\n'),
            "{}: exit {:?} (signal {:?}), wanted {code} and one line on stderr\n--- stderr\n{}\n--- stdout\n{}",
            self.command,
            self.code,
            self.signal,
            self.stderr,
            String::from_utf8_lossy(&self.stdout),
        );
        line
    }
}

/// Waits until something holds, or fails after [`LIMIT`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let (began, limit) = (Instant::now(), patience(LIMIT));
    while !holds() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs the program under test.
pub fn inspector<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run(Command::new(BINARY).args(arguments))
}

/// Runs a program to its end, or fails after [`LIMIT`].
pub fn run(command: &mut Command) -> Run {
    try_run(command, LIMIT).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a program to its end, or kills it and says so.
pub fn try_run(command: &mut Command, limit: Duration) -> Result<Run, String> {
    let (shown, limit) = (show(command), patience(limit));
    // What the caller's shell happens to export must not change an answer.
    for variable in ["RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "COLUMNS"] {
        command.env_remove(variable);
    }
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{shown}: {error}"))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let mut peak_rss_kib = 0;
    let status = loop {
        peak_rss_kib = peak_rss_kib.max(resident_kib(&child));
        match child.try_wait().map_err(|error| format!("{shown}: {error}"))? {
            Some(status) => break status,
            None if began.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{shown}: still running after {limit:?}"));
            }
            None => thread::sleep(Duration::from_millis(3)),
        }
    };
    let took = began.elapsed();
    let collect =
        |reader: thread::JoinHandle<Vec<u8>>| reader.join().map_err(|_| format!("{shown}: lost output"));
    Ok(Run {
        code: status.code(),
        signal: status.signal(),
        stdout: collect(stdout)?,
        stderr: String::from_utf8_lossy(&collect(stderr)?).into_owned(),
        took,
        peak_rss_kib,
        command: shown,
    })
}

/// A command line, for messages.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    line.chars().take(600).collect()
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still the output.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn resident_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
