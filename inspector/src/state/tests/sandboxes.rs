//! Pods that runtimes declare: with an infra container, with pins in its place, with neither any more; and whose word
//! counts for what.

use super::world::host;
use super::*;
use crate::observation::{
    Declaration, DeclaredPod, DeclaredRole, Infra, Pin, RuntimeState, SandboxNamespace,
};
use crate::view::ClassEvidence;

const PINNED: [Kind; 3] = [Kind::Net, Kind::Ipc, Kind::Uts];

/// A Kubernetes pod of CRI-O's: no process of the sandbox, its namespaces pinned from `inode` up, containers inside.
fn processless(world: &mut World, sandbox: &str, inode: u32, containers: &[(&str, u32)]) {
    world.sandbox(sandbox, &format!("pod-{sandbox}"));
    let namespaces: Vec<(Kind, u32)> = PINNED.into_iter().zip(inode..).collect();
    let pod = world.seen.pods.last_mut().unwrap();
    pod.infra = Infra::Processless;
    for (kind, inode) in &namespaces {
        let path = format!("/var/run/{kind}ns/{sandbox}");
        pod.namespaces.push(SandboxNamespace { kind: *kind, path: path.clone(), inode: Some(*inode) });
        world.seen.pins.push(Pin { kind: *kind, inode: *inode, path: path.replace("/var/run", "/run") });
    }
    for (name, pid) in containers {
        world.docker(name, *pid);
        for (kind, inode) in &namespaces {
            world.task(*pid).namespaces.set(*kind, *inode);
            world.container(name).declared.insert(*kind, Declaration::Pod);
        }
        world.container(name).pod = Some(sandbox.to_owned());
    }
}

fn pod_named<'p>(pods: &'p [Arc<Pod>], name: &str) -> &'p Pod {
    pods.iter().find(|pod| pod.name == name).unwrap_or_else(|| panic!("no pod {name} in {pods:#?}"))
}

#[test]
fn what_a_processless_sandbox_pins_is_pinned_by_its_runtime() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100), ("sidecar", 200)]);
    processless(&mut world, "s2", 9200, &[("alone", 300)]);
    let pods = world.pods();
    assert_eq!(pods.len(), 2, "two such pods at once stay two");
    for (name, members) in [("pod-s1", 2), ("pod-s2", 1)] {
        let pod = pod_named(&pods, name);
        assert_eq!((pod.verdict, pod.containers.len()), (Verdict::RuntimePinned, members));
        for kind in PINNED {
            let owner = owner(pod, kind);
            assert_eq!(owner.container.as_deref(), Some(pod.id.as_str()));
            assert_eq!((owner.pid, owner.alive, owner.class), (0, true, Class::RuntimePinned));
            assert_eq!((owner.evidence, owner.class_evidence), (Evidence::Declared, ClassEvidence::Marked));
        }
        let net = pod.namespaces.iter().find(|it| it.kind == Kind::Net).unwrap();
        assert_eq!((net.shared_by.len(), net.holders.len()), (members, 1));
        let pids = pod.namespaces.iter().filter(|it| it.kind == Kind::Pid);
        assert!(pids.clone().all(|it| it.owner.class == Class::Application), "each has one of its own");
        assert_eq!(pids.count(), members);
    }
    assert!(findings(&pods).is_empty(), "by design: {pods:#?}");
}

#[test]
fn pins_hold_a_pod_whose_containers_have_all_stopped() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100)]);
    world.stop("app", "2026-01-01T01:00:00Z", 0);
    let snapshot = crate::state::snapshot(&world.seen);
    let pod = pod_named(&snapshot.pods, "pod-s1");
    assert_eq!((pod.verdict, pod.namespaces.len()), (Verdict::RuntimePinned, 3));
    assert!(pod.namespaces.iter().all(|it| it.shared_by.is_empty()));
    assert_eq!(pod.containers[0].state, State::Exited);
    let list = crate::view::pod_list(&world.seen, snapshot.clone(), Vec::new(), false);
    assert_eq!(list.pods.len(), 1, "it counts as living while its pins hold");
    world.seen.containers.clear();
    let list = crate::view::pod_list(&world.seen, crate::state::snapshot(&world.seen), Vec::new(), false);
    assert_eq!(list.pods.len(), 1, "also with no container left");
}

#[test]
fn where_its_pins_are_gone_a_processless_sandbox_holds_nothing() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100), ("sidecar", 200)]);
    world.seen.pins.clear();
    for namespace in &mut world.seen.pods[0].namespaces {
        namespace.inode = None;
    }
    let pods = world.pods();
    let pod = pod_named(&pods, "pod-s1");
    assert!(pod.namespaces.iter().all(|it| it.owner.class != Class::RuntimePinned), "{pod:#?}");
    assert_ne!(pod.verdict, Verdict::RuntimePinned);
}

#[test]
fn a_pin_is_found_by_its_path_where_the_inode_behind_it_was_not_read() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100)]);
    for namespace in &mut world.seen.pods[0].namespaces {
        namespace.inode = None;
    }
    assert_eq!(pod_named(&world.pods(), "pod-s1").verdict, Verdict::RuntimePinned);
}

#[test]
fn a_pin_of_the_hosts_own_namespace_is_nothing_of_the_pods() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100)]);
    world.seen.pods[0].namespaces[0].inode = Some(host(Kind::Net));
    world.task(100).namespaces.set(Kind::Net, host(Kind::Net));
    world.container("app").declared.insert(Kind::Net, Declaration::Host);
    let pods = world.pods();
    let pod = pod_named(&pods, "pod-s1");
    assert!(pod.namespaces.iter().all(|it| it.kind != Kind::Net));
    assert_eq!(pod.verdict, Verdict::RuntimePinned, "its ipc and uts are pinned for it");
}

#[test]
fn who_joins_a_pinned_namespace_by_its_path_is_in_that_pod_and_owns_nothing_there() {
    let mut world = World::new();
    processless(&mut world, "s1", 9100, &[("app", 100)]);
    world.docker("stranger", 400).task().namespaces.set(Kind::Net, 9100);
    let path = "/var/run/netns/s1".to_owned();
    world.container("stranger").declared.insert(Kind::Net, Declaration::Path { path, inode: Some(9100) });
    let pods = world.pods();
    let pod = pod_named(&pods, "pod-s1");
    assert_eq!((names(pod), pod.verdict), (vec!["app", "stranger"], Verdict::RuntimePinned));
    assert_eq!(pod.containers[1].declared[&Kind::Net], "container:s1");
    assert_eq!(owner(pod, Kind::Net).container.as_deref(), Some("s1"));
}

#[test]
fn a_killed_pause_keeps_the_verdict_of_its_pod() {
    let mut world = World::new();
    world.sandbox("s", "web");
    world.docker("POD", 100);
    world.docker("app", 200).with(100, &[Kind::Net, Kind::Ipc]);
    for name in ["POD", "app"] {
        world.container(name).pod = Some("s".to_owned());
    }
    world.container("POD").infra_mark = Some("a sandbox".to_owned());
    for kind in [Kind::Net, Kind::Ipc] {
        world.container("app").declared.insert(kind, Declaration::Pod);
    }
    world.stop("POD", "2026-01-01T01:00:00Z", 137);
    let pods = world.pods();
    let pod = pod_named(&pods, "web");
    assert_eq!(pod.verdict, Verdict::PauseOwned);
    let net = owner(pod, Kind::Net);
    assert_eq!((net.container.clone(), net.alive, net.pid), (Some(id("POD")), false, 0));
    assert_eq!((net.class, net.evidence), (Class::Pause, Evidence::Declared));
    // And once its runtime has forgotten the container, but not the pod.
    world.seen.containers.retain(|container| container.name.as_deref() != Some("POD"));
    world.seen.pods[0].infra = Infra::Container(id("POD"));
    let pods = world.pods();
    let net = owner(pod_named(&pods, "web"), Kind::Net);
    assert_eq!((net.container.clone(), net.alive), (Some(id("POD")), false));
}

#[test]
fn a_pod_that_died_as_a_whole_keeps_its_verdict() {
    let mut world = World::new();
    world.sandbox("s", "web");
    world.exited("POD").infra_mark = Some("a sandbox".to_owned());
    let app = world.exited("app");
    app.declared.insert(Kind::Net, Declaration::Pod);
    app.declared.insert(Kind::Pid, Declaration::Pod);
    app.exit_code = Some(137);
    app.finished_at = Some("2026-01-01T01:00:00Z".parse().unwrap());
    world.container("POD").finished_at = Some("2026-01-01T01:00:00Z".parse().unwrap());
    for name in ["POD", "app"] {
        world.container(name).pod = Some("s".to_owned());
    }
    let pods = world.pods();
    let pod = pod_named(&pods, "web");
    assert_eq!((pod.verdict, pod.namespaces.len()), (Verdict::PauseOwned, 0));
    let exit = pod.containers.iter().find(|it| it.name == "app").unwrap().exit.clone().unwrap();
    assert_eq!(exit.cause, crate::view::ExitCause::PidNamespaceDied, "{}", exit.why);
}

#[test]
fn a_declared_pod_without_any_container_is_listed_and_not_judged() {
    let mut world = World::new();
    world.sandbox("s", "empty");
    let pods = world.pods();
    let pod = pod_named(&pods, "empty");
    assert_eq!((pod.verdict, pod.containers.len()), (Verdict::Unknown, 0));
}

#[test]
fn a_runtime_of_a_user_is_believed_for_that_users_processes_only() {
    let mut world = World::new();
    for (name, pid) in [("mine", 100), ("in-my-user-namespace", 200), ("roots", 300)] {
        world.docker(name, pid);
        world.container(name).word_of_uid = Some(1000);
    }
    world.task(100).uid = Some(1000);
    world.task(200).uid = Some(100_000);
    world.task(200).user_namespace_owner = Some(1000);
    let pods = world.pods();
    let state = |name: &str| pod_of(&pods, name).containers.iter().find(|it| it.name == name).unwrap().state;
    assert_eq!(state("mine"), State::Running);
    assert_eq!(state("in-my-user-namespace"), State::Running);
    assert_eq!(state("roots"), State::Exited, "the process is not that user's");
}

#[test]
fn a_users_runtime_cannot_put_a_container_into_roots_pod() {
    let mut world = World::new();
    world.sandbox("s", "web");
    world.docker("POD", 100);
    world.container("POD").pod = Some("s".to_owned());
    world.container("POD").infra_mark = Some("a sandbox".to_owned());
    world.docker("evil", 200).task().uid = Some(1000);
    let evil = world.container("evil");
    evil.word_of_uid = Some(1000);
    evil.pod = Some("s".to_owned());
    evil.declared.insert(Kind::Net, Declaration::Pod);
    evil.declared.insert(Kind::Ipc, Declaration::Container(id("POD")));
    let pods = world.pods();
    assert_eq!(names(pod_named(&pods, "web")), ["POD"]);
}

#[test]
fn a_virtual_machine_is_unknown_with_a_gap_and_never_isolated() {
    let mut world = World::new();
    world.docker("kata", 100);
    world.container("kata").opaque = Some("it runs in a virtual machine (Kata)".to_owned());
    let snapshot = crate::state::snapshot(&world.seen);
    let pod = pod_of(&snapshot.pods, "kata");
    assert_eq!(pod.verdict, Verdict::Unknown);
    assert!(snapshot.gaps.iter().any(|gap| gap.could_change_verdict && gap.what.contains("kata")));
}

#[test]
fn an_init_container_is_one_where_its_runtime_says_so() {
    let mut world = World::new();
    world.docker("setup", 100);
    world.container("setup").role = Some(DeclaredRole::Init);
    assert_eq!(pod_of(&world.pods(), "setup").containers[0].role, Role::Init);
}

/// Two pods of runc's: in each one that others joined by paths.
fn two_hand_made_pods() -> World {
    let mut world = World::new();
    for (owner, joiner, pid) in [("a1", "a2", 100), ("b1", "b2", 200)] {
        world.docker(owner, pid);
        world.docker(joiner, pid + 10).with(pid, &[Kind::Net, Kind::Ipc]);
        for kind in [Kind::Net, Kind::Ipc] {
            let path = format!("/proc/{pid}/ns/{kind}");
            world.container(joiner).declared.insert(kind, Declaration::Path { path, inode: None });
        }
    }
    world
}

#[test]
fn who_joins_two_pods_is_in_one_and_the_two_stay_two() {
    let mut world = two_hand_made_pods();
    world.docker("torn", 300).with(100, &[Kind::Net]).with(200, &[Kind::Ipc]);
    for (kind, pid) in [(Kind::Net, 100), (Kind::Ipc, 200)] {
        let path = format!("/proc/{pid}/ns/{kind}");
        world.container("torn").declared.insert(kind, Declaration::Path { path, inode: None });
    }
    let pods = world.pods();
    assert_eq!(pods.len(), 2, "{pods:#?}");
    assert_eq!(names(pod_of(&pods, "a1")), ["a1", "a2", "torn"], "net comes before ipc");
    assert_eq!(names(pod_of(&pods, "b1")), ["b1", "b2"]);
    // And the other way about, where it shares more with the second.
    world.task(300).namespaces.set(Kind::Uts, 7000);
    world.task(200).namespaces.set(Kind::Uts, 7000);
    let path = "/proc/200/ns/uts".to_owned();
    world.container("torn").declared.insert(Kind::Uts, Declaration::Path { path, inode: None });
    assert_eq!(names(pod_of(&world.pods(), "b1")), ["b1", "b2", "torn"]);
}

#[test]
fn one_that_joins_two_containers_without_pods_makes_one_pod_of_all() {
    let mut world = World::new();
    world.docker("one", 100);
    world.docker("two", 200);
    world.docker("both", 300);
    world.join("both", "one", &[Kind::Net]);
    world.join("both", "two", &[Kind::Ipc]);
    world.serves(100);
    world.serves(200);
    assert_eq!(names(pod_of(&world.pods(), "both")), ["one", "two", "both"]);
}

#[test]
fn an_id_that_two_runtimes_use_is_looked_up_in_ones_own_first() {
    let mut world = World::new();
    for (name, pid, runtime) in [
        ("ctr", 100, crate::observation::Runtime::Containerd),
        ("runc", 200, crate::observation::Runtime::Oci),
    ] {
        world.docker(name, pid);
        let container = world.container(name);
        container.id = "web".to_owned();
        container.runtime = runtime;
        container.start_ticks = Some(u64::from(pid) * 100);
        world.task(pid).cgroup = Some(format!("/{name}/web").into());
    }
    world.docker("joiner", 300).with(200, &[Kind::Net]);
    let joiner = world.container("joiner");
    joiner.runtime = crate::observation::Runtime::Oci;
    joiner.start_ticks = Some(30_000);
    joiner.declared.insert(Kind::Net, Declaration::Container("web".to_owned()));
    world.serves(200);
    let pods = world.pods();
    assert_eq!(names(pod_of(&pods, "joiner")), ["runc", "joiner"]);
}

#[test]
fn a_sandbox_that_is_not_ready_still_names_its_pod() {
    let mut world = World::new();
    world.seen.pods.push(DeclaredPod {
        ready: Some(false),
        namespace: Some("kube-system".to_owned()),
        ..DeclaredPod::new("s", "dns", crate::observation::Origin::Kubernetes)
    });
    let exited = world.exited("app");
    exited.pod = Some("s".to_owned());
    exited.state = RuntimeState::Exited;
    let pods = world.pods();
    assert_eq!((pods[0].name.as_str(), pods[0].namespace.as_deref()), ("dns", Some("kube-system")));
}
