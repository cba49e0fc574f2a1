//! A pod namespace inspector: which containers of this node share which namespaces, who owns each, and what
//! dies if the owner dies.
//!
//! `source` (the only module that touches the machine) fills an [`observation::Observation`]; `state`,
//! `findings` and `view` are pure functions of it; `render` prints. See `docs/architecture.md`.

pub mod audit;
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod findings;
pub mod live;
pub mod manifests;
pub mod observation;
pub mod recording;
pub mod render;
pub mod source;
pub mod state;
pub mod tui;
pub mod view;
