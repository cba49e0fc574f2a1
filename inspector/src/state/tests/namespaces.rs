//! One test for each sentence of the contract about `inspector namespaces`.

use super::world::{World, host, id};
use crate::observation::{
    Creation, Handle, Infra, Kind, NamespaceFact, Observation, Pin, ProcessKey, SandboxNamespace, Task, Via,
};
use crate::state::namespaces::{Above, Namespaces};
use crate::view::{Class, ClassEvidence, Evidence, HolderType, NamespaceRow};

/// What is printed of one namespace.
fn row(seen: &Observation, kind: Kind, inode: u32, check: impl FnOnce(&NamespaceRow<'_>)) {
    let all = Namespaces::of(seen);
    let position = all.position(kind, inode).unwrap_or_else(|| panic!("{kind} {inode} is not listed"));
    check(&NamespaceRow::of(&all.get(position).unwrap()));
}

/// Every namespace with its processes, threads and lowest pid, but for the node's own.
fn counts(seen: &Observation) -> Vec<(Kind, u32, u32, u32, u32)> {
    let all = Namespaces::of(seen);
    let counts = all.iter().filter(|it| it.is_host() != Some(true)).map(|it| {
        (it.kind(), it.inode(), it.processes(), it.threads(), it.lowest().map_or(0, |task| task.pid))
    });
    counts.collect()
}

fn fact(kind: Kind, inode: u32, owner: Option<u32>, parent: Option<u32>) -> NamespaceFact {
    NamespaceFact { kind, inode, owner, parent, id: None }
}

fn thread(pid: u32, tgid: u32, of: &Task) -> Task {
    Task { pid, tgid, ..of.clone() }
}

fn holders(row: &NamespaceRow<'_>) -> Vec<(HolderType, String, u32)> {
    let holder = |holder: &crate::view::NamespaceHolder<'_>| {
        (holder.holder_type, holder.path.as_deref().unwrap_or_default().to_owned(), holder.pid.unwrap_or(0))
    };
    row.holders.iter().map(holder).collect()
}

#[test]
fn every_kind_of_every_task_is_listed_once_and_in_order() {
    let mut world = World::new();
    world.docker("web", 10);
    world.process(11, "same");
    let all = Namespaces::of(&world.seen);
    let listed: Vec<(Kind, u32)> = all.iter().map(|it| (it.kind(), it.inode())).collect();
    assert!(listed.is_sorted());
    assert_eq!(listed.len(), 8 + 6);
    for (position, (kind, inode)) in listed.into_iter().enumerate() {
        assert_eq!(all.position(kind, inode), Some(position));
    }
    row(&world.seen, Kind::Net, host(Kind::Net), |row| {
        assert_eq!((row.processes, row.threads, row.pid, row.host), (3, 3, 1, Some(true)));
        assert_eq!((row.command, row.uid), (Some("init"), Some(0)));
    });
    row(&world.seen, Kind::User, host(Kind::User), |row| assert_eq!(row.processes, 4));
}

#[test]
fn threads_are_counted_where_they_are() {
    let mut world = World::new();
    let mut process = world.process(10, "go").fresh(Kind::Ipc);
    process.task().threads = Some(4);
    let leader = process.task().clone();
    let ipc = leader.namespaces.get(Kind::Ipc).unwrap();
    for (tid, net) in [(12, 70), (13, 71)] {
        let mut stray = thread(tid, 10, &leader);
        stray.namespaces.set(Kind::Net, net);
        world.seen.tasks.push(stray);
    }
    let expected = vec![(Kind::Ipc, ipc, 1, 4, 10), (Kind::Net, 70, 0, 1, 12), (Kind::Net, 71, 0, 1, 13)];
    assert_eq!(counts(&world.seen), expected);
    // Two of its four threads went elsewhere.
    row(&world.seen, Kind::Net, host(Kind::Net), |row| assert_eq!((row.processes, row.threads), (3, 4)));
    // In whatever order they were seen.
    assert_eq!(counts(&world.seen), expected);
    // A process says more of a namespace than a thread with a lower number.
    let mut process = world.process(99, "late");
    process.task().namespaces.set(Kind::Net, 70);
    row(&world.seen, Kind::Net, 70, |row| assert_eq!((row.processes, row.threads, row.pid), (1, 2, 99)));
}

#[test]
fn a_zombie_counts_where_it_still_is_and_is_nobodys_pid() {
    let mut world = World::new();
    let mut init = world.process(10, "init").fresh(Kind::Pid);
    let left = [Kind::Pid, Kind::User].map(|kind| (kind, init.task().namespaces.get(kind).unwrap()));
    init.task().namespaces = left.into_iter().collect();
    init.task().zombie = true;
    init.task().threads = Some(1);
    row(&world.seen, Kind::Pid, left[0].1, |row| {
        assert_eq!((row.processes, row.threads, row.zombies, row.pid), (1, 1, 1, 0));
        assert_eq!((row.command, row.uid), (None, None));
    });
    row(&world.seen, Kind::User, host(Kind::User), |row| assert_eq!((row.processes, row.zombies), (3, 1)));
    row(&world.seen, Kind::Net, host(Kind::Net), |row| assert_eq!((row.processes, row.zombies), (2, 0)));
}

#[test]
fn an_init_that_waits_for_its_zombies_is_nobodys_pid_either() {
    let mut world = World::new();
    let mut init = world.process(10, "init").fresh(Kind::Pid);
    let left = [Kind::Pid, Kind::User].map(|kind| (kind, init.task().namespaces.get(kind).unwrap()));
    init.task().namespaces = left.into_iter().collect();
    row(&world.seen, Kind::Pid, left[0].1, |row| {
        assert_eq!((row.processes, row.zombies, row.pid), (1, 1, 0));
    });
}

#[test]
fn a_main_thread_that_has_ended_leaves_its_siblings_where_they_are() {
    let mut world = World::new();
    let mut process = world.process(10, "go").fresh(Kind::Net);
    let mut sibling = thread(11, 10, process.task());
    let net = sibling.namespaces.get(Kind::Net).unwrap();
    sibling.threads = Some(2);
    process.task().threads = Some(2);
    process.task().zombie = true;
    process.task().namespaces = [Kind::Pid, Kind::User].map(|kind| (kind, host(kind))).into_iter().collect();
    world.seen.tasks.push(sibling);
    row(&world.seen, Kind::Net, net, |row| assert_eq!((row.processes, row.threads, row.pid), (0, 1, 11)));
    row(&world.seen, Kind::Pid, host(Kind::Pid), |row| {
        assert_eq!((row.processes, row.threads, row.zombies), (3, 4, 0));
    });
}

#[test]
fn what_no_process_is_in_is_listed_while_something_holds_it() {
    let mut world = World::new();
    world.process(10, "unshare").task().pid_for_children = Some(80);
    world.task(10).time_for_children = Some(81);
    world.seen.pins = [(82, "/run/netns/b"), (82, "/run/netns/a")]
        .map(|(inode, path)| Pin { kind: Kind::Net, inode, path: path.to_owned() })
        .into();
    world.seen.handles = [(Via::Socket, "/proc/10/fd/4"), (Via::Fd, "/proc/10/fd/3")]
        .map(|(via, path)| Handle { kind: Kind::Net, inode: 83, pid: 10, via, path: path.to_owned() })
        .into();
    world.seen.namespaces = vec![
        fact(Kind::User, 84, Some(host(Kind::User)), Some(host(Kind::User))),
        fact(Kind::User, 85, Some(84), Some(84)),
        fact(Kind::Pid, 87, Some(85), Some(86)),
    ];
    let listed: Vec<(Kind, u32)> = counts(&world.seen).into_iter().map(|it| (it.0, it.1)).collect();
    let expected = [
        (Kind::Pid, 80),
        (Kind::Pid, 86),
        (Kind::Pid, 87),
        (Kind::Net, 82),
        (Kind::Net, 83),
        (Kind::User, 84),
        (Kind::User, 85),
        (Kind::Time, 81),
    ];
    assert_eq!(listed, expected);
    let seen = &world.seen;
    row(seen, Kind::Pid, 80, |row| assert_eq!((row.pid, row.for_children), (0, [10].as_slice())));
    row(seen, Kind::Time, 81, |row| assert_eq!((row.threads, row.for_children), (0, [10].as_slice())));
    row(seen, Kind::Net, 82, |row| {
        let pin = |path: &str| (HolderType::BindMount, path.to_owned(), 0);
        assert_eq!(holders(row), [pin("/run/netns/a"), pin("/run/netns/b")]);
    });
    row(seen, Kind::Net, 83, |row| {
        let kinds: Vec<(HolderType, u32)> = holders(row).into_iter().map(|it| (it.0, it.2)).collect();
        assert_eq!(kinds, [(HolderType::Fd, 10), (HolderType::Socket, 10)]);
    });
    let child = |name: &str| vec![(HolderType::ChildNamespace, name.to_owned(), 0)];
    row(seen, Kind::User, 84, |row| assert_eq!(holders(row), child("user:[85]")));
    row(seen, Kind::User, 85, |row| assert_eq!(holders(row), child("pid:[87]")));
    row(seen, Kind::Pid, 86, |row| assert_eq!(holders(row), child("pid:[87]")));
    row(seen, Kind::Pid, 87, |row| {
        assert_eq!(holders(row), []);
        assert_eq!((row.parent, row.owner_user_namespace), (Some(86), Some(85)));
    });
}

#[test]
fn a_sandboxs_pin_is_told_once_and_with_its_pod() {
    let mut world = World::new();
    world.sandbox("5a", "web");
    let namespace =
        |inode, path: &str| SandboxNamespace { kind: Kind::Net, path: path.to_owned(), inode: Some(inode) };
    world.seen.pods[0].infra = Infra::Processless;
    world.seen.pods[0].namespaces =
        vec![namespace(70, "/var/run/netns/a"), namespace(71, "/var/run/netns/b")];
    world.seen.pins = vec![Pin { kind: Kind::Net, inode: 70, path: "/run/netns/a".to_owned() }];
    for (inode, path) in [(70, "/run/netns/a"), (71, "/var/run/netns/b")] {
        row(&world.seen, Kind::Net, inode, |row| {
            assert_eq!(holders(row), [(HolderType::BindMount, path.to_owned(), 0)]);
            assert_eq!((row.processes, &row.pods), (0, &vec!["5a"]));
            assert_eq!((row.owner.container.as_deref(), row.owner.class), (Some("5a"), Class::RuntimePinned));
        });
    }
}

#[test]
fn what_a_user_namespace_owns_holds_it_only_where_no_process_does() {
    let mut world = World::new();
    let mut inside = world.process(10, "inside").fresh(Kind::User).fresh(Kind::Net);
    let namespaces = inside.task().namespaces;
    let [user, net] = [Kind::User, Kind::Net].map(|kind| namespaces.get(kind).unwrap());
    world.seen.namespaces = vec![
        fact(Kind::Net, net, Some(user), None),
        fact(Kind::User, user, Some(host(Kind::User)), Some(host(Kind::User))),
    ];
    row(&world.seen, Kind::User, user, |row| assert_eq!(holders(row), []));
    // The node's own need nobody: nothing is told of what hangs below them.
    row(&world.seen, Kind::User, host(Kind::User), |row| assert_eq!(holders(row), []));
    world.task(10).namespaces.set(Kind::User, host(Kind::User));
    row(&world.seen, Kind::User, user, |row| {
        assert_eq!(holders(row), [(HolderType::ChildNamespace, format!("net:[{net}]"), 0)]);
    });
}

#[test]
fn containers_count_with_their_inits_and_their_tasks() {
    let mut world = World::new();
    world.docker("web", 10);
    world.docker("log", 11);
    world.join("log", "web", &[Kind::Net]);
    // An exec session in a network namespace of its own.
    let cgroup = world.task(10).cgroup.clone();
    let mut session = world.process(12, "session").fresh(Kind::Net);
    session.task().cgroup = cgroup;
    let own = session.task().namespaces.get(Kind::Net).unwrap();
    let shared = world.inode(10, Kind::Net);
    let (web, log) = (id("web"), id("log"));
    row(&world.seen, Kind::Net, shared, |row| {
        assert_eq!(row.containers, [web.as_str(), &log]);
        assert_eq!(row.pods, [web.as_str()]);
        let owner = &row.owner;
        assert_eq!((owner.container.as_deref(), owner.pid, owner.alive), (Some(web.as_str()), 10, true));
        assert_eq!(owner.evidence, Evidence::Declared);
    });
    row(&world.seen, Kind::Net, own, |row| {
        assert_eq!((&row.containers, &row.owner.container), (&vec![web.as_str()], &None));
    });
    // Nobody shares it, so no pod speaks of it.
    row(&world.seen, Kind::Mnt, world.seen.tasks.shared()[3].namespaces.get(Kind::Mnt).unwrap(), |row| {
        assert_eq!(row.containers, [log.as_str()]);
        assert_eq!(row.owner.container.as_deref(), Some(log.as_str()));
        assert_eq!((row.owner.evidence, row.owner.class), (Evidence::Declared, Class::Application));
    });
    row(&world.seen, Kind::User, host(Kind::User), |row| {
        assert_eq!((row.containers.len(), &row.owner.container), (2, &None));
        assert_eq!(row.owner.class_evidence, ClassEvidence::None);
    });
}

#[test]
fn unmanaged_processes_are_containers_here_too() {
    let mut world = World::new();
    world.process(10, "sandbox").fresh(Kind::Net).fresh(Kind::Uts);
    let uts = world.inode(10, Kind::Uts);
    row(&world.seen, Kind::Uts, uts, |row| {
        assert_eq!((&row.containers, &row.pods), (&vec!["proc:10:1000"], &vec!["proc:10:1000"]));
        assert_eq!((row.owner.evidence, row.owner.pid), (Evidence::Inferred, 10));
    });
}

#[test]
fn where_the_nodes_own_are_unknown_nothing_is_called_its() {
    let mut world = World::new();
    world.seen.host = crate::observation::HostNamespaces::default();
    row(&world.seen, Kind::Net, host(Kind::Net), |row| {
        assert_eq!((row.host, &row.owner.container), (None, &None));
    });
}

#[test]
fn a_namespace_is_below_its_parent_or_its_owner() {
    let mut world = World::new();
    world.seen.namespaces = vec![
        fact(Kind::Net, 90, Some(91), None),
        fact(Kind::User, 91, None, Some(host(Kind::User))),
        fact(Kind::Time, 92, None, None),
        // No kernel says so; a recording can.
        fact(Kind::User, 93, Some(93), Some(93)),
    ];
    let all = Namespaces::of(&world.seen);
    let above = |kind, inode, above| {
        let found = all.get(all.position(kind, inode).unwrap()).unwrap().above(above)?;
        all.get(found).map(|it| (it.kind(), it.inode()))
    };
    assert_eq!(above(Kind::Net, 90, Above::Parent), None);
    assert_eq!(above(Kind::Net, 90, Above::Owner), Some((Kind::User, 91)));
    for relation in [Above::Parent, Above::Owner] {
        assert_eq!(above(Kind::User, 91, relation), Some((Kind::User, host(Kind::User))));
        assert_eq!(above(Kind::Time, 92, relation), None);
        assert_eq!(above(Kind::User, 93, relation), None);
    }
}

#[test]
fn those_of_a_process_are_its_own_and_its_childrens() {
    let mut world = World::new();
    world.process(10, "unshare").task().pid_for_children = Some(80);
    let all = Namespaces::of(&world.seen);
    let positions = all.of_task(10).unwrap();
    assert_eq!(positions.len(), 9);
    assert!(positions.contains(&all.position(Kind::Pid, 80).unwrap()));
    assert_eq!(all.of_task(4711), None);
}

#[test]
fn of_a_namespace_that_one_container_is_in_who_watched_knows_the_maker() {
    let mut world = World::new();
    world.docker("web", 20);
    let inodes = [Kind::Uts, Kind::Ipc, Kind::Net].map(|kind| world.inode(20, kind));
    let creation = |kind, inode, pid, made: &[u32]| Creation {
        kind,
        inode,
        boottime_ns: 1,
        process: ProcessKey { pid, start_ticks: 100 * u64::from(pid) },
        comm: "runc:[1:CHILD]".to_owned(),
        made: made.iter().map(|pid| ProcessKey { pid: *pid, start_ticks: 100 * u64::from(*pid) }).collect(),
    };
    // Of one it is seen that its maker made the container, of one it is not; of the third nothing was seen.
    world.seen.history.creations =
        vec![creation(Kind::Uts, inodes[0], 15, &[20]), creation(Kind::Ipc, inodes[1], 16, &[17])];
    let made = |pid: u32| format!("its making was seen: runc:[1:CHILD] ({pid}) made it");
    let expected = [
        (Evidence::Observed, format!("{}, and then process 20 (web), the first of web; ", made(15))),
        (Evidence::Observed, format!("web declares it as made for itself; {}; ", made(16))),
        (Evidence::Declared, "web declares it as made for itself; ".to_owned()),
    ];
    for ((kind, inode), (evidence, why)) in
        [Kind::Uts, Kind::Ipc, Kind::Net].into_iter().zip(inodes).zip(expected)
    {
        row(&world.seen, kind, inode, |row| {
            assert_eq!((row.owner.container.as_deref(), row.owner.pid), (Some(id("web").as_str()), 20));
            assert_eq!(row.owner.evidence, evidence, "{kind}");
            assert_eq!(row.owner.why, why + "application: no other container joins it");
        });
    }
}
