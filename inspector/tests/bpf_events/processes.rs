//! Which processes and threads are told of.

use std::process::{Command, Stdio};
use std::time::Duration;

use inspector::observation::{EventKind, Task};
use inspector::source::bpf::{EventConfig, EventReader, Reader, Wake};
use inspector_common::SLOTS;

use crate::machine::{Child, namespaces, start_ticks, wait_until};
use crate::{context, everything, kinds, of, open};

/// A process whose main thread ends first, and another thread a while later.
fn outlived_by_a_thread(_: libc::c_int) -> libc::c_int {
    const THREAD: libc::c_int = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    static mut STACK: [u64; 4096] = [0; 4096];
    extern "C" fn outlive(_: *mut libc::c_void) -> libc::c_int {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 300_000_000 };
        // SAFETY: system calls, the first with the address of a time.
        unsafe {
            libc::nanosleep(&raw const time, std::ptr::null_mut());
            libc::syscall(libc::SYS_exit, 9);
        }
        0
    }
    // SAFETY: a stack that nobody else uses: this runs in a process of its own, once.
    unsafe {
        let top = (&raw mut STACK).cast::<u8>().add(size_of::<[u64; 4096]>()).cast();
        libc::clone(outlive, top, THREAD, std::ptr::null_mut());
        libc::syscall(libc::SYS_exit, 3);
    }
    0
}

#[test]
fn who_changes_nothing_is_not_told_of() {
    let mut reader = open(&EventConfig::default());
    let mut pids = Vec::new();
    for _ in 0..50 {
        let child = Child::idle(0);
        pids.push(child.pid);
        child.wait();
        let mut child = Command::new("true").spawn().unwrap();
        pids.push(child.id());
        child.wait().unwrap();
        std::thread::spawn(|| ()).join().unwrap();
    }
    pids.push(std::process::id());
    let events = everything(&mut reader);
    let strays: Vec<_> = events.iter().filter(|event| pids.contains(&event.tgid)).collect();
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn everybody_is_told_of_where_that_is_asked_for() {
    // One that wakes at once: it has no clock to come to anything by.
    let mut reader = open(&EventConfig { all_processes: true, wake: Wake::AtOnce, ..EventConfig::default() });
    let mut child = Command::new("sh").args(["-c", "exit 3"]).stdin(Stdio::null()).spawn().unwrap();
    child.wait().unwrap();
    let silent = Child::idle(0);
    let pid = silent.pid;
    silent.wait();
    std::thread::spawn(|| ()).join().unwrap();
    let events = everything(&mut reader);
    let told = of(&events, child.id());
    assert_eq!(kinds(&events, child.id()), [EventKind::Fork, EventKind::Exec, EventKind::Exit]);
    assert_eq!(told[0].caller.unwrap().tgid, std::process::id());
    assert!(told.iter().all(|event| event.old == told[0].old));
    assert_eq!((&*told[1].comm, told[2].exit.unwrap().code), ("sh", Some(3)));
    assert_eq!(kinds(&events, pid), [EventKind::Fork, EventKind::Exit]);
    assert_eq!(kinds(&events, std::process::id()), [], "threads that change nothing");
}

#[test]
fn a_process_ends_with_its_last_thread_and_once() {
    for all_processes in [false, true] {
        let mut reader = open(&EventConfig { all_processes, ..EventConfig::default() });
        let mut child = Child::spawn(libc::CLONE_NEWUTS, outlived_by_a_thread, 0);
        let pid = child.pid;
        let started = start_ticks(&pid.to_string());
        child.go();
        wait_until("the main thread to end", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ")
        });
        assert_eq!(kinds(&everything(&mut reader), pid), [EventKind::Fork], "it lives on");
        let status = child.wait();
        let events = everything(&mut reader);
        assert_eq!(kinds(&events, pid), [EventKind::Exit]);
        let exit = of(&events, pid)[0];
        // The main thread's, or the last one's: kernels differ.
        let told = u8::try_from(libc::WEXITSTATUS(status)).unwrap();
        assert!([3, 9].contains(&told));
        assert_eq!(exit.exit.unwrap().code, Some(told), "what its parent was told");
        assert_eq!((exit.pid, exit.process_start_boottime_ns / 10_000_000), (pid, started));
        assert!(exit.old.unwrap().namespaces.iter().count() >= 7, "the last thread's: {exit:?}");
    }
}

#[test]
fn the_death_of_who_was_there_before_is_told_if_asked_for() {
    let context = context();
    let (named, other) = (Child::idle(libc::CLONE_NEWUTS), Child::idle(libc::CLONE_NEWUTS));
    let mut reader = open(&EventConfig::default());
    let scan = Reader::open(&context).unwrap().read(&context).unwrap();
    reader.track(scan.tasks.iter().filter(|task| task.pid == named.pid)).unwrap();
    let before = scan.tasks.iter().find(|task| task.pid == named.pid).unwrap();
    let pids = (named.pid, other.pid);
    named.kill();
    other.kill();
    let events = everything(&mut reader);
    assert_eq!(kinds(&events, pids.0), [EventKind::Exit]);
    assert_eq!(kinds(&events, pids.1), []);
    let exit = of(&events, pids.0)[0];
    assert_eq!(exit.process_start_boottime_ns, before.start_boottime_ns, "one clock, to the nanosecond");
    assert_eq!(exit.old.unwrap().namespaces, before.namespaces);
    assert_eq!((exit.level, exit.pid_inside), (before.level.unwrap(), before.pid_inside.unwrap()));
    assert_eq!(exit.cgroup.pids.or(exit.cgroup.v2), before.cgroup_id);

    // With another start it is another process: nothing is told of that one.
    let stranger = Child::idle(libc::CLONE_NEWUTS);
    let mut task = before.clone();
    (task.pid, task.tgid) = (stranger.pid, stranger.pid);
    let mut reader = open(&EventConfig::default());
    reader.track([&task]).unwrap();
    let pid = stranger.pid;
    stranger.kill();
    assert_eq!(kinds(&everything(&mut reader), pid), []);
}

/// A process that is counted at each slot, with numbers that no process has.
fn at_every_slot() -> impl Iterator<Item = Task> {
    let task = |pid| Task { pid, tgid: pid, start_boottime_ns: 1, ..Task::default() };
    (0..SLOTS).map(move |slot| task((1 << 30) + slot))
}

#[test]
fn who_finds_no_room_to_be_tracked_is_counted() {
    let mut reader = open(&EventConfig { tracked: SLOTS, ..EventConfig::default() });
    reader.track(&at_every_slot().collect::<Vec<_>>()).unwrap();
    // Others on this machine may have taken some of the room, and may leave it again.
    let full = reader.counts().unwrap().untracked;
    let children: Vec<Child> = (0..32).map(|_| Child::idle(libc::CLONE_NEWUTS)).collect();
    let mut events = Vec::new();
    while events.len() < children.len() {
        events.extend(reader.read(Duration::from_secs(10)).unwrap());
    }
    let by_kernel = reader.counts().unwrap();
    assert!(by_kernel.untracked > full && !by_kernel.is_complete(), "{by_kernel:?}");
    let once_more: Vec<Task> =
        at_every_slot().map(|it| Task { pid: it.pid + SLOTS, tgid: it.tgid + SLOTS, ..it }).collect();
    reader.track(&once_more).unwrap();
    let counts = reader.counts().unwrap();
    assert!(counts.untracked > by_kernel.untracked + u64::from(SLOTS / 2), "{counts:?}");
    assert_eq!(counts.lost(), 0);
}

#[test]
fn who_finds_others_counted_where_it_is_is_told_of_all_the_same() {
    let mut reader = open(&EventConfig { tracked: 2 * SLOTS, ..EventConfig::default() });
    let others: Vec<Task> = at_every_slot().collect();
    reader.track(&others).unwrap();
    for flags in [libc::CLONE_NEWUTS, libc::CLONE_NEWUTS | libc::CLONE_NEWPID] {
        let child = Child::idle(flags);
        let pid = child.pid;
        assert_eq!(reader.tracked_at(pid), 2);
        let there = namespaces(&pid.to_string());
        child.kill();
        let events = everything(&mut reader);
        assert_eq!(kinds(&events, pid), [EventKind::Fork, EventKind::Exit]);
        assert_eq!(of(&events, pid)[1].old, Some(there));
        assert_eq!(reader.tracked_at(pid), 1);
    }
    // A plain one finds somebody counted, and is none of them.
    let plain = Child::idle(0);
    let pid = plain.pid;
    plain.wait();
    assert_eq!(kinds(&everything(&mut reader), pid), []);
}

#[test]
fn who_was_noted_by_the_kernel_side_is_not_noted_twice() {
    let context = context();
    let mut reader = open(&EventConfig::default());
    let child = Child::idle(libc::CLONE_NEWUTS);
    let scan = Reader::open(&context).unwrap().read(&context).unwrap();
    let named: Vec<_> = scan.tasks.iter().filter(|task| task.pid == child.pid).cloned().collect();
    assert_eq!(named.len(), 1);
    reader.track(&named).unwrap();
    assert_eq!(reader.tracked_at(child.pid), 1);
    // It is the start that tells.
    let earlier = Task { start_boottime_ns: 1, ..named[0].clone() };
    reader.track([&earlier]).unwrap();
    assert_eq!(reader.tracked_at(child.pid), 2);
    let pid = child.pid;
    child.kill();
    let events = everything(&mut reader);
    assert_eq!(kinds(&events, pid), [EventKind::Fork, EventKind::Exit]);
    assert_eq!(reader.tracked_at(pid), 0, "with it goes who had its number and was put in too late");
}

#[test]
fn nothing_is_counted_of_who_is_gone() {
    let context = context();
    let before = Child::idle(libc::CLONE_NEWUTS);
    let mut reader = open(&EventConfig::default());
    let scan = Reader::open(&context).unwrap().read(&context).unwrap();
    let named: Vec<_> = scan.tasks.iter().filter(|task| task.pid == before.pid).cloned().collect();
    // Once more changes nothing: it is there already.
    reader.track(&named).unwrap();
    reader.track(&named).unwrap();
    let after = [(); 3].map(|()| Child::idle(libc::CLONE_NEWUTS));
    let pids: Vec<u32> = std::iter::once(&before).chain(&after).map(|child| child.pid).collect();
    let counts = |reader: &EventReader| pids.iter().map(|pid| reader.tracked_at(*pid)).collect::<Vec<_>>();
    assert_eq!(counts(&reader), [1; 4]);
    before.kill();
    assert_eq!(after.map(Child::kill), [libc::SIGKILL; 3]);
    assert_eq!(counts(&reader), [0; 4]);
    // Who is gone already may be put in, and is counted until its number is somebody's again.
    reader.track(&named).unwrap();
    assert_eq!(counts(&reader), [1, 0, 0, 0]);
}
