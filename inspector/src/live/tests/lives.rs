//! Beginnings and ends of processes that no runtime claims, whatever comes between two looks.

use std::sync::Arc;

use super::*;
use crate::view::Pod;

/// A group of two, parent and child, whose own parent is none of it.
fn group() -> World {
    let mut world = World::new();
    world.process(400, "shell");
    world.process(500, "web").fresh(Kind::Net).fresh(Kind::Uts).child_of(400);
    world.process(501, "side").with(500, &[Kind::Net, Kind::Uts]).child_of(500);
    world.serves(500);
    world
}

/// Looks again, after the next thing, at whatever is in this world, and then tells the end of a process.
fn look_and_end(engine: &mut Engine, world: &mut World, pid: u32) -> Vec<Event> {
    world.seen.tasks.put_in_order();
    world.seen.node.boottime_ns += 1_000_000_000;
    let mut told = advance(engine, world);
    let end = exit(world, pid, 0, 1);
    told.extend(tell(engine, vec![end]));
    told
}

/// Starts and ends that were told of a process.
fn life(events: &[Event], pid: u32) -> Vec<EventType> {
    let of = |it: &&Event| it.process.as_ref().is_some_and(|process| process.pid == pid);
    let kinds = [T::ContainerStarted, T::ContainerExited];
    events.iter().filter(of).map(|it| it.event_type).filter(|it| kinds.contains(it)).collect()
}

#[test]
fn a_members_child_that_goes_elsewhere_before_a_look_is_no_container_and_ends_as_none() {
    for kind in [EventKind::Setns, EventKind::Unshare] {
        let mut world = group();
        let mut engine = engine(&world);
        // Made since the look, like its parent in all, which is no event.
        world.process(600, "child").with(500, &[Kind::Net]).fresh(Kind::Uts).child_of(500);
        let (child, parent) = (world.task(600).clone(), world.task(500).clone());
        let old = event(&world, kind, &parent, 1).old;
        let start = parent.start_boottime_ns;
        let parent = Some(TaskRef { pid: 500, tgid: 500, process_start_boottime_ns: start });
        let mut told = tell(&mut engine, vec![KernelEvent { old, parent, ..event(&world, kind, &child, 1) }]);
        told.extend(look_and_end(&mut engine, &mut world, 600));
        assert_eq!(life(&told, 600), [], "{kind}");
    }
}

#[test]
fn who_is_made_as_a_sibling_is_its_makers_parents_child() {
    // Of the group's topmost, whose parent is none of it; and of one whose parent is the topmost.
    for (caller, parent, wanted) in
        [(500, 400, vec![T::ContainerStarted, T::ContainerExited]), (501, 500, Vec::new())]
    {
        let mut world = group();
        let mut engine = engine(&world);
        world.process(600, "sibling").with(500, &[Kind::Net]).fresh(Kind::Uts).child_of(parent);
        let (child, maker) = (world.task(600).clone(), world.task(caller).clone());
        let old = event(&world, EventKind::Fork, &maker, 1).old;
        let start = maker.start_boottime_ns;
        let caller = Some(TaskRef { pid: caller, tgid: caller, process_start_boottime_ns: start });
        let fork = event(&world, EventKind::Fork, &child, 1);
        let fork = KernelEvent { old, caller, parent_is_callers: true, ..fork };
        let mut told = tell(&mut engine, vec![fork]);
        told.extend(look_and_end(&mut engine, &mut world, 600));
        assert_eq!(life(&told, 600), wanted, "made by {caller:?}");
    }
}

#[test]
fn who_is_put_into_a_containers_cgroup_before_it_executes_is_of_the_container() {
    let mut world = World::new();
    world.docker("app", 100);
    world.task(100).cgroup_id = Some(77);
    let mut engine = engine(&world);
    world.process(600, "runc").with(100, &[Kind::Net, Kind::Pid]).child_of(1);
    let child = world.task(600).clone();
    let fork = event(&world, EventKind::Fork, &child, 1);
    let runtimes = EventCgroup { v2: Some(5), name: "docker.service".into(), ..EventCgroup::default() };
    let own = EventCgroup { v2: Some(77), name: id("app").into(), ..EventCgroup::default() };
    let exec = event(&world, EventKind::Exec, &child, 2);
    let events = vec![
        KernelEvent { cgroup: runtimes, ..fork },
        KernelEvent { cgroup: own, comm: "sleep".into(), ..exec },
    ];
    tell(&mut engine, events);
    let seen = engine.last().observation();
    assert_eq!(seen.task(600).unwrap().cgroup, seen.task(100).unwrap().cgroup);
}

#[test]
fn a_containers_process_that_is_brief_is_none_of_its_own() {
    let own = |name: &str, v2| EventCgroup { v2, name: name.into(), ..EventCgroup::default() };
    let cases = [
        (own(&id("app"), Some(77)), false),
        // One that a look saw below the container's, and one that no look saw and that is named for a container.
        (own("child", Some(78)), false),
        (own(&format!("docker-{}.scope", id("other")), Some(79)), false),
        (own("user.slice", Some(80)), true),
    ];
    for (cgroup, is_told) in cases {
        let mut world = World::new();
        world.docker("app", 100);
        world.task(100).cgroup_id = Some(77);
        let below = format!("{}/child", world.task(100).cgroup.clone().unwrap());
        world.process(101, "child").with(100, &Kind::ALL);
        (world.task(101).cgroup, world.task(101).cgroup_id) = (Some(below.into()), Some(78));
        world.serves(100);
        let mut engine = Engine::start(look(&world), Some(HeardBy::Fexit), true);
        world.process(600, "sandbox").fresh(Kind::Net).child_of(1);
        let task = world.task(600).clone();
        let init = world.task(1).clone();
        let old = event(&world, EventKind::Fork, &init, 1).old;
        let fork = KernelEvent { old, ..event(&world, EventKind::Fork, &task, 1) };
        let end = exit(&mut world, 600, 0, 2);
        let events = [fork, end].map(|it| KernelEvent { cgroup: cgroup.clone(), ..it });
        let told = tell(&mut engine, events.to_vec());
        let expected = if is_told { vec![T::ContainerStarted, T::ContainerExited] } else { vec![] };
        assert_eq!(life(&told, 600), expected, "{cgroup:?}: {told:#?}");
    }
}

#[test]
fn what_a_storm_needed_is_given_back() {
    let mut world = World::new();
    world.process(400, "shell");
    let mut engine = engine(&world);
    let shell = world.task(400).clone();
    let old = event(&world, EventKind::Fork, &shell, 1).old;
    let caller = Some(TaskRef { pid: 400, tgid: 400, process_start_boottime_ns: 400_000_000_000 });
    world.process(500, "brief").fresh(Kind::Uts).child_of(400);
    let brief = world.task(500).clone();
    let mut events = Vec::new();
    for n in 0..20_000 {
        let start_boottime_ns = brief.start_boottime_ns + u64::from(n);
        let task = Task { pid: 1000 + n, tgid: 1000 + n, start_boottime_ns, ..brief.clone() };
        let fork = event(&world, EventKind::Fork, &task, 1);
        events.push(KernelEvent { old, caller, ..fork });
        let exit = event(&world, EventKind::Exit, &task, 2);
        events.push(KernelEvent { exit: Some(ExitStatus::from_wait(0)), ..exit });
    }
    world.seen.tasks.retain(|task| task.pid < 500);
    tell(&mut engine, events);
    assert!(engine.log.len() == 40_000 && engine.ends.len() >= 20_000);
    // A look after all of it, and one after its ends are of no use any more.
    for seconds in [10, 60] {
        world.seen.node.boottime_ns += seconds * 1_000_000_000;
        advance(&mut engine, &world);
    }
    assert!(engine.log.capacity() <= 1024 && engine.ends.capacity() <= 2048, "{}", engine.ends.capacity());
}

#[test]
fn lives_within_one_batch_are_told_one_by_one() {
    for all in [true, false] {
        let mut world = World::new();
        world.process(400, "shell");
        let mut engine = Engine::start(look(&world), Some(HeardBy::Fexit), all);
        let shell = world.task(400).clone();
        let old = event(&world, EventKind::Fork, &shell, 1).old;
        let mut events = Vec::new();
        let parent = |pid: u32| {
            let process_start_boottime_ns = u64::from(pid) * 1_000_000_000;
            Some(TaskRef { pid, tgid: pid, process_start_boottime_ns })
        };
        for pid in [500, 510, 520] {
            world.process(pid, "brief").fresh(Kind::Net).fresh(Kind::Uts).child_of(400);
            // One more of the same group, and one that is like its parent.
            world.process(pid + 1, "child").with(pid, &[Kind::Net]).fresh(Kind::Uts).child_of(pid);
            world.process(pid + 2, "plain").child_of(400);
            for (it, caller) in [(pid, 400), (pid + 1, pid), (pid + 2, 400)] {
                let task = world.task(it).clone();
                let fork = event(&world, EventKind::Fork, &task, u64::from(it));
                events.push(KernelEvent { old, caller: parent(caller), ..fork });
            }
            events.extend([1, 2, 0].map(|it| exit(&mut world, pid + it, 9, 600 + u64::from(pid + it))));
        }
        let told = tell(&mut engine, events);
        for pid in [500, 510, 520] {
            let expected = if all { vec![T::ContainerStarted, T::ContainerExited] } else { Vec::new() };
            assert_eq!(life(&told, pid), expected, "{pid}, all: {all}: {told:#?}");
            assert_eq!((life(&told, pid + 1), life(&told, pid + 2)), (vec![], vec![]), "{told:#?}");
        }
        let ends: Vec<_> = told.iter().filter_map(|it| it.exit).map(|it| (it.code, it.signal)).collect();
        assert_eq!(ends, vec![(None, Some(9)); if all { 3 } else { 0 }]);
        // No look tells of them again.
        world.seen.tasks.retain(|task| task.pid < 500);
        world.seen.node.boottime_ns += 2_000_000_000;
        let later = advance(&mut engine, &world);
        assert!([500, 510, 520].iter().all(|pid| life(&later, *pid).is_empty()), "{later:#?}");
    }
}

#[test]
fn a_look_that_saw_the_same_is_the_last_moment_and_what_differs_then_is_told() {
    let mut world = group();
    world.seen.node.boottime_ns = 1_000_000_000_000;
    let mut engine = engine(&world);
    let before = engine.last().pods().to_vec();
    world.seen.node.boottime_ns += 10_000_000_000;
    (world.task(500).state, world.task(500).threads) = (Some('R'), Some(7));
    assert_eq!(advance(&mut engine, &world), []);
    let seen = engine.last().observation();
    assert_eq!((&seen.node, seen.task(500)), (&world.seen.node, world.seen.task(500)));
    assert_eq!(engine.last().pods(), before);
    // One that ended unheard.
    world.seen.node.boottime_ns += 10_000_000_000;
    world.seen.tasks.retain(|task| task.pid != 500 && task.pid != 501);
    let told = advance(&mut engine, &world);
    assert_eq!(life(&told, 500), [T::ContainerExited], "{told:?}");
    // And one whose age alone makes it an intruder.
    let mut world = World::new();
    world.docker("app", 300);
    world.process(900, "nsenter").with(300, &[Kind::Net]);
    world.seen.node.boottime_ns = 900_100_000_000;
    let mut engine = self::engine(&world);
    world.seen.node.boottime_ns += 2_000_000_000;
    let told: Vec<_> = advance(&mut engine, &world).iter().map(|event| event.event_type).collect();
    assert!(told.contains(&T::ForeignEntered), "{told:?}");
}

#[test]
fn moments_share_the_pods_that_are_as_they_were() {
    let mut world = application_owned();
    world.docker("other", 300);
    let mut engine = engine(&world);
    let pods = |engine: &Engine| engine.last().pods().to_vec();
    let first = pods(&engine);
    // The joiner ends: the pod is another one, and the other is not.
    let end = exit(&mut world, 200, 0, 1);
    tell(&mut engine, vec![end]);
    let told = pods(&engine);
    world.seen.tasks.retain(|task| task.pid != 200);
    world.seen.node.boottime_ns += 1_000_000_000;
    advance(&mut engine, &world);
    let looked = pods(&engine);
    let shared = |one: &[Arc<Pod>], other: &[Arc<Pod>]| -> Vec<(String, bool)> {
        let same = |pod: &Arc<Pod>| other.iter().any(|it| Arc::ptr_eq(it, pod));
        one.iter().map(|pod| (pod.name.clone(), same(pod))).collect()
    };
    let named = |names: [(&str, bool); 2]| names.map(|(name, same)| (name.to_owned(), same));
    assert_eq!(shared(&first, &told), named([("nginx", false), ("other", true)]));
    assert_eq!(shared(&first, &looked), named([("nginx", false), ("other", true)]));
}
