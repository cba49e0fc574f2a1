//! Each rule where it has to fire, where it has to be quiet, and where it cannot tell.

mod exposure;
mod manifests;

use super::{Judgement, Node, RULES, evaluate};
use crate::observation::{
    Declaration, Infra, Kind, NamespaceFact, Pin, Runtime, RuntimeReport, RuntimeStatus, SandboxNamespace,
};
use crate::state::facts::facts;
use crate::state::tests::world::{World, id};
use crate::view::{Finding, Severity};

/// What the rules say of a node.
fn judge(world: &mut World) -> Judgement {
    let pods = world.pods();
    let facts = facts(&world.seen);
    evaluate(&Node::new("node", &pods, &facts))
}

/// The findings of a rule.
fn of<'j>(judgement: &'j Judgement, rule: &str) -> Vec<&'j Finding> {
    judgement.findings.iter().filter(|finding| finding.rule == rule).collect()
}

fn only<'j>(judgement: &'j Judgement, rule: &str) -> &'j Finding {
    let found = of(judgement, rule);
    assert_eq!(found.len(), 1, "one {rule} expected: {judgement:#?}");
    found[0]
}

fn rules(judgement: &Judgement) -> Vec<&str> {
    let mut rules: Vec<&str> = judgement.findings.iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

fn unsure(judgement: &Judgement, rule: &str) -> usize {
    judgement.undetermined.iter().filter(|it| it.rule == rule).count()
}

/// A Kubernetes pod: its sandbox and containers, that share net, ipc and uts. Its id is the sandbox's.
fn kubernetes(world: &mut World, name: &str, sandbox: u32, containers: &[(&str, u32)]) {
    let infra = format!("{name}-pause");
    world.sandbox(&id(&infra), name);
    world.docker(&infra, sandbox);
    world.container(&infra).infra_mark = Some("a sandbox".to_owned());
    world.container(&infra).pod = Some(id(&infra));
    for (container, pid) in containers {
        world.docker(container, *pid).with(sandbox, &[Kind::Net, Kind::Ipc, Kind::Uts]);
        world.container(container).pod = Some(id(&infra));
        for kind in [Kind::Net, Kind::Ipc, Kind::Uts] {
            world.container(container).declared.insert(kind, Declaration::Pod);
        }
    }
}

#[test]
fn rules_are_numbered_in_order_and_say_something() {
    for (number, rule) in RULES.iter().enumerate() {
        assert_eq!(rule.id, format!("PNS{:03}", number + 1));
        for text in [rule.fires, rule.about, rule.quiet, rule.undetermined, rule.remedy, rule.example] {
            assert!(text.len() > 20 && !text.contains("  "), "{}: {text:?}", rule.id);
        }
        assert_eq!(super::rule(&rule.name.to_uppercase()).unwrap().id, rule.id);
    }
    assert!(super::rule("PNS013").is_none());
}

#[test]
fn a_healthy_pod_and_a_lonely_container_give_nothing() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200), ("sidecar", 300)]);
    world.docker("alone", 400);
    let judgement = judge(&mut world);
    assert_eq!(judgement, Judgement::default());
}

#[test]
fn containers_of_two_pods_in_one_namespace() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200)]);
    kubernetes(&mut world, "db", 300, &[("postgres", 400)]);
    let inode = world.inode(100, Kind::Net);
    world.task(400).namespaces.set(Kind::Net, inode);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS004");
    assert_eq!(finding.subject.container, Some(id("postgres")));
    assert_eq!(finding.subject.pod, Some(id("db-pause")));
    assert_eq!((finding.subject.namespace_kind, finding.subject.inode), (Some(Kind::Net), Some(inode)));
    assert!(finding.message.contains("postgres of pod default/db"), "{}", finding.message);
    assert!(of(&judgement, "PNS008").is_empty(), "the more specific rule only");
}

#[test]
fn who_is_in_the_nodes_own_namespaces() {
    let mut world = World::new();
    world.docker("agent", 100).in_host(&[Kind::Pid, Kind::Net]);
    for kind in [Kind::Pid, Kind::Net] {
        world.container("agent").declared.insert(kind, Declaration::Host);
    }
    let judgement = judge(&mut world);
    let found: Vec<_> =
        of(&judgement, "PNS005").iter().map(|it| (it.subject.namespace_kind.unwrap(), it.severity)).collect();
    assert_eq!(found, [(Kind::Pid, Severity::High), (Kind::Net, Severity::Medium)]);
    assert_eq!(rules(&judgement), ["PNS005"]);
}

#[test]
fn a_host_network_pod_is_reported_once() {
    let mut world = World::new();
    kubernetes(&mut world, "proxy", 100, &[("kube-proxy", 200)]);
    for (name, pid) in [("proxy-pause", 100), ("kube-proxy", 200)] {
        for kind in [Kind::Net, Kind::Uts] {
            let inode = crate::state::tests::world::host(kind);
            world.task(pid).namespaces.set(kind, inode);
            world.container(name).declared.insert(kind, Declaration::Host);
        }
    }
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS005");
    assert_eq!(finding.subject.container, Some(id("kube-proxy")));
    assert_eq!(finding.subject.namespace_kind, Some(Kind::Net));
    assert!(finding.remedy.contains("hostNetwork"), "{}", finding.remedy);
}

#[test]
fn where_the_nodes_own_namespaces_are_unknown_host_cannot_be_told() {
    let mut world = World::new();
    world.docker("app", 100);
    world.seen.host.inodes = [(Kind::Net, 7)].into_iter().collect();
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS005").len(), unsure(&judgement, "PNS005")), (0, 4));
}

#[test]
fn who_came_in_from_outside() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200)]);
    world.process(500, "sh").with(200, &[Kind::Net, Kind::Mnt]).cgroup("/user.slice/session-1.scope");
    world
        .process(501, "cat")
        .with(200, &[Kind::Net, Kind::Mnt])
        .child_of(500)
        .cgroup("/user.slice/session-1.scope");
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS006");
    assert_eq!((finding.subject.pid, finding.subject.pod.clone()), (Some(500), Some(id("web-pause"))));
    assert!(finding.evidence.iter().any(|it| it.starts_with("1 of its descendants")), "{finding:#?}");
    assert_eq!(rules(&judgement), ["PNS006"]);
}

#[test]
fn who_is_no_foreign_process() {
    let mut world = World::new();
    world.docker("app", 200);
    let app = format!("/docker/{}", id("app"));
    // A runtime's exec, a zombie, a runtime's helper, somebody on the way, and inspector itself.
    world.process(300, "exec").with(200, &[Kind::Net]).cgroup(&app);
    world.process(301, "dead").with(200, &[Kind::Pid]).task().zombie = true;
    world.process(302, "containerd-shim").with(200, &[Kind::Net]);
    world.process(303, "conmon").with(200, &[Kind::Net]).child_of(302);
    world.process(304, "young").with(200, &[Kind::Net]);
    world.process(305, "inspector").with(200, &[Kind::Net]);
    world.seen.node.boottime_ns = 304_500_000_000;
    world.seen.reader.pid = 305;
    assert_eq!(of(&judge(&mut world), "PNS006"), Vec::<&Finding>::new());
    // Nor is it older because the runtimes took their time to answer after it was read.
    (world.seen.node.boottime_ns, world.seen.node.tasks_boottime_ns) =
        (309_500_000_000, Some(304_500_000_000));
    assert_eq!(of(&judge(&mut world), "PNS006"), Vec::<&Finding>::new());
    world.seen.node.tasks_boottime_ns = None;
    // A name alone does not do it: its parent is a shell.
    world.process(400, "bash");
    world.process(401, "runc").with(200, &[Kind::Net]).child_of(400);
    world.seen.node.boottime_ns = 500_000_000_000;
    world.task(304).comm = "conmon".into();
    let judgement = judge(&mut world);
    assert_eq!(only(&judgement, "PNS006").subject.pid, Some(401));
}

#[test]
fn without_a_cgroup_of_its_own_a_containers_processes_are_told_by_descent() {
    let mut world = World::new();
    world.docker("app", 200).cgroup("/user.slice");
    world.container("app").start_ticks = Some(20_000);
    world.process(300, "child").with(200, &Kind::ALL).child_of(200).cgroup("/user.slice");
    assert_eq!(judge(&mut world), Judgement::default());
    world.process(400, "somebody").with(200, &[Kind::Net]).cgroup("/user.slice");
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS006").len(), unsure(&judgement, "PNS006")), (0, 1));
}

#[test]
fn a_thread_of_another_container_is_foreign_and_its_container_as_a_whole_is_an_intruder() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200)]);
    kubernetes(&mut world, "db", 300, &[("postgres", 400)]);
    let net = world.inode(200, Kind::Net);
    world.process(450, "hop").with(400, &Kind::ALL).cgroup(&format!("/docker/{}", id("postgres")));
    let thread = world.task(450);
    thread.tgid = 400;
    thread.namespaces.set(Kind::Net, net);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS006");
    assert_eq!((finding.subject.pid, finding.subject.pod.clone()), (Some(450), Some(id("web-pause"))));
    assert!(finding.message.contains("postgres of pod default/db"), "{}", finding.message);
    assert_eq!(rules(&judgement), ["PNS006"]);
}

#[test]
fn a_process_whose_cgroup_is_unread_may_be_anybodys() {
    let mut world = World::new();
    world.docker("app", 200);
    world.process(500, "sh").with(200, &[Kind::Net]).task().cgroup = None;
    world.seen.unreadable = 3;
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS006").len(), unsure(&judgement, "PNS006")), (0, 2));
}

#[test]
fn a_namespace_that_only_a_pin_keeps() {
    let pin = |inode, path: &str| Pin { kind: Kind::Net, inode, path: path.to_owned() };
    let mut world = World::new();
    world.docker("app", 100);
    let lived_in = world.inode(100, Kind::Net);
    world.seen.pins = vec![
        pin(9001, "/run/netns/forgotten"),
        pin(9002, "/run/docker/netns/lb_abc"),
        pin(9003, "/run/netns/of-a-sandbox"),
        pin(lived_in, "/run/docker/netns/app"),
    ];
    world.sandbox("s", "crio");
    world.seen.pods[0].infra = Infra::Processless;
    world.seen.pods[0].namespaces = vec![SandboxNamespace {
        kind: Kind::Net,
        path: "/run/netns/of-a-sandbox".to_owned(),
        inode: Some(9003),
    }];
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS007");
    assert_eq!((finding.subject.inode, finding.severity), (Some(9001), Severity::Low));
    assert!(finding.remedy.contains("umount /run/netns/forgotten"), "{}", finding.remedy);

    // A namespace above a living one is not orphaned.
    world.seen.namespaces.push(NamespaceFact {
        kind: Kind::User,
        inode: 9100,
        owner: None,
        parent: None,
        id: None,
    });
    world.seen.namespaces.push(NamespaceFact {
        kind: Kind::Net,
        inode: lived_in,
        owner: Some(9100),
        parent: None,
        id: None,
    });
    assert_eq!(of(&judge(&mut world), "PNS007").len(), 1);

    // While a runtime does not say what is its own, it may be that one's.
    world.seen.runtimes.push(RuntimeReport {
        runtime: Runtime::Containerd,
        endpoint: "/run/containerd/containerd.sock".to_owned(),
        status: RuntimeStatus::Denied,
        detail: "permission denied".to_owned(),
    });
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS007").len(), unsure(&judgement, "PNS007")), (0, 1));

    // A process that could not be read may be in there; process 1 is in nobody's.
    world.seen.runtimes.clear();
    world.seen.unreadable = 1;
    assert_eq!(unsure(&judge(&mut world), "PNS007"), 1);
    world.task(1).namespaces = crate::observation::Inodes::default();
    assert_eq!(of(&judge(&mut world), "PNS007").len(), 1);
}

#[test]
fn what_is_declared_is_not_what_is() {
    let mut world = World::new();
    world.docker("escaped", 100).in_host(&[Kind::Ipc]);
    world.docker("alone", 200);
    world.container("alone").declared.insert(Kind::Uts, Declaration::Host);
    world.docker("owner", 300);
    world.docker("guest", 400).with(300, &[Kind::Net]);
    world.serves(300);
    let judgement = judge(&mut world);
    let mut found: Vec<_> = of(&judgement, "PNS008")
        .iter()
        .map(|it| (it.subject.container.clone().unwrap(), it.subject.namespace_kind.unwrap()))
        .collect();
    found.sort();
    let mut wanted = vec![(id("escaped"), Kind::Ipc), (id("alone"), Kind::Uts), (id("guest"), Kind::Net)];
    wanted.sort();
    assert_eq!(found, wanted, "{judgement:#?}");
}

#[test]
fn what_a_cgroup_alone_tells_of_declares_nothing() {
    let mut world = World::new();
    let stranger = "f".repeat(64);
    world.process(100, "x").fresh(Kind::Net).fresh(Kind::Mnt).cgroup(&format!("/docker/{stranger}"));
    let judgement = judge(&mut world);
    assert_eq!((unsure(&judgement, "PNS008"), unsure(&judgement, "PNS010")), (1, 1));
}

#[test]
fn a_folder_that_two_pods_mount() {
    let mut world = World::new();
    for (name, pid) in [("writer", 100), ("reader", 200), ("other", 300), ("readonly", 400)] {
        world.docker(name, pid);
    }
    world.mount("writer", "/srv/data", "/data", false);
    world.mount("reader", "/srv/data", "/in", true);
    world.mount("other", "/etc/ssl", "/etc/ssl", true);
    world.mount("readonly", "/etc/ssl", "/etc/ssl", true);
    world.mount("other", "/srv/own", "/own", false);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS010");
    assert_eq!((finding.subject.pod.clone(), finding.subject.container.clone()), (Some(id("writer")), None));
    assert!(finding.message.contains("/srv/data"), "{}", finding.message);
    world.stop("writer", "2026-01-01T01:00:00Z", 0);
    assert_eq!(of(&judge(&mut world), "PNS010").len(), 0, "nobody writes any more");
}

#[test]
fn an_init_that_does_not_reap() {
    let mut world = World::new();
    world.docker("leaky", 100);
    let dead = |world: &mut World, from: u32, to: u32| {
        for pid in from..to {
            world.process(pid, "sleep").with(100, &[Kind::Pid]).child_of(100).task().zombie = true;
        }
    };
    dead(&mut world, 200, 215);
    assert_eq!(of(&judge(&mut world), "PNS011").len(), 0, "fifteen are passing");
    dead(&mut world, 215, 216);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS011");
    assert_eq!(finding.subject.container, Some(id("leaky")));
    assert!(finding.message.contains("16 dead"), "{}", finding.message);
    // Those of another parent are that one's.
    for pid in 200..216 {
        world.task(pid).parent = 300;
    }
    assert_eq!(of(&judge(&mut world), "PNS011").len(), 0);
}

#[test]
fn a_sandbox_that_is_gone() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200), ("sidecar", 300)]);
    world.stop("web-pause", "2026-01-01T01:00:00Z", 137);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS012");
    assert_eq!(finding.subject.container, Some(id("web-pause")));
    assert!(finding.evidence[0].contains("exited with 137"), "{:?}", finding.evidence);
    for kind in ["net", "ipc", "uts"] {
        assert!(finding.consequence.contains(kind), "{}", finding.consequence);
    }
    assert_eq!(rules(&judgement), ["PNS012"], "it replaces PNS002");

    // A newer sandbox of the same pod has taken over.
    kubernetes(&mut world, "web2", 400, &[("app2", 500)]);
    let uid = world.seen.pods[0].uid.clone();
    world.seen.pods[1].uid = uid;
    world.seen.pods[0].created_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
    world.seen.pods[1].created_at = Some("2026-01-01T00:30:00Z".parse().unwrap());
    assert_eq!(of(&judge(&mut world), "PNS012").len(), 0);
    // And the dead pod of a living new one is no loss either.
    world.seen.pods[0].created_at = None;
    world.seen.pods[1].uid = Some("other".to_owned());
    world.stop("app", "2026-01-01T01:00:00Z", 0);
    world.stop("sidecar", "2026-01-01T01:00:00Z", 0);
    assert_eq!(of(&judge(&mut world), "PNS012").len(), 0, "no living member");
}

#[test]
fn a_sandbox_of_which_nothing_tells() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200)]);
    world.seen.containers.retain(|it| it.name.as_deref() == Some("app"));
    world.seen.tasks.retain(|task| task.pid != 100);
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS012").len(), unsure(&judgement, "PNS012")), (0, 1));
    world.seen.pods[0].infra = Infra::Nothing;
    assert_eq!(unsure(&judge(&mut world), "PNS012"), 0, "by design");
}

#[test]
fn a_member_that_is_elsewhere_than_its_sandbox() {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200)]);
    let elsewhere = world.inode(200, Kind::Pid) + 4000;
    world.task(200).namespaces.set(Kind::Net, elsewhere);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS003");
    assert_eq!((finding.subject.container.clone(), finding.severity), (Some(id("app")), Severity::Critical));
}

#[test]
fn an_owner_of_which_nothing_tells_what_it_is() {
    let mut world = World::new();
    world.docker("owner", 100);
    world.docker("joiner", 200);
    world.join("joiner", "owner", &[Kind::Net]);
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS001").len(), unsure(&judgement, "PNS001")), (0, 1));
}

#[test]
fn the_ids_of_findings_are_all_different_and_survive_restarts() {
    let look = |base: u32| {
        let mut world = World::new();
        kubernetes(&mut world, "web", base, &[("app", base + 1)]);
        world.docker("agent", base + 2).in_host(&[Kind::Pid, Kind::Net, Kind::Mnt]);
        world.process(base + 3, "sh").with(base + 1, &[Kind::Net]);
        world.process(base + 4, "bash").with(base + 1, &[Kind::Net]);
        let mut ids: Vec<String> = judge(&mut world).findings.into_iter().map(|it| it.id).collect();
        ids.sort();
        ids
    };
    let ids = look(100);
    assert!(ids.len() >= 5 && ids.windows(2).all(|two| two[0] != two[1]), "{ids:?}");
    assert_eq!(ids, look(5000));
}

#[test]
fn what_runs_on_another_kernel_is_not_judged_by_the_hosts_namespaces() {
    let mut world = World::new();
    world.docker("vm", 100).in_host(&[Kind::Net, Kind::Pid, Kind::Mnt]);
    world.container("vm").opaque = Some("it runs in a virtual machine".to_owned());
    let judgement = judge(&mut world);
    assert_eq!(judgement.findings, [], "its processes are elsewhere");
    for rule in ["PNS001", "PNS003", "PNS005", "PNS008", "PNS009", "PNS011"] {
        let why: Vec<&str> =
            judgement.undetermined.iter().filter(|it| it.rule == rule).map(|it| it.why.as_str()).collect();
        assert!(matches!(why[..], [why] if why.contains("virtual machine")), "{rule}: {why:?}");
    }
}

#[test]
fn a_container_whose_namespaces_are_unread_is_not_called_clear() {
    let mut world = World::new();
    world.docker("app", 100).task().namespaces = crate::observation::Inodes::default();
    let judgement = judge(&mut world);
    for rule in ["PNS001", "PNS002", "PNS004", "PNS005", "PNS008", "PNS009", "PNS011"] {
        assert!(unsure(&judgement, rule) > 0, "{rule}");
    }
    assert_eq!(judgement.findings, []);
}
