//! What can be wrong with a recording.

use std::fmt;
use std::io;

use thiserror::Error;

/// A recording could not be read: which, where, and why.
#[derive(Debug, Error)]
pub struct ReadError {
    /// Bytes that were in order.
    pub byte: u64,
    /// The line that is not, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for ReadError {
    /// The place is named where there is one: not for a file that could not even be opened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.problem, self.byte) {
            (Problem::Io(_) | Problem::NotAFile(_), 0) => self.problem.fmt(f),
            (problem, byte) => write!(f, "byte {byte} (line {}): {problem}", self.line),
        }
    }
}

/// What is wrong with a line of a recording.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file could not be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is {0}, not a recording")]
    NotAFile(&'static str),
    /// It has no byte.
    #[error("the file is empty")]
    Empty,
    /// It does not start as a recording does.
    #[error("this is not a recording of inspector (no header)")]
    NoHeader,
    /// It is of another version.
    #[error("the recording has format version {0}; this program reads versions {snapshot} and {stream}", snapshot = super::VERSION, stream = super::STREAM_VERSION)]
    OtherVersion(String),
    /// It stops too early.
    #[error("the recording is cut off here (no end line)")]
    CutOff,
    /// A stream stops before there is anything to answer from.
    #[error("the recording is cut off before its first look at the node is complete")]
    NoLook,
    /// A line is not what it should be.
    #[error("the recording is damaged: {0}")]
    Damaged(String),
    /// It is longer than any real one.
    #[error("{0} is longer than any recording ({1} bytes at most)")]
    TooLong(&'static str, u64),
}

/// A recording could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// By the system.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is something there that must not be replaced.
    #[error("it is {0}, and only a regular file is replaced; choose another name, or - for standard output")]
    InTheWay(&'static str),
    /// An observation that no reader would take.
    #[error("{0} is longer than a recording may be ({1} bytes)")]
    TooLong(&'static str, u64),
    /// An observation that cannot be serialized.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}
