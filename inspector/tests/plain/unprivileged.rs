//! What anybody may ask: honest about what he cannot see.

use std::process::Command;

use serde_json::Value;

use crate::support::answer::list;
use crate::support::executable;
use crate::support::run::{BINARY, Run, run};
use crate::{Member, SLEEP, public_folder};

/// Runs the program as a user without any right.
pub fn as_nobody(arguments: &[&str]) -> Run {
    // Below /tmp, where everybody may run it.
    let folder = public_folder();
    let binary = folder.path().join("inspector");
    executable::copy(BINARY.as_ref(), &binary);
    let nobody =
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
    run(Command::new("setpriv").args(nobody).arg(&binary).args(arguments))
}

#[test]
fn who_may_not_look_is_told_so() {
    let owner = Member::new("net,ipc,uts,pid", &SLEEP);
    let joiner = Member::join(&owner, "net,pid", &SLEEP);
    for command in ["pods", "ps"] {
        let told = as_nobody(&[command, "--all", "-o", "json"]).succeeded();
        let json: Value = serde_json::from_str(told.text()).unwrap();
        let coverage = &json["coverage"];
        assert!(coverage["partial"] == true && coverage["source"] == "procfs", "{coverage:#}");
        assert!(coverage["unreadable"].as_u64().unwrap() >= 2, "{coverage:#}");
        assert!(!list(coverage, "gaps").is_empty());
        // What was not read is not made up.
        for member in [&owner, &joiner] {
            assert!(!told.text().contains(&member.id()), "{command}: {}", told.text());
        }
        let table = as_nobody(&[command]).succeeded();
        assert!(
            table.text().contains("PARTIAL") && table.text().contains("CAP_SYS_PTRACE"),
            "{}",
            table.text()
        );
        let strict = as_nobody(&[command, "--strict", "-o", "name"]);
        assert!(strict.code == Some(3) && strict.stderr.contains("partial"), "{strict:?}");
    }
    let refused = as_nobody(&["pods", "--source=bpf"]);
    refused.refused(3);
}
