//! How many events there were, and how many of them did not arrive.

use std::collections::BTreeMap;

use aya::maps::{MapData, PerCpuArray};
use inspector_common::{Event, counter};

use super::super::error::{BpfError, classify};
use crate::observation::EventKind;

/// Of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Due, whether or not they arrived.
    pub emitted: u64,
    /// Without room in the ring buffer.
    pub lost: u64,
}

/// What was counted since the programs were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Of each kind.
    pub by_kind: BTreeMap<EventKind, Tally>,
    /// Lost ones of all kinds, by processor.
    pub lost_by_cpu: Vec<u64>,
    /// Processes whose death will not be told: there was no room to note them, in the kernel or from here.
    pub untracked: u64,
    /// Times that the kernel did not run a program because it was running already, where it says so (from Linux
    /// 5.12): each may be an event.
    pub missed: u64,
    /// Records that arrived and made no sense.
    pub undecodable: u64,
}

impl EventCounts {
    /// Events of all kinds that were due.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.by_kind.values().map(|tally| tally.emitted).sum()
    }

    /// Events of all kinds that found no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.by_kind.values().map(|tally| tally.lost).sum()
    }

    /// Whether what arrived is all that there was to tell.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost() == 0 && self.untracked == 0 && self.missed == 0 && self.undecodable == 0
    }

    /// What the kernel side counted.
    pub(super) fn read(counters: &PerCpuArray<MapData, u64>) -> Result<Self, BpfError> {
        let element = |index| counters.get(&index, 0).map_err(|error| classify(&error));
        let mut counts = Self::default();
        for (kind, event) in EventKind::ALL.into_iter().zip(Event::ALL) {
            let emitted = element(counter::emitted(event))?.iter().sum();
            let lost = element(counter::lost(event))?;
            counts.lost_by_cpu.resize(lost.len(), 0);
            for (sum, of_kind) in counts.lost_by_cpu.iter_mut().zip(lost.iter()) {
                *sum += of_kind;
            }
            counts.by_kind.insert(kind, Tally { emitted, lost: lost.iter().sum() });
        }
        counts.untracked = element(counter::UNTRACKED)?.iter().sum();
        Ok(counts)
    }
}
