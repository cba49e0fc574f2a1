//! Containers that end and begin again, among thousands of processes that mean nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use inspector::view::EventType;

use crate::alone;
use crate::churner::Churner;
use crate::live::{Live, State, Telling};

const TIMES: usize = 200;

/// How often each group whose init has that name is told to have started and exited.
fn groups(state: &State, comm: &str) -> BTreeMap<String, (usize, usize)> {
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for event in &state.events {
        let (Some(container), Some(process)) = (&event.container, &event.process) else { continue };
        if process.comm != comm || !container.id.starts_with("proc:") {
            continue;
        }
        match event.event_type {
            EventType::ContainerStarted => groups.entry(container.id.clone()).or_default().0 += 1,
            EventType::ContainerExited => groups.entry(container.id.clone()).or_default().1 += 1,
            _ => {}
        }
    }
    groups
}

#[test]
fn every_restart_is_told_once_as_a_start_and_once_as_an_end() {
    let _alone = alone();
    let live = Live::start(Telling::All);
    let mut forks = Churner::start(&["forks", "5000"]);
    let mut restart = Churner::start(&["restart", &TIMES.to_string(), "10000"]);
    forks.go();
    restart.go();
    restart.quiet(Duration::from_secs(60));
    let comm = &restart.comm;
    let complete = |state: &State| {
        assert_eq!(state.engine.lost(), 0, "{:?}", state.tally);
        let groups = groups(state, comm);
        let wrong: Vec<_> = groups.iter().filter(|(_, told)| **told != (1, 1)).collect();
        let right = groups.len() == TIMES && wrong.is_empty();
        if right {
            Ok(())
        } else {
            Err(format!("{} groups; told otherwise than once: {wrong:?}", groups.len()))
        }
    };
    live.until("starts and ends", Duration::from_secs(20), complete);
    // Nor does a later look tell of any of them again, or know of one.
    let looks = live.see(|state| state.looks);
    live.until("another look", Duration::from_secs(20), |state| {
        if state.looks > looks { Ok(()) } else { Err("none".to_owned()) }
    });
    live.see(|state| {
        complete(state).unwrap();
        let ghosts = state.engine.last().observation().tasks.iter();
        let ghosts: Vec<_> =
            ghosts.filter(|task| *task.comm == **comm && task.pid != restart.pid()).collect();
        assert!(ghosts.is_empty(), "{ghosts:#?}");
        let pods = state.engine.last().pods().iter().flat_map(|pod| &pod.containers);
        let pods: Vec<_> = pods.filter(|it| it.name == *comm).map(|it| &it.id).collect();
        assert!(pods.is_empty(), "{pods:?}");
    });
}
