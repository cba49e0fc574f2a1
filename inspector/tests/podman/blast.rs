//! The blast radius against reality, in Podman's pods and beside them.

use std::collections::BTreeSet;

use crate::check::agreed;
use crate::machine::{Container, Machine};
use crate::support::blast::kill;
use crate::support::random::{Random, topologies};

trials![random_topologies];

const IDLE: [&str; 3] = ["sh", "-c", "sleep 3600 & while true; do sleep 3600; done"];

/// What a pod's members share, or `None` for containers that join one another without a pod.
const SHARES: [Option<&str>; 4] = [Some("net,ipc,uts"), Some("net,ipc,uts,pid"), Some("pid"), None];

/// `INSPECTOR_TEST_SEED` and `INSPECTOR_TEST_TOPOLOGIES` repeat a run or make it longer.
fn random_topologies(machine: &'static Machine) {
    let mut random = Random::new("random topologies of Podman");
    for number in 0..topologies(6) {
        // Each sort at least once.
        let shares = SHARES[usize::try_from(number).unwrap() % SHARES.len()];
        let others = 1 + random.below(2);
        let name = |member: usize| format!("blast-{number}-{member}");
        let pod = shares.map(|kinds| machine.pod(&format!("blast-{number}"), &["--share", kinds]));
        let mut containers: Vec<Container> = Vec::new();
        if let Some(pod) = &pod {
            for member in 0..others {
                containers.push(machine.run(&name(member), &["--pod", &pod.id], &IDLE));
            }
            containers.push(pod.infra());
        } else {
            containers.push(machine.run(&name(0), &["--ipc=shareable"], &IDLE));
            for member in 1..=others {
                let joins: Vec<String> = ["net", "ipc", "pid"]
                    .iter()
                    .filter(|_| random.below(2) == 0)
                    .map(|kind| format!("--{kind}=container:{}", containers[0].id))
                    .collect();
                let joins: Vec<&str> = joins.iter().map(String::as_str).collect();
                containers.push(machine.run(&name(member), &joins, &IDLE));
            }
        }
        agreed(machine, &containers.iter().collect::<Vec<_>>());
        let target = &containers[random.below(containers.len())];
        let what = format!("topology {number}, shares {shares:?}, {others} others, kills {}", target.id);
        eprintln!("{what}");
        let pids: Vec<u32> = containers.iter().map(Container::pid).collect();
        let ended = |dead: &BTreeSet<u32>| {
            for (container, pid) in containers.iter().zip(&pids) {
                if dead.contains(pid) {
                    container.wait_exited();
                }
            }
        };
        kill(&what, &machine.with_socket(), &pids, (&target.id, target.pid()), ended);
    }
}
