//! Prints an explanation: for people a heading, a small tree of what dies with it, and short sections.

use std::collections::BTreeMap;

use super::text::{clean, fit, width, wrap};
use super::{Format, Look, Tone, coverage, json, words, yaml};
use crate::view::{Class, Explanation, Pod, Sharing, State};

/// Columns of the labels on the left.
const LABEL: usize = 16;

/// How many of a long list are shown.
const SHOWN: usize = 12;

/// Prints it.
///
/// # Errors
/// If it cannot be serialized, which only a broken type can cause.
pub fn explanation(it: &Explanation, format: Format, look: &Look) -> serde_json::Result<String> {
    match format {
        Format::Table | Format::Wide => {
            Ok(Page { it, look, out: String::new(), wide: format == Format::Wide }.text())
        }
        Format::Json => json::pretty(it),
        Format::Yaml => yaml::document(it),
        Format::Name => Ok(name(it)),
    }
}

/// As TARGET takes it.
fn name(it: &Explanation) -> String {
    let target = &it.target;
    match (target.target_type, &target.id, target.pid) {
        ("process", _, Some(pid)) => format!("pid/{pid}\n"),
        ("namespace", ..) => match (target.namespace_kind, target.inode) {
            (Some(kind), Some(inode)) => format!("{kind}:{inode}\n"),
            _ => String::new(),
        },
        (sort, Some(id), _) => format!("{sort}/{}\n", clean(id)),
        _ => String::new(),
    }
}

/// Why it is its owner's, whatever the kind.
fn without_kind(it: &Sharing) -> String {
    it.owner.why.replacen(&format!("{} namespace", it.kind), "namespace", 1)
}

struct Page<'a> {
    it: &'a Explanation,
    look: &'a Look,
    out: String,
    wide: bool,
}

impl Page<'_> {
    fn text(mut self) -> String {
        self.heading();
        self.sharing();
        self.started();
        self.if_dies();
        self.visible();
        self.network();
        self.infra_cost();
        self.findings();
        self.out + &coverage::foot_of(&self.it.coverage, None, None, self.look)
    }

    /// A container's name by its id.
    fn container(&self, id: &str) -> String {
        let pods = self.it.pod.iter().flat_map(|pod| &pod.containers);
        let found = pods.into_iter().find(|it| it.id == id).map(|it| fit(&it.name, 40));
        found.unwrap_or_else(|| words::short_id(id))
    }

    fn list(&self, ids: &[String]) -> String {
        let mut names: Vec<String> = ids.iter().take(SHOWN).map(|id| self.container(id)).collect();
        if ids.len() > SHOWN {
            names.push(format!("{} more", ids.len() - SHOWN));
        }
        names.join(", ")
    }

    fn line(&mut self, text: &str, tone: Tone) {
        for line in wrap(text, self.look.width.unwrap_or(usize::MAX)) {
            self.out.push_str(&tone.paint(&line, self.look));
            self.out.push('\n');
        }
    }

    /// A label, and text beside it, wrapped.
    fn item(&mut self, label: &str, text: &str, tone: Tone) {
        let room = self.look.width.map_or(usize::MAX, |screen| screen.saturating_sub(LABEL + 2));
        for (index, line) in wrap(text, room.max(20)).iter().enumerate() {
            let label = if index == 0 { fit(label, LABEL - 2) } else { String::new() };
            let padding = " ".repeat(LABEL.saturating_sub(width(&label)));
            let (label, line) = (Tone::Dim.paint(&label, self.look), tone.paint(line, self.look));
            self.out.push_str(format!("  {label}{padding}{line}").trim_end());
            self.out.push('\n');
        }
    }

    fn section(&mut self, title: &str) {
        self.out.push('\n');
        self.out.push_str(&Tone::Strong.paint(title, self.look));
        self.out.push('\n');
    }

    fn heading(&mut self) {
        let target = &self.it.target;
        let name = target.name.as_deref().map(|name| fit(name, 60)).unwrap_or_default();
        let mut title = format!("{} {name}", target.target_type);
        if let Some(id) = target.id.as_deref().filter(|_| target.target_type != "process") {
            title.push_str(&format!(" ({})", words::short_id(id)));
        }
        if let Some(container) = &target.container {
            title.push_str(&format!(", {} ", container.role.name()));
            title.push_str(&words::state(container).0);
        }
        if let Some(pid) = target.pid {
            let whose = if matches!(target.target_type, "pod" | "namespace") { "owner's pid" } else { "pid" };
            title.push_str(&format!(", {whose} {pid}"));
        }
        self.line(&title, Tone::Strong);
        if let Some(pod) = self.it.pod.clone() {
            let (verdict, tone) = words::verdict(&pod);
            self.item("pod", &format!("{} · {}", words::pod_name(&pod), pod.origin.name()), Tone::Plain);
            self.item("verdict", &verdict, tone);
        }
        let why = clean(&self.it.why).into_owned();
        if !why.is_empty() {
            self.item("because", &why, Tone::Plain);
        }
        let image = self.it.target.container.as_ref().and_then(|it| it.image.clone());
        if let Some(image) = image {
            self.item("image", &clean(&image), Tone::Plain);
        }
    }

    /// Namespaces of one owner and the same company stand together.
    fn sharing(&mut self) {
        if self.it.sharing.is_empty() {
            return;
        }
        self.section("Shares");
        let sharing = self.it.sharing.clone();
        let mut groups: Vec<(Vec<&Sharing>, &Sharing)> = Vec::new();
        for it in &sharing {
            let same = groups.iter_mut().find(|(_, first)| {
                first.with == it.with
                    && first.owner.container == it.owner.container
                    && first.owner.class == it.owner.class
                    && without_kind(first) == without_kind(it)
            });
            match same {
                Some((group, _)) => group.push(it),
                None => groups.push((vec![it], it)),
            }
        }
        for (group, first) in groups {
            let kinds: Vec<&str> = group.iter().map(|it| it.kind.name()).collect();
            let with = if first.with.is_empty() { "nobody else".to_owned() } else { self.list(&first.with) };
            let owner = match &first.owner.container {
                Some(id) => self.container(id),
                None => "unknown".to_owned(),
            };
            let state =
                if first.owner.alive || first.owner.container.is_none() { "" } else { ", which is gone" };
            let class = first.owner.class.name();
            let tone = match first.owner.class {
                Class::Application if !first.with.is_empty() => Tone::Bad,
                Class::Pause | Class::RuntimePinned => Tone::Good,
                _ => Tone::Plain,
            };
            self.item(&kinds.join(" "), &format!("with {with}; owner: {owner} ({class}{state})"), tone);
            if self.wide {
                let inodes: Vec<String> =
                    group.iter().map(|it| format!("{} {}", it.kind, it.inode)).collect();
                self.item("", &inodes.join(", "), Tone::Dim);
            }
            let whose = format!("{} namespace", first.kind);
            let together = format!("{} namespaces", kinds.join(", "));
            let why = match group.len() {
                1 => first.owner.why.clone(),
                _ => first.owner.why.replacen(&whose, &together, 1),
            };
            self.item("", &clean(&why), Tone::Dim);
        }
    }

    fn started(&mut self) {
        if self.it.started.len() < 2 {
            return;
        }
        self.section("Started in this order");
        for it in self.it.started.clone().iter().take(SHOWN) {
            let age = words::age(it.started_at.as_deref(), self.it.node.time.as_deref());
            let at = it.started_at.as_deref().map(clean).unwrap_or_default();
            let age = if age.is_empty() { String::new() } else { format!(" ({age} ago)") };
            self.item(it.role.name(), &format!("{}  {at}{age}", fit(&it.name, 40)), Tone::Plain);
        }
    }

    fn if_dies(&mut self) {
        let it = &self.it.if_dies;
        if it.of.is_empty() {
            self.section("If it dies");
            self.item("", "it is not alive, or nobody owns it: nothing dies with it", Tone::Plain);
            return;
        }
        let title = match self.it.target.target_type {
            "pod" | "namespace" => "If its owner dies",
            _ => "If it dies",
        };
        self.section(title);
        self.tree();
        let if_dies = self.it.if_dies.clone();
        for orphan in &if_dies.orphaned {
            let who = if orphan.members.is_empty() {
                format!("stays, kept by {}", clean(&orphan.kept_by))
            } else {
                format!("stays, orphaned, with {}", self.list(&orphan.members))
            };
            self.item(orphan.kind.name(), &format!("{} {who}", orphan.inode), Tone::Doubtful);
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for kind in if_dies.destroyed.iter().map(|it| it.kind.name()) {
            match counts.last_mut() {
                Some((last, count)) if *last == kind => *count += 1,
                _ => counts.push((kind, 1)),
            }
        }
        let destroyed: Vec<String> = counts
            .into_iter()
            .map(|(kind, count)| if count == 1 { kind.to_owned() } else { format!("{kind} ×{count}") })
            .collect();
        if !destroyed.is_empty() {
            self.item("destroyed", &destroyed.join(" "), Tone::Plain);
        }
        for text in &if_dies.restart {
            self.item("restart", &clean(text), Tone::Plain);
        }
    }

    /// Who dies with it, by container.
    fn tree(&mut self) {
        let killed = self.it.if_dies.killed.clone();
        if killed.is_empty() {
            self.item("killed", "nobody else", Tone::Good);
            return;
        }
        let mut by_container: BTreeMap<(Option<String>, &str), Vec<String>> = BTreeMap::new();
        for it in &killed {
            let process = format!("{} {}", it.pid, fit(&it.comm, 16));
            by_container.entry((it.container.clone(), it.by)).or_default().push(process);
        }
        let first = self.it.if_dies.of.first().copied().unwrap_or_default();
        let target = self.it.target.name.as_deref().map(|name| fit(name, 40)).unwrap_or_default();
        self.item("killed", &format!("{target} (pid {first}) takes with it:"), Tone::Bad);
        let count = by_container.len();
        for (index, ((container, by), processes)) in by_container.into_iter().enumerate() {
            let branch = if index + 1 == count { "└─" } else { "├─" };
            let whose = container.map_or_else(|| "of no container".to_owned(), |id| self.container(&id));
            let mut shown: Vec<String> = processes.iter().take(SHOWN).cloned().collect();
            if processes.len() > SHOWN {
                shown.push(format!("{} more", processes.len() - SHOWN));
            }
            self.item("", &format!("{branch} {whose}: {} · {by}", shown.join(", ")), Tone::Plain);
        }
    }

    fn visible(&mut self) {
        if self.it.visible_to.is_empty() {
            return;
        }
        self.section("Who can see it");
        let visible = self.it.visible_to.clone();
        for it in visible.iter().take(SHOWN) {
            let who = self.container(&it.container);
            self.item(it.via, &format!("{who}: {}", clean(&it.what)), Tone::Plain);
        }
        if visible.len() > SHOWN {
            self.item("", &format!("and {} more (-o json)", visible.len() - SHOWN), Tone::Dim);
        }
    }

    fn infra_cost(&mut self) {
        let costs = self.it.infra_cost.clone();
        for (index, cost) in costs.iter().take(SHOWN).enumerate() {
            if index == 0 {
                self.section("What infra costs");
            }
            let kib = cost.resident_bytes / 1024;
            let memory = if kib < 1024 {
                format!("{kib} KiB")
            } else {
                format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
            };
            let name = self.container(&cost.container);
            let processes = if cost.processes == 1 { "process" } else { "processes" };
            let text = format!(
                "about {memory} of memory, {} ms of CPU time since its start ({} {processes})",
                cost.cpu_ms, cost.processes
            );
            self.item(&name, &text, Tone::Plain);
        }
    }

    fn network(&mut self) {
        let Some(network) = self.it.network.clone() else { return };
        self.section("Network");
        let addresses: Vec<String> = network.addresses.iter().map(|it| clean(it).into_owned()).collect();
        let addresses =
            if addresses.is_empty() { "none but localhost".to_owned() } else { addresses.join(", ") };
        self.item("addresses", &addresses, Tone::Plain);
        for it in network.listeners.iter().take(SHOWN) {
            let address = clean(&it.address);
            let place = if address.contains(':') {
                format!("[{address}]:{}", it.port)
            } else {
                format!("{address}:{}", it.port)
            };
            let whose = it.container.as_deref().map_or_else(|| "unknown".to_owned(), |id| self.container(id));
            self.item(&it.protocol, &format!("{place}  {whose}"), Tone::Plain);
        }
        if network.listeners.len() > SHOWN {
            self.item("", &format!("and {} more (-o json)", network.listeners.len() - SHOWN), Tone::Dim);
        }
        let living = |pod: &Pod| pod.containers.iter().filter(|it| it.state == State::Running).count();
        if !network.listeners.is_empty() && self.it.pod.as_ref().is_some_and(|pod| living(pod) > 1) {
            self.item("", "who shares this namespace reaches them on localhost", Tone::Dim);
        }
    }

    fn findings(&mut self) {
        if self.it.findings.is_empty() {
            return;
        }
        self.section("Findings about its pod");
        let all = self.it.findings.clone();
        for group in super::findings::groups(&all).iter().take(SHOWN) {
            let Some(first) = group.first() else { continue };
            let text = format!("{}: {}", first.severity.name(), super::findings::summary(group));
            self.item(first.rule, &text, super::findings::tone(first.severity));
        }
    }
}
