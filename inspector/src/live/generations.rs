//! Which use of an inode a namespace is: the kernel hands out the dead one's inode to the very next namespace.

use std::collections::HashMap;

use super::namespaces::{Census, Seen};
use crate::observation::Kind;

/// How many inodes are remembered before those that are gone are forgotten.
const REMEMBERED: usize = 1 << 16;

#[derive(Clone, Debug)]
struct Use {
    generation: u64,
    id: Option<u64>,
    present: bool,
}

/// The uses of every inode, as far as this stream saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Generations {
    uses: HashMap<(Kind, u32), Use>,
    /// What is forgotten counts from above this again, so that no two namespaces get one identity.
    floor: u64,
}

impl Generations {
    /// Takes note of the namespaces of a moment.
    pub(super) fn see(&mut self, census: &Census<'_>) {
        for (key, seen) in &census.namespaces {
            let floor = self.floor;
            let of_inode =
                self.uses.entry(*key).or_insert(Use { generation: floor, id: None, present: false });
            if !of_inode.present || is_another(of_inode.id, seen) {
                of_inode.generation += 1;
            }
            of_inode.present = true;
            of_inode.id = seen.id;
        }
        for (key, of_inode) in &mut self.uses {
            of_inode.present = census.namespaces.contains_key(key);
        }
        if self.uses.len() > REMEMBERED {
            let gone = self.uses.values().filter(|it| !it.present).map(|it| it.generation);
            self.floor = gone.max().unwrap_or_default().max(self.floor);
            self.uses.retain(|_, it| it.present);
        }
    }

    /// Which use of its inode a namespace is; 1 where this stream has not seen it.
    pub(super) fn get(&self, kind: Kind, inode: u32) -> u64 {
        self.uses.get(&(kind, inode)).map_or(1, |it| it.generation)
    }
}

/// Whether the kernel's own id says that an inode is another namespace's now.
fn is_another(id: Option<u64>, seen: &Seen<'_>) -> bool {
    id.zip(seen.id).is_some_and(|(before, now)| before != now)
}
