use super::*;
use crate::findings::{Node, evaluate};
use crate::observation::{NetworkFact, Pin, Socket};
use crate::render::explain::explanation;
use crate::render::samples::HOSTILE;
use crate::render::text::{is_plain, width};
use crate::render::{Format, Look, json};
use crate::state::facts::facts;
use crate::state::tests::world::{World, id};

const SORTS: [&str; 4] = ["pod", "container", "pid", "namespace"];

fn ask(world: &mut World, target: &str) -> Explanation {
    world.seen.tasks.put_in_order();
    let snapshot = crate::state::snapshot(&world.seen);
    let facts = facts(&world.seen);
    let judgement = evaluate(&Node::new("node", &snapshot.pods, &facts));
    let resolved = Target::resolve(target, &world.seen, &snapshot, &SORTS).unwrap().narrowed(target);
    explain(&world.seen, &snapshot, &facts, &judgement, resolved)
}

/// The article's pod: nginx owns what busybox joins; nginx has a worker, busybox a child.
fn article() -> World {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net, Kind::Ipc, Kind::Pid]);
    world.serves(100);
    world
        .process(101, "worker")
        .with(100, &Kind::ALL)
        .child_of(100)
        .cgroup(&format!("/docker/{}", id("nginx")));
    world
        .process(201, "child")
        .with(200, &Kind::ALL)
        .child_of(200)
        .cgroup(&format!("/docker/{}", id("busybox")));
    world
}

fn killed(it: &Explanation) -> Vec<(u32, &str)> {
    it.if_dies.killed.iter().map(|it| (it.pid, it.by)).collect()
}

#[test]
fn who_owns_the_pid_namespace_takes_all_with_it() {
    let mut world = article();
    let it = ask(&mut world, "nginx");
    assert_eq!(it.target.target_type, "container", "the container, not the pod that is called so");
    let by = blast::BY_KERNEL;
    assert_eq!(killed(&it), [(101, by), (200, by), (201, by)]);
    assert!(it.if_dies.orphaned.is_empty(), "{:#?}", it.if_dies);
    let kinds: Vec<Kind> = it.if_dies.destroyed.iter().map(|it| it.kind).collect();
    assert!([Kind::Net, Kind::Ipc, Kind::Pid].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    assert!(it.if_dies.restart[0].contains("busybox"), "{:?}", it.if_dies.restart);
}

#[test]
fn a_joiner_takes_its_own_with_it_only() {
    let it = ask(&mut article(), "busybox");
    assert_eq!(killed(&it), [(201, blast::BY_RUNTIME)]);
    let kinds: Vec<Kind> = it.if_dies.destroyed.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::Mnt, Kind::Uts, Kind::Cgroup]);
    assert!(it.if_dies.orphaned.is_empty());
}

#[test]
fn without_the_pid_namespace_they_stay_orphaned() {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net]);
    world.serves(100);
    let net = world.inode(100, Kind::Net);
    let it = ask(&mut world, "nginx");
    assert_eq!(killed(&it), []);
    let orphan = &it.if_dies.orphaned[0];
    assert_eq!((orphan.kind, orphan.inode, orphan.members.clone()), (Kind::Net, net, vec![id("busybox")]));
    assert!(it.if_dies.restart[0].contains("split brain"), "{:?}", it.if_dies.restart);
    // Alone, its network goes with it; unless somebody pinned it.
    let alone = ask(&mut world, "busybox");
    assert!(alone.if_dies.orphaned.is_empty());
    world.stop("busybox", "2026-01-01T01:00:00Z", 0);
    world.seen.pins.push(Pin { kind: Kind::Net, inode: net, path: "/run/netns/kept".to_owned() });
    let it = ask(&mut world, "nginx");
    assert_eq!(it.if_dies.orphaned[0].kept_by, "bind mount /run/netns/kept");
    // A pin of Docker's own goes with the container.
    world.seen.pins[0].path = "/run/docker/netns/abc".to_owned();
    assert!(ask(&mut world, "nginx").if_dies.orphaned.is_empty());
}

#[test]
fn a_process_that_is_no_init_dies_alone() {
    let it = ask(&mut article(), "101");
    assert_eq!((it.target.target_type, it.target.pid), ("process", Some(101)));
    assert_eq!(killed(&it), []);
    assert!(it.if_dies.destroyed.is_empty(), "{:?}", it.if_dies);
    assert_eq!(it.pod.unwrap().name, "nginx");
    let mut world = article();
    world.process(50, "sshd");
    let host = ask(&mut world, "pid/50");
    assert_eq!((host.pod, host.if_dies.destroyed.len()), (None, 0));
}

#[test]
fn a_namespace_is_explained_by_its_owner() {
    let mut world = article();
    let net = world.inode(100, Kind::Net);
    for target in [format!("net:{net}"), format!("net:[{net}]"), net.to_string(), format!("namespace/{net}")]
    {
        let it = ask(&mut world, &target);
        assert_eq!((it.target.namespace_kind, it.target.pid), (Some(Kind::Net), Some(100)), "{target}");
        assert_eq!(it.sharing[0].with, [id("nginx"), id("busybox")], "{target}");
        assert_eq!(it.if_dies.killed.len(), 3, "{target}");
    }
    let snapshot = crate::state::snapshot(&world.seen);
    let error = Target::resolve("net:1", &world.seen, &snapshot, &SORTS).unwrap_err().to_string();
    assert!(error.contains("no net namespace 1"), "{error}");
}

#[test]
fn hostile_names_are_only_text_and_the_json_is_as_the_schema_says() {
    let mut world = article();
    let strings = HOSTILE.join("");
    for container in &mut world.seen.containers {
        container.name = container.name.take().map(|name| name + &strings);
        container.image = Some(strings.clone());
    }
    for task in world.seen.tasks.iter_mut().filter(|task| task.pid > 2) {
        task.comm = strings.as_str().into();
    }
    let inode = world.inode(100, Kind::Net);
    world.seen.networks.push(NetworkFact {
        inode,
        addresses: vec![strings.clone()],
        listeners: vec![
            Socket { protocol: "tcp".to_owned(), address: strings.clone(), port: 80, pids: vec![101] },
            Socket { protocol: "udp".to_owned(), address: "::".to_owned(), port: 53, pids: vec![] },
        ],
    });
    let validator = jsonschema::validator_for(crate::render::schema::explanation().as_value()).unwrap();
    let targets = [
        id("nginx"),
        format!("pod/{}", id("nginx")),
        "201".to_owned(),
        format!("net:{inode}"),
        "1".to_owned(),
    ];
    for target in targets {
        let it = ask(&mut world, &target);
        let value: serde_json::Value = serde_json::from_str(&json::pretty(&it).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{target}: {errors:?}");
        for screen in [80, 200] {
            for format in [Format::Table, Format::Wide, Format::Name] {
                let look = Look {
                    width: Some(screen),
                    colour: false,
                    headers: true,
                    inodes: true,
                    filtered_from: None,
                };
                let text = explanation(&it, format, &look).unwrap();
                assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{text}");
                let widest = text.lines().map(width).max().unwrap();
                assert!(format == Format::Name || widest <= screen, "{widest} > {screen}:\n{text}");
            }
        }
        if it.target.target_type == "container" {
            let network = it.network.unwrap();
            assert_eq!(network.listeners[0].container, Some(id("nginx")));
            assert_eq!(network.listeners[1].container, None);
        }
    }
}
