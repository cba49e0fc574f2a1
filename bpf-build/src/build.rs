//! Building the object: a cargo of its own kind, in a target folder and an environment of its own.
//!
//! The build runs inside another cargo's build script, so it must share nothing with it: not the target folder (its
//! lock is held), not the toolchain, not the flags. Paths of the building machine must not reach the object.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::embedded::embedded_source_hash;
use crate::source::source_hash;
use crate::strip::without_dwarf;
use crate::toolchain::{Kind, Toolchain};

/// The eBPF object of one workspace, as wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// The workspace's folder.
    pub workspace: PathBuf,
    /// The processor of the kernels it is for, in Rust's words (`x86_64`): what a tracing program's registers are.
    pub arch: String,
    /// Whether those kernels are little-endian.
    pub little_endian: bool,
    /// The folder for everything that the build leaves behind, kept between builds. A subfolder of it is used.
    pub target_dir: PathBuf,
}

/// An object that was built, or accepted.
#[derive(Clone, Debug)]
pub struct Object {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// The hash of its sources, which it carries too.
    pub source_sha256: String,
}

/// Why there is no object although there should be one.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The sources or the result could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The compiler said no; it has printed why.
    #[error("the eBPF object did not build ({status}) with {toolchain}")]
    Failed {
        /// How the nested cargo ended.
        status: ExitStatus,
        /// What it was built with.
        toolchain: String,
    },
    /// The object is not the one asked for.
    #[error("{path}: {why}")]
    Wrong {
        /// The object's file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What the nested cargo is asked to do with the eBPF crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Build the object.
    Build,
    /// Type-check it, warnings being errors.
    Check,
    /// Run clippy over it, warnings being errors; not every toolchain has clippy.
    Clippy,
}

/// Builds the object with `toolchain` and proves that it is made from the sources in `request.workspace`.
pub fn build_object(toolchain: &Toolchain, request: &Request) -> Result<Object, BuildError> {
    let expected = source_hash(&request.workspace)?;
    let status = nested_cargo(toolchain, request, Step::Build)?.status()?;
    if !status.success() {
        return Err(BuildError::Failed { status, toolchain: toolchain.to_string() });
    }
    let built = nested_target_dir(request).join(target(request)).join("bpf").join("inspector-ebpf");
    let mut object = accept(&built, &expected)?;
    object.bytes = without_dwarf(&object.bytes)
        .map_err(|e| BuildError::Wrong { path: built, why: format!("cannot be stripped: {e}") })?;
    Ok(object)
}

/// Takes an object that somebody else built, if it says that it is made from the sources in `workspace`.
pub fn verify_prebuilt(object: &Path, workspace: &Path) -> Result<Object, BuildError> {
    accept(object, &source_hash(workspace)?)
}

fn accept(path: &Path, expected: &str) -> Result<Object, BuildError> {
    let wrong = |why| BuildError::Wrong { path: path.to_owned(), why };
    let bytes = fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let found = embedded_source_hash(&bytes).map_err(wrong)?;
    if found != expected {
        return Err(wrong(format!("built from other sources: it carries {found}, this tree is {expected}")));
    }
    Ok(Object { bytes, source_sha256: found })
}

/// The cargo command that does `step`, its environment rid of everything that the outer build put there.
pub fn nested_cargo(toolchain: &Toolchain, request: &Request, step: Step) -> io::Result<Command> {
    let mut command = Command::new(&toolchain.cargo);
    for (name, _) in env::vars_os().filter(|(name, _)| belongs_to_outer_build(name)) {
        command.env_remove(name);
    }
    let subcommand = match step {
        Step::Build => "build",
        Step::Check => "check",
        Step::Clippy => "clippy",
    };
    command
        .current_dir(&request.workspace)
        .args([subcommand, "--locked", "--package", "inspector-ebpf", "--profile", "bpf"])
        .args(["-Z", "build-std=core", "--target", target(request)])
        .arg("--target-dir")
        .arg(nested_target_dir(request))
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain, request, step))
        .env("INSPECTOR_BPF_SOURCE_SHA256", source_hash(&request.workspace)?);
    if let Some(jobs) = env::var_os("NUM_JOBS") {
        command.env("CARGO_BUILD_JOBS", jobs);
    }
    if toolchain.kind == Kind::Distribution {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(command)
}

/// Of the outer build, only where and how to fetch dependencies carries over.
fn belongs_to_outer_build(name: &OsString) -> bool {
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
    const FOREIGN: [&str; 4] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS"];
    const EXACT: [&str; 5] = ["RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT", "TARGET", "HOST", "MAKEFLAGS"];
    let name = name.to_string_lossy();
    let kept = KEPT.iter().any(|prefix| name.starts_with(prefix));
    !kept && (FOREIGN.iter().any(|prefix| name.starts_with(prefix)) || EXACT.contains(&&*name))
}

fn rustflags(toolchain: &Toolchain, request: &Request, step: Step) -> OsString {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let mut flags = vec![
        joined("-Clinker=", &toolchain.linker, ""),
        "-Clink-arg=--btf".into(),
        format!("--cfg=bpf_target_arch=\"{}\"", request.arch).into(),
        joined("--remap-path-prefix=", &request.workspace, "=inspector"),
        joined("--remap-path-prefix=", &toolchain.library, "=rust/library"),
    ];
    // Debian's is a link to where the sources really are, and that name ends up in the object.
    let library = fs::canonicalize(&toolchain.library).ok();
    flags.extend(library.map(|real| joined("--remap-path-prefix=", &real, "=rust/library")));
    flags
        .extend(cargo_home.map(|home| joined("--remap-path-prefix=", &home.join("registry/src"), "=crates")));
    if step != Step::Build {
        flags.push("-Dwarnings".into());
    }
    flags.join(std::ffi::OsStr::new("\x1f"))
}

fn joined(before: &str, path: &Path, after: &str) -> OsString {
    let mut text = OsString::from(before);
    text.push(path);
    text.push(after);
    text
}

fn target(request: &Request) -> &'static str {
    if request.little_endian { "bpfel-unknown-none" } else { "bpfeb-unknown-none" }
}

fn nested_target_dir(request: &Request) -> PathBuf {
    request.target_dir.join("ebpf")
}

/// The target folder that a file of cargo's lies in: the nearest folder above it that cargo has tagged as its own.
pub fn target_dir_of(path: &Path) -> Option<&Path> {
    path.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_to_dependencies_is_inherited() {
        for (name, outer) in [
            ("CARGO", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_BUILD_TARGET", true),
            ("CARGO_MAKEFLAGS", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC", true),
            ("RUSTFLAGS", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("TARGET", true),
            ("CARGO_HOME", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_REGISTRIES_MINE_TOKEN", false),
            ("RUSTUP_HOME", false),
            ("PATH", false),
            ("HOME", false),
        ] {
            assert_eq!(belongs_to_outer_build(&name.into()), outer, "{name}");
        }
    }

    #[test]
    fn the_target_folder_is_the_one_cargo_tagged() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("t/debug/build/x/out");
        fs::create_dir_all(&deep).unwrap();
        fs::write(dir.path().join("t/CACHEDIR.TAG"), "").unwrap();
        assert_eq!(target_dir_of(&deep), Some(&*dir.path().join("t")));
    }

    #[test]
    fn a_prebuilt_object_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.o");
        let missing = accept(&path, "0").unwrap_err().to_string();
        assert!(missing.contains("x.o"), "{missing}");
        fs::write(&path, "not an object").unwrap();
        let nonsense = accept(&path, "0").unwrap_err().to_string();
        assert!(nonsense.contains("no ELF object"), "{nonsense}");
    }
}
