//! The eBPF object inside this build: there, for eBPF, made from the sources in this tree, and free of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::path::Path;

/// What the build script left for the program to include.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inspector.bpf.o"));

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn object() -> &'static [u8] {
    let absent = env!("INSPECTOR_BPF_ABSENT");
    assert!(absent.is_empty(), "this build has no eBPF object: {absent}; run `cargo xtask setup`");
    OBJECT
}

#[test]
fn the_object_is_made_from_the_sources_in_this_tree() {
    let fresh = bpf_build::source_hash(workspace()).unwrap();
    assert_eq!(bpf_build::embedded_source_hash(object()).unwrap(), fresh);
    assert_eq!(env!("INSPECTOR_BPF_SOURCE_SHA256"), fresh);
}

#[test]
fn the_object_has_its_types() {
    let object = object();
    for section in [&b".BTF\0"[..], b".BTF.ext\0"] {
        assert!(contains(object, section), "no {}", String::from_utf8_lossy(section));
    }
}

#[test]
fn the_object_names_no_folder_of_the_building_machine() {
    let mut folders = vec![workspace().to_owned()];
    folders.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    for folder in folders {
        assert!(!contains(object(), folder.as_os_str().as_encoded_bytes()), "{}", folder.display());
    }
    assert!(!contains(object(), b"/usr/"), "a path below /usr");
}

#[test]
fn the_program_carries_exactly_this_object() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_inspector")).unwrap();
    assert!(contains(&program, object()), "the program embeds another object than the build script made");
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    assert!(!part.is_empty());
    text.windows(part.len()).any(|window| window == part)
}
