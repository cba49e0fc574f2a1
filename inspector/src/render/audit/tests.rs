use super::*;
use crate::observation::Kind;
use crate::render::samples::{self, HOSTILE};
use crate::view::{
    API_VERSION, Compared, Finding, GoneFinding, IdleSuppression, PodName, Severity, Status, Subject,
    Summary, Suppressed, Undetermined, Waived,
};

/// A report with a finding of each status, whose every string is as hostile as can be.
pub(super) fn hostile() -> FindingList {
    let strings = HOSTILE.join("");
    let finding = |id: &str, severity| Finding {
        id: id.to_owned(),
        rule: "PNS001",
        name: "non-pause-owner",
        severity,
        subject: Subject {
            pod: Some("p".to_owned()),
            container: Some("c".to_owned()),
            namespace_kind: Some(Kind::Net),
            inode: Some(4_026_532_000),
            pid: None,
        },
        message: strings.clone(),
        evidence: vec![strings.clone()],
        consequence: strings.clone(),
        remedy: strings.clone(),
    };
    let audited = |id: &str, severity, status, namespace: Option<&str>| AuditFinding {
        finding: finding(id, severity),
        pod: Some(PodName {
            name: strings.clone(),
            namespace: namespace.map(str::to_owned),
            id: "p".to_owned(),
        }),
        container_name: Some(strings.clone()),
        status,
        waiver: (status == Status::Waived).then(|| Waived { reason: strings.clone(), expires: None }),
        suppressed: (status == Status::Suppressed)
            .then(|| Suppressed { by: strings.clone(), reason: Some(strings.clone()) }),
    };
    let findings = vec![
        audited("a", Severity::Critical, Status::Open, Some("default")),
        audited("b", Severity::Low, Status::Open, None),
        audited("c", Severity::High, Status::Waived, Some("default")),
        audited("e", Severity::High, Status::Suppressed, None),
        audited("d", Severity::High, Status::Baseline, None),
    ];
    let undetermined =
        vec![Undetermined { rule: "PNS006", subject: Subject::default(), why: strings.clone() }];
    let empty = samples::list(Vec::new(), Vec::new());
    FindingList {
        api_version: API_VERSION,
        kind: "FindingList",
        node: empty.node,
        coverage: empty.coverage,
        summary: Summary::of(&findings, &undetermined),
        findings,
        undetermined,
        idle_waivers: Vec::new(),
        idle_suppressions: vec![IdleSuppression {
            of: strings.clone(),
            rule: strings.clone(),
            why: "matches no finding".to_owned(),
        }],
        compared: Some(Compared { time: Some(strings.clone()), unsure: vec!["PNS006"] }),
        gone: vec![GoneFinding { id: "x".to_owned(), rule: strings.clone(), message: strings }],
    }
}

#[test]
fn its_json_is_as_the_schema_says() {
    let validator = jsonschema::validator_for(crate::render::schema::audit().as_value()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json::pretty(&hostile()).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(value["findings"][0]["status"], "open");
    assert_eq!(value["findings"][0]["rule"], "PNS001");
    assert_eq!(value["summary"]["bySeverity"], serde_json::json!({"critical": 1, "low": 1}));
    let mut bad = value.clone();
    bad["findings"][0]["status"] = serde_json::json!("closed");
    assert!(!validator.is_valid(&bad));
}

#[test]
fn tables_are_harmless_and_fit_the_screen() {
    let list = hostile();
    for wide in [Format::Table, Format::Wide] {
        for width in [80, 200] {
            let look =
                Look { width: Some(width), colour: false, headers: true, inodes: true, filtered_from: None };
            for all in [false, true] {
                let text = answer(&list, wide, &look, all).unwrap();
                assert!(text.chars().all(|c| c == '\n' || super::super::text::is_plain(c)), "{text}");
                let widest = text.lines().map(super::super::text::width).max().unwrap();
                assert!(widest <= width, "{widest} > {width}:\n{text}");
            }
        }
    }
}

#[test]
fn markdown_has_no_markup_but_ours() {
    let text = report(&hostile(), ReportFormat::Markdown).unwrap();
    assert!(text.chars().all(|c| c == '\n' || super::super::text::is_plain(c)));
    assert!(!text.contains("<script") && !text.contains("](http"), "{text}");
}

#[test]
fn junit_is_xml_with_the_right_sums() {
    let text = report(&hostile(), ReportFormat::Junit).unwrap();
    // One finding of each status, one undetermined, and ten rules that found nothing.
    assert!(text.contains("tests=\"16\" failures=\"2\" errors=\"0\" skipped=\"4\">"), "{text}");
    let clean = text.chars().all(|c| matches!(c, '\n') || !c.is_control());
    assert!(clean, "{text}");
    // Every tag is closed, in order.
    let mut open: Vec<String> = Vec::new();
    for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        if tag.starts_with('?') || tag.ends_with('/') {
            continue;
        }
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{text}"),
            None => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
    }
    assert!(open.is_empty());
}

#[test]
fn policy_reports_are_one_for_each_namespace_and_one_for_the_node() {
    for (format, kinds) in [
        (ReportFormat::PolicyReport, ["ClusterPolicyReport", "PolicyReport"]),
        (ReportFormat::OpenReports, ["ClusterReport", "Report"]),
    ] {
        let text = report(&hostile(), format).unwrap();
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let items = value["items"].as_array().unwrap();
        assert_eq!(items.iter().map(|it| it["kind"].as_str().unwrap()).collect::<Vec<_>>(), kinds);
        assert_eq!(items[1]["metadata"]["namespace"], "default");
        assert_eq!(
            items[1]["summary"],
            serde_json::json!({"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 1})
        );
        assert_eq!(
            items[0]["summary"],
            serde_json::json!({"pass": 0, "fail": 0, "warn": 1, "error": 0, "skip": 3})
        );
        assert_eq!(items[1]["results"][0]["properties"]["resultID"], "a");
    }
}

#[test]
fn sarif_has_stable_fingerprints_and_suppressions() {
    let value: serde_json::Value =
        serde_json::from_str(&report(&hostile(), ReportFormat::Sarif).unwrap()).unwrap();
    let run = &value["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 12);
    let results = run["results"].as_array().unwrap();
    assert_eq!(results[0]["partialFingerprints"]["inspectorFinding/v1"], "a");
    let suppressed: Vec<bool> = results.iter().map(|it| it.get("suppressions").is_some()).collect();
    assert_eq!(suppressed, [false, false, true, true, true]);
}
