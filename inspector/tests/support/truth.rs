//! The truth, read from /proc with nothing of the program's own code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The eight kinds, as /proc names them.
pub const KINDS: [&str; 8] = ["mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time"];

/// What /proc says of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    pub pid: u32,
    /// `/proc/PID/stat`, field 22.
    pub start_ticks: u64,
    /// Its pid in each PID namespace, the outermost first.
    pub nspid: Vec<u32>,
    /// The inode of its namespace of each kind.
    pub namespaces: BTreeMap<String, u64>,
    /// Its cgroup in the hierarchy that runtimes name containers in.
    pub cgroup: String,
}

impl Truth {
    /// Reads it; `None` when the process is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let folder = format!("/proc/{pid}");
        let stat = fs::read(format!("{folder}/stat")).ok()?;
        let namespaces = KINDS
            .iter()
            .map(|kind| Some(((*kind).to_owned(), namespace(pid, kind)?)))
            .collect::<Option<_>>()?;
        let status = fs::read(format!("{folder}/status")).ok()?;
        let status = String::from_utf8_lossy(&status);
        let nspid = status.lines().rev().find_map(|line| line.strip_prefix("NSpid:"))?;
        Some(Self {
            pid,
            start_ticks: fields(&stat).get(19)?.parse().ok()?,
            nspid: nspid.split_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?,
            namespaces,
            cgroup: cgroup(pid)?,
        })
    }

    /// The id of an unmanaged process.
    pub fn id(&self) -> String {
        format!("proc:{}:{}", self.pid, self.start_ticks)
    }
}

/// The inode of a process's namespace.
pub fn namespace(pid: u32, kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    let text = link.to_str()?;
    text.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// The fields of `/proc/PID/stat` from the third (the state) on: what stands before is the comm, which may
/// hold anything, parentheses and spaces too.
fn fields(stat: &[u8]) -> Vec<String> {
    let end = stat.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 1);
    String::from_utf8_lossy(&stat[end..]).split_whitespace().map(str::to_owned).collect()
}

/// The cgroup of a process: v1's `name=systemd`, else v2's.
pub fn cgroup(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = |wanted: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            (controllers == wanted).then(|| path.to_owned())
        })
    };
    path("name=systemd").or_else(|| path(""))
}

/// Every process there is.
pub fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The living processes (zombies are not) in a cgroup and below it.
pub fn processes_in(cgroup_path: &str) -> Vec<u32> {
    let below = format!("{cgroup_path}/");
    let inside = |pid: &u32| cgroup(*pid).is_some_and(|path| path == cgroup_path || path.starts_with(&below));
    pids().into_iter().filter(inside).filter(|pid| !is_dead(*pid)).collect()
}

/// Whether a process is gone or wholly a zombie (a dead main thread may have living siblings).
pub fn is_dead(pid: u32) -> bool {
    let state = |stat: std::io::Result<Vec<u8>>| stat.ok().and_then(|stat| fields(&stat).first().cloned());
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        state(fs::read(thread.path().join("stat"))).is_none_or(|state| state == "Z" || state == "X")
    })
}

/// The node's own namespace of a kind: kthreadd's where PID 2 is a kernel thread, else PID 1's.
pub fn host_namespace(kind: &str) -> u64 {
    let kthreadd = fs::read("/proc/2/stat").is_ok_and(|stat| {
        // Field 9 holds the flags; this is PF_KTHREAD.
        fields(&stat)
            .get(6)
            .and_then(|flags| flags.parse::<u64>().ok())
            .is_some_and(|flags| flags & 0x0020_0000 != 0)
    });
    namespace(if kthreadd { 2 } else { 1 }, kind).unwrap()
}

/// The processes that run this very file.
pub fn running(executable: &Path) -> Vec<u32> {
    let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == executable);
    pids().into_iter().filter(runs).collect()
}
