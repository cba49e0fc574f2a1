//! CRI-O's pods: mostly without a process of their own, held by pins.

use serde_json::{Value, json};

use crate::crio_layout::{Pod, Wish, flag, pin};
use crate::machine::{Machine, ns};
use crate::support::answer::{containers, expect, list, lists_kind, namespace, strings};

trials![
    pins_own_a_pod_without_a_pause,
    a_shared_pid_namespace_has_a_pause,
    the_hosts_network_is_no_pods,
    a_debug_container_has_its_target,
    pins_outlive_every_container,
    two_pods_stay_two,
    a_killed_pause,
    a_monitor_tells_where_its_pods_are,
];

const HTTPD: [&str; 4] = ["/bin/busybox", "httpd", "-f", "-p"];

fn httpd(port: &'static str) -> Vec<&'static str> {
    [&HTTPD[..], &[port]].concat()
}

/// A namespace of a pod that its pin holds.
fn is_pinned(pod: &Pod<'_>, row: &Value, kind: &str) {
    let name = if kind == "net" { "network" } else { kind };
    let path = &pod.pins.iter().find(|(of, _)| *of == name).unwrap().1;
    let held = namespace(row, kind);
    expect(
        held,
        [
            ("inode", json!(pod.inode(name))),
            ("owner/container", json!(pod.id)),
            ("owner/class", json!("runtime-pinned")),
            ("owner/pid", json!(0)),
            ("owner/alive", json!(true)),
        ],
    );
    let holds = |holder: &Value| holder["type"] == "bind-mount" && holder["path"] == json!(path);
    assert!(list(held, "holders").iter().any(holds), "{path} does not hold {held:#}");
}

fn pins_own_a_pod_without_a_pause() {
    let m = Machine::new();
    let pod = Pod::new(&m, "web", Wish::default());
    let one = pod.run("one", &httpd("8080"));
    let two = pod.run("two", &httpd("8081"));
    // At the same time, so that nothing that they have in common (no pid) makes one of the two.
    let other = Pod::new(&m, "lone", Wish::default());
    let alone = other.run("alone", &httpd("8080"));
    let ours = m.agreed(&flag(&m), &[&one, &two, &alone], &[&m.runc_flag()]);
    assert_eq!(ours.pods.len(), 2, "{:#?}", ours.pods);
    let row = ours.pod_of(&one.id);
    expect(
        row,
        [
            ("id", json!(pod.id)),
            ("name", json!("web")),
            ("namespace", json!("shop")),
            ("origin", json!("kubernetes")),
            ("verdict", json!("runtime-pinned")),
        ],
    );
    assert_eq!(containers(row).len(), 2, "the sandbox is no container");
    for kind in ["ipc", "net", "uts"] {
        is_pinned(&pod, row, kind);
        let mut both = [one.id.as_str(), two.id.as_str()];
        both.sort_unstable();
        assert_eq!(strings(namespace(row, kind), "sharedBy"), both);
    }
    let container = ours.container(&one.id);
    expect(
        container,
        [
            ("name", json!("one")),
            ("runtime", json!("cri-o")),
            ("image", json!("docker.io/library/busybox:1.36")),
            ("declared/net", json!("pod")),
            ("declared/pid", json!("private")),
            ("declared/user", json!("host")),
            ("cgroup", json!(pod.cgroup(&one.id))),
        ],
    );
    let lone = ours.pod_of(&alone.id);
    expect(lone, [("id", json!(other.id)), ("verdict", json!("runtime-pinned"))]);
    is_pinned(&other, lone, "net");
    for rule in ["PNS001", "PNS002", "PNS004", "PNS007", "PNS012"] {
        assert_eq!(ours.findings_of(rule), [], "{rule}");
    }
}

fn a_shared_pid_namespace_has_a_pause() {
    let m = Machine::new();
    let pod = Pod::new(&m, "shared", Wish { shared_pid: true, ..Wish::default() });
    let pause = pod.pause.clone().unwrap();
    let app = pod.run("app", &httpd("8080"));
    let ours = m.agreed(&flag(&m), &[&pause, &app], &[&m.runc_flag()]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("pause-owned"))]);
    expect(ours.container(&pause.id), [("role", json!("infra")), ("name", json!("POD"))]);
    expect(ours.container(&app.id), [("declared/pid", json!("pod")), ("declared/net", json!("pod"))]);
    expect(
        namespace(ours.the_pod(), "pid"),
        [
            ("owner/container", json!(pause.id)),
            ("owner/class", json!("pause")),
            ("owner/pid", json!(pause.pid)),
        ],
    );
    assert_eq!(ours.findings_of("PNS001"), []);
}

fn the_hosts_network_is_no_pods() {
    let m = Machine::new();
    let pod = Pod::new(&m, "node", Wish { host_network: true, ..Wish::default() });
    let app = pod.run("app", &["/bin/busybox", "sleep", "1000"]);
    let ours = m.agreed(&flag(&m), &[&app], &[&m.runc_flag()]);
    let row = ours.pod_of(&app.id);
    assert!(!lists_kind(row, "net"), "{row:#}");
    expect(row, [("id", json!(pod.id)), ("verdict", json!("runtime-pinned"))]);
    is_pinned(&pod, row, "uts");
    assert_eq!(ours.container(&app.id)["declared"]["net"], "host");
}

fn a_debug_container_has_its_target() {
    let m = Machine::new();
    let pod = Pod::new(&m, "debugged", Wish::default());
    let app = pod.run("app", &httpd("8080"));
    let target = pin(&m, "pid", "pid1234567", app.pid);
    let pins = pod.pins.iter().map(|(kind, path)| (*kind, Some(path.clone())));
    let joined: Vec<_> = std::iter::once(("pid", Some(target))).chain(pins).collect();
    let debugger = pod.run_in("debugger", &["/bin/busybox", "sleep", "1000"], &joined);
    let ours = m.agreed(&flag(&m), &[&app, &debugger], &[&m.runc_flag()]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("runtime-pinned"))]);
    expect(ours.container(&debugger.id), [("declared/pid", json!("target")), ("role", json!("ephemeral"))]);
    expect(
        namespace(ours.the_pod(), "pid"),
        [("owner/container", json!(app.id)), ("owner/class", json!("application"))],
    );
    assert_eq!(ours.findings_of("PNS001"), []);
}

fn pins_outlive_every_container() {
    let m = Machine::new();
    let pod = Pod::new(&m, "stopped", Wish::default());
    let app = pod.run("app", &httpd("8080"));
    pod.stop(&app);
    // Its pins hold: it lives, and is listed without --all.
    let ours = m.agreed_on(&flag(&m), &[], &[&pod.id, &app.id], &[&m.runc_flag()]);
    expect(ours.the_pod(), [("id", json!(pod.id)), ("verdict", json!("runtime-pinned"))]);
    is_pinned(&pod, ours.the_pod(), "net");
    expect(
        ours.container(&app.id),
        [
            ("state", json!("exited")),
            ("initPid", json!(0)),
            ("exit/code", json!(137)),
            ("name", json!("app")),
        ],
    );
}

fn two_pods_stay_two() {
    let m = Machine::new();
    let one = Pod::new(&m, "one", Wish::default());
    let other = Pod::new(&m, "other", Wish::default());
    let (a, b) = (one.run("a", &httpd("8080")), other.run("b", &httpd("8080")));
    // Of the other pod, but in the network of the first.
    let mut joined: Vec<_> = other.pins.iter().map(|(kind, path)| (*kind, Some(path.clone()))).collect();
    joined.retain(|(kind, _)| *kind != "network");
    joined.push(("network", one.pins.iter().find(|(kind, _)| *kind == "network").unwrap().1.clone().into()));
    joined.push(("pid", None));
    let intruder = other.run_in("intruder", &["/bin/busybox", "sleep", "1000"], &joined);
    let ours = m.agreed(&flag(&m), &[&a, &b, &intruder], &[&m.runc_flag()]);
    assert_eq!(ours.pods.len(), 2, "{:#?}", ours.pods);
    assert_eq!(ours.pod_of(&a.id)["id"], json!(one.id));
    assert_eq!(ours.pod_of(&b.id)["id"], json!(other.id));
    assert_eq!(ours.pod_of(&intruder.id)["id"], json!(other.id));
    // It belongs to the one pod, and is in a namespace of the other.
    assert_eq!(ours.findings_of("PNS004"), [("net", intruder.id.as_str())], "{:#?}", ours.findings);
    assert_eq!(ours.findings_of("PNS008"), [], "the more specific rule only");
    expect(ours.pod_of(&a.id), [("verdict", json!("runtime-pinned"))]);
    assert_eq!(namespace(ours.pod_of(&a.id), "net")["owner"]["container"], json!(one.id));
}

fn a_killed_pause() {
    let m = Machine::new();
    let pod = Pod::new(&m, "bereft", Wish { shared_pid: true, ..Wish::default() });
    let pause = pod.pause.clone().unwrap();
    // In the network of the pod, but in a PID namespace of its own: it outlives the pause.
    let mut own: Vec<_> = pod.pins.iter().map(|(kind, path)| (*kind, Some(path.clone()))).collect();
    own.push(("pid", None));
    let app = pod.run_in("app", &httpd("8080"), &own);
    // This one does not.
    let doomed = pod.run_in(
        "doomed",
        &["/bin/busybox", "sleep", "1000"],
        &[&own[..3], &[("pid", ns(pause.pid, "pid"))]].concat(),
    );
    pod.stop(&pause);
    crate::support::run::wait_until("the kernel kills it", || crate::support::truth::is_dead(doomed.pid));
    let ours = m.agreed(&flag(&m), &[&app], &[&m.runc_flag(), "--all"]);
    let row = ours.the_pod();
    assert_eq!(row["id"], json!(pod.id));
    expect(ours.container(&pause.id), [("state", json!("exited")), ("role", json!("infra"))]);
    expect(ours.container(&doomed.id), [("state", json!("exited"))]);
}

fn a_monitor_tells_where_its_pods_are() {
    let m = Machine::new();
    let pod = Pod::new(&m, "hidden", Wish { monitored: true, ..Wish::default() });
    let app = pod.run("app", &httpd("8080"));
    // Nobody names CRI-O's storage, which is nowhere near the usual place.
    let ours = m.agreed(&m.runc_flag(), &[&app], &[]);
    expect(
        ours.the_pod(),
        [("id", json!(pod.id)), ("name", json!("hidden")), ("verdict", json!("runtime-pinned"))],
    );
    expect(ours.container(&app.id), [("name", json!("app")), ("runtime", json!("cri-o"))]);
}
