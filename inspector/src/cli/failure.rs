//! Why a command did not succeed: one line for people, one number for scripts.

use std::fmt;

use crate::render::text::clean;

/// A failure, ready to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    message: String,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// Something could not be read or written. The message says what failed on what, why, and what to do.
    pub fn collect(message: impl fmt::Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }
}

impl Failure {
    /// The audit found something: what, stands in the answer.
    #[must_use]
    pub const fn found() -> Self {
        Self { code: 1, message: String::new() }
    }

    /// Whether there is nothing to tell besides the code.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

impl fmt::Display for Failure {
    /// One line, whatever a path or an error says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inspector: {}", clean(&self.message))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_harmless_line() {
        let failure = Failure::collect("cannot read a\nb\x1b[2J: gone; try again");
        assert_eq!(failure.to_string(), r"inspector: cannot read a\nb\x1b[2J: gone; try again");
    }
}
