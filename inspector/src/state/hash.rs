//! Maps by numbers that the kernel counts up: pids, and inodes of namespaces. Nobody can choose those to collide, so
//! that they need no keyed hash, which would cost more than everything else that is done with them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map by pid or namespace.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// A set of pids or namespaces.
pub(crate) type NumberSet<K> = HashSet<K, BuildHasherDefault<Spread>>;

/// Spreads numbers over all bits.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table takes its buckets from the lowest bits, which a product leaves the poorest.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;
    use crate::observation::Kind;

    #[test]
    fn namespaces_that_are_counted_up_are_spread() {
        let hasher = BuildHasherDefault::<Spread>::default();
        let namespaces =
            || Kind::ALL.into_iter().flat_map(|kind| (0_u32..1000).map(move |at| (kind, 4_026_532_000 + at)));
        let hashes: NumberSet<u64> = namespaces().map(|namespace| hasher.hash_one(namespace)).collect();
        assert_eq!(hashes.len(), 8000);
        // Neither half of the bits repeats itself much: a table chooses by the lowest and compares by the highest.
        let buckets: NumberSet<u64> = hashes.iter().map(|hash| hash % 8192).collect();
        assert!(buckets.len() > 4000, "{} of 8192 buckets", buckets.len());
        let tops: NumberSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(tops.len() > 100, "{} of 128 tags", tops.len());
    }
}
