//! The events, the newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::state::{App, Focus};
use super::super::story::Told;
use crate::render::text::{fit, width, wrap};
use crate::render::{Tone, events, words};
use crate::view::EventType;

/// From so many columns on, the message stands beside the type, else below it.
const ROOMY: usize = 72;

/// Columns before the message, where it stands beside: the time, a mark, the type.
const BEFORE: usize = 12 + 1 + 2 + 19 + 1;

impl App {
    pub(super) fn draw_events(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let matching = self.story.matching(&self.filter, self.held);
        let (title, count) = (self.events_title(matching.len()), matching.len());
        let last_place = count.saturating_sub(1);
        let bottom = self.bottom.map_or(last_place, |bottom| {
            matching.partition_point(|told| told.number <= bottom).saturating_sub(1)
        });
        drop(matching);
        let inner = self.frame(frame, area, &title, "", Focus::Right);
        let (room, height) = (usize::from(inner.width), usize::from(inner.height));
        let matching = self.story.matching(&self.filter, self.held);
        if matching.is_empty() {
            let text = match self.story.count() {
                0 => "Nothing has happened since this began; what does appears here.",
                _ => "No event matches; c shows all again.",
            };
            let lines = wrap(text, room).into_iter().map(Line::from);
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
            return;
        }

        // Upwards from the bottom, then, where that leaves room, downwards.
        let (mut first, mut last) = (bottom, bottom);
        let mut lines: Vec<Line<'static>> = self.event_lines(matching[bottom], room);
        if lines.len() > height {
            lines.truncate(height);
        }
        while first > 0 && lines.len() < height {
            first -= 1;
            let mut above = self.event_lines(matching[first], room);
            above.append(&mut lines);
            lines = above;
        }
        while last < last_place && lines.len() < height {
            last += 1;
            lines.extend(self.event_lines(matching[last], room));
        }
        let everything = first == 0 && last == last_place && lines.len() <= height;
        if first < bottom && lines.len() > height && last == bottom {
            lines.drain(..lines.len() - height);
        }
        let at = matching[last].number;
        if self.focus == Focus::Right {
            self.page = (last - first).max(1);
        }
        // Where it was scrolled beyond what there is.
        self.bottom = self.bottom.map(|_| at).filter(|_| !everything && last < last_place);
        let below = match last_place - last {
            0 if self.held.is_some() => format!("held, {} new (p)", self.waiting()),
            0 => String::new(),
            newer => format!("{newer} newer below (End)"),
        };
        if !below.is_empty() {
            self.frame(frame, area, &title, &below, Focus::Right);
        }
        frame.render_widget(Paragraph::new(lines), inner);
    }

    /// `Events: 3 of 120 · pod nginx · "exit" · 2 types hidden · 14 older let go`
    fn events_title(&self, matching: usize) -> String {
        let filter = &self.filter;
        let kept = self.story.count() - self.story.let_go();
        let mut title = match filter.is_everything() {
            true => format!("Events: {}", kept - self.waiting().min(kept)),
            false => format!("Events: {matching} of {kept}"),
        };
        if let Some(id) = &filter.pod {
            let pod = self.scene.pods.iter().find(|pod| pod.id == *id);
            let name = pod.map_or_else(|| words::short_id(id), |pod| words::pod_name(pod));
            title += &format!(" · pod {}", fit(&name, 32));
        }
        if !filter.text.is_empty() {
            title += &format!(" · /{}", fit(&filter.text, 24));
        }
        match filter.without.len() {
            0 => {}
            hidden => title += &format!(" · {} hidden", words::count(hidden as u64, "type", "types")),
        }
        match self.story.let_go() {
            0 => {}
            older => title += &format!(" · {older} older let go"),
        }
        title
    }

    fn event_lines(&self, told: &Told, room: usize) -> Vec<Line<'static>> {
        let tone = events::tone(told.event_type);
        let time = self.span(format!("{:<12} ", told.time), Tone::Dim);
        let mark = self.span(format!("{} ", mark(tone)), tone);
        let name = told.event_type.name();
        if room >= ROOMY {
            let room = room - BEFORE;
            let mut texts = self.texts(&told.text, room).into_iter();
            let first = texts.next().unwrap_or_default();
            let head =
                vec![time, mark, self.span(format!("{name:<20}"), tone), self.span(first, Tone::Plain)];
            let indented = |text| Line::from(format!("{}{text}", " ".repeat(BEFORE)));
            return std::iter::once(Line::from(head)).chain(texts.map(indented)).collect();
        }
        let name = fit(name, room.saturating_sub(2).max(8));
        let mut head = vec![mark, self.span(name.clone(), tone)];
        // To the second, and only beside the whole name.
        let short = fit(told.time.get(..8).unwrap_or(&told.time), 8);
        if width(&name) + 3 + 8 <= room {
            head.insert(0, self.span(format!("{short} "), Tone::Dim));
        }
        let below = self.texts(&told.text, room.saturating_sub(2)).into_iter();
        std::iter::once(Line::from(head)).chain(below.map(|text| Line::from(format!("  {text}")))).collect()
    }

    fn texts(&self, text: &str, room: usize) -> Vec<String> {
        if self.wrap { wrap(text, room) } else { vec![fit(text, room)] }
    }
}

/// What a tone is told by where there are no colours.
pub(super) const fn mark(tone: Tone) -> &'static str {
    match tone {
        Tone::Bad => "▲",
        Tone::Doubtful => "!",
        Tone::Good => "+",
        Tone::Plain | Tone::Strong | Tone::Dim => "·",
    }
}

/// The mark and the tone of a type.
pub(super) const fn look(event_type: EventType) -> (&'static str, Tone) {
    let tone = events::tone(event_type);
    (mark(tone), tone)
}
