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
const SENTENCES: &str = "a about above absent accepts address addresses after again all allow allowed also although among an and \
    annotation another answer answered answers any api architecture are argument arrived as asked at available bad \
    be because been before behave behaves being believed belongs below beyond bind blocked both bpf branch broke \
    broken btf buffer build built bundles but by byte bytes call calls came can cannot cap_bpf cap_dac_read_search \
    cap_net_admin cap_perfmon cap_sys_admin cap_sys_ptrace capabilities cgroup cgroups children column command \
    config_debug_info_btf connect connection connections container containerd's containers controller cost costs \
    could count counted cpu crash credentials crun's cut daemon damaged data database deaths declares deep deeper \
    deleted denied depth described descriptors detail device did directory disk do docker's does down ebpf elements \
    end ended entries error even event events every exist exited failed few file files filter first folder followed \
    for form found from full get given gives go gone grant had hang has have header heard held here hidden hides \
    hierarchies higher hold host host's hostpid how hundred id if in incomplete info infra init initial inspection \
    inspector instead interrupted into invalid is it iterator iterator's iterators its itself join json keep keeps \
    kernel kernel's key kind know known knows kthreadd's kubernetes label large late leaves left length let lets \
    levels lie lies limit limits line linux list listed listens load loaded local lockdown locked log long longer \
    looked looking looks lost low machine's made magic makes manages many map maps may memory message metadata mib \
    missing mixed module more mount mounted mountinfo mounts ms munmap must name named names namespace namespace's \
    namespaces needs neither network newer no nobody node node's none nor not nothing number numbers object of off \
    often on one one's only open opened operation or order os other out output outside over own page pause per \
    permission permitted pid pidfd_getfd pids pinned pins pipe pod podman's pods ports price privileges process \
    processed processes processor procfs program programs raise raising ran reached read reader reader's reading \
    reads rebuild record refers refuse refused refuses regular removed report resource rest ring rlimit_memlock root \
    root's roots run runc's running runs runtime runtime's runtimes s same sandbox sandboxes say says seccomp \
    security see seen seldom sent served service shared short show shown shows side slowly so socket sockets some \
    sort space specification stack stand stands start started stat state status steps still storage string such \
    systemctl systems take takes task tasks tells temporarily than that the their theirs them there these they this \
    those thread threads tier time timed timeout tmpdir to told too took transaction tried tries true two type types \
    uid uids ulimit unavailable unknown unless unmount unreadable unsupported up use user user's users uses value \
    verbose verification verifier version virtual wait waiting waits walks was were what where which while who whole \
    whose why will with within without work would write writes written wrong wrote";

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
