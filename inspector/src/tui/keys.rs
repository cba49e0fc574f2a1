//! What the keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::{App, Focus, Over};
use crate::view::EventType;

/// The longest text that events can be chosen by.
const TYPED: usize = 200;

/// What to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it meant nothing.
    Nothing,
    /// Draw anew.
    Draw,
    /// End.
    Quit,
}

/// All keys, and what each does.
pub(super) const KEYS: [(&str, &str); 16] = [
    ("q  Ctrl-C", "end"),
    ("Esc", "close what is open; with nothing open, end"),
    ("?", "this help"),
    ("Tab  ← →", "go to the other pane"),
    ("↑ ↓  k j", "one up or down"),
    ("PgUp PgDn", "a page up or down"),
    ("Home  g", "to the first"),
    ("End  G", "to the last; events follow again"),
    ("Enter", "all about the marked pod, and back"),
    ("f", "only events of the marked pod, and back"),
    ("/", "only events with a text"),
    ("t", "choose types of events"),
    ("c", "show all events again"),
    ("p  Space", "hold the picture, and go on"),
    ("w", "cut long events off, or go on below"),
    ("a", "list exited pods and single processes too"),
];

/// Up and down a list.
#[derive(Clone, Copy)]
enum Step {
    Back(usize),
    On(usize),
    First,
    Last,
}

impl Step {
    /// From a place in a list of so many.
    fn taken(self, place: usize, count: usize) -> usize {
        let last = count.saturating_sub(1);
        match self {
            Self::Back(by) => place.saturating_sub(by),
            Self::On(by) => place.saturating_add(by).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}

impl App {
    /// Does what a key means.
    pub fn press(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'C')) {
            return Action::Quit;
        }
        let code = match key.code {
            KeyCode::Char(_) if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                return Action::Nothing;
            }
            code => code,
        };
        match self.over {
            Over::Typing => self.typing(code),
            Over::Help => self.in_help(code),
            Over::Types(place) => self.in_types(code, place),
            Over::Nothing => self.in_panes(code),
        }
    }

    fn typing(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Enter => self.over = Over::Nothing,
            KeyCode::Esc => {
                self.filter.text.clear();
                self.over = Over::Nothing;
            }
            KeyCode::Backspace => drop(self.filter.text.pop()),
            KeyCode::Char(c) if self.filter.text.chars().count() < TYPED => self.filter.text.push(c),
            _ => return Action::Nothing,
        }
        self.bottom = None;
        Action::Draw
    }

    fn in_help(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?') => self.over = Over::Nothing,
            _ => return self.scroll(code),
        }
        Action::Draw
    }

    fn in_types(&mut self, code: KeyCode, place: usize) -> Action {
        let all = EventType::ALL;
        match code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('t') => self.over = Over::Nothing,
            KeyCode::Char(' ' | 'x') => {
                if let Some(event_type) = all.get(place)
                    && !self.filter.without.remove(event_type)
                {
                    self.filter.without.insert(*event_type);
                }
            }
            KeyCode::Char('a') => self.filter.without.clear(),
            KeyCode::Char('n') => self.filter.without = all.into_iter().collect(),
            _ => match step(code, self.page) {
                Some(step) => self.over = Over::Types(step.taken(place, all.len())),
                None => return Action::Nothing,
            },
        }
        self.bottom = None;
        Action::Draw
    }

    fn in_panes(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc if self.detail.is_some() => self.close(),
            KeyCode::Esc if self.notice.is_some() => self.notice = None,
            KeyCode::Esc => return Action::Quit,
            KeyCode::Char('?') => (self.over, self.scrolled) = (Over::Help, 0),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = if self.focus == Focus::Pods { Focus::Right } else { Focus::Pods };
            }
            KeyCode::Left | KeyCode::Char('h') => self.focus = Focus::Pods,
            KeyCode::Right | KeyCode::Char('l') => self.focus = Focus::Right,
            KeyCode::Enter if self.detail.is_some() => self.close(),
            KeyCode::Enter => {
                self.open();
                if self.detail.is_some() {
                    self.focus = Focus::Right;
                }
            }
            KeyCode::Char('f') => {
                let marked = self.marked().map(|pod| pod.id.clone());
                // Of another pod than before: that one now.
                self.filter.pod = if self.filter.pod == marked { None } else { marked };
                self.bottom = None;
            }
            KeyCode::Char('/') => {
                self.detail = None;
                self.over = Over::Typing;
                self.focus = Focus::Right;
            }
            KeyCode::Char('t') => self.over = Over::Types(0),
            KeyCode::Char('c') => {
                self.filter = super::story::Filter::default();
                self.bottom = None;
            }
            KeyCode::Char('p' | ' ') => self.hold_or_go_on(),
            KeyCode::Char('w') => self.wrap = !self.wrap,
            KeyCode::Char('a') => {
                self.all = !self.all;
                self.settle();
            }
            _ if self.focus == Focus::Pods => match step(code, self.page) {
                Some(step) => self.mark(step.taken(self.place(), self.listed().len())),
                None => return Action::Nothing,
            },
            _ if self.detail.is_some() => return self.scroll(code),
            _ => return self.through_events(code),
        }
        Action::Draw
    }

    /// Back to the events, from the pod that was open.
    fn close(&mut self) {
        self.detail = None;
        self.focus = Focus::Pods;
    }

    /// Moves a text; how far it goes, drawing it knows.
    fn scroll(&mut self, code: KeyCode) -> Action {
        let Some(step) = step(code, self.page) else { return Action::Nothing };
        self.scrolled = step.taken(self.scrolled, usize::MAX);
        Action::Draw
    }

    fn through_events(&mut self, code: KeyCode) -> Action {
        let Some(step) = step(code, self.page) else { return Action::Nothing };
        let numbers: Vec<u64> =
            self.story.matching(&self.filter, self.held).iter().map(|told| told.number).collect();
        let last = numbers.len().saturating_sub(1);
        let place = self
            .bottom
            .map_or(last, |bottom| numbers.partition_point(|number| *number <= bottom).saturating_sub(1));
        let place = step.taken(place, numbers.len());
        self.bottom = numbers.get(place).copied().filter(|_| place < last);
        Action::Draw
    }
}

fn step(code: KeyCode, page: usize) -> Option<Step> {
    let page = page.max(1);
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => Step::Back(1),
        KeyCode::Down | KeyCode::Char('j') => Step::On(1),
        KeyCode::PageUp => Step::Back(page),
        KeyCode::PageDown => Step::On(page),
        KeyCode::Home | KeyCode::Char('g') => Step::First,
        KeyCode::End | KeyCode::Char('G') => Step::Last,
        _ => return None,
    })
}
