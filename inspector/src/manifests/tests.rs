use super::*;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  template:\n    spec: {hostNetwork: true, shareProcessNamespace: false}\n";

#[test]
fn documents_lists_and_json_are_read_and_other_objects_left_out() {
    let text = format!(
        "---\n# nothing\n---\n{DEPLOYMENT}---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {{name: a}}\n  spec: {{hostPID: true}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{spec: x}}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: c}}\nspec: {{jobTemplate: {{spec: {{template: {{spec: {{hostUsers: false}}}}}}}}}}\n"
    );
    let found = parse("all.yaml", &text).unwrap();
    let titles: Vec<String> = found.iter().map(Manifest::title).collect();
    assert_eq!(titles, ["Deployment shop/web", "Pod default/a", "CronJob default/c"]);
    assert_eq!((found[0].says(Field::HostNetwork), found[0].says(Field::HostPid)), (Some(true), None));
    assert_eq!(found[2].says(Field::HostUsers), Some(false));
    assert_eq!(
        found[0].quote(Field::HostNetwork),
        "Deployment shop/web (all.yaml) has spec.template.spec.hostNetwork: true"
    );
    let json = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"j"},"spec":{"hostIPC":true}}"#;
    assert_eq!(parse("j.json", json).unwrap()[0].says(Field::HostIpc), Some(true));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (text, words) in [
        ("kind: [", "line"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {hostPID: 3}\n", "spec.hostPID"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "spec is missing"),
    ] {
        let error = parse("f", text).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn a_pod_is_a_workloads_by_the_name_that_one_gives() {
    for (workload, name, pod, wanted) in [
        (Workload::Pod, "etcd", "etcd", true),
        (Workload::Pod, "etcd", "etcd-node", true),
        (Workload::Pod, "etcd", "etcd-other", false),
        (Workload::Deployment, "web", "web-7d9f8b6c5d-x2v4q", true),
        (Workload::Deployment, "web", "web-x2v4q", false),
        (Workload::Deployment, "web", "web-admin-7d9f8b6c5d-x2v4q", false),
        (Workload::DaemonSet, "proxy", "proxy-x2v4q", true),
        (Workload::DaemonSet, "proxy", "proxy-apple", false),
        (Workload::StatefulSet, "db", "db-0", true),
        (Workload::StatefulSet, "db", "db-x", false),
        (Workload::Job, "once", "once-x2v4q", true),
        (Workload::Job, "once", "once-3-x2v4q", true),
        (Workload::CronJob, "tick", "tick-28912345-x2v4q", true),
        (Workload::CronJob, "tick", "tick-x2v4q", false),
    ] {
        let one = Manifest {
            file: "f".to_owned(),
            workload,
            namespace: "default".to_owned(),
            name: name.to_owned(),
            fields: [None; 5],
        };
        let other = Manifest { file: "g".to_owned(), ..one.clone() };
        let list = Manifests { list: vec![one] };
        let found = list.of(Some("default"), pod, "node");
        assert_eq!(matches!(found, Match::One(_)), wanted, "{workload:?} {name} {pod}");
        assert_eq!(list.of(Some("elsewhere"), pod, "node"), Match::None);
        let both = Manifests { list: vec![list.list[0].clone(), other] };
        assert_eq!(matches!(both.of(None, pod, "node"), Match::Several(_)), wanted);
    }
}
