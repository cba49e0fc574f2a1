//! What the rules make of Kubernetes manifests.

use super::{Judgement, kubernetes, of, only, unsure};
use crate::findings::{Node, evaluate};
use crate::manifests::{Manifests, parse};
use crate::observation::{Declaration, Kind};
use crate::state::facts::facts;
use crate::state::tests::world::{World, host};

fn judge(world: &mut World, spec: &str, times: usize) -> Judgement {
    let text =
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{{spec}}}\n---\n").repeat(times);
    let manifests = Manifests { list: parse("web.yaml", &text).unwrap() };
    let pods = world.pods();
    let facts = facts(&world.seen);
    evaluate(&Node::new("node", &pods, &facts).with_manifests(&manifests))
}

fn web() -> World {
    let mut world = World::new();
    kubernetes(&mut world, "web", 100, &[("app", 200), ("side", 300)]);
    world
}

#[test]
fn a_pod_that_is_as_its_manifest_says_gives_nothing() {
    assert_eq!(judge(&mut web(), "hostNetwork: false", 1), Judgement::default());
}

#[test]
fn what_a_manifest_says_and_is_not_so() {
    for (spec, kind) in [
        ("hostNetwork: true", Kind::Net),
        ("hostPID: true", Kind::Pid),
        ("hostIPC: true", Kind::Ipc),
        ("shareProcessNamespace: true", Kind::Pid),
    ] {
        let judgement = judge(&mut web(), spec, 1);
        let found = of(&judgement, "PNS008");
        assert_eq!(found.len(), 2, "both containers, {spec}: {judgement:#?}");
        assert!(found.iter().all(|it| it.subject.namespace_kind == Some(kind)));
        assert_eq!(found[0].evidence[0], format!("Pod default/web (web.yaml) has spec.{spec}"));
        assert!(found[0].remedy.ends_with("its manifest: Pod default/web (web.yaml)"), "{}", found[0].remedy);
    }
}

#[test]
fn the_nodes_namespace_that_no_manifest_asks_for() {
    let mut world = web();
    world.task(200).namespaces.set(Kind::Pid, host(Kind::Pid));
    world.container("app").declared.insert(Kind::Pid, Declaration::Host);
    let left_out = "Pod default/web (web.yaml) leaves spec.hostPID out, which is false";
    let judgement = judge(&mut world, "", 1);
    assert_eq!(only(&judgement, "PNS008").evidence[0], left_out);
    assert_eq!(only(&judgement, "PNS005").evidence[2], left_out);
    // The runtime's word says it already.
    world.container("app").declared.insert(Kind::Pid, Declaration::Private);
    let judgement = judge(&mut world, "", 1);
    assert_eq!(only(&judgement, "PNS008").evidence[0], "app declares pid private");
}

#[test]
fn two_manifests_of_one_name_are_not_decided() {
    let judgement = judge(&mut web(), "hostPID: true", 2);
    assert!(of(&judgement, "PNS008").is_empty(), "{judgement:#?}");
    assert_eq!(unsure(&judgement, "PNS008"), 1);
}

#[test]
fn the_unit_of_a_group_is_named_where_all_of_it_are_of_one() {
    for (second, named) in [("/system.slice/web.service", true), ("/system.slice/other.service", false)] {
        let mut world = World::new();
        world.process(100, "web").fresh(Kind::Net).cgroup("/system.slice/web.service");
        world.process(200, "side").with(100, &[Kind::Net]).cgroup(second);
        world.serves(100);
        let judgement = super::judge(&mut world);
        let remedy = &only(&judgement, "PNS001").remedy;
        assert_eq!(remedy.ends_with("by its cgroup it is of the unit web.service"), named, "{remedy}");
    }
}
