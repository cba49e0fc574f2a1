use clap::CommandFactory as _;

use super::*;
use crate::cli::resolve::merge;
use crate::render::Format;

fn global(line: &str) -> Global {
    let cli = parse(line).unwrap();
    merge(&cli.global, cli.command.global()).unwrap()
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("inspector").chain(line.split_whitespace()))
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let flags = "--source procfs --host-root /host --socket docker=/d.sock --socket podman=unix:///p.sock --timeout 500ms \
                 --holders all --all -o json --no-headers --color never --strict -vv --replay f --at +12s";
    for line in [format!("{flags} pods"), format!("pods {flags}")] {
        let global = global(&line);
        assert_eq!((global.source, global.holders), (Some(Source::Procfs), Some(Holders::All)));
        assert_eq!(global.host_root, Some("/host".into()));
        assert_eq!(
            global.sockets,
            [(Runtime::Docker, "/d.sock".into()), (Runtime::Podman, "/p.sock".into())]
        );
        assert_eq!(global.timeout, Some(Duration::from_millis(500)));
        assert_eq!((global.output, global.color), (Some(Output::Common(Format::Json)), Some(Color::Never)));
        assert!(global.all && global.no_headers && global.strict && global.verbose == 2);
        assert_eq!(global.replay, Some("f".into()));
        assert_eq!(global.at, Some(At::After(Duration::from_secs(12))));
    }
}

#[test]
fn a_moment_is_a_time_or_so_long_after_the_beginning() {
    let at = |text: &str| parse(&format!("pods --replay f --at {text}")).map(|cli| cli.command.global().at);
    let time = "2026-11-23T21:44:13Z".parse().unwrap();
    assert_eq!(at("2026-11-23T21:44:13Z").unwrap(), Some(At::Time(time)));
    assert_eq!(at("2026-11-23T22:44:13+01:00").unwrap(), Some(At::Time(time)));
    assert_eq!(at("+1m500ms").unwrap(), Some(At::After(Duration::from_millis(60_500))));
    for wrong in ["12s", "yesterday", "+", "+x", "2026-11-23"] {
        assert!(at(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_stands_before_the_command_is_not_lost_when_more_follows_it() {
    let global = global("--socket docker=/a -v pods --socket podman=/b -v --timeout 1s");
    assert_eq!(global.sockets, [(Runtime::Docker, "/a".into()), (Runtime::Podman, "/b".into())]);
    assert_eq!(global.verbose, 2);
}

#[test]
fn lists_are_repeated_or_joined_by_commas() {
    let Command::Pods(With { args, .. }) = parse("pods --verdict unknown,host --verdict pause-owned --kind net,pid --runtime cri-o -n ns --pod a --pod b").unwrap().command else {
        panic!("another command");
    };
    assert_eq!(args.verdict, [Verdict::Unknown, Verdict::Host, Verdict::PauseOwned]);
    assert_eq!(args.kind, [Kind::Net, Kind::Pid]);
    assert_eq!(
        (args.runtime, args.namespace, args.pod),
        (vec![Runtime::CriO], Some("ns".into()), vec!["a".into(), "b".into()])
    );
}

#[test]
fn namespaces_are_chosen_and_drawn() {
    let args = |line: &str| match parse(line).unwrap().command {
        Command::Namespaces(With { args, .. }) => args,
        other => panic!("{}", other.name()),
    };
    let chosen = args("namespaces -t net,pid --type user -p 7 --columns ns,NProcs --columns HELDBY,ons");
    assert_eq!(chosen.kinds, [Kind::Net, Kind::Pid, Kind::User]);
    assert_eq!((chosen.pid, chosen.tree), (Some(7), None));
    use NamespaceColumn::{HeldBy, Ns, Procs, UserNs};
    assert_eq!(chosen.columns, [Ns, Procs, HeldBy, UserNs]);
    assert_eq!(args("namespaces --tree").tree, Some(Above::Parent));
    assert_eq!(args("namespaces --tree=owner").tree, Some(Above::Owner));
    assert_eq!(args("namespaces --sort-by procs").sort_by, Some(NamespaceSort::Procs));
}

#[test]
fn slips_are_refused() {
    for line in [
        "",
        "podz",
        "pods --source ebpf",
        "pods --socket docker",
        "pods --socket lxc=/x",
        "pods --socket docker=",
        "pods --socket docker=x",
        "pods --timeout 0s",
        "pods --timeout 99999999y",
        "pods --timeout -1s",
        "pods --timeout",
        "pods -o xml",
        "pods --kind nett",
        "pods --sort-by age",
        "pods --verdict bad",
        "record",
        "record a b",
        "pods --source bpf --source bpf",
        "schema nodes",
        "ps a b",
        "completions",
        "completions tcsh",
        "man pods --dir d",
        "namespaces -t mount",
        "namespaces -p x",
        "namespaces --tree owner",
        "namespaces --tree=process",
        "namespaces --tree --sort-by pid",
        "namespaces --columns inode",
        "pods extra",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}
