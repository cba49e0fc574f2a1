//! What a desktop and its services look like: sandboxes within sandboxes, and nothing that anybody has to act on.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::answer::list;
use crate::support::helper::{Helper, folder};
use crate::support::run::{inspector, wait_until};
use crate::support::truth::{Truth, pids};
use crate::{Member, SLEEP};

#[test]
fn a_desktop_gives_nobody_work() {
    let helper = folder().join("helper").display().to_string();
    let browser = format!(
        "{helper} new user,pid,net busybox sleep 1000 & {helper} new pid {helper} new user,pid busybox sleep 1000 & wait"
    );
    let members = [
        // A browser's broker with a network of its own, its zygote and renderers below.
        Member::new("net", &["sh", "-c", &browser]),
        // A game in bubblewrap or a Flatpak, with children of its own.
        Member::new("user,mnt,pid,ipc,uts,net", &["sh", "-c", "sleep 1000 & sleep 1000 & wait"]),
        // Services: PrivateNetwork, PrivateTmp, PrivateUsers, ProtectHostname with PrivateIPC.
        Member::new("net", &["busybox", "httpd", "-f", "-p", "81"]),
        Member::new("mnt", &SLEEP),
        Member::new("user,mnt", &SLEEP),
        Member::new("uts,ipc,mnt", &SLEEP),
    ];
    // A program with a thread in a network of its own (a VPN's helper).
    let stray = Helper::start(&["stray"]);
    let mine = || {
        let tops: Vec<u32> = members.iter().map(|it| it.truth.pid).collect();
        pids().into_iter().filter(|pid| descends(*pid, &tops)).filter_map(Truth::of).collect::<Vec<_>>()
    };
    // The shell of the browser, three helpers and two sleepers; the shell of the game and its two; four services.
    wait_until("the sandboxes", || mine().len() == 6 + 3 + 4);

    let pids: BTreeSet<u64> =
        mine().iter().map(|it| u64::from(it.pid)).chain([u64::from(stray.pid())]).collect();
    let inodes: BTreeSet<u64> = mine().iter().flat_map(|it| it.namespaces.values().copied()).collect();
    for source in ["--source=bpf", "--source=procfs"] {
        let run = inspector(["audit", "-o", "json", "--fail-on=critical", source]).succeeded();
        let audit: Value = serde_json::from_str(run.text()).unwrap();
        let about_mine = |it: &&Value| {
            let number = |field: &str| it["subject"][field].as_u64();
            let of_pod = it["subject"]["pod"]
                .as_str()
                .and_then(|id| id.strip_prefix("proc:")?.split(':').next()?.parse::<u64>().ok());
            [number("pid"), of_pod].into_iter().flatten().any(|pid| pids.contains(&pid))
                || (it["rule"] == "PNS007" && number("inode").is_some_and(|inode| inodes.contains(&inode)))
        };
        let said: Vec<&Value> = list(&audit, "findings").iter().filter(about_mine).collect();
        let worse: Vec<&&Value> = said.iter().filter(|it| it["severity"] != "info").collect();
        assert!(worse.is_empty(), "{source}: {worse:#?}");

        let run = inspector(["pods", "--all", "-o", "json", source]).succeeded();
        let answer: Value = serde_json::from_str(run.text()).unwrap();
        for member in &members {
            let of = |it: &&Value| list(it, "containers").iter().any(|it| it["id"] == member.id());
            let pod = list(&answer, "pods").iter().find(of);
            // Own mounts or users alone make no pod.
            let makes_pod = ["net", "ipc", "pid", "uts"].iter().any(|kind| {
                member.truth.namespaces[*kind] != Truth::of(std::process::id()).unwrap().namespaces[*kind]
            });
            assert_eq!(pod.is_some(), makes_pod, "{source}: {}", member.id());
            if let Some(pod) = pod {
                assert_eq!(pod["origin"], "unmanaged", "{pod:#}");
            }
        }
    }
}

/// Whether a process is one of these or descends from one.
fn descends(pid: u32, tops: &[u32]) -> bool {
    let parent = |pid: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    std::iter::successors(Some(pid), |pid| parent(*pid))
        .take_while(|pid| *pid > 1)
        .any(|pid| tops.contains(&pid))
}
