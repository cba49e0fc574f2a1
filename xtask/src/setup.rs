//! `cargo xtask setup`: what is missing on this machine, said and then installed; nothing when nothing is.
//!
//! Debian and its relatives are set up wholly. Elsewhere it prints what to install and fails. It never replaces a
//! program that is there: a package is asked for only when the program it is wanted for is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo::cargo;
use crate::sh;

/// The last bpf-linker that the supported compilers can build, and the LLVM versions that it knows.
const BPF_LINKER: &str = "0.13.0";
const BPF_LINKER_LLVM: [u32; 3] = [21, 22, 23];

/// Compilers that a distribution has with their library sources: the one for browsers is the newer, so it is first.
const COMPILERS: [[&str; 3]; 2] =
    [["rustc-web", "cargo-web", "rust-web-src"], ["rustc", "cargo", "rust-src"]];

/// What the tests start, and the package that has it. A path is taken as it is, a name is looked for on PATH.
const TEST_PROGRAMS: [(&str, &str); 15] = [
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("podman", "podman"),
    ("crun", "crun"),
    ("catatonit", "catatonit"),
    ("tini", "tini"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    // The tests' own small C programs.
    ("cc", "gcc"),
    // The guest's disks.
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
];

/// Installs what is missing: the eBPF toolchain, and with `tests` what the tests start.
pub fn setup(tests: bool) -> Result<()> {
    if tests {
        let missing = missing_test_packages();
        if !missing.is_empty() {
            eprintln!("setup: the tests start programs that this machine lacks");
            apt_install(&missing)?;
            let still = missing_test_packages();
            ensure!(still.is_empty(), "installed, and still missing what is in {}", still.join(", "));
        }
    }
    let Err(missing) = bpf_build::find_toolchain() else { return Ok(()) };
    eprintln!("setup: {missing}");
    if bpf_build::compilers_llvm().is_empty() {
        apt_install(&distribution_compiler()?)?;
    }
    let compilers = bpf_build::compilers_llvm();
    let llvm = match compilers.iter().find_map(|compiler| newest_fitting_llvm(*compiler)) {
        Some(installed) => installed,
        None => install_llvm(&compilers)?,
    };
    install_bpf_linker(llvm)?;
    let toolchain =
        bpf_build::find_toolchain().context("the toolchain was installed and still does not do")?;
    eprintln!("setup: done, the eBPF toolchain is {toolchain}");
    Ok(())
}

fn missing_test_packages() -> Vec<&'static str> {
    let mut packages: Vec<&str> = TEST_PROGRAMS
        .iter()
        .filter(|(program, _)| !Path::new(program).is_file() && sh::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if static_busybox().is_none() {
        packages.push("busybox-static");
    }
    packages.dedup();
    packages
}

/// A busybox that runs where there are no libraries: in container images and kernels' first file systems.
pub fn static_busybox() -> Option<PathBuf> {
    let path = sh::find("busybox")?;
    let elf = fs::read(&path).ok()?;
    let interpreter = b"/ld-linux";
    (!elf.windows(interpreter.len()).any(|part| part == interpreter)).then_some(path)
}

/// The LLVM that is installed with its development files, can read what `compiler` writes, and bpf-linker knows.
fn newest_fitting_llvm(compiler: u32) -> Option<u32> {
    let fits = |llvm: &&u32| **llvm >= compiler && llvm_prefix(**llvm).join("bin/llvm-config").is_file();
    BPF_LINKER_LLVM.iter().find(fits).copied()
}

fn llvm_prefix(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

fn distribution_compiler() -> Result<[&'static str; 3]> {
    apt_update()?;
    let (major, minor) = bpf_build::MIN_RUSTC;
    for packages in COMPILERS {
        let found = candidate(packages[0])?;
        let mut numbers = found.split('.').map(str::parse::<u32>);
        if let (Some(Ok(a)), Some(Ok(b))) = (numbers.next(), numbers.next())
            && (a, b) >= bpf_build::MIN_RUSTC
        {
            return Ok(packages);
        }
    }
    bail!("this distribution has no rustc {major}.{minor} or newer.\n{}", by_hand())
}

fn install_llvm(compilers: &[u32]) -> Result<u32> {
    apt_update()?;
    for compiler in compilers {
        for llvm in BPF_LINKER_LLVM.iter().filter(|llvm| *llvm >= compiler) {
            let packages = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
            if candidate(&packages[0])? != "(none)" {
                apt_install(&packages)?;
                return Ok(*llvm);
            }
        }
    }
    bail!("no development files of an LLVM for bpf-linker {BPF_LINKER} are to be had here.\n{}", by_hand())
}

fn install_bpf_linker(llvm: u32) -> Result<()> {
    let prefix = llvm_prefix(llvm);
    eprintln!("setup: builds bpf-linker {BPF_LINKER} with LLVM {llvm} into cargo's folder (1 to 3 minutes)");
    let mut install = cargo("install")?;
    install
        .args(["bpf-linker", "--version", BPF_LINKER, "--locked", "--force", "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}")])
        // Its own build script reads the one, llvm-sys the other; without both, an older llvm-config on PATH wins.
        .env("LLVM_PREFIX", &prefix)
        .env(format!("LLVM_SYS_{llvm}1_PREFIX"), &prefix)
        .env_remove("CARGO_TARGET_DIR");
    sh::run(&mut install)
}

/// The version that apt would install, `(none)` if it knows none.
fn candidate(package: &str) -> Result<String> {
    let policy = sh::output(Command::new("apt-cache").args(["policy", package]).env("LC_ALL", "C"))?;
    let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    // An epoch would be taken for the version's first number.
    Ok(line.map_or("(none)", |found| found.split_once(':').map_or(found, |(_, rest)| rest)).to_owned())
}

fn apt_update() -> Result<()> {
    if sh::find("apt-get").is_none() {
        bail!(
            "this is no Debian, and xtask does not know how to install what is missing here.\n{}",
            by_hand()
        );
    }
    // Once is enough for one command.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    sh::run(sh::as_root("apt-get").args(["update", "-q"]))
}

fn apt_install(packages: &[impl AsRef<str>]) -> Result<()> {
    let packages: Vec<&str> = packages.iter().map(AsRef::as_ref).collect();
    if sh::find("apt-get").is_none() {
        bail!("please install what Debian calls {}.\n{}", packages.join(" "), by_hand());
    }
    eprintln!(
        "setup: installs {} by apt{}",
        packages.join(" "),
        if sh::is_root() { "" } else { ", as root" }
    );
    apt_update()?;
    sh::run(
        sh::as_root("env")
            .args([
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "install",
                "-y",
                "-q",
                "--no-install-recommends",
            ])
            .args(packages),
    )
}

fn by_hand() -> String {
    let (major, minor) = bpf_build::MIN_RUSTC;
    format!(
        "The eBPF toolchain by hand:\n\
         1. `rustup toolchain install nightly --component rust-src`, or a distribution's rustc {major}.{minor} or \
         newer below /usr/bin with its cargo and library sources;\n\
         2. LLVM's development files in a version from {:?} that is not older than that compiler's (`rustc -vV`);\n\
         3. with LLVM 22 for instance: LLVM_PREFIX=PREFIX LLVM_SYS_221_PREFIX=PREFIX cargo install bpf-linker \
         --version {BPF_LINKER} --no-default-features --features llvm-22, PREFIX being LLVM's folder.",
        BPF_LINKER_LLVM
    )
}
