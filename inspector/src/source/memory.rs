//! Memory of a process that lives long and, now and then, needs much for a moment.

/// Has all threads share what they have no use for, as far as this C library can: what a look needs for a moment is else kept by
/// each that ever looked. And has what a batch of events needs stay for the next one, where else half of a storm's time goes into
/// asking the kernel for pages and giving them back: what is larger is a look's, and is given back at once.
pub fn share() {
    #[cfg(target_env = "gnu")]
    {
        /// In bytes.
        const LARGE: libc::c_int = 1 << 20;
        const KEPT: libc::c_int = 4 << 20;
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

/// Gives back to the system what is not used any more.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator takes its own locks, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
