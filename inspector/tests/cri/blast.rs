//! The blast radius against reality, in pods as a kubelet makes them.

use std::collections::BTreeSet;

use crate::check::agreed;
use crate::support::blast::kill;
use crate::support::cri::{CONTAINER, Container, NODE, POD, Pod, Wish, World};
use crate::support::random::{Random, topologies};

trials![random_topologies];

const IDLE: [&str; 3] = ["sh", "-c", "sleep 3600 & while true; do sleep 3600; done"];

/// `INSPECTOR_TEST_SEED` and `INSPECTOR_TEST_TOPOLOGIES` repeat a run or make it longer.
fn random_topologies(world: &'static World) {
    let mut random = Random::new("random topologies of containerd's CRI");
    for number in 0..topologies(8) {
        let pid = if random.below(2) == 0 { POD } else { CONTAINER };
        let network = if random.below(4) == 0 { NODE } else { POD };
        let wish = Wish { pid, network, ..Wish::named(&format!("blast-{number}")) };
        let pod = Pod::run(world, wish);
        let mut containers: Vec<Container> = Vec::new();
        for member in 0..=random.below(2) {
            containers.push(pod.start(&format!("app{member}"), "busybox", &IDLE));
        }
        // A debugger in one's PID namespace dies with it.
        if pid == CONTAINER && random.below(2) == 0 {
            let debugger = pod.debug(&containers[0], &IDLE);
            containers.push(debugger);
        }
        agreed(world, &[(&pod, &containers.iter().collect::<Vec<_>>())]);
        let target = random.below(containers.len() + 1);
        let (id, init) = match containers.get(target) {
            Some(container) => (&container.id, container.pid()),
            None => (&pod.id, pod.pid()),
        };
        let what = format!(
            "topology {number}: pid mode {pid}, network {network}, {} containers, kills number {target}",
            containers.len()
        );
        eprintln!("{what}");
        let inits: Vec<u32> = containers.iter().map(Container::pid).collect();
        let ended = |dead: &BTreeSet<u32>| {
            for (container, init) in containers.iter().zip(&inits) {
                if dead.contains(init) {
                    container.wait_exited();
                }
            }
        };
        let members: Vec<u32> = inits.iter().copied().chain([pod.pid()]).collect();
        kill(&what, &world.with_socket(), &members, (id, init), ended);
    }
}
