//! Nothing is lost that is not counted, and nobody is woken for nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use inspector::observation::EventKind;
use inspector::source::bpf::{EventConfig, EventReader, Wake};

use crate::machine::Child;
use crate::open;

/// Forks in two threads for as long as `reader` is used.
fn under_storm<T>(reader: &mut EventReader, during: impl FnOnce(&mut EventReader) -> T) -> T {
    let stop = AtomicBool::new(false);
    let storm = || {
        while !stop.load(Ordering::Relaxed) {
            Child::idle(libc::CLONE_NEWUTS).wait();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(storm);
        scope.spawn(storm);
        let given = during(reader);
        stop.store(true, Ordering::Relaxed);
        given
    })
}

/// Ends it all, reads the rest, and compares the counts.
fn balance(mut reader: EventReader, mut received: u64) {
    reader.detach();
    // A program that runs at this moment may still come to its end.
    std::thread::sleep(Duration::from_millis(100));
    while let count @ 1.. = reader.read(Duration::from_millis(50)).unwrap().len() {
        received += count as u64;
    }
    let counts = reader.counts().unwrap();
    assert_eq!(counts.emitted(), received + counts.lost(), "{counts:?}");
    assert_eq!(counts.lost(), counts.lost_by_cpu.iter().sum::<u64>());
    assert_eq!((counts.undecodable, counts.missed, counts.untracked), (0, 0, 0));
}

#[test]
fn what_a_sleeping_reader_loses_is_counted_exactly() {
    for (wake, all_processes) in [
        (Wake::AtOnce, true),
        (Wake::Sampled { watermark: 16 << 10, tick: Duration::from_millis(20) }, false),
    ] {
        let mut reader =
            open(&EventConfig { ring_bytes: 64 << 10, all_processes, wake, ..EventConfig::default() });
        let received = under_storm(&mut reader, |reader| {
            let mut received = 0;
            let read = |reader: &mut EventReader, received: &mut u64| {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(300) {
                    *received += reader.read(Duration::from_millis(50)).unwrap().len() as u64;
                }
            };
            read(reader, &mut received);
            assert!(received > 0);
            std::thread::sleep(Duration::from_secs(1));
            read(reader, &mut received);
            received
        });
        let counts = reader.counts().unwrap();
        assert!(counts.lost() > 0, "a ring of 64 KiB is full within the second: {counts:?}");
        assert!(counts.by_kind[&EventKind::Fork].lost > 0 && counts.by_kind[&EventKind::Exit].lost > 0);
        balance(reader, received);
    }
}

#[test]
fn a_reader_that_keeps_up_loses_nothing() {
    let mut reader = open(&EventConfig { ring_bytes: 4 << 20, ..EventConfig::default() });
    let (mut received, mut looks) = (0, 0_u32);
    let start = Instant::now();
    received += under_storm(&mut reader, |reader| {
        let mut received = 0;
        while start.elapsed() < Duration::from_secs(2) {
            let events = reader.read(Duration::from_millis(500)).unwrap();
            received += events.len() as u64;
            looks += 1;
        }
        received
    });
    assert_eq!(reader.counts().unwrap().lost(), 0);
    // By the clock of 20 ms, or by the watermark of 780 events.
    let most = 2_000 / 20 + received / 700 + 20;
    assert!(u64::from(looks) <= most, "woken {looks} times for {received} events");
    balance(reader, received);
}

/// Whoever waits for a person sees it at once; and who waits in vain comes back in time.
#[test]
fn a_reader_is_woken_in_time() {
    let tick = Duration::from_secs(5);
    for (wake, at_most) in [
        (Wake::AtOnce, Duration::from_secs(2)),
        // Below the watermark by its clock only, at the watermark before.
        (Wake::Sampled { watermark: 1 << 20, tick }, Duration::from_secs(8)),
        (Wake::Sampled { watermark: 1, tick }, Duration::from_secs(2)),
    ] {
        let mut reader = open(&EventConfig { wake, ..EventConfig::default() });
        // Whatever happened before it watched.
        reader.read(Duration::ZERO).unwrap();
        let start = Instant::now();
        let child = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            Child::idle(libc::CLONE_NEWUTS)
        });
        let mut told = false;
        while !told {
            told = reader
                .read(Duration::from_secs(10))
                .unwrap()
                .iter()
                .any(|event| event.caller.is_some_and(|caller| caller.tgid == std::process::id()));
        }
        let took = start.elapsed();
        assert!(took < at_most, "{wake:?}: {took:?}");
        drop(child.join().unwrap());
    }
    let mut reader =
        open(&EventConfig { wake: Wake::Sampled { watermark: 1 << 20, tick }, ..EventConfig::default() });
    let start = Instant::now();
    reader.read(Duration::from_millis(50)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}
