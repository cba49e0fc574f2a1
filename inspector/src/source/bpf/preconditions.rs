//! What must hold before it is worth asking the kernel: capabilities, locked memory, one PID namespace.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::BpfError;
use crate::source::Context;

/// The initial PID namespace has had this inode since Linux 3.8 (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The running kernel's version; (0, 0) where it does not say one.
fn kernel_version() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The capabilities that loading and reading needs and this process lacks.
pub fn missing_capabilities() -> Vec<&'static str> {
    // A kernel that cannot tell is asked the hard way.
    let Ok(sets) = capabilities(None) else { return Vec::new() };
    missing(sets.effective, kernel_version())
}

fn missing(effective: CapabilitySet, kernel: (u32, u32)) -> Vec<&'static str> {
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return Vec::new();
    }
    if kernel < (5, 8) {
        return vec!["CAP_SYS_ADMIN"];
    }
    [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter_map(|(capability, name)| (!effective.contains(capability)).then_some(name))
        .collect()
}

/// Refuses early, in microseconds, what the kernel would refuse after the work is done.
pub fn check_capabilities() -> Result<(), BpfError> {
    match missing_capabilities().as_slice() {
        [] => Ok(()),
        names => Err(BpfError::Permission {
            why: format!("{} missing; run as root, or grant it", names.join(" and ")),
        }),
    }
}

/// Whether the kernel keeps its memory even from root. To the verifier it is then as if the helpers that read it did not
/// exist, and it says so in as many words.
pub fn locked_down() -> bool {
    fs::read_to_string("/sys/kernel/security/lockdown").is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// Why the kernel says EPERM to a process that has the capabilities.
pub fn explain_refusal() -> String {
    let mut why =
        "the kernel refuses bpf() although the capabilities are there: a user namespace other than the \
                   initial one, a seccomp filter or kernel lockdown does that"
            .to_owned();
    if kernel_version() < (5, 11) {
        why += "; before Linux 5.11 also a low limit of locked memory (ulimit -l)";
    }
    why
}

/// Before Linux 5.11 maps and programs count as locked memory, against a limit of 64 KiB.
pub fn raise_memlock() {
    if kernel_version() < (5, 11)
        && let Err(error) = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })
    {
        log::debug!("raising RLIMIT_MEMLOCK: {error}");
    }
}

/// Makes sure that the kernel, which numbers tasks as this process's PID namespace does, and the /proc in use mean
/// the same by a pid. Gives the depth of that namespace where it is known: 0, the initial one.
pub fn check_pid_namespace(context: &Context) -> Result<Option<u32>, BpfError> {
    let proc = context.host("/proc");
    let other = |why: String| BpfError::OtherPidNamespace { proc: proc.display().to_string(), why };
    let mend = "run in the PID namespace that it shows (hostPID: true in Kubernetes, --pid=host in Docker)";
    let status = fs::read_to_string(proc.join("self/status"))
        .map_err(|error| other(format!("it does not show this process ({error}); {mend}")))?;
    let own = std::process::id();
    let numbers = numbers(&status);
    // One number for each level from that of /proc down to this process's own.
    if numbers != [own] {
        return Err(other(format!("it knows this process by {numbers:?}, which calls itself {own}; {mend}")));
    }
    let inode = fs::metadata(proc.join("self/ns/pid")).map(|found| found.ino()).ok();
    Ok((inode == Some(INITIAL_PID_NAMESPACE)).then_some(0))
}

fn numbers(status: &str) -> Vec<u32> {
    let line = |name| status.lines().find_map(|line: &str| line.strip_prefix(name));
    let numbers = line("NSpid:").or_else(|| line("Pid:")).unwrap_or_default();
    numbers.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_by_kernel() {
        let (bpf, perfmon) = (CapabilitySet::BPF, CapabilitySet::PERFMON);
        for (effective, kernel, expected) in [
            (CapabilitySet::empty(), (6, 1), vec!["CAP_BPF", "CAP_PERFMON"]),
            (bpf, (5, 8), vec!["CAP_PERFMON"]),
            (bpf | perfmon, (5, 8), vec![]),
            (bpf | perfmon, (5, 7), vec!["CAP_SYS_ADMIN"]),
            (CapabilitySet::SYS_ADMIN, (5, 4), vec![]),
        ] {
            assert_eq!(missing(effective, kernel), expected, "{effective:?} on {kernel:?}");
        }
    }

    #[test]
    fn the_kernels_version_is_read() {
        assert!(kernel_version() > (4, 0));
    }

    #[test]
    fn numbers_of_a_process() {
        assert_eq!(numbers("Name:\tNSpid: 3\nPid:\t7\nNSpid:\t7\t1\n"), [7, 1]);
        assert_eq!(numbers("Pid:\t7\n"), [7]);
        assert!(numbers("").is_empty());
    }
}
