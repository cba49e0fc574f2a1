//! Who a process belongs to: never by a bare pid, never by the name of a cgroup alone.

use super::*;
use crate::observation::{Declaration, RuntimeState, Task};
use crate::view::Identity;

#[test]
fn processes_are_the_living_thread_groups_of_the_cgroup_subtree() {
    let mut world = World::new();
    let cgroup = format!("/docker/{}", id("app"));
    world.docker("app", 100);
    world.process(110, "worker").cgroup(&cgroup).child_of(100);
    world.process(120, "nested").cgroup(&format!("{cgroup}/deeper/still")).child_of(100);
    world.process(130, "dead").cgroup(&cgroup).task().zombie = true;
    let thread = world.process(110, "thread").cgroup(&cgroup).task().clone();
    world.seen.tasks.iter_mut().next_back().unwrap().pid = 111;
    assert_eq!(thread.tgid, 110);
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "app").containers[0].processes, 3);
}

#[test]
fn a_process_whose_main_thread_has_ended_lives_on_in_its_siblings() {
    let mut world = World::new();
    world.docker("app", 100);
    let thread = Task { pid: 101, ..world.task(100).clone() };
    let namespaces = thread.namespaces;
    world.seen.tasks.push(thread);
    let leader = world.task(100);
    leader.zombie = true;
    leader.threads = Some(2);
    leader.namespaces =
        [Kind::Pid, Kind::User].map(|kind| (kind, namespaces.get(kind).unwrap())).into_iter().collect();
    let pods = world.pods();
    let app = &pod_of(&pods, "app").containers[0];
    assert_eq!((app.state, app.init_pid, app.processes), (State::Running, 100, 1));
    assert_eq!(app.namespaces, namespaces.iter().collect());
    world.task(100).threads = Some(1);
    assert_eq!(pod_of(&world.pods(), "app").containers[0].state, State::Exited);
}

#[test]
fn a_reused_pid_is_not_the_container() {
    let mut world = World::new();
    world.docker("app", 100);
    world.container("app").start_ticks = Some(4242);
    world.task(100).comm = "later".into();
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "app").containers[0].state, State::Exited);
    world.container("app").start_ticks = Some(10_000);
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "app").containers[0].state, State::Running);
}

#[test]
fn a_pid_in_a_foreign_cgroup_is_not_the_container() {
    let mut world = World::new();
    world.docker("app", 100).cgroup("/user.slice/session-1.scope").task().comm = "later".into();
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "app").containers[0].state, State::Exited);
}

#[test]
fn a_cgroup_named_like_anothers_id_is_not_believed() {
    let mut world = World::new();
    world.docker("app", 100);
    world.docker("evil", 200);
    let (app, evil) = (id("app"), id("evil"));
    world.process(210, "faker").cgroup(&format!("/docker/{evil}/docker/{app}")).child_of(200);
    world.process(220, "stray").cgroup(&format!("/fake/docker/{app}"));
    let pods = world.pods();
    assert_eq!(pod_of(&pods, "app").containers[0].processes, 1);
    assert_eq!(
        pod_of(&pods, "evil").containers[0].processes,
        2,
        "what is below a container's cgroup is its own"
    );
    assert_eq!(pods.len(), 2);
}

#[test]
fn what_only_a_cgroup_says_is_cgroup_only() {
    let mut world = World::new();
    let hidden = "ab".repeat(32);
    world.process(100, "app").fresh(Kind::Net).fresh(Kind::Pid).cgroup(&format!("/docker/{hidden}"));
    let pods = world.pods();
    let container = &pods[0].containers[0];
    assert_eq!(
        (&container.id, container.identity, container.role),
        (&hidden, Identity::CgroupOnly, Role::Unknown)
    );
    assert_eq!(container.runtime, Some(crate::observation::Runtime::Docker));
}

#[test]
fn of_two_cgroups_named_alike_the_elder_is_the_container() {
    let mut world = World::new();
    let hidden = "ab".repeat(32);
    world.process(100, "app").fresh(Kind::Net).cgroup(&format!("/docker/{hidden}"));
    world.process(200, "faker").fresh(Kind::Net).cgroup(&format!("/a/docker/{hidden}"));
    let snapshot = crate::state::snapshot(&world.seen);
    let ids: Vec<_> = snapshot.pods.iter().flat_map(|pod| &pod.containers).map(|it| it.init_pid).collect();
    assert!(ids.contains(&100));
    let real = snapshot.pods.iter().flat_map(|pod| &pod.containers).find(|it| it.id == hidden).unwrap();
    assert_eq!(real.init_pid, 100);
    assert_eq!(snapshot.gaps.len(), 1);
}

#[test]
fn unmanaged_groups_have_their_topmost_processes_for_containers() {
    let mut world = World::new();
    world.process(100, "pause").fresh(Kind::Net).fresh(Kind::Ipc).fresh(Kind::Pid);
    world.process(110, "child").with(100, &[Kind::Net, Kind::Ipc, Kind::Pid]).child_of(100);
    world.process(200, "web").with(100, &[Kind::Net, Kind::Pid]);
    world.process(300, "plain");
    world.pauses(100);
    world.pauses(110);
    let pods = world.pods();
    assert_eq!(pods.len(), 1, "{pods:#?}");
    let pod = &pods[0];
    assert_eq!((names(pod), pod.verdict), (vec!["pause", "web"], Verdict::PauseOwned));
    assert_eq!(pod.containers[0].id, "proc:100:10000");
    assert_eq!((pod.containers[0].processes, pod.containers[0].role), (2, Role::Infra));
    assert_eq!(pod.containers[1].role, Role::Unknown);
    assert!(pod.containers[0].runtime.is_none());
    assert_eq!(owner(pod, Kind::Pid).evidence, Evidence::Inferred);
    assert_eq!(owner(pod, Kind::Net).evidence, Evidence::Inferred);
}

#[test]
fn a_parent_that_waits_outside_the_new_pid_namespace_is_the_top() {
    let mut world = World::new();
    world.process(100, "unshare").fresh(Kind::Net).task().pid_for_children = Some(9000);
    world.process(110, "sh").with(100, &[Kind::Net]).fresh(Kind::Pid).child_of(100);
    let pods = world.pods();
    assert_eq!(names(&pods[0]), ["unshare"]);
    assert_eq!(pods[0].containers[0].processes, 2);
    assert!(pods[0].namespaces.iter().any(|it| it.kind == Kind::Pid), "its PID namespace is listed");
}

#[test]
fn an_intruder_in_a_container_is_no_group_of_its_own() {
    let mut world = World::new();
    world.docker("app", 100);
    world.process(200, "nsenter").with(100, &[Kind::Net]);
    let pods = world.pods();
    assert_eq!(pods.len(), 1);
    assert_eq!(names(&pods[0]), ["app"]);
}

#[test]
fn the_inspector_does_not_report_itself() {
    let mut world = World::new();
    world.process(100, "inspector").fresh(Kind::Net);
    world.seen.reader.pid = 100;
    assert!(world.pods().is_empty());
}

#[test]
fn a_created_container_that_never_ran_is_not_listed() {
    let mut world = World::new();
    world.exited("new").state = RuntimeState::Created;
    assert!(world.pods().is_empty());
}

#[test]
fn names_and_short_ids_of_partners_are_resolved() {
    let mut world = World::new();
    world.docker("web", 100);
    world.docker("by-name", 200).with(100, &[Kind::Net]);
    world.docker("by-id", 300).with(100, &[Kind::Net]);
    world.serves(100);
    world.container("by-name").declared.insert(Kind::Net, Declaration::Container("web".to_owned()));
    world.container("by-id").declared.insert(Kind::Net, Declaration::Container(id("web")[..12].to_owned()));
    let pods = world.pods();
    for container in &pod_of(&pods, "web").containers[1..] {
        assert_eq!(container.declared[&Kind::Net], format!("container:{}", id("web")));
    }
}

#[test]
fn a_path_is_resolved_by_the_namespace_behind_it() {
    let mut world = World::new();
    world.docker("web", 100);
    let net = world.inode(100, Kind::Net);
    world.docker("joins", 200).with(100, &[Kind::Net]);
    world.docker("stale", 300);
    world.docker("host", 400).in_host(&[Kind::Net]);
    for (name, path, inode) in [
        ("joins", "/proc/100/ns/net", Some(net)),
        ("stale", "/proc/100/ns/net", None),
        ("host", "/run/netns/x", None),
    ] {
        let path = path.to_owned();
        world.container(name).declared.insert(Kind::Net, Declaration::Path { path, inode });
    }
    world.serves(100);
    let pods = world.pods();
    let declared = |name: &str| {
        let pod = pod_of(&pods, name);
        pod.containers.iter().find(|it| it.name == name).unwrap().declared[&Kind::Net].clone()
    };
    assert_eq!(declared("joins"), format!("container:{}", id("web")));
    assert_eq!(declared("stale"), "unknown", "the pid in the path has another namespace than the container");
    assert_eq!(declared("host"), "host");
}

#[test]
fn a_running_container_without_a_process_is_a_reason_to_look_again() {
    let mut world = World::new();
    world.docker("app", 100);
    assert!(!crate::state::seen_in_motion(&world.seen));
    world.seen.tasks.retain(|task| task.pid != 100);
    assert!(crate::state::seen_in_motion(&world.seen));
}

#[test]
fn so_is_a_container_too_young_for_its_runtime_to_know_but_not_one_of_another_daemon() {
    let mut world = World::new();
    world.process(100, "app").fresh(Kind::Net).cgroup(&format!("/docker/{}", "ab".repeat(32)));
    world.seen.runtimes.push(crate::observation::RuntimeReport {
        runtime: crate::observation::Runtime::Docker,
        endpoint: "/run/docker.sock".to_owned(),
        status: crate::observation::RuntimeStatus::Ok,
        detail: String::new(),
    });
    world.seen.node.boottime_ns = 101_000_000_000;
    assert!(crate::state::seen_in_motion(&world.seen));
    world.seen.node.boottime_ns = 900_000_000_000;
    assert!(!crate::state::seen_in_motion(&world.seen));
}
