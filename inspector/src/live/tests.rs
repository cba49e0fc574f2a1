//! Two moments, and what is told of the time between.

use super::*;
use crate::observation::{Kind, NamespaceFact, Wait};
use crate::state::tests::world::{World, id};
use crate::view::{EventType as T, ExitCause};

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

fn engine(world: &World) -> Engine {
    Engine::new(Moment::of(world.seen.clone()), false)
}

fn advance(engine: &mut Engine, world: &World) -> Vec<Event> {
    engine.advance(Moment::of(world.seen.clone()), &Heard::default())
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
    let next = Moment::of(world.seen.clone());
    let resynced = engine.resynced(&next, "the kernel said no");
    assert_eq!((resynced.sequence, resynced.event_type), (1, T::Resynced));
    assert!(resynced.message.contains("after 2.5 s") && resynced.message.contains("the kernel said no"));
    assert_eq!(engine.advance(next, &Heard::default())[0].sequence, 2);
}

#[test]
fn what_the_kernel_told_of_an_end_counts_where_no_runtime_tells() {
    use crate::observation::{ExitStatus, HeardBy, ProcessKey};
    use crate::view::EventTier;

    let mut world = World::new();
    world.process(500, "web").fresh(Kind::Net);
    world.process(501, "side").with(500, &[Kind::Net]);
    world.serves(500);
    let mut engine = engine(&world);
    let start_ns = world.task(501).start_boottime_ns;
    let start_ticks = world.seen.node.ticks(start_ns);
    world.seen.tasks.retain(|task| task.pid != 501);
    let heard = Heard {
        exits: [(
            ProcessKey { pid: 501, start_ticks },
            ExitStatus { code: None, signal: Some(11), core_dumped: true },
        )]
        .into(),
        by: Some(HeardBy::ForkExec),
        ..Heard::default()
    };
    let events = engine.advance(Moment::of(world.seen.clone()), &heard);
    let exited = the(&events, T::ContainerExited);
    let exit = exited.exit.unwrap();
    assert_eq!((exit.code, exit.signal, exit.cause), (None, Some(11), ExitCause::Signal));
    assert_eq!(exited.tier, EventTier::ForkExec);
}

#[test]
fn what_did_not_arrive_is_told_by_cause() {
    let world = application_owned();
    let mut engine = engine(&world);
    let next = Moment::of(world.seen.clone());
    assert_eq!(engine.lost(&next, &Heard::default()), None);
    let heard = Heard { lost: [("ring-full", 7), ("untracked", 2)].into(), ..Heard::default() };
    let lost = engine.lost(&next, &heard).unwrap();
    assert_eq!((lost.event_type, lost.sequence), (T::Resynced, 1));
    assert_eq!(lost.lost.unwrap().records, 9);
    assert!(lost.message.contains("7 ring-full, 2 untracked"), "{}", lost.message);
}
