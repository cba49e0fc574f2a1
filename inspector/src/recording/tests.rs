//! A recording gives back what was recorded, and a damaged one gives nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::observation::{
    Creation, Declaration, DeclaredRole, HeardBy, Infra, Kind, Mount, MountKind, Origin, ProcessKey, Runtime,
    RuntimeState, RuntimeStatus, SandboxNamespace, SeenClass, SeenOwner, Socket, Via, Wait,
};
use crate::render::samples::HOSTILE;
use crate::render::text::is_plain;

/// A folder that is removed with its contents.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("inspector-recording-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn time() -> jiff::Timestamp {
    "2026-11-23T21:44:13Z".parse().unwrap()
}

/// Something in every field.
pub fn observation() -> Observation {
    let tasks = (1..4)
        .map(|pid| Task {
            pid,
            tgid: pid,
            start_boottime_ns: u64::MAX - u64::from(pid),
            comm: HOSTILE[pid as usize].into(),
            zombie: pid == 2,
            namespaces: [(Kind::Net, u32::MAX), (Kind::Pid, 1)].into_iter().collect(),
            cgroup: Some(HOSTILE[0].into()),
            ..Task::default()
        })
        .collect();
    Observation {
        node: Node {
            name: "node\u{202e}".to_owned(),
            kernel: "6.18".to_owned(),
            time: Some(time()),
            booted_at: Some(time()),
            boottime_ns: 2,
            tasks_boottime_ns: Some(1),
            ticks_per_second: 100,
            boot_id: "b".to_owned(),
        },
        source: TaskSource::Bpf,
        reader: Reader { pid: 9, euid: 0 },
        host: HostNamespaces {
            inodes: [(Kind::Mnt, 7)].into_iter().collect(),
            evidence: "kthreadd".to_owned(),
        },
        tasks,
        unreadable: 3,
        containers: vec![DeclaredContainer {
            ignore: Some(crate::observation::Ignore {
                rules: "PNS001".to_owned(),
                reason: Some("known".to_owned()),
            }),
            id: "ab".to_owned(),
            name: Some(HOSTILE[2].to_owned()),
            runtime: Runtime::Docker,
            origin: Origin::Compose,
            image: None,
            state: RuntimeState::Exited,
            pid: 0,
            start_ticks: Some(5),
            created_at: None,
            started_at: Some(time()),
            finished_at: None,
            exit_code: Some(137),
            oom_killed: true,
            cgroup: None,
            infra_mark: None,
            command: HOSTILE.map(str::to_owned).to_vec(),
            declared: BTreeMap::from([
                (Kind::Net, Declaration::Container("x".to_owned())),
                (Kind::Ipc, Declaration::Path { path: "/p".to_owned(), inode: None }),
                (Kind::Pid, Declaration::Host),
            ]),
            pod: None,
            compose: Some(("p".to_owned(), "s".to_owned())),
            mounts: vec![Mount {
                source: "/a".to_owned(),
                target: "/b".to_owned(),
                read_only: true,
                kind: MountKind::Bind,
            }],
            role: Some(DeclaredRole::Init),
            word_of_uid: Some(1000),
            opaque: Some("a virtual machine".to_owned()),
            source: "docker.sock".to_owned(),
        }],
        pods: vec![DeclaredPod {
            ignore: None,
            infra: Infra::Container("i".to_owned()),
            namespaces: vec![SandboxNamespace { kind: Kind::Ipc, path: "/p".to_owned(), inode: Some(4) }],
            ready: Some(true),
            shares: Some(vec![Kind::Net]),
            runtime: Some(Runtime::Podman),
            word_of_uid: Some(1000),
            ..DeclaredPod::new("p", "n", Origin::Podman)
        }],
        behaviours: vec![Behaviour {
            process: ProcessKey { pid: 1, start_ticks: 2 },
            executable: None,
            waits: vec![Wait::Signal, Wait::Other("epoll_wait".to_owned())],
            sockets: Some(2),
            cpu_ms: None,
            reaped_cpu_ms: Some(4),
            files: vec!["/dev/null".to_owned()],
        }],
        credentials: vec![Credentials {
            process: ProcessKey { pid: 1, start_ticks: 2 },
            uids: [0, 1, 2, u32::MAX],
            gids: [4, 5, 6, 7],
            effective: u64::MAX,
            permitted: 1 << 40,
            dumpable: Some(false),
        }],
        costs: vec![Cost {
            process: ProcessKey { pid: 9, start_ticks: 90 },
            resident_bytes: 4096,
            cpu_ms: 10,
        }],
        networks: vec![NetworkFact {
            inode: 7,
            addresses: vec!["10.0.0.2".to_owned()],
            listeners: vec![Socket {
                protocol: "tcp".to_owned(),
                address: "::".to_owned(),
                port: 80,
                pids: vec![3],
            }],
        }],
        namespaces: vec![NamespaceFact {
            kind: Kind::User,
            inode: 3,
            owner: None,
            parent: Some(2),
            id: Some(9),
        }],
        handles: vec![Handle {
            kind: Kind::Net,
            inode: 4,
            pid: 5,
            via: Via::Socket,
            path: "/proc/5/fd/3".to_owned(),
        }],
        pins: vec![Pin { kind: Kind::Net, inode: 4, path: "/run/netns/x".to_owned() }],
        runtimes: vec![RuntimeReport {
            runtime: Runtime::CriO,
            endpoint: "e".to_owned(),
            status: RuntimeStatus::Denied,
            detail: String::new(),
        }],
        gaps: vec![Gap::deciding("w", "y")],
        history: History {
            by: Some(HeardBy::Fexit),
            lost: 3,
            creations: vec![Creation {
                kind: Kind::Net,
                inode: 7,
                boottime_ns: 5,
                process: ProcessKey { pid: 9, start_ticks: 1 },
                comm: "runc:[1:CHILD]".to_owned(),
                made: vec![ProcessKey { pid: 10, start_ticks: 1 }],
            }],
            owners: vec![SeenOwner {
                kind: Kind::Net,
                inode: 7,
                container: "ab".to_owned(),
                init: ProcessKey { pid: 9, start_ticks: 1 },
                class: Some(SeenClass::Pause),
                why: "because".to_owned(),
            }],
        },
    }
}

fn bytes(observation: &Observation) -> Vec<u8> {
    let mut out = Vec::new();
    let length = write(observation, time(), &mut out).unwrap();
    assert_eq!(length, out.len() as u64);
    out
}

fn error(bytes: &[u8]) -> ReadError {
    read(&mut Cursor::new(bytes)).expect_err("a damaged recording was believed")
}

#[test]
fn what_was_recorded_comes_back_and_looking_at_it_is_harmless() {
    for observation in [observation(), Observation::default()] {
        let bytes = bytes(&observation);
        assert_eq!(read(&mut Cursor::new(&bytes)).unwrap(), observation);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.chars().all(|c| c == '\n' || is_plain(c)));
        assert!(text.starts_with(MAGIC));
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}

#[test]
fn cut_at_any_byte_it_is_refused_with_the_place() {
    let bytes = bytes(&observation());
    for length in 0..bytes.len() {
        let error = error(&bytes[..length]);
        assert!(error.byte <= length as u64);
        match error.problem {
            Problem::Empty => assert_eq!(length, 0),
            Problem::CutOff => assert!(length > 0),
            other => panic!("cut at {length}: {other}"),
        }
    }
}

#[test]
fn any_byte_changed_it_is_refused() {
    let good = bytes(&observation());
    for position in 0..good.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[position] ^= mask;
            error(&bad);
        }
        let mut bad = good.clone();
        bad[position] = b'\n';
        if bad != good {
            error(&bad);
        }
    }
}

#[test]
fn lines_lost_doubled_moved_or_added_are_noticed() {
    let good = String::from_utf8(bytes(&observation())).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    for index in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(index);
        error(without.concat().as_bytes());
        let mut twice = lines.clone();
        twice.insert(index, lines[index]);
        error(twice.concat().as_bytes());
        let mut moved = lines.clone();
        moved.rotate_left(index);
        if index > 0 {
            error(moved.concat().as_bytes());
        }
    }
    error(format!("{good}\n").as_bytes());
    error(format!("{good}{good}").as_bytes());
}

#[test]
fn what_is_no_recording_is_called_so() {
    let other =
        String::from_utf8(bytes(&observation())).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    for (bytes, message) in [
        (b"".to_vec(), "empty"),
        (b"\x7fELF\x02\x01\n\n".to_vec(), "not a recording"),
        (b"{}\n".to_vec(), "not a recording"),
        (vec![b'x'; 100_000], "not a recording"),
        (vec![0; 100_000], "not a recording"),
        (other.into_bytes(), "format version 2; this program reads versions 1 and 2"),
    ] {
        let error = error(&bytes).to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn endless_input_ends() {
    let mut header = bytes(&observation());
    header.truncate(header.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let mut endless =
        std::io::BufReader::new(std::io::Read::chain(Cursor::new(header), std::io::repeat(b'{')));
    let error = read(&mut endless).unwrap_err();
    assert!(matches!(error.problem, Problem::TooLong("the line", LINE_BYTES)), "{error}");
    // Deep nesting is an error of the parser, not of the stack.
    let mut deep = bytes(&Observation::default());
    deep.truncate(deep.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    deep.extend_from_slice(b"{\"task\":");
    deep.extend(std::iter::repeat_n(b'[', 1_000_000));
    deep.push(b'\n');
    assert!(matches!(read(&mut Cursor::new(deep)).unwrap_err().problem, Problem::Damaged(_)));
}

#[test]
fn a_file_is_replaced_whole_and_private() {
    let folder = Folder::new();
    let path = folder.0.join("node.rec");
    for observation in [Observation::default(), observation()] {
        let length = save(&observation, time(), &path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (length, 0o600));
        assert_eq!(load(&path).unwrap(), observation);
        assert_eq!(folder.names(), ["node.rec"]);
    }
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_replaced() {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name);
    fs::create_dir(path("dir")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    std::os::unix::fs::symlink(path("elsewhere"), path("link")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let before = folder.names();
    for (name, what) in
        [("dir", "a directory"), ("fifo", "a FIFO"), ("link", "a symbolic link"), ("socket", "a socket")]
    {
        let error = save(&observation(), time(), &path(name)).unwrap_err();
        assert!(matches!(error, WriteError::InTheWay(found) if found == what), "{name}: {error}");
        assert!(load(&path(name)).is_err(), "{name}");
    }
    assert!(save(&observation(), time(), &path("missing/node.rec")).is_err());
    assert!(save(&observation(), time(), &path("..")).is_err());
    assert!(matches!(load(&path("missing")).unwrap_err().problem, Problem::Io(_)));
    assert!(matches!(load("/dev/zero".as_ref()).unwrap_err().problem, Problem::NotAFile("a device")));
    assert_eq!(folder.names(), before);
}

#[test]
fn nothing_is_left_behind_when_writing_fails() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(write(&observation(), time(), &mut Full).unwrap_err(), WriteError::Io(_)));
    let folder = Folder::new();
    let path = folder.0.join("big.rec");
    fs::write(&path, "older").unwrap();
    let mut big = observation();
    big.node.name = "x".repeat(17 << 20);
    assert!(matches!(save(&big, time(), &path).unwrap_err(), WriteError::TooLong("one line", LINE_BYTES)));
    assert_eq!(
        (folder.names(), fs::read_to_string(&path).unwrap()),
        (vec!["big.rec".to_owned()], "older".to_owned())
    );
}
