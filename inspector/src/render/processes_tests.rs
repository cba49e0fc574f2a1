//! Tables of processes as they are printed, and what holds for every one.

use crate::render::tests::{expect, look, strip};
use crate::render::text::{is_plain, width};
use crate::render::{Format, Look, processes, samples};
use crate::view::ProcessList;

fn samples() -> [(&'static str, ProcessList); 3] {
    [
        ("processes", samples::article_processes()),
        ("processes-hostile", samples::hostile_processes()),
        ("processes-none", samples::no_processes()),
    ]
}

#[test]
fn tables_of_processes_look_as_they_did() {
    for (name, list) in samples() {
        for columns in [80, 200] {
            let printed = processes(&list, Format::Table, &look(Some(columns))).unwrap();
            expect(&format!("{name}-{columns}.txt"), &printed);
        }
    }
    let list = samples::article_processes();
    expect("processes-wide-200.txt", &processes(&list, Format::Wide, &look(Some(200))).unwrap());
    expect("processes-piped.txt", &processes(&list, Format::Table, &look(None)).unwrap());
    expect("processes.json", &processes(&list, Format::Json, &look(None)).unwrap());
}

#[test]
fn no_line_of_processes_is_wider_than_the_screen_or_holds_anything_but_text() {
    for (name, list) in samples() {
        for columns in [72, 80, 100, 120, 160, 200, 300] {
            let printed = processes(&list, Format::Table, &look(Some(columns))).unwrap();
            for line in printed.lines() {
                assert!(width(line) <= columns, "{name} at {columns}: {} columns\n{line}", width(line));
                assert!(line.chars().all(is_plain), "{name}: {line:?}");
                assert_eq!(line.trim_end(), line);
            }
            let colour = Look { colour: true, ..look(Some(columns)) };
            assert_eq!(strip(&processes(&list, Format::Table, &colour).unwrap()), printed, "{name}");
        }
        for format in [Format::Wide, Format::Json, Format::Yaml, Format::Name] {
            let printed = processes(&list, format, &look(None)).unwrap();
            assert!(printed.chars().all(|c| c == '\n' || is_plain(c)), "{name} {format:?}");
        }
        let exact = serde_json::to_value(&list).unwrap();
        let json = processes(&list, Format::Json, &look(None)).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), exact, "{name}");
        let yaml = processes(&list, Format::Yaml, &look(None)).unwrap();
        assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap(), exact, "{name}");
    }
}

#[test]
fn every_process_has_one_line_and_every_name_is_a_target() {
    for (name, list) in samples() {
        let headless = Look { headers: false, ..look(None) };
        let printed = processes(&list, Format::Table, &headless).unwrap();
        assert!(!printed.contains("PODPID"));
        for process in &list.processes {
            let pid = process.pid.to_string();
            let is_its = |line: &&str| line.split_whitespace().nth(1) == Some(&pid);
            assert_eq!(printed.lines().filter(is_its).count(), 1, "{name}: {pid} in\n{printed}");
        }
        let names = processes(&list, Format::Name, &look(None)).unwrap();
        assert_eq!(names.lines().count(), list.processes.len());
        assert!(names.lines().all(|line| line.strip_prefix("pid/").unwrap().parse::<u32>().is_ok()));
    }
}

#[test]
fn a_deep_tree_stays_on_the_screen() {
    let mut list = samples::article_processes();
    let pattern = list.processes[0].clone();
    list.processes = (0..5_000)
        .map(|n| {
            let mut process = pattern.clone();
            (process.pid, process.pod_pid, process.parent) = (40_000 + n, Some(1 + n), 39_999 + n);
            process
        })
        .collect();
    let printed = processes(&list, Format::Table, &look(Some(80))).unwrap();
    assert!(printed.lines().all(|line| width(line) <= 80));
    assert!(printed.lines().count() > 5_000);
    assert!(printed.contains("its death kills the 4999 other processes"), "{}", &printed[..400]);
}
