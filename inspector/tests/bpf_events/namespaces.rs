//! What is told of namespaces.

use std::process::{Command, Stdio};

use inspector::observation::{EventKind, Kind};
use inspector::source::bpf::{EventConfig, EventTier};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::machine::{Child, cgroup_name, namespaces, start_ticks, tid, wait_until};
use crate::{everything, kinds, of, open, seeing};

const FLAGS: [(libc::c_int, Kind); 8] = [
    (libc::CLONE_NEWNS, Kind::Mnt),
    (libc::CLONE_NEWUTS, Kind::Uts),
    (libc::CLONE_NEWIPC, Kind::Ipc),
    (libc::CLONE_NEWPID, Kind::Pid),
    (libc::CLONE_NEWNET, Kind::Net),
    (libc::CLONE_NEWUSER, Kind::User),
    (libc::CLONE_NEWCGROUP, Kind::Cgroup),
    (libc::CLONE_NEWTIME, Kind::Time),
];

const LEAST: Option<EventTier> = Some(EventTier::ForkExec);

#[test]
fn a_namespace_of_each_kind_is_told_with_its_maker_and_so_is_its_members_death() {
    let mut reader = open(&EventConfig { only: LEAST, ..EventConfig::default() });
    let all = FLAGS.iter().fold(0, |all, (flag, _)| all | flag);
    for (flags, kind) in FLAGS.into_iter().map(|(flag, kind)| (flag, Some(kind))).chain([(all, None)]) {
        let child = Child::idle(flags);
        let pid = child.pid;
        let (name, own) = (pid.to_string(), namespaces("thread-self"));
        let expected = namespaces(&name);
        let started = start_ticks(&name);
        let cgroup = cgroup_name("self");
        child.kill();
        let events = everything(&mut reader);

        let told = of(&events, pid);
        assert_eq!(kinds(&events, pid), [EventKind::Fork, EventKind::Exit], "{kind:?}: {told:#?}");
        let [fork, exit] = told[..] else { unreachable!() };
        assert_eq!(fork.old, Some(own), "{kind:?}");
        assert_eq!(fork.new, Some(expected), "{kind:?}");
        let changed: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| own.namespaces.get(*kind) != expected.namespaces.get(*kind))
            .collect();
        assert_eq!(changed, kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]));
        assert_eq!(fork.pid, pid);
        assert_eq!(fork.start_boottime_ns / 10_000_000, started);
        assert_eq!(fork.process_start_boottime_ns, fork.start_boottime_ns);
        assert!(fork.boottime_ns >= fork.start_boottime_ns);
        assert!(fork.boottime_ns - fork.start_boottime_ns < 10_000_000_000, "the same clock: {fork:?}");
        let is_init = matches!(kind, Some(Kind::Pid) | None);
        assert_eq!((fork.pid_namespace_init, fork.pid_inside == 1), (is_init, is_init));
        let caller = fork.caller.unwrap();
        assert_eq!((caller.pid, caller.tgid), (tid(), std::process::id()));
        assert_eq!(caller.process_start_boottime_ns / 10_000_000, start_ticks("self"));
        assert!(
            fork.parent.is_none() && fork.exit.is_none() && !fork.kernel_thread && !fork.parent_is_callers
        );
        assert_eq!((&*fork.cgroup.name, fork.cgroup.name_truncated), (cgroup.as_str(), false));
        assert_eq!(fork.uid, 0);

        let status = exit.exit.unwrap();
        assert_eq!((status.signal, status.code), (Some(9), None));
        assert_eq!((exit.old, exit.new), (fork.new, None), "{kind:?}");
        assert_eq!(exit.process_start_boottime_ns, fork.process_start_boottime_ns);
        assert_eq!(exit.pid_namespace_init, is_init);
        assert_eq!((&exit.comm, &exit.cgroup), (&fork.comm, &fork.cgroup));
    }
}

/// As runtimes do for their stages.
#[test]
fn a_sibling_is_told_as_such_with_who_made_it() {
    let mut reader = open(&EventConfig { only: LEAST, ..EventConfig::default() });
    let maker = Child::spawn(0, sibling, libc::CLONE_PARENT | libc::CLONE_NEWUTS);
    let (pid, start) = (maker.pid, start_ticks(&maker.pid.to_string()));
    maker.wait();
    let events = everything(&mut reader);
    let made = events.iter().find(|it| it.caller.is_some_and(|caller| caller.tgid == pid)).unwrap();
    assert_eq!((made.kind, made.parent_is_callers, made.parent), (EventKind::Fork, true, None));
    assert_eq!(made.caller.unwrap().process_start_boottime_ns / 10_000_000, start);
    // It is this process's child.
    // SAFETY: no addresses but NULL.
    let waited = unsafe { libc::waitpid(made.pid.cast_signed(), std::ptr::null_mut(), 0) };
    assert_eq!(waited, made.pid.cast_signed());
}

/// Makes a child of its own parent's, which ends.
fn sibling(flags: libc::c_int) -> libc::c_int {
    // SAFETY: plain integers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    // No signal: a sibling has its maker's.
    arguments.flags = u64::from(flags.cast_unsigned());
    // SAFETY: as of fork; both make system calls only.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    libc::c_int::from(pid < 0)
}

#[test]
fn an_init_that_exits_says_how() {
    let mut reader = open(&EventConfig::default());
    let ended = Child::spawn(libc::CLONE_NEWPID, |code| code, 7);
    let pid = ended.pid;
    let status = ended.wait();
    let events = everything(&mut reader);
    let exit = of(&events, pid)[1];
    assert_eq!(libc::WEXITSTATUS(status), 7);
    assert_eq!(exit.exit.unwrap().code, Some(7));
    assert!(exit.pid_namespace_init);
}

/// Unshares the UTS namespace, joins the one that it was in, and does both once more in a thread.
fn there_and_back() {
    let home = std::fs::File::open("/proc/thread-self/ns/uts").unwrap();
    // SAFETY: no file descriptor table is left, which is what may hurt other code.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUTS) }.unwrap();
    rustix::thread::move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&home),
        Some(LinkNameSpaceType::HostNameAndNISDomainName),
    )
    .unwrap();
}

#[test]
fn unshare_and_setns_are_told_where_calls_are_watched_and_only_there() {
    let mut blind = open(&EventConfig { only: LEAST, ..EventConfig::default() });
    for tier in seeing() {
        let mut reader = open(&EventConfig { only: Some(tier), ..EventConfig::default() });
        assert_eq!(reader.tier(), tier);
        let home = namespaces("self");
        let thread = std::thread::spawn(|| {
            there_and_back();
            tid()
        })
        .join()
        .unwrap();
        let told = everything(&mut reader);
        let told: Vec<_> = told.iter().filter(|event| event.pid == thread).collect();
        assert_eq!(told.len(), 2, "{tier:?}: {told:#?}");
        let [unshare, setns] = told[..] else { unreachable!() };
        assert_eq!((unshare.kind, setns.kind), (EventKind::Unshare, EventKind::Setns));
        assert_eq!((unshare.tgid, unshare.is_thread()), (std::process::id(), true));
        assert_eq!((unshare.old, setns.new), (Some(home), Some(home)));
        assert_eq!(unshare.new, setns.old);
        let (old, new) = (unshare.old.unwrap(), unshare.new.unwrap());
        for kind in Kind::ALL {
            let same = old.namespaces.get(kind) == new.namespaces.get(kind);
            assert_eq!(same, kind != Kind::Uts, "{kind}");
        }
        // Of a thread that is its process's.
        assert!(
            [unshare, setns].iter().all(|it| it.parent.unwrap().tgid == std::os::unix::process::parent_id())
        );
        assert!(unshare.start_boottime_ns > unshare.process_start_boottime_ns);
        assert!(!everything(&mut blind).iter().any(|event| event.pid == thread));
    }
}

/// What each call changes, down to those that change where children are born only; and calls that change nothing or fail.
#[test]
fn every_kind_of_unshare_and_a_process_that_joins_and_stays() {
    seeing().into_iter().for_each(every_kind_by);
}

fn every_kind_by(tier: EventTier) {
    let mut reader = open(&EventConfig { only: Some(tier), ..EventConfig::default() });
    let unshare: fn(libc::c_int) -> libc::c_int = |flags| {
        // SAFETY: a system call without addresses.
        unsafe { libc::unshare(flags) };
        0
    };
    for (flag, kind) in FLAGS {
        let child = Child::spawn(0, unshare, flag);
        let pid = child.pid;
        let before = namespaces(&pid.to_string());
        child.wait();
        let events = everything(&mut reader);
        // Whoever goes to other namespaces by a call is noted, so its end is told.
        assert_eq!(kinds(&events, pid), [EventKind::Unshare, EventKind::Exit], "{kind}");
        let [told, exit] = of(&events, pid)[..] else { unreachable!() };
        let (old, new) = (told.old.unwrap(), told.new.unwrap());
        assert_eq!(old, before, "{kind}");
        assert_eq!(exit.old, Some(new), "{kind}");
        let parent = told.parent.unwrap();
        assert_eq!((parent.pid, parent.tgid), (tid(), std::process::id()), "{kind}");
        assert_eq!(parent.process_start_boottime_ns / 10_000_000, start_ticks("self"), "{kind}");
        assert!(told.caller.is_none() && exit.parent.is_none());
        // A process keeps its own PID and time namespace for life.
        let moves = !matches!(kind, Kind::Pid | Kind::Time);
        assert_eq!(old.namespaces.get(kind) != new.namespaces.get(kind), moves, "{kind}");
        // (The kernel unshares the filesystem's view with the user namespace, and no namespace.)
        assert_eq!(old.pid_for_children != new.pid_for_children, kind == Kind::Pid, "{kind}");
        assert_eq!(old.time_for_children != new.time_for_children, kind == Kind::Time, "{kind}");
    }
    for flags in [0, libc::CLONE_FILES, libc::CLONE_FS, -1] {
        let child = Child::spawn(0, unshare, flags);
        let pid = child.pid;
        child.wait();
        assert_eq!(kinds(&everything(&mut reader), pid), [], "{flags:#x}");
    }

    let target = Child::idle(libc::CLONE_NEWNET | libc::CLONE_NEWIPC);
    let there = namespaces(&target.pid.to_string());
    let pidfd = rustix::process::pidfd_open(
        rustix::process::Pid::from_raw(target.pid.cast_signed()).unwrap(),
        rustix::process::PidfdFlags::empty(),
    )
    .unwrap();
    let both: fn(libc::c_int) -> libc::c_int = |fd| {
        // SAFETY: system calls without addresses.
        unsafe {
            libc::setns(fd, libc::CLONE_NEWNET | libc::CLONE_NEWIPC);
            libc::setns(fd, libc::CLONE_NEWNET);
            libc::pause()
        }
    };
    let mut joiner = Child::spawn(0, both, std::os::fd::AsRawFd::as_raw_fd(&pidfd));
    let pid = joiner.pid;
    joiner.go();
    wait_until("a process to join", || namespaces(&pid.to_string()) == there);
    joiner.kill();
    let events = everything(&mut reader);
    assert_eq!(kinds(&events, pid), [EventKind::Setns, EventKind::Exit], "the second call changed nothing");
    assert_eq!(of(&events, pid)[0].new, Some(there));
    assert_eq!(of(&events, pid)[0].parent.unwrap().tgid, std::process::id());
}

/// Runtimes unshare and exec; that shows without watching calls.
#[test]
fn exec_in_other_namespaces_is_told_and_again_with_what_was_told_before() {
    let mut reader = open(&EventConfig { only: LEAST, ..EventConfig::default() });
    let home = namespaces("self");
    let mut child = Command::new("unshare")
        .args(["--uts", "--net", "unshare", "--ipc", "sleep", "600"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let name = pid.to_string();
    let comm = || std::fs::read_to_string(format!("/proc/{name}/comm")).unwrap();
    wait_until("a process to sleep", || comm() == "sleep\n");
    let last = namespaces(&name);
    child.kill().unwrap();
    child.wait().unwrap();
    let events = everything(&mut reader);
    let told = of(&events, pid);
    let seen: Vec<_> = told.iter().map(|event| (event.kind, &*event.comm)).collect();
    assert_eq!(seen, [(EventKind::Exec, "unshare"), (EventKind::Exec, "sleep"), (EventKind::Exit, "sleep")]);
    let [first, second, exit] = told[..] else { unreachable!() };
    // It began as a copy of this process, in the same namespaces.
    assert_eq!((first.old, first.old_is_parents), (Some(home), true));
    assert_eq!(first.parent.unwrap().tgid, std::process::id());
    assert_eq!((second.old, second.new, second.old_is_parents), (first.new, Some(last), false));
    assert_eq!(exit.old, Some(last));
    let differs = |kind| first.new.unwrap().namespaces.get(kind) != home.namespaces.get(kind);
    assert!(Kind::ALL.into_iter().all(|kind| differs(kind) == matches!(kind, Kind::Uts | Kind::Net)));
}
