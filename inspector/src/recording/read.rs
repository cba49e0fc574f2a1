//! Reads a recording, line by line, trusting none.

use std::io::{BufRead, Read};
use std::sync::Arc;

use super::{END, Head, LINE_BYTES, Line, MAGIC, Problem, ReadError, TOTAL_BYTES, VERSION, end_line};
use crate::observation::Observation;

/// The longest first line; more is not looked at to say that a file is no recording.
const HEADER_BYTES: u64 = 4096;

/// Reads a recording to its end.
///
/// # Errors
/// If anything is not as [`super::write`] left it: nothing of a damaged recording is believed.
pub fn read(input: &mut impl BufRead) -> Result<Observation, ReadError> {
    let mut lines = Lines { input, text: Vec::new(), count: 0, bytes: 0, digest: crc32fast::Hasher::new() };
    let result = lines.observation();
    result.map_err(|problem| ReadError { byte: lines.bytes, line: lines.count + 1, problem })
}

/// The lines read so far.
struct Lines<'a, R> {
    input: &'a mut R,
    /// The line being looked at, with its line end.
    text: Vec<u8>,
    /// Lines that were in order, their length, and their checksum.
    count: u64,
    bytes: u64,
    digest: crc32fast::Hasher,
}

impl<R: BufRead> Lines<'_, R> {
    fn observation(&mut self) -> Result<Observation, Problem> {
        self.header()?;
        let mut observation = None;
        loop {
            self.next(LINE_BYTES, "the line")?;
            if self.text.starts_with(END.as_bytes()) {
                self.end()?;
                let holds_none = || Problem::Damaged("it holds no observation".to_owned());
                let mut observation: Observation = observation.ok_or_else(holds_none)?;
                observation.tasks.put_in_order();
                return Ok(observation);
            }
            let line =
                serde_json::from_slice(&self.text).map_err(|error| Problem::Damaged(error.to_string()))?;
            add(&mut observation, line)?;
            self.accept();
        }
    }

    /// The first line: what this is, and of which version.
    fn header(&mut self) -> Result<(), Problem> {
        match self.next(HEADER_BYTES, "the header") {
            Err(Problem::CutOff) if self.text.is_empty() => return Err(Problem::Empty),
            Err(Problem::CutOff) if !self.starts_like_a_recording() => return Err(Problem::NoHeader),
            Err(Problem::TooLong(..)) => return Err(Problem::NoHeader),
            other => other?,
        }
        let Some(rest) = self.text.strip_prefix(MAGIC.as_bytes()) else {
            return Err(Problem::NoHeader);
        };
        let digits: String = rest
            .iter()
            .take(10)
            .take_while(|byte| byte.is_ascii_digit())
            .map(|byte| char::from(*byte))
            .collect();
        if digits.is_empty() {
            return Err(Problem::NoHeader);
        }
        if digits != VERSION.to_string() {
            return Err(Problem::OtherVersion(digits));
        }
        serde_json::from_slice::<serde_json::Value>(&self.text)
            .map_err(|error| Problem::Damaged(error.to_string()))?;
        self.accept();
        Ok(())
    }

    fn starts_like_a_recording(&self) -> bool {
        let common = self.text.len().min(MAGIC.len());
        self.text[..common] == MAGIC.as_bytes()[..common]
    }

    /// Reads the next line.
    fn next(&mut self, limit: u64, what: &'static str) -> Result<(), Problem> {
        self.text.clear();
        let left = TOTAL_BYTES.saturating_sub(self.bytes);
        self.input.by_ref().take(limit.min(left)).read_until(b'\n', &mut self.text)?;
        if self.text.ends_with(b"\n") {
            return Ok(());
        }
        let length = self.text.len() as u64;
        if length == left {
            return Err(Problem::TooLong("the file", TOTAL_BYTES));
        }
        if length == limit {
            return Err(Problem::TooLong(what, limit));
        }
        Err(Problem::CutOff)
    }

    /// Counts the line as one that is in order.
    fn accept(&mut self) {
        self.digest.update(&self.text);
        self.count += 1;
        self.bytes += self.text.len() as u64;
    }

    /// The end line must be exactly the one that belongs to what came before, and nothing may follow.
    fn end(&mut self) -> Result<(), Problem> {
        if self.text != end_line(self.count, self.bytes, self.digest.clone().finalize()).as_bytes() {
            return Err(Problem::Damaged("its end line does not match what comes before it".to_owned()));
        }
        self.accept();
        if !self.input.fill_buf()?.is_empty() {
            return Err(Problem::Damaged("something follows its end".to_owned()));
        }
        Ok(())
    }
}

/// Puts a line where it belongs.
pub(super) fn add(observation: &mut Option<Observation>, line: Line) -> Result<(), Problem> {
    match (observation.as_mut(), line) {
        (None, Line::Node(head)) => {
            let Head { node, source, reader, host, unreadable } = *head;
            *observation =
                Some(Observation { node, source, reader, host, unreadable, ..Observation::default() });
        }
        (None, _) => return Err(Problem::Damaged("its second line is not the node's".to_owned())),
        (Some(_), Line::Node(_)) => return Err(Problem::Damaged("it holds a second observation".to_owned())),
        // In whatever order they come: they are put in order once all are there.
        (Some(all), Line::Task(task)) => all.tasks.shared_mut().push(Arc::new(*task)),
        (Some(all), Line::Container(container)) => all.containers.push(*container),
        (Some(all), Line::Pod(pod)) => all.pods.push(*pod),
        (Some(all), Line::Behaviour(behaviour)) => all.behaviours.push(behaviour),
        (Some(all), Line::Credentials(credentials)) => all.credentials.push(credentials),
        (Some(all), Line::Network(network)) => all.networks.push(network),
        (Some(all), Line::Cost(cost)) => all.costs.push(cost),
        (Some(all), Line::Pin(pin)) => all.pins.push(pin),
        (Some(all), Line::Namespace(fact)) => all.namespaces.push(fact),
        (Some(all), Line::Handle(handle)) => all.handles.push(handle),
        (Some(all), Line::Runtime(report)) => all.runtimes.push(report),
        (Some(all), Line::Gap(gap)) => all.gaps.push(gap),
        (Some(all), Line::History(history)) => all.history = *history,
    }
    Ok(())
}
