//! What can go wrong on the way, and telling by an error of aya's or of the kernel's which of it did.

use std::error::Error as StdError;
use std::io;

use rustix::io::Errno;
use thiserror::Error;

use super::btf::BtfError;
use super::decode::DecodeError;
use super::offsets::LayoutError;
use super::preconditions;

/// Why tasks could not be read by eBPF.
#[derive(Debug, Error)]
pub enum BpfError {
    /// This program was built without its kernel side.
    #[error("this build has no eBPF object: {why}")]
    NotBuiltIn {
        /// As the build said it.
        why: String,
    },
    /// The object is another version's.
    #[error("the eBPF object is of version {found}, this program of {}: rebuild both", inspector_common::ABI)]
    OtherAbi {
        /// What it says.
        found: String,
    },
    /// The kernel's types cannot be read.
    #[error(
        "{path}: {source}; a kernel built with CONFIG_DEBUG_INFO_BTF has it, and the container must see /sys"
    )]
    NoBtf {
        /// Where they should be.
        path: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel's types make no sense.
    #[error("{path}: {source}")]
    BadBtf {
        /// Where they are.
        path: &'static str,
        /// What is wrong.
        source: BtfError,
    },
    /// The kernel lacks something that is read.
    #[error("{0}: this version of the inspector does not know this kernel")]
    Layout(#[from] LayoutError),
    /// Not allowed.
    #[error("not permitted: {why}")]
    Permission {
        /// What is missing, and how to get it.
        why: String,
    },
    /// Pids would mean something else to the kernel than to the reader of /proc.
    #[error("{proc} is of another PID namespace than this process, so pids would be mixed up: {why}")]
    OtherPidNamespace {
        /// The /proc in use.
        proc: String,
        /// What it shows, and how to mend it.
        why: String,
    },
    /// The kernel keeps its memory even from root, and so from every program that reads it.
    #[error("the kernel is locked down (lockdown=confidentiality), and lets no eBPF program read its memory")]
    LockedDown,
    /// The kernel refused both programs.
    #[error("the kernel's verifier refused the programs: {reason} (RUST_LOG=debug shows its log)")]
    Refused {
        /// The last lines of what it said.
        reason: String,
    },
    /// Anything else on the way in.
    #[error("the eBPF programs could not be loaded: {0}")]
    Load(String),
    /// Reading the iterator failed.
    #[error("reading the task iterator: {0}")]
    Read(#[source] io::Error),
    /// Waiting for events failed.
    #[error("waiting for the kernel's events: {0}")]
    Events(#[source] io::Error),
    /// Time was up.
    #[error("the task iterator did not end in time")]
    Late,
    /// What came made no sense.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// An error of aya's, or of the kernel's: EPERM wherever it hides, or what it says together with its causes.
pub fn classify<E: StdError + 'static>(error: &E) -> BpfError {
    let mut said = error.to_string();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.raw_os_error() == Some(Errno::PERM.raw_os_error())
        {
            return BpfError::Permission { why: preconditions::explain_refusal() };
        }
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    BpfError::Load(said)
}

#[cfg(test)]
mod tests {
    use aya::programs::ProgramError;

    use super::*;

    #[test]
    fn eperm_is_told_from_other_errors_however_deep() {
        let nested = |code| {
            ProgramError::SyscallError(aya::sys::SyscallError {
                call: "bpf_link_create",
                io_error: io::Error::from_raw_os_error(code),
            })
        };
        assert!(matches!(classify(&nested(1)), BpfError::Permission { .. }));
        let BpfError::Load(said) = classify(&nested(12)) else { panic!("an error like any other") };
        assert!(said.contains("bpf_link_create") && said.contains("memory"), "{said}");
    }
}
