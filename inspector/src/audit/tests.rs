use super::*;
use crate::findings::{self, Node};
use crate::observation::Kind;
use crate::state::facts::facts;
use crate::state::tests::world::World;

fn audit(world: &mut World, choice: &Choice, waivers: &str, baseline: &Baseline) -> FindingList {
    world.seen.tasks.put_in_order();
    let snapshot = crate::state::snapshot(&world.seen);
    let facts = facts(&world.seen);
    let judgement = findings::evaluate(&Node::new("node", &snapshot.pods, &facts));
    let waivers = if waivers.is_empty() { Vec::new() } else { parse_waivers(waivers).unwrap() };
    report(&world.seen, &snapshot, judgement, choice, &waivers, baseline)
}

/// nginx owns what busybox joins; an agent is in the node's own network and PID namespace.
fn world() -> World {
    let mut world = World::new();
    world.docker("nginx", 100);
    world.docker("busybox", 200);
    world.join("busybox", "nginx", &[Kind::Net]);
    world.serves(100);
    world.docker("agent", 300).in_host(&[Kind::Net, Kind::Pid]);
    world.seen.node.time = Some("2026-06-15T12:00:00Z".parse().unwrap());
    world
}

fn statuses(list: &FindingList) -> Vec<(&str, Status)> {
    list.findings.iter().map(|it| (it.finding.rule, it.status)).collect()
}

#[test]
fn findings_are_counted_and_fail_by_severity() {
    let list = audit(&mut world(), &Choice::default(), "", &Baseline::default());
    let rules: Vec<&str> = list.findings.iter().map(|it| it.finding.rule).collect();
    assert_eq!(list.summary.open, list.findings.len() as u64);
    assert!(rules.contains(&"PNS001") && rules.contains(&"PNS005"), "{rules:?}");
    assert_eq!(list.summary.by_rule["PNS001"], 1);
    assert!(fails(&list, Severity::High) && !fails(&list, Severity::Critical));
    let pod = list.findings.iter().find(|it| it.finding.rule == "PNS001").unwrap();
    assert_eq!(pod.pod.as_ref().unwrap().name, "nginx");
    assert_eq!(pod.container_name.as_deref(), Some("nginx"));
}

#[test]
fn only_what_was_asked_for() {
    let of = |choice: Choice| audit(&mut world(), &choice, "", &Baseline::default()).findings.len();
    assert_eq!(of(Choice { rules: vec!["PNS001"], ..Choice::default() }), 1);
    assert_eq!(of(Choice { namespace: Some("default".to_owned()), ..Choice::default() }), 0);
    let high = of(Choice { min_severity: Some(Severity::High), ..Choice::default() });
    assert!(high >= 2 && high < of(Choice::default()), "{high}");
}

#[test]
fn a_waiver_holds_until_its_day_and_is_missed_when_it_does_nothing() {
    let waive = |expires: &str| {
        format!(
            "waivers:\n- {{rule: PNS001, subject: 'ng*', reason: known, expires: {expires}}}\n\
             - {{rule: '*', subject: nobody, reason: gone}}\n"
        )
    };
    let list = audit(&mut world(), &Choice::default(), &waive("2026-06-15"), &Baseline::default());
    assert!(statuses(&list).contains(&("PNS001", Status::Waived)), "on its last day it holds");
    assert_eq!(list.summary.waived, 1);
    let idle: Vec<_> = list.idle_waivers.iter().map(|it| (it.subject.as_str(), it.why.as_str())).collect();
    assert_eq!(idle, [("nobody", "matches no finding")]);

    let list = audit(&mut world(), &Choice::default(), &waive("2026-06-14"), &Baseline::default());
    assert!(statuses(&list).contains(&("PNS001", Status::Open)));
    assert_eq!(list.idle_waivers[0].why, "expired on 2026-06-14");
}

#[test]
fn what_a_baseline_has_is_not_new() {
    let list = audit(&mut world(), &Choice::default(), "", &Baseline::default());
    let baseline = Baseline::parse(&crate::render::json::pretty(&list).unwrap()).unwrap();
    let mut later = world();
    later.docker("db", 400);
    later.docker("tool", 500);
    later.join("tool", "db", &[Kind::Ipc]);
    later.serves(400);
    let list = audit(&mut later, &Choice::default(), "", &baseline);
    let open: Vec<&str> = list
        .findings
        .iter()
        .filter(|it| it.status == Status::Open)
        .map(|it| it.finding.message.as_str())
        .collect();
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].starts_with("db, an application"), "{open:?}");
    assert!(list.gone.is_empty(), "all that was there is there");
    // What was mended is told.
    later.stop("tool", "2026-06-15T11:00:00Z", 0);
    later.stop("busybox", "2026-06-15T11:00:00Z", 0);
    let list = audit(&mut later, &Choice::default(), "", &baseline);
    let gone: Vec<&str> = list.gone.iter().map(|it| it.rule.as_str()).collect();
    assert_eq!(gone, ["PNS001"], "{:#?}", list.gone);
    // Where the rule could not judge everything, it may be there still.
    let hidden = later.container("agent").pid;
    later.task(hidden).namespaces = crate::observation::Inodes::default();
    assert!(audit(&mut later, &Choice::default(), "", &baseline).gone.is_empty());
    let other = Choice { rules: vec!["PNS005"], ..Choice::default() };
    assert!(audit(&mut later, &other, "", &baseline).gone.is_empty());
    for (text, words) in
        [("{", "line 1"), ("{\"kind\": \"NamespaceList\"}", "NamespaceList"), ("[]", "line 1")]
    {
        let error = Baseline::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

fn ignore(rules: &str) -> Option<crate::observation::Ignore> {
    Some(crate::observation::Ignore { rules: rules.to_owned(), reason: Some("moves in May".to_owned()) })
}

#[test]
fn a_label_suppresses_what_is_about_its_container_and_no_more() {
    let status = |world: &mut World, choice: &Choice| {
        let list = audit(world, choice, "", &Baseline::default());
        let found = list.findings.iter().find(|it| it.finding.rule == "PNS001").unwrap().clone();
        (list, found)
    };
    let mut labelled = world();
    labelled.container("nginx").ignore = ignore("non-pause-owner, PNS099,PNS005");
    let (list, found) = status(&mut labelled, &Choice::default());
    assert_eq!((found.status, list.summary.suppressed), (Status::Suppressed, 1));
    assert_eq!(found.accepted(), "moves in May (by container nginx)");
    assert!(fails(&list, Severity::High), "the agent's findings are not nginx's to suppress");
    let idle: Vec<_> = list.idle_suppressions.iter().map(|it| (it.rule.as_str(), it.why.as_str())).collect();
    assert_eq!(
        idle,
        [("PNS099", "no rule is called so; `inspector rules` lists them"), ("PNS005", "matches no finding")]
    );
    let only = Choice { rules: vec!["PNS001"], ..Choice::default() };
    assert!(!fails(&status(&mut labelled, &only).0, Severity::Info));
    // Who does not trust deployers.
    let (list, found) = status(&mut labelled, &Choice { no_suppressions: true, ..only });
    assert_eq!((found.status, found.suppressed, list.idle_suppressions.len()), (Status::Open, None, 0));
    // Another container's label is not the subject's.
    let mut other = world();
    other.container("busybox").ignore = ignore("PNS001");
    assert_eq!(status(&mut other, &Choice::default()).1.status, Status::Open);
    // A user's runtime cannot speak for root's container of the same id.
    let mut imitated = world();
    let mut imitation = imitated.container("nginx").clone();
    (imitation.ignore, imitation.word_of_uid, imitation.pid) = (ignore("PNS001"), Some(1000), 0);
    imitated.seen.containers.insert(0, imitation);
    assert_eq!(status(&mut imitated, &Choice::default()).1.status, Status::Open);
}

#[test]
fn an_earlier_observation_is_a_baseline_too() {
    let mut earlier = world();
    earlier.seen.tasks.put_in_order();
    let snapshot = crate::state::snapshot(&earlier.seen);
    let facts = facts(&earlier.seen);
    let judgement = findings::evaluate(&Node::new("node", &snapshot.pods, &facts));
    let known = judgement.findings.len();
    let baseline = Baseline::judged(&earlier.seen, judgement);
    let same = audit(&mut world(), &Choice::default(), "", &baseline);
    assert_eq!((same.summary.open, same.summary.baseline, same.gone.len()), (0, known as u64, 0));
    assert_eq!(same.compared.as_ref().unwrap().time.as_deref(), Some("2026-06-15T12:00:00Z"));
    let mut later = world();
    later.stop("busybox", "2026-06-15T11:00:00Z", 0);
    later.docker("second", 400).in_host(&[Kind::Net]);
    let list = audit(&mut later, &Choice::default(), "", &baseline);
    let open = list.findings.iter().filter(|it| it.status == Status::Open);
    let open: Vec<_> = open.map(|it| (it.finding.rule, it.pod.as_ref().unwrap().name.as_str())).collect();
    assert!(!open.is_empty() && open.iter().all(|it| it.1 == "second"), "{open:?}");
    assert_eq!(list.gone.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>(), ["PNS001"]);
}
