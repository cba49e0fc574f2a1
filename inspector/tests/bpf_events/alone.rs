//! What is left of a reader, and what a reader in a PID namespace of its own sees.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use inspector::observation::EventKind;
use inspector::source::bpf::EventConfig;

use crate::machine::{Child, program_ids, wait_until};
use crate::{everything, kinds, of, open};

const ROLE: &str = "BPF_EVENTS_ROLE";

/// Runs one test of this program again, in other surroundings.
fn again(surroundings: &[&str], test: &str, role: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let (program, arguments) = match surroundings {
        [] => (own.as_os_str(), vec![]),
        [program, arguments @ ..] => {
            let arguments = arguments.iter().map(AsRef::as_ref).chain([own.as_os_str()]).collect();
            (program.as_ref(), arguments)
        }
    };
    let mut command = Command::new(program);
    command.args(arguments).args(["--exact", test, "--nocapture"]).env(ROLE, role).current_dir("/");
    command
}

fn is_role(role: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|own| own == role)
}

#[test]
fn nothing_is_left_of_a_reader() {
    let config = EventConfig { syscalls: true, ..EventConfig::default() };
    let reader = open(&config);
    let ids: Vec<u32> = reader.program_ids().into_iter().map(|(_, id)| id).collect();
    if is_role("killed") {
        println!("\nids {ids:?}");
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| program_ids().contains(id)));
    drop(reader);
    let none_left = |ids: &[u32]| !program_ids().iter().any(|id| ids.contains(id));
    wait_until("programs to go", || none_left(&ids));

    let test = "alone::nothing_is_left_of_a_reader";
    let mut child = again(&[], test, "killed").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.starts_with("ids [")).unwrap();
    let ids: Vec<u32> =
        (line["ids [".len()..line.len() - 1].split(", ")).map(|id| id.parse().unwrap()).collect();
    assert!(!none_left(&ids) && ids.len() == 5);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("programs to go", || none_left(&ids));
}

#[test]
fn nothing_slows_system_calls_unless_asked_for() {
    let names = |syscalls| {
        let reader = open(&EventConfig { syscalls, ..EventConfig::default() });
        reader.program_ids().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["process_exit", "process_exec", "process_fork"]);
    assert_eq!(names(true)[3..], ["syscall_exit", "syscall_enter"]);
}

/// In a PID namespace of one's own, pids are those of it, and who is outside is nobody.
#[test]
fn pids_are_those_of_the_readers_namespace() {
    let own = "alone::pids_are_those_of_the_readers_namespace";
    if !is_role("inside") {
        let whole = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let deeper: Vec<&str> = whole.into_iter().chain(whole).collect();
        for surroundings in [&whole[..], &deeper] {
            // Meanwhile, outside.
            let stop = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        Child::idle(libc::CLONE_NEWUTS | libc::CLONE_NEWPID).wait();
                    }
                });
                let output = again(surroundings, own, "inside").output().unwrap();
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success() && said.contains("1 passed"), "{said}{output:?}");
            });
        }
        return;
    }
    let mut reader = open(&EventConfig { syscalls: true, all_processes: true, ..EventConfig::default() });
    std::thread::sleep(Duration::from_millis(200));
    let child = Child::spawn(libc::CLONE_NEWPID, |code| code, 5);
    let pid = child.pid;
    child.wait();
    let events = everything(&mut reader);
    assert_eq!(kinds(&events, pid), [EventKind::Fork, EventKind::Exit]);
    let [fork, exit] = of(&events, pid)[..] else { unreachable!() };
    assert_eq!((fork.caller.unwrap().tgid, fork.pid_inside), (std::process::id(), 1));
    assert_eq!((exit.exit.unwrap().code, exit.pid), (Some(5), pid));
    let strangers: Vec<_> = events.iter().filter(|event| event.tgid != pid).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
}
