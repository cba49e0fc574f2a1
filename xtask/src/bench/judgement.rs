//! `cargo xtask bench judgement`: what the rules and a picture cost, in memory (inspector/benches/judgement.rs).

use anyhow::Result;

use super::publish;
use crate::cargo::cargo;
use crate::sh;

/// Measures, prints, and writes `docs/performance.md`'s tables where asked to.
pub fn judgement(write: bool) -> Result<()> {
    let tables = sh::output(cargo("bench")?.args(["--package", "inspector", "--bench", "judgement"]))?;
    print!("{tables}");
    if write { publish("judgement", &tables) } else { Ok(()) }
}
