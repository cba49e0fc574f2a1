//! Reading the runtimes' own files: regular, root's, of bounded length, and never through a last symbolic link.
//!
//! A path is the host's; it is looked up below the host root, absolute links included, so that a link inside a
//! mounted host cannot lead back into the reader's own files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use crate::source::Context;

/// The longest of a runtime's files that is read. Real ones have some ten kilobytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// The most entries of one folder that are read.
pub const MAX_ENTRIES: usize = 100_000;

/// Why a file that exists was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The reader may not.
    #[error("{} may not be read: run as root", .0.display())]
    Denied(PathBuf),
    /// Not a plain file, or a symbolic link.
    #[error("{} is not a regular file and is not followed", .0.display())]
    NotRegular(PathBuf),
    /// Somebody else than root could have written it.
    #[error("{path} belongs to uid {uid}, not to the runtime's own user, and is not believed", path = .0.display(), uid = .1)]
    Owner(PathBuf, u32),
    /// Too long.
    #[error("{} is longer than {MAX_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// Not what a runtime writes. Says where, not what: the file may hold secrets.
    #[error("{path} is not what its runtime writes (line {line}, column {column}): it is damaged or cut short",
        path = .0.display(), line = .1, column = .2)]
    Malformed(PathBuf, usize, usize),
    /// Too many entries in a folder.
    #[error("{} has more than {MAX_ENTRIES} entries; the rest is left out", .0.display())]
    TooMany(PathBuf),
    /// Anything else.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, String),
}

/// The host's files, as they are to be seen here.
#[derive(Clone, Debug)]
pub struct HostFiles {
    root: PathBuf,
    owner: u32,
}

impl HostFiles {
    /// Root's files below the host root.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self::owned_by(context.options.host_root.clone(), 0)
    }

    /// The files of one user (a rootless runtime's) below a root.
    #[must_use]
    pub const fn owned_by(root: PathBuf, owner: u32) -> Self {
        Self { root, owner }
    }

    /// Opens one file, and says how long it is; `None` where there is none.
    ///
    /// # Errors
    /// When it exists and is not to be read or believed.
    pub fn regular(&self, path: &Path) -> Result<Option<(File, u64)>, Error> {
        // Without waiting: a FIFO in its place must not stop the reader.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Some(file) = self.open(path, flags)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed(path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::NotRegular(path.to_owned()));
        }
        if stat.st_uid != self.owner {
            return Err(Error::Owner(path.to_owned(), stat.st_uid));
        }
        Ok(Some((File::from(file), u64::try_from(stat.st_size).unwrap_or_default())))
    }

    /// Reads one file; `None` where there is none.
    ///
    /// # Errors
    /// When it exists and is not to be read or believed.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let Some((file, _)) = self.regular(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::Io(path.to_owned(), error.to_string()))?;
        if bytes.len() as u64 > MAX_BYTES { Err(Error::TooLong(path.to_owned())) } else { Ok(Some(bytes)) }
    }

    /// When a file of the owner's was last written; `None` where there is none.
    #[must_use]
    pub fn modified(&self, path: &Path) -> Option<jiff::Timestamp> {
        let file = self.open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).ok()??;
        let stat = rustix::fs::fstat(&file).ok().filter(|stat| stat.st_uid == self.owner)?;
        jiff::Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).ok()?).ok()
    }

    /// Reads one file of JSON; `None` where there is none.
    ///
    /// # Errors
    /// When it exists and is not to be read or believed, or is not what `T` expects.
    pub fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Error> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Malformed(path.to_owned(), error.line(), error.column()))
    }

    /// The names in a folder, sorted; `None` where there is no such folder.
    ///
    /// # Errors
    /// When it exists and may not be read.
    pub fn list(&self, path: &Path) -> Result<Option<Vec<OsString>>, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Some(folder) = self.open(path, flags)? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(folder.as_fd()).map_err(|error| failed(path, error))? {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_owned()));
            }
            if names.len() > MAX_ENTRIES {
                return Err(Error::TooMany(path.to_owned()));
            }
        }
        names.sort();
        Ok(Some(names))
    }

    /// A folder's path without symbolic links, as the host names it; `None` where there is none.
    #[must_use]
    pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = self.open(path, flags).ok()??;
        let seen = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
        let inside = seen.strip_prefix(self.root.canonicalize().ok()?).ok()?;
        Some(Path::new("/").join(inside))
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, Error> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let root = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.root, root, Mode::empty()).and_then(|root| {
            match rustix::fs::openat2(&root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
                // Before Linux 5.6, or below a filter that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(&root, inside, flags, Mode::empty()),
                opened => opened,
            }
        });
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(failed(path, error)),
        }
    }
}

fn failed(path: &Path, error: Errno) -> Error {
    match error {
        Errno::ACCESS | Errno::PERM => Error::Denied(path.to_owned()),
        // A symbolic link in the last place, or a socket.
        Errno::LOOP | Errno::NXIO => Error::NotRegular(path.to_owned()),
        error => Error::Io(path.to_owned(), io::Error::from(error).to_string()),
    }
}
