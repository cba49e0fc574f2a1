//! A recording answers as the node did, anywhere; a damaged one is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::support::answer::{Answer, schema};
use crate::support::check::pods;
use crate::support::executable;
use crate::support::run::{BINARY, inspector, run};
use crate::support::world::{Container, Scenario, World};

trials![
    a_recording_answers_as_the_node_did,
    a_recording_cut_anywhere_is_refused,
    what_is_no_recording_is_refused,
    the_schema_is_published,
];

fn start_pod(s: &Scenario) -> [Container; 2] {
    let owner = s.run("owner", &["--ipc=shareable"], "nginx", &[]);
    let joiner =
        s.run("joiner", &[&owner.join("ipc"), &owner.join("pid")], "busybox", &["sleep", "infinity"]);
    [owner, joiner]
}

fn record(world: &World, name: &str, source: &str) -> String {
    let file = world.scratch(name).join(format!("node{source}.rec")).to_str().unwrap().to_owned();
    let run = inspector(["record", &file, source, &world.with_socket()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    file
}

fn a_recording_answers_as_the_node_did(world: &'static World) {
    let s = Scenario::new(world, "rec1");
    let pod = start_pod(&s);
    let ids = [pod[0].id.as_str(), pod[1].id.as_str()];
    for source in ["--source=bpf", "--source=procfs"] {
        let file = record(world, "rec1", source);
        let live = pods(&[source, &world.with_socket()]);
        let replayed = pods(&["--replay", &file]);
        assert_eq!(replayed.ours(&ids), live.ours(&ids), "the replay (left) and the node (right) differ");
        assert_eq!(replayed.json["coverage"]["source"], live.json["coverage"]["source"]);
        assert_eq!(replayed.json["node"]["name"], live.json["node"]["name"]);

        // To the byte, for any user, in any format.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let binary = world.scratch("rec1").join("inspector");
        executable::copy(BINARY.as_ref(), &binary);
        for format in ["json", "yaml", "table", "wide", "name"] {
            let arguments = ["pods", "--all", "-o", format, "--replay", &file];
            let once = inspector(arguments).succeeded();
            let nobody = run(Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
                .arg(&binary)
                .args(arguments))
            .succeeded();
            assert_eq!(once.text(), nobody.text());
            assert!(!once.stdout.is_empty());
        }
        let again = Answer::of(inspector(["--replay", &file, "pods", "-o", "json"]));
        assert_eq!(again.json, replayed.json, "a flag may stand before the command");
    }
}

fn a_recording_cut_anywhere_is_refused(world: &'static World) {
    let s = Scenario::new(world, "rec2");
    let _pod = start_pod(&s);
    let file = record(world, "rec2", "--source=procfs");
    let whole = fs::read(&file).unwrap();
    let answer = inspector(["pods", "-o", "json", "--replay", &file]).succeeded().stdout;
    let cut = world.scratch("rec2").join("cut.rec");
    let step = (whole.len() / 190).max(1);
    let last = (whole.len().saturating_sub(10)..whole.len()).rev();
    for length in (0..whole.len()).step_by(step).chain(last) {
        fs::write(&cut, &whole[..length]).unwrap();
        let run = inspector(["pods", "-o", "json", "--replay", cut.to_str().unwrap()]);
        // A last line feed is nothing that was recorded.
        if whole[length..] == *b"\n" && run.code == Some(0) {
            assert_eq!(run.stdout, answer);
            continue;
        }
        let line = run.refused(3);
        assert!(line.contains("cut.rec"), "{length} of {} bytes: {line}", whole.len());
    }
}

fn what_is_no_recording_is_refused(world: &'static World) {
    let folder = world.scratch("rec3");
    let cases: [(&str, &[u8]); 6] = [
        ("noise", &[0xff, 0xfe, 0x00, 0x1b]),
        ("text", b"Dear diary,\n"),
        ("other-json", b"{\"kind\":\"PodList\"}\n"),
        ("list", b"[1,2,3]\n"),
        ("number", b"1e999999\n"),
        ("deep", &[b'['; 200_000]),
    ];
    for (name, bytes) in cases {
        let file = folder.join(name);
        fs::write(&file, bytes).unwrap();
        let run = inspector(["pods", "--replay", file.to_str().unwrap()]);
        assert!(run.refused(3).contains(name), "{run:?}");
    }
    for missing in [folder.join("nothing"), folder.clone()] {
        inspector(["pods", "--replay", missing.to_str().unwrap()]).refused(3);
    }
}

fn the_schema_is_published(_: &'static World) {
    let schema = schema().expect("docs/schema/pods.schema.json is not published");
    // `Answer::of` validates every answer of these tests; that it can refuse one has to be shown too.
    let wrong: Value = serde_json::json!({ "apiVersion": "inspector/v1", "kind": "PodList" });
    let refused = crate::support::answer::validate(&schema, &wrong).is_err();
    assert!(refused, "the schema accepts an answer without pods");
}
