//! The eBPF reader against the running kernel: every field of every task is compared with what these tests read from
//! /proc by themselves, and nothing is lost or told twice, however many there are.
//!
//! They want root, a kernel with BTF, and `unshare`, `setpriv` and `sleep`. Without, they fail and say so.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod above;
#[path = "../support/executable.rs"]
mod executable;
mod machine;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use inspector::observation::{Kind, Task};
use inspector::source::bpf::{self, BpfError, Reader, Variant};
use inspector::source::{Context, Options, TaskScan};

use machine::{Cgroups, Scratch, Sleeper, Stray, shell};

fn context() -> Context {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads eBPF into the kernel and makes namespaces: run it as root (`cargo xtask test` asks for sudo)"
    );
    Context::new(Options::default())
}

fn scan(variant: Variant) -> TaskScan {
    let context = context();
    Reader::open_variant(&context, variant).unwrap().read(&context).unwrap()
}

fn by_pid(scan: &TaskScan) -> BTreeMap<u32, &Task> {
    scan.tasks.iter().map(|task| (task.pid, task)).collect()
}

/// Compares all that lived unchanged while the scan was made. Gives the pids that were.
fn agree_with_proc(variant: Variant) -> BTreeSet<u32> {
    let context = context();
    let mut reader = Reader::open_variant(&context, variant).unwrap();
    let mut compared = BTreeSet::new();
    let mut disputed = BTreeMap::new();
    // Busy processes of others change between two looks: what differs must do so time and again.
    for round in 0..5 {
        let start = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let before = oracle::tasks();
        let scan = reader.read(&context).unwrap();
        let after = oracle::tasks();

        let seen = by_pid(&scan);
        assert_eq!(seen.len(), scan.tasks.len(), "no pid twice");
        assert!(scan.tasks.iter().is_sorted_by_key(|task| task.pid));
        let own_level = seen[&std::process::id()].level.unwrap();
        let mut differing = BTreeMap::new();
        for (pid, expected) in before.iter().filter(|(pid, expected)| after.get(pid) == Some(*expected)) {
            if let Some(task) = seen.get(pid) {
                compared.insert(*pid);
                let differences = expected.differences(task, own_level);
                if !differences.is_empty() {
                    differing.insert(*pid, differences);
                }
            } else {
                assert!(expected.tgid == 1, "{variant:?} lost {pid}: {expected:?}");
                assert_eq!(scan.unreadable, 1, "a hidden process 1 is said");
                assert!(scan.gaps.iter().any(|gap| gap.what == "process 1"));
            }
        }
        for (pid, task) in seen {
            let started = i128::from(task.start_boottime_ns);
            let young = started >= i128::from(start.tv_sec) * 1_000_000_000 + i128::from(start.tv_nsec);
            // The threads of a process that is ending may outlive its main thread for a moment.
            let ending =
                !task.is_leader() && before.contains_key(&task.tgid) && !after.contains_key(&task.tgid);
            assert!(
                young || ending || before.contains_key(&pid) || after.contains_key(&pid),
                "{variant:?} made up {task:?}"
            );
        }
        if round == 0 {
            disputed = differing;
        } else {
            disputed.retain(|pid, differences| differing.get(pid) == Some(differences));
        }
        if disputed.is_empty() {
            return compared;
        }
    }
    panic!("{variant:?}: {disputed:#?}");
}

/// One process or thread of each sort that there is.
fn zoo() -> (Vec<u32>, Vec<Sleeper>, Stray, std::process::Child) {
    let everything =
        ["--mount", "--uts", "--ipc", "--net", "--pid", "--user", "--cgroup", "--time", "--fork"];
    let folder = Scratch::new("comm");
    let hostile = folder.0.join("x\u{1b}[2J");
    std::os::unix::fs::symlink("/bin/sleep", &hostile).unwrap();
    let sleepers = vec![
        Sleeper::spawn(Command::new("unshare").args(everything).args(["--map-root-user", "sleep", "600"])),
        // Owned by another, and two PID namespaces deep.
        Sleeper::spawn(
            Command::new("setpriv")
                .args([
                    "--reuid",
                    "4321",
                    "--clear-groups",
                    "unshare",
                    "--user",
                    "--map-root-user",
                    "--pid",
                    "--fork",
                ])
                .args(["unshare", "--pid", "--net", "--fork", "sleep", "600"]),
        ),
        // Its children are to be born elsewhere.
        Sleeper::spawn(Command::new("unshare").args(["--pid", "sleep", "600"])),
        Sleeper::spawn(Command::new(&hostile).arg("600")),
    ];
    let stray = Stray::spawn();
    let zombie = Command::new("true").spawn().unwrap();
    machine::wait_until("the zombie", || oracle::state(zombie.id()) == Some('Z'));
    let mut pids: Vec<u32> = sleepers.iter().flat_map(Sleeper::all_pids).collect();
    pids.extend([stray.tid, zombie.id()]);
    (pids, sleepers, stray, zombie)
}

#[test]
fn every_field_is_what_proc_says() {
    let (pids, sleepers, stray, mut zombie) = zoo();
    for variant in Variant::ALL {
        let compared = agree_with_proc(variant);
        for pid in &pids {
            assert!(compared.contains(pid), "{variant:?}: {pid} was not there to compare");
        }
        assert!(compared.contains(&2) || std::process::id() == 1, "kernel threads too");

        let scan = scan(variant);
        let counts = above::agrees(&scan);
        assert_eq!(counts.len(), Kind::ALL.len(), "{counts:?}");
        let seen = by_pid(&scan);
        let own = seen[&std::process::id()];
        let thread = seen[&stray.tid];
        assert!(!thread.is_leader() && thread.tgid == own.pid);
        assert_ne!(thread.namespaces.get(Kind::Net), own.namespaces.get(Kind::Net));
        assert_ne!(thread.time_for_children, thread.namespaces.get(Kind::Time));
        assert_eq!(thread.namespaces.get(Kind::Mnt), own.namespaces.get(Kind::Mnt));
        assert!(
            !seen.contains_key(&stray.returned_tid),
            "a thread that came back to its leader's is none of note"
        );

        let dead = seen[&zombie.id()];
        assert!(dead.zombie && dead.namespaces.get(Kind::Net).is_none());
        assert_eq!(dead.namespaces.get(Kind::Pid), own.namespaces.get(Kind::Pid));

        let inner = seen[sleepers[0].all_pids().last().unwrap()];
        for kind in Kind::ALL {
            assert_ne!(inner.namespaces.get(kind), own.namespaces.get(kind), "{kind}");
        }
        assert!(inner.pid_namespace_init && inner.pid_inside == Some(1));
        let owned = seen[sleepers[1].all_pids().last().unwrap()];
        assert_eq!(owned.user_namespace_owner, Some(4321));
        assert_eq!(owned.level, own.level.map(|level| level + 2));
        let expecting = seen[sleepers[2].all_pids().last().unwrap()];
        assert_ne!(expecting.pid_for_children, expecting.namespaces.get(Kind::Pid));
        let hostile = seen[sleepers[3].all_pids().last().unwrap()];
        assert_eq!(&*hostile.comm, "x\u{1b}[2J");
    }
    zombie.wait().unwrap();
}

#[test]
fn thousands_without_loss_or_duplicate() {
    let many = shell("for i in $(seq 5000); do sleep 600 & done");
    machine::wait_until("5,000 processes", || many.all_pids().len() > 5000);
    for variant in Variant::ALL {
        let compared = agree_with_proc(variant);
        let pids = many.all_pids();
        assert!(pids.len() > 5000);
        assert!(pids.iter().all(|pid| compared.contains(pid)), "{variant:?}");
    }
    // The same reader again: what was written once is written anew for each reading.
    let context = context();
    let mut reader = Reader::open(&context).unwrap();
    for _ in 0..3 {
        let scan = reader.read(&context).unwrap();
        assert!(scan.tasks.iter().all(|task| task.cgroup.is_some()));
        assert!(many.all_pids().iter().all(|pid| by_pid(&scan).contains_key(pid)));
    }
}

/// More than fit the kernel's buffer at once, and as deep as the kernel nests them with nobody in between.
#[test]
fn namespaces_many_and_deep() {
    let many = shell("for i in $(seq 1200); do unshare --uts --ipc --cgroup sleep 600 & done");
    machine::wait_until("1,200 processes", || many.all_pids().len() > 1200);
    let one = ["unshare", "--user", "--map-root-user"];
    let nested: Vec<&str> = one.into_iter().cycle().take(30 * one.len()).collect();
    let deep = Sleeper::spawn(Command::new(nested[0]).args(&nested[1..]).args(["--net", "sleep", "600"]));
    for variant in Variant::ALL {
        let context = context();
        let mut reader = Reader::open_variant(&context, variant).unwrap();
        for _ in 0..3 {
            let scan = reader.read(&context).unwrap();
            let counts = above::agrees(&scan);
            assert!(counts[&Kind::Uts] > 1200 && counts[&Kind::Cgroup] > 1200, "{counts:?}");
            assert!(!scan.gaps.iter().any(|gap| gap.what.contains("above")), "{:?}", scan.gaps);
            let parents: BTreeMap<u32, Option<u32>> = (scan.namespaces.iter())
                .filter(|fact| fact.kind == Kind::User)
                .map(|fact| (fact.inode, fact.parent))
                .collect();
            let innermost = by_pid(&scan)[deep.all_pids().last().unwrap()].namespaces.get(Kind::User);
            let way = std::iter::successors(innermost, |inode| parents[inode]);
            assert_eq!(
                way.count(),
                31,
                "{variant:?}: thirty, in all but the last of which nobody lives, and the node's"
            );
        }
    }
}

#[test]
fn cgroups_deep_long_and_many() {
    let mut cgroups = Cgroups::new();
    // Ten levels of 250 bytes.
    let deep: Vec<String> = (0..10).map(|level| format!("{level}").repeat(250)).collect();
    let mut placed = BTreeMap::new();
    let mut sleepers = Vec::new();
    let mut place = |path: &str| {
        let sleeper = Sleeper::spawn(Command::new("sleep").arg("600"));
        let pid = *sleeper.all_pids().last().unwrap();
        placed.insert(pid, cgroups.enter(path, pid));
        sleepers.push(sleeper);
        pid
    };
    place(&deep.join("/"));
    // So many that their records meet the end of the kernel's buffer in all manners: what it throws away there has to
    // come again.
    for index in 0..300 {
        let path = format!("{}/{index}-{}", "m".repeat(index % 200 + 1), "n".repeat(240));
        place(&path);
    }
    for variant in Variant::ALL {
        let context = context();
        let mut reader = Reader::open_variant(&context, variant).unwrap();
        for _ in 0..2 {
            let scan = reader.read(&context).unwrap();
            assert!(!scan.gaps.iter().any(|gap| gap.what.contains("cgroup")), "{:?}", scan.gaps);
            let seen = by_pid(&scan);
            for (pid, (path, id)) in &placed {
                assert_eq!(seen[pid].cgroup.as_deref(), Some(path.as_str()), "{variant:?}");
                assert_eq!(seen[pid].cgroup_id, Some(*id), "{variant:?}");
            }
        }
    }
    // Deeper than the kernel side goes: said, and nobody else suffers.
    let abyss = Sleeper::spawn(Command::new("sleep").arg("600"));
    cgroups.enter(&["a"; 40].join("/"), abyss.all_pids()[0]);
    let scan = bpf::read_tasks(&context()).unwrap();
    let seen = by_pid(&scan);
    assert_eq!(seen[&abyss.all_pids()[0]].cgroup, None);
    assert!(scan.gaps.iter().any(|gap| gap.what.contains("cgroups of 1 tasks") && gap.could_change_verdict));
    let lost = scan.tasks.iter().filter(|task| task.cgroup.is_none()).count();
    assert_eq!(lost, 1);
    drop((sleepers, abyss));
}

/// Runs one test of this program again, in other surroundings.
fn again(surroundings: &[&str], test: &str, role: &str) {
    run(&std::env::current_exe().unwrap(), surroundings, test, role);
}

fn run(program: &Path, surroundings: &[&str], test: &str, role: &str) {
    context();
    let output = Command::new(surroundings[0])
        .args(&surroundings[1..])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .current_dir("/")
        .env("BPF_TASKS_ROLE", role)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{surroundings:?} {role}: {said}");
}

fn role() -> Option<String> {
    std::env::var("BPF_TASKS_ROLE").ok()
}

#[test]
fn pids_are_those_of_the_readers_namespace() {
    let whole = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    again(&whole, "every_field_is_what_proc_says", "");
    // Twice as deep.
    let deeper: Vec<&str> = whole.into_iter().chain(whole).collect();
    again(&deeper, "every_field_is_what_proc_says", "");
}

#[test]
fn a_foreign_proc_is_refused() {
    if role().as_deref() == Some("foreign") {
        let error = bpf::read_tasks(&context()).unwrap_err();
        assert!(matches!(error, BpfError::OtherPidNamespace { .. }), "{error}");
        return;
    }
    again(&["unshare", "--pid", "--fork", "--kill-child"], "a_foreign_proc_is_refused", "foreign");
    // No /proc where it should be.
    let empty = Scratch::new("empty");
    let options = Options { host_root: empty.0.clone(), ..Options::default() };
    let error = bpf::read_tasks(&Context::new(options)).unwrap_err();
    assert!(matches!(error, BpfError::OtherPidNamespace { .. }), "{error}");
}

#[test]
fn two_capabilities_are_enough_and_one_is_not() {
    match role().as_deref() {
        Some("enough") => {
            let scan = bpf::read_tasks(&Context::new(Options::default())).unwrap();
            assert!(scan.tasks.iter().any(|task| task.pid == std::process::id()));
        }
        Some("one") => {
            let context = Context::new(Options::default());
            let error = bpf::read_tasks(&context).unwrap_err().to_string();
            assert_eq!(error, "not permitted: CAP_PERFMON missing; run as root, or grant it");
            let report = bpf::probe(&context);
            assert_eq!(report.missing_capabilities, ["CAP_PERFMON"]);
            assert!(report.programs.iter().all(|program| program.outcome.is_err()) && report.read.is_err());
        }
        Some("user-namespace") => {
            let error = bpf::read_tasks(&Context::new(Options::default())).unwrap_err();
            assert!(matches!(error, BpfError::Permission { .. }), "{error}");
        }
        _ => {
            let with = |capabilities: &'static str| {
                [
                    "setpriv",
                    "--reuid",
                    "65534",
                    "--clear-groups",
                    "--inh-caps",
                    capabilities,
                    "--ambient-caps",
                    capabilities,
                ]
            };
            let me = "two_capabilities_are_enough_and_one_is_not";
            // The program itself may lie where only root looks.
            let folder = Scratch::new("caps");
            let copy = folder.0.join("test");
            executable::copy(&std::env::current_exe().unwrap(), &copy);
            for (surroundings, role) in [(with("-all,+bpf,+perfmon"), "enough"), (with("-all,+bpf"), "one")] {
                run(&copy, &surroundings, me, role);
            }
            run(&copy, &["unshare", "--user", "--map-root-user"], me, "user-namespace");
        }
    }
}

#[test]
fn time_is_respected_and_everything_is_reported() {
    let options = Options { timeout: Duration::ZERO, ..Options::default() };
    assert!(matches!(bpf::read_tasks(&Context::new(options)), Err(BpfError::Late)));
    let report = bpf::probe(&context());
    assert!(report.programs.iter().all(|program| program.outcome.is_ok()), "{report:?}");
    assert!(report.object.is_ok() && report.btf.is_ok() && report.missing_capabilities.is_empty());
    assert!(report.read.unwrap().0 > 10);
}
