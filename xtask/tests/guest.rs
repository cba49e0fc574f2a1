//! The tests that need a node such as users have, on one, booted for real.

use std::process::Command;

#[test]
#[ignore = "makes and boots a Debian node under QEMU: `cargo xtask test` asks for it"]
fn the_tests_pass_on_a_node_with_systemd() {
    let status = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("guest").status().unwrap();
    assert!(status.success(), "`cargo xtask guest` failed: see above");
}
