//! One case for each thing that the contract says of *behaviour* and *command*.

use super::*;
use crate::observation::ProcessKey;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
/// The observation's time: every process here started an hour before it.
const NOW: u64 = 10 * HOUR;

/// A process: pid, parent, comm, executable, what it waits for.
fn process(pid: u32, parent: u32, comm: &str, executable: &str, waits: &[Wait]) -> (Task, Behaviour) {
    let start_boottime_ns = NOW - HOUR;
    let task = Task { pid, tgid: pid, parent, comm: comm.into(), start_boottime_ns, ..Task::default() };
    let behaviour = Behaviour {
        process: ProcessKey { pid, start_ticks: start_boottime_ns / 10_000_000 },
        executable: Some(executable.to_owned()),
        waits: waits.to_vec(),
        sockets: Some(0),
        cpu_ms: Some(3),
        reaped_cpu_ms: Some(0),
        files: Vec::new(),
    };
    (task, behaviour)
}

fn call(name: &str) -> Wait {
    Wait::Other(name.to_owned())
}

fn files(mut process: (Task, Behaviour), files: &[&str]) -> (Task, Behaviour) {
    process.1.files = files.iter().map(|file| (*file).to_owned()).collect();
    process
}

fn with(mut process: (Task, Behaviour), change: impl FnOnce(&mut Behaviour)) -> (Task, Behaviour) {
    change(&mut process.1);
    process
}

fn class_of(processes: &[(Task, Behaviour)], command: &[&str]) -> ClassVerdict {
    let pairs: Vec<_> = processes.iter().map(|(task, behaviour)| (task, Some(behaviour))).collect();
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    classify(&pairs, &command, NOW)
}

#[test]
fn single_processes() {
    use Class::{Application, Pause, Unknown};
    use Wait::{Children, Signal, Sleep, TimedSignal};
    let one = |comm: &str, executable: &str, wait: Wait| process(10, 1, comm, executable, &[wait]);
    let many = |executable: &str, waits: &[Wait]| process(10, 1, executable, executable, waits);
    let unreadable = Wait::Unreadable("denied".to_owned());
    let table = [
        ("pause.c", one("pause", "pause", Signal), Pause),
        ("a pause of any name", one("nginx", "nginx", Signal), Pause),
        ("several threads that wait", many("holder", &[Signal, Children, Signal]), Pause),
        ("one thread of several that does not", many("holder", &[Signal, call("futex")]), Application),
        ("sleep infinity of coreutils", one("sleep", "sleep", Signal), Pause),
        ("sleep 1h", one("sleep", "sleep", Sleep), Pause),
        ("busybox's sleep", one("sleep", "busybox", Sleep), Pause),
        ("coreutils in one file", one("sleep", "coreutils", Sleep), Pause),
        ("busybox's crond between jobs", one("crond", "busybox", Sleep), Application),
        ("busybox, and nobody knows as what", one("busybox", "busybox", Sleep), Application),
        ("a server called sleep", one("sleep", "sleep", call("epoll_wait")), Application),
        ("a program that calls itself sleep", one("sleep", "python3", Sleep), Application),
        ("cron between jobs", one("cron", "cron", Sleep), Application),
        ("a program that sleeps for good, so to speak", one("wait", "python3", Sleep), Application),
        ("an idle server", one("nginx", "nginx", call("epoll_wait")), Application),
        ("a pause in Go", many("pause", &[call("futex"), call("epoll_wait")]), Application),
        ("a busy server in a container named pause", one("pause", "pause", call("running")), Application),
        ("tini alone", one("tini", "tini", TimedSignal), Pause),
        ("tini, as Yama shows it", one("tini", "tini", call("rt_sigtimedwait")), Pause),
        ("a program that waits like tini", one("agent", "agent", TimedSignal), Application),
        ("a wait for a signal of unknown limit", one("agent", "agent", call("rt_sigtimedwait")), Unknown),
        ("what it waits for is hidden", one("pause", "pause", unreadable.clone()), Unknown),
        ("one of its threads is hidden", many("pause", &[Signal, unreadable.clone()]), Unknown),
        ("no threads seen", many("pause", &[]), Unknown),
        ("its fds are hidden", with(one("pause", "pause", Signal), |b| b.sockets = None), Unknown),
        ("its CPU time is hidden", with(one("pause", "pause", Signal), |b| b.cpu_ms = None), Unknown),
        ("a socket", with(one("pause", "pause", Signal), |b| b.sockets = Some(1)), Application),
        (
            "a socket decides, whatever is hidden",
            with(one("x", "x", unreadable), |b| b.sockets = Some(2)),
            Application,
        ),
        (
            "orphans that it reaped",
            with(one("pause", "pause", Signal), |b| b.reaped_cpu_ms = Some(HOUR)),
            Pause,
        ),
        ("no executable readable", with(one("pause", "pause", Signal), |b| b.executable = None), Pause),
        ("tail -f /dev/null", files(one("tail", "tail", Sleep), &["/dev/null"]), Pause),
        ("busybox's tail", files(one("tail", "busybox", Sleep), &["/dev/null"]), Pause),
        (
            "tail -f /dev/null by inotify",
            files(one("tail", "tail", call("poll")), &["/dev/null", "anon_inode:inotify"]),
            Pause,
        ),
        (
            "tail -f of a log",
            files(one("tail", "tail", call("poll")), &["/var/log/x", "anon_inode:inotify"]),
            Application,
        ),
        (
            "tail -f of a log and /dev/null",
            files(one("tail", "tail", Sleep), &["/dev/null", "/var/log/x"]),
            Application,
        ),
        (
            "tail -f /dev/null, started with more open",
            files(one("tail", "tail", Sleep), &["pipe:[52246]", "/dev/null", "/dev/null"]),
            Pause,
        ),
        (
            "tail with more open than was noted",
            files(one("tail", "tail", Sleep), &["/dev/null", "…"]),
            Application,
        ),
        ("tail -f of what it reads", one("tail", "tail", Sleep), Application),
        ("tail at work", files(one("tail", "tail", call("running")), &["/dev/null"]), Application),
    ];
    for (what, process, class) in table {
        let verdict = class_of(&[process], &[]);
        assert_eq!(verdict.class, class, "{what}: {}", verdict.why);
        assert!(!verdict.why.is_empty());
    }
}

/// CPU time by age: what a slow machine makes of a start is no work, and work is no slow start.
#[test]
fn cpu_time_and_age() {
    use Class::{Application, Pause};
    use Wait::{Children, Signal, TimedSignal};
    let pause = |wait: Wait| process(10, 1, "pause", "pause", &[wait]);
    let shell =
        || vec![process(10, 1, "sh", "dash", &[Children]), process(20, 10, "sleep", "sleep", &[Wait::Sleep])];
    let loop_ = ["sh", "-c", "while true; do sleep 1h; done"];
    type Case<'a> = (&'a str, Vec<(Task, Behaviour)>, &'a [&'a str], u64, u64, Class);
    // What, its processes and its command; the first one's age and CPU time in ms.
    let table: Vec<Case<'_>> = vec![
        ("just started", vec![pause(Signal)], &[], 0, 100, Pause),
        ("just started, on a slow machine", vec![pause(Signal)], &[], 1_600, 800, Pause),
        ("young, on a slow machine", vec![pause(Signal)], &[], 10_000, 2_900, Pause),
        ("as old as it was busy", vec![pause(Signal)], &[], 1_000, 1_000, Application),
        (
            "busy from its start, caught between two signals",
            vec![pause(Signal)],
            &[],
            60_000,
            30_000,
            Application,
        ),
        ("a busy loop", vec![pause(call("running"))], &[], 3_600_000, 3_590_000, Application),
        ("a busy loop that has just started", vec![pause(call("running"))], &[], 10, 10, Application),
        ("old and idle, started on a slow machine", vec![pause(Signal)], &[], 86_400_000, 2_000, Pause),
        ("old and idle, started on a fast one", vec![pause(Signal)], &[], 86_400_000, 3, Pause),
        (
            "a second of work in every minute of a day",
            vec![pause(Signal)],
            &[],
            86_400_000,
            1_440_000,
            Application,
        ),
        ("a start and 1/2000 of an hour", vec![pause(Signal)], &[], 3_600_000, 4_800, Pause),
        ("more CPU time than that", vec![pause(Signal)], &[], 3_600_000, 4_801, Application),
        (
            "tini for a year",
            vec![process(9, 1, "tini", "tini", &[TimedSignal])],
            &[],
            31_536_000_000,
            700_000,
            Pause,
        ),
        ("a shell that starts a sleep every second", shell(), &loop_, 3_600_000, 36_000, Pause),
        ("a shell that does more", shell(), &loop_, 3_600_000, 60_000, Application),
    ];
    for (what, mut processes, command, age_ms, cpu_ms, class) in table {
        // The observation's time is the same for all.
        processes[0].0.start_boottime_ns = (400 * 24 * HOUR) - age_ms * 1_000_000;
        processes[0].1.cpu_ms = Some(cpu_ms);
        let pairs: Vec<_> = processes.iter().map(|(task, behaviour)| (task, Some(behaviour))).collect();
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let verdict = classify(&pairs, &command, 400 * 24 * HOUR);
        assert_eq!(verdict.class, class, "{what}: {}", verdict.why);
    }
    // What its children used is no start of its own.
    let mut jobs = shell();
    jobs[0].1.reaped_cpu_ms = Some(37_000);
    assert_eq!(class_of(&jobs, &[]).class, Application);
}

#[test]
fn families() {
    use Class::{Application, Pause, Unknown};
    use Wait::{Children, Signal, Sleep, TimedSignal};
    let sleep = |parent| process(20, parent, "sleep", "sleep", &[Sleep]);
    let endless = |parent| process(20, parent, "sleep", "sleep", &[Signal]);
    let shell = || process(10, 1, "sh", "dash", &[Children]);
    let loop_ = ["sh", "-c", "while true; do sleep 1h; done"];
    let cron = ["sh", "-c", "while true; do date >> /log; sleep 60; done"];
    let tini = || process(9, 1, "tini", "tini", &[TimedSignal]);
    type Case<'a> = (&'a str, Vec<(Task, Behaviour)>, &'a [&'a str], Class);
    let table: Vec<Case<'_>> = vec![
        ("tini around sleep", vec![tini(), sleep(9)], &["tini", "--", "sleep", "1h"], Pause),
        (
            "tini around a server",
            vec![tini(), process(10, 9, "nginx", "nginx", &[call("epoll_wait")])],
            &[],
            Application,
        ),
        ("catatonit around sleep", vec![process(9, 1, "c", "catatonit", &[Signal]), sleep(9)], &[], Pause),
        (
            "docker --init around sleep",
            vec![process(9, 1, "docker-init", "docker-init", &[TimedSignal]), sleep(9)],
            &[],
            Pause,
        ),
        ("a shell loop, by its command", vec![shell(), sleep(10)], &loop_, Pause),
        (
            "a shell loop in busybox",
            vec![process(10, 1, "busybox", "busybox", &[Children]), sleep(10)],
            &loop_,
            Pause,
        ),
        ("a shell loop, and nobody knows the command", vec![shell(), sleep(10)], &[], Pause),
        ("a cron between jobs, by its command", vec![shell(), sleep(10)], &cron, Application),
        (
            "a cron between jobs, whose command nobody knows: its jobs show",
            vec![with(shell(), |b| b.reaped_cpu_ms = Some(60_000)), sleep(10)],
            &[],
            Application,
        ),
        ("a script file that nobody has read", vec![shell(), sleep(10)], &["/entrypoint.sh"], Application),
        ("a script file that ends in sleep infinity", vec![shell(), endless(10)], &["/entrypoint.sh"], Pause),
        (
            "sleep & wait in dash",
            vec![process(10, 1, "sh", "dash", &[Signal]), sleep(10)],
            &cron,
            Application,
        ),
        (
            "a cron in Python",
            vec![process(10, 1, "python3", "python3", &[Children]), sleep(10)],
            &[],
            Application,
        ),
        (
            "whose executable is hidden",
            vec![with(shell(), |b| b.executable = None), sleep(10)],
            &loop_,
            Unknown,
        ),
        (
            "tini around a shell loop",
            vec![tini(), process(10, 9, "sh", "bash", &[Children]), sleep(10)],
            &["tini", "--", "sh", "-c", "while :; do sleep 5; done"],
            Pause,
        ),
        (
            "a loop of one second, a second of CPU in an hour",
            vec![with(shell(), |b| b.cpu_ms = Some(3_600)), sleep(10)],
            &loop_,
            Pause,
        ),
        ("nobody", vec![], &[], Unknown),
        (
            "busybox sleep, by its command",
            vec![process(10, 1, "busybox", "busybox", &[Sleep])],
            &["busybox", "sleep", "1h"],
            Pause,
        ),
        (
            "busybox crond, by its command",
            vec![process(10, 1, "busybox", "busybox", &[Sleep])],
            &["busybox", "crond", "-f"],
            Application,
        ),
        (
            "tail -f of an empty stdin, by its command",
            vec![process(10, 1, "tail", "tail", &[Sleep])],
            &["tail", "-f"],
            Pause,
        ),
    ];
    for (what, processes, command, class) in table {
        let verdict = class_of(&processes, command);
        assert_eq!(verdict.class, class, "{what}: {}", verdict.why);
    }
}

#[test]
fn who_does_not_count_and_who_is_missing() {
    let (pause, behaviour) = process(10, 1, "pause", "pause", &[Wait::Signal]);
    let zombie = Task { pid: 11, tgid: 11, parent: 10, zombie: true, ..Task::default() };
    let thread = Task { pid: 12, tgid: 10, ..Task::default() };
    let seen = [(&pause, Some(&behaviour)), (&zombie, None), (&thread, None)];
    assert_eq!(
        classify(&seen, &[], NOW).class,
        Class::Pause,
        "a zombie waits for nothing; threads are in the behaviour"
    );
    let left = Task { pid: 13, tgid: 13, ..Task::default() };
    assert_eq!(classify(&[(&pause, Some(&behaviour)), (&left, None)], &[], NOW).class, Class::Unknown);
    assert_eq!(classify(&[(&zombie, None)], &[], NOW).class, Class::Unknown);
    let (server, serving) = process(14, 1, "web", "web", &[call("epoll_wait")]);
    let verdict = classify(&[(&left, None), (&server, Some(&serving))], &[], NOW);
    assert_eq!(verdict.class, Class::Application, "what was seen suffices");
    assert_eq!(verdict.why, "process 14 (web): is in epoll_wait");
}

#[test]
fn the_reasons_are_given() {
    let verdict = class_of(&[process(10, 1, "x", "catatonit", &[Wait::Signal])], &[]);
    assert_eq!(verdict.why, "catatonit waits for a signal, 3 ms of CPU time; no sockets");
}

#[test]
fn commands() {
    let pause: &[&[&str]] = &[
        &["/pause"],
        &["pause", "--whatever"],
        &["/usr/bin/pod"],
        &["/catatonit", "-P"],
        &["catatonit", "--", "sleep", "infinity"],
        &["catatonit", "-g", "sleep", "1h"],
        &["sleep", "infinity"],
        &["/bin/sleep", "1d"],
        &["sleep", "--", "2.5h"],
        &["sleep", "1h", "30m"],
        &["tail", "-f", "/dev/null"],
        &["tail", "-F", "/dev/null"],
        &["tail", "-f"],
        &["tail", "-n", "0", "-f", "/dev/null"],
        &["tail", "-n0", "-f", "/dev/null"],
        &["tail", "--follow", "--lines=0", "/dev/null"],
        &["tini", "sleep", "1h"],
        &["/sbin/docker-init", "--", "/bin/sleep", "1h"],
        &["/tini", "-g", "-p", "SIGTERM", "--", "tail", "-f", "/dev/null"],
        &["dumb-init", "--rewrite", "15:3", "--", "sleep", "infinity"],
        &["dumb-init", "-c", "sleep", "infinity"],
        &["busybox", "sleep", "1h"],
        &["coreutils", "--coreutils-prog=sleep", "1h"],
        &["sh", "-c", "sleep infinity"],
        &["/bin/bash", "-ec", "sleep infinity"],
        &["bash", "-eo", "pipefail", "-c", "sleep infinity"],
        &["tini", "--", "sh", "-c", "exec busybox sleep 1h"],
        &["busybox", "sh", "-c", "while true; do sleep 1h; done"],
    ];
    let application: &[&[&str]] = &[
        &["nginx", "-g", "daemon off;"],
        &["/opt/pod"],
        &["pod"],
        &["pauses"],
        &["catatonit"],
        &["catatonit", "--", "nginx"],
        &["sleep"],
        &["sleep", "--help"],
        &["sleep", "$(work)", "x"],
        &["tail", "-f", "/var/log/nginx/access.log"],
        &["tail", "-f", "/dev/null", "/var/log/x"],
        &["tail", "/dev/null"],
        &["tail", "--pid=7", "-f", "/dev/null"],
        &["tail", "-f", "--", "/dev/nul"],
        &["tini", "--", "nginx"],
        &["tini"],
        &["tini", "-p"],
        &["busybox", "httpd", "-f"],
        &["busybox"],
        &["sh"],
        &["sh", "/entrypoint.sh"],
        &["sh", "-c"],
        &["/entrypoint.sh", "sleep", "infinity"],
        &["python3", "-c", "sleep infinity"],
        &[""],
        &["/"],
    ];
    let of = |argv: &[&str]| {
        classify_command(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).class
    };
    for argv in pause {
        assert_eq!(of(argv), Class::Pause, "{argv:?}");
    }
    for argv in application {
        assert_eq!(of(argv), Class::Application, "{argv:?}");
    }
    assert_eq!(of(&[]), Class::Unknown);
    assert_eq!(of(&["tini"; 100_000]), Class::Application, "no depth of nesting overflows");
}

#[test]
fn scripts() {
    let sleeping = [
        "sleep infinity",
        "while true; do sleep 1h; done",
        "while true; do sleep 1h; done;",
        "while :; do sleep 1; done",
        "while sleep 3600; do :; done",
        "until false; do sleep 60; done",
        "while true\ndo\n  sleep 1h # for ever\ndone\n",
        "sleep infinity & wait",
        "sleep infinity &\nwait $!",
        "trap : TERM INT; sleep infinity & wait",
        "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done",
        "trap \"exit 0\" TERM; while :; do sleep 1 & wait ${!}; done",
        "trap 'kill $!; exit' TERM INT; sleep infinity & wait",
        "trap '' HUP; trap - INT; exec sleep infinity",
        "tail -f /dev/null",
        "exec tail -f /dev/null",
        "exec 2>/dev/null; sleep 1d",
        "exec tini -- sleep infinity",
        "set -e; sleep infinity >/dev/null 2>&1",
        "sleep 1h &>/dev/null",
        "(sleep 1h)",
        "{ sleep 1h; }",
        "while true; do (sleep 1h); done",
        "true && sleep 1h || true",
        "sleep \"${NAP}\"",
        "sh -c 'sleep 1h'",
    ];
    let working = [
        "",
        ":",
        "wait",
        "while true; do :; done",
        "while true; do date >> /log; sleep 60; done",
        "while true; do sleep 60; backup; done",
        "while backup; do sleep 60; done",
        "while true; do sleep 60 > /var/log/x; done",
        "sleep 60 | backup",
        "sleep $(backup)",
        "sleep `backup`",
        "sleep \"$(backup)\"",
        "sleep ${x:-$(backup)}",
        "sleep 1h; exec nginx",
        "nginx & sleep infinity",
        "sleep infinity & exec nginx",
        "trap backup USR1; sleep infinity",
        "trap 'exit 0; backup' USR1; sleep infinity",
        "trap 'kill $(backup)' USR1; sleep infinity",
        "sleep () { backup; }; sleep 1h",
        "if backup; then sleep 1h; fi",
        "for i in 1 2; do sleep 1h; done",
        "case x in x) sleep 1h;; esac",
        "while true; do sleep 1h",
        "sleep 1h; done",
        "(sleep 1h",
        "sleep 1h)",
        "'sleep 1h'",
        "sleep 'unclosed",
        "$CMD; sleep 1h",
        "echo alive; sleep 1h",
        "\"while\" true; do sleep 1h; done",
        "sleep < /fifo 1h",
        "sleep 1h <<EOF\nx\nEOF",
    ];
    for text in sleeping {
        assert!(script::only_sleeps(text, 8), "{text:?}");
    }
    for text in working {
        assert!(!script::only_sleeps(text, 8), "{text:?}");
    }
    let deep = format!("{}sleep 1h{}", "(".repeat(1000), ")".repeat(1000));
    assert!(!script::only_sleeps(&deep, 8), "no depth of nesting overflows");
    assert!(!script::only_sleeps(&"sleep 1h;".repeat(100_000), 8));
}
