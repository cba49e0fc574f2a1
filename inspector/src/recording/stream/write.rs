//! Writes a stream, input by input. No more than a member's text and the checksums of one look's lines are kept in memory.

use std::collections::HashMap;
use std::io::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    About, Begin, End, Header, Heard, LookHead, STREAM_BYTES, STREAM_VERSION, Same, ToldHead, member,
};
use crate::observation::{Input, Look, Told};
use crate::recording::{LINE_BYTES, MAGIC, TOTAL_BYTES, WriteError, lines};
use crate::render::json;

/// A member is written once its text is so long: enough for it to pack well.
const MEMBER_TEXT: usize = 1 << 20;

/// What a line is told by.
type Mark = [u8; 16];

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Looks, tellings and failures to look.
    pub inputs: u64,
    /// Events of the kernel.
    pub events: u64,
    /// Those that did not arrive.
    pub lost: u64,
    /// The length of all, packed.
    pub bytes: u64,
}

/// Writes a stream.
pub struct StreamWriter<W> {
    out: W,
    /// The text of the next member.
    text: Vec<u8>,
    /// Of all that was written.
    digest: crc32fast::Hasher,
    totals: Totals,
    /// The length of all, unpacked.
    unpacked: u64,
    /// The lines of the last look.
    last: Vec<Mark>,
}

impl<W: Write> StreamWriter<W> {
    /// Writes what comes first: what this is, and the first look.
    ///
    /// # Errors
    /// If `out` fails, or if the look is larger than a reader takes.
    pub fn start(out: W, about: &About, first: &Look) -> Result<Self, WriteError> {
        let mut writer = Self {
            out,
            text: Vec::new(),
            digest: crc32fast::Hasher::new(),
            totals: Totals::default(),
            unpacked: 0,
            last: Vec::new(),
        };
        let About { created, by, interval_ms, all_processes, redacted } = *about;
        let header = Header {
            format: "inspector-recording".to_owned(),
            version: STREAM_VERSION,
            inspector: env!("CARGO_PKG_VERSION").to_owned(),
            created,
            by,
            interval_ms,
            all_processes,
            redacted,
        };
        writer.line(&header)?;
        debug_assert!(writer.text.starts_with(MAGIC.as_bytes()), "the header's first bytes are the magic");
        // By itself, so that what it is can be told at once.
        writer.flush()?;
        writer.look(first)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Takes the next input. It is written with what comes soon after it, or by [`Self::flush`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn put(&mut self, input: &Input) -> Result<(), WriteError> {
        match input {
            Input::Look(look) => self.look(look),
            Input::Told(told) => self.told(told),
            Input::Blind(blind) => {
                self.totals.inputs += 1;
                self.line(&Begin::Blind(blind.clone()))
            }
        }
    }

    /// Writes what was taken and not written yet.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let member = member::pack(&self.text, self.digest.clone().finalize());
        self.text.clear();
        self.out.write_all(&member)?;
        self.out.flush()?;
        self.digest.update(&member);
        self.totals.bytes += member.len() as u64;
        Ok(())
    }

    /// Ends the stream, at this time since boot. A stream that is not ended is a shorter one.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn finish(&mut self, boottime_ns: u64) -> Result<(), WriteError> {
        let Totals { inputs, events, lost, bytes: _ } = self.totals;
        self.line(&Begin::End(End { inputs, events, lost, boottime_ns }))?;
        self.flush()
    }

    /// What was written so far.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Where it goes.
    #[must_use]
    pub const fn out(&self) -> &W {
        &self.out
    }

    fn look(&mut self, look: &Look) -> Result<(), WriteError> {
        let Look { observation, since_boottime_ns } = look;
        self.totals.inputs += 1;
        let count = lines(observation).count() as u64;
        self.line(&Begin::Look(LookHead { since_boottime_ns: *since_boottime_ns, lines: count }))?;
        let known: HashMap<Mark, usize> =
            self.last.iter().enumerate().rev().map(|(at, mark)| (*mark, at)).collect();
        let mut marks = Vec::new();
        let mut length = 0;
        let mut run: Option<(usize, usize)> = None;
        for line in lines(observation) {
            let text = json::line(&line)?;
            length += text.len() as u64;
            if length > TOTAL_BYTES {
                return Err(WriteError::TooLong("the observation", TOTAL_BYTES));
            }
            let mark = mark(&text);
            marks.push(mark);
            run = match (run, known.get(&mark)) {
                (Some((first, count)), _) if self.last.get(first + count) == Some(&mark) => {
                    Some((first, count + 1))
                }
                (before, Some(at)) => {
                    self.same(before)?;
                    Some((*at, 1))
                }
                (before, None) => {
                    self.same(before)?;
                    self.text(&text)?;
                    None
                }
            };
        }
        self.same(run)?;
        self.last = marks;
        Ok(())
    }

    fn same(&mut self, run: Option<(usize, usize)>) -> Result<(), WriteError> {
        match run {
            Some((first, count)) => self.line(&Same { same: [first as u64, count as u64] }),
            None => Ok(()),
        }
    }

    fn told(&mut self, told: &Told) -> Result<(), WriteError> {
        let Told { boottime_ns, events, lost, by } = told;
        self.totals.inputs += 1;
        self.totals.events += events.len() as u64;
        self.totals.lost += lost.values().sum::<u64>();
        self.line(&Begin::Told(ToldHead {
            boottime_ns: *boottime_ns,
            by: *by,
            lost: lost.clone(),
            events: events.len() as u64,
        }))?;
        events.iter().try_for_each(|event| self.line(&Heard { event: event.clone() }))
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), WriteError> {
        // Escaped, so that looking into a recording does nothing to the terminal.
        let text = json::line(value)?;
        self.text(&text)
    }

    fn text(&mut self, text: &str) -> Result<(), WriteError> {
        if text.len() as u64 > LINE_BYTES {
            return Err(WriteError::TooLong("one line", LINE_BYTES));
        }
        self.unpacked += text.len() as u64;
        if self.unpacked > STREAM_BYTES {
            return Err(WriteError::TooLong("the stream", STREAM_BYTES));
        }
        if self.text.len() + text.len() > MEMBER_TEXT {
            self.flush()?;
        }
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Enough of a hash that no two lines have one.
fn mark(text: &str) -> Mark {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    hash.first_chunk().copied().unwrap_or_default()
}
