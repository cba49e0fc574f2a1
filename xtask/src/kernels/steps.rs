//! What is asked of each kernel: one table for each way of booting it.

/// One thing that the guest does: a name for the answer, and the command.
pub type Step = (&'static str, &'static str);

/// A boot of a kernel, and what is asked then.
pub struct Scenario {
    /// Names the logs.
    pub name: &'static str,
    /// Added to the kernel's command line.
    pub append: &'static str,
    /// One after the other.
    pub steps: &'static [Step],
}

/// The kernel as it comes, then with so many processes that the program chooses eBPF by itself, and at last with its types
/// hidden, as where it was built without BTF.
pub const PLAIN: Scenario = Scenario {
    name: "plain",
    append: "",
    steps: &[
        ("kernel", "uname -r"),
        ("doctor", "inspector doctor"),
        ("doctor-json", "inspector doctor -o json"),
        ("bpf", "inspector pods --source bpf --all -o json"),
        ("procfs", "inspector pods --source procfs --all -o json"),
        ("namespaces-bpf", "inspector namespaces --source bpf -o json"),
        ("namespaces-procfs", "inspector namespaces --source procfs -o json"),
        ("demo", "inspector demo"),
        ("crowd", "crowd"),
        ("crowd-auto", "inspector pods --all -o json"),
        ("hide", "mount -t tmpfs tmpfs /sys/kernel/btf"),
        ("hidden-doctor", "inspector doctor -o json"),
        ("hidden-auto", "inspector pods --all -o json"),
        ("hidden-procfs", "inspector pods --source procfs --all -o json"),
        ("hidden-bpf", "inspector pods --source bpf --all -o json"),
    ],
};

/// The kernel that keeps its memory even from root.
pub const LOCKDOWN: Scenario = Scenario {
    name: "lockdown",
    append: "lockdown=confidentiality",
    steps: &[
        ("kernel", "uname -r"),
        ("lockdown", "cat /sys/kernel/security/lockdown"),
        ("bpf", "inspector pods --source bpf --all -o json"),
        ("procfs", "inspector pods --source procfs --all -o json"),
    ],
};
