//! bbolt's file format, read only: the trees of keys that Podman 4 and containerd keep their state in.
//!
//! It works on a copy in memory and believes nothing in it: every offset is checked, every page is visited at most as
//! often as there are pages, and what does not fit is an error, never a panic or a loop.

/// What a file has to begin with, behind the header of its first page.
const MAGIC: u32 = 0xED0C_DAED;
/// The only version of the format.
const VERSION: u32 = 2;
/// The bytes before a page's elements.
const HEADER: usize = 16;
/// The bytes of an element, of a leaf's as of a branch's.
const ELEMENT: usize = 16;
/// A page whose elements lead to other pages.
const BRANCH: u16 = 0x01;
/// A page whose elements are keys and values.
const LEAF: u16 = 0x02;
/// An element whose value is a bucket.
const IS_BUCKET: u32 = 0x01;
/// The deepest tree of pages.
const MAX_DEPTH: usize = 64;

/// The file is not one of bbolt's, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no bbolt database, or a damaged one: {0}")]
pub struct Damaged(&'static str);

/// A database.
#[derive(Clone, Copy, Debug)]
pub struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    root: u64,
}

/// A bucket: keys in order, each with a value or a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    database: Database<'a>,
    tree: Tree<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Tree<'a> {
    /// From this page on.
    Page(u64),
    /// A page of its own inside of its parent's value.
    Inline(&'a [u8]),
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// Bytes.
    Value(&'a [u8]),
    /// More keys.
    Bucket(Bucket<'a>),
}

impl<'a> Database<'a> {
    /// A database in these bytes, as its last whole transaction left it.
    ///
    /// # Errors
    /// When neither of its two meta pages is whole.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let first = Meta::read(bytes, 0);
        // Where the first meta page is damaged, its page size is not known: it is one of the usual ones.
        let sizes = first.map_or_else(|| vec![4096, 8192, 16384, 65536], |meta| vec![meta.page_size]);
        let second = sizes.into_iter().find_map(|size| Meta::read(bytes, size));
        let newest = first.into_iter().chain(second).max_by_key(|meta| meta.transaction);
        let meta = newest.ok_or(Damaged("it has no whole meta page"))?;
        Ok(Self { bytes, page_size: meta.page_size, root: meta.root })
    }

    /// The bucket that holds all others.
    #[must_use]
    pub const fn root(self) -> Bucket<'a> {
        Bucket { database: self, tree: Tree::Page(self.root) }
    }

    /// A page with its overflow.
    fn page(self, id: u64) -> Result<&'a [u8], Damaged> {
        let outside = Damaged("a page lies outside of the file");
        let start = usize::try_from(id).ok().and_then(|id| id.checked_mul(self.page_size)).ok_or(outside)?;
        let overflow = u32_at(self.bytes, start.checked_add(12).ok_or(outside)?).ok_or(outside)?;
        let pages = usize::try_from(overflow).ok().and_then(|more| more.checked_add(1)).ok_or(outside)?;
        let end = pages.checked_mul(self.page_size).and_then(|length| start.checked_add(length));
        self.bytes.get(start..end.ok_or(outside)?).ok_or(outside)
    }
}

impl<'a> Bucket<'a> {
    /// All keys, in order.
    ///
    /// # Errors
    /// When a page of it does not hold together.
    pub fn entries(self) -> Result<Vec<(&'a [u8], Entry<'a>)>, Damaged> {
        let mut entries = Vec::new();
        // No tree has more pages than its file.
        let mut budget = self.database.bytes.len() / self.database.page_size + 1;
        match self.tree {
            Tree::Page(id) => self.walk(self.database.page(id)?, 0, &mut budget, &mut entries)?,
            Tree::Inline(page) => self.walk(page, 0, &mut budget, &mut entries)?,
        }
        Ok(entries)
    }

    /// The bucket of that key; `None` where there is none.
    ///
    /// # Errors
    /// When a page of it does not hold together.
    pub fn bucket(self, key: &str) -> Result<Option<Self>, Damaged> {
        let found = self.entries()?.into_iter().find(|(name, _)| *name == key.as_bytes());
        Ok(found.and_then(|(_, entry)| match entry {
            Entry::Bucket(bucket) => Some(bucket),
            Entry::Value(_) => None,
        }))
    }

    /// The value of that key; `None` where there is none.
    ///
    /// # Errors
    /// When a page of it does not hold together.
    pub fn value(self, key: &str) -> Result<Option<&'a [u8]>, Damaged> {
        let found = self.entries()?.into_iter().find(|(name, _)| *name == key.as_bytes());
        Ok(found.and_then(|(_, entry)| match entry {
            Entry::Value(value) => Some(value),
            Entry::Bucket(_) => None,
        }))
    }

    fn walk(
        self,
        page: &'a [u8],
        depth: usize,
        budget: &mut usize,
        entries: &mut Vec<(&'a [u8], Entry<'a>)>,
    ) -> Result<(), Damaged> {
        let broken = Damaged("a page is cut short");
        *budget = budget.checked_sub(1).ok_or(Damaged("its pages go round in a circle"))?;
        if depth > MAX_DEPTH {
            return Err(Damaged("its pages go round in a circle"));
        }
        let flags = u16_at(page, 8).ok_or(broken)?;
        let count = usize::from(u16_at(page, 10).ok_or(broken)?);
        for index in 0..count {
            let at = HEADER + index * ELEMENT;
            if flags & LEAF != 0 {
                let kind = u32_at(page, at).ok_or(broken)?;
                let [position, key, value] =
                    [4, 8, 12].map(|field| u32_at(page, at + field).and_then(|it| usize::try_from(it).ok()));
                let start = position.and_then(|position| at.checked_add(position)).ok_or(broken)?;
                let middle = key.and_then(|length| start.checked_add(length)).ok_or(broken)?;
                let end = value.and_then(|length| middle.checked_add(length)).ok_or(broken)?;
                let key = page.get(start..middle).ok_or(broken)?;
                let value = page.get(middle..end).ok_or(broken)?;
                let entry = if kind & IS_BUCKET == 0 { Entry::Value(value) } else { self.inner(value)? };
                entries.push((key, entry));
            } else if flags & BRANCH != 0 {
                let id = u64_at(page, at + 8).ok_or(broken)?;
                self.walk(self.database.page(id)?, depth + 1, budget, entries)?;
            } else {
                return Err(Damaged("a page of keys is of another sort"));
            }
        }
        Ok(())
    }

    fn inner(self, value: &'a [u8]) -> Result<Entry<'a>, Damaged> {
        let broken = Damaged("a bucket is cut short");
        let tree = match u64_at(value, 0).ok_or(broken)? {
            0 => Tree::Inline(value.get(16..).ok_or(broken)?),
            page => Tree::Page(page),
        };
        Ok(Entry::Bucket(Self { database: self.database, tree }))
    }
}

/// What a meta page says.
#[derive(Clone, Copy, Debug)]
struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

impl Meta {
    /// The meta page at an offset, where it is whole.
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let meta = bytes.get(at.checked_add(HEADER)?..)?;
        let page_size = usize::try_from(u32_at(meta, 8)?).ok()?;
        let whole = u32_at(meta, 0)? == MAGIC
            && u32_at(meta, 4)? == VERSION
            && page_size >= 512
            && page_size.is_power_of_two()
            && u64_at(meta, 56)? == fnv1a(meta.get(..56)?);
        whole.then_some(Self { page_size, root: u64_at(meta, 16)?, transaction: u64_at(meta, 48)? })
    }
}

/// The checksum of a meta page.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
