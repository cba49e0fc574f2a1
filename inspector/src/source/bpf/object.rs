//! The compiled kernel side, as it was built into this program; the only place that knows how it gets here.

use inspector_common::{ABI, IDENTITY};

use super::BpfError;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/inspector.bpf.o"));

/// The hash of the sources that this program was built with.
pub const SOURCE_SHA256: &str = env!("INSPECTOR_BPF_SOURCE_SHA256");

/// Why there is no object; empty if there is one.
const ABSENT: &str = env!("INSPECTOR_BPF_ABSENT");

/// What an object says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The version of the records and of the layout.
    pub abi: String,
    /// The hash of the sources that it was built from; `-` if its build did not say.
    pub source_sha256: String,
}

/// Whether this program was built with its kernel side.
#[must_use]
pub const fn is_built_in() -> bool {
    !OBJECT.is_empty()
}

/// The object, if there is one and it speaks this program's language.
pub fn bytes() -> Result<&'static [u8], BpfError> {
    if OBJECT.is_empty() {
        return Err(BpfError::NotBuiltIn { why: ABSENT.to_owned() });
    }
    match identity(OBJECT) {
        Some(found) if found.abi == ABI.to_string() => Ok(OBJECT),
        found => {
            Err(BpfError::OtherAbi { found: found.map_or_else(|| "none".to_owned(), |found| found.abi) })
        }
    }
}

/// Reads an object's identity.
#[must_use]
pub fn identity(object: &[u8]) -> Option<Identity> {
    let at = object.windows(IDENTITY.len()).position(|bytes| bytes == IDENTITY.as_bytes())?;
    let line = object.get(at + IDENTITY.len()..)?.split(|byte| *byte == 0).next()?;
    let (abi, source) = std::str::from_utf8(line).ok()?.split_once(" source=")?;
    Some(Identity { abi: abi.to_owned(), source_sha256: source.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_here_and_says_what_it_is() {
        let found = identity(bytes().unwrap()).unwrap();
        assert_eq!(found.abi, ABI.to_string());
        assert!(found.source_sha256 == SOURCE_SHA256, "built from other sources: {found:?} {SOURCE_SHA256}");
    }

    #[test]
    fn an_identity_is_read_or_is_none() {
        let read = |bytes: &[u8]| identity(bytes).map(|found| (found.abi, found.source_sha256));
        assert_eq!(read(b"\x7fELF..inspector-bpf abi=1 source=ab\0xx"), Some(("1".into(), "ab".into())));
        assert_eq!(read(b"inspector-bpf abi=1"), None);
        assert_eq!(read(b"inspector-bpf abi=\xff source=\0"), None);
        assert_eq!(read(b""), None);
    }
}
