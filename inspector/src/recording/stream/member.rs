//! The members of gzip that a stream is made of.
//!
//! Each says in its header (a field of its own, which others skip) how long it is, and the checksums of its header, of its
//! packed bytes and of every byte before it. So a file that ends too early is told from one that is damaged, and no bit of
//! it can change unnoticed, nor a member be lost, moved or doubled.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The length of the header: gzip's ten bytes, two for the length of the extra field, and that field.
pub(super) const HEADER_BYTES: usize = 32;

/// The checksum and the length of the text.
const TRAILER_BYTES: usize = 8;

/// The most text in a member: a line as long as one may be.
pub(super) const TEXT_BYTES: usize = 16 << 20;
const _: () = assert!(TEXT_BYTES as u64 == super::super::LINE_BYTES);

/// The longest member: what does not pack grows by a few bytes in every 64 kB.
const MEMBER_BYTES: u32 = 17 << 20;

/// How a header begins: deflate, with an extra field, no time, any system; the field's length, and its first part's.
const BEGINNING: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 20, 0, b'I', b'R', 16, 0];

/// The first two bytes of any gzip.
pub(in super::super) const GZIP: [u8; 2] = [BEGINNING[0], BEGINNING[1]];

/// gzip's default, well below what compresses better and takes much longer.
const LEVEL: u8 = 6;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The whole member's.
    length: u32,
    /// Of all that is before it.
    pub before: u32,
    packed: u32,
}

/// Packs a text.
pub(super) fn pack(text: &[u8], before: u32) -> Vec<u8> {
    let packed = compress_to_vec(text, LEVEL);
    let length = u32::try_from(HEADER_BYTES + packed.len() + TRAILER_BYTES).unwrap_or(u32::MAX);
    let mut member = Vec::with_capacity(packed.len() + HEADER_BYTES + TRAILER_BYTES);
    member.extend(BEGINNING);
    for number in [length, before, crc32fast::hash(&packed)] {
        member.extend(number.to_le_bytes());
    }
    let header = crc32fast::hash(&member);
    member.extend(header.to_le_bytes());
    member.extend(packed);
    member.extend(crc32fast::hash(text).to_le_bytes());
    // gzip has the length modulo 2^32; no text is that long.
    member.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    member
}

/// Whether these may be the first bytes of a header.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let common = bytes.len().min(BEGINNING.len());
    bytes.get(..common) == BEGINNING.get(..common)
}

impl Header {
    /// Reads a header; `None` if it is not as it was written.
    pub(super) fn of(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (told, checksum) = bytes.split_last_chunk::<4>()?;
        if !may_begin(bytes) || crc32fast::hash(told) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let number = |at: usize| Some(u32::from_le_bytes(*told.get(at..)?.first_chunk::<4>()?));
        let header = Self { length: number(16)?, before: number(20)?, packed: number(24)? };
        let shortest = u32::try_from(HEADER_BYTES + TRAILER_BYTES).ok()?;
        (shortest..=MEMBER_BYTES).contains(&header.length).then_some(header)
    }

    /// The bytes that follow it.
    pub(super) const fn rest(&self) -> u64 {
        (self.length as u64).saturating_sub(HEADER_BYTES as u64)
    }

    /// Unpacks what follows it; `None` if it is not as it was written.
    pub(super) fn unpack(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let (rest, length) = rest.split_last_chunk::<4>()?;
        let (packed, checksum) = rest.split_last_chunk::<4>()?;
        if crc32fast::hash(packed) != self.packed {
            return None;
        }
        let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|it| *it <= TEXT_BYTES)?;
        // The length is known: more is not unpacked.
        let text = decompress_to_vec_with_limit(packed, length).ok()?;
        let same = text.len() == length && crc32fast::hash(&text) == u32::from_le_bytes(*checksum);
        (same && text.ends_with(b"\n")).then_some(text)
    }
}
