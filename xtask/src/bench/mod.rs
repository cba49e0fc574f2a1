//! `cargo xtask bench`: what the program costs, beside a peer in the same run.
//!
//! Ratios count, not seconds: the peer and the program take turns on the same machine over the same processes, and
//! what both say is compared before either is timed.

use std::fs;

use anyhow::{Context as _, Result};

use crate::sh;

mod events;
mod judgement;
mod measure;
mod population;
mod rows;
mod snapshot;

pub use events::{Deed, Limit, Part, events, members as event_members, workload as event_workload};
pub use judgement::judgement;
pub use measure::measure;
pub use population::{Size, run as population};
pub use rows::check as check_rows;
pub use snapshot::snapshot;

/// Replaces what stands between a bench's marks in `docs/performance.md`.
fn publish(bench: &str, table: &str) -> Result<()> {
    let [begin, end] = [format!("<!-- bench {bench} -->"), format!("<!-- /bench {bench} -->")];
    let path = sh::workspace()?.join("docs/performance.md");
    let text = fs::read_to_string(&path)?;
    let missing = || format!("{} has no marks {begin} and {end}", path.display());
    let (head, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, tail) = rest.split_once(&end).with_context(missing)?;
    fs::write(&path, format!("{head}{begin}\n{table}{end}{tail}"))?;
    Ok(())
}
