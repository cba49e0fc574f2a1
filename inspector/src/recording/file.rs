//! Recordings as files: opened without waiting for anyone, replaced in one step or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Problem, ReadError, WriteError};
use crate::observation::Observation;

/// Reads the recording in that file.
///
/// # Errors
/// If it is no regular file, or no sound recording.
pub fn load(path: &Path) -> Result<Observation, ReadError> {
    let refuse = |problem| ReadError { byte: 0, line: 1, problem };
    // Without NONBLOCK, opening a FIFO waits for a writer that may never come.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| refuse(error.into()))?;
    let kind = file.metadata().map_err(|error| refuse(error.into()))?.file_type();
    match special(kind) {
        Some(what) => Err(refuse(Problem::NotAFile(what))),
        None => super::read(&mut BufReader::new(file)),
    }
}

/// Writes the recording into that file, readable by its owner only (a node's processes are nobody else's business).
/// Returns its length in bytes.
///
/// The file appears complete or not at all, and an older one stays until then.
///
/// # Errors
/// If something that is no regular file has that name, or the system refuses.
pub fn save(observation: &Observation, created: jiff::Timestamp, path: &Path) -> Result<u64, WriteError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            if let Some(what) = special(metadata.file_type()) {
                return Err(WriteError::InTheWay(what));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let (draft, file) = Draft::create(path)?;
    let mut out = BufWriter::new(&file);
    let bytes = super::write(observation, created, &mut out)?;
    drop(out);
    file.sync_all()?;
    draft.publish(path)?;
    Ok(bytes)
}

/// What a file is, unless it is a regular one.
fn special(kind: fs::FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// A file that is removed again unless it is published.
struct Draft(Option<PathBuf>);

impl Draft {
    /// A new file beside `path`: only within one folder is a rename a single step.
    fn create(path: &Path) -> io::Result<(Self, File)> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        for attempt in 0..100 {
            let mut draft = std::ffi::OsString::from(".");
            draft.push(name);
            draft.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let draft = path.with_file_name(draft);
            // `create_new` never follows a link that someone else put there.
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft) {
                Ok(file) => return Ok((Self(Some(draft)), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many unfinished drafts beside it"))
    }

    fn publish(mut self, path: &Path) -> io::Result<()> {
        if let Some(draft) = &self.0 {
            fs::rename(draft, path)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.0
            && let Err(error) = fs::remove_file(draft)
        {
            log::warn!("the unfinished recording {} stays behind: {error}", draft.display());
        }
    }
}
