//! Puts the eBPF object, built from this tree, where the program can include it.
//!
//! Leaves `$OUT_DIR/inspector.bpf.o`, and for the program:
//! * `INSPECTOR_BPF_SOURCE_SHA256`: the hash of the sources in the tree, which the object carries too;
//! * `INSPECTOR_BPF_TOOLCHAIN`: what built it;
//! * `INSPECTOR_BPF_ABSENT`: why there is none, or empty. A machine without an eBPF toolchain still builds a program
//!   that runs, from /proc; a toolchain that is there and fails is an error.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bpf_build::{Object, Request};

/// A packager's object, which must be made from these sources; or `none`, to build without one.
const PREBUILT: &str = "INSPECTOR_BPF_OBJECT";

enum Outcome {
    Built { object: Object, by: String },
    Absent(String),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={}", one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.parent().ok_or("the crate does not stand in its workspace")?;
    watch(workspace)?;

    let (bytes, by, absent) = match outcome(workspace, &out)? {
        Outcome::Built { object, by } => (object.bytes, by, String::new()),
        Outcome::Absent(why) => {
            println!(
                "cargo::warning=inspector is built without its eBPF object and will read /proc instead ({why}); \
                 `cargo xtask setup` installs what is missing"
            );
            (Vec::new(), String::new(), why)
        }
    };
    fs::write(out.join("inspector.bpf.o"), bytes)?;
    println!("cargo::rustc-env=INSPECTOR_BPF_SOURCE_SHA256={}", bpf_build::source_hash(workspace)?);
    println!("cargo::rustc-env=INSPECTOR_BPF_TOOLCHAIN={}", one_line(&by));
    println!("cargo::rustc-env=INSPECTOR_BPF_ABSENT={}", one_line(&absent));
    Ok(())
}

fn outcome(workspace: &Path, out: &Path) -> Result<Outcome, Box<dyn Error>> {
    if let Some(given) = env::var_os(PREBUILT).filter(|given| !given.is_empty()) {
        if given == "none" {
            return Ok(Outcome::Absent(format!("{PREBUILT} is none")));
        }
        println!("cargo::rerun-if-changed={}", Path::new(&given).display());
        let object = bpf_build::verify_prebuilt(Path::new(&given), workspace)?;
        return Ok(Outcome::Built { object, by: "prebuilt".to_owned() });
    }
    match bpf_build::find_toolchain() {
        Ok(toolchain) => {
            for program in [&toolchain.rustc, &toolchain.linker] {
                println!("cargo::rerun-if-changed={}", program.display());
            }
            let request = Request {
                workspace: workspace.to_owned(),
                arch: env::var("CARGO_CFG_TARGET_ARCH")?,
                little_endian: env::var("CARGO_CFG_TARGET_ENDIAN")? == "little",
                target_dir: bpf_build::target_dir_of(out).unwrap_or(out).to_owned(),
            };
            let object = bpf_build::build_object(&toolchain, &request)?;
            Ok(Outcome::Built { object, by: toolchain.to_string() })
        }
        Err(missing) => {
            // Look again as soon as somebody installs something where it was missing.
            println!("cargo::rerun-if-env-changed=PATH");
            for path in &missing.watch {
                println!("cargo::rerun-if-changed={}", path.display());
            }
            Ok(Outcome::Absent(missing.reasons.join("; ")))
        }
    }
}

/// Cargo runs this script again when any of the object's sources, or the override, changes.
fn watch(workspace: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    for file in bpf_build::source_files(workspace)? {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    // The folders too: a new file changes none of the old ones.
    for folder in ["inspector-common", "inspector-ebpf"] {
        println!("cargo::rerun-if-changed={}", workspace.join(folder).display());
    }
    Ok(())
}

/// A line break would end cargo's instruction and start another.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
