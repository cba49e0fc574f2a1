//! The pages of a bbolt database: what stands where. Pure; every length is checked against the bytes that there are.
//!
//! Numbers are in the byte order of the machine that wrote them, which is the one that reads them.

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 16;
/// Of a branch's and of a leaf's element alike.
const ELEMENT_BYTES: usize = 16;
/// A page's header and the meta data behind it.
pub const META_BYTES: u64 = (HEADER_BYTES + CHECKSUM_AT + 8) as u64;
/// Where the checksum of the meta data stands in it, and so how much it sums.
const CHECKSUM_AT: usize = 56;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// Of a leaf's element: its value is a bucket.
const BUCKET: u32 = 0x01;

/// What one of the two meta pages says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes of a page.
    pub page_size: u64,
    /// The page of the bucket of all.
    pub root: u64,
    /// How many pages were ever used: every page's number is lower.
    pub pages: u64,
    /// The transaction that wrote it.
    pub transaction: u64,
}

impl Meta {
    /// Reads a meta page; `None` where it is none, or not whole.
    #[must_use]
    pub fn of(page: &[u8]) -> Option<Self> {
        let meta = page.get(HEADER_BYTES..)?;
        let sum = fnv1a(meta.get(..CHECKSUM_AT)?);
        if u32_at(meta, 0)? != MAGIC || u32_at(meta, 4)? != VERSION || u64_at(meta, CHECKSUM_AT)? != sum {
            return None;
        }
        let page_size = u32_at(meta, 8)?;
        if !page_size.is_power_of_two() || !(1024..=1 << 16).contains(&page_size) {
            return None;
        }
        Some(Self {
            page_size: page_size.into(),
            root: u64_at(meta, 16)?,
            pages: u64_at(meta, 40)?,
            transaction: u64_at(meta, 48)?,
        })
    }
}

/// A page of elements, with its overflow or within a value.
#[derive(Clone, Copy, Debug)]
pub struct PageView<'p> {
    bytes: &'p [u8],
    id: u64,
    flags: u16,
    count: u16,
    overflow: u32,
}

/// A key of a leaf and what it has.
#[derive(Clone, Copy, Debug)]
pub struct Element<'p> {
    /// The key.
    pub key: &'p [u8],
    /// Its value, or the bucket.
    pub value: &'p [u8],
    /// Whether it is a bucket.
    pub is_bucket: bool,
}

impl<'p> PageView<'p> {
    /// Reads the header.
    pub fn new(bytes: &'p [u8]) -> Result<Self, &'static str> {
        let header = || Some((u64_at(bytes, 0)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?, u32_at(bytes, 12)?));
        let (id, flags, count, overflow) = header().ok_or("a page is cut short")?;
        if flags != BRANCH && flags != LEAF {
            return Err("a page is of the wrong sort");
        }
        Ok(Self { bytes, id, flags, count, overflow })
    }

    pub const fn id(&self) -> u64 {
        self.id
    }

    /// How many pages more it takes.
    pub const fn overflow(&self) -> u32 {
        self.overflow
    }

    pub const fn is_branch(&self) -> bool {
        self.flags == BRANCH
    }

    /// The pages below a branch.
    pub fn children(&self) -> Result<Vec<u64>, &'static str> {
        let child = |index| u64_at(self.bytes, HEADER_BYTES + index * ELEMENT_BYTES + 8);
        (0..usize::from(self.count))
            .map(|index| child(index).ok_or("a branch has too many elements"))
            .collect()
    }

    /// The elements of a leaf.
    pub fn elements(&self) -> Result<Vec<Element<'p>>, &'static str> {
        if self.is_branch() {
            return Err("a page is of the wrong sort");
        }
        (0..usize::from(self.count))
            .map(|index| self.element(index).ok_or("a key or value lies beyond its page"))
            .collect()
    }

    fn element(&self, index: usize) -> Option<Element<'p>> {
        let at = HEADER_BYTES + index * ELEMENT_BYTES;
        let number = |offset| usize::try_from(u32_at(self.bytes, at + offset)?).ok();
        let flags = u32_at(self.bytes, at)?;
        let (position, key_bytes, value_bytes) = (number(4)?, number(8)?, number(12)?);
        let key = at.checked_add(position)?;
        let value = key.checked_add(key_bytes)?;
        Some(Element {
            key: self.bytes.get(key..value)?,
            value: self.bytes.get(value..value.checked_add(value_bytes)?)?,
            is_bucket: flags & BUCKET != 0,
        })
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    let basis = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(basis, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

/// The number at an offset.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_ne_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
