//! The machine itself: its name, its clocks, and which namespaces are its own.

use jiff::Timestamp;
use rustix::time::ClockId;

use crate::observation::{Gap, HostNamespaces, Kind, Node, Reader, Task, Tasks};
use crate::source::Context;

/// Reads the node's name, kernel and clocks; of tasks whose reading began at `tasks_boottime_ns`.
pub fn read(context: &Context, tasks_boottime_ns: u64) -> Node {
    let names = rustix::system::uname();
    let (booted_at, boottime_ns) = boot();
    Node {
        name: names.nodename().to_string_lossy().into_owned(),
        kernel: names.release().to_string_lossy().into_owned(),
        time: Some(Timestamp::now()),
        booted_at,
        boottime_ns,
        tasks_boottime_ns: Some(tasks_boottime_ns),
        ticks_per_second: rustix::param::clock_ticks_per_second(),
        boot_id: std::fs::read_to_string(context.host("/proc/sys/kernel/random/boot_id"))
            .unwrap_or_default()
            .trim()
            .to_owned(),
    }
}

/// When the node booted, and how long ago that is, in nanoseconds.
///
/// The two clocks are read in one breath: the tightest of a few tries is exact to well below the 10 ms it is rounded to.
fn boot() -> (Option<Timestamp>, u64) {
    const ROUNDING_NS: i128 = 10_000_000;
    let read = |clock| {
        let time = rustix::time::clock_gettime(clock);
        i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
    };
    let tries = (0..5).map(|_| {
        let before = read(ClockId::Realtime);
        let boottime = read(ClockId::Boottime);
        let after = read(ClockId::Realtime);
        (after - before, i128::midpoint(before, after) - boottime, boottime)
    });
    let Some((_, booted, boottime)) = tries.min() else { return (None, 0) };
    let rounded = (booted + ROUNDING_NS / 2).div_euclid(ROUNDING_NS) * ROUNDING_NS;
    (Timestamp::from_nanosecond(rounded).ok(), u64::try_from(boottime).unwrap_or_default())
}

/// Now, in nanoseconds since boot, suspend included.
pub fn boottime_ns() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Boottime);
    let (seconds, ns) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000_000 + ns.unwrap_or_default()
}

/// The process that looks, as the host's /proc numbers it.
pub fn reader(context: &Context) -> Reader {
    let pid = std::fs::read_link(context.host("/proc/self"))
        .ok()
        .and_then(|target| target.to_str()?.parse().ok())
        .unwrap_or_default();
    Reader { pid, euid: rustix::process::geteuid().as_raw() }
}

/// The node's own namespaces, told by what was seen.
///
/// They are kthreadd's where PID 2 *is* a kernel thread; where it is not (the reader's PID namespace is no node's:
/// kind, LXC, a pod without hostPID), those of the reader's PID 1; else unknown. Never the reader's own, which in a
/// pod are not the node's. Reading PID 1's is avoided where possible: it may be refused even to root.
pub fn host_namespaces(tasks: &Tasks) -> (HostNamespaces, Option<Gap>) {
    let leader = |pid| tasks.iter().find(|task| task.pid == pid && task.is_leader());
    let read = |task: &&Task| !task.namespaces.is_empty();
    if let Some(kthreadd) = leader(2).filter(|task| task.kernel_thread).filter(read) {
        let evidence = "kthreadd's (PID 2 is a kernel thread)".to_owned();
        return (HostNamespaces { inodes: kthreadd.namespaces, evidence }, None);
    }
    if let Some(init) = leader(1).filter(read) {
        let evidence = "those of PID 1: the kernel's own threads are not to be seen from here".to_owned();
        return (HostNamespaces { inodes: init.namespaces, evidence }, None);
    }
    let why = "neither kthreadd nor the namespaces of PID 1 can be read; \
               run as root with CAP_SYS_PTRACE in the host's PID namespace (hostPID: true)";
    let gap = Gap::deciding("which namespaces are the node's own", why);
    (
        HostNamespaces { inodes: crate::observation::Inodes::default(), evidence: "unknown".to_owned() },
        Some(gap),
    )
}

/// A representative process in each mount namespace that was seen, the host's first.
pub fn mount_namespaces<'a>(tasks: &'a Tasks, host: &HostNamespaces) -> Vec<(u32, &'a Task)> {
    let mut seen = std::collections::BTreeMap::new();
    for task in tasks.iter().filter(|task| task.is_leader() && !task.kernel_thread && !task.is_dead()) {
        if let Some(inode) = task.namespaces.get(Kind::Mnt) {
            seen.entry(inode).or_insert(task);
        }
    }
    let host = host.inodes.get(Kind::Mnt);
    let mut list: Vec<_> = seen.into_iter().collect();
    list.sort_by_key(|(inode, _)| (Some(*inode) != host, *inode));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32, kernel_thread: bool, net: u32) -> Task {
        Task {
            pid,
            tgid: pid,
            kernel_thread,
            namespaces: [(Kind::Net, net)].into_iter().collect(),
            ..Task::default()
        }
    }

    #[test]
    fn the_hosts_are_kthreadds_where_pid_2_is_a_kernel_thread() {
        let (host, gap) = host_namespaces(&Tasks::from(vec![task(1, false, 11), task(2, true, 22)]));
        assert_eq!((host.inodes.get(Kind::Net), gap), (Some(22), None));
    }

    #[test]
    fn in_a_nested_node_they_are_those_of_pid_1() {
        let (host, gap) = host_namespaces(&Tasks::from(vec![task(1, false, 11), task(2, false, 22)]));
        assert_eq!((host.inodes.get(Kind::Net), gap), (Some(11), None));
    }

    #[test]
    fn else_they_are_unknown_and_that_is_a_gap() {
        let (host, gap) = host_namespaces(&Tasks::from(vec![task(1, false, 0), task(40, false, 44)]));
        assert!(host.inodes.is_empty());
        assert!(gap.unwrap().could_change_verdict);
    }
}
