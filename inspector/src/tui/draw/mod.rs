//! The picture: a line of state, the pods and the events, a line of keys.

mod detail;
mod events;
mod over;
mod pods;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Paragraph};

use super::state::{App, Focus, Over};
use crate::render::text::{fit, width};
use crate::render::{Tone, words};

/// The smallest window that anything can be shown in.
const SMALLEST: (u16, u16) = (20, 5);

/// From so many columns on, the panes stand side by side.
const WIDE: u16 = 80;

/// From so many lines on, they stand one above the other; below, one at a time.
const HIGH: u16 = 20;

/// From so many lines on, a pane has a border all around.
const BORDERED: u16 = 7;

impl App {
    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("window too small: needs {}x{}", SMALLEST.0, SMALLEST.1);
            let lines = crate::render::text::wrap(&text, usize::from(area.width));
            frame.render_widget(Paragraph::new(lines.into_iter().map(Line::from).collect::<Vec<_>>()), area);
            return;
        }
        // Where there is no room for a line of its own, a notice takes that of the state.
        let notices = u16::from(self.notice.is_some() && area.height >= 8);
        let [state, body, notice, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(notices),
            Constraint::Length(1),
        ])
        .areas(area);
        let [pods, right] = self.panes(body);
        if let Some(pods) = pods {
            self.draw_pods(frame, pods);
        }
        if let Some(right) = right {
            if self.detail.is_some() {
                self.draw_detail(frame, right);
            } else {
                self.draw_events(frame, right);
            }
        }
        match &self.notice {
            Some(text) => {
                let room = usize::from(area.width);
                let line = Line::styled(fit(&format!("! {text}"), room), self.style(Tone::Doubtful));
                frame.render_widget(line, if notices > 0 { notice } else { state });
                if notices > 0 {
                    self.draw_state(frame, state);
                }
            }
            None => self.draw_state(frame, state),
        }
        self.draw_keys(frame, keys);
        match self.over {
            Over::Help => self.draw_help(frame, body),
            Over::Types(place) => self.draw_types(frame, body, place),
            Over::Nothing | Over::Typing => {}
        }
    }

    /// Where the pods and the events go.
    fn panes(&self, body: Rect) -> [Option<Rect>; 2] {
        let both = |areas: [Rect; 2]| areas.map(Some);
        if body.width >= WIDE {
            let left = (body.width * 2 / 5).clamp(36, 72);
            both(Layout::horizontal([Constraint::Length(left), Constraint::Min(1)]).areas(body))
        } else if body.height >= HIGH {
            // No more than there is to show.
            let lines = self.listed().into_iter().map(|pod| pods::size(pod)).sum::<usize>().max(4) + 2;
            let most = body.height * 9 / 20;
            let upper = u16::try_from(lines).unwrap_or(most).min(most);
            both(Layout::vertical([Constraint::Length(upper), Constraint::Min(1)]).areas(body))
        } else if self.focus == Focus::Pods {
            [Some(body), None]
        } else {
            [None, Some(body)]
        }
    }

    /// Draws a pane's frame; what is inside it is left.
    fn frame(&self, frame: &mut Frame<'_>, area: Rect, title: &str, below: &str, focus: Focus) -> Rect {
        let focused = self.focus == focus && self.over == Over::Nothing;
        let bordered = area.height >= BORDERED;
        let room = usize::from(area.width).saturating_sub(4);
        let style = if focused { Style::new().add_modifier(Modifier::BOLD) } else { self.style(Tone::Dim) };
        // The mark tells the focus where neither bold nor thick lines are to be seen.
        let title = format!(" {}{} ", if focused { "● " } else { "" }, fit(title, room.saturating_sub(4)));
        let mut block = Block::new()
            .borders(if bordered { Borders::ALL } else { Borders::TOP })
            .border_type(if focused { BorderType::Thick } else { BorderType::Plain })
            .border_style(style)
            .title(Line::styled(title, style));
        if !below.is_empty() && bordered {
            block =
                block.title_bottom(Line::styled(format!(" {} ", fit(below, room)), style).right_aligned());
        }
        let inner = block.inner(area);
        frame.render_widget(block, area);
        inner
    }

    /// How a tone looks here.
    fn style(&self, tone: Tone) -> Style {
        let colour = |style: Style, colour| if self.colour { style.fg(colour) } else { style };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => bold,
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
            Tone::Good => colour(Style::new(), Color::Green),
            Tone::Doubtful => colour(bold, Color::Yellow),
            Tone::Bad => colour(bold, Color::Red),
        }
    }

    /// A piece of clean text in a tone.
    fn span(&self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    /// The line of state: what there is room for, the least important left out first.
    fn draw_state(&self, frame: &mut Frame<'_>, area: Rect) {
        let scene = &self.scene;
        let count = |number: usize, one, many| words::count(number as u64, one, many);
        // What it says, and how easily it is left out.
        let mut parts: Vec<(String, u8)> = vec![(fit(&scene.node, 40), 3)];
        if self.held.is_some() {
            parts.push((format!("HELD, {} new", self.waiting()), 0));
        }
        parts.push((count(self.listed().len(), "pod", "pods"), 2));
        parts.push((count(scene.findings.len(), "finding", "findings"), 2));
        if !self.filter.is_everything() {
            parts.push(("filtered".to_owned(), 1));
        }
        if scene.lost > 0 {
            parts.push((format!("▲ {} lost", words::count(scene.lost, "event", "events")), 1));
        } else {
            parts.push(("no event lost".to_owned(), 5));
        }
        if scene.gaps > 0 {
            parts.push((format!("? {}", count(scene.gaps, "gap", "gaps")), 4));
        }
        parts.push((fit(&scene.heard, 60), 6));
        let room = usize::from(area.width);
        let line = |parts: &[(String, u8)]| {
            let texts: Vec<&str> = parts.iter().map(|(text, _)| text.as_str()).collect();
            format!(" {} ", texts.join(" │ "))
        };
        while parts.len() > 1 && width(&line(&parts)) > room {
            let worst = parts.iter().enumerate().max_by_key(|(_, (_, luxury))| *luxury);
            let Some((worst, _)) = worst else { break };
            parts.remove(worst);
        }
        let text = fit(&line(&parts), room);
        let padding = " ".repeat(room.saturating_sub(width(&text)));
        let style = Style::new().add_modifier(Modifier::REVERSED);
        frame.render_widget(Line::styled(text + &padding, style), area);
    }

    /// The line of keys: those that matter now, as many as there is room for.
    fn draw_keys(&self, frame: &mut Frame<'_>, area: Rect) {
        let room = usize::from(area.width);
        if self.over == Over::Typing {
            // The end of what is typed is what one looks at.
            let typed = crate::render::text::fit_end(&self.filter.text, room.saturating_sub(8));
            let line = Line::from(vec![
                self.span(format!("/{typed}"), Tone::Strong),
                self.span(fit("▏ Enter keeps, Esc drops", room.saturating_sub(1 + width(&typed))), Tone::Dim),
            ]);
            frame.render_widget(line, area);
            return;
        }
        let keys: &[(&str, &str)] = match self.over {
            Over::Help => &[("Esc", "close"), ("q", "end"), ("↑↓", "move")],
            Over::Types(_) => {
                &[("Esc", "close"), ("Space", "toggle"), ("a", "all"), ("n", "none"), ("q", "end")]
            }
            _ if self.detail.is_some() => {
                &[("?", "help"), ("q", "end"), ("Esc", "close"), ("↑↓", "move"), ("Tab", "pane")]
            }
            _ => &[
                ("?", "help"),
                ("q", "end"),
                ("Tab", "pane"),
                ("Enter", "detail"),
                ("f", "this pod"),
                ("/", "text"),
                ("t", "types"),
                ("p", "hold"),
                ("c", "clear filters"),
                ("w", "wrap"),
                ("a", "all pods"),
            ],
        };
        let mut spans = Vec::new();
        let mut used = 0;
        for (key, what) in keys {
            let more = width(key) + width(what) + 3;
            if used + more > room + 1 {
                break;
            }
            used += more;
            spans.push(self.span(format!(" {key}"), Tone::Strong));
            spans.push(self.span(format!(" {what} "), Tone::Dim));
        }
        frame.render_widget(Line::from(spans), area);
    }
}
