//! Events as lines: one for each, for people or for programs.

use jiff::fmt::StdIoWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::ser::Error as _;

use super::json::object::{number, string};
use super::text::clean;
use super::{Look, Tone, json};
use crate::view::{Event, EventProcess, EventType, Named};

/// The longest name of a type of event.
const TYPE: usize = 19;

/// One line of JSON.
///
/// # Errors
/// If the event cannot be serialized, which only a broken type can cause.
pub fn line(event: &Event) -> serde_json::Result<String> {
    let Some(out) = short(event) else { return json::line(event) };
    // As in `json::line`: this checks instead of trusting.
    String::from_utf8(out?).map_err(serde_json::Error::custom)
}

/// What [`json::line`] gives, for an event of few parts: so is each of those that `watch --all-processes` tells of single
/// processes, tens of thousands a second on a machine that does nothing but fork. A test holds it against the type.
fn short(event: &Event) -> Option<serde_json::Result<Vec<u8>>> {
    // All of them: whoever adds a part decides here.
    let Event {
        api_version,
        kind,
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
    if !namespaces.is_empty() || !victims.is_empty() {
        return None;
    }
    if finding.is_some() || lost.is_some() || node.is_some() {
        return None;
    }
    let write = || {
        let mut out = Vec::with_capacity(512);
        key(&mut out, "{\"apiVersion\":");
        string(&mut out, api_version);
        key(&mut out, ",\"kind\":");
        string(&mut out, kind);
        key(&mut out, ",\"sequence\":");
        number(&mut out, *sequence);
        key(&mut out, ",\"time\":");
        match time {
            Some(time) => {
                out.push(b'"');
                let printed = DateTimePrinter::new().print_timestamp(time, StdIoWrite(&mut out));
                printed.map_err(serde_json::Error::custom)?;
                out.push(b'"');
            }
            None => key(&mut out, "null"),
        }
        key(&mut out, ",\"boottimeNs\":");
        number(&mut out, *boottime_ns);
        key(&mut out, ",\"type\":");
        string(&mut out, event_type.name());
        for (before, named) in [(",\"pod\":{\"id\":", pod), (",\"container\":{\"id\":", container)] {
            if let Some(Named { id, name }) = named {
                key(&mut out, before);
                string(&mut out, id);
                key(&mut out, ",\"name\":");
                string(&mut out, name);
                out.push(b'}');
            }
        }
        if let Some(EventProcess { pid, start_boottime_ns, comm }) = process {
            key(&mut out, ",\"process\":{\"pid\":");
            number(&mut out, u64::from(*pid));
            key(&mut out, ",\"startBoottimeNs\":");
            number(&mut out, *start_boottime_ns);
            key(&mut out, ",\"comm\":");
            string(&mut out, comm);
            out.push(b'}');
        }
        if let Some(exit) = exit {
            key(&mut out, ",\"exit\":");
            json::push(&mut out, exit)?;
        }
        key(&mut out, ",\"tier\":");
        json::push(&mut out, tier)?;
        key(&mut out, ",\"message\":");
        string(&mut out, message);
        key(&mut out, "}\n");
        Ok(out)
    };
    Some(write())
}

/// A key with what stands around it.
fn key(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// One line for people: the time of day, what happened, where, and in words what it means.
#[must_use]
pub fn human(event: &Event, look: &Look) -> String {
    // RFC 3339: the day is what a person watching knows.
    let time = event.time.map(|time| time.to_string()).unwrap_or_default();
    let time = time.split_once('T').map_or("", |(_, time)| time);
    let time = time.get(..12).unwrap_or(time).trim_end_matches('Z');
    let mut out = String::with_capacity(64 + event.message.len());
    Tone::Dim.push(&mut out, time, 12, look);
    out.push(' ');
    tone(event.event_type).push(&mut out, event.event_type.name(), TYPE, look);
    out.push(' ');
    out.push_str(&clean(&event.message));
    out.push('\n');
    out
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
    use crate::view::{API_VERSION, EventExit, EventTier, ExitCause, Lost};

    fn event(event_type: EventType, message: &str) -> Event {
        Event {
            api_version: API_VERSION,
            kind: "Event",
            sequence: 1,
            time: "2026-11-27T19:45:01.123456789Z".parse().ok(),
            boottime_ns: 5,
            event_type,
            pod: None,
            container: None,
            process: None,
            namespaces: Vec::new(),
            exit: None,
            victims: Vec::new(),
            finding: None,
            lost: None,
            tier: EventTier::Iterator,
            message: message.to_owned(),
            node: None,
        }
    }

    #[test]
    fn a_line_stays_one_harmless_line() {
        let mut event = event(EventType::PodCollapsed, "a\nb\x1b[2J");
        let mut look = Look { width: None, colour: false, headers: true, inodes: false, filtered_from: None };
        assert_eq!(human(&event, &look), "19:45:01.123 pod-collapsed       a\\nb\\x1b[2J\n");
        assert_eq!(line(&event).unwrap().lines().count(), 1);
        let names = EventType::ALL.map(|it| it.name().len());
        assert_eq!(names.into_iter().max(), Some(TYPE));
        // Times of fewer digits, and none.
        for (time, expected) in
            [("2026-11-27T19:45:01Z", "19:45:01    "), ("2026-11-27T19:45:01.5Z", "19:45:01.5  ")]
        {
            event.time = time.parse().ok();
            assert!(human(&event, &look).starts_with(&format!("{expected} pod-collapsed ")), "{time}");
        }
        event.time = None;
        look.colour = true;
        event.event_type = EventType::ProcessExited;
        let painted = human(&event, &look);
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
            event.time = jiff::Timestamp::new(second, nanosecond).ok().filter(|_| random.below(10) != 0);
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
            assert_eq!(String::from_utf8(short(&event).unwrap().unwrap()).unwrap(), whole);
            assert_eq!(line(&event).unwrap(), whole);
            if random.below(100) == 0 {
                event.lost = Some(Box::new(Lost { records: 1, by_cause: [(random.text(), 1)].into() }));
                assert!(short(&event).is_none());
                assert_eq!(line(&event).unwrap(), json::line(&event).unwrap());
            }
        }
    }
}
