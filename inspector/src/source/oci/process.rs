//! Whether the process that a runtime wrote down is still that process: by its pid *and* its start time, never by the
//! pid alone.

use std::fs;

use crate::observation::Task;
use crate::source::{Context, TaskScan};

/// The processes of this host.
#[derive(Clone, Copy, Debug)]
pub struct Processes<'a> {
    context: &'a Context,
    scan: &'a TaskScan,
}

impl<'a> Processes<'a> {
    /// Those of a scan; /proc is asked for what came since.
    #[must_use]
    pub const fn new(context: &'a Context, scan: &'a TaskScan) -> Self {
        Self { context, scan }
    }

    /// Whether that process lives: no zombie, and no later one with its pid. Without a start time, in clock ticks since
    /// boot, nothing tells the two apart.
    #[must_use]
    pub fn lives(&self, pid: u32, start_ticks: Option<u64>) -> bool {
        let same = |ticks: u64| start_ticks.is_none_or(|start| start == ticks);
        if pid == 0 {
            return false;
        }
        if let Some(task) = self.task(pid) {
            return !task.is_dead() && same(in_ticks(task.start_boottime_ns));
        }
        let stat = fs::read(self.context.host(format!("/proc/{pid}/stat"))).unwrap_or_default();
        // The name, in parentheses, may hold anything; the state is the first field behind it and the start the 20th.
        let Some(end) = stat.iter().rposition(|byte| *byte == b')') else { return false };
        let fields = String::from_utf8_lossy(stat.get(end + 1..).unwrap_or_default()).into_owned();
        let mut fields = fields.split_ascii_whitespace();
        let ends = matches!(fields.next(), Some("Z" | "X") | None);
        !ends && fields.nth(18).and_then(|ticks| ticks.parse().ok()).is_some_and(same)
    }

    /// The cgroup of a process, by the scan.
    #[must_use]
    pub fn cgroup(&self, pid: u32) -> Option<&'a str> {
        self.task(pid)?.cgroup.as_deref()
    }

    /// A process of the scan.
    #[must_use]
    pub fn task(&self, pid: u32) -> Option<&'a Task> {
        self.scan.tasks.get(pid)
    }
}

/// Nanoseconds since boot in clock ticks, rounded as the kernel does.
fn in_ticks(boottime_ns: u64) -> u64 {
    boottime_ns / (1_000_000_000 / rustix::param::clock_ticks_per_second().clamp(1, 1_000_000_000))
}
