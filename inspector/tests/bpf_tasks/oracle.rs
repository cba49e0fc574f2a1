//! What /proc says of each task: read in the plainest way, by nothing that the program uses.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use inspector::observation::{Kind, Task};

/// A task, as /proc shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Oracle {
    pub tgid: u32,
    pub parent: u32,
    comm: String,
    kernel_thread: bool,
    pub start_ticks: u64,
    pub state: char,
    threads: u32,
    uid: u32,
    /// One for each PID namespace from the reader's to its own.
    numbers: Vec<u32>,
    pub namespaces: BTreeMap<String, u32>,
    owner: Option<u32>,
    cgroup: String,
}

/// Every process, and every thread whose namespaces are not its leader's. Without those that are gone by the time
/// they are looked at.
pub fn tasks() -> BTreeMap<u32, Oracle> {
    let mut tasks = BTreeMap::new();
    for pid in numbers_in("/proc") {
        let Some(leader) = read(&format!("/proc/{pid}")) else { continue };
        for tid in numbers_in(&format!("/proc/{pid}/task")).into_iter().filter(|tid| *tid != pid) {
            if let Some(thread) = read(&format!("/proc/{pid}/task/{tid}"))
                && thread.namespaces != leader.namespaces
                && !thread.namespaces.is_empty()
            {
                tasks.insert(tid, thread);
            }
        }
        tasks.insert(pid, leader);
    }
    tasks
}

/// A process's state, by its letter.
pub fn state(pid: u32) -> Option<char> {
    Some(stat(&format!("/proc/{pid}"))?.1[0].chars().next().unwrap())
}

fn numbers_in(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The comm, and the fields that follow it.
fn stat(folder: &str) -> Option<(String, Vec<String>)> {
    let stat = fs::read(format!("{folder}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let (head, tail) = stat.rsplit_once(") ")?;
    Some((head.split_once(" (")?.1.to_owned(), tail.split_ascii_whitespace().map(str::to_owned).collect()))
}

fn read(folder: &str) -> Option<Oracle> {
    let (_, fields) = stat(folder)?;
    let status = fs::read(format!("{folder}/status")).ok()?;
    let status = String::from_utf8_lossy(&status).into_owned();
    let line = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}"));
        line.split_ascii_whitespace().map(|word| word.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let comm = fs::read(format!("{folder}/comm")).ok()?;
    let comm = String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap()).into_owned();
    let mut namespaces = BTreeMap::new();
    for name in
        ["mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time", "pid_for_children", "time_for_children"]
    {
        if let Ok(target) = fs::read_link(format!("{folder}/ns/{name}")) {
            let target = target.to_str().unwrap();
            let inode = target.split_once(":[").unwrap().1.strip_suffix(']').unwrap();
            namespaces.insert(name.to_owned(), inode.parse().unwrap());
        }
    }
    Some(Oracle {
        tgid: line("Tgid:")[0],
        parent: line("PPid:")[0],
        comm,
        // After the comm come state (field 3), …, flags (9), start time (22).
        kernel_thread: fields[6].parse::<u32>().unwrap() & 0x0020_0000 != 0,
        start_ticks: fields[19].parse().unwrap(),
        state: fields[0].chars().next().unwrap(),
        threads: line("Threads:")[0],
        uid: line("Uid:")[0],
        numbers: line("NSpid:"),
        namespaces,
        owner: owner(&Path::new(folder).join("ns/user")),
        cgroup: cgroup(folder)?,
    })
}

/// The uid that owns the user namespace behind a path.
fn owner(path: &Path) -> Option<u32> {
    const NS_GET_OWNER_UID: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0xb7, 4);
    let file = File::open(path).ok()?;
    // SAFETY: NS_GET_OWNER_UID writes a uid_t, which is 32 bits.
    unsafe { rustix::ioctl::ioctl(file, rustix::ioctl::Getter::<NS_GET_OWNER_UID, u32>::new()) }.ok()
}

/// The path in v1's `pids` hierarchy, unless that is the root; else in v2's.
fn cgroup(folder: &str) -> Option<String> {
    let lines = fs::read(format!("{folder}/cgroup")).ok()?;
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let path = |found: &dyn Fn(&str) -> bool| {
        lines.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            found(controllers).then(|| path.to_owned())
        })
    };
    let pids = path(&|controllers| controllers.split(',').any(|name| name == "pids"));
    pids.filter(|path| path != "/").or_else(|| path(&str::is_empty))
}

impl Oracle {
    /// In what the program saw otherwise.
    pub fn differences(&self, task: &Task, readers_level: u32) -> Vec<String> {
        let mut found = Vec::new();
        let mut same = |what: &str, of_program: &dyn std::fmt::Debug, of_proc: &dyn std::fmt::Debug| {
            let (of_program, of_proc) = (format!("{of_program:?}"), format!("{of_proc:?}"));
            if of_program != of_proc {
                found.push(format!("{what} of {}: {of_program}, but /proc has {of_proc}", task.pid));
            }
        };
        let zombie = matches!(self.state, 'Z' | 'X');
        let depth = u32::try_from(self.numbers.len()).unwrap() - 1;
        same("tgid", &task.tgid, &self.tgid);
        same("parent", &task.parent, &self.parent);
        // At 100 ticks a second.
        same("start", &(task.start_boottime_ns / 10_000_000), &self.start_ticks);
        same("uid", &task.uid, &Some(self.uid));
        same("kernel thread", &task.kernel_thread, &self.kernel_thread);
        same("zombie", &task.zombie, &zombie);
        same("init", &task.pid_namespace_init, &(self.numbers.last() == Some(&1)));
        same("threads", &task.threads, &Some(self.threads));
        same("pid", &Some(task.pid), &self.numbers.first().copied());
        same("pid inside", &task.pid_inside, &self.numbers.last().copied());
        same("pids below", &task.pids_below.as_slice(), &self.numbers.get(1..).unwrap_or_default());
        same("state", &task.state, &Some(self.state));
        same("level", &task.level, &Some(readers_level + depth));
        // /proc tells more of a kernel thread than its comm: a worker's task, a name longer than 15 bytes.
        if self.kernel_thread {
            let known = task.comm.split(['-', '+']).next().unwrap();
            same("comm", &task.comm, if self.comm.starts_with(known) { &task.comm } else { &self.comm });
        } else {
            same("comm", &task.comm, &self.comm);
        }
        for (name, inode) in &self.namespaces {
            let of_program = match name.as_str() {
                "pid_for_children" => task.pid_for_children,
                "time_for_children" => task.time_for_children,
                kind => task.namespaces.get(kind.parse::<Kind>().unwrap()),
            };
            same(name, &of_program, &Some(*inode));
        }
        if !zombie {
            // All ten; but a namespace for children that has no init yet has no link.
            same("links", &(self.namespaces.len() >= 9), &true);
            same("owner of the user namespace", &task.user_namespace_owner, &self.owner);
            same("cgroup", &task.cgroup.as_ref(), &Some(&self.cgroup));
        }
        found
    }
}
