//! PNS001: a namespace shared by two or more containers is owned by an application container.

use super::{Judgement, Node, Rule, note_unseen, stable_id, words};
use crate::observation::{Kind, Origin};
use crate::view::{Class, Finding, Namespace, Pod, Role, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS001",
    name: "non-pause-owner",
    severity: Severity::High,
    fires: "a namespace shared by two or more containers is owned by an application container",
    about: "A namespace that containers share has an owner: the container that it was made for. When that one exits, \
            the others lose what they shared. Of a PID namespace the owner is PID 1, and the kernel kills every other \
            process in it at once when PID 1 dies. A network, IPC or UTS namespace lives on, orphaned, with those that \
            joined it, while the restarted owner gets a new one: the two halves no longer reach each other. A pause \
            container, which does nothing and so hardly ever dies, is there to own them instead; Kubernetes and Podman \
            pods have one.",
    quiet: "An owner that only sleeps is a pause, whatever it is called (the finding's evidence says what it does). A \
            PID namespace that only a debug container joined (`kubectl debug --target`) is not reported; groups of \
            processes that no runtime manages are reported as info.",
    undetermined: "It cannot tell when nothing says whom the namespace was made for, or what that container does; nor of a \
                   container whose namespaces could not be read.",
    remedy: "Let a pause container own the namespaces, and let the others join it.",
    example: "docker run -d --name nginx nginx\n\
              docker run -d --name busybox --net=container:nginx busybox sleep 1d",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    note_unseen(node, RULE.id, &Kind::POD, judgement);
    for pod in node.pods {
        judgement.findings.extend(check(node.name, pod));
        judgement.undetermined.extend(shared(pod).filter(|it| it.owner.class == Class::Unknown).map(|it| {
            Undetermined { rule: RULE.id, subject: Subject::owner_of(it, pod), why: it.owner.why.clone() }
        }));
    }
}

/// The namespaces of a pod that have a living owner and somebody else in them.
fn shared(pod: &Pod) -> impl Iterator<Item = &Namespace> {
    pod.namespaces
        .iter()
        .filter(|namespace| namespace.kind.makes_pod())
        .filter(|namespace| namespace.shared_by.len() > 1 && namespace.owner.alive)
}

/// Checks one pod: a finding for each kind of namespace. Where the owner is dead, PNS002 says more.
fn check(node: &str, pod: &Pod) -> Vec<Finding> {
    let found: Vec<&Namespace> = shared(pod)
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
        id: stable_id(RULE.id, node, kind, pod, owner),
        rule: RULE.id,
        name: RULE.name,
        severity: if pod.origin == Origin::Unmanaged { Severity::Info } else { RULE.severity },
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
