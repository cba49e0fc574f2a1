//! What lies above the panes: what the keys do, and which types of events are shown.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::super::keys::KEYS;
use super::super::state::App;
use super::events::look;
use crate::render::Tone;
use crate::render::text::{fit, width, wrap};
use crate::view::EventType;

/// Columns of the names of keys.
const NAMES: usize = 11;

/// What the marks mean.
const MARKS: [(&str, &str); 6] = [
    ("▸", "the marked pod"),
    ("◆", "owns a namespace that others share"),
    ("▲", "wrong: an application owns, an owner is gone, a pod collapsed"),
    ("!", "worth a second look"),
    ("+", "good news"),
    ("●", "the pane that the keys go to"),
];

impl App {
    pub(super) fn draw_help(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let columns = usize::from(area.width.min(64)).saturating_sub(4);
        let mut lines = Vec::new();
        for (name, what) in KEYS.iter().chain(&MARKS) {
            if *name == MARKS[0].0 {
                lines.push(Line::default());
            }
            for (place, what) in wrap(what, columns.saturating_sub(NAMES)).into_iter().enumerate() {
                let name = if place == 0 { *name } else { "" };
                let padding = " ".repeat(NAMES.saturating_sub(width(name)));
                lines.push(Line::from(vec![
                    self.span(name, Tone::Strong),
                    self.span(padding, Tone::Plain),
                    self.span(what, Tone::Plain),
                ]));
            }
        }
        let inner = self.popup(frame, area, "Keys", columns, lines.len());
        let height = usize::from(inner.height);
        self.page = height.saturating_sub(1).max(1);
        self.scrolled = self.scrolled.min(lines.len().saturating_sub(height));
        let shown: Vec<Line<'_>> = lines.into_iter().skip(self.scrolled).collect();
        frame.render_widget(Paragraph::new(shown), inner);
    }

    pub(super) fn draw_types(&mut self, frame: &mut Frame<'_>, area: Rect, place: usize) {
        let lines: Vec<Line<'_>> = EventType::ALL
            .into_iter()
            .enumerate()
            .map(|(at, event_type)| {
                let (mark, tone) = look(event_type);
                let shown = if self.filter.without.contains(&event_type) { "[ ]" } else { "[x]" };
                let line = Line::from(vec![
                    self.span(if at == place { "▸ " } else { "  " }, Tone::Strong),
                    self.span(format!("{shown} "), Tone::Plain),
                    self.span(format!("{mark} {:<19}", event_type.name()), tone),
                ]);
                if at == place { line.patch_style(Modifier::REVERSED) } else { line }
            })
            .collect();
        let inner = self.popup(frame, area, "Types of events", 30, lines.len());
        let height = usize::from(inner.height);
        self.page = height.max(1);
        let top = (place + 1).saturating_sub(height);
        let shown: Vec<Line<'_>> = lines.into_iter().skip(top).collect();
        frame.render_widget(Paragraph::new(shown), inner);
    }

    /// Clears a place in the middle for so many columns and lines; what is inside its frame is left.
    fn popup(&self, frame: &mut Frame<'_>, area: Rect, title: &str, columns: usize, lines: usize) -> Rect {
        let fitting = |wanted: usize, most: u16| u16::try_from(wanted).unwrap_or(most).min(most);
        let (wide, high) = (fitting(columns + 4, area.width), fitting(lines + 2, area.height));
        let place = Rect {
            x: area.x + (area.width - wide) / 2,
            y: area.y + (area.height - high) / 2,
            width: wide,
            height: high,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Clear, place);
        let title = format!(" {} ", fit(title, usize::from(wide).saturating_sub(4)));
        let block = Block::bordered().border_type(BorderType::Double).border_style(bold).title(title);
        let inner = block.inner(place);
        frame.render_widget(block, place);
        Rect { x: inner.x + u16::from(inner.width > 0), width: inner.width.saturating_sub(2), ..inner }
    }
}
