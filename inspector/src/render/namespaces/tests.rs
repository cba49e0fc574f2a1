//! Tables of namespaces as they are printed, and what holds for every format.

use serde_json::json;

use super::*;
use crate::observation::{Kind, Observation, Via};
use crate::render::tests::{expect, look, strip};
use crate::render::text::{is_plain, width};
use crate::render::{json, schema};
use crate::state::namespaces::Namespaces;
use crate::view::namespace_samples as samples;
use crate::view::{
    Class, ClassEvidence, Evidence, HolderType, NamespaceSelection, NamespaceSort, namespace_list,
    select_namespaces,
};

/// What is printed of an observation.
fn printed(seen: &Observation, format: Format, shape: &Shape<'_>, look: &Look, kinds: &[Kind]) -> String {
    let all = Namespaces::of(seen);
    let mut list = namespace_list(seen, &all);
    let selection = NamespaceSelection { kinds: kinds.to_vec(), pid: shape.process };
    select_namespaces(&mut list.namespaces, &selection, NamespaceSort::Type).unwrap();
    let filtered_from = list.namespaces.is_filtered().then_some(all.len());
    let mut out = Vec::new();
    namespaces(&list, format, shape, &Look { filtered_from, ..*look }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const FLAT: Shape<'_> = Shape { tree: None, columns: &[], process: None };
const BY_PARENT: Shape<'_> = Shape { tree: Some(Above::Parent), ..FLAT };
const BY_OWNER: Shape<'_> = Shape { tree: Some(Above::Owner), ..FLAT };
const PIDS: [Kind; 2] = [Kind::Pid, Kind::User];

#[test]
fn tables_of_namespaces_look_as_they_did() {
    for (name, seen) in [("namespaces", samples::node()), ("namespaces-hostile", samples::hostile())] {
        for columns in [80, 200] {
            let look = look(Some(columns));
            let print = |shape, kinds| printed(&seen, Format::Table, shape, &look, kinds);
            expect(&format!("{name}-{columns}.txt"), &print(&FLAT, &[]));
            expect(&format!("{name}-parent-{columns}.txt"), &print(&BY_PARENT, &PIDS));
            expect(&format!("{name}-owner-{columns}.txt"), &print(&BY_OWNER, &[]));
        }
    }
    let seen = samples::node();
    let of_process = Shape { process: Some(2_401), ..BY_OWNER };
    expect("namespaces-process-80.txt", &printed(&seen, Format::Table, &of_process, &look(Some(80)), &[]));
    expect("namespaces-wide-200.txt", &printed(&seen, Format::Wide, &FLAT, &look(Some(200)), &[]));
    expect("namespaces-piped.txt", &printed(&seen, Format::Table, &FLAT, &look(None), &[]));
    expect("namespaces-wide-piped.txt", &printed(&seen, Format::Wide, &FLAT, &look(None), &[]));
    expect("namespaces.json", &printed(&seen, Format::Json, &FLAT, &look(None), &[]));
}

#[test]
fn no_line_of_namespaces_is_wider_than_the_screen_or_holds_anything_but_text() {
    for seen in [samples::node(), samples::hostile(), Observation::default()] {
        for shape in [FLAT, BY_PARENT, BY_OWNER] {
            for columns in [72, 80, 100, 120, 160, 200, 300] {
                let look = look(Some(columns));
                let plain = printed(&seen, Format::Table, &shape, &look, &[]);
                for line in plain.lines() {
                    assert!(width(line) <= columns, "at {columns}: {} columns\n{line}", width(line));
                    assert!(line.chars().all(is_plain), "{line:?}");
                    assert_eq!(line.trim_end(), line);
                }
                let colour = Look { colour: true, ..look };
                assert_eq!(strip(&printed(&seen, Format::Table, &shape, &colour, &[])), plain);
            }
        }
        for format in [Format::Wide, Format::Json, Format::Yaml, Format::Name] {
            let text = printed(&seen, format, &FLAT, &look(None), &[]);
            assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{format:?}");
        }
    }
}

#[test]
fn every_format_has_every_namespace() {
    let seen = samples::node();
    let all = Namespaces::of(&seen);
    let exact = serde_json::to_value(namespace_list(&seen, &all)).unwrap();
    let json = printed(&seen, Format::Json, &FLAT, &look(None), &[]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), exact);
    let yaml = printed(&seen, Format::Yaml, &FLAT, &look(None), &[]);
    assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap(), exact);
    let names = printed(&seen, Format::Name, &FLAT, &look(None), &[]);
    assert_eq!(names.lines().count(), all.len());
    assert_eq!(names.lines().next(), Some("mnt:[4026531832]"));
    for shape in [FLAT, BY_OWNER] {
        let headless = Look { headers: false, ..look(Some(80)) };
        let table = printed(&seen, Format::Table, &shape, &headless, &[]);
        assert_eq!(table.lines().take_while(|line| !line.is_empty()).count(), all.len());
    }
}

#[test]
fn rows_are_written_as_their_types_say() {
    let mut seen = samples::hostile();
    // Every value that a name in it can have.
    for (at, via) in [Via::Fd, Via::Socket, Via::Mount].into_iter().enumerate() {
        seen.handles[at].via = via;
    }
    seen.host = crate::observation::HostNamespaces::default();
    for seen in [seen, samples::node(), Observation::default()] {
        let all = Namespaces::of(&seen);
        let list = namespace_list(&seen, &all);
        let mut out = Vec::new();
        namespaces(&list, Format::Json, &FLAT, &look(None), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), json::pretty(&list).unwrap());
    }
    for class in [Class::Pause, Class::Application, Class::RuntimePinned, Class::Unknown] {
        assert_eq!(json!(class), class.name());
    }
    use ClassEvidence as By;
    for evidence in [By::Marked, By::Behaviour, By::Command, By::Observed, By::None] {
        assert_eq!(json!(evidence), evidence.name());
    }
    for evidence in [Evidence::Observed, Evidence::Declared, Evidence::Inferred, Evidence::None] {
        assert_eq!(json!(evidence), evidence.name());
    }
    use HolderType::{BindMount, ChildNamespace, Fd, Mount, Socket};
    for holder in [BindMount, Fd, ChildNamespace, Socket, Mount] {
        assert_eq!(json!(holder), holder.name());
    }
}

#[test]
fn columns_that_are_asked_for_are_all_there_is() {
    let columns = [Column::Type, Column::Ns, Column::Procs, Column::Parent];
    let shape = Shape { columns: &columns, ..FLAT };
    for look in [look(Some(80)), look(None)] {
        let table = printed(&samples::node(), Format::Table, &shape, &look, &[Kind::Pid]);
        assert_eq!(
            table,
            "TYPE  NS          PROCS  PARENT\n\
             pid   4026531835      3\n\
             pid   4026532003      1  4026531835\n\
             pid   4026532004      2  4026532003\n\
             pid   4026532006      0  4026532004\n\
             pid   4026535103      1  4026531835\n\
             pid   4026535303      1  4026531835\n"
        );
    }
    let names: std::collections::BTreeSet<&str> = Column::ALL.map(Column::name).into_iter().collect();
    assert_eq!(names.len(), Column::ALL.len());
}

#[test]
fn where_nothing_matches_a_sentence_says_so() {
    let mut seen = samples::node();
    seen.tasks.retain(|task| task.namespaces.get(Kind::Time).is_none());
    seen.namespaces.retain(|fact| fact.kind != Kind::Time);
    let none = printed(&seen, Format::Table, &FLAT, &look(Some(80)), &[Kind::Time]);
    assert!(none.starts_with("No namespace matches"), "{none}");
    let empty = printed(&Observation::default(), Format::Table, &FLAT, &look(Some(80)), &[]);
    assert!(empty.starts_with("No namespace could be read."), "{empty}");
}

#[test]
fn every_sample_is_as_the_schema_says_and_a_renamed_field_is_not() {
    let validator = jsonschema::validator_for(schema::namespaces().as_value()).unwrap();
    for seen in [samples::node(), samples::hostile(), Observation::default()] {
        let json = printed(&seen, Format::Json, &FLAT, &look(None), &[]);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let seen = samples::node();
    let all = Namespaces::of(&seen);
    let good = serde_json::to_value(namespace_list(&seen, &all)).unwrap();
    for (pointer, wrong) in [
        ("/kind", json!("PodList")),
        ("/namespaces/0/kind", json!("mount")),
        ("/namespaces/0/inode", json!("1")),
        ("/namespaces/0/owner", json!({})),
        ("/namespaces/0/host", json!("yes")),
        ("/namespaces/0", json!({"kind": "mnt", "inode": 1})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}
