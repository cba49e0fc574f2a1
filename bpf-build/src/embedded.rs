//! The hash of its sources that an eBPF object carries, read back out of the ELF file.

use object::{Object as _, ObjectSection as _};

/// The section in which `inspector-ebpf` says what it is and what it was built from. Not a section that aya loads.
pub const SECTION: &str = "inspector.identity";
/// What stands before the hash in that section; a NUL ends it.
const BEFORE_HASH: &str = " source=";

/// The hash of the sources that `object` says it was built from; the error says what is wrong with the object.
pub fn embedded_source_hash(object: &[u8]) -> Result<String, String> {
    let file = object::File::parse(object).map_err(|e| format!("no ELF object: {e}"))?;
    let machine = file.architecture();
    if machine != object::Architecture::Bpf {
        return Err(format!("an object for {machine:?}, not for eBPF"));
    }
    let section = file.section_by_name(SECTION).ok_or_else(|| format!("it has no section {SECTION}"))?;
    let bytes = section.data().map_err(|e| format!("section {SECTION}: {e}"))?;
    hash_in(bytes)
        .map(str::to_owned)
        .ok_or_else(|| format!("its section {SECTION} holds no hash of its sources"))
}

fn hash_in(identity: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(identity.split(|byte| *byte == 0).next()?).ok()?;
    let (_, hash) = text.split_once(BEFORE_HASH)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_read_or_is_none() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(hash_in(format!("inspector-bpf abi=1 source={hash}\0").as_bytes()), Some(&*hash));
        let upper = hash.to_uppercase();
        for text in ["", "x abi=1 source=-\0", "x abi=1 source=\0", &format!("x source={upper}\0"), &hash] {
            assert_eq!(hash_in(text.as_bytes()), None, "{text}");
        }
        assert_eq!(hash_in(b"x source=\xff\0"), None);
    }

    #[test]
    fn what_is_no_ebpf_object_is_refused() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for (bytes, says) in
            [(&b""[..], "no ELF object"), (&b"\x7fELF"[..], "no ELF object"), (&own[..], "not for eBPF")]
        {
            let error = embedded_source_hash(bytes).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
