//! Memory of a process that lives long and, now and then, needs much for a moment.

/// Has all threads share what they have no use for, as far as this C library can: what a look needs for a moment is else kept by
/// each that ever looked.
pub fn share() {
    #[cfg(target_env = "gnu")]
    {
        const ARENAS: libc::c_int = 1;
        // SAFETY: sets a number within the allocator, which takes its own lock.
        let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
        if set == 0 {
            log::debug!("the C library does not take a limit of its arenas");
        }
    }
}

/// Gives back to the system what is not used any more.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator takes its own locks, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
