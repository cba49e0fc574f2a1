//! What Kubernetes' runtimes have in common: sandboxes, containers, and how the one is to share with the other.
//!
//! containerd's CRI, CRI-O and their files all fill the same [`model`]; from there on there is one way only,
//! [`facts`]. By socket a runtime is asked with [`ask`].

mod client;
mod declared;
pub(super) mod info;
mod messages;
pub mod model;
mod mounts;

#[cfg(test)]
mod tests;

pub use client::{Answer, ask};
pub use declared::{facts, image, is_spoofed, sandbox_mark, sandbox_of};

/// Why the processes of a container are not to be seen on this host, by the name of its low-level runtime: a configured
/// handler's (`kata-qemu`), containerd's name for the sort (`io.containerd.runsc.v1`) or its program's.
#[must_use]
pub fn opaque(runtime: &str) -> Option<String> {
    let name = runtime.rsplit('/').next().unwrap_or(runtime).to_ascii_lowercase();
    let name = name.strip_prefix("io.containerd.").unwrap_or(&name);
    if name.starts_with("kata") {
        Some(format!("it runs in a virtual machine ({runtime})"))
    } else if name.starts_with("runsc") || name.starts_with("gvisor") {
        Some(format!("it runs on a kernel of its own in user space ({runtime})"))
    } else {
        None
    }
}
