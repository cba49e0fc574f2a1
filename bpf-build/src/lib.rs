//! How the kernel side of inspector becomes an object file: find an eBPF toolchain, build `inspector-ebpf` with it, and
//! say from exactly which sources.
//!
//! Used by `inspector/build.rs`, so that every `cargo build` embeds an object made from the tree it stands in, and by
//! xtask, so that `cargo xtask setup` and the build script can never disagree about what a toolchain is. It installs
//! nothing, needs no network of its own, and writes only below the folders it is given.

mod build;
mod embedded;
mod source;
mod strip;
mod toolchain;

pub use build::{
    BuildError, Object, Request, Step, build_object, nested_cargo, target_dir_of, verify_prebuilt,
};
pub use embedded::{SECTION, embedded_source_hash};
pub use source::{source_files, source_hash};
pub use toolchain::{Kind, MIN_RUSTC, NotFound, Toolchain, compilers_llvm, find_toolchain};
