//! The rules, and what is told of each: by `inspector rules`, in docs/rules.md, and in reports.

use super::{
    Judgement, Node, cross_pod_sharing, declared_differs, foreign_process, host_namespace, non_pause_owner,
    orphaned_namespace, owner_gone, sandbox_missing, shared_pid_exposure, shared_volume, split_brain,
    unreaped_zombies,
};
use crate::view::Severity;

/// A rule, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `PNS001` …
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How bad it is, where nothing says otherwise.
    pub severity: Severity,
    /// When it fires, in one sentence.
    pub fires: &'static str,
    /// What is behind it: why it matters, and how it comes about.
    pub about: &'static str,
    /// Where it is quiet or mild on purpose.
    pub quiet: &'static str,
    /// When it cannot tell.
    pub undetermined: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Commands that make it fire.
    pub example: &'static str,
    pub(super) judge: fn(&Node<'_>, &mut Judgement),
}

impl Rule {
    pub(super) fn check(&self, node: &Node<'_>, judgement: &mut Judgement) {
        (self.judge)(node, judgement);
    }
}

/// Every rule, by id.
pub const RULES: [Rule; 12] = [
    non_pause_owner::RULE,
    owner_gone::RULE,
    split_brain::RULE,
    cross_pod_sharing::RULE,
    host_namespace::RULE,
    foreign_process::RULE,
    orphaned_namespace::RULE,
    declared_differs::RULE,
    shared_pid_exposure::RULE,
    shared_volume::RULE,
    unreaped_zombies::RULE,
    sandbox_missing::RULE,
];

/// A rule by its id or name, whatever the case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id.eq_ignore_ascii_case(name) || rule.name.eq_ignore_ascii_case(name))
}
