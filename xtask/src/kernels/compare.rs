//! Whether a guest's answers are right: eBPF worked, and says what /proc says.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::guest::Answer;

/// Kernel threads come and go between two readings.
const TASKS_APART: u64 = 8;

/// Judges the answers; a few words on what was seen.
pub fn compare(answers: &BTreeMap<String, Answer>) -> Result<String> {
    let answer = |name: &str| answers.get(name).with_context(|| format!("no answer {name}"));
    let doctor = answer("doctor")?;
    ensure!(
        doctor.code == 0,
        "`inspector doctor` ended with {}: {}{}",
        doctor.code,
        doctor.stdout,
        doctor.stderr
    );
    let (bpf, procfs) = (pod_list("bpf", answer("bpf")?)?, pod_list("procfs", answer("procfs")?)?);
    let (by_bpf, by_procfs) = (tasks(&bpf)?, tasks(&procfs)?);
    ensure!(
        by_bpf.abs_diff(by_procfs) <= TASKS_APART,
        "eBPF iterated over {by_bpf} tasks, /proc shows {by_procfs}"
    );
    let (found, expected) = (pods(&bpf)?, pods(&procfs)?);
    ensure!(!expected.is_empty(), "/proc shows no group of processes in namespaces of their own");
    ensure!(found == expected, "the pods by eBPF differ from those by /proc");
    Ok(format!(
        "Linux {}, {by_bpf} tasks, {} pod(s) as /proc shows them",
        answer("kernel")?.stdout,
        found.len()
    ))
}

fn pod_list(source: &str, answer: &Answer) -> Result<Value> {
    ensure!(answer.code == 0, "`pods --source {source}` ended with {}: {}", answer.code, answer.stderr);
    let list: Value = serde_json::from_str(&answer.stdout)
        .with_context(|| format!("`pods --source {source}` gave no JSON: {}", answer.stderr))?;
    let used = &list["coverage"]["source"];
    ensure!(used == source, "`pods --source {source}` answered from {used}: {}", list["coverage"]["gaps"]);
    Ok(list)
}

fn tasks(list: &Value) -> Result<u64> {
    let tasks = list["coverage"]["tasks"].as_u64().context("coverage.tasks is no number")?;
    ensure!(tasks > 0, "no task was seen");
    Ok(tasks)
}

/// The pods, whole: the two sources must agree on everything that is said of them.
fn pods(list: &Value) -> Result<&Vec<Value>> {
    list["pods"].as_array().context("pods is no list")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(source: &str, tasks: u64, net: u64) -> Answer {
        let pods = json!([{ "verdict": "isolated", "origin": "unmanaged",
            "containers": [{ "id": "proc:70:1", "initPid": 70, "namespaces": { "net": net } }] }]);
        let list = json!({ "coverage": { "source": source, "tasks": tasks, "gaps": [] }, "pods": pods });
        Answer { stdout: list.to_string(), stderr: String::new(), code: 0 }
    }

    fn answers(bpf: Answer, procfs: Answer) -> BTreeMap<String, Answer> {
        let plain = |text: &str| Answer { stdout: text.to_owned(), stderr: String::new(), code: 0 };
        [("kernel", plain("5.10.0")), ("doctor", plain("")), ("bpf", bpf), ("procfs", procfs)]
            .into_iter()
            .map(|(name, answer)| (name.to_owned(), answer))
            .collect()
    }

    #[test]
    fn the_same_is_right_and_a_difference_is_not() {
        let right = answers(answer("bpf", 70, 1), answer("procfs", 72, 1));
        assert!(compare(&right).unwrap().contains("70 tasks, 1 pod(s)"));
        for (bpf, procfs, says) in [
            (answer("procfs", 70, 1), answer("procfs", 70, 1), "answered from \"procfs\""),
            (answer("bpf", 0, 1), answer("procfs", 70, 1), "no task"),
            (answer("bpf", 50, 1), answer("procfs", 70, 1), "50 tasks"),
            (answer("bpf", 70, 1), answer("procfs", 70, 2), "the pods by eBPF differ"),
            (Answer { code: 3, ..answer("bpf", 70, 1) }, answer("procfs", 70, 1), "ended with 3"),
            (Answer { stdout: "oops".into(), ..answer("bpf", 70, 1) }, answer("procfs", 70, 1), "no JSON"),
        ] {
            let error = format!("{:#}", compare(&answers(bpf, procfs)).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
