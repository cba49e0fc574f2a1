//! Which of the tests run in the guest: few, because everything takes some twenty times as long there.

use anyhow::{Context as _, Result};

/// Some tests of one of inspector's test binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// How it is called on the command line and in the log.
    pub name: String,
    /// The test binary, as cargo names it.
    pub binary: &'static str,
    /// Only the tests whose names hold this.
    pub filter: String,
}

/// Name, test binary, filter.
const SUITES: [(&str, &str, &str); 9] = [
    // What only such a node has: systemd as a readable PID 1, its units, fentry.
    ("systemd", "node", "systemd::"),
    // The runtimes as the distribution sets them up, with systemd's cgroups on v2: Docker with its daemon and after it, …
    ("docker", "node", "docker::"),
    // … Podman 5 with crun, its state in SQLite, …
    ("podman", "node", "podman::"),
    // … and pods of containerd's, made as a kubelet with systemd's cgroup driver makes them.
    ("cri", "cri", "pauses"),
    // The article's own experiments, in a Docker of the tests' own.
    ("experiments", "docker", "nginx"),
    // What the kernel tells, by fentry, too: setns, unshare and every flag of clone3; …
    ("events", "bpf_events", "namespaces::"),
    // … and what is made of it.
    ("live", "docker", "live::who_enters"),
    // Plain namespaces: PID 1 can be read here.
    ("plain", "plain", "plain_group"),
    // Every field of every task by both programs against /proc, on v2.
    ("tasks", "bpf_tasks", "every_field_is_what_proc_says"),
];

/// The suites by their names, each with another filter if `NAME=FILTER` says so; all if none is named.
pub fn choose(names: &[String]) -> Result<Vec<Suite>> {
    let suite = |(name, binary, filter): (&str, &'static str, &str)| Suite {
        name: name.to_owned(),
        binary,
        filter: filter.to_owned(),
    };
    if names.is_empty() {
        return Ok(SUITES.into_iter().map(suite).collect());
    }
    let one = |wanted: &String| {
        let (name, filter) = wanted.split_once('=').map_or((wanted.as_str(), None), |(n, f)| (n, Some(f)));
        let known = || SUITES.map(|(name, _, _)| name).join(", ");
        let (name, binary, usual) = SUITES
            .into_iter()
            .find(|(known, _, _)| *known == name)
            .with_context(|| format!("no suite {name} here, only {}", known()))?;
        Ok(suite((name, binary, filter.unwrap_or(usual))))
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name() {
        assert_eq!(choose(&[]).unwrap().len(), SUITES.len());
        let chosen = choose(&["experiments=pause_owns".to_owned()]).unwrap();
        assert_eq!((chosen.len(), chosen[0].binary, chosen[0].filter.as_str()), (1, "docker", "pause_owns"));
        assert!(choose(&["nonsense".to_owned()]).unwrap_err().to_string().contains("docker"));
    }
}
