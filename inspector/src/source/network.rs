//! Addresses and listening sockets of containers' network namespaces, without entering one: `/proc/PID/net` shows those
//! of the process, and `/proc/PID/fd` whose a socket is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use procfs::net::{TcpState, UdpState};
use procfs::process::Process;

use super::Context;
use super::behaviour::{Directory, is_gone};
use crate::observation::{Gap, Kind, NetworkFact, Observation, Socket};

/// Limits, so that no node keeps the answer waiting.
const MAX_NAMESPACES: usize = 512;
const MAX_PROCESSES: usize = 4096;
const MAX_DESCRIPTORS: usize = 4096;
const MAX_SOCKETS: usize = 1024;

/// A socket before it is known whose it is.
type Bound = (&'static str, IpAddr, u16, u64);

/// Reads those of every network namespace that somebody is in, the node's own left out.
#[must_use]
pub fn read(context: &Context, observation: &Observation) -> (Vec<NetworkFact>, Vec<Gap>) {
    let of: HashMap<u32, u32> = observation
        .tasks
        .iter()
        .filter(|task| task.is_leader() && !task.is_dead())
        .filter_map(|task| Some((task.pid, task.namespaces.get(Kind::Net)?)))
        .filter(|(_, inode)| observation.host.is_host(Kind::Net, *inode) == Some(false))
        .collect();
    // Those of containers first: of a host with very many not all are read.
    let inits = observation.containers.iter().map(|container| container.pid);
    let of_containers: BTreeSet<u32> = inits.filter_map(|pid| of.get(&pid).copied()).collect();
    let mut members: BTreeMap<(bool, u32), Vec<u32>> = BTreeMap::new();
    for (pid, inode) in &of {
        members.entry((!of_containers.contains(inode), *inode)).or_default().push(*pid);
    }
    let (mut facts, mut gaps) = (Vec::new(), Vec::new());
    if members.len() > MAX_NAMESPACES {
        gaps.push(Gap::detail(
            format!("addresses and ports in {} network namespaces", members.len() - MAX_NAMESPACES),
            format!("only {MAX_NAMESPACES} are read, those of containers first"),
        ));
    }
    let mut budget = MAX_PROCESSES;
    for ((_, inode), mut pids) in members.into_iter().take(MAX_NAMESPACES) {
        if Instant::now() >= context.deadline {
            gaps.push(Gap::detail(
                "addresses and ports",
                "the time was up; a longer --timeout gives them theirs",
            ));
            break;
        }
        pids.sort_unstable();
        match network(context, inode, &pids, &mut budget) {
            Ok((fact, missing)) => {
                facts.push(fact);
                gaps.extend(missing.map(|why| {
                    Gap::detail(format!("who listens in net namespace {inode}, or some of it"), why)
                }));
            }
            Err(why) => gaps.push(Gap::detail(format!("addresses and ports in net namespace {inode}"), why)),
        }
    }
    (facts, gaps)
}

/// What one has, and what is missing from that.
fn network(
    context: &Context,
    inode: u32,
    pids: &[u32],
    budget: &mut usize,
) -> Result<(NetworkFact, Option<String>), String> {
    let mut failed = "nobody in it is left".to_owned();
    for pid in pids {
        let path = context.host("/proc").join(pid.to_string());
        match sockets(&path).and_then(|sockets| Ok((sockets, addresses(&path)?))) {
            // Still there: what was read is of that namespace.
            Ok((mut sockets, addresses)) if is_in(&path, inode) => {
                let more = sockets.len().saturating_sub(MAX_SOCKETS);
                sockets.truncate(MAX_SOCKETS);
                let (owners, unread) = owners(context, pids, &sockets, budget);
                let missing = match (more, unread) {
                    (0, 0) => None,
                    (0, unread) => {
                        Some(format!("the descriptors of {unread} of its processes were not read"))
                    }
                    (more, _) => Some(format!("{more} sockets beyond {MAX_SOCKETS} are left out")),
                };
                return Ok((
                    NetworkFact { inode, addresses, listeners: listeners(sockets, &owners) },
                    missing,
                ));
            }
            Ok(_) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn is_in(path: &Path, inode: u32) -> bool {
    let link = std::fs::read_link(path.join("ns/net"));
    link.is_ok_and(|link| link.to_str() == Some(&format!("net:[{inode}]")))
}

fn sockets(path: &Path) -> Result<Vec<Bound>, String> {
    let failed = |error: procfs::ProcError| format!("{} cannot be read: {error}", path.join("net").display());
    let process = Process::new_with_root(path.to_owned()).map_err(failed)?;
    let mut found: Vec<Bound> = Vec::new();
    // A kernel without IPv6 has no table of it, and there is nothing that could be in there.
    let v6 = path.join("net/if_inet6").exists();
    let none = || Ok(Vec::new());
    for entries in [process.tcp(), if v6 { process.tcp6() } else { none() }] {
        let listening = entries.map_err(failed)?.into_iter().filter(|entry| entry.state == TcpState::Listen);
        found.extend(
            listening.map(|entry| ("tcp", entry.local_address.ip(), entry.local_address.port(), entry.inode)),
        );
    }
    let none = || Ok(Vec::new());
    for entries in [process.udp(), if v6 { process.udp6() } else { none() }] {
        // One that is connected waits for one other only.
        let open = entries.map_err(failed)?.into_iter().filter(|entry| entry.state != UdpState::Established);
        found.extend(
            open.map(|entry| ("udp", entry.local_address.ip(), entry.local_address.port(), entry.inode)),
        );
    }
    Ok(found)
}

/// The namespace's own addresses: of IPv4 what its routing table calls local, of IPv6 what its interfaces have.
fn addresses(path: &Path) -> Result<Vec<String>, String> {
    let read = |name: &str| {
        std::fs::read_to_string(path.join("net").join(name))
            .map_err(|error| format!("{} cannot be read: {error}", path.join("net").join(name).display()))
    };
    let mut found = local_v4(&read("fib_trie")?);
    found.extend(read("if_inet6").map(|text| v6(&text)).unwrap_or_default());
    Ok(found.into_iter().map(|address| address.to_string()).collect())
}

/// Lines such as `|-- 172.17.0.2`, followed by `/32 host LOCAL`.
fn local_v4(text: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last: Option<IpAddr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.filter(|address| !address.is_loopback())
        {
            found.insert(address);
        }
    }
    found
}

/// Lines such as `fd000000000000000000000000000002 02 40 00 80 eth0`: address, interface, prefix, scope, flags, name.
fn v6(text: &str) -> BTreeSet<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let digits = words.next()?;
            let scope = words.nth(2)?;
            let address = IpAddr::V6(u128::from_str_radix(digits, 16).ok()?.into());
            // 0: global; 0x20 is a link's, 0x10 the loopback's.
            (digits.len() == 32 && scope == "00" && !address.is_loopback()).then_some(address)
        })
        .collect()
}

/// The processes that have each socket open; and how many processes could not be asked, those that are gone apart.
fn owners(
    context: &Context,
    pids: &[u32],
    sockets: &[Bound],
    budget: &mut usize,
) -> (HashMap<u64, BTreeSet<u32>>, usize) {
    let wanted: HashSet<u64> = sockets.iter().map(|(.., inode)| *inode).collect();
    let mut owners: HashMap<u64, BTreeSet<u32>> = HashMap::new();
    if wanted.is_empty() {
        return (owners, 0);
    }
    let mut unread = 0;
    for (at, pid) in pids.iter().enumerate() {
        let Some(left) = budget.checked_sub(1) else {
            unread += pids.len() - at;
            break;
        };
        *budget = left;
        let path = context.host("/proc").join(pid.to_string()).join("fd");
        let listed =
            Directory::open(&path).and_then(|folder| Ok((folder.entries(".", MAX_DESCRIPTORS + 1)?, folder)));
        let (names, folder) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                unread += usize::from(!is_gone(error));
                continue;
            }
        };
        unread += usize::from(names.len() > MAX_DESCRIPTORS);
        for name in names.iter().take(MAX_DESCRIPTORS) {
            // Closed meanwhile.
            let Ok(link) = folder.link(name) else { continue };
            let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) =
                inode.and_then(|inode| inode.parse().ok()).filter(|inode| wanted.contains(inode))
            {
                owners.entry(inode).or_default().insert(*pid);
            }
        }
    }
    (owners, unread)
}

fn listeners(sockets: Vec<Bound>, owners: &HashMap<u64, BTreeSet<u32>>) -> Vec<Socket> {
    // One for each place: a server may listen there with several sockets.
    let mut by_place: BTreeMap<(&str, IpAddr, u16), BTreeSet<u32>> = BTreeMap::new();
    for (protocol, address, port, inode) in sockets {
        by_place
            .entry((protocol, address, port))
            .or_default()
            .extend(owners.get(&inode).into_iter().flatten());
    }
    by_place
        .into_iter()
        .map(|((protocol, address, port), pids)| Socket {
            protocol: protocol.to_owned(),
            address: address.to_string(),
            port,
            pids: pids.into_iter().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n\
                    \x20    |-- 172.17.0.2\n        /32 host LOCAL\n     |-- 172.17.255.255\n        /32 link BROADCAST\n";
        let found: Vec<String> = local_v4(trie).into_iter().map(|it| it.to_string()).collect();
        assert_eq!(found, ["172.17.0.2"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe800000000000000042acfffe110002 0a 40 20 80     eth0\n\
                     fd000000000000000000000000000002 0a 40 00 80     eth0\nbroken\n";
        let found: Vec<String> = v6(table).into_iter().map(|it| it.to_string()).collect();
        assert_eq!(found, ["fd00::2"]);
    }

    #[test]
    fn our_own_listener_is_found_with_who_has_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let path = Path::new("/proc/self");
        let found = sockets(path).unwrap();
        assert!(found.iter().any(|it| (it.0, it.2) == ("tcp", port)), "{found:?}");
        let context = Context::new(crate::source::Options::default());
        let pid = std::process::id();
        let (owners, unread) = owners(&context, &[pid], &found, &mut 10);
        assert_eq!(unread, 0);
        let listeners = listeners(found, &owners);
        let ours = listeners.iter().find(|it| it.port == port).unwrap();
        assert_eq!((ours.address.as_str(), ours.pids.contains(&pid)), ("127.0.0.1", true));
    }
}
