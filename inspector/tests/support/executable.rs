//! Copies of programs that are run at once.

use std::path::Path;
use std::process::Command;

/// Copies a program, for everybody to run.
///
/// By a process of its own: while this one holds the copy open for writing, another thread's fork holds it as well
/// until its exec, and whoever runs the copy then is told `ETXTBSY`.
///
/// # Panics
///
/// If it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    let output = Command::new("install").args(["-m", "0755", "--"]).args([from, to]).output();
    let output = output.unwrap_or_else(|error| panic!("install: {error}"));
    assert!(
        output.status.success(),
        "{} to {}: {}",
        from.display(),
        to.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
