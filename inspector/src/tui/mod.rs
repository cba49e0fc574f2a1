//! `inspector watch --tui`: a full-screen view of the pods and of what happens to them.
//!
//! [`App`] is all that is shown and all that a key does to it: pure, it reads no clock and no terminal. `screen` takes the
//! terminal and gives it back, `run` moves keys and [`Update`]s into the one and pictures out to the other.

mod draw;
mod keys;
mod mailbox;
mod run;
mod screen;
mod state;
mod story;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::view::{Event, Finding, Pod};

pub use keys::Action;
pub use mailbox::Updates;
pub use run::Tui;
pub use screen::{Missing, missing};
pub use state::App;

/// What is shown of one look at a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The node's name.
    pub node: String,
    /// How changes are noticed, in a word or two.
    pub heard: String,
    /// The pods, by name.
    pub pods: Vec<Arc<Pod>>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// How many events of the kernel did not arrive since the beginning.
    pub lost: u64,
    /// How many gaps could change a verdict.
    pub gaps: usize,
}

/// News for the screen.
#[derive(Clone, Debug)]
pub enum Update {
    /// The node was looked at: this is how it is now.
    State(Box<Scene>),
    /// This happened.
    Events(Vec<Event>),
    /// It could not be looked at; the next [`Update::State`] takes that back.
    Failed(String),
    /// A line of the log.
    Logged(String),
}
