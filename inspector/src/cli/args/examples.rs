//! Examples at the end of each command's help.

pub(super) const EXAMPLES: &str = "\
Examples:
  inspector pods                      pods, who owns their namespaces, what is wrong
  inspector pods --verdict application-owned -o name
  inspector namespaces --tree         every namespace, as lsns shows them and more
  inspector ps busybox                who runs in a pod, with the pids seen inside
  inspector explain nginx             whose it is, and what dies if it dies
  inspector audit                     what is wrong on this node, and what to do about it
  inspector graph -o svg > pods.svg   a picture for a report
  inspector watch                     what happens, as it happens
  inspector rules PNS001              what a rule is about
  inspector record node.rec           capture this node ...
  inspector pods --replay node.rec    ... and ask anywhere, without privileges
  inspector record day.rec --for 10m  capture what happens, for watch --replay

Exit codes:
  0  done, whatever was found
  1  `audit` found something as bad as --fail-on
  2  the command line or the configuration is wrong
  3  could not collect, read a recording or write the answer; with --strict,
     also when something that could change a verdict could not be read";

pub(super) const PODS_EXAMPLES: &str = "\
Examples:
  inspector pods                           a table, as wide as the screen
  inspector pods -o wide | less -S         everything; a pipe has no width
  inspector pods -n kube-system --sort-by started
  inspector pods -o json | jq -r '.findings[].message'
  inspector pods --kind pid --verdict application-owned
      pods that the death of one business container takes down

A table takes the width of the terminal; where there is none, that of COLUMNS;
else nothing is cut off or wrapped. The JSON: docs/json.md, `inspector schema`.

Exit codes: see inspector --help.";

pub(super) const NAMESPACES_EXAMPLES: &str = "\
Examples:
  inspector namespaces -t net,pid          two kinds of the eight
  inspector namespaces -p 4711             those of one process
  inspector namespaces --tree              PID and user namespaces below one another
  inspector namespaces --tree=owner        everything below its user namespace
  inspector namespaces --columns NS,TYPE,PROCS,PID --no-headers
  inspector namespaces -o json | jq '.namespaces[] | select(.processes == 0)'
      what only a bind mount, a descriptor or another namespace keeps

Everything is listed, what no process is in too; --holders all looks for bind
mounts in every mount namespace. The JSON: docs/json.md, `inspector schema
namespaces`.

Exit codes: see inspector --help.";

pub(super) const PS_EXAMPLES: &str = "\
Examples:
  inspector ps                             every PID namespace that containers share
  inspector ps busybox                     what `docker exec busybox ps` shows, and whose
                                           each process is, without a shell in it
  inspector ps --all                       private PID namespaces too
  inspector ps web -o json | jq '.processes[] | select(.container == null)'
      who got into the pod from outside

Where two things have one name: pod/NAME, container/NAME or pid/NUMBER.
PODPID is the pid seen inside, PID and PPID those of this node's /proc.

Exit codes: see inspector --help.";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(inspector completions bash)     in this shell
  inspector completions bash > /etc/bash_completion.d/inspector
  inspector completions zsh > /usr/local/share/zsh/site-functions/_inspector
  inspector completions fish > ~/.config/fish/completions/inspector.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  inspector man pods | man -l -
  inspector man --dir /usr/local/share/man/man1";

pub(super) const AUDIT_EXAMPLES: &str = "\
Examples:
  inspector audit                          what is wrong, worst first
  inspector audit --fail-on critical       for a cron job: exit with 1 only then
  inspector audit --rule PNS001,split-brain -o wide
  inspector audit -o json > baseline.json  and from then on what is new:
  inspector audit --baseline baseline.json
  inspector audit --diff yesterday.rec     what is new and gone since `inspector record`
  inspector audit --manifests deploy/      are pods as their manifests say?
  inspector audit -o sarif > audit.sarif   for a code scanner; junit for a CI,
                                           policyreport or openreports for a cluster

Formats: table, wide (with evidence of all), json, yaml, name, markdown, sarif,
junit, policyreport, openreports. The JSON: docs/json.md, `inspector schema
audit`. The rules and waivers: docs/rules.md, `inspector rules`.

Exit codes: 0 no open finding is as bad as --fail-on; 1 one is; 2 and 3 see
inspector --help. With --strict a partial answer exits with 3, whatever it found.";

pub(super) const RULES_EXAMPLES: &str = "\
Examples:
  inspector rules
  inspector rules PNS003
  inspector rules non-pause-owner";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  inspector explain nginx                  a container or a pod
  inspector explain shop/web               a Kubernetes pod
  inspector explain 4711                   a process, by its pid
  inspector explain net:4026532184         a namespace
  inspector explain nginx -o json | jq '.ifDies.killed[].container'

Where two things have one name: pod/NAME, container/NAME, pid/NUMBER or
namespace/INODE. If a pod dies is if the owner of what it shares does. The JSON:
docs/json.md, `inspector schema explain`.

Exit codes: see inspector --help.";

pub(super) const GRAPH_EXAMPLES: &str = "\
Examples:
  inspector graph                          container by kind of namespace, as a table
  inspector graph -o svg > pods.svg        a picture that stands on its own
  inspector graph -o dot | dot -Tpng > pods.png
  inspector graph -o mermaid --pod nginx   for Markdown
  inspector graph -o svg --findings-only > incident.svg

Formats: table, svg, dot, mermaid.

Exit codes: see inspector --help.";

pub(super) const WATCH_EXAMPLES: &str = "\
Examples:
  inspector watch                          until Ctrl-C
  inspector watch --pod web --for 10m
  inspector watch --event pod-collapsed,owner-exited,foreign-entered
  inspector watch --until container-started --for 1m
      wait for the next container; without one it ends after a minute
  inspector watch -o json | jq -r 'select(.finding) | .message'
  inspector watch --tui                    the pods and the events, on the whole screen
  inspector watch --replay node.rec        what `inspector record --for` recorded

Formats: table (a line an event), json (an object a line). A line comes milliseconds
after the kernel told; a new container's once its runtime says its name. Findings and
the ends of namespaces come with the next look at everything: after what happened,
and at least every 10 s. Where the kernel allows no fentry (`inspector doctor` tells),
every system call of the machine takes a little longer while it runs: the tracepoints
that setns and unshare are seen by then; --background does without. Without eBPF only
looks tell. docs/watch.md; the JSON: docs/json.md, `inspector schema watch`.

Exit codes: see inspector --help.";

pub(super) const RECORD_EXAMPLES: &str = "\
Examples:
  inspector record node.rec                this moment
  inspector record node.rec --for 10m      ten minutes; Ctrl-C ends them sooner
  inspector record node.rec --for 10m --redact
      for a report to somebody else: no name of yours is in there
  inspector pods --replay node.rec         any command answers from it, anywhere,
                                           without privileges; as of its end, or
  inspector explain web --replay node.rec --at +42s
  inspector watch --replay node.rec        what happened

What happens is packed (zcat shows it, a JSON object a line) and written at least
once a second: whatever ends the recording, what is in the file can be replayed.
A moment is plain text. docs/recordings.md has more.

Exit codes: see inspector --help.";
