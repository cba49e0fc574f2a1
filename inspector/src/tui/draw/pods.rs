//! The pods, with their containers below them.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::state::{App, Focus};
use crate::render::text::{fit, width};
use crate::render::{Tone, words};
use crate::view::{Container, Pod, State};

/// So many columns are worth saying in what a container shares.
const SHARING: usize = 14;

/// Lines of a pod before its containers: its name, its verdict.
const HEAD: usize = 2;

impl App {
    pub(super) fn draw_pods(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let listed = self.listed();
        let hidden = self.scene.pods.len() - listed.len();
        let title = format!("Pods: {}", listed.len());
        let below = match hidden {
            0 => String::new(),
            hidden => format!("{hidden} hidden (a)"),
        };
        drop(listed);
        let inner = self.frame(frame, area, &title, &below, Focus::Pods);
        let (room, height) = (usize::from(inner.width), usize::from(inner.height));
        let listed = self.listed();
        if listed.is_empty() {
            let text = if hidden > 0 {
                "No pod has a living container; a lists the others."
            } else {
                "No pods yet: no containers, and no processes in namespaces of their own."
            };
            let lines = crate::render::text::wrap(text, room).into_iter().map(Line::from);
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
            return;
        }
        let size = |pod: &&Arc<Pod>| size(pod);
        let marked = self.place();
        let start: usize = listed.iter().take(marked).map(size).sum();
        let end = start + listed.get(marked).map_or(0, size);
        let total: usize = listed.iter().map(size).sum();
        // The whole marked pod, else its head.
        let mut top = self.top;
        if end > top + height {
            top = end - height;
        }
        top = top.min(start).min(total.saturating_sub(height));

        let mut lines = Vec::new();
        let mut at = 0;
        for (place, pod) in listed.iter().enumerate() {
            let size = size(pod);
            if at + size > top && at < top + height {
                let all = self.pod_lines(pod, place == marked, room);
                lines.extend(all.into_iter().skip(top.saturating_sub(at)));
            }
            at += size;
            if lines.len() >= height {
                break;
            }
        }
        let mean = total / listed.len().max(1);
        let page = (height / mean.max(1)).max(1);
        self.top = top;
        if self.focus == Focus::Pods {
            self.page = page;
        }
        frame.render_widget(Paragraph::new(lines), inner);
    }

    fn pod_lines(&self, pod: &Pod, marked: bool, room: usize) -> Vec<Line<'static>> {
        let focused = self.focus == Focus::Pods;
        let findings = self.scene.findings.iter().filter(|it| it.subject.pod.as_ref() == Some(&pod.id));
        let mut about = format!(" · {}", pod.origin.name());
        match findings.count() {
            0 => {}
            count => about += &format!(" · {}", words::count(count as u64, "finding", "findings")),
        }
        // Of the name more than of the rest.
        let name = fit(&words::pod_name(pod), room.saturating_sub(2).max(12));
        let about = fit(&about, room.saturating_sub(2 + width(&name)));
        let mut head = Line::from(vec![
            self.span(if marked { "▸ " } else { "  " }, Tone::Strong),
            self.span(name, Tone::Strong),
            self.span(about, Tone::Dim),
        ]);
        if marked && focused {
            let used = head.width();
            head.push_span(" ".repeat(room.saturating_sub(used)));
            head = head.patch_style(Modifier::REVERSED);
        }
        let (verdict, tone) = words::verdict(pod);
        let mut lines =
            vec![head, Line::from(vec!["  ".into(), self.span(fit(&verdict, room.saturating_sub(2)), tone)])];
        let last = pod.containers.len().saturating_sub(1);
        let columns = Columns::of(pod, room);
        for (place, container) in pod.containers.iter().enumerate() {
            lines.push(self.container_line(pod, container, place == last, &columns, room));
        }
        lines
    }

    /// `  ├─◆nginx   app running owns pid net ipc`
    fn container_line(
        &self,
        pod: &Pod,
        container: &Container,
        last: bool,
        columns: &Columns,
        room: usize,
    ) -> Line<'static> {
        let (sharing, tone) = words::sharing(pod, container, false);
        let (state, state_tone) = words::state(container);
        let owner = owns(pod, container);
        let gone = container.state == State::Exited;
        let padded = |text: &str, columns: usize| {
            let text = fit(text, columns);
            let padding = " ".repeat(columns.saturating_sub(width(&text)));
            text + &padding
        };
        let mut spans = vec![
            self.span(if last { "  └─" } else { "  ├─" }, Tone::Dim),
            self.span(if owner { "◆" } else { " " }, if owner { tone } else { Tone::Plain }),
            self.span(padded(&container.name, columns.name), if gone { Tone::Dim } else { Tone::Plain }),
            self.span(format!(" {}", padded(container.role.name(), columns.role)), Tone::Dim),
            self.span(format!(" {}", padded(&state, columns.state)), state_tone),
        ];
        let rest = room.saturating_sub(columns.total());
        if rest > SHARING && !sharing.is_empty() {
            spans.push(self.span(format!(" {}", fit(&sharing, rest - 1)), tone));
        }
        Line::from(spans)
    }
}

/// How wide what is said of a pod's containers is.
struct Columns {
    name: usize,
    role: usize,
    state: usize,
}

impl Columns {
    fn of(pod: &Pod, room: usize) -> Self {
        let widest = |of: &dyn Fn(&Container) -> usize| pod.containers.iter().map(of).max().unwrap_or(0);
        let role = widest(&|it| it.role.name().len());
        let state = widest(&|it| width(&words::state(it).0));
        let name = widest(&|it| width(&fit(&it.name, 24)));
        let columns = Self { name: 0, role, state };
        // Of the rest rather the name than nothing.
        Self { name: name.min(room.saturating_sub(columns.total()).max(6)), ..columns }
    }

    /// With the branch, the mark and the gaps.
    const fn total(&self) -> usize {
        5 + self.name + 1 + self.role + 1 + self.state
    }
}

/// Lines of a pod.
pub(super) fn size(pod: &Pod) -> usize {
    HEAD + pod.containers.len()
}

/// Whether it owns a namespace that others share, dead or alive.
fn owns(pod: &Pod, container: &Container) -> bool {
    pod.namespaces.iter().any(|it| it.is_shared() && it.owner.container.as_ref() == Some(&container.id))
}
