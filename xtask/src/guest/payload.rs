//! What the guest tests: the binary that ships, the test binaries, and the files that these look for, all at the very
//! paths that were compiled into them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::image::pack;
use super::judge::MARK;
use super::suites::Suite;
use crate::cargo::{cargo, host_target, link_statically, target_dir};
use crate::sh;

/// How many times longer than on ordinary machines anything may take.
const PATIENCE: u32 = 20;
/// One suite's limit in the guest, so that one that hangs does not take the others' results along.
const SUITE_SECONDS: u32 = 600;

/// Makes the second disk.
pub fn disk(folder: &Path, program: &Path, suites: &[Suite]) -> Result<PathBuf> {
    let built = build(suites)?;
    let (workspace, target) = (sh::workspace()?, target_dir()?);
    let tree = folder.join("payload");
    let _ = fs::remove_dir_all(&tree);
    // What tests look for beside themselves.
    for needed in ["inspector/tests", "docs"] {
        copy(&workspace.join(needed), &tree.join("workspace").join(needed))?;
    }
    for binary in built.tests.values() {
        let inside = binary.strip_prefix(&target).context("a test binary lies outside the target folder")?;
        copy(binary, &tree.join("target").join(inside))?;
    }
    // The tests start the program that cargo built for them: here it is the one that ships.
    let inside = built.program.strip_prefix(&target).context("the program lies outside the target folder")?;
    copy(program, &tree.join("target").join(inside))?;
    fs::create_dir_all(tree.join("target").join(host_target()).join("tmp"))?;
    helpers(&workspace.join("inspector/tests/support/c"), &tree.join("helpers"))?;
    fs::create_dir_all(tree.join("bin"))?;
    symlink(&built.program, tree.join("bin/inspector"))?;
    fs::write(tree.join("run"), script(suites, &built.tests, workspace, &target)?)?;
    let disk = folder.join("payload.img");
    pack(&tree, &disk, 256)?;
    fs::remove_dir_all(&tree)?;
    Ok(disk)
}

/// What cargo built.
struct Built {
    tests: BTreeMap<String, PathBuf>,
    program: PathBuf,
}

/// The test binaries, static: the guest's libraries are not this machine's.
fn build(suites: &[Suite]) -> Result<Built> {
    let target = host_target();
    let mut command = cargo("test")?;
    command.args(["--no-run", "--package", "inspector"]);
    command.args(["--message-format=json-render-diagnostics"]);
    for binary in suites.iter().map(|suite| suite.binary).collect::<BTreeSet<_>>() {
        command.args(["--test", binary]);
    }
    link_statically(&mut command, &target);
    eprintln!("guest: builds the tests as static programs");
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let (mut tests, mut program) = (BTreeMap::new(), None);
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(executable) = message["executable"].as_str().map(PathBuf::from) else { continue };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        if message["profile"]["test"] == true {
            tests.insert(name.to_owned(), executable);
        } else if name == "inspector" {
            program = Some(executable);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "the tests did not build ({status})");
    Ok(Built { tests, program: program.context("cargo did not say where the program is")? })
}

/// The tests' small C programs: the guest has no compiler.
fn helpers(sources: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for source in fs::read_dir(sources)?.filter_map(Result::ok).map(|entry| entry.path()) {
        let Some(name) = source.file_stem().filter(|_| source.extension().is_some_and(|ext| ext == "c"))
        else {
            continue;
        };
        let mut cc = Command::new("cc");
        cc.args(["-static", "-Os", "-pthread", "-o"]).arg(folder.join(name)).arg(&source);
        sh::output(&mut cc)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a path without a folder")?)?;
    sh::output(Command::new("cp").args(["-a", "-T"]).arg(from).arg(to)).map(drop)
}

/// What the node runs, as root, its words going to the second serial line.
fn script(
    suites: &[Suite],
    tests: &BTreeMap<String, PathBuf>,
    workspace: &Path,
    target: &Path,
) -> Result<String> {
    let (workspace, target) = (quoted(workspace)?, quoted(target)?);
    let mut script = format!(
        "#!/bin/sh\n\
         exec >/dev/ttyS1 2>&1 </dev/null\n\
         stty -F /dev/ttyS1 raw -echo\n\
         mkdir -p {workspace} && mount --bind /payload/workspace {workspace}\n\
         mkdir -p {target} && mount --bind /payload/target {target}\n\
         export PATH=/payload/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n\
         export INSPECTOR_TEST_HELPERS=/payload/helpers INSPECTOR_TEST_PATIENCE={PATIENCE} INSPECTOR_TEST_NODE=1\n\
         cat /proc/uptime; uname -r\n\
         failed=0\n"
    );
    for suite in suites {
        let name = &suite.name;
        let binary =
            tests.get(suite.binary).with_context(|| format!("cargo built no test {}", suite.binary))?;
        let (binary, filter) = (quoted(binary)?, quoted(Path::new(&suite.filter))?);
        let filter = if suite.filter.is_empty() { "" } else { &filter };
        write!(
            script,
            "echo '{MARK} begin {name}'; begin=$(date +%s)\n\
             cd {workspace}/inspector && timeout {SUITE_SECONDS} {binary} --test-threads=1 {filter}\n\
             code=$?; echo; echo \"{MARK} end {name} $code $(($(date +%s) - begin))\"; [ $code = 0 ] || failed=1\n"
        )?;
    }
    // The journal only where someone has to find out what went wrong.
    script += "cat /proc/uptime\n[ $failed = 0 ] || journalctl --boot --no-pager --lines=150\n\
               sync\nsystemctl poweroff --force --force\n";
    Ok(script)
}

/// A word for the shell.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().context("a path that is not UTF-8")?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}
