//! A healthy node: thirty pods as a kubelet makes them, of which nothing is said but what is true.

use serde_json::{Value, json};

use crate::support::answer::list;
use crate::support::cri::{CONTAINER, Container, NODE, POD, Pod, Wish, World};
use crate::support::run::inspector;

trials![thirty_pods_of_a_healthy_node];

const IDLE: [&str; 3] = ["sh", "-c", "while true; do sleep 3600; done"];
const SERVER: [&str; 4] = ["httpd", "-f", "-h", "/usr/share/nginx/html"];
const PODS: usize = 30;

fn thirty_pods_of_a_healthy_node(world: &'static World) {
    // One in six each: the node's network, the node's processes, a PID namespace for all; the others are ordinary.
    let pods: Vec<(Pod, Vec<Container>)> = (0..PODS)
        .map(|number| {
            let wish = Wish { namespace: "healthy".to_owned(), ..Wish::named(&format!("healthy-{number}")) };
            let wish = match number % 6 {
                0 => Wish { network: NODE, ..wish },
                1 => Wish { pid: NODE, ..wish },
                2 => Wish { pid: POD, ..wish },
                _ => Wish { pid: CONTAINER, ..wish },
            };
            let pod = Pod::run(world, wish);
            // On the node's network a second server would find its port taken.
            let command: &[&str] = if pod.wish.network == NODE { &IDLE } else { &SERVER };
            let mut containers = vec![pod.start("web", "busybox", command)];
            if number % 2 == 0 {
                containers.push(pod.start("side", "busybox", &IDLE));
            }
            (pod, containers)
        })
        .collect();

    let run =
        inspector(["audit", "-o", "json", "-n", "healthy", "--fail-on", "critical", &world.with_socket()]);
    let audit: Value = serde_json::from_str(run.succeeded().text()).unwrap();
    let mut said: Vec<(&str, &str, &str)> = list(&audit, "findings")
        .iter()
        .map(|it| {
            let text = |value: &'static str| it.pointer(value).and_then(Value::as_str).unwrap_or_default();
            (text("/rule"), text("/subject/container"), text("/subject/namespaceKind"))
        })
        .collect();
    said.sort_unstable();

    let mut wanted: Vec<(&str, &str, &str)> = Vec::new();
    for (pod, containers) in &pods {
        let kind = match (pod.wish.network, pod.wish.pid) {
            (NODE, _) => "net",
            (_, NODE) => "pid",
            (_, POD) => {
                // Root in one can read the other's memory: true of every pod with shareProcessNamespace.
                if containers.len() > 1 {
                    wanted.push(("PNS009", "", "pid"));
                }
                continue;
            }
            _ => continue,
        };
        wanted.extend(containers.iter().map(|it| ("PNS005", it.id.as_str(), kind)));
        // The pause of a pod with the node's processes is in there as well, and is no container of the user's.
    }
    wanted.sort_unstable();
    assert_eq!(said, wanted, "{:#}", audit["findings"]);
    assert_eq!(audit["coverage"]["partial"], json!(false), "{:#}", audit["coverage"]);

    // Each of them is a pod of its own, and its pause's.
    let run = inspector(["pods", "-o", "json", "-n", "healthy", &world.with_socket()]).succeeded();
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let listed = list(&answer, "pods");
    assert_eq!(listed.len(), PODS);
    for (pod, containers) in &pods {
        let row = listed.iter().find(|it| it["id"] == pod.id.as_str()).unwrap();
        assert_eq!(row["verdict"], "pause-owned", "{row:#}");
        assert_eq!(list(row, "containers").len(), containers.len() + 1);
    }
}
