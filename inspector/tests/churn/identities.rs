//! Each namespace is one thing, told once as made and once as gone, though the kernel gives its inode to the next.

use std::collections::BTreeSet;
use std::time::Duration;

use inspector::observation::Kind;

use crate::alone;
use crate::churner::Churner;
use crate::live::{Identity, Live, Telling};

const TIMES: usize = 1000;

/// Of which the kernel gives the inode of a dead one to the next at once.
const RECYCLED: [Kind; 5] = [Kind::Uts, Kind::Mnt, Kind::Ipc, Kind::Pid, Kind::Cgroup];

#[test]
fn every_namespace_has_an_identity_of_its_own() {
    let _alone = alone();
    let live = Live::start(Telling::Usual);
    for kind in Kind::ALL {
        let mut churner = Churner::start(&["cycle", kind.name(), &TIMES.to_string()]);
        churner.go();
        churner.quiet(Duration::from_secs(30));
        let comm = &churner.comm;
        // Only a look finds the last one's end.
        live.until(&format!("{kind}: the ends"), Duration::from_secs(5), |state| {
            assert_eq!(state.engine.lost(), 0, "{kind}: {:?}", state.tally);
            let gone: BTreeSet<Identity> = state.destroyed().into_iter().collect();
            let created = state.created_by(comm, kind);
            let left = created.iter().filter(|it| !gone.contains(it)).count();
            if created.len() >= TIMES && left == 0 {
                Ok(())
            } else {
                Err(format!("{} are told as made, {left} of them not as gone", created.len()))
            }
        });
        live.see(|state| {
            let created = state.created_by(comm, kind);
            let identities: BTreeSet<Identity> = created.iter().copied().collect();
            assert_eq!((created.len(), identities.len()), (TIMES, TIMES), "{kind}: told, and told apart");
            let gone: Vec<Identity> =
                state.destroyed().into_iter().filter(|it| identities.contains(it)).collect();
            assert_eq!(gone.len(), TIMES, "{kind}: each is gone once");
            let inodes: BTreeSet<u32> = created.iter().map(|(_, inode, _)| *inode).collect();
            println!("{kind}: {TIMES} namespaces, {} inodes", inodes.len());
            assert!(
                inodes.len() < TIMES || !RECYCLED.contains(&kind),
                "{kind}: no inode was used twice, so this proves nothing"
            );
        });
    }
}
