//! What all OCI runtimes have in common on disk: the specification of a container (`config.json`), runc's state
//! of it (`state.json`), containerd's folders of bundles, and how to read such files without being misled.
//!
//! It must not know any one runtime's own files, and it never deserializes an environment: those hold secrets.

pub mod bundle;
pub mod file;
pub mod runc;
pub mod spec;

#[cfg(test)]
pub(crate) mod tests;
