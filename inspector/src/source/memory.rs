//! Memory of a process that lives long and, now and then, needs much for a moment.

use std::sync::OnceLock;

use procfs::ProcResult;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rustix::mm::{Advice, madvise};

/// Has all threads share what they have no use for, as far as this C library can: what a look needs for a moment is else kept by
/// each that ever looked. And has what a batch of events needs stay for the next one, where else half of a storm's time goes into
/// asking the kernel for pages and giving them back: what is larger is a look's, and is given back at once.
pub fn share() {
    #[cfg(target_env = "gnu")]
    {
        /// In bytes.
        const LARGE: libc::c_int = 1 << 20;
        const KEPT: libc::c_int = 1 << 20;
        let settings = [
            ("arenas", libc::M_ARENA_MAX, 1),
            ("what it keeps", libc::M_TRIM_THRESHOLD, KEPT),
            ("what it gives back at once", libc::M_MMAP_THRESHOLD, LARGE),
        ];
        for (what, setting, value) in settings {
            // SAFETY: sets a number within the allocator, which takes its own lock.
            let set = unsafe { libc::mallopt(setting, value) };
            if set == 0 {
                log::debug!("the C library does not take a limit of {what}");
            }
        }
    }
}

/// Gives back to the system what is not used any more: memory that was freed, and code that ran once, such as what loads the
/// programs or takes the command line apart. Code that is run again is taken from the page cache again.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator takes its own locks, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
    static CODE: OnceLock<Vec<(usize, usize)>> = OnceLock::new();
    for (start, length) in CODE.get_or_init(code) {
        let start = std::ptr::with_exposed_provenance_mut(*start);
        // SAFETY: a private mapping of this program's file, which stays for as long as the program runs and which the program
        // does not write to: so its pages are those of the page cache, before and after. (A debugger's breakpoints are not.)
        let given = unsafe { madvise(start, *length, Advice::LinuxDontNeed) };
        if let Err(error) = given {
            log::debug!("code that is not used stays in memory: {error}");
        }
    }
}

/// Where this program's own code is mapped: starts and lengths.
fn code() -> Vec<(usize, usize)> {
    let of_program = || {
        let myself = Process::myself()?;
        let (program, maps) = (myself.exe()?, myself.maps()?);
        let is_code = |map: &MemoryMap| {
            map.perms == MMPermissions::READ | MMPermissions::EXECUTE | MMPermissions::PRIVATE
                && matches!(&map.pathname, MMapPath::Path(path) if *path == program)
        };
        let range = |map: &MemoryMap| {
            let (start, end) = map.address;
            Some((usize::try_from(start).ok()?, usize::try_from(end.checked_sub(start)?).ok()?))
        };
        ProcResult::Ok(maps.iter().filter(|map| is_code(map)).filter_map(range).collect())
    };
    of_program().unwrap_or_else(|error| {
        log::debug!("code that is not used stays in memory: where it is, is not known: {error}");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KiB of this program's code that are in memory.
    fn resident() -> u64 {
        let code = code();
        assert!(!code.is_empty());
        let maps = Process::myself().unwrap().smaps().unwrap();
        let starts: Vec<u64> = code.iter().map(|(start, _)| *start as u64).collect();
        let own = maps.iter().filter(|map| starts.contains(&map.address.0));
        own.map(|map| map.extension.map["Rss"]).sum::<u64>() / 1024
    }

    #[test]
    fn code_that_is_not_used_is_given_back_and_runs_again_all_the_same() {
        // Other tests of this program run meanwhile, and bring back what they use.
        let shrinks = (0..100).any(|_| {
            let before = resident();
            give_back();
            let after = resident();
            after > 0 && after < before
        });
        assert!(shrinks, "{} KiB", resident());
    }
}
