//! What is known of the place that the answer goes to, and what follows for its width and colours.

use std::io::{self, IsTerminal as _};

use super::args::Color;
use super::resolve::Settings;
use crate::render::Look;

/// What matters of standard output and the environment.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// Columns, if standard output is a terminal that knows.
    screen: Option<usize>,
    is_terminal: bool,
    columns: Option<String>,
    no_color: Option<String>,
    clicolor_force: Option<String>,
    term: Option<String>,
}

impl Terminal {
    /// Asks standard output and the environment.
    #[must_use]
    pub fn detect() -> Self {
        let variable = |name| std::env::var(name).ok();
        let stdout = io::stdout();
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        Self {
            screen: size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0),
            is_terminal: stdout.is_terminal(),
            columns: variable("COLUMNS"),
            no_color: variable("NO_COLOR"),
            clicolor_force: variable("CLICOLOR_FORCE"),
            term: variable("TERM"),
        }
    }

    /// What a table may look like here.
    #[must_use]
    pub fn look(&self, settings: &Settings, inodes: bool) -> Look {
        Look {
            width: self.width(),
            colour: self.colour(settings.color),
            headers: settings.headers,
            inodes,
            filtered_from: None,
        }
    }

    /// The terminal's columns, else those that COLUMNS says; `None` in a plain pipe or file, where nothing needs to
    /// be cut off for the eye.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        let variable =
            || self.columns.as_ref()?.parse().ok().filter(|columns| (20..=10_000).contains(columns));
        // A terminal that does not know its size (a serial console) gets what every terminal has.
        self.screen.or_else(variable).or_else(|| self.is_terminal.then_some(80))
    }

    /// Whether to use colours. An explicit choice wins, then NO_COLOR, then CLICOLOR_FORCE, then what standard
    /// output is.
    #[must_use]
    pub fn colour(&self, choice: Color) -> bool {
        let set = |variable: &Option<String>| variable.as_ref().is_some_and(|value| !value.is_empty());
        match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set(&self.no_color) => false,
            Color::Auto if set(&self.clicolor_force) && self.clicolor_force.as_deref() != Some("0") => true,
            Color::Auto => self.is_terminal && self.term.as_deref() != Some("dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn the_width_is_the_terminals_else_columns_else_none() {
        let pipe = Terminal::default();
        let terminal = Terminal { is_terminal: true, ..Terminal::default() };
        for (place, width) in [
            (pipe.clone(), None),
            (Terminal { columns: text("132"), ..pipe.clone() }, Some(132)),
            (Terminal { columns: text("0"), ..pipe.clone() }, None),
            (Terminal { columns: text("wide"), ..pipe }, None),
            (terminal.clone(), Some(80)),
            (Terminal { screen: Some(200), columns: text("132"), ..terminal.clone() }, Some(200)),
            (Terminal { columns: text("132"), ..terminal }, Some(132)),
        ] {
            assert_eq!(place.width(), width, "{place:?}");
        }
    }

    #[test]
    fn colours_are_where_they_are_wanted() {
        let pipe = Terminal::default();
        let terminal = Terminal { is_terminal: true, ..Terminal::default() };
        for (place, auto) in [
            (pipe.clone(), false),
            (terminal.clone(), true),
            (Terminal { no_color: text("1"), ..terminal.clone() }, false),
            (Terminal { no_color: text(""), ..terminal.clone() }, true),
            (Terminal { term: text("dumb"), ..terminal.clone() }, false),
            (Terminal { clicolor_force: text("1"), ..pipe.clone() }, true),
            (Terminal { clicolor_force: text("0"), ..pipe.clone() }, false),
            (Terminal { clicolor_force: text("1"), no_color: text("1"), ..pipe }, false),
        ] {
            assert_eq!(place.colour(Color::Auto), auto, "{place:?}");
            assert!(place.colour(Color::Always) && !place.colour(Color::Never));
        }
    }
}
