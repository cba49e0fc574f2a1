//! Whoever takes the events may stand still: what is lost then is counted and told, and made good.

use std::time::{Duration, Instant};

use inspector::view::EventType;

use crate::churner::Churner;
use crate::live::{Live, Telling};
use crate::{alone, truth};

#[test]
fn what_is_lost_while_the_reader_stands_still_is_told_and_made_good() {
    let _alone = alone();
    let live = Live::start(Telling::Usual);
    // What remains of this one is what has to be right in the end.
    let mut random = Churner::start(&["random", "11", "4000"]);
    let mut storm = [(); 3].map(|()| Churner::start(&["cycle", "uts", "100000000"]));
    random.go();
    storm.iter_mut().for_each(Churner::go);
    let began = Instant::now();
    while live.see(|state| state.tally.lost.is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is lost: that is no storm");
        live.stand_still(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(1500));
    }
    random.quiet(Duration::from_secs(60));
    drop(storm);
    let quiet = Instant::now();
    let (tasks, took) = truth::agrees(&live, &[random.pid()]);
    println!("right {took:?} after the storm: {tasks} tasks");
    // What others do on this machine may be on its way at any moment, but not at every one.
    let balance = live.until("the balance", Duration::from_secs(10), |state| {
        let tally = &state.tally;
        let ring = tally.lost.get("ring-full").copied().unwrap_or_default();
        let undecodable = tally.lost.get("undecodable").copied().unwrap_or_default();
        if tally.emitted == tally.received + ring + undecodable { Ok(()) } else { Err(format!("{tally:?}")) }
    });
    println!("balanced after {balance:?}: {:?}", live.see(|state| state.tally.clone()));
    live.until("the word of it", Duration::from_secs(2), |state| {
        let all: u64 = state.tally.lost.values().sum();
        let told = state.of(EventType::Resynced).filter_map(|it| it.lost.as_ref());
        let told: u64 = told.map(|it| it.records).sum();
        if (all, all) == (state.engine.lost(), told) {
            Ok(())
        } else {
            Err(format!("{all} are lost, the engine knows of {}, {told} are told", state.engine.lost()))
        }
    });
    assert!(live.see(|state| state.tally.lost["ring-full"]) > 0);
    assert!(quiet.elapsed() < Duration::from_secs(10));
}
