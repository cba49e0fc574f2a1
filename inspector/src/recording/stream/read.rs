//! Reads a stream, member by member, trusting none.

use std::io::{self, BufRead, Read};

use serde::de::DeserializeOwned;

use super::member::{self, HEADER_BYTES};
use super::{About, Begin, End, Header, Heard, LookHead, Part, STREAM_BYTES, STREAM_VERSION, Same, ToldHead};
use crate::observation::{Input, Look, Observation, Told};
use crate::recording::read::add;
use crate::recording::{LINE_BYTES, Line, MAGIC, Problem, ReadError, TOTAL_BYTES, lines};

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As whoever recorded it wanted, at this time since boot.
    Ended(u64),
    /// It was cut off: everything up to this byte is there, and what came later is not.
    CutOff(u64),
}

/// Reads a stream.
pub struct StreamReader<R> {
    input: R,
    about: About,
    /// The text of the member being read, and how much of it was read.
    text: Vec<u8>,
    at: usize,
    /// Where that member begins, and where the next one does.
    begins: u64,
    next: u64,
    /// The line that is read next, from 1.
    line: u64,
    /// Of all members so far.
    digest: crc32fast::Hasher,
    /// The length of all, unpacked.
    unpacked: u64,
    /// The last look, and how long each of its lines was.
    last: Observation,
    lengths: Vec<u64>,
    read: End,
    ending: Option<Ending>,
}

/// Why there is no next line.
enum Stop {
    /// The file ends.
    Cut,
    Wrong(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Wrong(error.into())
    }
}

fn damaged(what: impl Into<String>) -> Stop {
    Stop::Wrong(Problem::Damaged(what.into()))
}

impl<R: BufRead> StreamReader<R> {
    /// Reads what comes first.
    ///
    /// # Errors
    /// If it is no stream, or ends before its first look does.
    pub fn start(input: R) -> Result<(Self, Look), ReadError> {
        let about = About {
            created: jiff::Timestamp::UNIX_EPOCH,
            by: None,
            interval_ms: 0,
            all_processes: false,
            redacted: false,
        };
        let mut reader = Self {
            input,
            about,
            text: Vec::new(),
            at: 0,
            begins: 0,
            next: 0,
            line: 1,
            digest: crc32fast::Hasher::new(),
            unpacked: 0,
            last: Observation::default(),
            lengths: Vec::new(),
            read: End { inputs: 0, events: 0, lost: 0, boottime_ns: 0 },
            ending: None,
        };
        let first = reader.header().and_then(|about| {
            reader.about = about;
            match reader.begin()? {
                Begin::Look(head) => reader.look(head),
                _ => Err(damaged("its second line begins no look")),
            }
        });
        match first {
            Ok(look) => {
                reader.read.inputs = 1;
                reader.read.boottime_ns = look.observation.node.boottime_ns;
                Ok((reader, look))
            }
            Err(Stop::Cut) => Err(reader.error(Problem::NoLook)),
            Err(Stop::Wrong(problem)) => Err(reader.error(problem)),
        }
    }

    /// What its first line says.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// Up to when the inputs so far tell, in nanoseconds since boot.
    #[must_use]
    pub const fn until_ns(&self) -> u64 {
        match self.ending {
            Some(Ending::Ended(boottime_ns)) => boottime_ns,
            _ => self.read.boottime_ns,
        }
    }

    /// How it ends, once there is no next input.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The next input; `None` at the end, be it the recorder's or the file's.
    ///
    /// # Errors
    /// If anything before the end of the file is not as [`super::StreamWriter`] left it.
    pub fn next_input(&mut self) -> Result<Option<Input>, ReadError> {
        if self.ending.is_some() {
            return Ok(None);
        }
        match self.input() {
            Ok(Some(input)) => {
                self.read.inputs += 1;
                self.read.boottime_ns = self.read.boottime_ns.max(input.boottime_ns());
                if let Input::Told(told) = &input {
                    self.read.events += told.events.len() as u64;
                    let lost = told.lost.values().fold(0_u64, |sum, it| sum.saturating_add(*it));
                    self.read.lost = self.read.lost.saturating_add(lost);
                }
                Ok(Some(input))
            }
            Ok(None) => Ok(None),
            Err(Stop::Cut) => {
                self.ending = Some(Ending::CutOff(self.next));
                Ok(None)
            }
            Err(Stop::Wrong(problem)) => Err(self.error(problem)),
        }
    }

    fn error(&self, problem: Problem) -> ReadError {
        ReadError { byte: self.begins, line: self.line, problem }
    }

    fn input(&mut self) -> Result<Option<Input>, Stop> {
        match self.begin()? {
            Begin::Look(head) => Ok(Some(Input::Look(Box::new(self.look(head)?)))),
            Begin::Told(head) => Ok(Some(Input::Told(self.told(head)?))),
            Begin::Blind(blind) => Ok(Some(Input::Blind(blind))),
            Begin::End(end) => {
                self.end(end)?;
                Ok(None)
            }
        }
    }

    fn end(&mut self, end: End) -> Result<(), Stop> {
        let End { inputs, events, lost, boottime_ns } = end;
        if (inputs, events, lost) != (self.read.inputs, self.read.events, self.read.lost) {
            return Err(damaged("its end line does not match what comes before it"));
        }
        if self.at < self.text.len() || !self.input.fill_buf()?.is_empty() {
            self.begins = self.next;
            return Err(damaged("something follows its end"));
        }
        self.ending = Some(Ending::Ended(boottime_ns.max(self.read.boottime_ns)));
        Ok(())
    }

    fn header(&mut self) -> Result<About, Stop> {
        let line = self.next_line()?;
        let Some(rest) = line.strip_prefix(MAGIC.as_bytes()) else { return Err(Problem::NoHeader.into()) };
        let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit());
        let version: String = digits.map(|byte| char::from(*byte)).collect();
        if version != STREAM_VERSION.to_string() {
            return Err(Problem::OtherVersion(version).into());
        }
        let Header { created, by, interval_ms, all_processes, redacted, .. } = parse(line)?;
        Ok(About { created, by, interval_ms, all_processes, redacted })
    }

    fn begin(&mut self) -> Result<Begin, Stop> {
        parse(self.next_line()?)
    }

    fn look(&mut self, head: LookHead) -> Result<Look, Stop> {
        let LookHead { since_boottime_ns, lines: count } = head;
        // Only where the look takes something from the one before is that one taken apart.
        let mut before: Option<Vec<Line>> = None;
        let mut observation = None;
        let mut lengths: Vec<u64> = Vec::new();
        let mut length = 0_u64;
        while (lengths.len() as u64) < count {
            let text = self.next_line()?;
            let text_length = text.len() as u64;
            match parse(text)? {
                Part::Line(line) => {
                    length += text_length;
                    lengths.push(text_length);
                    add(&mut observation, *line)?;
                }
                Part::Same(Same { same: [first, run] }) => {
                    let wrong = || damaged("it takes lines that the look before does not have");
                    let first = usize::try_from(first).map_err(|_| wrong())?;
                    let end = usize::try_from(run).ok().and_then(|run| first.checked_add(run));
                    let end = end.ok_or_else(wrong)?;
                    let known = before.get_or_insert_with(|| lines(&self.last).collect());
                    let taken = known.get(first..end).filter(|taken| !taken.is_empty()).ok_or_else(wrong)?;
                    let their = self.lengths.get(first..end).ok_or_else(wrong)?;
                    length += their.iter().sum::<u64>();
                    lengths.extend_from_slice(their);
                    if length > TOTAL_BYTES {
                        return Err(Problem::TooLong("the look", TOTAL_BYTES).into());
                    }
                    for line in taken {
                        add(&mut observation, line.clone())?;
                    }
                }
            }
            if length > TOTAL_BYTES {
                return Err(Problem::TooLong("the look", TOTAL_BYTES).into());
            }
        }
        let mut observation = observation.ok_or_else(|| damaged("a look holds no observation"))?;
        observation.tasks.put_in_order();
        if lengths.len() as u64 != count || lines(&observation).count() as u64 != count {
            return Err(damaged("a look has more lines than it says"));
        }
        self.last = observation.clone();
        self.lengths = lengths;
        Ok(Look { observation, since_boottime_ns })
    }

    fn told(&mut self, head: ToldHead) -> Result<Told, Stop> {
        let ToldHead { boottime_ns, by, lost, events: count } = head;
        let mut events = Vec::new();
        let mut length = 0;
        while (events.len() as u64) < count {
            let text = self.next_line()?;
            length += text.len() as u64;
            if length > TOTAL_BYTES {
                return Err(Problem::TooLong("what the kernel told", TOTAL_BYTES).into());
            }
            let Heard { event } = parse(text)?;
            events.push(event);
        }
        Ok(Told { boottime_ns, events, lost, by })
    }

    /// The next line, without its end.
    fn next_line(&mut self) -> Result<&[u8], Stop> {
        if self.at >= self.text.len() {
            self.member()?;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        if length as u64 >= LINE_BYTES {
            return Err(Problem::TooLong("the line", LINE_BYTES).into());
        }
        self.at += length + 1;
        self.line += 1;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// Reads the next member. What is there of it is either all, or the end of a file that was cut off.
    fn member(&mut self) -> Result<(), Stop> {
        let changed = || damaged("its bytes are not those that were written");
        let mut bytes = Vec::new();
        self.begins = self.next;
        self.input.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(if member::may_begin(&bytes) { Stop::Cut } else { changed() });
        };
        let header = member::Header::of(header).ok_or_else(changed)?;
        if header.before != self.digest.clone().finalize() {
            return Err(damaged("something is missing before this, or was added"));
        }
        self.input.by_ref().take(header.rest()).read_to_end(&mut bytes)?;
        let rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
        if (rest.len() as u64) < header.rest() {
            return Err(Stop::Cut);
        }
        self.text = header.unpack(rest).ok_or_else(changed)?;
        self.at = 0;
        self.digest.update(&bytes);
        self.next += bytes.len() as u64;
        self.unpacked += self.text.len() as u64;
        if self.unpacked > STREAM_BYTES {
            return Err(Problem::TooLong("the stream", STREAM_BYTES).into());
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Stop> {
    serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))
}
