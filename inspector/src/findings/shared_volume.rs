//! PNS010: containers of different pods mount one folder, and one of them may write to it.

use std::collections::BTreeMap;

use super::{Judgement, Node, Rule, hash, words};
use crate::observation::Origin;
use crate::view::{Container, Finding, Identity, Pod, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS010",
    name: "shared-volume",
    severity: Severity::Low,
    fires: "a writable volume is mounted by containers of different pods",
    about: "What one pod writes there the other reads, executes or trusts: a way from pod to pod that no network policy \
            sees. It may be meant (a log collector, a plugin that installs itself on the node); the list says who \
            depends on whom.",
    quiet: "Folders that nobody may write to, and those that only containers of one pod mount.",
    undetermined: "It cannot tell of containers of which only a cgroup tells: what they mount is not known.",
    remedy: "Mount it read-only where it is only read, and give each pod a volume of its own where it is not shared on \
             purpose.",
    example: "docker run -d --name writer -v data:/data busybox sleep 1d\n\
              docker run -d --name reader -v data:/data:ro busybox sleep 1d",
    judge,
};

/// Who mounts a folder, and whether read-only.
type Mounts<'n> = Vec<(&'n Pod, &'n Container, bool)>;

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    let mut by_source: BTreeMap<&str, Mounts<'_>> = BTreeMap::new();
    for pod in node.pods {
        for container in pod.running().filter(|it| it.identity == Identity::CgroupOnly) {
            judgement.undetermined.push(Undetermined {
                rule: RULE.id,
                subject: super::of_container(pod, container, None),
                why: format!("what {} mounts is not known: only a cgroup tells of it", container.name),
            });
        }
        for volume in &pod.volumes {
            let mounts = by_source.entry(&volume.source).or_default();
            for mount in &volume.mounts {
                if let Some(container) = pod.running().find(|it| it.id == mount.container) {
                    mounts.push((pod, container, mount.read_only));
                }
            }
        }
    }
    for (source, mounts) in by_source {
        let Some((writer_pod, ..)) = mounts.iter().find(|(.., read_only)| !read_only) else { continue };
        if mounts.iter().any(|(pod, ..)| pod.id != writer_pod.id) {
            judgement.findings.push(finding(node.name, source, &mounts, writer_pod));
        }
    }
}

fn finding(node: &str, source: &str, mounts: &Mounts<'_>, writer_pod: &Pod) -> Finding {
    let who = |wanted: bool| -> Vec<String> {
        let mut names: Vec<String> = mounts
            .iter()
            .filter(|(.., read_only)| *read_only == wanted)
            .map(|(pod, container, _)| {
                if pod.name == container.name && pod.origin != Origin::Kubernetes {
                    container.name.clone()
                } else {
                    format!("{} of {}", container.name, words::pod(pod))
                }
            })
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let (writers, readers) = (who(false), who(true));
    let mut pods: Vec<String> = mounts.iter().map(|(pod, ..)| words::pod(pod)).collect();
    pods.sort();
    pods.dedup();
    let mut parts = vec![RULE.id, node, source];
    parts.extend(pods.iter().map(String::as_str));
    let mut evidence = vec![format!("{source} is writable for {}", words::list(&writers))];
    if !readers.is_empty() {
        evidence.push(format!("{} may only read it", words::list(&readers)));
    }
    Finding {
        id: hash(&parts),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: Subject { pod: Some(writer_pod.id.clone()), ..Subject::default() },
        message: format!("{} share the folder {source}, which {} may write to", words::list(&pods), words::list(&writers)),
        evidence,
        consequence: "what a writer puts there the others read, execute or trust; a compromise of one pod reaches the others by it".to_owned(),
        remedy: "mount it read-only where it is only read; where the pods do not share it on purpose, give each a volume of its own".to_owned(),
    }
}
