//! Namespaces below one another.

use std::collections::{BTreeMap, BTreeSet};

use super::NamespaceRows;
use crate::state::namespaces::{Above, Position};

/// A namespace in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Which.
    pub position: Position,
    /// For each level above it, whether more follows there; the last is its own. Empty for what is below nothing.
    pub more: Vec<bool>,
    /// Whether it was asked for, or only stands above what was.
    pub asked: bool,
}

/// The deepest that the kernel nests PID and user namespaces (32), and the kinds below a user namespace; what a
/// recording says beyond that is shown at the top.
const DEEPEST: usize = 40;

/// The namespaces shown and all above them, each after what it is below.
#[must_use]
pub fn tree(rows: &NamespaceRows<'_>, above: Above) -> Vec<Branch> {
    let asked: BTreeSet<Position> = rows.iter().map(|namespace| namespace.position()).collect();
    let wanted = rows.with_ancestors(above);
    let mut below: BTreeMap<Position, Vec<Position>> = BTreeMap::new();
    let mut roots = Vec::new();
    for position in &wanted {
        let parent = rows.all.get(*position).and_then(|namespace| namespace.above(above));
        match parent.filter(|parent| wanted.contains(parent)) {
            Some(parent) => below.entry(parent).or_default().push(*position),
            None => roots.push(*position),
        }
    }
    // First what has something below it.
    roots.sort_by_key(|root| !below.contains_key(root));
    let mut walk = Walk { below, asked: &asked, left: wanted.clone(), branches: Vec::new() };
    for root in roots {
        walk.add(root, &[]);
    }
    // What goes in circles has no root.
    while let Some(first) = walk.left.first().copied() {
        walk.add(first, &[]);
    }
    walk.branches
}

struct Walk<'r> {
    below: BTreeMap<Position, Vec<Position>>,
    asked: &'r BTreeSet<Position>,
    left: BTreeSet<Position>,
    branches: Vec<Branch>,
}

impl Walk<'_> {
    fn add(&mut self, position: Position, more: &[bool]) {
        if more.len() > DEEPEST || !self.left.remove(&position) {
            return;
        }
        self.branches.push(Branch { position, more: more.to_vec(), asked: self.asked.contains(&position) });
        let below = self.below.remove(&position).unwrap_or_default();
        let last = below.len().saturating_sub(1);
        for (index, position) in below.into_iter().enumerate() {
            self.add(position, &[more, &[index < last]].concat());
        }
    }
}
