//! `cargo xtask dist`: one file that runs on any Linux of this processor, and the proof that it is that.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{Dyn as _, ElfFile, ProgramHeader as _};

use crate::cargo::{build_program, host_target, link_statically};
use crate::{build, setup, sh};

/// Makes the binary, checks it, and gives its path.
pub fn dist() -> Result<PathBuf> {
    setup::setup(false)?;
    let target = host_target();
    let program = build_program(|cargo| link_statically(cargo.args(["--profile", "dist"]), &target))?;
    build::require_object(&program)?;
    let bytes = fs::read(&program.path)?;
    require_static(&bytes).with_context(|| format!("{} is not static", program.path.display()))?;
    let object = fs::read(&program.object)?;
    ensure!(
        bytes.windows(object.len()).any(|window| window == object),
        "{} does not carry its eBPF object",
        program.path.display()
    );
    let version = sh::output(Command::new(&program.path).arg("--version"))?;
    accompany(&program.path)?;
    println!("{}", program.path.display());
    println!(
        "{}: static, stripped, {} bytes, of these {} of eBPF object",
        version.trim(),
        bytes.len(),
        object.len()
    );
    Ok(program.path)
}

/// Where each shell looks for completions, by the file's name in our folder.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "inspector.bash"),
    ("zsh", "_inspector"),
    ("fish", "inspector.fish"),
    ("elvish", "inspector.elv"),
    ("powershell", "_inspector.ps1"),
];

/// Puts completions and manual pages beside the binary, as the binary itself prints them.
fn accompany(program: &Path) -> Result<()> {
    let beside = program.parent().context("the binary is in no folder")?;
    let completions = beside.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, file) in COMPLETIONS {
        let script = sh::output(Command::new(program).args(["completions", shell]))?;
        ensure!(script.contains("inspector"), "the completions for {shell} are empty");
        fs::write(completions.join(file), script)?;
    }
    // Anew, so that no page of a command that is gone stays.
    let man = beside.join("man");
    match fs::remove_dir_all(&man) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    sh::output(Command::new(program).arg("man").arg("--dir").arg(&man))?;
    ensure!(man.join("inspector.1").is_file(), "no manual page was written to {}", man.display());
    println!("{} and {}", completions.display(), man.display());
    Ok(())
}

/// Neither a dynamic loader nor a shared library is asked for, and no symbols are left.
fn require_static(elf: &[u8]) -> Result<()> {
    let file = ElfFile::<FileHeader64<Endianness>>::parse(elf)?;
    let endian = file.endian();
    for header in file.elf_program_headers() {
        if let Some(loader) = header.interpreter(endian, elf)? {
            bail!("it asks for the loader {}", String::from_utf8_lossy(loader));
        }
        for entry in header.dynamic(endian, elf)?.unwrap_or_default() {
            ensure!(entry.tag(endian) != object::elf::DT_NEEDED, "it needs a shared library");
        }
    }
    ensure!(file.elf_symbol_table().is_empty(), "it is not stripped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_not_taken_for_static() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = require_static(&own).unwrap_err().to_string();
        assert!(error.contains("loader") || error.contains("stripped"), "{error}");
        assert!(require_static(b"#!/bin/sh").is_err());
    }
}
