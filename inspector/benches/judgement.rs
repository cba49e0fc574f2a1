//! What judging costs: the rules over a snapshot in memory, and a picture of many pods. `cargo xtask bench judgement`
//! runs it and publishes what it prints: a table in Markdown.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that fails panics")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use inspector::findings::{Node, evaluate};
use inspector::observation::{
    Behaviour, Declaration, DeclaredContainer, Inodes, Kind, Observation, Origin, ProcessKey, Runtime,
    RuntimeState, Task, Wait,
};
use inspector::render::GraphFormat;
use inspector::render::graph::draw;
use inspector::state::facts::facts;
use inspector::state::snapshot;
use inspector::view::{graph, pod_list};

/// Pairs of Docker containers: of each the first, a server, owns what the second joins. Every tenth pair is in the node's
/// own network.
fn node(containers: u32) -> Observation {
    let mut seen = Observation::default();
    seen.node.ticks_per_second = 100;
    seen.node.boottime_ns = 10_000_000_000_000;
    seen.host.inodes = Kind::ALL.into_iter().zip(1..).collect();
    let mut inode = 4_026_532_000;
    let mut fresh = |namespaces: &mut Inodes, kind: Kind| {
        inode += 1;
        namespaces.set(kind, inode);
    };
    for number in 0..containers {
        let pid = 1000 + number;
        let id = format!("{number:064x}");
        let owner = number % 2 == 0;
        let mut namespaces = seen.host.inodes;
        for kind in [Kind::Mnt, Kind::Uts, Kind::Cgroup] {
            fresh(&mut namespaces, kind);
        }
        let mut declared = DeclaredContainer::new(&id, Runtime::Docker, Origin::Docker, "bench");
        declared.name = Some(format!("app-{number}"));
        declared.state = RuntimeState::Running;
        declared.pid = pid;
        for kind in [Kind::Net, Kind::Ipc, Kind::Pid] {
            let in_host = kind == Kind::Net && (number / 2) % 10 == 0;
            let declaration = match (in_host, owner) {
                (true, _) => Declaration::Host,
                (false, true) => {
                    fresh(&mut namespaces, kind);
                    Declaration::Private
                }
                (false, false) => {
                    let other = seen.tasks.iter().next_back().map(|task| task.namespaces).unwrap();
                    namespaces.set(kind, other.get(kind).unwrap());
                    Declaration::Container(format!("{:064x}", number - 1))
                }
            };
            declared.declared.insert(kind, declaration);
        }
        seen.containers.push(declared);
        let start_boottime_ns = u64::from(pid) * 1_000_000_000;
        seen.tasks.push(Task {
            pid,
            tgid: pid,
            parent: 1,
            start_boottime_ns,
            comm: "server".into(),
            uid: Some(0),
            pid_namespace_init: owner,
            namespaces,
            cgroup: Some(format!("/docker/{id}").into()),
            ..Task::default()
        });
        if owner {
            seen.behaviours.push(Behaviour {
                process: ProcessKey { pid, start_ticks: start_boottime_ns / 10_000_000 },
                executable: Some("server".to_owned()),
                waits: vec![Wait::Other("accept".to_owned())],
                sockets: Some(3),
                cpu_ms: Some(10),
                reaped_cpu_ms: Some(0),
                files: Vec::new(),
            });
        }
    }
    seen
}

/// The run in the middle of seven.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[3]
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn main() {
    println!(
        "| containers | findings | pods, owners, verdicts | facts for the rules | the rules | per container |"
    );
    println!("|--:|--:|--:|--:|--:|--:|");
    for containers in [500, 5_000] {
        let seen = node(containers);
        let state = snapshot(&seen);
        let known = facts(&seen);
        let found = evaluate(&Node::new("bench", &state.pods, &known)).findings.len();
        assert!(found > containers as usize, "{found} findings");
        let rules = median(|| drop(black_box(evaluate(&Node::new("bench", &state.pods, &known)))));
        println!(
            "| {containers} | {found} | {} | {} | {} | {:.1} µs |",
            ms(median(|| drop(black_box(snapshot(&seen))))),
            ms(median(|| drop(black_box(facts(&seen))))),
            ms(rules),
            rules.as_secs_f64() * 1e6 / f64::from(containers)
        );
    }
    println!();
    println!("| pods | SVG | time |");
    println!("|--:|--:|--:|");
    for pods in [15, 150] {
        let seen = node(pods * 2);
        let state = snapshot(&seen);
        let known = facts(&seen);
        let found = evaluate(&Node::new("bench", &state.pods, &known)).findings;
        let list = pod_list(&seen, state, found, true);
        let picture = graph(&list, &seen.host, false);
        assert_eq!(picture.pods.len(), pods as usize);
        let size = draw(&picture, GraphFormat::Svg).len() / 1024;
        let time = median(|| drop(black_box(draw(&graph(&list, &seen.host, false), GraphFormat::Svg))));
        println!("| {pods} | {size} KiB | {} |", ms(time));
    }
}
