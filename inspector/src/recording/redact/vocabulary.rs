//! Words that stay as they are in a redacted recording: of the kernel, of runtimes, and of this program's own sentences.
//! They are on every node, so that they tell nothing of this one, and many of them decide what a container is taken for.

/// Names of programs, folders, sockets, namespaces and settings. What judgements rest on has to be in here: a name that
/// is missing changes a verdict, and the tests of `redact` show it.
const NAMES: &[&str] = &[
    // Programs that something is told by, besides those that `state` lists.
    "pause",
    "sleep",
    "tail",
    "pod",
    "kthreadd",
    "systemd",
    "init",
    // Runtimes, their sockets and their folders.
    "docker",
    "dockerd",
    "docker.sock",
    "containerd",
    "containerd.sock",
    "cri-o",
    "crio",
    "crio.sock",
    "podman",
    "podman.sock",
    "libpod",
    "libpod_parent",
    "runc",
    "crun",
    "runsc",
    "gvisor",
    "kata",
    "kata-runtime",
    "kata-qemu",
    "krun",
    "youki",
    "io.containerd.runc.v2",
    "io.containerd.kata.v2",
    "io.containerd.runsc.v1",
    "buildkit",
    "k8s.io",
    "default",
    "containers",
    "storage",
    "overlay",
    "overlay2",
    "kubelet",
    "cgroupfs",
    // Cgroups.
    "kubepods",
    "kubepods-besteffort",
    "kubepods-burstable",
    "besteffort",
    "burstable",
    "system",
    "user",
    "machine",
    // Folders.
    "proc",
    "self",
    "fd",
    "ns",
    "task",
    "root",
    "sys",
    "fs",
    "cgroup",
    "run",
    "var",
    "lib",
    "etc",
    "usr",
    "bin",
    "sbin",
    "dev",
    "null",
    "opt",
    "srv",
    "tmp",
    "home",
    "mnt",
    "netns",
    "pods",
    "volumes",
    "volume-subpaths",
    "_data",
    "pid_for_children",
    "time_for_children",
    // Of a kubelet's volumes.
    "empty-dir",
    "configmap",
    "secret",
    "projected",
    "downward-api",
    "csi",
    "local-volume",
    "nfs",
    "host-path",
    // Kinds of namespaces, protocols.
    "uts",
    "ipc",
    "pid",
    "net",
    "time",
    "tcp",
    "udp",
    // Marks of infra containers.
    "io.kubernetes.docker.type=podsandbox",
    "com.amazonaws.ecs.container-name=~internal~ecs~pause",
    "io.kubernetes.cri.container-type=sandbox",
    "io.kubernetes.cri-o.ContainerType=sandbox",
    "IsInfra",
    // Why events of the kernel do not arrive.
    "ring-full",
    "untracked",
    "program-busy",
    "undecodable",
];

/// What a thread can wait in: system calls, and the kernel's functions that stand for some.
const WAITS: &[&str] = &[
    "running",
    "accept",
    "accept4",
    "clock_nanosleep",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "futex",
    "futex_wait",
    "futex_waitv",
    "io_getevents",
    "io_uring_enter",
    "nanosleep",
    "poll",
    "poll_schedule_timeout",
    "ppoll",
    "pselect6",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "select",
    "wait4",
    "waitid",
];

/// What stands behind `anon_inode:`.
const ANONYMOUS: &[&str] = &[
    "[eventfd]",
    "[eventpoll]",
    "[fanotify]",
    "[io_uring]",
    "[pidfd]",
    "[signalfd]",
    "[timerfd]",
    "[userfaultfd]",
    "bpf-map",
    "bpf-prog",
    "bpf_link",
    "inotify",
];

/// The words of this program's own sentences about what it could not read, and of the system's errors.
const SENTENCES: &str = "a about absent address addresses after all allow allowed an and annotation answer answered answers \
    any api are as asked at be because been before being belongs bind bpf btf but by call calls can cannot cap_bpf \
    cap_net_admin cap_perfmon cap_sys_admin cap_sys_ptrace cap_dac_read_search cgroup children command connect connection \
    container containers could could_not cpu credentials damaged data database declares denied descriptors described detail did \
    directory disk do docker's containerd's podman's does ebpf error exist exited failed file files folder for found from \
    full gone has have held here hidden host host's hostpid how id if in incomplete info init into is it iterator its kernel \
    kernel's kthreadd's label late length limit limits list listed listens long longer lost made may memory missing more \
    mount mountinfo mounts name named names namespace namespaces neither network no node node's none nor not nothing of on \
    one only open operation or os other out own pause per permission permitted pid pids pins pod pods privileges process \
    processes ran reached read reader refused removed report root root's run runs running runtime runtimes sandbox sandboxes \
    say says see seen service shared shown so socket sockets space start started state status storage such take task tasks \
    than that the their them there these they this thread threads those time timed timeout to tried tries true uid uids \
    unknown unreadable user user's users version virtual wait waits was were what where which who whose why with within \
    without write wrong";

/// Whether a name stays.
pub(super) fn is_name(text: &str) -> bool {
    use crate::state::well_known::{HELPERS, INITS, MULTI_CALL, SHELLS};
    [NAMES, &HELPERS, &INITS, &MULTI_CALL, &SHELLS].iter().any(|names| names.contains(&text))
}

/// Whether a wait's name stays.
pub(super) fn is_wait(text: &str) -> bool {
    WAITS.contains(&text)
}

/// Whether what stands behind `anon_inode:` stays.
pub(super) fn is_anonymous(text: &str) -> bool {
    ANONYMOUS.contains(&text)
}

/// Whether a word of a sentence stays.
pub(super) fn is_word(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    SENTENCES.split_whitespace().any(|word| word == small)
}

/// Whether a word of a sentence names a runtime, behind which its version may stand.
pub(super) fn is_runtime(text: &str) -> bool {
    const RUNTIMES: [&str; 7] = ["docker", "containerd", "cri-o", "podman", "runc", "crun", "version"];
    RUNTIMES.contains(&text.to_ascii_lowercase().as_str())
}
