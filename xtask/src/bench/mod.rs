//! `cargo xtask bench`: what the program costs, beside a peer in the same run.
//!
//! Ratios count, not seconds: the peer and the program take turns on the same machine over the same processes, and
//! what both say is compared before either is timed.

mod measure;
mod population;
mod rows;
mod snapshot;

pub use measure::measure;
pub use population::{Size, run as population};
pub use rows::check as check_rows;
pub use snapshot::snapshot;
