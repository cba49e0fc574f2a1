//! What is recorded comes back; a stream that is cut off is a shorter one, and one that is damaged is none.

use std::io::Cursor;

use super::*;
use crate::live::Engine;
use crate::observation::{
    EventCgroup, EventKind, ExitStatus, Input, Kind, Look, NamespaceSet, Observation, Task, Told,
};
use crate::recording::{Problem, ReadError};
use crate::state::tests::world::World;

fn about() -> About {
    About {
        created: "2026-11-23T21:44:13Z".parse().unwrap(),
        by: Some(HeardBy::Fexit),
        interval_ms: 500,
        all_processes: false,
        redacted: false,
    }
}

fn event(kind: EventKind, pid: u32, at: u64, inode: u32) -> KernelEvent {
    let set =
        NamespaceSet { namespaces: [(Kind::Net, inode)].into_iter().collect(), ..NamespaceSet::default() };
    KernelEvent {
        kind,
        boottime_ns: at,
        pid,
        tgid: pid,
        start_boottime_ns: at,
        process_start_boottime_ns: at,
        comm: "acmed".into(),
        uid: 0,
        user_namespace_owner: 0,
        level: 0,
        pid_inside: pid,
        kernel_thread: false,
        pid_namespace_init: false,
        caller: None,
        parent_is_callers: false,
        parent: None,
        exit: (kind == EventKind::Exit).then(|| ExitStatus::from_wait(9)),
        old: None,
        old_is_parents: false,
        new: (kind != EventKind::Exit).then_some(set),
        cgroup: EventCgroup::default(),
    }
}

/// A node that changes: containers come and go, the kernel tells, a look fails.
pub fn inputs() -> (Look, Vec<Input>) {
    inputs_of(0)
}

/// The same, with so many more processes.
fn inputs_of(processes: u32) -> (Look, Vec<Input>) {
    let mut world = World::new();
    for pid in 100..100 + processes {
        world.process(pid, &format!("process-{pid}"));
    }
    world.docker("nginx", 200);
    let look = |world: &mut World, at: u64| {
        world.seen.node.boottime_ns = at * 1_000_000_000;
        world.seen.node.time =
            Some(jiff::Timestamp::from_second(1_764_000_000 + i64::try_from(at).unwrap()).unwrap());
        world.seen.tasks.put_in_order();
        Look { observation: world.seen.clone(), since_boottime_ns: at * 1_000_000_000 - 5 }
    };
    let first = look(&mut world, 1000);
    let mut inputs = Vec::new();
    let told = |at: u64, events: Vec<KernelEvent>| {
        Input::Told(Told { boottime_ns: at, events, by: Some(HeardBy::Fexit), ..Told::default() })
    };
    inputs.push(told(1_000_500_000_000, vec![event(EventKind::Unshare, 900, 1_000_400_000_000, 7777)]));
    inputs.push(Input::Look(Box::new(look(&mut world, 1001))));
    world.docker("busybox", 300);
    world.join("busybox", "nginx", &[Kind::Net]);
    inputs.push(Input::Look(Box::new(look(&mut world, 1002))));
    inputs.push(Input::Blind(Blind { boottime_ns: 1_002_500_000_000, why: "too busy".to_owned() }));
    inputs.push(Input::Told(Told {
        boottime_ns: 1_002_600_000_000,
        lost: [("ring-full".to_owned(), 3)].into(),
        ..Told::default()
    }));
    world.stop("nginx", "2026-01-01T00:16:43Z", 137);
    inputs.push(Input::Look(Box::new(look(&mut world, 1003))));
    inputs.push(told(1_003_900_000_000, vec![event(EventKind::Exit, 900, 1_003_800_000_000, 7777)]));
    (first, inputs)
}

/// A stream of these, with each input in a member of its own.
fn stream(first: &Look, inputs: &[Input]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::start(&mut bytes, &about(), first).unwrap();
    for input in inputs {
        writer.put(input).unwrap();
        writer.flush().unwrap();
    }
    writer.finish(1_004_000_000_000).unwrap();
    let totals = writer.totals();
    assert_eq!((totals.inputs, totals.lost), (inputs.len() as u64 + 1, 3 * u64::from(!inputs.is_empty())));
    assert_eq!(totals.bytes, bytes.len() as u64);
    bytes
}

type All = (Look, Vec<Input>, Ending);

fn all(bytes: &[u8]) -> Result<All, ReadError> {
    let (mut reader, first) = StreamReader::start(Cursor::new(bytes))?;
    assert_eq!(reader.about(), &about());
    let mut inputs = Vec::new();
    while let Some(input) = reader.next_input()? {
        inputs.push(input);
    }
    assert_eq!(reader.next_input().unwrap(), None);
    Ok((first, inputs, reader.ending().unwrap()))
}

#[test]
fn what_was_recorded_comes_back_and_every_line_is_harmless_json() {
    let (first, inputs) = inputs_of(40);
    let bytes = stream(&first, &inputs);
    let (again, others, ending) = all(&bytes).unwrap();
    assert_eq!((again, others, ending), (first, inputs, Ending::Ended(1_004_000_000_000)));

    let text = unpacked(&bytes);
    assert!(text.starts_with(MAGIC_2), "{text}");
    assert!(text.chars().all(|c| c == '\n' || crate::render::text::is_plain(c)));
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    // A look that is like the one before takes next to nothing.
    assert!(text.lines().filter(|line| line.starts_with("{\"task\":")).count() < 60, "{text}");
}

const MAGIC_2: &str = r#"{"format":"inspector-recording","version":2,"#;

/// What `zcat` makes of it.
fn unpacked(bytes: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut zcat =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = zcat.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = zcat.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success(), "gzip does not take it");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn cut_at_any_byte_it_is_shorter_and_says_so() {
    let (first, inputs) = inputs();
    let bytes = stream(&first, &inputs);
    let mut longest = 0;
    for length in 0..bytes.len() {
        match all(&bytes[..length]) {
            Err(ReadError { problem: Problem::NoLook, .. }) => assert_eq!(longest, 0, "cut at {length}"),
            Err(error) => panic!("cut at {length}: {error}"),
            Ok((again, some, ending)) => {
                let Ending::CutOff(byte) = ending else { panic!("cut at {length} it is whole") };
                assert!(byte <= length as u64);
                assert!(again == first && some == inputs[..some.len()], "cut at {length} it is another");
                assert!(some.len() >= longest, "cut at {length} it is shorter than cut before");
                longest = some.len();
            }
        }
    }
    assert_eq!(longest, inputs.len());
}

#[test]
fn any_bit_changed_it_is_refused_with_the_place() {
    let (first, inputs) = inputs();
    let good = stream(&first, &inputs);
    let ends = members(&good);
    for position in 0..good.len() {
        // Another one of each byte; of a member's ends, where bits may mean nothing to gzip, every one.
        let near = ends.iter().any(|end| position.abs_diff(*end) <= 12);
        for bit in (0..8).filter(|bit| near || position % 8 == *bit) {
            let mut bad = good.clone();
            bad[position] ^= 1 << bit;
            let error = all(&bad).expect_err("a damaged stream was believed");
            assert!(error.byte <= position as u64, "{position}: {error}");
        }
    }
}

/// Where each member begins.
fn members(bytes: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        found.push(at);
        let header = bytes[at..].first_chunk().unwrap();
        at += member::HEADER_BYTES + usize::try_from(member::Header::of(header).unwrap().rest()).unwrap();
    }
    found
}

#[test]
fn members_lost_doubled_moved_or_added_are_noticed() {
    let (first, inputs) = inputs();
    let good = stream(&first, &inputs);
    let mut ends = members(&good);
    assert!(ends.len() > inputs.len());
    ends.push(good.len());
    let members: Vec<&[u8]> = ends.windows(2).map(|pair| &good[pair[0]..pair[1]]).collect();
    for index in 0..members.len() {
        let mut without = members.clone();
        without.remove(index);
        match all(&without.concat()) {
            // Without its last it is one that was cut off.
            Ok((.., ending)) => assert!(index == members.len() - 1 && matches!(ending, Ending::CutOff(_))),
            Err(error) => assert!(index < members.len() - 1, "{error}"),
        }
        let mut twice = members.clone();
        twice.insert(index, members[index]);
        all(&twice.concat()).expect_err("a member came twice");
        let mut moved = members.clone();
        moved.rotate_left(index);
        if index > 0 {
            all(&moved.concat()).expect_err("members were moved");
        }
    }
    all(&[good.as_slice(), b"\n"].concat()).expect_err("something was added");
    all(&[good.as_slice(), &good[..10]].concat()).expect_err("something was added");
}

/// A sound file of these texts.
fn forged(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        let before = crc32fast::hash(&bytes);
        bytes.extend(member::pack(text.as_bytes(), before));
    }
    bytes
}

fn refused(texts: &[&str]) -> String {
    all(&forged(texts)).expect_err("a forged stream was believed").to_string()
}

#[test]
fn what_is_no_stream_is_called_so_and_nothing_hostile_takes_more_than_its_share() {
    let header = unpacked(&stream(&inputs().0, &[])).lines().next().unwrap().to_owned() + "\n";
    let head = "{\"node\":{\"node\":{\"name\":\"n\",\"kernel\":\"k\",\"time\":null,\"booted_at\":null,\"boottime_ns\":1,\
                \"ticks_per_second\":100,\"boot_id\":\"b\"},\"source\":\"bpf\",\"reader\":{\"pid\":1,\"euid\":0},\
                \"host\":{\"inodes\":{},\"evidence\":\"e\"},\"unreadable\":0}}\n";
    let look = format!("{{\"look\":{{\"since-boottime-ns\":1,\"lines\":1}}}}\n{head}");
    assert!(all(&forged(&[&header, &look])).is_ok());
    assert!(refused(&["{}\n"]).contains("not a recording"));
    assert!(refused(&[&header.replace("\"version\":2", "\"version\":7")]).contains("format version 7"));
    assert!(refused(&[&header, "{\"blind\":{\"boottime_ns\":1,\"why\":\"\"}}\n"]).contains("no look"));
    assert!(refused(&[&header, &look, "nonsense\n"]).contains("damaged"));
    // Lines that are not there, and more of them than any memory holds.
    for same in ["[0,0]", "[0,2]", "[5,1]", "[0,18446744073709551615]", "[18446744073709551615,2]"] {
        let text = format!("{{\"look\":{{\"since-boottime-ns\":1,\"lines\":9}}}}\n{{\"same\":{same}}}\n");
        assert!(refused(&[&header, &look, &text]).contains("does not have"), "{same}");
    }
    let big = format!(
        "{{\"gap\":{{\"what\":\"{}\",\"why\":\"\",\"could_change_verdict\":false}}}}\n",
        "x".repeat(15 << 20)
    );
    let first = format!("{{\"look\":{{\"since-boottime-ns\":1,\"lines\":2}}}}\n{head}");
    let copies = "{\"same\":[1,1]}\n".repeat(1000);
    let copies =
        format!("{{\"look\":{{\"since-boottime-ns\":1,\"lines\":1001}}}}\n{{\"same\":[0,1]}}\n{copies}");
    assert!(refused(&[&header, &first, &big, &copies]).contains("longer than any recording"));
    let endless = "{\"look\":{\"since-boottime-ns\":1,\"lines\":18446744073709551615}}\n";
    assert!(matches!(all(&forged(&[&header, &look, endless])), Ok((.., Ending::CutOff(_)))));
    let deep = format!("{{\"look\":{}\n", "[".repeat(1 << 20));
    assert!(refused(&[&header, &look, &deep]).contains("damaged"));
    // A member that says it is short and unpacks to more, and one that says it is huge.
    let mut bomb = forged(&[&header, &look]);
    let before = crc32fast::hash(&bomb);
    let mut member = member::pack(&vec![b'\n'; 16 << 20], before);
    let length = member.len();
    member[length - 4..].copy_from_slice(&7_u32.to_le_bytes());
    bomb.extend(member);
    assert!(all(&bomb).unwrap_err().to_string().contains("damaged"));
    let end = "{\"end\":{\"inputs\":9,\"events\":0,\"lost\":0,\"boottime-ns\":0}}\n";
    assert!(refused(&[&header, &look, end]).contains("end line"));
}

#[test]
fn memory_stays_bounded_and_large_looks_come_back() {
    let mut observation = Observation::default();
    for pid in 1..20_000 {
        let comm = format!("process-{pid}");
        observation.tasks.push(Task {
            pid,
            tgid: pid,
            comm: comm.into(),
            cgroup: Some("/a".repeat(40).into()),
            ..Task::default()
        });
    }
    let first = Look { observation, since_boottime_ns: 1 };
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::start(&mut bytes, &about(), &first).unwrap();
    // What is the same, gone or new.
    let mut second = first.clone();
    second.observation.tasks.retain(|task| task.pid != 7);
    second.observation.tasks.push(Task { pid: 1 << 20, ..first.observation.tasks.get(3).unwrap().clone() });
    let before = writer.totals().bytes;
    writer.put(&Input::Look(Box::new(second.clone()))).unwrap();
    writer.flush().unwrap();
    assert!(writer.totals().bytes - before < 2000, "{} bytes", writer.totals().bytes - before);
    writer.finish(0).unwrap();
    let longest = members(&bytes).windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < 1 << 20, "{longest}");
    let (again, inputs, _) = all(&bytes).unwrap();
    assert_eq!((again, inputs), (first, vec![Input::Look(Box::new(second))]));
}

#[test]
fn what_a_replay_tells_is_what_was_told_live() {
    let (first, inputs) = inputs();
    let told = |first: Look, inputs: &mut dyn Iterator<Item = Input>| -> String {
        let mut engine = Engine::start(first, Some(HeardBy::Fexit), true);
        let events: Vec<_> = inputs.flat_map(|input| engine.take(input)).collect();
        let mut lines = Vec::new();
        events.iter().for_each(|event| crate::render::events::line(event, &mut lines).unwrap());
        String::from_utf8(lines).unwrap()
    };
    let (again, others, _) = all(&stream(&first, &inputs)).unwrap();
    let live = told(first, &mut inputs.into_iter());
    assert!(live.lines().count() > 5, "{live:#?}");
    assert_eq!(told(again, &mut others.into_iter()), live);
}
