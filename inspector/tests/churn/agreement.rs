//! After any churn the engine has what /proc has.

use std::time::{Duration, Instant};

use crate::churner::Churner;
use crate::live::{Live, Telling};
use crate::{alone, truth};

/// How many operations, unless `INSPECTOR_CHURN_OPERATIONS` says so.
const USUAL: u64 = 50_000;

const SEEDS: [u64; 2] = [7, 20_261_127];

fn operations() -> u64 {
    let given = std::env::var("INSPECTOR_CHURN_OPERATIONS").ok();
    given.map_or(USUAL, |text| {
        text.parse().unwrap_or_else(|error| panic!("INSPECTOR_CHURN_OPERATIONS={text}: {error}"))
    })
}

#[test]
fn after_a_storm_the_engine_has_what_proc_has() {
    let _alone = alone();
    let live = Live::start(Telling::Nothing);
    let each = (operations() / SEEDS.len() as u64).to_string();
    let began = Instant::now();
    let mut churners = SEEDS.map(|seed| Churner::start(&["random", &seed.to_string(), &each]));
    churners.iter_mut().for_each(Churner::go);
    // A thousand in two seconds, on the slowest of machines.
    let limit = Duration::from_secs(30) + Duration::from_millis(2 * operations());
    churners.iter().for_each(|churner| churner.quiet(limit));
    let took = began.elapsed();
    let tops = churners.each_ref().map(Churner::pid);
    let (tasks, right_after) = truth::agrees(&live, &tops);
    let (looks, tally) = live.see(|state| (state.looks, state.tally.clone()));
    println!(
        "{} operations in {took:?}: {tasks} tasks, right after {right_after:?}, {looks} looks, {tally:?}",
        operations()
    );
    assert!(tasks >= 40, "{tasks} tasks are hardly a storm");
    // Something was told of half of it, at least.
    assert!(tally.emitted > operations() / 4, "{tally:?}");
    // All of it at its end.
    drop(churners);
    truth::agrees(&live, &tops);
}
