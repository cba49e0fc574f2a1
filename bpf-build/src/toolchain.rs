//! Which eBPF toolchain this machine has.
//!
//! Two kinds work, tried in this order: a rustup nightly with `rust-src`, and a distribution's own compiler with its
//! sources (Debian's rustc-web packages), which `RUSTC_BOOTSTRAP` lets build `core`. Both need bpf-linker, whose LLVM
//! must not be older than the compiler's: an older one cannot read the compiler's bitcode, and says so in riddles.
//! Looking installs nothing and starts only `rustup`, `rustc` and `bpf-linker` to ask for their versions.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object as _, ObjectSection as _};

/// The oldest compiler (major, minor) that the workspace is written for: its `rust-version`.
pub const MIN_RUSTC: (u32, u32) = (1, 90);

/// Where a compiler keeps its library sources, below its sysroot.
const LIBRARY: &str = "lib/rustlib/src/rust/library";

/// Where a toolchain came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// rustup's nightly, with the component rust-src.
    Nightly,
    /// The distribution's compiler below /usr, with the sources of `core` beside it.
    Distribution,
}

/// A compiler, its cargo, and a linker that fits them.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Where it came from.
    pub kind: Kind,
    /// cargo, by its full path (never rustup's proxy).
    pub cargo: PathBuf,
    /// rustc, by its full path.
    pub rustc: PathBuf,
    /// bpf-linker, by its full path.
    pub linker: PathBuf,
    /// The compiler's first version line and the linker's.
    pub version: String,
    /// The folder of the compiler's library sources.
    pub library: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Why there is no toolchain: one reason for each kind that was looked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no eBPF toolchain: {}", reasons.join("; "))]
pub struct NotFound {
    /// What was missing, one line each.
    pub reasons: Vec<String>,
    /// Existing files and folders that change when somebody installs what is missing.
    pub watch: Vec<PathBuf>,
}

/// The first toolchain that can build the object.
pub fn find_toolchain() -> Result<Toolchain, NotFound> {
    let mut reasons = Vec::new();
    let mut watch: Vec<PathBuf> = cargo_bin_folders().into_iter().filter(|p| p.exists()).collect();
    match nightly(&mut watch).and_then(|found| with_linker(Kind::Nightly, &found)) {
        Ok(toolchain) => return Ok(toolchain),
        Err(reason) => reasons.push(format!("rustup nightly: {reason}")),
    }
    match distribution(&mut watch).and_then(|found| with_linker(Kind::Distribution, &found)) {
        Ok(toolchain) => return Ok(toolchain),
        Err(reason) => reasons.push(format!("distribution's compiler: {reason}")),
    }
    Err(NotFound { reasons, watch })
}

/// A compiler with the sources of `core`, before a linker is looked for.
struct Compiler {
    sysroot: PathBuf,
    bin: PathBuf,
    version: Version,
}

/// The LLVM (major) of each compiler here that could build the object if it had a linker, in order of preference.
#[must_use]
pub fn compilers_llvm() -> Vec<u32> {
    let mut watch = Vec::new();
    [nightly(&mut watch), distribution(&mut watch)]
        .into_iter()
        .flatten()
        .map(|found| found.version.llvm)
        .collect()
}

struct Version {
    line: String,
    llvm: u32,
}

fn nightly(watch: &mut Vec<PathBuf>) -> Result<Compiler, String> {
    let rustup = find_program("rustup").ok_or("no rustup")?;
    // A rustup that installs what it is asked for would turn a look into a download.
    let sysroot = output(
        Command::new(rustup)
            .args(["run", "nightly", "rustc", "--print", "sysroot"])
            .env("RUSTUP_AUTO_INSTALL", "0")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )
    .map_err(|_| "no toolchain of that name")?;
    let sysroot = PathBuf::from(sysroot.trim());
    watch.extend(Some(sysroot.join("lib/rustlib/components")).filter(|p| p.exists()));
    compiler(sysroot.join("bin"), sysroot, "component rust-src is missing")
}

fn distribution(watch: &mut Vec<PathBuf>) -> Result<Compiler, String> {
    watch.push(PathBuf::from("/usr/bin"));
    let (bin, sysroot) = (PathBuf::from("/usr/bin"), PathBuf::from("/usr"));
    for program in ["rustc", "cargo"] {
        let path = bin.join(program);
        // A link from /usr/bin into rustup's folder is not the distribution's.
        if !path.exists() || fs::canonicalize(&path).is_ok_and(|p| p.ends_with("rustup")) {
            return Err(format!("no {}", path.display()));
        }
    }
    watch.push(sysroot.join("lib/rustlib"));
    watch.retain(|p| p.exists());
    compiler(bin, sysroot, "its library sources are missing (Debian: rust-web-src)")
}

fn compiler(bin: PathBuf, sysroot: PathBuf, no_source: &str) -> Result<Compiler, String> {
    let rustc = bin.join("rustc");
    let text = output(Command::new(&rustc).arg("-vV").env_remove("RUSTUP_TOOLCHAIN"))?;
    let version = parse_version(&text).ok_or_else(|| format!("{} -vV is not understood", rustc.display()))?;
    if !sysroot.join(LIBRARY).join("core/Cargo.toml").exists() {
        return Err(no_source.to_owned());
    }
    let release = field(&text, "release: ").and_then(release_numbers);
    if release.is_none_or(|found| found < MIN_RUSTC) {
        return Err(format!("{} is older than {}.{}", version.line, MIN_RUSTC.0, MIN_RUSTC.1));
    }
    Ok(Compiler { sysroot, bin, version })
}

fn with_linker(kind: Kind, compiler: &Compiler) -> Result<Toolchain, String> {
    let (linker, linker_version) = bpf_linker(compiler.version.llvm)?;
    Ok(Toolchain {
        kind,
        cargo: compiler.bin.join("cargo"),
        rustc: compiler.bin.join("rustc"),
        version: format!("{}, {linker_version}", compiler.version.line),
        linker,
        library: compiler.sysroot.join(LIBRARY),
    })
}

/// The first bpf-linker on PATH or in cargo's own folder whose LLVM is at least `llvm`, and its version line.
fn bpf_linker(llvm: u32) -> Result<(PathBuf, String), String> {
    let mut reasons = Vec::new();
    for path in candidates("bpf-linker") {
        match linker_llvm(&path) {
            Some(own) if own < llvm => {
                reasons.push(format!("{} has LLVM {own}, the compiler {llvm}", path.display()));
            }
            _ => match output(Command::new(&path).arg("--version")) {
                Ok(version) => return Ok((path, version.trim().to_owned())),
                Err(error) => reasons.push(error),
            },
        }
    }
    Err(if reasons.is_empty() { "no bpf-linker".to_owned() } else { reasons.join(", ") })
}

/// The major version of the shared LLVM that a linker was linked with; none where LLVM is inside it.
fn linker_llvm(linker: &Path) -> Option<u32> {
    let bytes = fs::read(linker).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let names = file.section_by_name(".dynstr")?.data().ok()?;
    names.split(|b| *b == 0).find_map(|name| llvm_soname(std::str::from_utf8(name).ok()?))
}

/// `libLLVM.so.22.1` and the older `libLLVM-14.so.1`.
fn llvm_soname(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libLLVM")?;
    let rest = rest.strip_prefix(".so.").or_else(|| rest.strip_prefix('-'))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The major version of LLVM in the output of `rustc -vV`.
fn llvm_major(rustc_vv: &str) -> Option<u32> {
    field(rustc_vv, "LLVM version: ")?.split('.').next()?.parse().ok()
}

fn parse_version(text: &str) -> Option<Version> {
    Some(Version { line: text.lines().next()?.to_owned(), llvm: llvm_major(text)? })
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

fn release_numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// cargo's folder of installed programs: the configured one, then the usual one.
fn cargo_bin_folders() -> Vec<PathBuf> {
    let configured = env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let mut folders: Vec<PathBuf> = configured.into_iter().chain(usual).map(|p| p.join("bin")).collect();
    folders.dedup();
    folders
}

fn candidates(program: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo_bin_folders())
        .map(|p| p.join(program))
        .filter(|p| p.is_file())
        .collect()
}

fn find_program(program: &str) -> Option<PathBuf> {
    candidates(program).into_iter().next()
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !out.status.success() {
        let stderr = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{name}: {}", stderr.lines().next().unwrap_or("failed")));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_read_from_the_name_of_its_library() {
        for (name, major) in [
            ("libLLVM.so.22.1", Some(22)),
            ("libLLVM.so.19.1", Some(19)),
            ("libLLVM-14.so.1", Some(14)),
            ("libLLVM-22.so", Some(22)),
            ("libLLVMCore.so.3", None),
            ("libLLVM.so", None),
            ("libc.so.6", None),
            ("", None),
        ] {
            assert_eq!(llvm_soname(name), major, "{name}");
        }
    }

    #[test]
    fn compiler_versions_are_read() {
        let text = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        let version = parse_version(text).unwrap();
        assert_eq!((version.llvm, &*version.line), (22, "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)"));
        assert_eq!(field(text, "release: ").and_then(release_numbers), Some((1, 97)));
        assert!(parse_version("rustc 1.97.0\n").is_none(), "a compiler without LLVM cannot make bitcode");
        assert_eq!(release_numbers("1.85.0"), Some((1, 85)));
        assert_eq!(release_numbers("nonsense"), None);
    }

    #[test]
    fn a_linker_without_a_shared_llvm_has_no_version() {
        assert_eq!(linker_llvm(&env::current_exe().unwrap()), None);
        assert_eq!(linker_llvm(Path::new("/nonexistent")), None);
    }
}
