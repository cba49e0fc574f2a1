//! What is looked at, as it was found. No judgement.

use std::fs;
use std::io;
use std::path::Path;

use crate::source::Context;

/// Capabilities by their bit (`linux/capability.h`).
pub(super) const CAPABILITIES: [(u32, &str); 5] = [
    (39, "CAP_BPF"),
    (38, "CAP_PERFMON"),
    (19, "CAP_SYS_PTRACE"),
    (2, "CAP_DAC_READ_SEARCH"),
    (21, "CAP_SYS_ADMIN"),
];

/// A flag of `/proc/PID/stat`: a kernel thread.
const PF_KTHREAD: u64 = 0x0020_0000;
/// Processes whose namespaces are tried: enough to tell, few enough for a node with 100,000.
const MAX_TRIED: usize = 2000;

/// The machine, as far as our answers depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `uname -r`.
    pub(super) release: String,
    pub(super) has_btf: bool,
    /// The effective set; `None` where unread.
    pub(super) capabilities: Option<u64>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub(super) unprivileged_bpf: Option<String>,
    /// `/sys/kernel/security/lockdown`, the chosen mode.
    pub(super) lockdown: Option<String>,
    /// `kernel.yama.ptrace_scope`.
    pub(super) ptrace_scope: Option<String>,
    /// The security modules, by `/sys/kernel/security/lsm`.
    pub(super) security_modules: Option<String>,
    /// The `hidepid` option of /proc.
    pub(super) hidepid: Option<String>,
    /// The pid of this process by that /proc; `None` where it does not know us.
    pub(super) pid_in_proc: Option<u32>,
    pub(super) own_pid: u32,
    /// PID 2 is a kernel thread.
    pub(super) sees_kernel_threads: bool,
    /// Why kthreadd's namespaces cannot be read, and PID 1's; `None` where they can.
    pub(super) kthreadd_denied: Option<String>,
    pub(super) pid_one_denied: Option<String>,
    /// Processes whose namespaces were readable, of those tried.
    pub(super) readable: usize,
    pub(super) tried: usize,
    pub(super) cgroups: Cgroups,
}

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cgroups {
    V2,
    V1,
    /// v1's controllers, with v2 beside them.
    Hybrid,
    #[default]
    None,
}

impl Facts {
    pub(super) fn read(context: &Context) -> Self {
        let proc = context.host("/proc");
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let (readable, tried) = try_namespaces(context, &proc);
        Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            has_btf: fs::File::open("/sys/kernel/btf/vmlinux").is_ok(),
            capabilities: effective_capabilities(&status),
            unprivileged_bpf: first_line("/proc/sys/kernel/unprivileged_bpf_disabled"),
            lockdown: first_line("/sys/kernel/security/lockdown").as_deref().and_then(chosen),
            ptrace_scope: first_line("/proc/sys/kernel/yama/ptrace_scope"),
            security_modules: first_line("/sys/kernel/security/lsm"),
            hidepid: hidepid(&mounts, &proc),
            pid_in_proc: fs::read_link(proc.join("self")).ok().and_then(|pid| pid.to_str()?.parse().ok()),
            own_pid: std::process::id(),
            sees_kernel_threads: fs::read_to_string(proc.join("2/stat"))
                .is_ok_and(|stat| is_kernel_thread(&stat)),
            kthreadd_denied: denied_namespaces(&proc, "2"),
            pid_one_denied: denied_namespaces(&proc, "1"),
            readable,
            tried,
            cgroups: cgroups(&mounts, &context.host("/sys/fs/cgroup")),
        }
    }

    /// Whether a capability is in the effective set.
    pub(super) fn has(&self, name: &str) -> bool {
        CAPABILITIES
            .iter()
            .find(|(_, known)| *known == name)
            .is_some_and(|(bit, _)| self.capabilities.unwrap_or_default() & (1 << bit) != 0)
    }
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned())
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

/// The word in brackets of `[none] integrity confidentiality`.
fn chosen(line: &str) -> Option<String> {
    Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// The `hidepid` option of what is mounted there, where it hides anything.
fn hidepid(mountinfo: &str, proc: &Path) -> Option<String> {
    // The last one covers those before it.
    let line = mountinfo.lines().rfind(|line| mount_point(line) == proc.to_str())?;
    let options = line.rsplit(' ').next()?;
    let value = options.split(',').find_map(|option| option.strip_prefix("hidepid="))?;
    (!matches!(value, "0" | "off")).then(|| value.to_owned())
}

/// Its fifth field.
fn mount_point(line: &str) -> Option<&str> {
    line.split(' ').nth(4)
}

fn is_kernel_thread(stat: &str) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    // The state is field 3 and the flags field 9.
    rest.split(' ')
        .nth(6)
        .and_then(|flags| flags.parse::<u64>().ok())
        .is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// Why the namespaces of that process cannot be read.
fn denied_namespaces(proc: &Path, pid: &str) -> Option<String> {
    let error = fs::read_link(proc.join(pid).join("ns/net")).err()?;
    Some(match error.kind() {
        io::ErrorKind::NotFound => "there is no such process here".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    })
}

/// How many processes there are whose namespaces can be read, of how many.
fn try_namespaces(context: &Context, proc: &Path) -> (usize, usize) {
    let Ok(folder) = fs::read_dir(proc) else { return (0, 0) };
    let pids = folder
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let (mut readable, mut tried) = (0, 0);
    for pid in pids.take(MAX_TRIED) {
        if context.time_left(std::time::Duration::MAX).is_zero() {
            break;
        }
        // The pid namespace is the one that a zombie has too.
        match fs::read_link(proc.join(pid).join("ns/pid")) {
            Ok(_) => (readable, tried) = (readable + 1, tried + 1),
            // It is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => tried += 1,
        }
    }
    (readable, tried)
}

fn cgroups(mountinfo: &str, root: &Path) -> Cgroups {
    let (mut v1, mut v2) = (false, false);
    for line in mountinfo.lines() {
        let below = mount_point(line).is_some_and(|point| Path::new(point).starts_with(root));
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
        v1 |= below && kind == Some("cgroup");
        v2 |= below && kind == Some("cgroup2");
    }
    match (v1, v2) {
        (true, true) => Cgroups::Hybrid,
        (true, false) => Cgroups::V1,
        (false, true) => Cgroups::V2,
        (false, false) => Cgroups::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=invisible,gid=4
30 27 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids";

    #[test]
    fn mounts() {
        assert_eq!(hidepid(MOUNTS, Path::new("/proc")).as_deref(), Some("invisible"));
        assert_eq!(hidepid("1 2 0:1 / /proc rw - proc proc rw", Path::new("/proc")), None);
        assert_eq!(hidepid("1 2 0:1 / /proc rw - proc proc rw,hidepid=off", Path::new("/proc")), None);
        let covered = "1 2 0:1 / /proc rw - proc proc rw,hidepid=2\n3 1 0:2 / /proc rw - proc proc rw";
        assert_eq!(hidepid(covered, Path::new("/proc")), None, "the mount on top counts");
        assert_eq!(cgroups(MOUNTS, Path::new("/sys/fs/cgroup")), Cgroups::Hybrid);
        let unified = "1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(cgroups(unified, Path::new("/sys/fs/cgroup")), Cgroups::V2);
        assert_eq!(cgroups(unified, Path::new("/host/sys/fs/cgroup")), Cgroups::None);
        assert_eq!(cgroups("", Path::new("/sys/fs/cgroup")), Cgroups::None);
    }

    #[test]
    fn lines() {
        assert_eq!(chosen("none [integrity] confidentiality").as_deref(), Some("integrity"));
        assert_eq!(chosen("nonsense"), None);
        assert_eq!(effective_capabilities("CapPrm:\t0\nCapEff:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(effective_capabilities("CapEff:\tx"), None);
        assert!(is_kernel_thread("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0"));
        assert!(!is_kernel_thread("2 (sh) S 0 0 0 0 -1 4194560 0 0"));
        assert!(!is_kernel_thread("2 () S 0 0 0 0 -1 2129984) S 0 0 0 0 -1 4194560 0 0"));
    }
}
