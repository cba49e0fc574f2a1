//! PNS009: containers of one PID namespace can read one another's environment and files.

use super::{Judgement, Node, Rule, note_unseen, stable_id, words};
use crate::observation::{Kind, Origin};
use crate::state::facts::{How, Reading};
use crate::view::{Container, Finding, Pod, Role, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS009",
    name: "shared-pid-exposure",
    severity: Severity::Medium,
    fires: "containers in one PID namespace where one can read another's environment and files by /proc/PID/root (same \
            uid, or CAP_SYS_PTRACE)",
    about: "Who shares a PID namespace sees the others in /proc. The kernel lets a process read another's environment, \
            memory maps and, by /proc/PID/root, all its files if it has the same uid and gid, or CAP_SYS_PTRACE: \
            secrets that were given to one container are open to the other.",
    quiet: "An infra container is a reader only: there is nothing to read in it. Where only a debug container joined \
            (TARGET), it is info; in the node's own PID namespace PNS005 says it.",
    undetermined: "It cannot tell where the credentials of the processes, or a container's PID namespace, could not be \
                   read.",
    remedy: "Run the containers as different uids without CAP_SYS_PTRACE, or do not share the PID namespace.",
    example: "docker run -d --name nginx -e SECRET=x nginx\n\
              docker run -d --name busybox --pid=container:nginx busybox sleep 1d",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    note_unseen(node, RULE.id, &[Kind::Pid], judgement);
    for exposure in &node.facts.exposures {
        let readings: Vec<(&Reading, &Container, &Container)> = exposure
            .readings
            .iter()
            .filter_map(|it| Some((it, node.container(&it.reader)?.1, node.container(&it.target)?.1)))
            // In infra there is nothing to read.
            .filter(|(_, _, target)| target.role != Role::Infra)
            .collect();
        let Some(pod) = node.pod(&exposure.pod) else { continue };
        let subject = Subject {
            pod: Some(pod.id.clone()),
            namespace_kind: Some(Kind::Pid),
            inode: Some(exposure.inode),
            ..Subject::default()
        };
        if !readings.is_empty() {
            judgement.findings.push(finding(node.name, pod, &readings, subject));
        } else if exposure.unread > 0 {
            judgement.undetermined.push(Undetermined {
                rule: RULE.id,
                subject,
                why: format!("the credentials of {} of its processes could not be read", exposure.unread),
            });
        }
    }
}

/// The most pairs that are told.
const TOLD: usize = 8;

fn finding(
    node: &str,
    pod: &Pod,
    readings: &[(&Reading, &Container, &Container)],
    subject: Subject,
) -> Finding {
    let mut by_reader: Vec<(&str, Vec<String>)> = Vec::new();
    for (_, reader, target) in readings {
        match by_reader.iter_mut().find(|(name, _)| *name == reader.name) {
            Some((_, targets)) => targets.push(target.name.clone()),
            None => by_reader.push((&reader.name, vec![target.name.clone()])),
        }
    }
    let who: Vec<String> = by_reader
        .iter()
        .map(|(reader, targets)| format!("{reader} can read {}", words::list(targets)))
        .collect();
    let mut evidence: Vec<String> = readings
        .iter()
        .take(TOLD)
        .map(|(reading, reader, target)| {
            let (from, to) = reading.pids;
            let why = match reading.how {
                How::Capability => "has CAP_SYS_PTRACE there".to_owned(),
                How::SameUid(uid) => format!("has the same uid, {uid}, the same gid, and no capability less"),
            };
            format!("process {from} of {} may read process {to} of {}: it {why}", reader.name, target.name)
        })
        .collect();
    if readings.len() > TOLD {
        evidence.push(format!("and {} more such pairs", readings.len() - TOLD));
    }
    let debugger = |container: &Container| container.role == Role::Ephemeral;
    let on_purpose = readings.iter().all(|(_, reader, target)| debugger(reader) || debugger(target));
    Finding {
        id: stable_id(RULE.id, node, Kind::Pid, pod, None),
        rule: RULE.id,
        name: RULE.name,
        severity: if on_purpose { Severity::Info } else { RULE.severity },
        subject,
        message: format!("in one PID namespace, {}", who.join("; ")),
        evidence,
        consequence: "secrets in the environment and all files of the one are open to the other by /proc/PID/environ and \
                      /proc/PID/root, unless a security module forbids it"
            .to_owned(),
        remedy: match pod.origin {
            Origin::Kubernetes => {
                "give the containers different runAsUser and drop SYS_PTRACE, or leave shareProcessNamespace out".to_owned()
            }
            _ => "run the containers as different uids and without CAP_SYS_PTRACE, or do not share the PID namespace"
                .to_owned(),
        },
    }
}
