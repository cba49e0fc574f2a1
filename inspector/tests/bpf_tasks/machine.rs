//! Processes, threads and cgroups to look at, which go away with their owner.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Waits, and fails naming what did not come.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A new folder of this test's own, removed in the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let folder = std::env::temp_dir().join(format!("bpf-tasks-{name}-{nanoseconds}-{number}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process and its descendants, the last of which is a `sleep`; all are killed in the end.
pub struct Sleeper(Child);

impl Sleeper {
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let sleeper = Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let asleep = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            (program.ends_with(b"sleep") || program.ends_with(b"J")) && crate::oracle::state(pid) == Some('S')
        };
        wait_until("a process to sleep", || sleeper.all_pids().last().is_some_and(|pid| asleep(*pid)));
        sleeper
    }

    /// It and its descendants, ancestors first.
    pub fn all_pids(&self) -> Vec<u32> {
        let mut pids = vec![self.0.id()];
        let mut at = 0;
        while let Some(pid) = pids.get(at) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_ascii_whitespace().map(|child| child.parse::<u32>().unwrap()));
            at += 1;
        }
        pids
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // The deepest first: the death of an init takes its namespace along.
        for pid in self.all_pids().into_iter().rev() {
            if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.0.wait();
    }
}

/// A shell in a PID namespace of its own that runs a script and waits.
pub fn shell(script: &str) -> Sleeper {
    let script = format!("{script}; wait");
    Sleeper::spawn(Command::new("unshare").args(["--pid", "--fork", "--kill-child", "sh", "-c", &script]))
}

/// A thread of this process in a network namespace of its own, and one that left and came back.
pub struct Stray {
    pub tid: u32,
    pub returned_tid: u32,
    _stop: mpsc::Sender<()>,
}

impl Stray {
    pub fn spawn() -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let told = ready.clone();
        let stopped = std::sync::Arc::new(std::sync::Mutex::new(stopped));
        let unshare = |flags| {
            // SAFETY: no file descriptor table is left, which is what may hurt other code.
            unsafe { rustix::thread::unshare_unsafe(flags) }.unwrap();
        };
        let tid = || rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let until = stopped.clone();
        std::thread::spawn(move || {
            unshare(UnshareFlags::NEWNET | UnshareFlags::NEWTIME);
            ready.send(("away", tid())).unwrap();
            let _ = until.lock().unwrap().recv();
        });
        std::thread::spawn(move || {
            let home = File::open("/proc/thread-self/ns/uts").unwrap();
            unshare(UnshareFlags::NEWUTS);
            let home = std::os::fd::AsFd::as_fd(&home);
            rustix::thread::move_into_link_name_space(
                home,
                Some(LinkNameSpaceType::HostNameAndNISDomainName),
            )
            .unwrap();
            told.send(("back", tid())).unwrap();
            let _ = stopped.lock().unwrap().recv();
        });
        let tids: std::collections::BTreeMap<_, _> = is_ready.iter().take(2).collect();
        Self { tid: tids["away"], returned_tid: tids["back"], _stop: stop }
    }
}

/// A folder of cgroups in the hierarchy that the reader prefers, removed in the end.
pub struct Cgroups {
    mount: PathBuf,
    top: String,
    made: Vec<PathBuf>,
}

impl Cgroups {
    pub fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let find = |kind: &str, option: &str| {
            mounts.lines().find_map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                (words[2] == kind && words[3].split(',').any(|found| option.is_empty() || found == option))
                    .then(|| PathBuf::from(words[1]))
            })
        };
        let mount = find("cgroup", "pids").or_else(|| find("cgroup2", ""));
        let mount =
            mount.expect("this test wants a mounted cgroup hierarchy: v1 with the pids controller, or v2");
        let mut cgroups = Self { mount, top: format!("bpf-tasks-{}", std::process::id()), made: Vec::new() };
        cgroups.make("");
        cgroups
    }

    fn make(&mut self, path: &str) -> PathBuf {
        let mut folder = self.mount.join(&self.top);
        for name in std::iter::once("").chain(path.split('/')).filter(|name| !name.is_empty()) {
            folder.push(name);
            self.make_one(&folder.clone());
        }
        self.make_one(&folder.clone());
        folder
    }

    fn make_one(&mut self, folder: &Path) {
        match fs::create_dir(folder) {
            Ok(()) => self.made.push(folder.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", folder.display()),
        }
    }

    /// Puts a process into a cgroup. Gives its path and id.
    pub fn enter(&mut self, path: &str, pid: u32) -> (String, u64) {
        let folder = self.make(path);
        fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
        let id = fs::metadata(&folder).unwrap().ino();
        (format!("/{}/{path}", self.top), id)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for folder in self.made.iter().rev() {
            let start = Instant::now();
            // Its processes may still be dying.
            while fs::remove_dir(folder).is_err() && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
