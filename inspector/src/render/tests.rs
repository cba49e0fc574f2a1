//! Tables as they are printed, and what holds for every format.

use std::path::Path;

use super::text::{is_plain, width};
use super::*;
use crate::render::samples;
use crate::view::PodList;

pub(super) fn look(width: Option<usize>) -> Look {
    Look { width, colour: false, headers: true, inodes: false, filtered_from: None }
}

/// Compares with `tests/expected/NAME`, or writes that file where `BLESS` is set.
pub(crate) fn expect(name: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, printed).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == printed,
        "{name} differs; BLESS=1 cargo test writes it anew. Printed now:\n{printed}"
    );
}

fn samples() -> [(&'static str, PodList); 3] {
    [("article", samples::article()), ("zoo", samples::zoo()), ("hostile", samples::hostile())]
}

#[test]
fn tables_look_as_they_did() {
    for (name, list) in samples() {
        for columns in [80, 120, 200] {
            expect(
                &format!("{name}-{columns}.txt"),
                &pods(&list, Format::Table, &look(Some(columns))).unwrap(),
            );
        }
    }
    let article = samples::article();
    expect("article-piped.txt", &pods(&article, Format::Table, &look(None)).unwrap());
    expect("article-wide-200.txt", &pods(&article, Format::Wide, &look(Some(200))).unwrap());
    expect(
        "article-inodes-80.txt",
        &pods(&article, Format::Table, &Look { inodes: true, ..look(Some(80)) }).unwrap(),
    );
    expect(
        "article-colour-80.txt",
        &pods(&article, Format::Table, &Look { colour: true, ..look(Some(80)) }).unwrap(),
    );
    expect("article.yaml", &pods(&article, Format::Yaml, &look(None)).unwrap());
    expect("article.json", &pods(&article, Format::Json, &look(None)).unwrap());
}

#[test]
fn no_line_is_wider_than_the_screen_or_holds_anything_but_text() {
    for (name, list) in
        samples().into_iter().chain([("many", samples::many(60)), ("three", samples::many(3))])
    {
        for columns in [72, 80, 100, 120, 160, 200, 300] {
            for inodes in [false, true] {
                let printed = pods(&list, Format::Table, &Look { inodes, ..look(Some(columns)) }).unwrap();
                for line in printed.lines() {
                    assert!(width(line) <= columns, "{name} at {columns}: {} columns\n{line}", width(line));
                    assert!(line.chars().all(is_plain), "{name}: {line:?}");
                    assert_eq!(line.trim_end(), line);
                }
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for (_, list) in samples() {
        for columns in [Some(80), Some(200), None] {
            let plain = pods(&list, Format::Table, &look(columns)).unwrap();
            let coloured = pods(&list, Format::Table, &Look { colour: true, ..look(columns) }).unwrap();
            assert!(coloured.contains("\x1b["));
            assert_eq!(strip(&coloured), plain);
        }
    }
}

/// Without `ESC [ … m`, and without the spaces that a coloured line may end with.
pub(super) fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_non_pause_owner_is_marked_without_colour() {
    let printed = pods(&samples::article(), Format::Table, &look(Some(80))).unwrap();
    assert!(printed.contains("▲ APPLICATION-OWNED by nginx (pid net ipc)"), "{printed}");
    assert!(printed.contains("pause-owned by pause (pid net ipc)"), "{printed}");
    let dead = pods(&samples::zoo(), Format::Table, &look(None)).unwrap();
    assert!(dead.contains("▲ APPLICATION-OWNED by api, which is gone (net)"), "{dead}");
    assert!(dead.contains("killed with its PID namespace"), "{dead}");
}

#[test]
fn headers_can_be_left_out_and_every_pod_and_container_has_its_line() {
    let list = samples::many(60);
    let printed = pods(&list, Format::Table, &Look { headers: false, ..look(Some(80)) }).unwrap();
    assert!(!printed.contains("NAMESPACES"));
    assert_eq!(printed.lines().filter(|line| line.starts_with("shop-")).count(), 60);
    assert_eq!(printed.lines().filter(|line| line.starts_with(['├', '└'])).count(), 180);
}

#[test]
fn names_are_one_a_line_with_the_namespace() {
    let printed = pods(&samples::zoo(), Format::Name, &look(None)).unwrap();
    assert_eq!(printed.lines().nth(2), Some("pod/kube-system/coredns-5d78c9869d-8xk2v"));
    assert_eq!(printed.lines().count(), 8);
    let hostile = pods(&samples::hostile(), Format::Name, &look(None)).unwrap();
    assert_eq!(hostile.lines().count(), 1);
    assert!(hostile.trim_end().chars().all(is_plain));
}

#[test]
fn without_pods_a_sentence_says_so() {
    let mut list = samples::list(vec![], vec![]);
    let hidden = pods(&list, Format::Table, &look(Some(80))).unwrap();
    assert!(hidden.starts_with("No pods to show") && hidden.contains("2 exited pods"), "{hidden}");
    list.hidden = crate::view::Hidden::default();
    let none = pods(&list, Format::Table, &look(Some(80))).unwrap();
    assert!(none.starts_with("No pods on this node") && none.contains("inspector demo"), "{none}");
    let filtered = pods(&list, Format::Table, &Look { filtered_from: Some(14), ..look(Some(80)) }).unwrap();
    assert!(filtered.starts_with("No pod matches (14 pods without the filters)"), "{filtered}");
}

#[test]
fn json_and_yaml_are_harmless_and_say_the_same() {
    for (name, list) in samples() {
        let json = pods(&list, Format::Json, &look(None)).unwrap();
        let yaml = pods(&list, Format::Yaml, &look(None)).unwrap();
        for printed in [&json, &yaml] {
            assert!(printed.chars().all(|c| c == '\n' || is_plain(c)), "{name}");
        }
        let exact = serde_json::to_value(&list).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), exact, "{name}");
        assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap(), exact, "{name}");
    }
}
