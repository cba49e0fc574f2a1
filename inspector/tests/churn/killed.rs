//! Killed at any moment, the program leaves nothing in the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::alone;

/// The program, a few times at once, and so often one after another.
const AT_ONCE: u64 = 5;
const ROUNDS: u64 = 10;

/// Which objects of the kernel's, with the command that lists their ids.
const KINDS: [(&str, libc::c_int); 3] = [("prog_id:", 11), ("map_id:", 12), ("link_id:", 31)];

/// Ids of all objects of a kind in the kernel.
fn ids(command: libc::c_int) -> BTreeSet<u32> {
    #[repr(C)]
    struct Next {
        start: u32,
        next: u32,
        flags: u32,
    }
    let (mut ids, mut at) = (BTreeSet::new(), Next { start: 0, next: 0, flags: 0 });
    // SAFETY: the attributes of this command, with their length.
    while unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut at, size_of::<Next>()) } == 0 {
        ids.insert(at.next);
        at.start = at.next;
    }
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOENT), "the end of the list");
    ids
}

/// The ids that a process's descriptors name.
fn held(pid: u32, label: &str) -> BTreeSet<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return BTreeSet::new() };
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts
        .flat_map(|text| {
            let ids = text.lines().filter_map(|line| line.strip_prefix(label));
            ids.map(|id| id.trim().parse().unwrap()).collect::<Vec<u32>>()
        })
        .collect()
}

/// Everything below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path.display().to_string());
    }
    found
}

/// One run, killed so long after its event programs were attached. Gives what it held by then.
fn killed_after(time: Duration) -> [BTreeSet<u32>; 3] {
    let mut watch = Command::new(env!("CARGO_BIN_EXE_inspector"))
        .args(["watch", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    // Those of fork, exec and exit are attached with every kernel.
    while held(watch.id(), "link_id:").len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(30), "no event program is attached");
        assert_eq!(watch.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(time);
    let held = KINDS.map(|(label, _)| held(watch.id(), label));
    watch.kill().unwrap();
    watch.wait().unwrap();
    held
}

#[test]
fn nothing_is_left_of_who_is_killed_fifty_times() {
    let _alone = alone();
    let pins = || files(Path::new("/sys/fs/bpf"));
    let before = pins();
    let runs: Vec<[BTreeSet<u32>; 3]> = std::thread::scope(|scope| {
        let run = |number: u64| {
            // Spread over the first look and what follows, in no order.
            let times = (0..ROUNDS).map(move |round| (number * ROUNDS + round) * 7919 % 397);
            times.map(|ms| killed_after(Duration::from_millis(ms))).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(runs.len(), 50);
    for (index, (label, command)) in KINDS.into_iter().enumerate() {
        let held: BTreeSet<u32> = runs.iter().flat_map(|run| &run[index]).copied().collect();
        println!("{label} {} objects", held.len());
        assert!(held.len() >= 3 * runs.len(), "{label} {held:?}");
        // The kernel takes them apart when nobody can be running them any more.
        let began = Instant::now();
        loop {
            let left: Vec<u32> = held.intersection(&ids(command)).copied().collect();
            if left.is_empty() {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{label} {left:?} are left");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let new: Vec<String> = pins().difference(&before).cloned().collect();
    assert!(new.is_empty(), "pinned: {new:?}");
}
