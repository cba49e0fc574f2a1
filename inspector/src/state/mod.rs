//! TODO
pub mod behaviour;
