//! Recordings of a real node, answered from without privileges: Docker 20.10 with the article's two pods, before and
//! after `docker stop nginx`. What was true of that node has to be the answer for good.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::sync::Arc;

use std::path::Path;
use std::process::Command;

use inspector::findings;
use inspector::observation::Observation;
use inspector::recording;
use inspector::state::facts::facts;
use inspector::state::snapshot;
use inspector::view::{ExitCause, Pod, Role, State, Verdict};

fn pods(recording: &str) -> Vec<Arc<Pod>> {
    snapshot(&load(recording)).pods
}

fn load(recording: &str) -> Observation {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings").join(recording);
    recording::load(&file).unwrap()
}

/// Name, verdict, and the containers' names and roles.
type Summary<'p> = (&'p str, Verdict, Vec<(&'p str, Role)>);

fn summary(pods: &[Arc<Pod>]) -> Vec<Summary<'_>> {
    pods.iter()
        .map(|pod| {
            let rows = pod.containers.iter().map(|it| (it.name.as_str(), it.role)).collect();
            (pod.name.as_str(), pod.verdict, rows)
        })
        .collect()
}

const PAUSED: [(&str, Role); 3] = [("pause", Role::Infra), ("web", Role::App), ("tools", Role::App)];

#[test]
fn the_articles_two_pods() {
    let pods = pods("article.rec");
    assert_eq!(
        summary(&pods),
        [
            ("alone", Verdict::Isolated, vec![("alone", Role::App)]),
            ("gone", Verdict::Isolated, vec![("gone", Role::App)]),
            ("nginx", Verdict::ApplicationOwned, vec![("nginx", Role::App), ("busybox", Role::App)]),
            ("pause", Verdict::PauseOwned, PAUSED.to_vec()),
        ]
    );
    let facts = facts(&load("article.rec"));
    let findings = findings::evaluate(&findings::Node::new("node-a", &pods, &facts)).findings;
    assert_eq!(findings.len(), 3, "net, ipc and pid: {findings:#?}");
    assert!(
        findings.iter().all(|it| it.rule == "PNS001" && it.subject.container == Some(pods[2].id.clone()))
    );
}

#[test]
fn after_nginx_was_stopped() {
    let pods = pods("article-nginx-stopped.rec");
    let nginx = pods.iter().find(|pod| pod.name == "nginx").unwrap();
    assert_eq!(nginx.verdict, Verdict::ApplicationOwned);
    assert!(nginx.containers.iter().all(|it| it.state == State::Exited));
    let busybox = nginx.containers.iter().find(|it| it.name == "busybox").unwrap();
    assert_eq!(busybox.exit.as_ref().unwrap().cause, ExitCause::PidNamespaceDied);
    let pause = pods.iter().find(|pod| pod.name == "pause").unwrap();
    assert_eq!((pause.verdict, summary(&pods)[3].2.clone()), (Verdict::PauseOwned, PAUSED.to_vec()));
}

/// What the program prints about a recording, on a screen of 100 columns.
fn printed(arguments: &[&str], recording: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings").join(recording);
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspector"));
    command.args(arguments).arg("--replay").arg(file).args(["--color", "never"]).env("COLUMNS", "100");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The part of a text from one word to the next empty line.
fn part<'t>(text: &'t str, from: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from:?} in\n{text}"));
    text[start..].split("\n\n").next().unwrap().trim_end()
}

#[test]
fn what_the_concepts_page_shows_is_what_the_program_prints() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/concepts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let explained = |target| printed(&["explain", target], "article.rec");
    for shown in [
        part(&printed(&["pods"], "article.rec"), "POD / CONTAINER"),
        part(&printed(&["graph"], "article.rec"), "POD / CONTAINER"),
        part(&explained("nginx"), "If it dies"),
        part(&explained("web"), "If it dies"),
        part(&explained("container/pause"), "If it dies"),
    ] {
        assert!(page.contains(shown), "docs/concepts.md does not have\n{shown}");
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    assert!(readme.contains(part(&explained("nginx"), "If it dies")), "README.md shows another explanation");
    let after = printed(&["pods", "--all"], "article-nginx-stopped.rec");
    let nginx = after.split("pause  ").next().unwrap();
    let nginx = &nginx[nginx.find("nginx  ").unwrap()..];
    assert!(page.contains(nginx.trim_end()), "docs/concepts.md does not have\n{nginx}");
}

/// What is new and what is gone between two recordings of one node.
#[test]
fn two_recordings_are_compared() {
    let audit = |new: &str, old: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspector"));
        command.arg("audit").arg("--replay").arg(folder.join(new)).arg("--diff").arg(folder.join(old));
        let output = command.args(["--color", "never", "--no-suppressions"]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, text, _) = audit("article.rec", "article.rec");
    assert!(code == Some(0) && text.starts_with("Nothing is new.\n") && text.contains(": 0 new, "), "{text}");
    let (_, text, _) = audit("article-nginx-stopped.rec", "article.rec");
    assert!(text.contains("GONE SINCE THEN") && text.contains("PNS001"), "{text}");
    let (code, text, _) = audit("article.rec", "article-nginx-stopped.rec");
    assert!(code == Some(1) && text.contains("[new] "), "{text}");
    let (code, _, error) = audit("article.rec", "nothing.rec");
    assert!(code == Some(3) && error.contains("nothing.rec"), "{error}");
}

#[test]
fn a_configuration_says_what_flags_would_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings").join("article.rec");
    let ask = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspector"));
        command.args(arguments).arg("--config").arg(&file);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let recording = recording.display().to_string();
    let audit = ["audit", "--replay", &recording];
    // The article's first pod is application-owned: high, and the default is to fail on that.
    assert_eq!(ask("# nothing\n", &audit), (1, String::new()));
    assert_eq!(ask("audit: { failOn: critical }\n", &audit), (0, String::new()));
    assert_eq!(ask("audit: { failOn: critical }\n", &[&audit[..], &["--fail-on", "high"]].concat()).0, 1);
    // What says how to look is no contradiction to a recording where it stands in a file.
    assert_eq!(ask("timeout: 5s\nsource: bpf\naudit: { rules: [PNS012] }\n", &audit), (0, String::new()));
    for (text, words) in [
        ("audit: { failOm: high }\n", "failOm"),
        ("audit:\n  failOn: dreadful\n", "line 2"),
        ("audit: { rules: [PNS099] }\n", "PNS099"),
        ("timeout: [\n", "line"),
    ] {
        let (code, said) = ask(text, &audit);
        assert!(code == 2 && said.lines().count() == 1 && said.contains(words), "{text}: {code} {said}");
    }
    // What says how to write a right one works beside a wrong one.
    assert_eq!(ask("wrong\n", &["schema", "config"]).0, 0);
}
