//! PNS009: who can read whom, by the kernel's rule.

use super::*;
use crate::observation::{Credentials, ProcessKey};

/// Three containers in one PID namespace: the first owns it.
fn three_in_one_pid_namespace() -> World {
    let mut world = World::new();
    for (name, pid) in [("web", 100), ("tool", 200), ("root", 300)] {
        world.docker(name, pid);
    }
    for name in ["tool", "root"] {
        world.join(name, "web", &[Kind::Pid]);
    }
    world.pauses(100);
    world
}

fn credentials(world: &mut World, pid: u32, uid: u32, effective: u64) -> &mut Credentials {
    let start = world.task(pid).start_boottime_ns;
    world.seen.credentials.push(Credentials {
        process: ProcessKey { pid, start_ticks: start / 10_000_000 },
        uids: [uid; 4],
        gids: [uid; 4],
        effective,
        permitted: effective,
        dumpable: Some(true),
    });
    world.seen.credentials.last_mut().unwrap()
}

#[test]
fn who_can_read_whom_by_the_kernels_rule() {
    const PTRACE: u64 = 1 << 19;
    let mut world = three_in_one_pid_namespace();
    assert_eq!(unsure(&judge(&mut world), "PNS009"), 1, "nothing was read");

    credentials(&mut world, 100, 0, 0);
    credentials(&mut world, 200, 1000, 0);
    credentials(&mut world, 300, 1001, 0);
    let judgement = judge(&mut world);
    assert_eq!((of(&judgement, "PNS009").len(), unsure(&judgement, "PNS009")), (0, 0), "all different");

    // The same uid and gid.
    world.seen.credentials.pop();
    credentials(&mut world, 300, 1000, 0);
    let judgement = judge(&mut world);
    let finding = only(&judgement, "PNS009");
    assert_eq!(finding.message, "in one PID namespace, tool can read root; root can read tool");
    assert_eq!((finding.subject.container.clone(), finding.subject.namespace_kind), (None, Some(Kind::Pid)));
    // Who has less may not read who has more; who may not be dumped is read by nobody of its uid.
    world.seen.credentials[2].permitted = 1;
    world.seen.credentials[2].effective = 1;
    assert_eq!(only(&judge(&mut world), "PNS009").message, "in one PID namespace, root can read tool");
    world.seen.credentials[1].dumpable = Some(false);
    assert_eq!(of(&judge(&mut world), "PNS009").len(), 0);

    // CAP_SYS_PTRACE reads all, but not infra's, where there is nothing to read.
    world.seen.credentials[2].effective = PTRACE;
    assert_eq!(only(&judge(&mut world), "PNS009").message, "in one PID namespace, root can read tool");
    // It counts in its own user namespace and below.
    world.task(100).namespaces.set(Kind::User, 7000);
    world.task(200).namespaces.set(Kind::User, 7000);
    assert_eq!(of(&judge(&mut world), "PNS009").len(), 0, "nobody says what is above 7000");
    world.seen.namespaces.push(NamespaceFact {
        kind: Kind::User,
        inode: 7000,
        owner: None,
        parent: Some(crate::state::tests::world::host(Kind::User)),
        id: None,
    });
    assert_eq!(of(&judge(&mut world), "PNS009").len(), 1);
}
