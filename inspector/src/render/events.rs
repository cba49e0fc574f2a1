//! Events as lines: one for each, for people or for programs.

use super::text::clean;
use super::{Look, Tone, json};
use crate::view::{Event, EventType};

/// The longest name of a type of event.
const TYPE: usize = 19;

/// One line of JSON.
///
/// # Errors
/// If the event cannot be serialized, which only a broken type can cause.
pub fn line(event: &Event) -> serde_json::Result<String> {
    json::line(event)
}

/// One line for people: the time of day, what happened, where, and in words what it means.
#[must_use]
pub fn human(event: &Event, look: &Look) -> String {
    // RFC 3339: the day is what a person watching knows.
    let time = event.time.as_deref().and_then(|time| time.split_once('T')).map_or("", |(_, time)| time);
    let time = format!("{:<12}", time.get(..12).unwrap_or(time).trim_end_matches('Z'));
    let name = format!("{:<TYPE$}", event.event_type.name());
    format!(
        "{} {} {}\n",
        Tone::Dim.paint(&time, look),
        tone(event.event_type).paint(&name, look),
        clean(&event.message)
    )
}

const fn tone(event_type: EventType) -> Tone {
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
    use crate::view::{API_VERSION, EventTier};

    #[test]
    fn a_line_stays_one_harmless_line() {
        let event = Event {
            api_version: API_VERSION,
            kind: "Event",
            sequence: 1,
            time: Some("2026-11-27T19:45:01.123456789Z".to_owned()),
            boottime_ns: 5,
            event_type: EventType::PodCollapsed,
            pod: None,
            container: None,
            process: None,
            namespaces: Vec::new(),
            exit: None,
            victims: Vec::new(),
            finding: None,
            lost: None,
            tier: EventTier::Iterator,
            message: "a\nb\x1b[2J".to_owned(),
            node: None,
        };
        let look = Look { width: None, colour: false, headers: true, inodes: false, filtered_from: None };
        assert_eq!(human(&event, &look), "19:45:01.123 pod-collapsed       a\\nb\\x1b[2J\n");
        assert_eq!(line(&event).unwrap().lines().count(), 1);
        let names = EventType::ALL.map(|it| it.name().len());
        assert_eq!(names.into_iter().max(), Some(TYPE));
    }
}
