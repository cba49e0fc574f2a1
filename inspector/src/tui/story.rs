//! The events that are kept for the screen: the last ones, and which of them are wanted.

use std::collections::{BTreeSet, VecDeque};

use crate::render::text::fit;
use crate::view::{Event, EventType};

/// So many events are kept.
pub(super) const KEPT: usize = 2_000;

/// The longest text that is kept of one, in columns: a hostile name could be of megabytes.
const LONGEST: usize = 1_000;

/// What is shown of an event. Its texts are clean.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Counts from 1, and skips nothing.
    pub(super) number: u64,
    /// The time of day.
    pub(super) time: String,
    pub(super) event_type: EventType,
    /// The ids of the pods that it is about.
    pods: Vec<String>,
    pub(super) text: String,
}

impl Told {
    fn of(number: u64, event: &Event) -> Self {
        let time = event.time.map(|time| time.to_string()).unwrap_or_default();
        let time = time.split_once('T').map_or("", |(_, time)| time);
        let entered = event.namespaces.iter().filter_map(|it| it.to_pod.as_ref());
        let subject = event.finding.as_ref().and_then(|it| it.subject.pod.clone());
        Self {
            number,
            time: fit(time.get(..12).unwrap_or(time).trim_end_matches('Z'), 12),
            event_type: event.event_type,
            pods: event.pod.iter().chain(entered).map(|it| it.id.clone()).chain(subject).collect(),
            text: fit(&event.message, LONGEST),
        }
    }
}

/// Which events are wanted; of everything by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Only with this in its line, in whatever case.
    pub(super) text: String,
    /// Only about the pod of this id.
    pub(super) pod: Option<String>,
    /// None of these types.
    pub(super) without: BTreeSet<EventType>,
}

impl Filter {
    pub(super) fn is_everything(&self) -> bool {
        self.text.is_empty() && self.pod.is_none() && self.without.is_empty()
    }

    fn takes(&self, told: &Told, text: &str) -> bool {
        !self.without.contains(&told.event_type)
            && self.pod.as_ref().is_none_or(|pod| told.pods.contains(pod))
            && (text.is_empty()
                || told.event_type.name().contains(text)
                || told.text.to_lowercase().contains(text))
    }
}

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Story {
    told: VecDeque<Told>,
    /// How many there were, the ones that were let go included.
    count: u64,
}

impl Story {
    pub(super) fn add(&mut self, event: &Event) {
        self.count += 1;
        self.told.push_back(Told::of(self.count, event));
        if self.told.len() > KEPT {
            self.told.pop_front();
        }
    }

    /// How many there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them are not kept any more.
    pub(super) fn let_go(&self) -> u64 {
        self.count - self.told.len() as u64
    }

    /// Those that are wanted, of the ones up to a number.
    pub(super) fn matching(&self, filter: &Filter, until: Option<u64>) -> Vec<&Told> {
        let text = filter.text.to_lowercase();
        self.told
            .iter()
            .filter(|told| until.is_none_or(|until| told.number <= until) && filter.takes(told, &text))
            .collect()
    }
}
