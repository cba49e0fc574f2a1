//! Whether a guest's answers are right: eBPF worked, and says what /proc says.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::guest::{Answer, Answers};

/// Kernel threads come and go between two readings.
const TASKS_APART: u64 = 8;

/// Judges the answers of a kernel as it comes; a few words on what was seen.
pub fn plain(answers: &Answers) -> Result<String> {
    let doctor = answer(answers, "doctor")?;
    ensure!(
        doctor.code == 0,
        "`inspector doctor` ended with {}: {}{}",
        doctor.code,
        doctor.stdout,
        doctor.stderr
    );
    let (bpf, procfs) = (from(answers, "bpf", "bpf")?, from(answers, "procfs", "procfs")?);
    let (by_bpf, by_procfs) = (tasks(&bpf)?, tasks(&procfs)?);
    ensure!(
        by_bpf.abs_diff(by_procfs) <= TASKS_APART,
        "eBPF iterated over {by_bpf} tasks, /proc shows {by_procfs}"
    );
    let (found, expected) = (list(&bpf, "pods")?, list(&procfs, "pods")?);
    ensure!(!expected.is_empty(), "/proc shows no group of processes in namespaces of their own");
    ensure!(found == expected, "the pods by eBPF differ from those by /proc");
    let namespaces = namespaces(answers)?;
    let demo = answer(answers, "demo")?;
    ensure!(demo.code == 0, "`inspector demo` ended with {}: {}", demo.code, demo.stderr);
    // Left to itself it takes the faster way, and nothing is different for it.
    let crowd = from(answers, "crowd-auto", "bpf")?;
    ensure!(crowd["pods"] == bpf["pods"], "the pods among a thousand processes are not those from before");
    Ok(format!("{by_bpf} tasks, {} pod(s) and {namespaces} namespaces as /proc shows them", found.len()))
}

/// Judges the answers where the kernel's types are hidden: /proc stands in, and why is said.
pub fn hidden(answers: &Answers) -> Result<()> {
    let list = from(answers, "hidden-auto", "procfs")?;
    ensure!(
        list["coverage"]["gaps"].to_string().contains("BTF"),
        "without BTF the answer does not say why it is from /proc: {}",
        list["coverage"]
    );
    same_pods(answers, "hidden-auto", "hidden-procfs")?;
    let doctor = answer(answers, "hidden-doctor")?;
    ensure!(doctor.stdout.contains("BTF"), "the doctor does not miss the hidden BTF: {}", doctor.stdout);
    let forced = answer(answers, "hidden-bpf")?;
    ensure!(
        forced.code == 3 && forced.stderr.contains("BTF") && forced.stdout.is_empty(),
        "`--source bpf` without BTF ended with {}: {}",
        forced.code,
        forced.stderr
    );
    Ok(())
}

/// Judges the answers under `lockdown=confidentiality`; the source that still works.
pub fn lockdown(answers: &Answers) -> Result<String> {
    let mode = answer(answers, "lockdown")?;
    ensure!(
        mode.stdout.contains("[confidentiality]"),
        "the kernel is not locked down: {}{}",
        mode.stdout,
        mode.stderr
    );
    json(answers, "procfs")?;
    let bpf = answer(answers, "bpf")?;
    if bpf.code == 0 {
        from(answers, "bpf", "bpf")?;
        same_pods(answers, "bpf", "procfs")?;
        return Ok("bpf".to_owned());
    }
    ensure!(
        bpf.code == 3 && bpf.stdout.is_empty() && bpf.stderr.contains("lockdown"),
        "`--source bpf` under lockdown ended with {}: {}",
        bpf.code,
        bpf.stderr
    );
    Ok("procfs".to_owned())
}

/// Whether the kernel gives namespaces ids that never come again (from Linux 6.18): both ways of reading, or none.
pub fn namespace_ids(answers: &Answers) -> Result<bool> {
    let has = |name: &str| -> Result<bool> {
        let listed = json(answers, name)?;
        let rows = list(&listed, "namespaces")?;
        let with_id = rows.iter().filter(|row| !row["id"].is_null()).count();
        ensure!(with_id == 0 || with_id == rows.len(), "{with_id} of {} namespaces have an id", rows.len());
        Ok(with_id > 0)
    };
    let (bpf, procfs) = (has("namespaces-bpf")?, has("namespaces-procfs")?);
    ensure!(bpf == procfs, "only one of eBPF and /proc gives namespaces' ids");
    Ok(bpf)
}

/// The programs, and how many instructions the verifier went through for each, where the kernel tells.
pub fn programs(answers: &Answers) -> Result<Vec<(String, Option<u32>)>> {
    let report = json(answers, "doctor-json")?;
    let found = list(&report, "checks")?
        .iter()
        .filter(|check| check["name"] == "eBPF programs")
        .filter_map(|check| check["found"].as_str());
    let programs: Vec<_> = found.flat_map(in_words).collect();
    ensure!(!programs.is_empty(), "the doctor names no eBPF program: {}", report["checks"]);
    // What tells `watch` what happens has to load and attach as well, in the best way: Debian's kernels allow it.
    let events = list(&report, "checks")?.iter().find(|check| check["name"] == "kernel events");
    let tells =
        |check: &&Value| check["found"].as_str().is_some_and(|found| found.starts_with("tier fentry"));
    ensure!(
        events.filter(tells).is_some(),
        "the kernel's events are not heard in full: {}",
        report["checks"]
    );
    Ok(programs)
}

/// `NAME (N instructions verified, M ms), NAME (M ms)`: the doctor's words for the programs that load.
fn in_words(found: &str) -> Vec<(String, Option<u32>)> {
    let one = |part: &str| {
        let (name, rest) = part.rsplit_once('(')?;
        let name = name.split_whitespace().last()?.to_owned();
        if let Some((number, _)) = rest.split_once(" instructions verified") {
            return Some((name, Some(number.parse().ok()?)));
        }
        rest.ends_with(" ms").then_some((name, None))
    };
    found.split(')').filter_map(one).collect()
}

fn answer<'a>(answers: &'a Answers, name: &str) -> Result<&'a Answer> {
    answers.get(name).with_context(|| format!("no answer {name}"))
}

fn json(answers: &Answers, name: &str) -> Result<Value> {
    let answer = answer(answers, name)?;
    ensure!(answer.code == 0, "step {name} ended with {}: {}", answer.code, answer.stderr);
    serde_json::from_str(&answer.stdout)
        .with_context(|| format!("step {name} gave no JSON: {}", answer.stderr))
}

/// An answer that has to come from this source.
fn from(answers: &Answers, name: &str, source: &str) -> Result<Value> {
    let list = json(answers, name)?;
    let used = &list["coverage"]["source"];
    ensure!(used == source, "step {name} was answered from {used}: {}", list["coverage"]["gaps"]);
    Ok(list)
}

/// Two answers have the same pods, down to the wording.
fn same_pods(answers: &Answers, one: &str, other: &str) -> Result<()> {
    let (found, expected) = (json(answers, one)?, json(answers, other)?);
    ensure!(!list(&expected, "pods")?.is_empty(), "step {other} shows no pod");
    ensure!(found["pods"] == expected["pods"], "the pods of step {one} differ from those of {other}");
    Ok(())
}

/// Both sources list the same namespaces; how many.
fn namespaces(answers: &Answers) -> Result<usize> {
    let (bpf, procfs) =
        (from(answers, "namespaces-bpf", "bpf")?, from(answers, "namespaces-procfs", "procfs")?);
    // Kernel threads come and go in the host's: how many are in one is all that may differ.
    let rows = |list: &Value| -> Result<Vec<Value>> {
        let mut rows = self::list(list, "namespaces")?.clone();
        for row in rows.iter_mut().filter(|row| row["host"] == true).filter_map(Value::as_object_mut) {
            ensure!(
                ["processes", "threads"].iter().all(|count| row.remove(*count).is_some()),
                "a namespace without a count of its processes: {row:?}"
            );
        }
        Ok(rows)
    };
    let (found, expected) = (rows(&bpf)?, rows(&procfs)?);
    ensure!(expected.len() > 8, "/proc shows but {} namespaces", expected.len());
    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    if let Some((found, expected)) = differs {
        bail!("the namespaces by eBPF differ from those by /proc: {found} is not {expected}");
    }
    ensure!(found.len() == expected.len(), "the namespaces by eBPF differ from those by /proc in number");
    Ok(found.len())
}

fn tasks(list: &Value) -> Result<u64> {
    let tasks = list["coverage"]["tasks"].as_u64().context("coverage.tasks is no number")?;
    ensure!(tasks > 0, "no task was seen");
    Ok(tasks)
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value[field].as_array().with_context(|| format!("{field} is no list"))
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

    fn said(text: &str) -> Answer {
        Answer { stdout: text.to_owned(), stderr: String::new(), code: 0 }
    }

    fn namespaces(source: &str, last: u64) -> Answer {
        let rows: Vec<_> = (1..9)
            .chain([last])
            .map(|inode| {
                // Of the host's the counts may differ.
                let processes = if source == "bpf" && inode < 9 { 70 } else { 72 };
                json!({ "kind": "net", "inode": inode, "host": inode < 9, "processes": processes, "threads": 9, "pid": 1 })
            })
            .collect();
        said(&json!({ "coverage": { "source": source }, "namespaces": rows }).to_string())
    }

    fn answers(bpf: Answer, procfs: Answer) -> Answers {
        let crowd = answer("bpf", 1070, 1);
        let named = [
            ("doctor", said("")),
            ("bpf", bpf),
            ("procfs", procfs),
            ("demo", said("")),
            ("crowd-auto", crowd),
        ];
        let both = [("bpf", "namespaces-bpf"), ("procfs", "namespaces-procfs")];
        named
            .into_iter()
            .chain(both.map(|(source, name)| (name, namespaces(source, 100))))
            .map(|(name, answer)| (name.to_owned(), answer))
            .collect()
    }

    #[test]
    fn the_same_is_right_and_a_difference_is_not() {
        let right = answers(answer("bpf", 70, 1), answer("procfs", 72, 1));
        assert!(plain(&right).unwrap().contains("70 tasks, 1 pod(s) and 9 namespaces"));
        for (bpf, procfs, says) in [
            (answer("procfs", 70, 1), answer("procfs", 70, 1), "was answered from \"procfs\""),
            (answer("bpf", 0, 1), answer("procfs", 70, 1), "no task"),
            (answer("bpf", 50, 1), answer("procfs", 70, 1), "50 tasks"),
            (answer("bpf", 70, 1), answer("procfs", 70, 2), "the pods by eBPF differ"),
            (Answer { code: 3, ..answer("bpf", 70, 1) }, answer("procfs", 70, 1), "ended with 3"),
            (Answer { stdout: "oops".into(), ..answer("bpf", 70, 1) }, answer("procfs", 70, 1), "no JSON"),
        ] {
            let error = format!("{:#}", plain(&answers(bpf, procfs)).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
        let mut other = answers(answer("bpf", 70, 1), answer("procfs", 72, 1));
        other.insert("namespaces-bpf".to_owned(), namespaces("bpf", 101));
        assert!(plain(&other).unwrap_err().to_string().contains("the namespaces by eBPF differ"));
        for (crowd, says) in [
            (answer("procfs", 1070, 1), "was answered from \"procfs\""),
            (answer("bpf", 1070, 2), "not those from before"),
        ] {
            let mut crowded = answers(answer("bpf", 70, 1), answer("procfs", 72, 1));
            crowded.insert("crowd-auto".to_owned(), crowd);
            let error = plain(&crowded).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_hidden_btf_has_to_be_named() {
        let list = |source: &str, why: &str| {
            said(&json!({ "coverage": { "source": source, "gaps": [why] }, "pods": [1] }).to_string())
        };
        let refused = Answer { stdout: String::new(), stderr: "no BTF".to_owned(), code: 3 };
        let answers = |auto: Answer, forced: Answer| -> Answers {
            let named = [
                ("hidden-auto", auto),
                ("hidden-procfs", list("procfs", "")),
                ("hidden-bpf", forced),
                ("hidden-doctor", said("no BTF")),
            ];
            named.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect()
        };
        hidden(&answers(list("procfs", "no BTF"), refused)).unwrap();
        let refused = || Answer { stdout: String::new(), stderr: "no BTF".to_owned(), code: 3 };
        assert!(hidden(&answers(list("procfs", ""), refused())).is_err());
        assert!(hidden(&answers(list("bpf", "no BTF"), refused())).is_err());
        assert!(hidden(&answers(list("procfs", "no BTF"), said("[]"))).is_err());
    }

    #[test]
    fn under_lockdown_it_works_or_says_why_not() {
        let answers = |bpf: Answer, procfs: Answer| -> Answers {
            let named = [("lockdown", said("none [confidentiality]")), ("bpf", bpf), ("procfs", procfs)];
            named.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect()
        };
        let refused = |why: &str| Answer { stdout: String::new(), stderr: why.to_owned(), code: 3 };
        let right = || answer("procfs", 70, 1);
        assert_eq!(lockdown(&answers(answer("bpf", 70, 1), right())).unwrap(), "bpf");
        assert_eq!(lockdown(&answers(refused("lockdown is on"), right())).unwrap(), "procfs");
        assert!(lockdown(&answers(answer("bpf", 70, 2), right())).is_err());
        assert!(lockdown(&answers(refused("no"), right())).is_err());
        assert!(lockdown(&answers(refused("lockdown is on"), refused("no"))).is_err());
        let mut open = answers(answer("bpf", 70, 1), right());
        open.insert("lockdown".to_owned(), said("[none] confidentiality"));
        assert!(lockdown(&open).is_err());
    }

    #[test]
    fn instructions_are_read_off_the_doctors_words() {
        let words = "80 tasks in 3 ms by task_kptr (1234 instructions verified, 5 ms), task_probe (7 ms)";
        let wanted = [("task_kptr".to_owned(), Some(1234)), ("task_probe".to_owned(), None)];
        assert_eq!(in_words(words), wanted);
        assert!(in_words("not in this program").is_empty());
    }
}
