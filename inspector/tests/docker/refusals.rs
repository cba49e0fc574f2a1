//! What the program may not read, and what it reads that is broken: a correct, degraded answer with its gap
//! named, or one clear line; never a panic, a hang or a wrong pod.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::answer::{Answer, Ours, containers, expect};
use crate::support::check::{NO_SOCKET, pods};
use crate::support::executable;
use crate::support::fake::{Behaviour, serve};
use crate::support::run::{BINARY, Run, run};
use crate::support::truth::Truth;
use crate::support::world::{Container, Scenario, World};

trials![
    nobody_gets_gaps_and_no_wrong_pod,
    a_hidden_proc_gives_gaps_and_no_wrong_pod,
    without_cap_bpf_proc_answers,
    without_btf_proc_answers,
    a_broken_socket_is_a_gap,
    broken_files_are_gaps,
    usage_errors_are_one_line,
];

/// Options of setpriv that make a process nobody, without a capability.
const NOBODY: &str = "--reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all";

/// The most memory that any answer here may need.
const MEMORY_KIB: u64 = 256 * 1024;

/// An application that owns what another container joins.
fn start_pair(s: &Scenario) -> [Container; 2] {
    let owner = s.run("owner", &["--ipc=shareable"], "nginx", &[]);
    let joins = [owner.join("net"), owner.join("ipc"), owner.join("pid")];
    let joins: Vec<_> = joins.iter().map(String::as_str).collect();
    let joiner = s.run("joiner", &joins, "busybox", &["sleep", "infinity"]);
    [owner, joiner]
}

fn ids(pair: &[Container; 2]) -> [&str; 2] {
    [&pair[0].id, &pair[1].id]
}

/// A copy of the program where everybody may run it.
fn public_binary(world: &World) -> PathBuf {
    let copy =
        world.scratch("bin").join(format!("inspector-{:?}", thread::current().id()).replace(['(', ')'], ""));
    executable::copy(BINARY.as_ref(), &copy);
    copy
}

/// Runs a shell script in a mount namespace of its own; `$0` is the program.
fn in_private_mounts(binary: &Path, script: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-ec", script]).arg(binary).args(arguments);
    run(&mut command)
}

/// Every pod of ours is judged as it is, or not judged; every namespace named is the right one.
fn never_wrong(ours: &Ours, pair: &[Container; 2]) {
    for pod in &ours.pods {
        let verdict = pod["verdict"].as_str().unwrap();
        assert!(matches!(verdict, "application-owned" | "unknown"), "{pod:#}");
        for row in containers(pod) {
            let of_pair = pair.iter().find(|container| row["id"] == container.id.as_str());
            let of_pair = of_pair.unwrap_or_else(|| panic!("a stranger in the pod: {pod:#}"));
            let truth = Truth::of(of_pair.pid()).unwrap();
            for (kind, inode) in row["namespaces"].as_object().unwrap() {
                assert_eq!(*inode, truth.namespaces[kind], "{kind} of {row:#}");
            }
            assert!(row["initPid"] == truth.pid || row["initPid"] == 0, "{row:#}");
        }
    }
}

/// What somebody without rights is told: what he may not see is named.
fn honest(run: Run, pair: &[Container; 2]) {
    if run.code == Some(3) {
        run.refused(3);
        return;
    }
    let answer = Answer::of(run);
    assert_eq!(answer.json["coverage"]["source"], "procfs");
    assert_eq!(answer.json["coverage"]["partial"], true, "{:#}", answer.json["coverage"]);
    assert!(!answer.gaps().is_empty());
    never_wrong(&answer.ours(&ids(pair)), pair);
}

fn nobody_gets_gaps_and_no_wrong_pod(world: &'static World) {
    let s = Scenario::new(world, "r1");
    let pair = start_pair(&s);
    let binary = public_binary(world);
    let nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        run(command.args(NOBODY.split(' ')).arg(&binary).args(arguments))
    };
    honest(nobody(&["pods", "-o", "json", &world.with_socket()]), &pair);
    honest(nobody(&["pods", "-o", "json", NO_SOCKET]), &pair);
    // In the table too.
    let table = nobody(&["pods", &world.with_socket()]);
    assert!(table.code == Some(3) || table.code == Some(0), "{table:?}");
    assert!(!table.text().contains("isolated") || !table.text().contains(&pair[0].name), "{}", table.text());
    assert!(nobody(&["pods", "--strict", &world.with_socket()]).code == Some(3));
    // What was asked for by name and cannot be had is an error that says what would help.
    let run = nobody(&["pods", "--source=bpf"]);
    let line = run.refused(3);
    assert!(line.contains("CAP_BPF"), "{line}");
}

fn a_hidden_proc_gives_gaps_and_no_wrong_pod(world: &'static World) {
    let s = Scenario::new(world, "r2");
    let pair = start_pair(&s);
    let script = format!("mount -t proc -o hidepid=2 proc /proc; exec setpriv {NOBODY} \"$0\" \"$@\"");
    let run =
        in_private_mounts(&public_binary(world), &script, &["pods", "-o", "json", &world.with_socket()]);
    honest(run, &pair);
    let strict =
        in_private_mounts(&public_binary(world), &script, &["pods", "--strict", &world.with_socket()]);
    assert_eq!(strict.code, Some(3), "{strict:?}");
}

fn without_cap_bpf_proc_answers(world: &'static World) {
    let s = Scenario::new(world, "r3");
    let pair = start_pair(&s);
    let held_back = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        run(command.args(["--bounding-set=-bpf,-perfmon,-sys_admin", BINARY]).args(arguments))
    };
    let answer = Answer::of(held_back(&["pods", "-o", "json", &world.with_socket()]));
    assert_eq!(answer.json["coverage"]["source"], "procfs");
    let with_all = pods(&["--source=procfs", &world.with_socket()]);
    assert_eq!(answer.ours(&ids(&pair)), with_all.ours(&ids(&pair)));
    let run = held_back(&["pods", "--source=bpf"]);
    let line = run.refused(3);
    assert!(line.contains("CAP_BPF") && line.contains("CAP_PERFMON"), "{line}");
}

fn without_btf_proc_answers(world: &'static World) {
    let s = Scenario::new(world, "r4");
    let pair = start_pair(&s);
    let script = "mount -t tmpfs none /sys/kernel/btf; exec \"$0\" \"$@\"";
    let ask = |arguments: &[&str]| in_private_mounts(Path::new(BINARY), script, arguments);
    let answer = Answer::of(ask(&["pods", "-o", "json", &world.with_socket()]));
    assert_eq!(answer.json["coverage"]["source"], "procfs");
    expect(answer.ours(&ids(&pair)).the_pod(), [("verdict", json!("application-owned"))]);
    let run = ask(&["pods", "--source=bpf"]);
    let line = run.refused(3);
    assert!(line.contains("BTF"), "{line}");
}

fn a_broken_socket_is_a_gap(world: &'static World) {
    let s = Scenario::new(world, "r5");
    let pair = start_pair(&s);
    let folder = world.scratch("r5");
    let wrong = |body: &'static str| Behaviour::Says(body.as_bytes());
    let cases = [
        Behaviour::Deaf,
        Behaviour::Silent,
        Behaviour::Closes,
        Behaviour::Drips,
        Behaviour::Floods,
        Behaviour::FloodsHeaders,
        Behaviour::Says(&[0, 159, 146, 150, 255, 13, 10, 13, 10]),
        wrong("SSH-2.0-OpenSSH_9.2\r\n"),
        wrong("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 20\r\n\r\n{\"message\":\"broken\"}"),
        wrong("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html"),
        wrong("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":[1,2"),
        wrong("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n[{\"Id\":null}"),
        wrong("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[]"),
        wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n["),
    ];
    thread::scope(|scope| {
        for (number, behaviour) in cases.into_iter().enumerate() {
            let (pair, path) = (&pair, folder.join(format!("{number}.sock")));
            scope.spawn(move || {
                serve(&path, behaviour);
                survives(&path, behaviour, pair);
            });
        }
    });
}

fn survives(socket: &Path, behaviour: Behaviour, pair: &[Container; 2]) {
    let flag = format!("--socket=docker={}", socket.display());
    let ask = |more: &[&str]| {
        let mut command = Command::new(BINARY);
        run(command.args(["pods", "-o", "json", "--timeout=3s", &flag]).args(more))
    };
    let first = ask(&[]);
    // Fourteen of these share the machine: the limit is for a hang, not for slowness.
    assert!(first.took < Duration::from_secs(10), "{behaviour:?}: {:?}", first.took);
    assert!(first.peak_rss_kib < MEMORY_KIB, "{behaviour:?}: {} KiB", first.peak_rss_kib);
    let answer = Answer::of(first);
    // What lies on disk may be read in its place; that is a report of its own.
    assert_eq!(answer.status(socket.to_str().unwrap()), "error", "{behaviour:?}");
    assert_eq!(answer.json["coverage"]["partial"], true, "{behaviour:?}: {:#}", answer.json["coverage"]);
    let named = answer.gaps().iter().any(|gap| gap.to_lowercase().contains("docker"));
    assert!(named, "{behaviour:?}: {:?}", answer.gaps());
    never_wrong(&answer.ours(&ids(pair)), pair);
    ask(&["--strict"])
        .code
        .filter(|code| *code == 3)
        .unwrap_or_else(|| panic!("{behaviour:?}: not 3 under --strict"));
}

/// A way to break a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Half,
    Empty,
    Huge,
    Noise,
    Deep,
    OtherType,
    Fifo,
    Folder,
}

impl Harm {
    const ALL: [Self; 8] = [
        Self::Half,
        Self::Empty,
        Self::Huge,
        Self::Noise,
        Self::Deep,
        Self::OtherType,
        Self::Fifo,
        Self::Folder,
    ];

    fn apply(self, path: &Path) {
        let whole = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        match self {
            Self::Half => fs::write(path, &whole[..whole.len() / 2]).unwrap(),
            Self::Empty => fs::write(path, "").unwrap(),
            // Sparse: four gigabytes that cost nothing here.
            Self::Huge => fs::File::create(path).and_then(|file| file.set_len(4 << 30)).unwrap(),
            Self::Noise => fs::write(path, [0xff, 0x00, 0x1b, 0x7b].repeat(1000)).unwrap(),
            Self::Deep => fs::write(path, "{\"a\":[".repeat(100_000)).unwrap(),
            Self::OtherType => fs::write(path, "[\"linux\", 7, null]").unwrap(),
            Self::Fifo => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            Self::Folder => fs::create_dir(path).unwrap(),
        }
    }
}

fn broken_files_are_gaps(world: &'static World) {
    let s = Scenario::new(world, "r6");
    let pair = start_pair(&s);
    let host = HostRoot::of(world, &pair);
    let intact = Answer::of(host.ask());
    let whole = intact.ours(&ids(&pair));
    expect(whole.the_pod(), [("verdict", json!("application-owned"))]);
    for name in HostRoot::FILES {
        for harm in Harm::ALL {
            let path = host.file(name, &pair[0].id);
            let saved = fs::read(&path).unwrap();
            harm.apply(&path);
            let run = host.ask();
            assert!(run.took < Duration::from_secs(10), "{harm:?} {name}: {:?}", run.took);
            assert!(run.peak_rss_kib < MEMORY_KIB, "{harm:?} {name}: {} KiB", run.peak_rss_kib);
            let answer = Answer::of(run);
            let ours = answer.ours(&ids(&pair));
            never_wrong(&ours, &pair);
            let base = Path::new(name).file_name().unwrap().to_str().unwrap();
            let named = answer.gaps().iter().any(|gap| gap.contains(base));
            // Another file may say the same; if none does, the gap has to be named.
            assert!(
                named || ours.without_words() == whole.without_words(),
                "{harm:?} {name}: {:?}",
                answer.gaps()
            );
            let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
            fs::write(&path, saved).unwrap();
        }
    }
}

/// A tree like the host's, in which the runtime's files of two containers can be broken.
struct HostRoot {
    root: PathBuf,
    world: &'static World,
}

impl HostRoot {
    /// What the program can know of a container without a socket; `ID` stands for its id.
    const FILES: [&str; 4] = [
        "containerd-state/io.containerd.runtime.v2.task/moby/ID/config.json",
        "docker/containers/ID/config.v2.json",
        "docker/containers/ID/hostconfig.json",
        "docker-exec/runtime-runc/moby/ID/state.json",
    ];

    fn of(world: &'static World, pair: &[Container; 2]) -> Self {
        let host = Self { root: world.scratch("r6"), world };
        for folder in ["proc", "sys", "run", "var/lib"] {
            fs::create_dir_all(host.root.join(folder)).unwrap();
        }
        for container in pair {
            for name in Self::FILES {
                let copy = host.file(name, &container.id);
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(world.folder.join(name.replace("ID", &container.id)), copy).unwrap();
            }
        }
        host
    }

    fn file(&self, name: &str, id: &str) -> PathBuf {
        let world = self.world.folder.strip_prefix("/").unwrap();
        self.root.join(world).join(name.replace("ID", id))
    }

    fn ask(&self) -> Run {
        let script = "mount --rbind /proc \"$1/proc\"; mount --rbind /sys \"$1/sys\"; root=$1; shift
            exec \"$0\" pods -o json --host-root \"$root\" \"$@\"";
        in_private_mounts(Path::new(BINARY), script, &[self.root.to_str().unwrap(), NO_SOCKET])
    }
}

fn usage_errors_are_one_line(_: &'static World) {
    for arguments in [
        &["pods", "--timeout=soon"][..],
        &["pods", "--socket=docker"],
        &["pods", "--socket=lxc=/run/lxc.sock"],
        &["pods", "--source=magic"],
        &["pods", "-o", "xml"],
        &["pods", "--replay"],
        &["nonsense"],
    ] {
        let run = crate::support::run::inspector(arguments);
        assert!(run.code == Some(2) && run.stdout.is_empty() && !run.stderr.is_empty(), "{run:?}");
        assert!(!run.stderr.contains("panicked"), "{run:?}");
    }
}
