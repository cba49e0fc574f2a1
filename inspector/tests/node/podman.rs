//! Podman 5 as the distribution sets it up: crun, systemd's cgroups, v2, its state in SQLite.

use serde_json::{Value, json};

use crate::sh;
use crate::support::answer::{Answer, Ours, expect, list, lists_kind, namespace};
use crate::support::check::pods;
use crate::support::{images, run, truth};

trials![pods_by_what_they_share];

/// A pod: how it is made, and what the answer has to be.
struct Case {
    name: &'static str,
    share: &'static [&'static str],
    verdict: &'static str,
    /// The kinds that both containers are in together, all made for the infra container.
    shared: &'static [&'static str],
    /// The rules that fire for it.
    rules: &'static [&'static str],
}

/// By the contract.
const CASES: [Case; 3] = [
    Case { name: "usual", share: &[], verdict: "pause-owned", shared: &["net", "ipc", "uts"], rules: &[] },
    Case {
        name: "with-pid",
        share: &["--share=net,ipc,uts,pid"],
        verdict: "pause-owned",
        shared: &["net", "ipc", "uts", "pid"],
        // Both are root.
        rules: &["PNS009"],
    },
    Case { name: "nothing", share: &["--share="], verdict: "isolated", shared: &[], rules: &[] },
];

fn pods_by_what_they_share() {
    let folder = tempfile::tempdir().unwrap();
    images::import(folder.path(), |arguments| {
        let run = run::run(std::process::Command::new("podman").args(arguments));
        if run.code == Some(0) { Ok(()) } else { Err(run.stderr) }
    })
    .unwrap();
    for case in &CASES {
        one(case);
    }
}

fn one(case: &Case) {
    let pod = sh(&[&["podman", "pod", "create", "--name", case.name][..], case.share].concat());
    let start = |role: &str| {
        let name = format!("{}-{role}", case.name);
        let command = ["busybox", "sh", "-c", "while true; do sleep 3600; done"];
        sh(&[
            &["podman", "run", "--detach", "--pull=never", "--pod", case.name, "--name", &name][..],
            &command,
        ]
        .concat())
    };
    let (one, other) = (start("one"), start("other"));
    let ids = [one.as_str(), other.as_str()];
    let ours = agreed(&ids);
    let found = ours.the_pod();
    expect(
        found,
        [
            ("id", json!(pod)),
            ("name", json!(case.name)),
            ("origin", json!("podman")),
            ("verdict", json!(case.verdict)),
        ],
    );
    for kind in ["net", "ipc", "uts", "pid"] {
        if case.shared.contains(&kind) {
            expect(
                namespace(found, kind),
                [("owner/class", json!("pause")), ("owner/classEvidence", json!("marked"))],
            );
        } else if kind != "pid" {
            assert!(!lists_kind(found, kind), "{kind} of {}: {found:#}", case.name);
        }
    }
    for id in ids {
        let row = ours.container(id);
        let truth = truth::Truth::of(row["initPid"].as_u64().unwrap().try_into().unwrap()).unwrap();
        let wanted = [
            ("identity", json!("confirmed")),
            ("namespaces", json!(truth.namespaces)),
            ("role", json!("app")),
        ];
        expect(row, wanted);
    }
    let rules: Vec<&Value> = ours.findings.iter().map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, case.rules, "{}: {:#?}", case.name, ours.findings);
    sh(&["podman", "pod", "rm", "--force", "--time=0", case.name]);
}

/// The iterator and /proc say the same; so do Podman's files, without anyone who listens, and its API.
fn agreed(ids: &[&str]) -> Ours {
    let bpf = pods(&["--source=bpf"]);
    told_by(&bpf, "/var/lib/containers/storage/db.sql");
    let bpf = bpf.ours(ids);
    assert_eq!(bpf, pods(&["--source=procfs"]).ours(ids), "the iterator (left) and /proc (right) differ");
    // systemd listens, and starts Podman when the first question comes.
    sh(&["systemctl", "start", "podman.socket"]);
    let api = pods(&["--source=procfs", "--timeout=1m"]);
    told_by(&api, "/run/podman/podman.sock");
    assert_eq!(
        bpf.without_words(),
        api.ours(ids).without_words(),
        "the files (left) and the API (right) differ"
    );
    sh(&["systemctl", "stop", "podman.socket", "podman.service"]);
    // systemd leaves the file behind, which is another case: somebody is expected there.
    sh(&["rm", "/run/podman/podman.sock"]);
    bpf
}

/// What is known of Podman is known from there, and from there only.
fn told_by(answer: &Answer, endpoint: &str) {
    let reports = list(&answer.json["coverage"], "runtimes").iter();
    let podman: Vec<_> = reports.filter(|report| report["runtime"] == "podman").collect();
    let [report] = podman.as_slice() else { panic!("{podman:#?}") };
    expect(report, [("endpoint", json!(endpoint)), ("status", json!("ok"))]);
}
