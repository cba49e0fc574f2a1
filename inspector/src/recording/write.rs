//! Writes an observation as a recording.

use std::io::Write;

use super::{Header, LINE_BYTES, MAGIC, TOTAL_BYTES, VERSION, WriteError, end_line, lines};
use crate::observation::Observation;
use crate::render::json;

/// Writes a recording to `out` and flushes it. Returns its length in bytes.
///
/// # Errors
/// If `out` fails, or if the observation is larger than a reader takes.
pub fn write(
    observation: &Observation,
    created: jiff::Timestamp,
    out: &mut impl Write,
) -> Result<u64, WriteError> {
    let mut digest = crc32fast::Hasher::new();
    let (mut count, mut bytes) = (0_u64, 0_u64);
    let header = Header {
        format: "inspector-recording",
        version: VERSION,
        inspector: env!("CARGO_PKG_VERSION"),
        created: created.to_string(),
    };
    // Escaped, so that looking into a recording does nothing to the terminal.
    let header = json::line(&header)?;
    debug_assert!(header.starts_with(MAGIC), "the header's first bytes are the magic");
    let texts = std::iter::once(Ok(header)).chain(lines(observation).map(|line| json::line(&line)));
    for text in texts {
        let text = text?;
        let length = text.len() as u64;
        if length > LINE_BYTES {
            return Err(WriteError::TooLong("one line", LINE_BYTES));
        }
        out.write_all(text.as_bytes())?;
        digest.update(text.as_bytes());
        count += 1;
        bytes += length;
        if bytes > TOTAL_BYTES - 4096 {
            return Err(WriteError::TooLong("the observation", TOTAL_BYTES));
        }
    }
    let end = end_line(count, bytes, digest.finalize());
    out.write_all(end.as_bytes())?;
    out.flush()?;
    Ok(bytes + end.len() as u64)
}
