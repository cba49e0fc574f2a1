//! The credentials of chosen processes: `/proc/PID/status`, and whose the process's files in /proc are.

use std::io;
use std::time::Instant;

use super::Context;
use super::behaviour::{Directory, is_gone, is_still};
use crate::observation::{Credentials, Gap, ProcessKey};

/// Reads them. A process that is gone, or whose pid is another's by now, is left out.
#[must_use]
pub fn read(context: &Context, processes: &[ProcessKey]) -> (Vec<Credentials>, Vec<Gap>) {
    let mut credentials = Vec::with_capacity(processes.len());
    let mut gaps = Vec::new();
    for (position, key) in processes.iter().enumerate() {
        if Instant::now() >= context.deadline {
            gaps.push(Gap::detail(
                format!("the credentials of {} processes", processes.len() - position),
                "the time was up before they were read; a longer --timeout gives them theirs",
            ));
            break;
        }
        match read_one(context, *key) {
            Ok(found) => credentials.extend(found),
            Err(error) => gaps.push(Gap::detail(
                format!("the credentials of process {}", key.pid),
                format!("its directory in /proc cannot be read: {error}"),
            )),
        }
    }
    (credentials, gaps)
}

fn read_one(context: &Context, key: ProcessKey) -> io::Result<Option<Credentials>> {
    let directory = match Directory::open(&context.host("/proc").join(key.pid.to_string())) {
        Ok(directory) => directory,
        Err(error) if is_gone(error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let status = match directory.read("status") {
        Ok(status) => status,
        Err(error) if is_gone(error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A file that only its owner may read: whose it is says whether the process may be dumped.
    let owner = directory.owner("environ").ok();
    if !is_still(&directory, key)? {
        return Ok(None);
    }
    parse(&status, key, owner).map(Some).ok_or_else(|| io::Error::other("its status is not one"))
}

fn parse(status: &str, process: ProcessKey, owner: Option<u32>) -> Option<Credentials> {
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let four = |name: &str| -> Option<[u32; 4]> {
        let numbers: Vec<u32> =
            field(name)?.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        numbers.try_into().ok()
    };
    let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
    let uids = four("Uid")?;
    let dumpable = match (owner, uids) {
        (Some(owner), [_, effective, ..]) if owner != effective => Some(false),
        (Some(owner), _) if owner != 0 => Some(true),
        _ => None,
    };
    Some(Credentials {
        process,
        uids,
        gids: four("Gid")?,
        effective: set("CapEff")?,
        permitted: set("CapPrm")?,
        dumpable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n\
                          CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t0000000000080000\n";

    #[test]
    fn a_status_is_read_or_is_none() {
        let key = ProcessKey { pid: 7, start_ticks: 9 };
        let found = parse(STATUS, key, Some(1001)).unwrap();
        assert_eq!((found.uids, found.gids), ([1000, 1001, 1002, 1003], [5, 6, 7, 8]));
        assert_eq!((found.effective, found.permitted), (1 << 19, 0xa804_25fb));
        assert_eq!(found.dumpable, Some(true));
        assert_eq!(parse(STATUS, key, Some(0)).unwrap().dumpable, Some(false));
        let root = STATUS.replace("1001", "0");
        assert_eq!(parse(&root, key, Some(0)).unwrap().dumpable, None);
        for broken in ["", "Uid:\t1\nGid:\t1", "Uid:\t1\t2\t3\tx\n"] {
            assert_eq!(parse(broken, key, None), None);
        }
    }

    #[test]
    fn our_own_are_those_that_the_kernel_gives_us() {
        let pid = std::process::id();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let start_ticks =
            stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap();
        let context = Context::new(crate::source::Options::default());
        let (found, gaps) = read(&context, &[ProcessKey { pid, start_ticks }]);
        assert_eq!((found.len(), gaps.len()), (1, 0), "{gaps:?}");
        assert_eq!(found[0].uids[1], rustix::process::geteuid().as_raw());
        // Another process with that pid is not it.
        let (found, gaps) = read(&context, &[ProcessKey { pid, start_ticks: start_ticks + 1 }]);
        assert_eq!((found.len(), gaps.len()), (0, 0));
    }
}
