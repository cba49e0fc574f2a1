//! What the kernel answers about the namespaces of a task when asked through their descriptors (ioctl_ns(2)): by nothing
//! that the program uses.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use inspector::observation::{Kind, NamespaceFact};
use inspector::source::TaskScan;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, Opcode, ioctl, opcode};

const NS_GET_USERNS: Opcode = opcode::none(0xb7, 1);
const NS_GET_PARENT: Opcode = opcode::none(0xb7, 2);
/// From Linux 6.18.
const NS_GET_ID: Opcode = opcode::read::<u64>(0xb7, 13);

/// Asks for a descriptor of another namespace, which comes as the call's own result.
struct Related(Opcode);

// SAFETY: these ioctls take no argument, and give a new descriptor that is the caller's.
unsafe impl Ioctl for Related {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        self.0
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<OwnedFd> {
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

fn inode(file: &File) -> u32 {
    u32::try_from(file.metadata().unwrap().ino()).unwrap()
}

/// The inode of the namespace that is related so; `None` at the top, and where the reader may not look.
fn related(file: &File, how: Opcode) -> Option<u32> {
    // SAFETY: see `Related`.
    unsafe { ioctl(file, Related(how)) }.ok().map(|found| inode(&File::from(found)))
}

fn id(file: &File) -> Option<u64> {
    // SAFETY: NS_GET_ID writes 64 bits.
    unsafe { ioctl(file, Getter::<NS_GET_ID, u64>::new()) }.ok()
}

/// Compares what was told of every namespace that some living task is in. Gives how many there were of each kind.
pub fn agrees(scan: &TaskScan) -> BTreeMap<Kind, usize> {
    let told: BTreeMap<(Kind, u32), &NamespaceFact> =
        scan.namespaces.iter().map(|fact| ((fact.kind, fact.inode), fact)).collect();
    assert_eq!(told.len(), scan.namespaces.len(), "none is told of twice");
    let mut counts = BTreeMap::new();
    for task in &scan.tasks {
        for kind in Kind::ALL {
            let Some(of_task) = task.namespaces.get(kind) else { continue };
            let fact = told.get(&(kind, of_task)).unwrap_or_else(|| panic!("nothing of {kind}:{of_task}"));
            let Ok(file) = File::open(format!("/proc/{}/task/{}/ns/{kind}", task.tgid, task.pid)) else {
                continue;
            };
            if inode(&file) != of_task {
                continue;
            }
            let what = format!("{kind}:{of_task} of {}", task.pid);
            if let Some(owner) = related(&file, NS_GET_USERNS) {
                assert_eq!(fact.owner, Some(owner), "owner of {what}");
            }
            match kind {
                Kind::Pid | Kind::User => {
                    if let Some(parent) = related(&file, NS_GET_PARENT) {
                        assert_eq!(fact.parent, Some(parent), "parent of {what}");
                        assert!(told.contains_key(&(kind, parent)), "the parent of {what} is told of, too");
                    }
                }
                _ => assert_eq!(fact.parent, None, "{what}"),
            }
            assert!(
                fact.owner.is_none_or(|owner| told.contains_key(&(Kind::User, owner))),
                "owner of {what}"
            );
            assert_eq!(fact.id, id(&file), "id of {what}: both or neither have it");
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}
