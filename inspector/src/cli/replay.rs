//! Recordings over time: what was recorded is handed on again, up to a moment.

use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use super::args::At;
use super::failure::Failure;
use super::input;
use crate::live::Engine;
use crate::observation::{Gap, Input, Look, Node, Observation};
use crate::recording::{About, Ending, StreamReader};

/// A recording over time that is being replayed.
pub struct Replay<'f> {
    file: &'f Path,
    stream: StreamReader<Box<dyn BufRead>>,
    /// The machine, at the beginning.
    begin: Node,
    /// Up to when what was recorded is handed on.
    until_ns: Option<u64>,
}

impl<'f> Replay<'f> {
    /// Of this file, whose first look was read.
    pub fn new(file: &'f Path, stream: StreamReader<Box<dyn BufRead>>, first: &Look) -> Self {
        Self { file, stream, begin: first.observation.node.clone(), until_ns: None }
    }

    /// What the recording says of itself.
    pub const fn about(&self) -> &About {
        self.stream.about()
    }

    /// The machine, at the beginning.
    pub const fn begin(&self) -> &Node {
        &self.begin
    }

    /// Ends it at this time since boot.
    pub const fn until(&mut self, boottime_ns: u64) {
        self.until_ns = Some(boottime_ns);
    }

    /// When that is, in nanoseconds since boot.
    ///
    /// # Errors
    /// If it is before the recording begins.
    pub fn moment(&mut self, at: At) -> Result<u64, Failure> {
        let begin_ns = self.begin.boottime_ns;
        let moment = match (at, self.begin.time) {
            (At::After(offset), _) => Some(later(begin_ns, offset)),
            (At::Time(time), Some(begin)) => {
                let (time, begin) = (time.as_nanosecond(), begin.as_nanosecond());
                // Written to the second or the millisecond, the beginning itself is not before it.
                let is_begin = |unit: i128| time == begin - begin.rem_euclid(unit);
                let offset =
                    if [1_000_000_000, 1_000_000].into_iter().any(is_begin) { 0 } else { time - begin };
                u64::try_from(i128::from(begin_ns) + offset).ok().filter(|moment| *moment >= begin_ns)
            }
            (At::Time(_), None) => None,
        };
        match moment {
            Some(moment) => Ok(moment),
            None => {
                // The end is told too, and known only when everything was read.
                while self.next()?.is_some() {}
                Err(self.outside())
            }
        }
    }

    /// The next input, up to the end that was set. Of what the kernel told, what happened later is left out.
    ///
    /// # Errors
    /// If the recording is unsound.
    pub fn next(&mut self) -> Result<Option<Input>, Failure> {
        loop {
            let next = self.stream.next_input().map_err(|error| input::unsound(self.file, &error))?;
            let Some(mut input) = next else { return Ok(None) };
            let Some(until_ns) = self.until_ns.filter(|until_ns| input.boottime_ns() > *until_ns) else {
                return Ok(Some(input));
            };
            match &mut input {
                // What was told before a look comes before it, even if it was handed on later.
                Input::Told(told) => {
                    told.events.retain(|event| event.boottime_ns <= until_ns);
                    told.lost.clear();
                    told.boottime_ns = until_ns;
                    if !told.events.is_empty() {
                        return Ok(Some(input));
                    }
                }
                Input::Look(_) | Input::Blind(_) => return Ok(None),
            }
        }
    }

    /// Whether what was recorded reaches up to there. To be asked once there is no next input.
    ///
    /// # Errors
    /// If it does not.
    pub fn reaches(&self, boottime_ns: u64) -> Result<(), Failure> {
        match self.stream.ending() {
            Some(_) if self.stream.until_ns() < boottime_ns => Err(self.outside()),
            _ => Ok(()),
        }
    }

    fn outside(&self) -> Failure {
        let time = |ns: u64| self.begin.time_at(ns).map(|time| format!("{time:.3} ")).unwrap_or_default();
        let (begin_ns, end_ns) = (self.begin.boottime_ns, self.stream.until_ns());
        Failure::usage(format!(
            "--at is outside of {}, which covers {}(+0s) to {}(+{}s){}",
            self.file.display(),
            time(begin_ns),
            time(end_ns),
            seconds(end_ns.saturating_sub(begin_ns)),
            match self.stream.ending() {
                Some(Ending::CutOff(_)) => ", where it is cut off",
                _ => "",
            }
        ))
    }

    /// What is missing from it, where it was not ended but cut off, as far as it was read.
    pub fn cut_off(&self) -> Option<Gap> {
        let Some(Ending::CutOff(byte)) = self.stream.ending() else { return None };
        let end_ns = self.stream.until_ns();
        let at = self.begin.time_at(end_ns).map(|time| format!(", up to {time:.3}")).unwrap_or_default();
        Some(Gap::detail(
            "the end of the recording",
            format!(
                "the file is cut off after byte {byte}; it covers {} s{at}, and what happened later is not in it",
                seconds(end_ns.saturating_sub(self.begin.boottime_ns)),
            ),
        ))
    }
}

/// What was known at a moment of a recording, or at its end.
///
/// # Errors
/// If the recording is unsound, or does not cover that moment.
pub fn observation(mut replay: Replay<'_>, first: Look, at: Option<At>) -> Result<Observation, Failure> {
    let moment = at.map(|at| replay.moment(at)).transpose()?;
    if let Some(moment) = moment {
        replay.until(moment);
    }
    let mut engine = Engine::start(first, replay.about().by, true);
    while let Some(input) = replay.next()? {
        engine.take(input);
    }
    if let Some(moment) = moment {
        replay.reaches(moment)?;
    }
    let mut observation = engine.last().observation().clone();
    observation.gaps.extend(replay.cut_off().filter(|_| at.is_none()));
    Ok(observation)
}

/// So long after a time since boot.
pub fn later(boottime_ns: u64, duration: Duration) -> u64 {
    boottime_ns.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// In seconds, for people: to the millisecond before it, so that what is told is not later than what is there.
pub fn seconds(ns: u64) -> String {
    let millis = ns / 1_000_000;
    format!("{}.{:03}", millis / 1000, millis % 1000)
}
