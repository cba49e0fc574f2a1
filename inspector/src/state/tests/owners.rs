//! Who owns, and what the owner is.

use super::*;
use crate::observation::{Behaviour, Declaration, Wait};

const JOINED: [Kind; 3] = [Kind::Net, Kind::Ipc, Kind::Pid];

/// The article's first pod: nginx owns, busybox joins.
fn application_owned() -> World {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.container("nginx").declared.insert(Kind::Ipc, Declaration::Shareable);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &JOINED);
    world.serves(100);
    world
}

/// The article's second pod: pause owns, nginx and busybox join.
fn pause_owned() -> World {
    let mut world = World::new();
    world.docker("pause", 100);
    for (name, pid) in [("nginx", 200), ("busybox", 300)] {
        world.docker(name, pid);
        world.join(name, "pause", &JOINED);
    }
    world.pauses(100);
    world
}

#[test]
fn a_business_container_that_others_join_owns_what_they_share() {
    let pods = application_owned().pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!((pod.verdict, pod.name.as_str(), &pod.id), (Verdict::ApplicationOwned, "nginx", &id("nginx")));
    assert_eq!(names(pod), ["nginx", "busybox"]);
    for kind in JOINED {
        let owner = owner(pod, kind);
        assert_eq!(owner.container, Some(id("nginx")));
        assert_eq!((owner.pid, owner.alive), (100, true));
        assert_eq!((owner.evidence, owner.class), (Evidence::Declared, Class::Application));
        assert_eq!(owner.class_evidence, ClassEvidence::Behaviour);
    }
    assert_eq!(pod.namespaces.len(), 3, "uts and mnt are private: {:#?}", pod.namespaces);
    assert!(pod.containers.iter().all(|container| container.role == Role::App));
    let busybox = &pod.containers[1];
    assert_eq!(busybox.declared[&Kind::Net], format!("container:{}", id("nginx")));
    assert_eq!(busybox.declared[&Kind::Uts], "private");
    assert_eq!(pod.containers[0].declared[&Kind::Ipc], "shareable");
}

#[test]
fn a_pause_that_others_join_owns_what_they_share() {
    let pods = pause_owned().pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!((pod.verdict, names(pod)), (Verdict::PauseOwned, vec!["pause", "nginx", "busybox"]));
    assert_eq!(pod.containers[0].role, Role::Infra);
    for kind in JOINED {
        let owner = owner(pod, kind);
        assert_eq!((owner.class, owner.class_evidence), (Class::Pause, ClassEvidence::Behaviour), "{kind}");
    }
}

#[test]
fn under_a_pause_the_death_of_a_business_container_changes_nothing() {
    let mut world = pause_owned();
    world.stop("nginx", "2026-01-02T00:00:00Z", 0);
    let pods = world.pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!((pod.verdict, names(pod)), (Verdict::PauseOwned, vec!["pause", "busybox", "nginx"]));
    let nginx = &pod.containers[2];
    assert_eq!((nginx.state, nginx.init_pid, nginx.processes), (State::Exited, 0, 0));
    assert!(nginx.namespaces.is_empty());
    assert!(pod.namespaces.iter().all(|namespace| !namespace.shared_by.contains(&id("nginx"))));
}

#[test]
fn under_an_application_its_death_kills_whom_it_shares_its_pids_with() {
    let mut world = application_owned();
    world.stop("nginx", "2026-01-02T00:00:00Z", 0);
    assert!(!world.seen.tasks.iter().any(|task| task.pid == 200), "the kernel killed it");
    world.container("busybox").pid = 0;
    let busybox = world.container("busybox");
    busybox.state = crate::observation::RuntimeState::Exited;
    busybox.exit_code = Some(137);
    busybox.finished_at = Some("2026-01-02T00:00:00.3Z".parse().unwrap());
    let pods = world.pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!(
        (pod.verdict, pod.name.as_str()),
        (Verdict::ApplicationOwned, "nginx"),
        "the dead keep the verdict"
    );
    assert!(pod.namespaces.is_empty());
    let exit = |name: &str| pod.containers.iter().find(|it| it.name == name).unwrap().exit.clone().unwrap();
    assert_eq!(exit("nginx").cause, crate::view::ExitCause::Itself);
    assert_eq!(exit("busybox").cause, crate::view::ExitCause::PidNamespaceDied);
    assert!(exit("busybox").why.contains("nginx"), "{}", exit("busybox").why);
}

#[test]
fn a_container_that_died_long_before_the_owner_was_not_killed_by_its_death() {
    let mut world = application_owned();
    world.stop("busybox", "2026-01-02T00:00:00Z", 137);
    world.stop("nginx", "2026-01-02T00:10:00Z", 0);
    let pods = world.pods();
    let busybox = pod_of(&pods, "busybox").containers.iter().find(|it| it.name == "busybox").unwrap();
    assert_eq!(busybox.exit.as_ref().unwrap().cause, crate::view::ExitCause::Signal);
}

/// Only the network is shared, and its owner has exited.
fn orphaned() -> World {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net]);
    world.stop("nginx", "2026-01-02T00:00:00Z", 0);
    world
}

#[test]
fn a_dead_owner_keeps_the_verdict() {
    let pods = orphaned().pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!(pod.verdict, Verdict::ApplicationOwned);
    let owner = owner(pod, Kind::Net);
    assert_eq!(owner.container, Some(id("nginx")));
    assert_eq!((owner.pid, owner.alive), (0, false));
    assert_eq!((owner.class, owner.class_evidence), (Class::Application, ClassEvidence::Command));
    assert_eq!(
        (&pod.id, pod.name.as_str()),
        (&id("busybox"), "busybox"),
        "named by the oldest living member"
    );
}

#[test]
fn an_owner_started_again_is_another_incarnation_and_another_pod() {
    let mut world = orphaned();
    world.seen.containers.retain(|container| container.name.as_deref() != Some("nginx"));
    world.docker("nginx", 300);
    let pods = world.pods();
    assert_eq!(names(pod_of(&pods, "nginx")), ["nginx"]);
    assert_eq!(pod_of(&pods, "nginx").verdict, Verdict::Isolated);
    let joiner = pod_of(&pods, "busybox");
    assert_eq!((names(joiner), joiner.verdict), (vec!["busybox"], Verdict::ApplicationOwned));
    let owner = owner(joiner, Kind::Net);
    assert_eq!(owner.container, Some(id("nginx")));
    assert_eq!((owner.pid, owner.alive), (0, false));
    let findings = findings(&pods);
    let rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["PNS003"], "a living declared partner elsewhere is a split brain, and nothing else");
    assert_eq!(findings[0].subject.container, Some(id("busybox")));
}

#[test]
fn an_owner_that_nobody_knows_any_more_is_named_and_of_unknown_class() {
    let mut world = orphaned();
    world.seen.containers.retain(|container| container.name.as_deref() != Some("nginx"));
    let pods = world.pods();
    let pod = pod_of(&pods, "busybox");
    let owner = owner(pod, Kind::Net);
    assert_eq!(owner.container, Some(id("nginx")), "the declaration still names it");
    assert_eq!((owner.class, pod.verdict), (Class::Unknown, Verdict::Unknown));
}

#[test]
fn a_dead_owner_whose_command_is_a_sleeper_is_a_pause() {
    let mut world = orphaned();
    world.container("nginx").command = vec!["sleep".to_owned(), "infinity".to_owned()];
    let pods = world.pods();
    let pod = pod_of(&pods, "busybox");
    assert_eq!(owner(pod, Kind::Net).class, Class::Pause);
    assert_eq!(owner(pod, Kind::Net).class_evidence, ClassEvidence::Command);
    assert_eq!(pod.verdict, Verdict::PauseOwned);
}

#[test]
fn a_chain_leads_to_the_one_that_the_namespace_was_made_for() {
    let mut world = World::new();
    for (name, pid) in [("a", 100), ("b", 200), ("c", 300)] {
        world.docker(name, pid);
    }
    world.join("b", "a", &[Kind::Net]);
    world.join("c", "b", &[Kind::Net]);
    world.serves(100);
    let pods = world.pods();
    let pod = pod_of(&pods, "c");
    assert_eq!(names(pod), ["a", "b", "c"]);
    assert_eq!(owner(pod, Kind::Net).container, Some(id("a")));
    assert_eq!(
        pod.containers[2].declared[&Kind::Net],
        format!("container:{}", id("b")),
        "not followed further"
    );
}

#[test]
fn a_chain_through_the_dead_still_leads_there() {
    let mut world = World::new();
    for (name, pid) in [("a", 100), ("b", 200), ("c", 300)] {
        world.docker(name, pid);
    }
    world.join("b", "a", &[Kind::Net]);
    world.join("c", "b", &[Kind::Net]);
    world.stop("a", "2026-01-02T00:00:00Z", 0);
    world.stop("b", "2026-01-02T00:00:00Z", 0);
    let pods = world.pods();
    let owner = owner(pod_of(&pods, "c"), Kind::Net);
    assert_eq!((&owner.container, owner.alive), (&Some(id("a")), false));
    assert_eq!(names(pod_of(&pods, "c")).len(), 3);
}

#[test]
fn declarations_in_a_circle_prove_nothing_and_end() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 200);
    world.join("b", "a", &[Kind::Net]);
    world.container("a").declared.insert(Kind::Net, Declaration::Container(id("b")));
    let pods = world.pods();
    assert_eq!(owner(pod_of(&pods, "a"), Kind::Net).evidence, Evidence::Inferred);
}

#[test]
fn what_marks_infra_comes_before_what_it_does() {
    let mut world = application_owned();
    world.container("nginx").infra_mark = Some("label io.kubernetes.docker.type=podsandbox".to_owned());
    let pods = world.pods();
    let pod = pod_of(&pods, "nginx");
    assert_eq!((pod.verdict, pod.containers[0].role), (Verdict::PauseOwned, Role::Infra));
    assert_eq!(owner(pod, Kind::Net).class_evidence, ClassEvidence::Marked);
}

#[test]
fn behaviour_that_could_not_be_read_is_no_verdict() {
    let mut world = application_owned();
    world.seen.behaviours.clear();
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "nginx").verdict, Verdict::Unknown);
    assert_eq!(owner(pod_of(&pods, "nginx"), Kind::Net).class, Class::Unknown);
}

#[test]
fn an_exec_session_does_not_make_an_application_of_a_pause() {
    let mut world = pause_owned();
    let cgroup = format!("/docker/{}", id("pause"));
    let all = [Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Net];
    world.process(400, "sh").with(100, &all).cgroup(&cgroup).child_of(90);
    world.process(401, "top").with(100, &all).cgroup(&cgroup).child_of(400);
    world.serves(400);
    world.serves(401);
    let pods = world.pods();
    let pod = pod_of(&pods, "pause");
    assert_eq!(pod.verdict, Verdict::PauseOwned);
    assert_eq!(pod.containers[0].processes, 3, "exec sessions count as processes");
}

#[test]
fn a_child_of_the_owner_does() {
    let mut world = pause_owned();
    let cgroup = format!("/docker/{}", id("pause"));
    world.process(400, "httpd").with(100, &[Kind::Mnt, Kind::Pid, Kind::Net]).cgroup(&cgroup).child_of(100);
    world.serves(400);
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "pause").verdict, Verdict::ApplicationOwned);
}

#[test]
fn alone_in_its_pid_namespace_a_sleeping_container_is_an_application() {
    let mut world = World::new();
    world.docker("sleeper", 100);
    world.pauses(100);
    let pods = world.pods();
    let pod = pod_of(&pods, "sleeper");
    assert_eq!(pod.verdict, Verdict::Isolated);
    let [namespace] = &pod.namespaces[..] else {
        panic!("every PID namespace, and no other: {:#?}", pod.namespaces)
    };
    assert_eq!((namespace.kind, namespace.owner.class), (Kind::Pid, Class::Application));
}

#[test]
fn only_those_are_watched_whose_class_depends_on_it() {
    let mut world = pause_owned();
    world.docker("alone", 500);
    let cgroup = format!("/docker/{}", id("pause"));
    world.process(400, "sh").with(100, &[Kind::Pid]).cgroup(&cgroup).child_of(90);
    world.seen.behaviours = Vec::<Behaviour>::new();
    let pids: Vec<u32> =
        crate::state::needed(&world.seen).behaviours.into_iter().map(|key| key.pid).collect();
    assert_eq!(pids, [100]);
    world.container("pause").infra_mark = Some("marked".to_owned());
    assert!(crate::state::needed(&world.seen).behaviours.is_empty());
}

#[test]
fn two_that_claim_one_namespace_are_told_by_its_init() {
    let mut world = World::new();
    world.docker("a", 100);
    world.docker("b", 50);
    let (net, pid) = (world.inode(100, Kind::Net), world.inode(100, Kind::Pid));
    let task = world.task(50);
    task.namespaces.set(Kind::Net, net);
    task.namespaces.set(Kind::Pid, pid);
    task.pid_namespace_init = false;
    let pods = world.pods();
    let pod = pod_of(&pods, "a");
    let pid = owner(pod, Kind::Pid);
    assert_eq!((&pid.container, pid.evidence), (&Some(id("a")), Evidence::Inferred));
    assert_eq!(owner(pod, Kind::Net).container, Some(id("b")), "the first by start");
}

#[test]
fn a_target_shares_on_purpose() {
    let mut world = World::new();
    world.docker("app", 100);
    world.docker("debugger", 200);
    world.join("debugger", "app", &[Kind::Pid]);
    world.container("debugger").declared.insert(Kind::Pid, Declaration::Target(id("app")));
    world.serves(100);
    let pods = world.pods();
    let pod = pod_of(&pods, "app");
    assert_eq!(owner(pod, Kind::Pid).class, Class::Application);
    assert_eq!(pod.verdict, Verdict::Isolated, "it counts neither for the verdict");
    assert!(findings(&pods).is_empty(), "nor for PNS001");
    assert_eq!(pod.containers.iter().find(|it| it.name == "debugger").unwrap().role, Role::Ephemeral);
    assert_eq!(
        pod.containers.iter().find(|it| it.name == "debugger").unwrap().declared[&Kind::Pid],
        "target"
    );
}

#[test]
fn waits_that_cannot_be_read_are_said() {
    let mut world = application_owned();
    world.seen.behaviours.clear();
    world.does(100, Wait::Unreadable("permission denied".to_owned()));
    let pods = world.pods();
    assert_eq!(owner(pod_of(&pods, "nginx"), Kind::Net).class, Class::Unknown);
}
