//! Threads that are elsewhere for a moment are nobody's business; a process that goes elsewhere and stays is told.

use std::time::Duration;

use inspector::observation::Kind;
use inspector::view::{Event, EventType};

use crate::alone;
use crate::churner::Churner;
use crate::live::{Live, Telling};

const NEWNET: &str = "0x40000000";

/// Processes in a network of their own, and the first of them: `pair` or `single`.
fn network(how: &str) -> (Churner, u32) {
    let mut churner = Churner::start(&[how, NEWNET]);
    churner.go();
    let pid = churner.line(Duration::from_secs(10)).parse().unwrap();
    churner.quiet(Duration::from_secs(10));
    (churner, pid)
}

fn is_by(event: &Event, churner: &Churner) -> bool {
    event.process.as_ref().is_some_and(|it| it.pid == churner.pid() || it.comm == churner.comm)
}

#[test]
fn a_thread_that_works_in_another_network_is_no_intruder_and_no_container() {
    let _alone = alone();
    let (_pair, pid) = network("pair");
    let live = Live::start(Telling::Usual);
    // Longer than the second for which rules spare whoever is new.
    let mut hop = Churner::start(&["hop", &pid.to_string(), "1500"]);
    hop.go();
    let network = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    live.until("a thread elsewhere", Duration::from_secs(10), |state| {
        let there = |task: &&inspector::observation::Task| {
            let inode = task.namespaces.get(Kind::Net);
            task.tgid == hop.pid()
                && !task.is_leader()
                && inode.is_some_and(|it| network.to_string_lossy() == format!("net:[{it}]"))
        };
        let seen = state.engine.last().observation().tasks.iter().any(|task| there(&task));
        if seen { Ok(()) } else { Err("it is not seen".to_owned()) }
    });
    hop.quiet(Duration::from_secs(20));
    // Whatever a later look would say.
    std::thread::sleep(Duration::from_secs(2));
    live.see(|state| {
        for wrong in [EventType::ForeignEntered, EventType::ContainerStarted, EventType::NamespaceJoined] {
            let told: Vec<&Event> = state.of(wrong).filter(|event| is_by(event, &hop)).collect();
            assert!(told.is_empty(), "{told:#?}");
        }
        let made = state.created_by(&hop.comm, Kind::Net);
        assert_eq!(made.len(), 2, "those that its threads made are told: {made:?}");
    });
}

#[test]
fn a_process_that_goes_into_another_network_and_stays_is_told_within_a_second() {
    let _alone = alone();
    for how in ["single", "pair"] {
        let (_network, pid) = network(how);
        let live = Live::start(Telling::Usual);
        let mut join = Churner::start(&["join", &pid.to_string()]);
        join.go();
        join.quiet(Duration::from_secs(10));
        let took = live.until(how, Duration::from_secs(1), |state| {
            let joined = state.of(EventType::NamespaceJoined).filter(|it| is_by(it, &join));
            let told: Vec<&Event> = joined.collect();
            match told[..] {
                [] => Err("nothing is told".to_owned()),
                [one] => {
                    assert_eq!(one.namespaces.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Net]);
                    Ok(())
                }
                _ => panic!("told more than once: {told:#?}"),
            }
        });
        println!("{how}: told after {took:?}");
    }
}
