use super::*;

/// Decodes a whole reading that came at once.
fn decode(output: &[u8]) -> Result<TaskScan, DecodeError> {
    let mut decoder = Decoder::default();
    decoder.feed(output)?;
    decoder.finish()
}

/// Writes the iterator's output by hand.
#[derive(Default)]
struct Output(Vec<u8>);

impl Output {
    fn header(&mut self, kind: u16, length: u32) {
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(&ABI.to_ne_bytes());
        self.0.extend_from_slice(&length.to_ne_bytes());
    }

    fn longs(&mut self, values: &[u64]) {
        values.iter().for_each(|value| self.0.extend_from_slice(&value.to_ne_bytes()));
    }

    fn words(&mut self, values: &[u32]) {
        values.iter().for_each(|value| self.0.extend_from_slice(&value.to_ne_bytes()));
    }

    fn task(&mut self, pid: u32, flags: u32, v2: u64, pids: u64, comm: &[u8]) -> &mut Self {
        self.nested(pid, flags, v2, pids, comm, 0, &[])
    }

    #[expect(clippy::too_many_arguments, reason = "a record has this many fields")]
    fn nested(
        &mut self,
        pid: u32,
        flags: u32,
        v2: u64,
        pids: u64,
        comm: &[u8],
        state: u32,
        below: &[u32],
    ) -> &mut Self {
        self.header(kind::TASK, 128 + 4 * u32::try_from(below.len()).unwrap());
        self.longs(&[5_000_000_007, v2, pids]);
        self.words(&[pid, pid, 1, flags, 2, 7, 3, 1000, 1001]);
        self.words(&[11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        let mut name = [0; 16];
        name[..comm.len()].copy_from_slice(comm);
        self.0.extend_from_slice(&name);
        self.words(&[state]);
        self.words(below);
        self
    }

    fn namespace(&mut self, kind: u32, inode: u32, owner: u32, parent: u32, id: u64) -> &mut Self {
        self.header(kind::NAMESPACE, 32);
        self.words(&[kind, inode, owner, parent]);
        self.longs(&[id]);
        self
    }

    fn cgroup(&mut self, hierarchy: u32, id: u64, parent: u64, name: &[u8]) -> &mut Self {
        let length = u32::try_from(name.len()).unwrap();
        self.header(kind::CGROUP, 32 + length);
        self.words(&[hierarchy, length]);
        self.longs(&[id, parent]);
        self.0.extend_from_slice(name);
        self
    }

    fn end(&mut self, tasks: u64, cgroups: u64) -> Vec<u8> {
        self.end_with(tasks, cgroups, 0)
    }

    fn end_with(&mut self, tasks: u64, cgroups: u64, namespaces: u64) -> Vec<u8> {
        self.header(kind::END, 40);
        self.longs(&[tasks, cgroups, namespaces, 9]);
        std::mem::take(&mut self.0)
    }
}

fn small() -> Vec<u8> {
    Output::default()
        .cgroup(0, 3, 1, b"a\xffb")
        .cgroup(0, 1, 0, b"")
        .namespace(3, 14, 15, 13, 77)
        .namespace(5, 15, 0, 0, 0)
        .nested(42, flags::PID_NAMESPACE_INIT, 3, 0, b"x\x1b[2J", 1, &[9, 7])
        .end_with(1, 2, 2)
}

#[test]
fn every_field_arrives_where_it_belongs() {
    let scan = decode(&small()).unwrap();
    let expected = Task {
        pid: 42,
        tgid: 42,
        parent: 1,
        start_boottime_ns: 5_000_000_007,
        comm: "x\x1b[2J".into(),
        uid: Some(1000),
        kernel_thread: false,
        zombie: false,
        pid_namespace_init: true,
        threads: Some(3),
        level: Some(2),
        pid_inside: Some(7),
        pids_below: vec![9, 7],
        state: Some('S'),
        namespaces: crate::observation::Inodes::from_iter(Kind::ALL.into_iter().zip(11..=18)),
        pid_for_children: Some(19),
        time_for_children: Some(20),
        user_namespace_owner: Some(1001),
        cgroup: Some("/a\u{fffd}b".into()),
        cgroup_id: Some(3),
    };
    assert_eq!(scan.tasks, Tasks::from(vec![expected]));
    let (pid, user) = (Kind::Pid, Kind::User);
    assert_eq!(
        scan.namespaces,
        [
            NamespaceFact { kind: pid, inode: 14, owner: Some(15), parent: Some(13), id: Some(77) },
            NamespaceFact { kind: user, inode: 15, owner: None, parent: None, id: None },
        ]
    );
    assert_eq!((scan.unreadable, scan.gaps.len()), (0, 0));
}

#[test]
fn the_hierarchy_that_tells_the_container() {
    // (v2 id, pids id) to the path; the v1 tree numbers its cgroups like the v2 tree.
    for (v2, pids, expected) in [
        (2, 0, Some((2, "/system.slice"))), // pure v2
        (1, 2, Some((2, "/docker"))),       // hybrid, by v1
        (2, 1, Some((2, "/system.slice"))), // hybrid, by v2: v1 says root
        (1, 1, Some((1, "/"))),
        (2, 3, Some((3, "/docker/c"))), // both: v1
        (9, 0, None),                   // its record is missing
        (2, 9, None),                   // must not fall back on another place of another tree
        (4, 0, None),                   // a circle
    ] {
        let mut output = Output::default();
        output
            .cgroup(0, 1, 0, b"")
            .cgroup(0, 2, 1, b"system.slice")
            .cgroup(0, 4, 5, b"x")
            .cgroup(0, 5, 4, b"y")
            .cgroup(1, 1, 0, b"")
            .cgroup(1, 2, 1, b"docker")
            .cgroup(1, 3, 2, b"c")
            .task(8, 0, v2, pids, b"");
        let scan = decode(&output.end(1, 7)).unwrap();
        let task = &scan.tasks.shared()[0];
        let found = task.cgroup_id.zip(task.cgroup.as_deref());
        assert_eq!(found, expected, "v2 {v2}, pids {pids}");
        assert_eq!(scan.gaps.len(), usize::from(expected.is_none()), "unknown is said");
    }
}

#[test]
fn in_order_without_duplicates_or_the_reaped() {
    let output = Output::default()
        .cgroup(0, 1, 0, b"")
        .task(9, 0, 1, 0, b"nine")
        .task(7, 0, 1, 0, b"old")
        .task(0, 0, 1, 0, b"reaped")
        .task(7, 0, 1, 0, b"new")
        .task(8, flags::ZOMBIE, 1, 0, b"")
        .task(10, flags::NO_NSPROXY, 1, 0, b"")
        .end(6, 1);
    let scan = decode(&output).unwrap();
    let seen: Vec<_> = scan.tasks.iter().map(|task| (task.pid, &*task.comm, task.zombie)).collect();
    assert_eq!(seen, [(7, "new", false), (8, "", true), (9, "nine", false), (10, "", true)]);
}

#[test]
fn states_are_the_letters_of_proc() {
    for (state, expected) in [
        (0, 'R'),
        (1, 'S'),
        (2, 'D'),
        (4 | 0x100, 'T'),
        (8 | 0x100, 't'),
        (0x80 | 0x20, 'Z'),
        (0x80 | 0x10, 'X'),
        (0x40, 'P'),
        (2 | 0x400, 'I'),
        (2 | 0x400 | 0x2000, 'I'), // freezable, as kernel threads are
        (1 | 0x2000, 'S'),
        (0x8000, 'D'),             // frozen
        (2 | 0x400 | 0x1000, 'D'), // waits for a sleeping spin lock
        (0x200, 'R'),              // being woken
        (!(0x8000 | 0x1000 | 0x400), 'P'),
    ] {
        assert_eq!(letter(state), expected, "{state:#x}");
    }
}

#[test]
fn what_was_told_last_of_a_namespace_stands_and_the_unfinished_is_said() {
    let mut output = Output::default();
    output
        .cgroup(0, 1, 0, b"")
        .namespace(4, 21, 15, 0, 5)
        .task(7, flags::NAMESPACES_TOO_DEEP, 1, 0, b"")
        .namespace(4, 21, 16, 0, 6);
    let scan = decode(&output.end_with(1, 1, 2)).unwrap();
    assert_eq!(scan.namespaces.len(), 1);
    assert_eq!((scan.namespaces[0].owner, scan.namespaces[0].id), (Some(16), Some(6)));
    let [gap] = scan.gaps.as_slice() else { panic!("{:?}", scan.gaps) };
    assert!(gap.what.contains("1 tasks") && !gap.could_change_verdict, "{gap:?}");

    let unknown = Output::default().namespace(8, 21, 0, 0, 0).end_with(0, 0, 1);
    assert!(matches!(decode(&unknown), Err(DecodeError::NoRecord { .. })), "a ninth kind");
}

#[test]
fn what_is_cut_or_miscounted_is_no_answer() {
    let whole = small();
    for length in 0..whole.len() {
        assert!(matches!(decode(&whole[..length]), Err(DecodeError::Truncated(_))), "cut at {length}");
    }
    let mut output = Output::default();
    assert_eq!(
        decode(&output.cgroup(0, 1, 0, b"").task(1, 0, 1, 0, b"").end(2, 1)).unwrap_err(),
        DecodeError::Miscounted { what: "tasks", counted: 2, read: 1 }
    );
    assert_eq!(
        decode(&output.cgroup(0, 1, 0, b"").end(0, 0)).unwrap_err(),
        DecodeError::Miscounted { what: "cgroups", counted: 0, read: 1 }
    );
    assert_eq!(
        decode(&Output::default().namespace(4, 21, 0, 0, 0).end(0, 0)).unwrap_err(),
        DecodeError::Miscounted { what: "namespaces", counted: 0, read: 1 }
    );
    let mut more = whole.clone();
    more.extend_from_slice(&whole);
    assert!(decode(&more).is_ok(), "what is born after the end is of the next reading");
}

#[test]
fn in_whatever_pieces_it_comes() {
    let whole = small();
    let expected = decode(&whole).unwrap();
    for size in (1..64).chain([whole.len() - 1]) {
        let mut decoder = Decoder::default();
        whole.chunks(size).for_each(|piece| decoder.feed(piece).unwrap());
        let scan = decoder.finish().unwrap();
        assert_eq!(
            (scan.tasks, scan.namespaces),
            (expected.tasks.clone(), expected.namespaces.clone()),
            "{size}"
        );
    }
    // A length that is none is told before it is waited for.
    let mut endless = whole[..8].to_vec();
    endless[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert!(matches!(Decoder::default().feed(&endless), Err(DecodeError::NoRecord { at: 0, .. })));
}

#[test]
fn no_bytes_make_it_panic() {
    let whole = small();
    for at in 0..whole.len() {
        for value in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            let _ = decode(&damaged);
        }
    }
}
