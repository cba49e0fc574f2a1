//! The cargo that xtask drives, and what it says of the program that it built.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::sh;

/// The program as cargo built it.
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The eBPF object that its build script made; an empty file if there is no toolchain.
    pub object: PathBuf,
}

/// The cargo that runs this xtask, in the workspace.
pub fn cargo(subcommand: &str) -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(subcommand).current_dir(sh::workspace()?);
    Ok(cargo)
}

/// Has cargo link what it builds for this target statically.
pub fn link_statically<'c>(cargo: &'c mut Command, target: &str) -> &'c mut Command {
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    cargo
        .args(["--target", target])
        // RUSTFLAGS would win over the flags of the target alone, and reach build scripts' dependencies too.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(flags, "-C target-feature=+crt-static")
}

/// Builds the program, adjusted by `with`, and says where it is.
pub fn build_program(with: impl FnOnce(&mut Command) -> &mut Command) -> Result<Program> {
    let mut command = cargo("build")?;
    command.args([
        "--package",
        "inspector",
        "--bin",
        "inspector",
        "--message-format=json-render-diagnostics",
    ]);
    with(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let (mut path, mut object) = (None, None);
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["target"]["name"] == "inspector" => {
                path = message["executable"].as_str().map(PathBuf::from).or(path);
            }
            Some("build-script-executed") => {
                let made = message["out_dir"].as_str().map(|out| PathBuf::from(out).join("inspector.bpf.o"));
                object = made.filter(|made| made.is_file()).or(object);
            }
            _ => {}
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("the program did not build ({status})");
    }
    Ok(Program {
        path: path.context("cargo did not say where the program is")?,
        object: object.context("inspector's build script left no object file")?,
    })
}

/// The folder in which cargo keeps what it builds here.
pub fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target =
        bpf_build::target_dir_of(&own).context("xtask does not run from a target folder of cargo's")?;
    Ok(target.to_owned())
}

/// The machine that this one builds for: its own, with glibc, whose static libraries every C toolchain brings.
pub fn host_target() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}
