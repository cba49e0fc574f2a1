//! What the facts mean for our answers. Pure.

use super::facts::{CAPABILITIES, Cgroups, Facts};
use super::{BpfLoad, Check, Status};

/// Below this nothing is tried: the iterator over tasks came with it.
const OLDEST: (u32, u32) = (5, 8);

impl Check {
    fn ok(name: &str, found: impl Into<String>, gives: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Ok,
            found: found.into(),
            gives: gives.to_owned(),
            lost: None,
            remedy: None,
        }
    }

    /// This check, with something wrong.
    pub(super) fn but(self, status: Status, lost: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, lost: Some(lost.into()), remedy: Some(remedy.into()), ..self }
    }

    pub(super) fn new(name: &str, found: impl Into<String>, gives: &str) -> Self {
        Self::ok(name, found, gives)
    }
}

const SLOWER: &str = "tasks are read from /proc instead: the same answer, more slowly on a busy node";

/// What eBPF needs.
pub(super) fn kernel(facts: &Facts, bpf: &BpfLoad, events: &BpfLoad) -> Vec<Check> {
    vec![
        release(facts),
        btf(facts),
        programs(bpf),
        kernel_events(events),
        bpf_capabilities(facts),
        unprivileged(facts),
        lockdown(facts),
    ]
}

fn release(facts: &Facts) -> Check {
    let check = Check::ok("kernel", &facts.release, "the task iterator (from Linux 5.8)");
    match version(&facts.release) {
        Some(version) if version >= OLDEST => check,
        Some(_) => check.but(Status::Degraded, SLOWER, "a kernel from 5.8 (tested from 5.10)"),
        None => check.but(
            Status::Degraded,
            "whether eBPF works is found out by trying only",
            "nothing: this kernel's release has no known form",
        ),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf(facts: &Facts) -> Check {
    let gives = "where this kernel keeps its fields; eBPF needs it";
    if facts.has_btf {
        return Check::ok("BTF", "/sys/kernel/btf/vmlinux", gives);
    }
    Check::ok("BTF", "no readable /sys/kernel/btf/vmlinux", gives).but(
        Status::Missing,
        SLOWER,
        "a kernel built with CONFIG_DEBUG_INFO_BTF=y (distributions' are); in a container, mount /sys",
    )
}

fn programs(bpf: &BpfLoad) -> Check {
    let gives = "every task and its namespaces in one pass, from kernel memory";
    match bpf {
        BpfLoad::Works(found) => Check::ok("eBPF programs", found, gives),
        BpfLoad::Fails(why) => Check::ok("eBPF programs", why, gives).but(
            Status::Missing,
            SLOWER,
            "mend what the rows around this one name; `--source bpf` gives the whole error",
        ),
        BpfLoad::NotBuilt => Check::ok("eBPF programs", "not in this program", gives).but(
            Status::Missing,
            SLOWER,
            "build with the eBPF toolchain: `cargo xtask build`",
        ),
    }
}

fn kernel_events(events: &BpfLoad) -> Check {
    const LOST: &str = "`watch` reads all tasks more often instead: what comes and goes in between is not seen, nor how a \
                        process that no runtime knows ended";
    let gives = "the kernel tells `watch` what happens, as it happens";
    match events {
        BpfLoad::Works(found) => Check::ok("kernel events", found, gives),
        BpfLoad::Fails(why) => Check::ok("kernel events", why, gives).but(
            Status::Missing,
            LOST,
            "mend what the rows around this one name",
        ),
        BpfLoad::NotBuilt => Check::ok("kernel events", "not in this program", gives).but(
            Status::Missing,
            LOST,
            "build with the eBPF toolchain: `cargo xtask build`",
        ),
    }
}

fn bpf_capabilities(facts: &Facts) -> Check {
    let gives = "loading the eBPF programs";
    let Some(_) = facts.capabilities else {
        return Check::ok("eBPF capabilities", "unreadable: no /proc/self/status", gives).but(
            Status::Missing,
            SLOWER,
            "mount /proc",
        );
    };
    // CAP_SYS_ADMIN stands in for both, as it did before Linux 5.8.
    let missing: Vec<&str> = ["CAP_BPF", "CAP_PERFMON"].into_iter().filter(|name| !facts.has(name)).collect();
    if missing.is_empty() {
        Check::ok("eBPF capabilities", "CAP_BPF, CAP_PERFMON", gives)
    } else if facts.has("CAP_SYS_ADMIN") {
        Check::ok("eBPF capabilities", "CAP_SYS_ADMIN (stands in for CAP_BPF, CAP_PERFMON)", gives)
    } else {
        Check::ok("eBPF capabilities", format!("without {}", missing.join(", ")), gives).but(
            Status::Missing,
            SLOWER,
            "run with sudo, or grant CAP_BPF and CAP_PERFMON",
        )
    }
}

fn unprivileged(facts: &Facts) -> Check {
    let gives = "eBPF for users without capabilities; not used, as it cannot read tasks";
    let found = match facts.unprivileged_bpf.as_deref() {
        Some("0") => "0 (allowed)",
        Some("1") => "1 (off until reboot)",
        Some("2") => "2 (off)",
        Some(other) => other,
        None => "unset: this kernel has no such setting",
    };
    Check::ok("unprivileged eBPF", found, gives)
}

fn lockdown(facts: &Facts) -> Check {
    let gives = "reading kernel memory by eBPF, unless it is on";
    match facts.lockdown.as_deref() {
        Some("confidentiality") => Check::ok("lockdown", "confidentiality", gives).but(
            Status::Degraded,
            SLOWER,
            "boot without lockdown=confidentiality (integrity does no harm)",
        ),
        Some(mode) => Check::ok("lockdown", mode, gives),
        None => Check::ok("lockdown", "off (or /sys/kernel/security is not mounted here)", gives),
    }
}

/// What is to be seen of processes.
pub(super) fn process_view(facts: &Facts) -> Vec<Check> {
    vec![
        proc_mount(facts),
        host_processes(facts),
        host_namespaces(facts),
        namespaces(facts),
        process_capabilities(facts),
        ptrace_scope(facts),
        cgroups(facts),
    ]
}

fn proc_mount(facts: &Facts) -> Check {
    let gives = "processes, by the pids that you know them by";
    let check = |found: String| Check::ok("/proc", found, gives);
    match (facts.pid_in_proc, &facts.hidepid) {
        (None, _) => check("not ours: it does not know this process".to_owned()).but(
            Status::Degraded,
            "pids are those of another PID namespace, and its tasks are not ours to iterate",
            "run in the PID namespace of the /proc that is read (in a pod: hostPID: true)",
        ),
        (Some(pid), _) if pid != facts.own_pid => {
            check(format!("of another PID namespace: we are {pid} in it, {} in our own", facts.own_pid)).but(
                Status::Degraded,
                "eBPF would number tasks otherwise than /proc does",
                "run in the PID namespace of the /proc that is read (in a pod: hostPID: true)",
            )
        }
        (Some(_), Some(hidepid)) if facts.has("CAP_SYS_PTRACE") => {
            check(format!("hidepid={hidepid}, which CAP_SYS_PTRACE sees through"))
        }
        (Some(_), Some(hidepid)) => check(format!("hidepid={hidepid}")).but(
            Status::Degraded,
            "other users' processes are invisible: their pods are missing",
            "run with sudo or CAP_SYS_PTRACE, or mount /proc without hidepid",
        ),
        (Some(_), None) => check("of our own PID namespace, nothing hidden".to_owned()),
    }
}

fn host_processes(facts: &Facts) -> Check {
    let gives = "the whole node";
    if facts.sees_kernel_threads {
        return Check::ok("node", "PID 2 is the kernel's kthreadd: we see the whole node", gives);
    }
    Check::ok("node", "PID 2 is no kernel thread: we are in a container's PID namespace", gives).but(
        Status::Degraded,
        "only the processes of this PID namespace are seen",
        "run on the host; in a pod hostPID: true, with Docker --pid=host (in kind, k3d and LXC this is the node)",
    )
}

fn host_namespaces(facts: &Facts) -> Check {
    let gives = "telling the node's own namespaces from the pods'";
    let check = |found: String| Check::ok("node's namespaces", found, gives);
    match (&facts.kthreadd_denied, &facts.pid_one_denied) {
        (None, None) if facts.sees_kernel_threads => check("kthreadd's and PID 1's are readable".to_owned()),
        (None, Some(why)) if facts.sees_kernel_threads => {
            check(format!("kthreadd's; PID 1's are not readable ({why}), and not needed"))
        }
        (_, None) => check("PID 1's".to_owned()),
        (_, Some(why)) => check(format!("not readable: {why}")).but(
            Status::Missing,
            "what is the host's stays unknown, and with it which pods share only that",
            "run with sudo or CAP_SYS_PTRACE",
        ),
    }
}

fn namespaces(facts: &Facts) -> Check {
    let gives = "who shares what";
    let (readable, tried) = (facts.readable, facts.tried);
    let check = Check::ok(
        "namespaces",
        format!("readable in /proc: those of {readable} of {tried} processes"),
        gives,
    );
    let by_module = "allow it in the security module (Landlock, SELinux, AppArmor) that denies it";
    if readable == tried && tried > 0 {
        check
    } else if readable == 0 {
        check.but(
            Status::Missing,
            "no pod can be seen by /proc",
            "mount /proc; run with sudo or CAP_SYS_PTRACE",
        )
    } else if facts.has("CAP_SYS_PTRACE") {
        let modules =
            facts.security_modules.as_deref().map(|list| format!(" (active: {list})")).unwrap_or_default();
        check.but(
            Status::Degraded,
            "the other processes' pods, unless eBPF sees them",
            format!("{by_module}{modules}"),
        )
    } else {
        check.but(
            Status::Degraded,
            "other users' processes and pods, unless eBPF sees them",
            "run with sudo, or grant CAP_SYS_PTRACE",
        )
    }
}

fn process_capabilities(facts: &Facts) -> Check {
    let gives = "what other users' processes wait for and hold open: telling a pause from an application";
    let names = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];
    let missing: Vec<&str> = names.into_iter().filter(|name| !facts.has(name)).collect();
    if missing.is_empty() {
        let others: Vec<&str> =
            CAPABILITIES.iter().map(|(_, name)| *name).filter(|name| names.contains(name)).collect();
        return Check::ok("process capabilities", others.join(", "), gives);
    }
    Check::ok("process capabilities", format!("without {}", missing.join(", ")), gives).but(
        if missing.len() == names.len() { Status::Missing } else { Status::Degraded },
        "owners that no runtime marks as infra have class unknown",
        "run with sudo, or grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    )
}

fn ptrace_scope(facts: &Facts) -> Check {
    let gives = "the system call that a process waits in";
    match facts.ptrace_scope.as_deref() {
        None => Check::ok("Yama ptrace_scope", "no Yama here", gives),
        Some("3") => Check::ok("Yama ptrace_scope", "3 (nobody may attach)", gives).but(
            Status::Degraded,
            "waits are told by the kernel's function only (wchan), without their time limit",
            "sysctl kernel.yama.ptrace_scope=2 at boot: 3 cannot be taken back before the next",
        ),
        Some(scope) => Check::ok("Yama ptrace_scope", scope, gives),
    }
}

fn cgroups(facts: &Facts) -> Check {
    let gives = "which container a process belongs to";
    let check = |found: &str| Check::ok("cgroups", found, gives);
    match facts.cgroups {
        Cgroups::V2 => check("v2"),
        Cgroups::V1 => check("v1"),
        Cgroups::Hybrid => check("hybrid: v1's controllers, v2 beside them"),
        Cgroups::None => check("not mounted at /sys/fs/cgroup").but(
            Status::Degraded,
            "cgroups are known by /proc alone: a container's exec sessions are told less surely",
            "mount /sys/fs/cgroup (in a container, the host's, read-only)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node where nothing is wrong.
    fn good() -> Facts {
        Facts {
            release: "6.18.0-1".to_owned(),
            has_btf: true,
            capabilities: Some(u64::MAX),
            pid_in_proc: Some(7),
            own_pid: 7,
            sees_kernel_threads: true,
            readable: 3,
            tried: 3,
            cgroups: Cgroups::V2,
            ..Facts::default()
        }
    }

    fn works() -> BpfLoad {
        BpfLoad::Works("loaded".to_owned())
    }

    fn all(facts: &Facts, bpf: &BpfLoad) -> Vec<Check> {
        [kernel(facts, bpf, bpf), process_view(facts)].concat()
    }

    #[test]
    fn nothing_wrong() {
        for check in all(&good(), &works()) {
            assert_eq!((check.status, check.lost, check.remedy), (Status::Ok, None, None), "{}", check.name);
        }
    }

    /// Each thing wrong by itself is said in its own row, with what is lost and how to mend it.
    #[test]
    fn one_thing_wrong() {
        use Status::{Degraded, Missing};
        let denied = || Some("permission denied".to_owned());
        let table: [(&str, Facts, Status); 16] = [
            ("kernel", Facts { release: "4.19.0".to_owned(), ..good() }, Degraded),
            ("kernel", Facts { release: "next".to_owned(), ..good() }, Degraded),
            ("BTF", Facts { has_btf: false, ..good() }, Missing),
            ("lockdown", Facts { lockdown: Some("confidentiality".to_owned()), ..good() }, Degraded),
            ("/proc", Facts { pid_in_proc: None, ..good() }, Degraded),
            ("/proc", Facts { pid_in_proc: Some(4711), ..good() }, Degraded),
            ("node", Facts { sees_kernel_threads: false, ..good() }, Degraded),
            (
                "node's namespaces",
                Facts { kthreadd_denied: denied(), pid_one_denied: denied(), ..good() },
                Missing,
            ),
            ("namespaces", Facts { readable: 2, ..good() }, Degraded),
            ("namespaces", Facts { readable: 0, tried: 0, ..good() }, Missing),
            ("process capabilities", Facts { capabilities: Some(!(1 << 2)), ..good() }, Degraded),
            ("process capabilities", Facts { capabilities: Some(!(1 << 2 | 1 << 19)), ..good() }, Missing),
            ("eBPF capabilities", Facts { capabilities: Some(!(1 << 39 | 1 << 21)), ..good() }, Missing),
            ("Yama ptrace_scope", Facts { ptrace_scope: Some("3".to_owned()), ..good() }, Degraded),
            ("cgroups", Facts { cgroups: Cgroups::None, ..good() }, Degraded),
            (
                "/proc",
                Facts { hidepid: Some("2".to_owned()), capabilities: Some(!(1 << 19)), ..good() },
                Degraded,
            ),
        ];
        for (name, facts, status) in table {
            let checks = all(&facts, &works());
            let check = checks.iter().find(|check| check.name == name).expect(name);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.lost.is_some() && check.remedy.is_some(), "{check:?}");
        }
    }

    #[test]
    fn what_does_no_harm_is_ok() {
        let table = [
            ("/proc", Facts { hidepid: Some("2".to_owned()), ..good() }),
            ("lockdown", Facts { lockdown: Some("integrity".to_owned()), ..good() }),
            ("node's namespaces", Facts { pid_one_denied: Some("permission denied".to_owned()), ..good() }),
            ("Yama ptrace_scope", Facts { ptrace_scope: Some("2".to_owned()), ..good() }),
            ("unprivileged eBPF", Facts { unprivileged_bpf: Some("2".to_owned()), ..good() }),
            // CAP_SYS_ADMIN alone, as before 5.8.
            ("eBPF capabilities", Facts { capabilities: Some(1 << 21), ..good() }),
        ];
        for (name, facts) in table {
            let checks = all(&facts, &works());
            assert_eq!(
                checks.iter().find(|check| check.name == name).expect(name).status,
                Status::Ok,
                "{name}"
            );
        }
    }

    #[test]
    fn programs_that_do_not_load() {
        for bpf in [BpfLoad::Fails("EPERM".to_owned()), BpfLoad::NotBuilt] {
            assert_eq!(programs(&bpf).status, Status::Missing);
        }
    }
}
