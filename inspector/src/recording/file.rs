//! Recordings as files: opened without waiting for anyone, replaced in one step or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::stream::GZIP;
use super::{About, Problem, ReadError, StreamReader, StreamWriter, Totals, WriteError};
use crate::observation::{Input, Look, Observation};

/// A recording, of either sort.
pub enum Recording {
    /// Of one moment.
    Snapshot(Box<Observation>),
    /// Of what happened over time: what comes after the first look is read as it is asked for.
    Stream(Box<StreamReader<Box<dyn BufRead>>>, Box<Look>),
}

/// Opens the recording in that file.
///
/// # Errors
/// If it is no regular file, or no sound recording.
pub fn open(path: &Path) -> Result<Recording, ReadError> {
    read_any(Box::new(regular(path)?))
}

/// Reads a recording, of whichever sort it is.
///
/// # Errors
/// If it is no sound recording.
pub fn read_any(mut input: Box<dyn BufRead>) -> Result<Recording, ReadError> {
    let start = input.fill_buf().map_err(|error| ReadError { byte: 0, line: 1, problem: error.into() })?;
    // A pipe may give one byte first.
    if start.first() == GZIP.first() {
        return StreamReader::start(input)
            .map(|(stream, first)| Recording::Stream(Box::new(stream), Box::new(first)));
    }
    super::read(&mut input).map(|observation| Recording::Snapshot(Box::new(observation)))
}

/// Reads the snapshot in that file.
///
/// # Errors
/// If it is no regular file, or no sound snapshot.
pub fn load(path: &Path) -> Result<Observation, ReadError> {
    super::read(&mut regular(path)?)
}

/// Opens a regular file.
fn regular(path: &Path) -> Result<BufReader<File>, ReadError> {
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
        None => Ok(BufReader::new(file)),
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
    refuse_special(path)?;
    let (draft, file) = Draft::create(path)?;
    let mut out = BufWriter::new(&file);
    let bytes = super::write(observation, created, &mut out)?;
    drop(out);
    file.sync_all()?;
    draft.publish(path)?;
    Ok(bytes)
}

/// A stream that is being recorded into a file. What is in the file can be replayed at any time, however the recording
/// ends.
pub struct StreamFile {
    writer: StreamWriter<Box<dyn Write>>,
    /// Unless it is somewhere else that it goes.
    file: Option<File>,
}

impl StreamFile {
    /// Begins a file, readable by its owner only. It takes its name once the first look is in, and an older one stays
    /// until then.
    ///
    /// # Errors
    /// If something that is no regular file has that name, or the system refuses.
    pub fn create(path: &Path, about: &About, first: &Look) -> Result<Self, WriteError> {
        refuse_special(path)?;
        let (draft, file) = Draft::create(path)?;
        let writer = StreamWriter::start(Box::new(file.try_clone()?) as Box<dyn Write>, about, first)?;
        draft.publish(path)?;
        Ok(Self { writer, file: Some(file) })
    }

    /// Begins a stream that goes elsewhere.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn to(out: Box<dyn Write>, about: &About, first: &Look) -> Result<Self, WriteError> {
        Ok(Self { writer: StreamWriter::start(out, about, first)?, file: None })
    }

    /// Takes the next input.
    ///
    /// # Errors
    /// If the system refuses: what was recorded before stays.
    pub fn put(&mut self, input: &Input) -> Result<(), WriteError> {
        let result = self.writer.put(input);
        self.mend(result)
    }

    /// Writes what was taken and not written yet.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        let result = self.writer.flush();
        self.mend(result)
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn finish(&mut self, boottime_ns: u64) -> Result<Totals, WriteError> {
        let result = self.writer.finish(boottime_ns);
        self.mend(result)?;
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        Ok(self.totals())
    }

    /// What was written so far.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.writer.totals()
    }

    /// Takes away again what is there of a member that did not find room. (Even so the file would be read up to it.)
    fn mend(&self, result: Result<(), WriteError>) -> Result<(), WriteError> {
        if let (Err(WriteError::Io(_)), Some(file)) = (&result, &self.file)
            && let Err(error) = file.set_len(self.totals().bytes)
        {
            log::debug!("the last bytes of the recording are not complete: {error}");
        }
        result
    }
}

/// Only what is nothing or a regular file is replaced.
fn refuse_special(path: &Path) -> Result<(), WriteError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            if let Some(what) = special(metadata.file_type()) {
                return Err(WriteError::InTheWay(what));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
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
