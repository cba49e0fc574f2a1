//! What is told of namespaces themselves: who owns each, what is above it, its id. And of those above, which may have
//! no process.
//!
//! A namespace is told of once in a reading, with the first task that is in it. So for most tasks there is nothing to
//! do but to find that out, which has to be cheap.

use aya_ebpf::bindings::seq_file;
use inspector_common::{Header, MISSING, NAMESPACE_STEPS, NamespaceKind, NamespaceRecord, flags, kind};

use crate::{
    memory::{Pointer, Probe, address, offset},
    output::{self, Again, State, reload, step, store},
};

/// The namespaces that a task leads to itself: one of each kind, and two for its children.
const STARTS: usize = 10;
/// Room for them, a power of two for the verifier's sake.
const SLOTS: usize = 16;

/// A namespace, and where it keeps what is told of it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Place {
    /// Its address; 0 for none.
    node: u64,
    /// Its [`NamespaceKind`].
    kind: u32,
    /// Offset of its inode.
    inum: u32,
    /// Offset of the pointer to its owner.
    owner: u32,
    /// Offset of the pointer to what is above it.
    parent: u32,
    /// All ones for the kinds that nest; for others 0, which makes an address one that nothing is read from, and needs
    /// no branch.
    nests: u64,
}

impl Place {
    /// Word by word: `memcpy` is a loop over bytes to the verifier.
    #[inline(always)]
    fn copy(from: &Self, to: &mut Self) {
        to.node = reload(&from.node);
        to.kind = reload(&from.kind);
        to.inum = reload(&from.inum);
        to.owner = reload(&from.owner);
        to.parent = reload(&from.parent);
        to.nests = reload(&from.nests);
    }
}

/// The way from a task's namespaces upwards.
///
/// It lives in the map, offsets included: were they constants in registers, the verifier would go through each round
/// once for each kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Walk {
    starts: [Place; SLOTS],
    /// Which start comes next.
    next: u64,
    at: Place,
    /// A user namespace to visit when this way has come to its end; 0 for none.
    owner: u64,
    record: NamespaceRecord,
}

/// Where each kind keeps things, for each start. Once a reading.
#[inline(always)]
pub fn prepare(walk: &mut Walk) {
    macro_rules! nests {
        () => {
            0
        };
        ($parent:ident) => {
            u64::MAX
        };
    }
    macro_rules! start {
        ($index:expr, $kind:ident, $inum:ident, $owner:ident $(, $parent:ident)?) => {
            walk.starts[$index] = Place {
                node: 0,
                kind: NamespaceKind::$kind as u32,
                inum: offset!($inum),
                owner: offset!($owner),
                parent: 0 $(+ offset!($parent))?,
                nests: nests!($($parent)?),
            }
        };
    }
    start!(0, Mnt, mnt_inum, mnt_user_ns);
    start!(1, Uts, uts_inum, uts_user_ns);
    start!(2, Ipc, ipc_inum, ipc_user_ns);
    start!(3, Pid, pid_inum, pid_user_ns, pid_parent);
    start!(4, Net, net_inum, net_user_ns);
    start!(5, User, user_inum, user_parent, user_parent);
    start!(6, Cgroup, cgroup_inum, cgroup_user_ns);
    start!(7, Time, time_inum, time_user_ns);
    start!(8, Pid, pid_inum, pid_user_ns, pid_parent);
    start!(9, Time, time_inum, time_user_ns);
}

impl Walk {
    /// Notes where a task's namespace is, by its place in [`Inodes`].
    #[inline(always)]
    pub fn set(&mut self, index: usize, node: Option<Pointer>) {
        self.starts[index].node = address(node);
    }

    /// Goes to where this way did not lead yet: to the owner, else to the next start. Says whether there is one.
    #[inline(always)]
    fn turn(&mut self) -> bool {
        if self.owner != 0 {
            Place::copy(&self.starts[NamespaceKind::User as usize], &mut self.at);
            self.at.node = self.owner;
            self.owner = 0;
            return true;
        }
        let next = reload(&self.next) as usize;
        if next >= STARTS {
            return false;
        }
        Place::copy(&self.starts[next % SLOTS], &mut self.at);
        self.next += 1;
        true
    }
}

/// Writes a record for each of the task's namespaces that was not told of yet, and for those above it.
///
/// # Safety
///
/// `seq` is the context's, `state` is [`output::current`], every start was [`set`](Walk::set), and nobody else holds a
/// reference to the state.
#[inline(always)]
pub unsafe fn write_new(seq: *mut seq_file, state: *mut State) -> Result<(), Again> {
    if namespaces_all_told() != 0 {
        return Ok(());
    }
    // SAFETY: the caller's; what is called is done with the state when it returns.
    unsafe {
        store(&mut (*state).walk.next, 0);
        store(&mut (*state).walk.at.node, 0);
        store(&mut (*state).walk.owner, 0);
        for _ in 0..NAMESPACE_STEPS {
            match namespace_step() {
                step::END => return Ok(()),
                step::WRITE => output::write(seq, &(*state).walk.record, LENGTH)?,
                _ => {}
            }
        }
        (*state).task.flags |= flags::NAMESPACES_TOO_DEEP;
    }
    Ok(())
}

const LENGTH: u32 = size_of::<NamespaceRecord>() as u32;

/// Goes to the next namespace; if it was not told of yet, puts together its record.
///
/// Here and below: a function of its own, without arguments, for then the verifier goes through it once, not once for
/// each way and each round that leads to it. What it works on is in the map.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn namespace_step() -> u64 {
    let Some(state) = output::current() else { return step::END };
    // SAFETY: no caller holds a reference to it.
    let state = unsafe { &mut *state };
    if state.walk.at.node == 0 && !state.walk.turn() {
        return step::END;
    }
    // Of NULL, which many a start is, nothing is read.
    let node = reload(&state.walk.at.node);
    // SAFETY: fields of the namespace at hand, of its owner, and of the one above it.
    unsafe {
        let inode = Probe::u32_or_0(node, state.walk.at.inum);
        if inode == 0 || output::is_told(state, inode) {
            state.walk.at.node = 0;
            return step::NEXT;
        }
        let owner = Probe::u64_or_0(node, state.walk.at.owner);
        state.walk.record.owner = Probe::u32_or_0(owner, offset!(user_inum));
        // The owners of those above are above this one's owner: one way upwards leads past all of them.
        if state.walk.owner == 0 {
            state.walk.owner = owner;
        }
        let above = Probe::u64_or_0(node & state.walk.at.nests, state.walk.at.parent);
        state.walk.at.node = above;
        state.walk.record.parent = Probe::u32_or_0(above, state.walk.at.inum);
        state.walk.record.id = 0;
        if offset!(ns_common_ns_id) != MISSING {
            let common = state.walk.at.inum.wrapping_sub(offset!(ns_common_inum));
            state.walk.record.id = Probe::u64_or_0(node, common + offset!(ns_common_ns_id));
        }
        state.walk.record.header = Header::new(kind::NAMESPACE, LENGTH);
        state.walk.record.kind = state.walk.at.kind;
        state.walk.record.inode = inode;
        output::set_told(state, inode);
    }
    // If it does not fit the call does not count, and neither does this.
    state.pending_namespaces += 1;
    step::WRITE
}

/// Whether there is nothing new (not 0): by inode, for that is at hand.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn namespaces_all_told() -> u64 {
    let Some(state) = output::current() else { return 1 };
    // SAFETY: no caller holds a reference that writes.
    let state = unsafe { &*state };
    let inodes = (&raw const state.task.namespaces).cast::<u32>();
    for index in 0..STARTS {
        // SAFETY: `Inodes` is ten numbers.
        let inode = reload(unsafe { &*inodes.add(index) });
        if inode != 0 && !output::is_told(state, inode) {
            return 0;
        }
    }
    1
}
