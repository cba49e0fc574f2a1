//! Writes the answer to standard output. Who stops reading has had enough: that is no failure.

use std::io::{self, BufWriter, ErrorKind, Write};

use super::failure::Failure;

/// Writes and flushes.
///
/// # Errors
/// If standard output takes no more for another reason than that its reader is gone.
pub fn print(text: &str) -> Result<(), Failure> {
    with_stdout(|out| out.write_all(text.as_bytes()))
}

/// Lets `write` write to standard output, and flushes.
///
/// # Errors
/// As [`print`].
pub fn with_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            // What is left in the buffer has nowhere to go.
            let _ = out.into_parts();
            Ok(())
        }
        other => other.map_err(|error| {
            Failure::collect(format!("could not write to standard output: {error}; the answer is incomplete"))
        }),
    }
}
