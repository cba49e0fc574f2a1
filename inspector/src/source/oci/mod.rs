//! What all OCI runtimes have in common on disk: the specification of a container (`config.json`), runc's state
//! of it (`state.json`), containerd's folders of bundles, and how to read such files without being misled; and the
//! containers of runc, crun and runsc that no daemon manages ([`collect`]).
//!
//! It must not know any daemon's own files, and it never deserializes an environment: those hold secrets.

pub mod bundle;
mod collect;
pub mod crun;
pub mod dead;
pub mod file;
pub mod process;
pub mod roots;
pub mod runc;
pub mod runsc;
pub mod spec;

pub use collect::{collect, volumes};

#[cfg(test)]
pub(crate) mod tests;
