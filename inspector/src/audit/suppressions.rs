//! Findings that whoever deployed a container or pod asks to be left out, by a label or annotation.
//!
//! It must not take the word of a user's runtime for a container of root's: an id proves nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::findings::rule;
use crate::observation::{IGNORE, Ignore, Observation};
use crate::state::Snapshot;
use crate::view::{Finding, Identity, IdleSuppression, Pod, Suppressed, Undetermined};

/// The wishes of a node's containers and pods.
pub(super) struct Suppressions<'a> {
    all: Vec<Wish<'a>>,
    /// The wishes of a container, and of a pod, by position.
    containers: HashMap<&'a str, usize>,
    pods: HashMap<&'a str, usize>,
    /// The wishes of the containers of a pod.
    members: HashMap<&'a str, Vec<usize>>,
}

struct Wish<'a> {
    /// `container nginx`, `pod default/web`.
    of: String,
    written: &'a Ignore,
    /// By name as written, the rule's id.
    rules: Vec<(&'a str, Option<&'static str>)>,
    used: HashSet<&'static str>,
    living: bool,
    pod: &'a str,
}

/// By id, what is declared: root's word before users', and of several users' none.
fn believed<'a>(
    wishes: impl Iterator<Item = (&'a str, Option<u32>, Option<&'a Ignore>)>,
) -> HashMap<&'a str, &'a Ignore> {
    let mut by_id: HashMap<&str, (bool, Option<&Ignore>)> = HashMap::new();
    for (id, uid, ignore) in wishes {
        let of_root = uid.is_none();
        by_id
            .entry(id)
            .and_modify(|known| match (known.0, of_root) {
                (true, _) => {}
                (false, true) => *known = (true, ignore),
                (false, false) => known.1 = None,
            })
            .or_insert((of_root, ignore));
    }
    by_id.into_iter().filter_map(|(id, (_, ignore))| Some((id, ignore?))).collect()
}

impl<'a> Suppressions<'a> {
    /// Those in an observation.
    pub(super) fn of(observation: &'a Observation, snapshot: &'a Snapshot) -> Self {
        let containers =
            observation.containers.iter().map(|it| (it.id.as_str(), it.word_of_uid, it.ignore.as_ref()));
        let containers = believed(containers);
        let pods = observation.pods.iter().map(|it| (it.id.as_str(), it.word_of_uid, it.ignore.as_ref()));
        let pods = believed(pods);
        let mut these = Self {
            all: Vec::new(),
            containers: HashMap::new(),
            pods: HashMap::new(),
            members: HashMap::new(),
        };
        for pod in &snapshot.pods {
            let living = |it: &crate::view::Container| it.init_pid != 0;
            if let Some(ignore) = pods.get(pod.id.as_str()) {
                let of = format!("pod {}", name(pod));
                let number = these.add(of, ignore, pod.containers.iter().any(living), &pod.id);
                these.pods.insert(&pod.id, number);
            }
            for container in pod.containers.iter().filter(|it| it.identity == Identity::Confirmed) {
                if let Some(ignore) = containers.get(container.id.as_str()) {
                    let of = format!("container {}", container.name);
                    let number = these.add(of, ignore, living(container), &pod.id);
                    these.containers.insert(&container.id, number);
                    these.members.entry(&pod.id).or_default().push(number);
                }
            }
        }
        these
    }

    fn add(&mut self, of: String, written: &'a Ignore, living: bool, pod: &'a str) -> usize {
        let rules = written.names().map(|name| (name, rule(name).map(|rule| rule.id))).collect();
        self.all.push(Wish { of, written, rules, used: HashSet::new(), living, pod });
        self.all.len() - 1
    }

    /// Who asks that a finding be left out: its container, its pod, or, where it is about no container, any of the
    /// pod's.
    pub(super) fn of_finding(&mut self, finding: &Finding) -> Option<Suppressed> {
        let subject = &finding.subject;
        let pod = subject.pod.as_deref();
        let mut numbers: Vec<usize> = Vec::new();
        match subject.container.as_deref() {
            Some(id) => numbers.extend(self.containers.get(id)),
            None => numbers.extend(pod.and_then(|id| self.members.get(id)).into_iter().flatten()),
        }
        numbers.extend(pod.and_then(|id| self.pods.get(id)));
        let number = numbers.into_iter().find(|number| {
            self.all
                .get(*number)
                .is_some_and(|wish| wish.rules.iter().any(|(_, rule)| *rule == Some(finding.rule)))
        })?;
        let wish = self.all.get_mut(number)?;
        wish.used.insert(finding.rule);
        Some(Suppressed { by: wish.of.clone(), reason: wish.written.reason.clone() })
    }

    /// The wishes that name no rule, and those of the living that nothing needed.
    pub(super) fn idle(&self, undetermined: &[Undetermined]) -> Vec<IdleSuppression> {
        let mut idle = Vec::new();
        for wish in &self.all {
            let unsure = |rule: &str| {
                undetermined
                    .iter()
                    .any(|it| it.rule == rule && it.subject.pod.as_deref().is_none_or(|pod| pod == wish.pod))
            };
            let mut said = BTreeSet::new();
            let mut say = |rule: &str, why: String| {
                if said.insert(rule.to_owned()) {
                    idle.push(IdleSuppression { of: wish.of.clone(), rule: rule.to_owned(), why });
                }
            };
            if wish.rules.is_empty() {
                say("", format!("{IGNORE} names no rule"));
            }
            for (written, rule) in &wish.rules {
                match rule {
                    None => say(written, "no rule is called so; `inspector rules` lists them".to_owned()),
                    Some(rule) if wish.living && !wish.used.contains(rule) && !unsure(rule) => {
                        say(written, "matches no finding".to_owned());
                    }
                    Some(_) => {}
                }
            }
        }
        idle
    }
}

fn name(pod: &Pod) -> String {
    crate::view::PodName::of(pod).to_string()
}
