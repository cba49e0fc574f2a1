//! The object on the oldest kernel that inspector supports, booted for real.

use std::process::Command;

#[test]
#[ignore = "boots a kernel under QEMU with the binary that ships: `cargo xtask test` asks for it"]
fn the_object_loads_and_iterates_on_debians_5_10() {
    let status = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["kernels", "5.10"]).status().unwrap();
    assert!(status.success(), "`cargo xtask kernels 5.10` failed: see above");
}
