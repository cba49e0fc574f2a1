//! All about one pod.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::state::{App, Detail, Focus};
use crate::render::findings::{self, groups, statements};
use crate::render::text::{fit, wrap};
use crate::render::{Tone, words};
use crate::view::{Container, Finding, Namespace, Pod};

/// Lines that are shown of a pod at most; nobody reads more, and a hostile one could be of millions.
const LONGEST: usize = 5_000;

/// The longest of its texts, in columns.
const TEXT: usize = 2_000;

/// Lines of a text, indented and wrapped.
struct Text<'a> {
    app: &'a App,
    room: usize,
    lines: Vec<Line<'static>>,
}

impl Text<'_> {
    fn line(&mut self, text: &str, indent: usize, tone: Tone) {
        if self.lines.len() >= LONGEST {
            return;
        }
        let indent = indent.min(self.room / 4);
        for text in wrap(&fit(text, TEXT), self.room.saturating_sub(indent)) {
            let text = format!("{}{text}", " ".repeat(indent));
            self.lines.push(Line::from(self.app.span(text, tone)));
        }
    }

    fn heading(&mut self, text: &str) {
        self.lines.push(Line::default());
        self.line(text, 0, Tone::Strong);
    }
}

impl App {
    pub(super) fn draw_detail(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let Some(detail) = &self.detail else { return };
        let title = format!("Pod {}", words::pod_name(&detail.pod));
        // The bottom of the frame says where one is; what is inside does not depend on it.
        let inner = self.frame(frame, area, &title, "", Focus::Right);
        let (room, height) = (usize::from(inner.width), usize::from(inner.height));
        let lines = self.detail_lines(detail, room);
        let most = lines.len().saturating_sub(height);
        let scrolled = self.scrolled.min(most);
        if self.focus == Focus::Right {
            self.page = height.saturating_sub(1).max(1);
        }
        self.scrolled = scrolled;
        if most > scrolled {
            let below = format!("{} lines below", most - scrolled);
            self.frame(frame, area, &title, &below, Focus::Right);
        }
        let shown: Vec<Line<'static>> = lines.into_iter().skip(scrolled).take(height).collect();
        frame.render_widget(Paragraph::new(shown), inner);
    }

    fn detail_lines(&self, detail: &Detail, room: usize) -> Vec<Line<'static>> {
        let pod = &detail.pod;
        let mut text = Text { app: self, room, lines: Vec::new() };
        if detail.gone {
            text.line("! It is gone; so it was when it was last seen.", 0, Tone::Doubtful);
        }
        let (verdict, tone) = words::verdict(pod);
        text.line(&verdict, 0, tone);
        if !pod.why.is_empty() {
            text.line(&pod.why, 0, Tone::Plain);
        }
        text.line(&format!("{} · {}", pod.origin.name(), words::short_id(&pod.id)), 0, Tone::Dim);

        text.heading("Containers");
        for container in &pod.containers {
            container_lines(&mut text, pod, container);
        }
        if !pod.namespaces.is_empty() {
            text.heading("Namespaces");
        }
        for namespace in &pod.namespaces {
            namespace_lines(&mut text, pod, namespace);
        }
        text.heading("Findings");
        if detail.findings.is_empty() {
            text.line("none", 0, Tone::Good);
        }
        for group in groups(&detail.findings) {
            finding_lines(&mut text, &group);
        }
        text.lines
    }
}

fn container_lines(text: &mut Text<'_>, pod: &Pod, container: &Container) {
    let (state, state_tone) = words::state(container);
    let (sharing, tone) = words::sharing(pod, container, false);
    let pid = match container.init_pid {
        0 => String::new(),
        pid => format!(" · pid {pid}"),
    };
    let head = format!("{} · {} · {state}{pid}", fit(&container.name, 60), container.role.name());
    text.line(&head, 0, if state_tone == Tone::Plain { Tone::Strong } else { state_tone });
    if !sharing.is_empty() {
        text.line(&sharing, 2, tone);
    }
    let mut facts = vec![words::short_id(&container.id)];
    facts.extend(container.runtime.map(|runtime| runtime.name().to_owned()));
    facts.extend(container.image.as_deref().map(|image| fit(image, 80)));
    facts.extend(container.started_at.as_deref().map(|time| format!("since {}", fit(time, 35))));
    text.line(&facts.join(" · "), 2, Tone::Dim);
}

fn namespace_lines(text: &mut Text<'_>, pod: &Pod, namespace: &Namespace) {
    let owner = &namespace.owner;
    let named = |id: &String| match pod.containers.iter().find(|it| it.id == *id) {
        Some(container) => fit(&container.name, 32),
        None => words::short_id(id),
    };
    let members: Vec<String> = namespace.shared_by.iter().map(named).collect();
    let members = if members.is_empty() { "nobody".to_owned() } else { members.join(", ") };
    text.line(&format!("{}:[{}] with {members}", namespace.kind, namespace.inode), 0, Tone::Strong);
    let whose = owner.container.as_ref().map_or_else(|| "unknown".to_owned(), named);
    let gone = if owner.container.is_some() && !owner.alive { ", which is gone" } else { "" };
    let line = format!(
        "owner {whose}{gone} · {} · evidence: {}, {}",
        owner.class.name(),
        owner.evidence.name(),
        owner.class_evidence.name()
    );
    text.line(&line, 2, Tone::Plain);
    text.line(&owner.why, 2, Tone::Dim);
    for holder in &namespace.holders {
        let by = match (&holder.path, holder.pid) {
            (Some(path), _) => format!(" {}", fit(path, 200)),
            (None, Some(pid)) => format!(" of process {pid}"),
            (None, None) => String::new(),
        };
        text.line(&format!("held by {}{by}", holder.holder_type.name()), 2, Tone::Plain);
    }
}

fn finding_lines(text: &mut Text<'_>, group: &[&Finding]) {
    let Some(first) = group.first() else { return };
    let tone = findings::tone(first.severity);
    let kinds = match findings::kinds_of(group) {
        kinds if kinds.is_empty() => kinds,
        kinds => format!(" ({kinds})"),
    };
    let mark = if tone == Tone::Bad { "▲ " } else { "" };
    let severity = first.severity.name().to_uppercase();
    text.line(&format!("{mark}{severity} {} {}{kinds}", first.rule, first.name), 0, tone);
    for statement in statements(group, |it| vec![&it.message]) {
        text.line(&statement, 2, Tone::Plain);
    }
    let sections = [
        ("evidence", statements(group, |it| it.evidence.iter().collect())),
        ("consequence", statements(group, |it| vec![&it.consequence])),
        ("remedy", statements(group, |it| vec![&it.remedy])),
    ];
    for (label, statements) in sections.into_iter().filter(|(_, statements)| !statements.is_empty()) {
        text.line(label, 2, Tone::Dim);
        for statement in statements {
            text.line(&statement, 4, Tone::Plain);
        }
    }
}
