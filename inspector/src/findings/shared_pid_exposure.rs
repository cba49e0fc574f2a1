//! PNS009: containers of one PID namespace can read one another's environment and files.

use super::{Judgement, Node, Rule};
use crate::view::Severity;

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
    undetermined: "It cannot tell where the credentials of the processes could not be read.",
    remedy: "Run the containers as different uids without CAP_SYS_PTRACE, or do not share the PID namespace.",
    example: "docker run -d --name nginx -e SECRET=x nginx\n\
              docker run -d --name busybox --pid=container:nginx busybox sleep 1d",
    judge,
};

fn judge(_node: Node<'_>, _judgement: &mut Judgement) {}
