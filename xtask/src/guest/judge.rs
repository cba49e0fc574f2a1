//! Whether the guest's tests passed: every suite ran to its end, and ran something.

use anyhow::{Context as _, Result, bail, ensure};

use super::suites::Suite;

/// Before a suite's name and, at its end, its exit code and how many seconds it took: what the guest's script prints between the tests' words.
pub const MARK: &str = "@@@inspector@@@";

/// Judges the log; a few words on what ran.
pub fn judge(log: &str, suites: &[Suite]) -> Result<String> {
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for suite in suites {
        let (code, seconds, said) = part(log, &suite.name)?;
        let passed = passed(said);
        if code != "0" {
            failed.push(format!("{} (exit {code})", suite.name));
        } else {
            ensure!(passed > 0, "suite {} ran no test: does its filter {:?} fit?", suite.name, suite.filter);
        }
        summary.push(format!("{passed} of {} in {seconds} s", suite.name));
    }
    if !failed.is_empty() {
        bail!("these suites failed: {}", failed.join(", "));
    }
    Ok(format!("passed {}", summary.join(", ")))
}

/// A suite's exit code, the seconds that it took, and what it said.
fn part<'log>(log: &'log str, name: &str) -> Result<(&'log str, &'log str, &'log str)> {
    let (_, rest) = log
        .split_once(&format!("{MARK} begin {name}\n"))
        .or_else(|| log.split_once(&format!("{MARK} begin {name}\r\n")))
        .with_context(|| format!("the guest never began suite {name}"))?;
    let (said, rest) = rest
        .split_once(&format!("{MARK} end {name} "))
        .with_context(|| format!("the guest broke off in suite {name}"))?;
    let end = rest.lines().next().unwrap_or_default().trim();
    let (code, seconds) = end.split_once(' ').with_context(|| format!("suite {name} ends with {end:?}"))?;
    Ok((code, seconds, said))
}

/// How many tests passed, by the harness's last line. A container's or daemon's words cannot be taken for it: they
/// are no part of what the harness prints in the first column.
fn passed(said: &str) -> u32 {
    let result = said.lines().rev().find_map(|line| line.strip_prefix("test result: ok. "));
    result.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::suites::choose;

    fn log(code: &str, result: &str) -> String {
        format!("boot\n{MARK} begin plain\ntest a ... ok\n\n{result}\n{MARK} end plain {code} 7\r\n")
    }

    #[test]
    fn only_tests_that_ran_and_passed_are_good() {
        let suites = choose(&["plain".to_owned()]).unwrap();
        let ok = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out";
        assert_eq!(judge(&log("0", ok), &suites).unwrap(), "passed 3 of plain in 7 s");
        let none = "test result: ok. 0 passed; 0 failed; 3 ignored; 0 measured; 2 filtered out";
        for (log, says) in [
            (log("101", "test result: FAILED. 2 passed; 1 failed"), "failed: plain (exit 101)"),
            (log("0", none), "ran no test"),
            (log("0", ""), "ran no test"),
            (log("124", ok), "exit 124"),
            ("boot\n".to_owned(), "never began"),
            (format!("{MARK} begin plain\n{ok}\n"), "broke off"),
        ] {
            let error = judge(&log, &suites).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
