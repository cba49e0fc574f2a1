//! Two moments, and what is told of the time between.

mod lives;

use super::*;
use crate::observation::{
    Blind, EventCgroup, ExitStatus, Kind, NamespaceFact, NamespaceSet, Task, TaskRef, Wait,
};
use crate::state::tests::world::{World, id};
use crate::view::{EventType, EventType as T, ExitCause};

const JOINED: [Kind; 3] = [Kind::Pid, Kind::Net, Kind::Ipc];

/// The article's first pod; `init` is nginx's.
fn application_owned() -> World {
    let mut world = World::new();
    world.docker("nginx", 100).fresh(Kind::Pid).task().pid_namespace_init = true;
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &JOINED);
    world.serves(100);
    world
}

pub(super) fn look(world: &World) -> Look {
    let since_boottime_ns = world.seen.node.boottime_ns;
    Look { observation: world.seen.clone(), since_boottime_ns }
}

fn engine(world: &World) -> Engine {
    Engine::start(look(world), Some(HeardBy::Fexit), false)
}

fn advance(engine: &mut Engine, world: &World) -> Vec<Event> {
    engine.take(Input::Look(Box::new(look(world))))
}

fn tell(engine: &mut Engine, events: Vec<KernelEvent>) -> Vec<Event> {
    engine.take(Input::Told(Told { events, by: Some(HeardBy::Fexit), ..Told::default() }))
}

/// What the kernel tells of a task, `after_ms` after the last look.
pub(super) fn event(world: &World, kind: EventKind, task: &Task, after_ms: u64) -> KernelEvent {
    let set = NamespaceSet {
        namespaces: task.namespaces,
        pid_for_children: task.namespaces.get(Kind::Pid),
        time_for_children: task.namespaces.get(Kind::Time),
    };
    KernelEvent {
        kind,
        boottime_ns: world.seen.node.boottime_ns + after_ms * 1_000_000,
        pid: task.pid,
        tgid: task.tgid,
        start_boottime_ns: task.start_boottime_ns,
        process_start_boottime_ns: task.start_boottime_ns,
        comm: task.comm.clone(),
        uid: 0,
        user_namespace_owner: 0,
        level: 0,
        pid_inside: task.pid,
        kernel_thread: false,
        pid_namespace_init: task.pid_namespace_init,
        caller: None,
        parent_is_callers: false,
        parent: None,
        exit: None,
        old: Some(set),
        old_is_parents: false,
        new: (kind != EventKind::Exit).then_some(set),
        cgroup: EventCgroup::default(),
    }
}

fn exit(world: &mut World, pid: u32, status: u32, after_ms: u64) -> KernelEvent {
    let task = world.task(pid).clone();
    KernelEvent {
        exit: Some(ExitStatus::from_wait(status)),
        ..event(world, EventKind::Exit, &task, after_ms)
    }
}

fn types(events: &[Event]) -> Vec<EventType> {
    let mut types: Vec<_> = events.iter().map(|it| it.event_type).collect();
    types.dedup();
    types
}

fn the(events: &[Event], event_type: EventType) -> &Event {
    let mut found = events.iter().filter(|it| it.event_type == event_type);
    let one = found.next().unwrap_or_else(|| panic!("no {}: {events:#?}", event_type.name()));
    assert_eq!(found.next(), None);
    one
}

#[test]
fn nothing_happens_between_two_equal_moments() {
    let world = application_owned();
    let mut engine = engine(&world);
    assert_eq!(advance(&mut engine, &world), []);
}

#[test]
fn the_end_of_pid_1_is_told_with_its_victims_and_in_the_contracts_order() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    world.stop("busybox", "2026-11-27T10:00:00Z", 137);
    world.stop("nginx", "2026-11-27T10:00:00Z", 0);
    let events = advance(&mut engine, &world);
    let order = types(&events);
    assert_eq!(order[..3], [T::ContainerExited, T::OwnerExited, T::PodCollapsed], "{order:?}");
    assert_eq!(order.last(), Some(&T::FindingCleared));
    let collapsed = the(&events, T::PodCollapsed);
    assert_eq!(collapsed.victims.len(), 1);
    assert_eq!((&collapsed.victims[0].container, collapsed.victims[0].signal), (&id("busybox"), 9));
    let causes: Vec<_> = events.iter().filter_map(|it| Some(it.exit?.cause)).collect();
    assert_eq!(causes, [ExitCause::Itself, ExitCause::PidNamespaceDied]);
    let sequence: Vec<u64> = events.iter().map(|it| it.sequence).collect();
    assert_eq!(sequence, (1..=sequence.len() as u64).collect::<Vec<_>>());
}

#[test]
fn who_ended_by_itself_at_the_same_time_is_no_victim() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    world.stop("busybox", "2026-11-27T10:00:00Z", 3);
    world.stop("nginx", "2026-11-27T10:00:00Z", 0);
    let events = advance(&mut engine, &world);
    assert!(!types(&events).contains(&T::PodCollapsed), "{events:#?}");
}

#[test]
fn the_end_of_a_joiner_leaves_the_pod() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    world.stop("busybox", "2026-11-27T10:00:00Z", 1);
    let events = advance(&mut engine, &world);
    assert_eq!(the(&events, T::PodSurvived).pod.as_ref().unwrap().name, "nginx");
    assert_eq!(the(&events, T::ContainerExited).exit.unwrap().code, Some(1));
    let left = the(&events, T::NamespaceLeft);
    assert_eq!(
        left.namespaces.iter().map(|it| it.kind).collect::<Vec<_>>(),
        [Kind::Ipc, Kind::Pid, Kind::Net]
    );
    let order = types(&events);
    assert!(!order.contains(&T::OwnerExited) && !order.contains(&T::PodCollapsed), "{order:?}");
}

#[test]
fn a_joiner_is_told_with_whom_it_joins() {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.serves(100);
    let mut engine = engine(&world);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net]);
    let events = advance(&mut engine, &world);
    the(&events, T::ContainerStarted);
    let joined = the(&events, T::NamespaceJoined);
    assert_eq!(joined.namespaces.len(), 1);
    let change = &joined.namespaces[0];
    assert_eq!((change.kind, &change.to_owner), (Kind::Net, &Some(id("nginx"))));
    assert_eq!(change.to_pod.as_ref().unwrap().id, id("nginx"));
    let created = the(&events, T::NamespaceCreated);
    assert!(!created.namespaces.iter().any(|it| it.kind == Kind::Net), "{created:#?}");
}

#[test]
fn a_recycled_inode_is_another_generation_by_the_kernels_id_and_by_absence() {
    let mut world = World::new();
    world.docker("one", 100);
    let inode = world.inode(100, Kind::Uts);
    let fact = |id| NamespaceFact { kind: Kind::Uts, inode, owner: None, parent: None, id: Some(id) };
    world.seen.namespaces = vec![fact(7)];
    let mut engine = engine(&world);
    world.seen.namespaces = vec![fact(8)];
    let events = advance(&mut engine, &world);
    let uts = |it: &Event| it.namespaces.iter().find(|it| it.kind == Kind::Uts).map(|it| it.generation);
    assert_eq!(uts(the(&events, T::NamespaceDestroyed)), Some(1));
    assert_eq!(uts(the(&events, T::NamespaceCreated)), Some(2));

    // Without the kernel's id: gone in between.
    world.seen.namespaces = Vec::new();
    let tasks = std::mem::take(&mut world.seen.tasks);
    world.seen.tasks = tasks.iter().filter(|task| task.pid != 100).cloned().collect();
    advance(&mut engine, &world);
    world.seen.tasks = tasks;
    let events = advance(&mut engine, &world);
    assert_eq!(uts(the(&events, T::NamespaceCreated)), Some(3));
}

#[test]
fn a_process_that_moves_is_told_from_where_to_where() {
    let mut world = World::new();
    world.docker("app", 100);
    world.process(500, "mover").fresh(Kind::Net);
    world.process(501, "other").with(500, &[Kind::Net]);
    let (old, new) = (world.inode(500, Kind::Net), world.inode(100, Kind::Net));
    let mut engine = engine(&world);
    world.task(500).namespaces.set(Kind::Net, new);
    let events = advance(&mut engine, &world);
    let left = the(&events, T::NamespaceLeft);
    assert_eq!((left.namespaces[0].from, left.namespaces[0].to), (Some(old), Some(new)));
    // It is in a container's network and of none: that is more than a join.
    let entered = the(&events, T::ForeignEntered);
    assert_eq!(entered.pod.as_ref().unwrap().id, id("app"));
    assert!(!types(&events).contains(&T::NamespaceJoined));
}

#[test]
fn a_restart_between_two_moments_is_an_end_and_a_start() {
    let mut world = World::new();
    world.docker("app", 100);
    world.does(100, Wait::Signal);
    let mut engine = engine(&world);
    world.task(100).start_boottime_ns += 5_000_000_000;
    world.container("app").start_ticks = None;
    let events = advance(&mut engine, &world);
    the(&events, T::ContainerExited);
    the(&events, T::ContainerStarted);
}

#[test]
fn a_gap_in_looking_is_told_before_what_was_found_after_it() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    world.stop("busybox", "2026-11-27T10:00:00Z", 1);
    world.seen.node.boottime_ns += 2_500_000_000;
    let blind = Blind { boottime_ns: world.seen.node.boottime_ns, why: "the kernel said no".to_owned() };
    assert_eq!(engine.take(Input::Blind(blind)), []);
    let events = advance(&mut engine, &world);
    let resynced = &events[0];
    assert_eq!((resynced.sequence, resynced.event_type), (1, T::Resynced));
    assert!(resynced.message.contains("after 2.5 s") && resynced.message.contains("the kernel said no"));
    assert_eq!(events[1].sequence, 2);
}

#[test]
fn what_the_kernel_told_of_an_end_is_told_at_once_and_once() {
    let mut world = World::new();
    world.process(500, "web").fresh(Kind::Net);
    world.process(501, "side").with(500, &[Kind::Net]);
    world.serves(500);
    let mut engine = engine(&world);
    // SIGSEGV, with a core dump.
    let events = [exit(&mut world, 501, 0x80 | 11, 3)].to_vec();
    let told = tell(&mut engine, events);
    let exited = the(&told, T::ContainerExited);
    let end = exited.exit.unwrap();
    assert_eq!((end.code, end.signal, end.cause), (None, Some(11), ExitCause::Signal));
    assert_eq!(exited.tier, EventTier::Fexit);
    assert_eq!(exited.boottime_ns, world.seen.node.boottime_ns + 3_000_000);
    the(&told, T::PodSurvived);

    world.seen.tasks.retain(|task| task.pid != 501);
    world.seen.node.boottime_ns += 1_000_000_000;
    assert!(!types(&advance(&mut engine, &world)).contains(&T::ContainerExited));
}

#[test]
fn a_look_older_than_an_end_brings_nobody_back() {
    let mut world = World::new();
    world.process(500, "web").fresh(Kind::Net);
    world.process(501, "side").with(500, &[Kind::Net]);
    world.serves(500);
    let mut engine = engine(&world);
    let events = vec![exit(&mut world, 501, 9, 3)];
    the(&tell(&mut engine, events), T::ContainerExited);
    // Its tasks were read before.
    assert_eq!(types(&advance(&mut engine, &world)), [T::FindingCleared]);
    assert!(engine.last().task(501).is_none());
}

#[test]
fn an_init_takes_its_pid_namespace_with_it_in_one_breath() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    let events = vec![exit(&mut world, 100, 0, 3), exit(&mut world, 200, 9, 4)];
    let told = tell(&mut engine, events);
    let order = types(&told);
    assert_eq!(order[..3], [T::ContainerExited, T::OwnerExited, T::PodCollapsed], "{order:?}");
    assert_eq!(the(&told, T::PodCollapsed).victims[0].container, id("busybox"));
    let causes: Vec<_> = told.iter().filter_map(|it| Some(it.exit?.cause)).collect();
    assert_eq!(causes, [ExitCause::Itself, ExitCause::PidNamespaceDied]);
}

/// A look finds the init past its namespaces, busybox and a child of it still in them.
fn kill_slowly(world: &mut World) {
    let init = world.task(100);
    init.zombie = true;
    init.namespaces = init.namespaces.iter().filter(|it| [Kind::Pid, Kind::User].contains(&it.0)).collect();
    let mut child = world.task(200).clone();
    (child.pid, child.tgid, child.parent) = (201, 201, 200);
    world.seen.tasks.push(child);
    world.seen.node.boottime_ns += 50_000_000;
}

#[test]
fn who_is_killed_with_an_init_does_not_begin_again_while_that_waits_for_it() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    let end = exit(&mut world, 100, 0, 3);
    let order = types(&tell(&mut engine, vec![end]));
    assert_eq!(order[..3], [T::ContainerExited, T::OwnerExited, T::PodCollapsed], "{order:?}");
    kill_slowly(&mut world);
    let of_containers = [T::ContainerStarted, T::ContainerExited, T::PodSurvived];
    let events = advance(&mut engine, &world);
    assert!(!events.iter().any(|it| of_containers.contains(&it.event_type)), "{events:#?}");
    // Whom the kernel cannot kill, it has not killed.
    world.seen.node.boottime_ns += ENDS_NS;
    the(&advance(&mut engine, &world), T::ContainerStarted);
}

#[test]
fn a_look_in_the_middle_of_a_collapse_finds_no_survivor() {
    let mut world = application_owned();
    let mut engine = engine(&world);
    kill_slowly(&mut world);
    let order = types(&advance(&mut engine, &world));
    assert_eq!(order[..3], [T::ContainerExited, T::OwnerExited, T::PodCollapsed], "{order:?}");
    // What the kernel told of it comes late, and the next look finds nobody.
    let end = exit(&mut world, 100, 0, 3);
    assert_eq!(tell(&mut engine, vec![end]), []);
    world.seen.tasks.retain(|task| task.pid < 100);
    world.seen.node.boottime_ns += 50_000_000;
    let events = advance(&mut engine, &world);
    assert!(!events.iter().any(|it| it.event_type != T::NamespaceDestroyed), "{events:#?}");
}

#[test]
fn every_use_of_an_inode_within_one_batch_is_told() {
    let mut world = World::new();
    world.process(500, "maker");
    let mut engine = engine(&world);
    let before = world.task(500).clone();
    let (mut at, mut events) = (0, Vec::new());
    for _ in 0..3 {
        at += 1;
        let mut after = before.clone();
        after.namespaces.set(Kind::Uts, 77);
        let old = event(&world, EventKind::Unshare, &before, at).old;
        events.push(KernelEvent { old, ..event(&world, EventKind::Unshare, &after, at) });
    }
    let told = tell(&mut engine, events);
    let generations = |wanted| -> Vec<u64> {
        told.iter().filter(|it| it.event_type == wanted).map(|it| it.namespaces[0].generation).collect()
    };
    assert_eq!(generations(T::NamespaceCreated), [1, 2, 3]);
    assert_eq!(generations(T::NamespaceDestroyed), [1, 2]);
}

#[test]
fn who_made_a_namespace_and_then_the_first_process_of_a_container_made_it_for_that() {
    let mut world = World::new();
    world.process(500, "stage");
    let mut engine = engine(&world);
    let before = world.task(500).clone();
    let mut after = before.clone();
    after.namespaces.set(Kind::Net, 77);
    let mut child = after.clone();
    (child.pid, child.tgid, child.comm) = (501, 501, "server".into());
    child.start_boottime_ns += 20_000_000;
    let mut other = child.clone();
    (other.pid, other.tgid, other.comm) = (400, 400, "joiner".into());
    other.start_boottime_ns -= 10_000_000;
    let caller = TaskRef { pid: 500, tgid: 500, process_start_boottime_ns: before.start_boottime_ns };
    let old = event(&world, EventKind::Unshare, &before, 1).old;
    let fork = KernelEvent { caller: Some(caller), ..event(&world, EventKind::Fork, &child, 2) };
    tell(&mut engine, vec![KernelEvent { old, ..event(&world, EventKind::Unshare, &after, 1) }, fork]);
    // The stage is gone, and another, older, process has joined.
    world.seen.tasks.retain(|task| task.pid != 500);
    world.seen.tasks.extend([other, child]);
    world.seen.tasks.put_in_order();
    world.seen.node.boottime_ns += 1_000_000_000;
    advance(&mut engine, &world);
    let pod = engine.last().pods().iter().find(|pod| pod.containers.len() == 2).unwrap();
    let net = pod.namespaces.iter().find(|it| it.kind == Kind::Net).unwrap();
    assert_eq!(
        (net.owner.pid, net.owner.evidence),
        (501, crate::view::Evidence::Observed),
        "{}",
        net.owner.why
    );

    // Once it is dead, who watched knows whose it was and what.
    let events = vec![{
        let server = world.task(501).clone();
        KernelEvent { exit: Some(ExitStatus::from_wait(0)), ..event(&world, EventKind::Exit, &server, 1) }
    }];
    world.seen.tasks.retain(|task| task.pid != 501);
    tell(&mut engine, events);
    world.seen.node.boottime_ns += 1_000_000_000;
    advance(&mut engine, &world);
    let history = &engine.last().observation().history;
    assert_eq!(history.owner(Kind::Net, 77).unwrap().init.pid, 501);
}

#[test]
fn a_container_that_is_over_before_a_look_knows_it_is_told_by_its_name() {
    let mut world = World::new();
    world.docker("other", 100);
    let mut engine = engine(&world);
    let mut later = World::new();
    later.docker("other", 100);
    later.docker("brief", 300).fresh(Kind::Net);
    let init = later.task(300).clone();
    let name = EventCgroup { name: id("brief").into(), ..EventCgroup::default() };
    let host = world.seen.tasks.iter().find(|task| task.pid == 2).unwrap().clone();
    let old = event(&world, EventKind::Fork, &host, 1).old;
    let born = KernelEvent { old, cgroup: name.clone(), ..event(&world, EventKind::Fork, &init, 1) };
    let end = KernelEvent {
        cgroup: name,
        exit: Some(ExitStatus::from_wait(3 << 8)),
        ..event(&world, EventKind::Exit, &init, 6)
    };
    // Nobody knows its name yet.
    assert_eq!(tell(&mut engine, vec![born, end]), []);
    later.stop("brief", "2026-11-27T10:00:00Z", 3);
    later.seen.node.boottime_ns = world.seen.node.boottime_ns + 100_000_000;
    let told = advance(&mut engine, &later);
    for wanted in [T::NamespaceCreated, T::ContainerStarted, T::ContainerExited] {
        let it = the(&told, wanted);
        assert_eq!(it.container.as_ref().unwrap().name, "brief", "{it:#?}");
    }
    assert_eq!(the(&told, T::ContainerExited).exit.unwrap().code, Some(3));
    later.seen.node.boottime_ns += 1_000_000_000;
    assert!(!types(&advance(&mut engine, &later)).contains(&T::ContainerStarted));
}

#[test]
fn who_is_left_over_by_a_container_is_no_life_of_it() {
    let mut world = World::new();
    world.docker("app", 100);
    let mut engine = engine(&world);
    let end = exit(&mut world, 100, 9, 1);
    the(&tell(&mut engine, vec![end]), T::ContainerExited);
    // A child of it, in the node's PID namespace, becomes another program and ends before a look.
    let mut child = world.task(100).clone();
    (child.pid, child.tgid, child.pid_namespace_init) = (101, 101, false);
    child.start_boottime_ns += 10_000_000;
    let cgroup = EventCgroup { name: id("app").into(), ..EventCgroup::default() };
    let exec = KernelEvent { cgroup: cgroup.clone(), ..event(&world, EventKind::Exec, &child, 2) };
    let status = Some(ExitStatus::from_wait(0));
    let end = KernelEvent { cgroup, exit: status, ..event(&world, EventKind::Exit, &child, 3) };
    tell(&mut engine, vec![exec, end]);
    world.stop("app", "2026-11-27T10:00:00Z", 137);
    world.seen.node.boottime_ns += 1_000_000_000;
    let told = types(&advance(&mut engine, &world));
    assert!(!told.contains(&T::ContainerStarted) && !told.contains(&T::ContainerExited), "{told:?}");
}

#[test]
fn what_did_not_arrive_is_told_by_cause_with_the_next_look() {
    let world = application_owned();
    let mut engine = engine(&world);
    let lost = [("ring-full".to_owned(), 7), ("untracked".to_owned(), 2)].into();
    let told = Told { lost, by: Some(HeardBy::Fexit), ..Told::default() };
    assert_eq!(engine.take(Input::Told(told)), []);
    let events = advance(&mut engine, &world);
    let lost = the(&events, T::Resynced);
    assert_eq!((lost.sequence, lost.lost.as_ref().unwrap().records), (1, 9));
    assert!(lost.message.contains("7 ring-full, 2 untracked"), "{}", lost.message);
    assert_eq!(engine.lost(), 9);
    assert_eq!(advance(&mut engine, &world), []);
}
