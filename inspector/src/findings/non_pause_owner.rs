//! PNS001: a namespace shared by two or more containers is owned by an application container.

use super::{stable_id, words};
use crate::observation::{Kind, Origin};
use crate::view::{Class, Finding, Namespace, Pod, Role, Severity, Subject};

/// Checks one pod: a finding for each kind of namespace. Where the owner is dead, PNS002 says more.
pub(super) fn check(node: &str, pod: &Pod) -> Vec<Finding> {
    let found: Vec<&Namespace> = pod
        .namespaces
        .iter()
        .filter(|namespace| namespace.kind.makes_pod())
        .filter(|namespace| namespace.shared_by.len() > 1 && namespace.owner.alive)
        .filter(|namespace| namespace.owner.class == Class::Application)
        .filter(|namespace| !shared_on_purpose(pod, namespace))
        .collect();
    found
        .iter()
        .map(|namespace| {
            let same_owner = found.iter().filter(|other| other.owner.container == namespace.owner.container);
            let kinds: Vec<Kind> = same_owner.map(|other| other.kind).collect();
            finding(node, pod, namespace, &kinds)
        })
        .collect()
}

/// PID mode TARGET: a debugger joined it, and knows.
fn shared_on_purpose(pod: &Pod, namespace: &Namespace) -> bool {
    namespace.kind == Kind::Pid
        && namespace
            .shared_by
            .iter()
            .filter(|id| Some(*id) != namespace.owner.container.as_ref())
            .all(|id| pod.containers.iter().any(|it| it.id == *id && it.role == Role::Ephemeral))
}

fn finding(node: &str, pod: &Pod, namespace: &Namespace, kinds: &[Kind]) -> Finding {
    let kind = namespace.kind;
    let owner = words::owner(pod, namespace);
    let owner_name = owner.map_or_else(
        || words::name(pod, namespace.owner.container.as_deref().unwrap_or("?")),
        |owner| owner.name.clone(),
    );
    let joiners = words::others(pod, namespace);
    let joined = words::list(&joiners);
    let mut evidence = vec![
        format!("{kind} namespace {} is shared by {owner_name} and {joined}", namespace.inode),
        namespace.owner.why.clone(),
    ];
    if let Some(owner) = owner.filter(|owner| owner.init_pid != 0) {
        evidence.push(format!(
            "{owner_name} is pid {}{}",
            owner.init_pid,
            owner.started_at.as_ref().map(|at| format!(", started {at}")).unwrap_or_default()
        ));
    }
    Finding {
        id: stable_id("PNS001", node, kind, pod, owner),
        rule: "PNS001",
        name: "non-pause-owner",
        severity: if pod.origin == Origin::Unmanaged { Severity::Info } else { Severity::High },
        subject: Subject::owner_of(namespace, pod),
        message: format!("{owner_name}, an application, owns the {kind} namespace that {joined} joined"),
        evidence,
        consequence: consequence(pod, namespace, &owner_name),
        remedy: words::remedy(pod, kinds, &owner_name, &joiners),
    }
}

/// What happens to the joiners when the owner exits. Those that share its PID namespace are killed with it, whatever
/// else they share; the rest live on in a namespace that the restarted owner no longer has.
fn consequence(pod: &Pod, namespace: &Namespace, owner: &str) -> String {
    let kind = namespace.kind;
    let owner_id = namespace.owner.container.as_ref();
    let dies = |id: &String| {
        pod.namespaces.iter().any(|it| {
            it.kind == Kind::Pid && it.owner.container.as_ref() == owner_id && it.shared_by.contains(id)
        })
    };
    let joiners = namespace.shared_by.iter().filter(|id| Some(*id) != owner_id);
    let (killed, left): (Vec<&String>, Vec<&String>) = joiners.partition(|id| dies(id));
    let names = |ids: &[&String]| ids.iter().map(|id| words::name(pod, id)).collect::<Vec<_>>();
    let (killed, left) = (names(&killed), names(&left));
    if kind == Kind::Pid {
        let victims = words::list(&killed);
        return format!(
            "when {owner} exits, the kernel kills {victims} at once (SIGKILL, exit code 137): \
             {owner} is PID 1 of the PID namespace, which dies with its PID 1"
        );
    }
    let pinned = !namespace.holders.is_empty();
    if left.is_empty() {
        let victims = words::list(&killed);
        let do_not = if killed.len() == 1 { "does not" } else { "do not" };
        return format!(
            "whoever outlives {owner} stays in the old {kind} namespace, orphaned, and a restarted {owner} gets a new \
             one: a split brain ({victims} {do_not} outlive it: they share its PID namespace, too)"
        );
    }
    orphans(kind, owner, &left, pinned)
}

fn orphans(kind: Kind, owner: &str, left: &[String], pinned: bool) -> String {
    let one = left.len() == 1;
    format!(
        "when {owner} exits, {left} {live} on in the old {kind} namespace, orphaned ({they} {pin}{keep} it alive); \
         a restarted {owner} gets a new one and no longer shares {what} with {them}: a split brain, until {they} {are} \
         restarted, too",
        live = words::live(left),
        left = words::list(left),
        they = if one { "it" } else { "they" },
        them = if one { "it" } else { "them" },
        are = if one { "is" } else { "are" },
        pin = if pinned { "and a pin " } else { "" },
        keep = if one && !pinned { "keeps" } else { "keep" },
        what = words::what_is_shared(kind),
    )
}
