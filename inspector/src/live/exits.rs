//! Containers that ended, and what that meant for those who shared with them.

use std::collections::BTreeSet;

use super::End;
use super::moment::Incarnation;
use super::story::{Story, is_exited, named, named_pod};
use crate::observation::Kind;
use crate::view::{Container, Event, EventExit, EventTier, EventType, ExitCause, Killed, Namespace, Pod};

/// `SIGKILL`, with which the kernel kills the members of a PID namespace whose init dies.
const SIGKILL: i32 = 9;

/// The exits, then the owners among them, then what became of their pods.
pub(super) fn events(story: &Story<'_>) -> Vec<Event> {
    let gone: BTreeSet<Incarnation<'_>> = story.gone_containers().map(|(key, _)| key).collect();
    let mut events = Vec::new();
    for pod in &story.last.snapshot.pods {
        let is_gone = |it: &Container| gone.contains(&story.last.incarnation(it));
        let dead: Vec<&Container> = pod.running().filter(|it| is_gone(it)).collect();
        if dead.is_empty() || !story.tells_of(pod) {
            continue;
        }
        let collapse = Collapse::of(pod, &dead, story);
        events.extend(dead.iter().map(|it| exited(pod, it, &collapse, story)));
        events.extend(dead.iter().filter_map(|it| owner_exited(pod, it)));
        let survivors: Vec<&Container> = pod.running().filter(|it| !is_gone(it)).collect();
        if let Some(owner) = collapse.owner.filter(|_| !collapse.victims.is_empty()) {
            events.push(collapsed(pod, owner, collapse.victims, &survivors));
        } else if !survivors.is_empty() {
            events.push(survived(pod, &dead, &survivors));
        }
    }
    events
}

/// What died because PID 1 of a shared PID namespace did.
struct Collapse<'a> {
    owner: Option<&'a Container>,
    victims: Vec<Killed>,
}

impl<'a> Collapse<'a> {
    fn of(pod: &'a Pod, dead: &[&'a Container], story: &Story<'_>) -> Self {
        let mut collapse = Self { owner: None, victims: Vec::new() };
        for namespace in pod.namespaces.iter().filter(|it| it.kind == Kind::Pid) {
            let Some(owner) = dead.iter().find(|it| is_init_of(it, namespace, story)) else { continue };
            let members = dead.iter().filter(|it| it.id != owner.id && namespace.shared_by.contains(&it.id));
            for member in members {
                let code = how(member, story).code;
                let heard = heard(member, story);
                // Its runtime, or the kernel, says that it ended otherwise, before.
                if code.is_some_and(|code| code != 128 + SIGKILL)
                    || heard.is_some_and(|end| end.status.signal.map(i32::from) != Some(SIGKILL))
                {
                    continue;
                }
                collapse.owner = Some(owner);
                collapse.victims.push(Killed {
                    container: member.id.clone(),
                    pid: member.init_pid,
                    code,
                    signal: SIGKILL,
                });
            }
        }
        collapse
    }

    fn has(&self, container: &Container) -> bool {
        self.victims.iter().any(|it| it.container == container.id)
    }
}

/// Whether a container's init was PID 1 of the namespace: who it was made for need not be.
fn is_init_of(container: &Container, namespace: &Namespace, story: &Story<'_>) -> bool {
    container.namespaces.get(&Kind::Pid) == Some(&namespace.inode)
        && story.last.init(container).is_some_and(|task| task.pid_namespace_init)
}

/// What its runtime says of its end, as far as it does.
fn how(container: &Container, story: &Story<'_>) -> EventExit {
    let exit = by_runtime(container, story);
    match heard(container, story) {
        // The kernel tells a signal from a code that looks like one.
        Some(End { status, .. }) => {
            let told = EventExit::told(status);
            EventExit { code: exit.code.or(told.code), ..told }
        }
        _ => exit,
    }
}

/// What the kernel told of the end of its init.
fn heard(container: &Container, story: &Story<'_>) -> Option<End> {
    let init = story.last.init(container)?;
    story.ends.get(&story.last.key(init)).copied()
}

fn by_runtime(container: &Container, story: &Story<'_>) -> EventExit {
    let ended = story
        .next
        .snapshot
        .pods
        .iter()
        .flat_map(|pod| &pod.containers)
        .find(|it| it.id == container.id && is_exited(it))
        .and_then(|it| it.exit.as_ref());
    let Some(exit) = ended else { return EventExit { code: None, signal: None, cause: ExitCause::Unknown } };
    let signal = exit.code.filter(|code| (129..=192).contains(code)).map(|code| code - 128);
    EventExit { code: exit.code, signal, cause: exit.cause }
}

fn exited(pod: &Pod, container: &Container, collapse: &Collapse<'_>, story: &Story<'_>) -> Event {
    let mut exit = how(container, story);
    if collapse.has(container) {
        exit.cause = ExitCause::PidNamespaceDied;
        exit.signal = Some(SIGKILL);
    }
    let how = match (exit.cause, collapse.owner) {
        (ExitCause::PidNamespaceDied, Some(owner)) => {
            format!("killed by the kernel: {} was PID 1 of its PID namespace", owner.name)
        }
        (ExitCause::PidNamespaceDied, None) => {
            "killed by the kernel: PID 1 of its PID namespace died".to_owned()
        }
        _ => in_words(exit),
    };
    Event {
        pod: Some(named_pod(pod)),
        container: Some(named(container)),
        process: Story::process(story.last, container),
        exit: Some(exit),
        tier: heard(container, story).map_or(EventTier::Iterator, |_| story.told_tier),
        boottime_ns: heard(container, story).map_or(0, |end| end.boottime_ns),
        message: format!("{} exited: {how}", container.name),
        ..Event::draft(EventType::ContainerExited)
    }
}

/// How somebody ended, as far as that is known.
pub(super) fn in_words(exit: EventExit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("ended by signal {signal}"),
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "how is not known".to_owned(),
    }
}

/// Of a container that others' namespaces were made for.
fn owner_exited(pod: &Pod, container: &Container) -> Option<Event> {
    let owned: Vec<&Namespace> = (pod.namespaces.iter())
        .filter(|it| it.owner.alive && it.owner.container.as_ref() == Some(&container.id))
        .filter(|it| it.shared_by.iter().any(|member| *member != container.id))
        .collect();
    if owned.is_empty() {
        return None;
    }
    let kinds: Vec<&str> = owned.iter().map(|it| it.kind.name()).collect();
    Some(Event {
        pod: Some(named_pod(pod)),
        container: Some(named(container)),
        message: format!("{}, who owned the {} that others share, is gone", container.name, kinds.join(" ")),
        ..Event::draft(EventType::OwnerExited)
    })
}

fn collapsed(pod: &Pod, owner: &Container, victims: Vec<Killed>, survivors: &[&Container]) -> Event {
    let name = |id: &str| {
        pod.containers.iter().find(|it| it.id == id).map_or_else(|| id.to_owned(), |it| it.name.clone())
    };
    let names: Vec<String> = victims.iter().map(|it| name(&it.container)).collect();
    let rest = if survivors.is_empty() { String::new() } else { format!("; {} lives on", list(survivors)) };
    Event {
        pod: Some(named_pod(pod)),
        container: Some(named(owner)),
        message: format!(
            "{} was PID 1 of the PID namespace: the kernel killed {} (SIGKILL){rest}",
            owner.name,
            names.join(", ")
        ),
        victims,
        ..Event::draft(EventType::PodCollapsed)
    }
}

fn survived(pod: &Pod, dead: &[&Container], survivors: &[&Container]) -> Event {
    let lives = if survivors.len() == 1 { "lives" } else { "live" };
    Event {
        pod: Some(named_pod(pod)),
        message: format!("{} ended, {} {lives} on", list(dead), list(survivors)),
        ..Event::draft(EventType::PodSurvived)
    }
}

fn list(containers: &[&Container]) -> String {
    let names: Vec<&str> = containers.iter().map(|it| it.name.as_str()).collect();
    names.join(", ")
}
