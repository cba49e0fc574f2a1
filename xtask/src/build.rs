//! `cargo xtask build` and `run`: the program with its eBPF object, and never a silent fallback.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{Program, build_program};
use crate::{setup, sh};

/// Builds the program with an eBPF object in it.
pub fn build(release: bool) -> Result<Program> {
    setup::setup(false)?;
    let program = build_program(|cargo| if release { cargo.arg("--release") } else { cargo })?;
    require_object(&program)?;
    eprintln!("{}", program.path.display());
    Ok(program)
}

/// Builds as this user and becomes the program, as root.
pub fn run(release: bool, args: &[String]) -> Result<()> {
    let program = build(release)?;
    let error = sh::as_root(&program.path).args(args).exec();
    Err(error).with_context(|| format!("cannot run {} as root", program.path.display()))
}

/// An error if the program was built without its object, by an override for instance.
pub fn require_object(program: &Program) -> Result<()> {
    let len = std::fs::metadata(&program.object)?.len();
    if len == 0 {
        bail!("the program was built without its eBPF object: see cargo's warning above");
    }
    Ok(())
}
