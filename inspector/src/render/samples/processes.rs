//! Processes of the sample pods.

use super::*;
use crate::view::{ContainerName, HiddenPods, PidNamespace, PodName, Process, ProcessList};

/// The init of a container, or what it forked.
pub fn process(container: &Container, pod: &Pod, pid_namespace: u32, pod_pid: u32) -> Process {
    Process {
        pid: container.init_pid + pod_pid - 1,
        pod_pid: Some(pod_pid),
        parent: 31_000,
        container: Some(container.id.clone()),
        container_name: Some(container.name.clone()),
        pod: Some(pod_name(pod)),
        pid_namespace,
        comm: container.name.clone(),
        state: Some("S".to_owned()),
        uid: Some(0),
        started_at: container.started_at.clone(),
        threads: Some(1),
    }
}

fn pod_name(pod: &Pod) -> PodName {
    PodName { name: pod.name.clone(), namespace: pod.namespace.clone(), id: pod.id.clone() }
}

/// The PID namespaces of these pods' first containers, and these processes.
fn processes_of(list: PodList, pods: &[&Pod], processes: Vec<Process>) -> ProcessList {
    let namespace = |pod: &&Pod| PidNamespace {
        inode: pod.containers[0].namespaces[&Kind::Pid],
        host: false,
        pods: vec![pod_name(pod)],
        containers: pod
            .containers
            .iter()
            .map(|it| ContainerName { id: it.id.clone(), name: it.name.clone(), role: it.role })
            .collect(),
    };
    ProcessList {
        api_version: API_VERSION,
        kind: "ProcessList",
        node: list.node,
        coverage: list.coverage,
        pid_namespaces: pods.iter().map(namespace).collect(),
        processes,
        hidden: HiddenPods { private: 3, host: 1 },
    }
}

/// The processes of the article's two pods: workers, a shell with its sleep, a zombie, one who entered.
pub fn article_processes() -> ProcessList {
    let list = article();
    let (owned, paused) = (list.pods[0].clone(), list.pods[1].clone());
    let mut processes = Vec::new();
    for (pod, [server, shell, after]) in [(&owned, [1, 31, 45]), (&paused, [8, 38, 52])] {
        let inode = pod.containers[0].namespaces[&Kind::Pid];
        let mut of_pod = |index: usize, pod_pid: u32, parent: u32, comm: &str, uid: u32| {
            let mut process = process(&pod.containers[index], pod, inode, pod_pid);
            (process.parent, process.comm, process.uid) = (parent, comm.to_owned(), Some(uid));
            process.pid = pod.containers[0].init_pid + pod_pid - 1;
            processes.push(process);
            processes.last().unwrap().pid
        };
        let last = pod.containers.len() - 1;
        if last == 2 {
            of_pod(0, 1, 30_950, "pause", 0);
        }
        let nginx = of_pod(last - 1, server, 30_990, "nginx", 0);
        for worker in [1, 2] {
            of_pod(last - 1, server + 27 + worker, nginx, "nginx", 101);
        }
        let sh = of_pod(last, shell, 31_010, "sh", 0);
        of_pod(last, shell + 7, sh, "sleep", 0);
        let zombie = of_pod(last, after, sh, "wget", 65_534);
        let zombie = processes.iter_mut().find(|process| process.pid == zombie).unwrap();
        zombie.state = Some("Z".to_owned());
    }
    let mut stranger = processes[0].clone();
    stranger.pid = 31_400;
    (stranger.pod_pid, stranger.parent, stranger.comm) = (Some(61), 31_399, "bash".to_owned());
    (stranger.container, stranger.container_name, stranger.pod) = (None, None, None);
    processes.insert(6, stranger);
    processes_of(list, &[&owned, &paused], processes)
}

/// Every string that a process or a runtime can choose is hostile; deep, wide, and in a ring; some in the node's own.
pub fn hostile_processes() -> ProcessList {
    let list = hostile();
    let pod = list.pods[0].clone();
    let inode = pod.containers[0].namespaces[&Kind::Pid];
    let mut processes: Vec<Process> = pod
        .containers
        .iter()
        .zip(1..)
        .map(|(container, pod_pid)| Process {
            pid: 31_000 + pod_pid,
            parent: 31_000 + pod_pid - 1,
            comm: HOSTILE[pod_pid as usize % HOSTILE.len()].to_owned(),
            ..process(container, &pod, inode, pod_pid)
        })
        .collect();
    processes[3].pod_pid = None;
    processes[4].uid = None;
    processes[5].state = None;
    processes[6].started_at = None;
    for (at, parent) in [(8, 31_010), (9, 31_009)] {
        processes[at].parent = parent;
    }
    processes[10].parent = 0;
    processes[11].pid = u32::MAX;
    processes[12].state = Some("\x1b".to_owned());
    let mut host = processes[13].clone();
    (host.pid, host.pid_namespace, host.pod_pid) = (77, 4_026_531_836, Some(77));
    processes.push(host);
    let mut list = processes_of(list, &[&pod], processes);
    let mut own = list.pid_namespaces[0].clone();
    (own.inode, own.host) = (4_026_531_836, true);
    list.pid_namespaces.push(own);
    list
}

/// No processes at all.
pub fn no_processes() -> ProcessList {
    processes_of(article(), &[], vec![])
}
