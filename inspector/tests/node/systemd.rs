//! systemd as PID 1, and the units that it puts into namespaces of their own.

use serde_json::{Value, json};

use crate::sh;
use crate::support::answer::{containers, expect, list};
use crate::support::check::pods;
use crate::support::run::{inspector, wait_until};
use crate::support::truth;

trials![
    the_doctor_finds_a_whole_node,
    a_private_network_is_a_quiet_group,
    a_node_of_sandboxed_units_is_quiet,
];

fn the_doctor_finds_a_whole_node() {
    let report: Value = serde_json::from_str(inspector(["doctor", "-o", "json"]).succeeded().text()).unwrap();
    let wrong: Vec<_> = list(&report, "checks")
        .iter()
        // A socket that nobody listens at is no flaw of the node.
        .filter(|check| check["status"] == "missing" && !check["name"].as_str().unwrap().contains("socket"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let text = report.to_string();
    assert!(!text.contains("refused"), "a program is refused: {report:#}");
    // PID 1 can be read, as on the building machine it cannot: nothing at all is unreadable.
    assert!(truth::namespace(1, "net").is_some());
    let answer = pods(&["--source=procfs"]);
    expect(&answer.json, [("coverage/unreadable", json!(0))]);
}

fn a_private_network_is_a_quiet_group() {
    let unit = "private-network-test";
    sh(&[
        "systemd-run",
        "--unit",
        unit,
        "--property=PrivateNetwork=yes",
        "--property=PrivateIPC=yes",
        "sleep",
        "1000",
    ]);
    wait_until("the unit", || sh(&["systemctl", "show", "--property=MainPID", "--value", unit]) != "0");
    let pid: u32 = sh(&["systemctl", "show", "--property=MainPID", "--value", unit]).parse().unwrap();
    wait_until("its program", || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n");
    let truth = truth::Truth::of(pid).unwrap();
    for source in ["--source=bpf", "--source=procfs"] {
        // One process alone in its namespaces: counted, not shown, and no finding. It shares the others with the host.
        let quiet = pods(&[source]).ours(&[&truth.id()]);
        assert!(quiet.pods.is_empty() && quiet.findings.is_empty(), "{quiet:#?}");
        let all = pods(&[source, "--all"]).ours(&[&truth.id()]);
        let pod = all.the_pod();
        expect(pod, [("origin", json!("unmanaged")), ("verdict", json!("host"))]);
        assert_eq!(containers(pod).len(), 1);
        expect(
            all.container(&truth.id()),
            [
                ("initPid", json!(pid)),
                ("namespaces", json!(truth.namespaces)),
                ("cgroup", json!(format!("/system.slice/{unit}.service"))),
            ],
        );
        assert!(all.findings.is_empty(), "{:#?}", all.findings);
    }
    sh(&["systemctl", "stop", unit]);
}

/// A node as distributions set it up, with units in every sandbox that systemd has: nobody has to act on any of it.
fn a_node_of_sandboxed_units_is_quiet() {
    let units: [(&str, &[&str], &str); 5] = [
        ("quiet-tmp", &["PrivateTmp=yes", "ProtectSystem=strict"], "sleep 1000"),
        ("quiet-users", &["PrivateUsers=yes"], "sleep 1000"),
        ("quiet-hostname", &["ProtectHostname=yes", "PrivateIPC=yes"], "sleep 1000"),
        ("quiet-network", &["PrivateNetwork=yes"], "sleep 1000 & sleep 1000 & wait"),
        (
            "quiet-all",
            &["PrivateNetwork=yes", "PrivateUsers=yes", "PrivateTmp=yes", "PrivateDevices=yes"],
            "sleep 1000 & wait",
        ),
    ];
    for (unit, properties, script) in units {
        let properties: Vec<String> = properties.iter().map(|it| format!("--property={it}")).collect();
        let mut command = vec!["systemd-run", "--unit", unit];
        command.extend(properties.iter().map(String::as_str));
        command.extend(["sh", "-c", script]);
        sh(&command);
    }
    for (unit, ..) in units {
        wait_until(unit, || sh(&["systemctl", "show", "--property=MainPID", "--value", unit]) != "0");
    }
    for source in ["--source=bpf", "--source=procfs"] {
        let run = inspector(["audit", "-o", "json", "--fail-on=critical", source]).succeeded();
        let audit: Value = serde_json::from_str(run.text()).unwrap();
        let worse: Vec<&Value> =
            list(&audit, "findings").iter().filter(|it| it["severity"] != "info").collect();
        assert!(worse.is_empty(), "{source}: {worse:#?}");
        assert_eq!(audit["coverage"]["partial"], false, "{:#}", audit["coverage"]);
    }
    for (unit, ..) in units {
        sh(&["systemctl", "stop", unit]);
    }
}
