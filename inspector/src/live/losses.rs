//! What was missed: events that did not arrive or could not be kept, and looks that failed. It is said before all else.

use std::collections::BTreeMap;

use crate::observation::{Blind, Node};
use crate::view::{Event, EventType, Lost};

/// What was missed so far, and of that what is not told yet.
#[derive(Default)]
pub(super) struct Losses {
    /// Events, since the start.
    pub all: u64,
    /// Events that are not told yet, by cause.
    untold: BTreeMap<String, u64>,
    /// Since when looking fails, and why.
    blind: Option<Blind>,
}

impl Losses {
    /// So many events came to nothing.
    pub(super) fn miss(&mut self, records: u64, cause: &str) {
        if records > 0 {
            self.all += records;
            *self.untold.entry(cause.to_owned()).or_default() += records;
        }
    }

    /// A look failed.
    pub(super) fn fail(&mut self, blind: Blind) {
        self.blind.get_or_insert(blind);
    }

    /// Tells of it, once everything was looked at again; `last_ns` is when it was before.
    pub(super) fn resyncs(&mut self, node: &Node, last_ns: u64) -> Vec<Event> {
        let resync =
            |message| Event { message, boottime_ns: node.boottime_ns, ..Event::draft(EventType::Resynced) };
        let mut events = Vec::new();
        if let Some(Blind { why, .. }) = self.blind.take() {
            let since = node.boottime_ns.saturating_sub(last_ns);
            events.push(resync(format!(
                "looked again after {:.1} s; what came and went in between was not seen: {why}",
                since as f64 / 1e9
            )));
        }
        let by_cause = std::mem::take(&mut self.untold);
        let records: u64 = by_cause.values().sum();
        if records > 0 {
            let causes: Vec<String> =
                by_cause.iter().map(|(cause, records)| format!("{records} {cause}")).collect();
            let message = format!(
                "{records} events of the kernel did not arrive or could not be kept ({}); all tasks were read anew, and what came and went \
                 before that is not told",
                causes.join(", ")
            );
            events.push(Event { lost: Some(Box::new(Lost { records, by_cause })), ..resync(message) });
        }
        events
    }
}
