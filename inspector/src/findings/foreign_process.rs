//! PNS006: a process is in a pod's namespaces and in none of its containers.

use super::{Judgement, Node, Rule, hash, words};
use crate::state::facts::Foreign;
use crate::view::{Finding, Pod, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS006",
    name: "foreign-process",
    severity: Severity::High,
    fires: "a process is in a pod's namespaces but not in any of its containers' cgroups (nsenter, setns)",
    about: "Somebody entered the pod without its runtime: `nsenter` by an administrator who forgot it, a debugging \
            tool, or an attacker on the node. The pod's limits do not hold for that process, the runtime does not know \
            it, and it is not stopped with the pod: it keeps the namespaces alive after it.",
    quiet: "A runtime's own `exec` runs in the container's cgroup and is none. Runtimes' helpers, zombies, what is \
            younger than a second, and inspector itself are left out. Of a family only the topmost is reported.",
    undetermined: "It cannot tell of processes whose cgroup or namespaces could not be read.",
    remedy: "Find out who started it; use `docker exec`, `kubectl exec` or `kubectl debug` instead.",
    example: "nsenter -t \"$(docker inspect -f '{{.State.Pid}}' nginx)\" -n sleep 1d",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for foreign in &node.facts.foreign {
        if let Some(pod) = node.pod(&foreign.pod) {
            judgement.findings.push(finding(node, pod, foreign));
        }
    }
    for process in &node.facts.unplaced {
        judgement.undetermined.push(Undetermined {
            rule: RULE.id,
            subject: Subject { pod: Some(process.pod.clone()), pid: Some(process.pid), ..Subject::default() },
            why: format!("whose process {} ({}) is cannot be told by a cgroup", process.pid, process.comm),
        });
    }
    if node.facts.unreadable > 0 {
        judgement.undetermined.push(Undetermined {
            rule: RULE.id,
            subject: Subject::default(),
            why: match node.facts.unreadable {
                1 => "the namespaces of one process could not be read".to_owned(),
                number => format!("the namespaces of {number} processes could not be read"),
            },
        });
    }
}

fn finding(node: &Node<'_>, pod: &Pod, foreign: &Foreign) -> Finding {
    let (pid, comm) = (foreign.pid, &foreign.comm);
    let kinds: Vec<String> = foreign.namespaces.iter().map(|(kind, _)| kind.to_string()).collect();
    let inodes: Vec<String> =
        foreign.namespaces.iter().map(|(kind, inode)| format!("{kind} {inode}")).collect();
    let kinds = words::list(&kinds);
    let place = words::pod(pod);
    let what = match foreign.thread_of {
        Some(process) => format!("thread {pid} ({comm}) of process {process}"),
        None => format!("process {pid} ({comm})"),
    };
    let from = foreign
        .container
        .as_deref()
        .and_then(|id| node.container(id))
        .map(|(of, container)| format!("{} of pod {}", container.name, words::pod(of)));
    let mut evidence = vec![
        format!("it is in {}, which are those of pod {place}", inodes.join(", ")),
        match &foreign.cgroup {
            Some(cgroup) => format!("its cgroup is {cgroup}, which is of none of the pod's containers"),
            None => "it is of another container".to_owned(),
        },
        format!(
            "it runs as uid {}{}",
            foreign.uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string()),
            foreign.started_at.as_deref().map(|at| format!(", since {at}")).unwrap_or_default()
        ),
    ];
    if foreign.descendants > 0 {
        evidence.push(format!("{} of its descendants are in there with it", foreign.descendants));
    }
    let container = from.as_deref().unwrap_or_default();
    Finding {
        id: hash(&[RULE.id, node.name, &place, comm, container, &kinds]),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: Subject { pod: Some(pod.id.clone()), pid: Some(pid), ..Subject::default() },
        message: match &from {
            Some(from) => format!("{what} of {from} is in the {kinds} of pod {place}"),
            None => format!("{what} is in the {kinds} of pod {place}, and of none of its containers"),
        },
        evidence,
        consequence: format!(
            "it sees and reaches what the pod's containers do; their limits do not hold for it, and it outlives them, keeping {kinds} alive"
        ),
        remedy: format!(
            "find out who started it (its parents: ps -o pid,ppid,user,lstart,args -p {pid}), end it if nobody needs it, and enter \
             pods by their runtime (docker exec, podman exec, kubectl exec or debug)"
        ),
    }
}
