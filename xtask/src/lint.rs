//! `cargo xtask lint`: format and lints, warnings being errors, on both sides of the kernel's border.

use anyhow::Result;
use bpf_build::{Kind, Request, Step};

use crate::cargo::{cargo, target_dir};
use crate::{setup, sh};

/// Checks everything that can be checked without running it.
pub fn lint() -> Result<()> {
    sh::run(cargo("fmt")?.args(["--all", "--check"]))?;
    setup::setup(false)?;
    sh::run(
        cargo("clippy")?
            .args(["--workspace", "--exclude", "inspector-ebpf", "--all-targets"])
            .args(["--", "-D", "warnings"]),
    )?;
    ebpf()
}

/// The eBPF crate, by clippy where its toolchain has one, by the compiler elsewhere.
fn ebpf() -> Result<()> {
    let toolchain = bpf_build::find_toolchain()?;
    let request = Request {
        workspace: sh::workspace()?.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        little_endian: cfg!(target_endian = "little"),
        target_dir: target_dir()?,
    };
    let has_clippy = toolchain.cargo.with_file_name("cargo-clippy").is_file();
    // Debian's rustc-web comes without clippy; rustup's does not fit it.
    let step = if has_clippy { Step::Clippy } else { Step::Check };
    let mut command = bpf_build::nested_cargo(&toolchain, &request, step)?;
    eprintln!(
        "+ {} of inspector-ebpf with {}",
        if has_clippy { "clippy" } else { "check" },
        match toolchain.kind {
            Kind::Nightly => "rustup's nightly",
            Kind::Distribution => "the distribution's compiler",
        }
    );
    let status = command.status()?;
    anyhow::ensure!(status.success(), "inspector-ebpf does not pass ({status})");
    Ok(())
}
