//! Events as lines: one for each, for people or for programs.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::StdIoWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::ser::Error as _;

use super::json::object::{number, string};
use super::text::clean;
use super::{Look, Tone, json};
use crate::view::{API_VERSION, Event, EventExit, EventProcess, EventTier, EventType, Named, ProcessEvent};

/// The longest name of a type of event.
const TYPE: usize = 19;

/// Characters of a time of day.
const TIME: usize = 12;

/// Bytes that are enough for what most have to say.
const LITTLE: usize = 96;

/// Appends one line of JSON.
///
/// # Errors
/// If the event cannot be serialized, which only a broken type can cause.
pub fn line(event: &Event, out: &mut Vec<u8>) -> serde_json::Result<()> {
    // All of them: whoever adds a part decides here whether an event of few parts has it.
    let Event {
        api_version: _,
        kind: _,
        sequence,
        time,
        boottime_ns,
        event_type,
        pod,
        container,
        process,
        namespaces,
        exit,
        victims,
        finding,
        lost,
        tier,
        message,
        node,
    } = event;
    let is_short =
        namespaces.is_empty() && victims.is_empty() && finding.is_none() && lost.is_none() && node.is_none();
    if !is_short {
        out.extend_from_slice(json::line(event)?.as_bytes());
        return Ok(());
    }
    let process = process
        .as_ref()
        .map(|EventProcess { pid, start_boottime_ns, comm }| (*pid, *start_boottime_ns, &**comm));
    Short {
        sequence: *sequence,
        time: *time,
        boottime_ns: *boottime_ns,
        event_type: *event_type,
        pod: pod.as_ref(),
        container: container.as_ref(),
        process,
        exit: *exit,
        tier: *tier,
        message,
    }
    .push(out)
}

/// The same of a process.
///
/// # Errors
/// As for [`line`].
pub fn process_line(event: &ProcessEvent<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let ProcessEvent {
        sequence,
        time,
        boottime_ns,
        event_type,
        home,
        pid,
        start_boottime_ns,
        comm,
        exit,
        tier,
    } = *event;
    let mut message = String::with_capacity(LITTLE);
    event.push_message(&mut message);
    Short {
        sequence,
        time,
        boottime_ns,
        event_type,
        pod: home.map(|(pod, _)| pod),
        container: home.map(|(_, container)| container),
        process: Some((pid, start_boottime_ns, comm)),
        exit,
        tier,
        message: &message,
    }
    .push(out)
}

/// An event of few parts. What [`json::line`] gives of it is written piece by piece, for there may be tens of thousands a second
/// on a machine that does nothing but fork. A test holds it against the type.
struct Short<'a> {
    sequence: u64,
    time: Option<Timestamp>,
    boottime_ns: u64,
    event_type: EventType,
    pod: Option<&'a Named>,
    container: Option<&'a Named>,
    process: Option<(u32, u64, &'a str)>,
    exit: Option<EventExit>,
    tier: EventTier,
    message: &'a str,
}

impl Short<'_> {
    fn push(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        key(out, "{\"apiVersion\":");
        string(out, API_VERSION);
        key(out, ",\"kind\":\"Event\",\"sequence\":");
        number(out, self.sequence);
        key(out, ",\"time\":");
        match &self.time {
            Some(time) => {
                out.push(b'"');
                let printed = DateTimePrinter::new().print_timestamp(time, StdIoWrite(&mut *out));
                printed.map_err(serde_json::Error::custom)?;
                out.push(b'"');
            }
            None => key(out, "null"),
        }
        key(out, ",\"boottimeNs\":");
        number(out, self.boottime_ns);
        key(out, ",\"type\":");
        string(out, self.event_type.name());
        for (before, named) in [(",\"pod\":{\"id\":", self.pod), (",\"container\":{\"id\":", self.container)]
        {
            if let Some(Named { id, name }) = named {
                key(out, before);
                string(out, id);
                key(out, ",\"name\":");
                string(out, name);
                out.push(b'}');
            }
        }
        if let Some((pid, start_boottime_ns, comm)) = self.process {
            key(out, ",\"process\":{\"pid\":");
            number(out, u64::from(pid));
            key(out, ",\"startBoottimeNs\":");
            number(out, start_boottime_ns);
            key(out, ",\"comm\":");
            string(out, comm);
            out.push(b'}');
        }
        if let Some(exit) = &self.exit {
            key(out, ",\"exit\":");
            json::push(out, exit)?;
        }
        key(out, ",\"tier\":");
        json::push(out, &self.tier)?;
        key(out, ",\"message\":");
        string(out, self.message);
        key(out, "}\n");
        Ok(())
    }
}

/// A key with what stands around it.
fn key(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends one line for people: the time of day, what happened, where, and in words what it means.
pub fn human(event: &Event, look: &Look, out: &mut String) {
    begin(event.time, event.event_type, look, out);
    out.push_str(&clean(&event.message));
    out.push('\n');
}

/// The same of a process.
pub fn process_human(event: &ProcessEvent<'_>, look: &Look, out: &mut String) {
    begin(event.time, event.event_type, look, out);
    let start = out.len();
    event.push_message(out);
    let words = out.get(start..).unwrap_or_default();
    if let Cow::Owned(words) = clean(words) {
        out.truncate(start);
        out.push_str(&words);
    }
    out.push('\n');
}

fn begin(time: Option<Timestamp>, event_type: EventType, look: &Look, out: &mut String) {
    let time = time.map(time_of_day);
    let time = time.as_ref().and_then(|time| std::str::from_utf8(time).ok()).unwrap_or_default();
    Tone::Dim.push(out, time, TIME, look);
    out.push(' ');
    tone(event_type).push(out, event_type.name(), TYPE, look);
    out.push(' ');
}

/// Hours, minutes, seconds and milliseconds of the day (UTC): the day is what a person watching knows.
fn time_of_day(time: Timestamp) -> [u8; TIME] {
    let ms = time.as_millisecond().rem_euclid(24 * 60 * 60 * 1000);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let digit = |number: i64| b'0' + u8::try_from(number % 10).unwrap_or_default();
    let [h, m, s] = [hours, minutes, seconds].map(|number| [digit(number / 10), digit(number)]);
    let [hundreds, tens, ones] = [digit(ms / 100), digit(ms / 10), digit(ms)];
    [h[0], h[1], b':', m[0], m[1], b':', s[0], s[1], b'.', hundreds, tens, ones]
}

pub(crate) const fn tone(event_type: EventType) -> Tone {
    match event_type {
        EventType::PodCollapsed
        | EventType::OwnerExited
        | EventType::ForeignEntered
        | EventType::FindingRaised => Tone::Bad,
        EventType::ContainerExited | EventType::Resynced => Tone::Doubtful,
        EventType::ContainerStarted | EventType::PodSurvived | EventType::FindingCleared => Tone::Good,
        EventType::NamespaceCreated
        | EventType::NamespaceJoined
        | EventType::NamespaceLeft
        | EventType::NamespaceDestroyed => Tone::Plain,
        EventType::ProcessStarted | EventType::ProcessExecuted | EventType::ProcessExited => Tone::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples::HOSTILE;
    use crate::view::{ExitCause, Lost};

    fn event(event_type: EventType, message: &str) -> Event {
        Event {
            sequence: 1,
            time: "2026-11-27T19:45:01.123456789Z".parse().ok(),
            boottime_ns: 5,
            message: message.to_owned(),
            ..Event::draft(event_type)
        }
    }

    fn people(event: &Event, look: &Look) -> String {
        let mut out = String::new();
        human(event, look, &mut out);
        out
    }

    fn line(event: &Event) -> String {
        let mut out = Vec::new();
        super::line(event, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_stays_one_harmless_line() {
        let mut event = event(EventType::PodCollapsed, "a\nb\x1b[2J");
        let mut look = Look { width: None, colour: false, headers: true, inodes: false, filtered_from: None };
        assert_eq!(people(&event, &look), "19:45:01.123 pod-collapsed       a\\nb\\x1b[2J\n");
        assert_eq!(line(&event).lines().count(), 1);
        let names = EventType::ALL.map(|it| it.name().len());
        assert_eq!(names.into_iter().max(), Some(TYPE));
        // Times of any day, and none.
        for (time, expected) in [
            ("2026-11-27T19:45:01Z", "19:45:01.000"),
            ("2026-11-27T19:45:01.5Z", "19:45:01.500"),
            ("2026-11-27T23:59:59.999999999Z", "23:59:59.999"),
            ("1969-12-31T23:59:58.001Z", "23:59:58.001"),
            ("1970-01-01T00:00:00Z", "00:00:00.000"),
        ] {
            event.time = time.parse().ok();
            assert!(people(&event, &look).starts_with(&format!("{expected} pod-collapsed ")), "{time}");
        }
        event.time = None;
        look.colour = true;
        event.event_type = EventType::ProcessExited;
        let painted = people(&event, &look);
        let dim = |text: &str| Tone::Dim.paint(text, &look);
        let expected = format!("{} {} a\\nb\\x1b[2J\n", dim(&" ".repeat(12)), dim("process-exited     "));
        assert_eq!(painted, expected);
    }

    /// Numbers that a seed gives (`SplitMix64`).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn below(&mut self, limit: usize) -> usize {
            usize::try_from(self.next() % limit as u64).unwrap()
        }

        /// From 0 to the largest, of any length.
        fn number(&mut self) -> u64 {
            let bits = self.below(64);
            self.next() >> bits
        }

        fn text(&mut self) -> String {
            if self.below(4) == 0 {
                return HOSTILE[self.below(HOSTILE.len())].to_owned();
            }
            let limit = [0x7f, 0x100, 0x3000, 0x11_0000][self.below(4)];
            let length = self.below(20);
            (0..length).filter_map(|_| char::from_u32(u32::try_from(self.below(limit)).unwrap())).collect()
        }

        fn named(&mut self) -> Option<Named> {
            (self.below(2) == 0).then(|| Named { id: self.text(), name: self.text() })
        }
    }

    #[test]
    fn a_short_line_is_that_of_the_type() {
        const TIERS: [EventTier; 4] =
            [EventTier::Iterator, EventTier::Fexit, EventTier::Syscall, EventTier::ForkExec];
        const CAUSES: [ExitCause; 2] = [ExitCause::Itself, ExitCause::Signal];
        let mut random = Random(1);
        for _ in 0..20_000 {
            let message = random.text();
            let mut event = event(EventType::ALL[random.below(EventType::ALL.len())], &message);
            event.sequence = random.number();
            event.boottime_ns = random.number();
            let second = i64::try_from(random.below(4_000_000_000)).unwrap() - 2_000_000_000;
            // Digits that are nought at the end are left out.
            let unit = [1, 1_000, 1_000_000, 100_000_000, 1_000_000_000][random.below(5)];
            let nanosecond = i32::try_from(random.below(1_000_000_000) / unit * unit).unwrap();
            event.time = Timestamp::new(second, nanosecond).ok().filter(|_| random.below(10) != 0);
            event.tier = TIERS[random.below(TIERS.len())];
            (event.pod, event.container) = (random.named(), random.named());
            event.process = (random.below(4) != 0).then(|| EventProcess {
                pid: u32::try_from(random.number() >> 32).unwrap(),
                start_boottime_ns: random.number(),
                comm: random.text(),
            });
            let code = |random: &mut Random| {
                let code = i32::try_from(random.below(600)).unwrap() - 300;
                (random.below(2) == 0).then_some(code)
            };
            event.exit = (random.below(2) == 0).then(|| EventExit {
                code: code(&mut random),
                signal: code(&mut random),
                cause: CAUSES[random.below(CAUSES.len())],
            });
            let whole = json::line(&event).unwrap();
            assert_eq!(line(&event), whole);
            if random.below(100) == 0 {
                event.lost = Some(Box::new(Lost { records: 1, by_cause: [(random.text(), 1)].into() }));
                assert_eq!(line(&event), json::line(&event).unwrap());
            }
        }
    }

    #[test]
    fn a_process_is_told_of_as_its_event_is() {
        let mut random = Random(2);
        for _ in 0..5_000 {
            let named = [(); 2].map(|()| Named { id: random.text(), name: random.text() });
            let types = [EventType::ProcessStarted, EventType::ProcessExecuted, EventType::ProcessExited];
            let comm = random.text();
            let status = u32::try_from(random.below(0x1_0000)).unwrap();
            let exit = EventExit::told(crate::observation::ExitStatus::from_wait(status));
            let process = ProcessEvent {
                sequence: random.number(),
                time: Timestamp::from_second(i64::try_from(random.below(2_000_000_000)).unwrap()).ok(),
                boottime_ns: random.number(),
                event_type: types[random.below(3)],
                home: (random.below(2) == 0).then_some((&named[0], &named[1])),
                pid: u32::try_from(random.number() >> 32).unwrap(),
                start_boottime_ns: random.number(),
                comm: &comm,
                exit: (random.below(2) == 0).then_some(exit),
                tier: EventTier::ForkExec,
            };
            let event = Event::from(&process);
            let mut bytes = Vec::new();
            process_line(&process, &mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), line(&event));
            let colour = random.below(2) == 0;
            let look = Look { width: None, colour, headers: true, inodes: false, filtered_from: None };
            let mut out = String::from("before ");
            process_human(&process, &look, &mut out);
            assert_eq!(out.strip_prefix("before "), Some(people(&event, &look).as_str()));
        }
    }
}
