//! What waits for the screen: news and keys.
//!
//! Bounded whatever the terminal does: of the node only the latest state waits, and of events as many as the screen keeps.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossterm::event::KeyEvent;

use super::story::KEPT;
use super::{Scene, Update};
use crate::view::Event;

/// Keys that wait at most; somebody leans on one while the terminal stands still.
const KEYS: usize = 1_000;

/// Everything that came since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) state: Option<Box<Scene>>,
    pub(super) events: VecDeque<Event>,
    pub(super) failed: Option<String>,
    pub(super) logged: Option<String>,
    pub(super) keys: VecDeque<KeyEvent>,
    /// The window has another size.
    pub(super) resized: bool,
    /// Nobody looks any more, or nobody shows.
    pub(super) closed: bool,
}

impl Mail {
    fn is_empty(&self) -> bool {
        let Self { state, events, failed, logged, keys, resized, closed } = self;
        state.is_none()
            && events.is_empty()
            && failed.is_none()
            && logged.is_none()
            && keys.is_empty()
            && !resized
            && !closed
    }
}

/// Where news are sent to.
#[derive(Clone, Debug, Default)]
pub struct Updates(Arc<(Mutex<Mail>, Condvar)>);

impl Updates {
    /// Sends news; never waits.
    pub fn send(&self, update: Update) {
        self.put(|mail| match update {
            // A look that succeeded takes an earlier failure back.
            Update::State(scene) => (mail.state, mail.failed) = (Some(scene), None),
            Update::Events(events) => {
                mail.events.extend(events);
                let over = mail.events.len().saturating_sub(KEPT);
                mail.events.drain(..over);
            }
            Update::Failed(why) => mail.failed = Some(why),
            Update::Logged(line) => mail.logged = Some(line),
        });
    }

    pub(super) fn press(&self, key: KeyEvent) {
        self.put(|mail| {
            if mail.keys.len() < KEYS {
                mail.keys.push_back(key);
            }
        });
    }

    pub(super) fn resize(&self) {
        self.put(|mail| mail.resized = true);
    }

    /// Ends both sides.
    pub(super) fn close(&self) {
        self.put(|mail| mail.closed = true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for anything, and takes all of it; that it is closed stays so.
    pub(super) fn take(&self) -> Mail {
        let mut mail = self.lock();
        while mail.is_empty() {
            mail = self.0.1.wait(mail).unwrap_or_else(PoisonError::into_inner);
        }
        let closed = mail.closed;
        std::mem::replace(&mut mail, Mail { closed, ..Mail::default() })
    }

    fn put(&self, change: impl FnOnce(&mut Mail)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        // No change is left half done by a panic.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::event;
    use crate::view::EventType;

    #[test]
    fn what_waits_is_bounded_and_the_latest() {
        let updates = Updates::default();
        for round in 0..3_u64 {
            let events = (0..1_500).map(|n| event(EventType::Resynced, &format!("{round} {n}"), None));
            updates.send(Update::Events(events.collect()));
            updates.send(Update::Failed("late".to_owned()));
            updates.send(Update::State(Box::new(Scene { lost: round, ..Scene::default() })));
        }
        let mail = updates.take();
        assert_eq!((mail.events.len(), mail.state.map(|it| it.lost), mail.failed), (KEPT, Some(2), None));
        assert_eq!(mail.events.back().map(|it| it.message.as_str()), Some("2 1499"));
        updates.close();
        assert!(updates.take().closed && updates.take().closed);
    }
}
