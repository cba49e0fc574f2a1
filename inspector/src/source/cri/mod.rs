//! What Kubernetes' runtimes have in common: sandboxes, containers, and how the one is to share with the other.
//!
//! containerd's CRI, CRI-O and their files all fill the same [`model`]; from there on there is one way only.

pub mod model;
