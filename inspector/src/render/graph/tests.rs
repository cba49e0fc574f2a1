use super::*;
use crate::observation::{HostNamespaces, Kind};
use crate::render::samples;
use crate::render::text::{is_plain, width};
use crate::view::graph;

fn host() -> HostNamespaces {
    HostNamespaces { inodes: Kind::ALL.into_iter().zip(1..).collect(), evidence: "test".to_owned() }
}

fn graphs() -> Vec<Graph> {
    [
        samples::article(),
        samples::zoo(),
        samples::hostile(),
        samples::many(150),
        samples::list(vec![], vec![]),
    ]
    .iter()
    .map(|list| graph(list, &host(), false))
    .collect()
}

#[test]
fn every_picture_is_harmless_text() {
    for graph in graphs() {
        for format in [GraphFormat::Svg, GraphFormat::Dot, GraphFormat::Mermaid] {
            let text = draw(&graph, format);
            assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{format:?}");
            assert!(!text.contains("<script"), "{format:?}");
        }
    }
}

#[test]
fn svg_is_xml_and_marks_owners() {
    for graph in graphs() {
        let text = draw(&graph, GraphFormat::Svg);
        let mut open: Vec<String> = Vec::new();
        for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            if tag.ends_with('/') {
                continue;
            }
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{text}"),
                None => open.push(tag.split(' ').next().unwrap().to_owned()),
            }
        }
        assert!(open.is_empty());
    }
    let article = &graphs()[0];
    let text = draw(article, GraphFormat::Svg);
    assert!(
        text.contains("rect class=\"app\"") && text.contains("rect class=\"pause\""),
        "both sorts of owners"
    );
    assert!(text.contains("PNS001"));
}

#[test]
fn dot_and_mermaid_have_an_edge_for_each_member() {
    let article = &graphs()[0];
    let edges: usize = article.pods.iter().flat_map(|pod| &pod.namespaces).map(|it| it.members.len()).sum();
    let dot = draw(article, GraphFormat::Dot);
    assert_eq!(dot.matches(" -> n").count(), edges);
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    let mermaid = draw(article, GraphFormat::Mermaid);
    assert_eq!(mermaid.matches("|owns|").count() + mermaid.matches("|joins|").count(), edges);
}

#[test]
fn the_matrix_fits_the_screen() {
    for graph in graphs() {
        for screen in [80, 200] {
            let look = Look {
                width: Some(screen),
                colour: false,
                headers: true,
                inodes: false,
                filtered_from: None,
            };
            let text = table(&graph, &look);
            let widest = text.lines().map(width).max().unwrap();
            assert!(widest <= screen, "{text}");
            assert!(text.chars().all(|c| c == '\n' || is_plain(c)));
        }
    }
}

#[test]
fn only_pods_with_findings() {
    let list = samples::article();
    let only = graph(&list, &host(), true);
    assert!(only.pods.len() < list.pods.len() && only.pods.iter().all(|pod| !pod.findings.is_empty()));
}
