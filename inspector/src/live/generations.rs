//! Which use of an inode a namespace is: the kernel hands out the dead one's inode to the very next namespace.

use std::collections::HashMap;
use std::num::NonZeroU64;

use super::namespaces::Census;
use crate::observation::Kind;

/// How many inodes are remembered before those that are gone are forgotten.
const REMEMBERED: usize = 1 << 16;

/// When a look took place, in nanoseconds since boot: from before it read the tasks until it was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub since_ns: u64,
    pub until_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    generation: u64,
    id: Option<NonZeroU64>,
    present: bool,
    begin: Begin,
}

/// How its beginning was noticed.
#[derive(Clone, Copy, Debug)]
enum Begin {
    /// The kernel told nothing of it yet, and no look found it.
    Untold,
    /// A look found it, which was done then.
    Found(u64),
    /// The kernel told when it was made.
    Told(u64),
}

const _: () = assert!(size_of::<Use>() == 40);

/// The uses of every inode, as far as this stream saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Generations {
    uses: HashMap<(Kind, u32), Use>,
    /// What is forgotten counts from above this again, so that no two namespaces get one identity.
    floor: u64,
}

/// What it means that a namespace was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creation {
    /// A look had found it already.
    Known,
    /// It is new. Another that had its inode before is gone: that of this generation.
    New { instead_of: Option<u64> },
}

impl Generations {
    /// Takes note of the namespaces of a moment, and says of each which use of its inode it is. `span` is that of the look
    /// behind it, `None` where it comes of what the kernel told.
    pub(super) fn see(&mut self, census: &mut Census, span: Option<Span>) {
        for (key, seen) in &mut census.namespaces {
            let new = Use { generation: self.floor, id: None, present: false, begin: Begin::Untold };
            let of_inode = self.uses.entry(*key).or_insert(new);
            // A look that began before the namespace was made may have seen the one before it.
            let is_of_this = match of_inode.begin {
                Begin::Told(at_ns) => span.is_some_and(|span| at_ns < span.since_ns),
                Begin::Found(_) | Begin::Untold => true,
            };
            let id = seen.id.filter(|_| is_of_this);
            let is_another = of_inode.id.zip(id).is_some_and(|(before, now)| before != now);
            if !of_inode.present || is_another {
                of_inode.generation += 1;
                of_inode.begin = span.map_or(Begin::Untold, |span| Begin::Found(span.until_ns));
                of_inode.id = None;
            }
            of_inode.present = true;
            of_inode.id = id.or(of_inode.id);
            seen.generation = of_inode.generation;
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

    /// Takes note that the kernel told of a new namespace.
    pub(super) fn create(&mut self, key: (Kind, u32), at_ns: u64) -> Creation {
        let told = Begin::Told(at_ns);
        let new = Use { generation: self.floor, id: None, present: false, begin: told };
        let of_inode = self.uses.entry(key).or_insert(new);
        if of_inode.present
            && let Begin::Found(until_ns) = of_inode.begin
            && at_ns <= until_ns
        {
            of_inode.begin = told;
            return Creation::Known;
        }
        let instead_of = of_inode.present.then_some(of_inode.generation);
        of_inode.generation += 1;
        of_inode.present = true;
        (of_inode.begin, of_inode.id) = (told, None);
        Creation::New { instead_of }
    }

    /// Which use of its inode a namespace is; 1 where this stream has not seen it.
    pub(super) fn get(&self, kind: Kind, inode: u32) -> u64 {
        self.uses.get(&(kind, inode)).map_or(1, |it| it.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::namespaces::Seen;

    const KEY: (Kind, u32) = (Kind::Uts, 7);

    fn census(id: Option<u64>) -> Census {
        let id = id.and_then(NonZeroU64::new);
        Census { namespaces: [(KEY, Seen { id, ..Seen::default() })].into() }
    }

    const fn span(since_ns: u64, until_ns: u64) -> Option<Span> {
        Some(Span { since_ns, until_ns })
    }

    #[test]
    fn what_a_look_found_and_the_kernel_then_told_is_one_namespace() {
        let mut uses = Generations::default();
        uses.see(&mut census(Some(5)), span(100, 200));
        assert_eq!(uses.create(KEY, 150), Creation::Known);
        assert_eq!(uses.get(Kind::Uts, 7), 1);
        // A second one within one look is another.
        assert_eq!(uses.create(KEY, 160), Creation::New { instead_of: Some(1) });
        // The look's id may be the earlier one's: it proves nothing.
        uses.see(&mut census(Some(6)), span(155, 300));
        uses.see(&mut census(Some(6)), span(400, 500));
        assert_eq!(uses.get(Kind::Uts, 7), 2);
    }

    #[test]
    fn what_the_kernel_told_and_a_look_then_found_is_one_namespace() {
        let mut uses = Generations::default();
        uses.see(&mut census(Some(5)), span(100, 200));
        assert_eq!(uses.create(KEY, 250), Creation::New { instead_of: Some(1) });
        uses.see(&mut census(Some(6)), span(300, 400));
        assert_eq!(uses.get(Kind::Uts, 7), 2);
        // From here on the kernel's id tells.
        uses.see(&mut census(Some(8)), span(500, 600));
        assert_eq!(uses.get(Kind::Uts, 7), 3);
    }
}
