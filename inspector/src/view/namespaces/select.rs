//! Which namespaces to show, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::NamespaceRows;
use crate::observation::Kind;
use crate::state::namespaces::{Above, Namespace, Position};

/// Which namespaces to show. What is empty asks for nothing; both conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSelection {
    /// Of one of these kinds.
    pub kinds: Vec<Kind>,
    /// Of this process or thread, or of its children.
    pub pid: Option<u32>,
}

/// In which order to show namespaces. Equals stay in the order of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceSort {
    /// By kind and inode, which is the contract's order.
    #[default]
    Type,
    /// By inode.
    Ns,
    /// By number of processes, most first.
    Procs,
    /// By number of threads, most first.
    Threads,
    /// By the lowest pid in them; those without a process last.
    Pid,
    /// By the number of containers in them, most first.
    Containers,
}

/// The process that was asked for is not among those that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no process {0} was seen")]
pub struct NoSuchProcess(pub u32);

impl NamespaceSelection {
    /// The positions that were asked for by process, if it was.
    ///
    /// # Errors
    /// If no task with that pid was seen.
    fn of_process(&self, rows: &NamespaceRows<'_>) -> Result<Option<BTreeSet<Position>>, NoSuchProcess> {
        self.pid.map(|pid| rows.all.of_task(pid).ok_or(NoSuchProcess(pid))).transpose()
    }

    fn is_of_kind(&self, namespace: &Namespace<'_, '_>) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&namespace.kind())
    }
}

/// Leaves the selected namespaces, in that order.
///
/// # Errors
/// If the process that was asked for was not seen.
pub fn select_namespaces(
    rows: &mut NamespaceRows<'_>,
    selection: &NamespaceSelection,
    sort: NamespaceSort,
) -> Result<(), NoSuchProcess> {
    if *selection == NamespaceSelection::default() && sort == NamespaceSort::Type {
        return Ok(());
    }
    let of_process = selection.of_process(rows)?;
    let mut shown: Vec<Position> = rows
        .iter()
        .filter(|namespace| selection.is_of_kind(namespace))
        .map(|namespace| namespace.position())
        .filter(|position| of_process.as_ref().is_none_or(|wanted| wanted.contains(position)))
        .collect();
    let all = rows.all;
    let number = |position: &Position, number: fn(&Namespace<'_, '_>) -> u64| {
        all.get(*position).map_or(0, |namespace| number(&namespace))
    };
    match sort {
        NamespaceSort::Type => {}
        NamespaceSort::Ns => shown.sort_by_cached_key(|at| number(at, |it| u64::from(it.inode()))),
        NamespaceSort::Procs => {
            shown.sort_by_cached_key(|at| Reverse(number(at, |it| u64::from(it.processes()))));
        }
        NamespaceSort::Threads => {
            shown.sort_by_cached_key(|at| Reverse(number(at, |it| u64::from(it.threads()))));
        }
        NamespaceSort::Pid => shown.sort_by_cached_key(|at| {
            number(at, |it| it.lowest().map_or(u64::MAX, |task| u64::from(task.pid)))
        }),
        NamespaceSort::Containers => {
            shown.sort_by_cached_key(|at| Reverse(number(at, |it| it.containers().count() as u64)));
        }
    }
    rows.shown = Some(shown);
    Ok(())
}

impl NamespaceRows<'_> {
    /// The positions shown, and those of everything above them.
    pub(super) fn with_ancestors(&self, above: Above) -> BTreeSet<Position> {
        let mut wanted: BTreeSet<Position> = BTreeSet::new();
        for namespace in self.iter() {
            let mut at = Some(namespace);
            // Ends where it has been: what was recorded may go in circles.
            while let Some(here) = at.filter(|here| wanted.insert(here.position())) {
                at = here.above(above).and_then(|position| self.all.get(position));
            }
        }
        wanted
    }
}
