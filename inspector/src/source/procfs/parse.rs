//! The few files of /proc that the hot path reads, from bytes to facts. Pure; anything malformed is `None`.

/// `PF_KTHREAD` of include/linux/sched.h: a kernel thread. The 9th field of `stat` shows the flags.
pub(super) const PF_KTHREAD: u32 = 0x0020_0000;

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub comm: String,
    pub state: u8,
    pub parent: u32,
    pub flags: u32,
    pub threads: u32,
    pub start_ticks: u64,
}

impl Stat {
    /// Fields 2, 3, 4, 9, 20 and 22 of proc_pid_stat(5).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        // The name may hold spaces, parentheses and newlines: it ends at the last closing parenthesis.
        let open = bytes.iter().position(|&byte| byte == b'(')?;
        let close = bytes.iter().rposition(|&byte| byte == b')')?;
        let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let flags = fields.nth(4)?.parse().ok()?;
        let threads = fields.nth(10)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        Some(Self { comm, state, parent, flags, threads, start_ticks })
    }

    pub(super) const fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }
}

/// What `/proc/PID/status` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The real uid.
    pub uid: Option<u32>,
    /// The pid in each namespace from that of this /proc down to the innermost; empty where it does not say.
    pub pids: Vec<u32>,
}

impl Status {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut status = Self::default();
        // `Name:` comes first and is escaped by the kernel, so no process can forge a line of its own.
        for line in bytes.split(|&byte| byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if let Some(uids) = line.strip_prefix("Uid:") {
                status.uid = uids.split_ascii_whitespace().next().and_then(|uid| uid.parse().ok());
            } else if let Some(pids) = line.strip_prefix("NSpid:") {
                status.pids = pids.split_ascii_whitespace().map_while(|pid| pid.parse().ok()).collect();
                break;
            }
        }
        status
    }

    /// The pid in the innermost namespace.
    pub(super) fn pid_inside(&self) -> Option<u32> {
        self.pids.last().copied()
    }

    /// Levels of PID namespaces between that of this /proc and the task's.
    pub(super) fn levels(&self) -> Option<u32> {
        u32::try_from(self.pids.len().checked_sub(1)?).ok()
    }

    /// The pids below that of this /proc.
    pub(super) fn pids_below(&self) -> &[u32] {
        self.pids.get(1..).unwrap_or_default()
    }
}

/// The inode in the target of a namespace link: `net:[4026531840]`.
pub(super) fn inode(target: &[u8]) -> Option<u32> {
    let open = target.iter().position(|&byte| byte == b'[')?;
    let close = target.iter().rposition(|&byte| byte == b']')?;
    std::str::from_utf8(target.get(open + 1..close)?).ok()?.parse().ok()
}

/// The path of the cgroup that containers are told by: v1's `name=systemd`, then `pids`, where they say more than
/// the root, else v2's.
pub(super) fn cgroup(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut best: Option<(u8, &str)> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let rank = match (hierarchy, controllers) {
            _ if path == "/" => 0,
            ("0", "") => 1,
            (_, controllers) if controllers.split(',').any(|name| name == "pids") => 2,
            (_, "name=systemd") => 3,
            _ => continue,
        };
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, path));
        }
    }
    best.map(|(_, path)| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_every_name() {
        let line = b"77 (a) R 1 (b\n) S 12 77 77 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 5 0 4711 1000 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            stat,
            Stat {
                comm: "a) R 1 (b\n".into(),
                state: b'S',
                parent: 12,
                flags: 4_194_560,
                threads: 5,
                start_ticks: 4711
            }
        );
        for end in 0..line.len() - 8 {
            // A truncated line is refused or read; it never panics.
            let _ = Stat::parse(&line[..end]);
        }
        assert_eq!(
            Stat::parse(b"2 (\xff\xfe) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3").unwrap().comm,
            "\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn status_gives_uid_and_the_pid_on_every_level() {
        let status =
            Status::parse(b"Name:\tx\\nUid:\\t7\nUid:\t1000\t0\t0\t0\nNSpid:\t4242\t17\t1\nThreads:\t1\n");
        assert_eq!(status, Status { uid: Some(1000), pids: vec![4242, 17, 1] });
        assert_eq!(
            (status.pid_inside(), status.levels(), status.pids_below()),
            (Some(1), Some(2), &[17, 1][..])
        );
        let status = Status::parse(b"NSpid:\t4242\n");
        assert_eq!(
            (status.pid_inside(), status.levels(), status.pids_below()),
            (Some(4242), Some(0), &[][..])
        );
        let status = Status::parse(b"");
        assert_eq!((status.pid_inside(), status.levels(), status.pids_below()), (None, None, &[][..]));
        assert_eq!(status, Status::default());
    }

    #[test]
    fn links_name_their_inode() {
        assert_eq!(inode(b"net:[4026531840]"), Some(4_026_531_840));
        assert_eq!(inode(b"net:[]"), None);
        assert_eq!(inode(b"/dev/null"), None);
    }

    #[test]
    fn the_cgroup_is_told_by_the_hierarchy_that_knows_most() {
        for (text, expected) in [
            ("0::/system.slice/docker-a.scope\n", "/system.slice/docker-a.scope"),
            ("8:pids:/docker/a\n4:memory:/x\n1:name=systemd:/docker/b\n0::/\n", "/docker/b"),
            ("8:pids:/docker/a\n1:name=systemd:/\n0::/c\n", "/docker/a"),
            ("8:pids:/\n1:name=systemd:/\n0::/c\n", "/c"),
            ("4:cpu,pids:/a:b:c\n", "/a:b:c"),
            ("0::/\n", "/"),
        ] {
            assert_eq!(cgroup(text.as_bytes()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(cgroup(b"4:memory:/x\n"), None);
    }
}
