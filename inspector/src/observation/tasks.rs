//! The tasks of a moment.

use std::sync::Arc;
use std::{iter, slice};

use serde::{Deserialize, Serialize};

use super::Task;

/// Tasks, by pid. Each is shared: two moments have nearly all of them in common, and nodes have ten thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Arc<Task>>", into = "Vec<Arc<Task>>")]
pub struct Tasks(Vec<Arc<Task>>);

/// Goes through tasks in their order.
pub type Iter<'a> = iter::Map<slice::Iter<'a, Arc<Task>>, fn(&'a Arc<Task>) -> &'a Task>;

impl Tasks {
    /// None, with room for so many.
    #[must_use]
    pub fn with_capacity(tasks: usize) -> Self {
        Self(Vec::with_capacity(tasks))
    }

    /// In their order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(Arc::as_ref)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row of a task. They must be in order.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<&Task> {
        let at = self.0.binary_search_by_key(&pid, |task| task.pid).ok()?;
        self.0.get(at).map(|task| &**task)
    }

    /// Adds one where it belongs, instead of another with its number.
    pub fn push(&mut self, task: impl Into<Arc<Task>>) {
        let task = task.into();
        if self.0.last().is_none_or(|last| last.pid < task.pid) {
            self.0.push(task);
            return;
        }
        match self.0.binary_search_by_key(&task.pid, |it| it.pid) {
            Ok(at) => self.0[at] = task,
            Err(at) => self.0.insert(at, task),
        }
    }

    /// Keeps those of which this holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&Task) -> bool) {
        self.0.retain(|task| keep(task));
    }

    /// To be changed; what others have of it stays as it was.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Task> {
        self.0.iter_mut().map(Arc::make_mut)
    }

    /// Puts them in order again that were changed by [`Self::iter_mut`] or [`Self::shared_mut`], and keeps of two with one
    /// number the later one.
    pub fn put_in_order(&mut self) {
        if !self.0.is_sorted_by_key(|task| task.pid) {
            self.0.sort_by_key(|task| task.pid);
        }
        self.0.dedup_by(|later, earlier| {
            let same = later.pid == earlier.pid;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }

    /// Themselves.
    #[must_use]
    pub fn shared(&self) -> &[Arc<Task>] {
        &self.0
    }

    /// Themselves.
    pub const fn shared_mut(&mut self) -> &mut Vec<Arc<Task>> {
        &mut self.0
    }
}

impl<'a> IntoIterator for &'a Tasks {
    type Item = &'a Task;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Into<Arc<Task>>> FromIterator<T> for Tasks {
    fn from_iter<I: IntoIterator<Item = T>>(tasks: I) -> Self {
        let mut tasks = Self(tasks.into_iter().map(Into::into).collect());
        tasks.put_in_order();
        tasks
    }
}

impl<T: Into<Arc<Task>>> Extend<T> for Tasks {
    fn extend<I: IntoIterator<Item = T>>(&mut self, tasks: I) {
        self.0.extend(tasks.into_iter().map(Into::into));
        self.put_in_order();
    }
}

impl From<Tasks> for Vec<Arc<Task>> {
    fn from(tasks: Tasks) -> Self {
        tasks.0
    }
}

impl<T: Into<Arc<Task>>> From<Vec<T>> for Tasks {
    fn from(tasks: Vec<T>) -> Self {
        tasks.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32, comm: &str) -> Task {
        Task { pid, comm: comm.into(), ..Task::default() }
    }

    #[test]
    fn one_of_each_number_in_order() {
        let tasks = Tasks::from(vec![task(3, "a"), task(1, "b"), task(3, "c")]);
        assert_eq!(tasks.iter().map(|task| &*task.comm).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((tasks.get(3).map(|task| &*task.comm), tasks.get(2)), (Some("c"), None));
        let mut pushed = Tasks::default();
        [task(3, "a"), task(1, "b"), task(3, "c")].into_iter().for_each(|task| pushed.push(task));
        assert_eq!(pushed, tasks);
    }

    #[test]
    fn a_change_is_of_one_moment_only() {
        let before = Tasks::from(vec![task(1, "a"), task(2, "b")]);
        let mut after = before.clone();
        after.iter_mut().take(1).for_each(|task| task.comm = "c".into());
        assert_eq!(before.get(1).map(|task| &*task.comm), Some("a"));
        assert!(Arc::ptr_eq(&before.shared()[1], &after.shared()[1]));
        assert_ne!(before, after);
    }
}
