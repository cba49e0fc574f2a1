//! `inspector watch --tui` on a terminal of the test's own: drawn on, resized, and given back as it was.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use super::support::run::{BINARY, inspector, wait_until};

const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?1049l";

/// A terminal, and the program on it.
struct Screen {
    master: File,
    /// Kept open, so that its modes can be asked for when the program is gone.
    slave: File,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    before: Termios,
}

impl Screen {
    fn start(arguments: &[&str]) -> Self {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: two places for descriptors, and nothing else is asked for.
        let opened = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both were opened just now, and belong to nobody else.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let (master, slave) = (File::from(master), File::from(slave));
        tcsetwinsize(&master, window(80, 24)).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(BINARY)
            .args(["watch", "--tui", "--source=procfs"])
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, shared) = (master.try_clone().unwrap(), Arc::clone(&output));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                shared.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { master, slave, child, output, before }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    fn shows(&self, what: &str) {
        wait_until(what, || self.text().contains(what));
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for its end, after which the terminal has to be as it was.
    fn end(mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the view ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        wait_until("the screen is left", || self.text().contains(LEFT));
        let after = tcgetattr(&self.slave).unwrap();
        let modes = |it: &Termios| (it.input_modes, it.output_modes, it.control_modes, it.local_modes);
        assert_eq!(modes(&after), modes(&self.before), "the terminal's modes are not as they were");
        let text = self.text();
        assert_eq!((text.matches(ENTERED).count(), text.matches(LEFT).count()), (1, 1), "{text:?}");
        let last = text.rsplit_once(LEFT).unwrap().1.to_owned();
        (status.unwrap(), last)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const fn window(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn a_view_answers_keys_and_sizes_and_gives_the_terminal_back() {
    let mut screen = Screen::start(&["--for=60s"]);
    screen.shows(ENTERED);
    screen.shows("Pods: ");
    let raw = tcgetattr(&screen.slave).unwrap();
    assert!(
        !raw.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO),
        "keys come one by one, unseen"
    );
    // The line of keys goes to the last line, wherever that is.
    tcsetwinsize(&screen.master, window(100, 37)).unwrap();
    screen.shows("\x1b[37;1H");
    tcsetwinsize(&screen.master, window(19, 4)).unwrap();
    screen.shows("small:");
    tcsetwinsize(&screen.master, window(80, 24)).unwrap();
    screen.press("?");
    screen.shows("Ctrl-C");
    screen.press("?");
    screen.press("q");
    let (status, last) = screen.end();
    // The cursor is shown, and that is all.
    assert_eq!((status.code(), last.replace("\x1b[?25h", "").as_str()), (Some(0), ""));
}

#[test]
fn a_view_ends_with_its_time_and_with_signals() {
    let (status, _) = Screen::start(&["--for=3s"]).end();
    assert_eq!(status.code(), Some(0));
    for signal in [Signal::TERM, Signal::INT] {
        let screen = Screen::start(&[]);
        screen.shows("Pods: ");
        kill_process(Pid::from_child(&screen.child), signal).unwrap();
        let (status, _) = screen.end();
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
    let mut screen = Screen::start(&["--color=never"]);
    screen.shows("Pods: ");
    screen.press("\x03");
    let text = screen.text();
    let (status, _) = screen.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        !["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[38;5;"].iter().any(|it| text.contains(it)),
        "{text:?}"
    );
}

#[test]
fn a_view_needs_a_terminal() {
    let run = inspector(["watch", "--tui"]);
    assert_eq!((run.code, run.stdout.len(), run.stderr.lines().count()), (Some(2), 0, 1), "{run:?}");
    assert!(run.stderr.contains("leave --tui out"), "{run:?}");
}

#[test]
fn the_log_waits_until_the_screen_is_left() {
    let screen = Screen::start(&["-v", "--for=3s"]);
    let output = Arc::clone(&screen.output);
    let (status, _) = screen.end();
    assert_eq!(status.code(), Some(0));
    let text = || String::from_utf8_lossy(&output.lock().unwrap()).into_owned();
    wait_until("the log", || text().contains("inspector: info: "));
    let text = text();
    let (before, _) = text.split_once(LEFT).unwrap();
    assert!(!before.contains("inspector: info: "), "{text:?}");
}
