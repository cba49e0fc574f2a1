//! The binary that ships on the oldest kernel that inspector supports and on Debian's newest, booted for real.

use std::process::Command;

#[test]
#[ignore = "boots kernels under QEMU with the binary that ships: `cargo xtask test` asks for it"]
fn the_binary_answers_on_debians_5_10_and_newest() {
    let status =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(["kernels", "5.10", "newest"]).status().unwrap();
    assert!(status.success(), "`cargo xtask kernels 5.10 newest` failed: see above");
}
