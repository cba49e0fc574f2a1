//! Asking the kernel's verifier, and understanding its answer.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::error::{BpfError, classify};
use super::preconditions;
use super::syscall::{self, TracingProgram};

/// Has the kernel verify a program. Why it refuses is asked in a second try: to write it down takes its time.
pub fn verify(program: TracingProgram<'_>) -> Result<OwnedFd, BpfError> {
    /// The verifier minds signals: whoever gets one at that moment may try again.
    const TRIES: u32 = 5;
    /// A log that is too short ends the try (and before Linux 6.4 at its beginning). The last is as long as the
    /// kernel takes.
    const LOG_BYTES: [usize; 3] = [64 << 10, 1 << 20, (1 << 24) - 1];

    let is = |error: &io::Error, errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    let mut tried = syscall::load(program, &mut []);
    for _ in 1..TRIES {
        match &tried {
            Err(error) if is(&error.io_error, Errno::AGAIN) => tried = syscall::load(program, &mut []),
            _ => break,
        }
    }
    let error = match tried {
        Err(error) if !is(&error.io_error, Errno::PERM) => error.io_error,
        done => return done.map_err(|error| classify(&error)),
    };
    let mut log = Vec::new();
    for bytes in LOG_BYTES {
        log = vec![0; bytes];
        match syscall::load(program, &mut log) {
            Err(error) if is(&error.io_error, Errno::NOSPC) => {}
            _ => break,
        }
    }
    let log = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let log = String::from_utf8_lossy(log);
    log::debug!("{}: {error}\n{log}", program.name);
    if preconditions::locked_down() {
        return Err(BpfError::LockedDown);
    }
    Err(BpfError::Refused { reason: last_words(&error, &log) })
}

/// What a verifier's log ends with, before its statistics.
fn last_words(error: &io::Error, log: &str) -> String {
    let statistics = ["processed ", "verification ", "stack depth "];
    let last = log
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !statistics.iter().any(|opening| line.starts_with(opening)));
    match last {
        Some(last) => format!("{last} ({error})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::btf::Btf;
    use super::super::{preconditions, vmlinux};
    use super::*;

    #[test]
    fn the_verifiers_reason_is_found() {
        let error = io::Error::from_raw_os_error(13);
        let log = "0: R1=ctx()\nR2 pointer arithmetic on ptr_or_null_ prohibited\nprocessed 7 insns (limit 1000000)\n";
        let said = last_words(&error, log);
        assert!(said.starts_with("R2 pointer arithmetic on ptr_or_null_ prohibited ("), "{said}");
        assert!(last_words(&error, "").starts_with("Permission denied"));
    }

    #[test]
    fn what_it_refuses_is_told_in_its_own_words() {
        assert!(rustix::process::geteuid().is_root(), "this test loads eBPF into the kernel: run it as root");
        preconditions::raise_memlock();
        let blob = fs::read(vmlinux::PATH).expect("this test wants a kernel with BTF");
        let target = Btf::parse(&blob).unwrap().function("bpf_iter_task").unwrap();
        let ask = |code: &[u8]| {
            let instructions = aya_obj::copy_instructions(code).unwrap();
            verify(TracingProgram {
                attach: syscall::Attach::Iterator,
                name: "a_name_that_is_too_long",
                instructions: &instructions,
                license: c"GPL",
                target,
                functions: None,
            })
        };
        let (zero, exit) = ([0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]);
        assert!(ask(&[zero, exit].concat()).is_ok());
        let Err(BpfError::Refused { reason }) = ask(&exit) else { panic!("nothing is returned") };
        assert!(reason.starts_with("R0 !read_ok ("), "{reason}");
    }
}
