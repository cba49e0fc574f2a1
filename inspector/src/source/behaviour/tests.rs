//! The reader against real processes.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::source::Options;

/// A real process, killed at the end with its children and all of its group.
struct Subject(Child);

impl Subject {
    fn start(command: &[&str]) -> Option<Self> {
        use std::os::unix::process::CommandExt as _;
        Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .ok()
            .map(Self)
    }

    fn key(&self) -> ProcessKey {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        ProcessKey { pid: self.0.id(), start_ticks: Stat::parse(&text).unwrap().start_ticks }
    }

    /// Its behaviour, once it waits for what it is expected to wait for (or as it is after 5 s).
    fn settled(&self, expected: &Wait) -> Behaviour {
        for _ in 0..100 {
            let behaviour = only(self.key());
            if behaviour.waits == [expected.clone()] {
                return behaviour;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        only(self.key())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        // An init (tini, catatonit) gives its child a group of its own.
        let path = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = std::fs::read_to_string(path).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = kill_process(child, Signal::KILL);
        }
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn context() -> Context {
    Context::new(Options::default())
}

fn only(key: ProcessKey) -> Behaviour {
    let (mut behaviours, gaps) = read(&context(), &[key]);
    assert_eq!(gaps, [], "nothing is hidden from the owner of a process");
    behaviours.pop().expect("it lives")
}

/// What each of the well-known sleepers is seen to wait for. A program that this machine lacks is passed over;
/// those of every Debian are not.
#[test]
fn real_sleepers() {
    let everywhere = ["sleep", "tail", "dash", "bash"];
    let table: &[(&[&str], &str, Wait)] = &[
        (&["sleep", "infinity"], "sleep", Wait::Signal),
        (&["sleep", "1h"], "sleep", Wait::Sleep),
        (&["tail", "-f", "/dev/null"], "tail", Wait::Sleep),
        (&["dash", "-c", "while true; do sleep 1h; done"], "dash", Wait::Children),
        (&["dash", "-c", "trap : TERM; sleep infinity & wait"], "dash", Wait::Signal),
        (&["bash", "-c", "while true; do sleep 1h; done"], "bash", Wait::Children),
        (&["busybox", "sleep", "infinity"], "busybox", Wait::Sleep),
        (&["catatonit", "-P"], "catatonit", Wait::Signal),
        (&["catatonit", "--", "sleep", "infinity"], "catatonit", Wait::Signal),
        (&["tini", "-s", "--", "sleep", "infinity"], "tini", Wait::TimedSignal),
        (&["dumb-init", "sleep", "infinity"], "dumb-init", Wait::Signal),
        (&["python3", "-c", "import time; time.sleep(1000)"], "", Wait::Sleep),
    ];
    for (command, executable, wait) in table {
        let Some(subject) = Subject::start(command) else {
            assert!(!everywhere.contains(&command[0]), "{command:?} does not start");
            continue;
        };
        let behaviour = subject.settled(wait);
        assert_eq!(behaviour.waits, std::slice::from_ref(wait), "{command:?}");
        assert_eq!(behaviour.sockets, Some(0), "{command:?}");
        assert!(behaviour.cpu_ms.is_some_and(|ms| ms < 1000), "{command:?}: {behaviour:?}");
        if !executable.is_empty() {
            assert_eq!(behaviour.executable.as_deref(), Some(*executable), "{command:?}");
        }
        if command[0] == "tail" {
            // Whoever runs the tests may leave pipes open in them.
            assert!(behaviour.files.iter().any(|file| file == "/dev/null"), "{command:?}: {behaviour:?}");
        }
    }
}

#[test]
fn sockets_files_and_threads_of_this_process() {
    let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let key = ProcessKey { pid: std::process::id(), start_ticks: Stat::parse(&text).unwrap().start_ticks };
    let behaviour = only(key);
    assert!(behaviour.sockets.is_some_and(|sockets| sockets >= 1), "{behaviour:?}");
    assert!(behaviour.waits.len() >= 2, "one for each thread: {behaviour:?}");
    drop(sender);
    let _ = thread.join();
}

#[test]
fn another_incarnation_of_the_pid_is_left_out() {
    let subject = Subject::start(&["sleep", "infinity"]).unwrap();
    let key = subject.key();
    let earlier = ProcessKey { start_ticks: key.start_ticks.saturating_sub(1), ..key };
    assert_eq!(read(&context(), &[earlier]), (Vec::new(), Vec::new()));
    drop(subject);
    assert_eq!(read(&context(), &[key]), (Vec::new(), Vec::new()), "gone is not unreadable");
}

#[test]
fn a_zombie_waits_for_nothing() {
    let mut child = Command::new("true").spawn().unwrap();
    let text = loop {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        if Stat::parse(&text).unwrap().is_dead() {
            break text;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let key = ProcessKey { pid: child.id(), start_ticks: Stat::parse(&text).unwrap().start_ticks };
    assert_eq!(read(&context(), &[key]), (Vec::new(), Vec::new()));
    child.wait().unwrap();
}

#[test]
fn a_deadline_stops_the_reading_and_says_so() {
    let context = Context::new(Options { timeout: Duration::ZERO, ..Options::default() });
    let (behaviours, gaps) = read(&context, &[ProcessKey { pid: 1, start_ticks: 1 }]);
    assert_eq!(behaviours, []);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].could_change_verdict, "{gaps:?}");
}

#[test]
fn executables_by_their_last_name() {
    for (path, name) in [
        ("/usr/bin/sleep", "sleep"),
        ("/pause (deleted)", "pause"),
        ("/odd (deleted) name", "odd (deleted) name"),
        ("pause", "pause"),
        ("/", ""),
    ] {
        assert_eq!(base_name(path), name);
    }
}

/// PID 1 is another user's process to most readers, and closed even to root on some machines.
#[test]
fn what_is_denied_is_unreadable_and_a_gap() {
    let text = std::fs::read_to_string("/proc/1/stat").unwrap();
    let key = ProcessKey { pid: 1, start_ticks: Stat::parse(&text).unwrap().start_ticks };
    let (behaviours, gaps) = read(&context(), &[key]);
    let [behaviour] = behaviours.as_slice() else { panic!("it lives") };
    assert!(!behaviour.waits.is_empty());
    assert_eq!(is_hidden(behaviour), gaps.len() == 1, "{behaviour:?} {gaps:?}");
    if std::fs::read_dir("/proc/1/fd").is_err() {
        assert_eq!(behaviour.sockets, None);
        assert!(gaps[0].could_change_verdict && gaps[0].why.contains("CAP_SYS_PTRACE"), "{gaps:?}");
    }
}

/// What `docker pause` and `unpause`, or job control, do to a sleeper: the kernel restarts its system call.
#[test]
fn a_sleeper_that_was_stopped_sleeps_on() {
    use rustix::process::{Pid, Signal, kill_process};
    for (command, wait) in [(["sleep", "1h"], Wait::Sleep), (["sleep", "infinity"], Wait::Signal)] {
        let subject = Subject::start(&command).unwrap();
        subject.settled(&wait);
        let pid = Pid::from_child(&subject.0);
        kill_process(pid, Signal::STOP).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        kill_process(pid, Signal::CONT).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(subject.settled(&wait).waits, [wait], "{command:?}");
    }
}
