//! Topologies by chance, which a seed gives again.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that a seed gives (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// By `INSPECTOR_TEST_SEED`, or by the time; says by which.
    pub fn new(what: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = given("INSPECTOR_TEST_SEED").unwrap_or(u64::try_from(now % 1_000_000_007).unwrap());
        eprintln!("{what}: INSPECTOR_TEST_SEED={seed} makes the same ones again");
        Self(seed)
    }

    /// One below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

/// How many topologies: `INSPECTOR_TEST_TOPOLOGIES`, or the usual number.
pub fn topologies(usual: u64) -> u64 {
    given("INSPECTOR_TEST_TOPOLOGIES").unwrap_or(usual)
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}
