//! Reads bbolt databases, in which containerd and Podman before 5 keep what they know: a copy-on-write B+tree of keys,
//! values and buckets within buckets, in one file.
//!
//! It must not write, take the owner's lock, or believe a number of the file's: every page, count and length is checked,
//! no page is visited twice in one bucket, and all reading together has a limit. As nobody is kept from writing
//! meanwhile, [`read`] looks again whether anything was.

mod page;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use self::page::{Element, META_BYTES, Meta, PageView, u64_at};
use super::oci::file::{self, HostFiles};

/// The largest file that is read. A busy node's has some ten megabytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// How much is read and copied of one file at most, pages that are read again for another bucket included.
const MAX_READ_BYTES: u64 = 512 << 20;
/// The longest page with its overflow, and so the longest value.
const MAX_PAGE_BYTES: u64 = 32 << 20;
/// The deepest tree; with two keys a page at least, real ones have some five levels.
const MAX_DEPTH: usize = 32;
/// How often to read a database again that was written to meanwhile.
const TRIES: usize = 5;

/// Why a database that exists was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is not to be read or believed.
    #[error(transparent)]
    File(#[from] file::Error),
    /// Too long, or asks for more reading than its length is worth.
    #[error("{path} is longer than what is read of a database ({limit} bytes)", path = .0.display(), limit = .1)]
    TooLong(PathBuf, u64),
    /// Not a database, or a damaged one.
    #[error("{path} is no whole database: {what}", path = .0.display(), what = .1)]
    Damaged(PathBuf, &'static str),
    /// Written to all the time.
    #[error("{path} was written to each time it was read ({TRIES} times): ask again", path = .0.display())]
    Busy(PathBuf),
}

/// A database at one moment.
#[derive(Debug)]
pub struct Db {
    path: PathBuf,
    bytes: Bytes,
    meta: Meta,
    read: Cell<u64>,
}

#[derive(Debug)]
enum Bytes {
    File(File, u64),
    Memory(Vec<u8>),
}

/// A bucket: keys with values, and buckets within it.
#[derive(Debug)]
pub struct Bucket<'d> {
    db: &'d Db,
    root: Root,
}

#[derive(Debug)]
enum Root {
    Page(u64),
    /// A small bucket lies in the value that its name has in the bucket above.
    Inline(Vec<u8>),
}

/// What a key has.
#[derive(Debug)]
pub enum Entry<'d> {
    /// A value.
    Value(Vec<u8>),
    /// A bucket.
    Bucket(Bucket<'d>),
}

/// Reads a database by `look`, anew where its owner wrote to it meanwhile; `None` where there is no such file.
///
/// # Errors
/// When it is not to be read or believed, is damaged, or is written to without end.
pub fn read<T>(
    files: &HostFiles,
    path: &Path,
    look: impl Fn(&Db) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    for _ in 0..TRIES {
        let Some(db) = Db::open(files, path)? else { return Ok(None) };
        let found = look(&db);
        // An owner without readers of its own writes over the pages of the state before the last. So an unchanged last
        // state was read whole, and of any other neither an error nor a success proves anything.
        if db.is_current()? {
            return found.map(Some);
        }
    }
    Err(Error::Busy(path.to_owned()))
}

impl Db {
    /// Opens a file; `None` where there is none. What is read of it may be of several states: see [`read`].
    ///
    /// # Errors
    /// When it is not to be read or believed, or is no database.
    pub fn open(files: &HostFiles, path: &Path) -> Result<Option<Self>, Error> {
        let Some((file, length)) = files.regular(path)? else { return Ok(None) };
        if length > MAX_FILE_BYTES {
            return Err(Error::TooLong(path.to_owned(), MAX_FILE_BYTES));
        }
        Self::new(path.to_owned(), Bytes::File(file, length)).map(Some)
    }

    /// Takes the bytes of a database; `path` is what errors call it.
    ///
    /// # Errors
    /// When they are none.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::new(path.to_owned(), Bytes::Memory(bytes))
    }

    fn new(path: PathBuf, bytes: Bytes) -> Result<Self, Error> {
        let empty = Meta { page_size: 0, root: 0, pages: 0, transaction: 0 };
        let mut db = Self { path, bytes, meta: empty, read: Cell::new(0) };
        db.meta = db.newest_meta()?;
        Ok(db)
    }

    /// Whether nothing was written since it was opened.
    ///
    /// # Errors
    /// When the file is no database any more.
    pub fn is_current(&self) -> Result<bool, Error> {
        Ok(self.newest_meta()? == self.meta)
    }

    /// The bucket of all.
    #[must_use]
    pub const fn root(&self) -> Bucket<'_> {
        Bucket { db: self, root: Root::Page(self.meta.root) }
    }

    /// A bucket by its path from the root; `None` where there is none.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn bucket(&self, path: &[&[u8]]) -> Result<Option<Bucket<'_>>, Error> {
        let mut bucket = self.root();
        for name in path {
            match bucket.bucket(name)? {
                Some(inner) => bucket = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// The meta page of the last transaction: of the two, the newer that is whole.
    fn newest_meta(&self) -> Result<Meta, Error> {
        let at = |offset| self.bytes(offset, META_BYTES).ok().and_then(|bytes| Meta::of(&bytes));
        let first = at(0);
        // The second one's place is known by the first's page size; where that is damaged, by trying.
        let sizes = (0..=6).map(|shift| 1024_u64 << shift);
        let mut sizes = sizes.filter(|size| first.as_ref().is_none_or(|meta| meta.page_size == *size));
        let second = sizes.find_map(|size| at(size).filter(|meta| meta.page_size == size));
        let newest = first.into_iter().chain(second).max_by_key(|meta| meta.transaction);
        newest.ok_or_else(|| self.damaged("it has no whole meta page"))
    }

    fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged(self.path.clone(), what)
    }

    /// Charges for work, so that no database asks for more than its share.
    fn charge(&self, bytes: u64) -> Result<(), Error> {
        self.read.set(self.read.get().saturating_add(bytes));
        if self.read.get() > MAX_READ_BYTES {
            return Err(Error::TooLong(self.path.clone(), MAX_READ_BYTES));
        }
        Ok(())
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.charge(length)?;
        let short = || self.damaged("a page lies beyond its end");
        let size = usize::try_from(length).map_err(|_| short())?;
        match &self.bytes {
            Bytes::File(file, file_length) => {
                if offset.checked_add(length).is_none_or(|end| end > *file_length) {
                    return Err(short());
                }
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, offset)
                    .map_err(|error| Error::File(file::Error::Io(self.path.clone(), error.to_string())))?;
                Ok(bytes)
            }
            Bytes::Memory(all) => {
                let start = usize::try_from(offset).map_err(|_| short())?;
                let end = start.checked_add(size).ok_or_else(short)?;
                all.get(start..end).map(<[u8]>::to_vec).ok_or_else(short)
            }
        }
    }

    /// A page with its overflow.
    fn page(&self, id: u64) -> Result<Vec<u8>, Error> {
        // The first two pages are meta pages.
        if id < 2 || id >= self.meta.pages {
            return Err(self.damaged("a page number is none"));
        }
        let size = self.meta.page_size;
        let offset = id.checked_mul(size).ok_or_else(|| self.damaged("a page number is none"))?;
        let first = self.bytes(offset, size)?;
        let header = PageView::new(&first).map_err(|what| self.damaged(what))?;
        if header.id() != id {
            return Err(self.damaged("a page has another's number"));
        }
        let overflow = u64::from(header.overflow());
        if overflow == 0 {
            return Ok(first);
        }
        if overflow >= self.meta.pages - id || (overflow + 1) * size > MAX_PAGE_BYTES {
            return Err(self.damaged("a page is too long"));
        }
        self.bytes(offset, (overflow + 1) * size)
    }
}

impl<'d> Bucket<'d> {
    /// Everything in it, in the order of the keys.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn entries(&self) -> Result<Vec<(Vec<u8>, Entry<'d>)>, Error> {
        let mut found = Vec::new();
        self.walk(|key, entry| {
            found.push((key.to_vec(), entry()?));
            Ok(false)
        })?;
        Ok(found)
    }

    /// The buckets in it, by name.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn buckets(&self) -> Result<Vec<(Vec<u8>, Bucket<'d>)>, Error> {
        let buckets = self.entries()?.into_iter().filter_map(|(name, entry)| match entry {
            Entry::Bucket(bucket) => Some((name, bucket)),
            Entry::Value(_) => None,
        });
        Ok(buckets.collect())
    }

    /// A key's value; `None` where it has none.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(match self.find(key)? {
            Some(Entry::Value(value)) => Some(value),
            _ => None,
        })
    }

    /// A bucket within this one; `None` where there is none of that name.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Self>, Error> {
        Ok(match self.find(name)? {
            Some(Entry::Bucket(bucket)) => Some(bucket),
            _ => None,
        })
    }

    fn find(&self, wanted: &[u8]) -> Result<Option<Entry<'d>>, Error> {
        let mut found = None;
        self.walk(|key, entry| {
            if key == wanted {
                found = Some(entry()?);
            }
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// Shows `see` every key, and what it has on demand, until it says that this is enough.
    fn walk(
        &self,
        mut see: impl FnMut(&[u8], &dyn Fn() -> Result<Entry<'d>, Error>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let first = match &self.root {
            Root::Page(id) => *id,
            Root::Inline(bytes) => return self.leaf(bytes, &mut see).map(|_| ()),
        };
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(first, 0)];
        while let Some((id, depth)) = waiting.pop() {
            if depth >= MAX_DEPTH || !seen.insert(id) {
                return Err(self.db.damaged("its pages form no tree"));
            }
            let bytes = self.db.page(id)?;
            let page = PageView::new(&bytes).map_err(|what| self.db.damaged(what))?;
            if page.is_branch() {
                let children = page.children().map_err(|what| self.db.damaged(what))?;
                waiting.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
            } else if self.leaf(&bytes, &mut see)? {
                break;
            }
        }
        Ok(())
    }

    fn leaf(
        &self,
        bytes: &[u8],
        see: &mut impl FnMut(&[u8], &dyn Fn() -> Result<Entry<'d>, Error>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let page = PageView::new(bytes).map_err(|what| self.db.damaged(what))?;
        for element in page.elements().map_err(|what| self.db.damaged(what))? {
            if see(element.key, &|| self.entry(&element))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn entry(&self, element: &Element<'_>) -> Result<Entry<'d>, Error> {
        let value = element.value;
        self.db.charge(value.len() as u64)?;
        if !element.is_bucket {
            return Ok(Entry::Value(value.to_vec()));
        }
        // A page number and a sequence number, then, if that is 0, the page itself.
        let root = u64_at(value, 0).ok_or_else(|| self.db.damaged("a bucket is cut short"))?;
        let inline = || value.get(16..).map(<[u8]>::to_vec);
        let root = match root {
            0 => Root::Inline(inline().ok_or_else(|| self.db.damaged("a bucket is cut short"))?),
            page => Root::Page(page),
        };
        Ok(Entry::Bucket(Bucket { db: self.db, root }))
    }
}
