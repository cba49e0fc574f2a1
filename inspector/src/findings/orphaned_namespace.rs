//! PNS007: nobody is in a namespace, no runtime claims it, and something keeps it.

use super::{Judgement, Node, Rule, hash, words};
use crate::state::facts::Orphan;
use crate::view::{Finding, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS007",
    name: "orphaned-namespace",
    severity: Severity::Low,
    fires: "only a bind mount, an fd or nothing visible keeps a namespace, and no runtime claims it",
    about: "A namespace lives as long as something refers to it. One without a process is often a leak: a network \
            plugin that failed to clean up, an `ip netns add` that was forgotten, a descriptor that a daemon never \
            closed. Leaked network namespaces keep interfaces, addresses and memory.",
    quiet: "What a sandbox pins by design, Docker's own network namespaces, and what another living namespace is below \
            are left out.",
    undetermined: "It cannot tell while the namespaces of processes could not be read, or a runtime that is there does \
                   not say what is its own.",
    remedy: "Unmount it, or restart whoever holds the descriptor.",
    example: "ip netns add forgotten",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for orphan in &node.facts.orphans {
        if node.facts.unreadable > 0 {
            judgement.undetermined.push(Undetermined {
                rule: RULE.id,
                subject: subject(orphan),
                why: format!(
                    "whether one of the {} processes is in it whose namespaces could not be read is not known",
                    node.facts.unreadable
                ),
            });
        } else if let Some(silent) = node.facts.silent.first() {
            judgement.undetermined.push(Undetermined {
                rule: RULE.id,
                subject: subject(orphan),
                why: format!("whether a runtime claims it is not known: {silent}"),
            });
        } else {
            judgement.findings.push(finding(node.name, orphan));
        }
    }
}

fn subject(orphan: &Orphan) -> Subject {
    Subject { namespace_kind: Some(orphan.kind), inode: Some(orphan.inode), ..Subject::default() }
}

fn finding(node: &str, orphan: &Orphan) -> Finding {
    let Orphan { kind, inode, held_by, place } = orphan;
    let keeps = if held_by.is_empty() { "nothing visible".to_owned() } else { words::list(held_by) };
    let remedy = match place {
        Some(path) => format!("if nobody needs it: umount {path} && rm {path}"),
        None if held_by.is_empty() => {
            "something that cannot be seen from here refers to it: inspector namespaces --holders all looks into every mount \
             namespace"
                .to_owned()
        }
        None => "if nobody needs it, restart who has it open".to_owned(),
    };
    Finding {
        id: hash(&[RULE.id, node, kind.name(), place.as_deref().unwrap_or_default()]),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: subject(orphan),
        message: format!("{kind} namespace {inode} has no process, and {keeps} keeps it"),
        evidence: vec![
            format!("no process or thread is in {kind} namespace {inode}"),
            format!("{keeps} keeps it; no runtime claims it"),
        ],
        consequence: match kind {
            crate::observation::Kind::Net => {
                "its interfaces, addresses and routes stay, and so does their memory".to_owned()
            }
            crate::observation::Kind::Mnt => "its mounts stay, and what is mounted stays busy".to_owned(),
            _ => "its memory is not given back".to_owned(),
        },
        remedy,
    }
}
