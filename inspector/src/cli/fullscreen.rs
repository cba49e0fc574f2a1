//! `inspector watch --tui`: what the stream of events has to do for it.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::rc::Rc;

use super::args::WatchArgs;
use super::failure::Failure;
use super::logging::{self, Hold};
use super::resolve::Settings;
use super::terminal::Terminal;
use crate::live::Moment;
use crate::tui::{App, Missing, Scene, Tui, Update, Updates, missing};
use crate::view::Event;

/// The whole screen, while events are shown on it.
pub struct Fullscreen {
    tui: Tui,
    hold: Hold,
    last: Rc<Cell<Option<String>>>,
}

impl Fullscreen {
    /// Starts it, where it is asked for.
    ///
    /// # Errors
    /// If there is no terminal for it.
    pub fn start(args: &WatchArgs, settings: &Settings) -> Result<Option<Self>, Failure> {
        if !args.tui {
            return Ok(None);
        }
        let why = match missing() {
            Some(Missing::Input) => Some("and standard input is none"),
            Some(Missing::Output) => Some("and standard output is none"),
            Some(Missing::Cursor) => Some("that can more than lines (TERM is dumb)"),
            None => None,
        };
        if let Some(why) = why {
            return Err(Failure::usage(format!(
                "--tui needs a terminal, {why}; leave --tui out for a line an event"
            )));
        }
        let app = App::new("", settings.all, Terminal::detect().colour(settings.color));
        let tui = Tui::start(app).map_err(|error| {
            Failure::collect(format!(
                "could not start a thread for the screen: {error}; leave --tui out, or raise the limit of processes"
            ))
        })?;
        let updates = tui.updates();
        let hold = logging::hold(move |line| {
            // What -v asks for comes many times a second; it can be read afterwards.
            if let Some(text) = line.strip_prefix("inspector: ")
                && (text.starts_with("warn: ") || text.starts_with("error: "))
            {
                updates.send(Update::Logged(text.to_owned()));
            }
        });
        Ok(Some(Self { tui, hold, last: Rc::default() }))
    }

    /// Where the stream tells what it sees.
    pub fn stage(&self, args: &WatchArgs) -> Stage {
        Stage {
            updates: self.tui.updates(),
            shown: None,
            pods: args.pod.clone(),
            last: Rc::clone(&self.last),
        }
    }

    /// Waits until whoever watches ends it; for ever, where there is none.
    ///
    /// # Errors
    /// If the terminal fails.
    pub async fn ended(screen: &mut Option<Self>) -> Result<(), Failure> {
        match screen {
            None => std::future::pending().await,
            Some(screen) => screen.tui.ended().await.map_err(|error| {
                Failure::collect(format!(
                    "could not draw on this terminal: {error}; leave --tui out for a line an event"
                ))
            }),
        }
    }

    /// Gives the terminal back, and leaves the event on it that was waited for.
    pub async fn end(screen: Option<Self>) {
        let Some(Self { tui, hold, last }) = screen else { return };
        tui.end().await;
        // Only now can what was held back be read.
        drop(hold);
        if let Some(line) = last.take() {
            // It has been on the screen already.
            let _ = io::stdout().write_all(line.as_bytes());
        }
    }
}

/// What the stream tells the screen.
pub struct Stage {
    updates: Updates,
    /// What was sent last.
    shown: Option<Scene>,
    /// The pods that are asked for; all, where none is.
    pods: Vec<String>,
    /// The line that is to be left on the terminal.
    last: Rc<Cell<Option<String>>>,
}

impl Stage {
    /// Shows how the node is now, where that is news. `heard` says in a word or two how changes are noticed, `lost` how many
    /// events of the kernel did not arrive since the beginning.
    pub fn show(&mut self, moment: &Moment, heard: &str, lost: u64) {
        let node = &moment.observation().node.name;
        let gaps = moment.observation().gaps.iter().filter(|gap| gap.could_change_verdict).count();
        let wanted = |id: &str, name: &str| {
            self.pods.is_empty() || self.pods.iter().any(|it| it == name || id.starts_with(it.as_str()))
        };
        let pods = || moment.pods().iter().filter(|pod| wanted(&pod.id, &pod.name));
        let findings = || {
            moment.judgement().findings.iter().filter(|finding| {
                self.pods.is_empty() || pods().any(|pod| finding.subject.pod.as_ref() == Some(&pod.id))
            })
        };
        let known = self.shown.as_ref().is_some_and(|shown| {
            (shown.lost, shown.gaps, shown.heard.as_str(), &shown.node) == (lost, gaps, heard, node)
                && shown.pods.iter().eq(pods())
                && shown.findings.iter().eq(findings())
        });
        if known {
            return;
        }
        let scene = Scene {
            node: node.clone(),
            heard: heard.to_owned(),
            pods: pods().cloned().collect(),
            findings: findings().cloned().collect(),
            lost,
            gaps,
        };
        self.updates.send(Update::State(Box::new(scene.clone())));
        self.shown = Some(scene);
    }

    /// Shows an event; the last one, as a line of the terminal's too.
    pub fn tell(&self, event: Event, line: Option<String>) {
        self.last.set(line);
        self.updates.send(Update::Events(vec![event]));
    }

    /// Says that the node could not be looked at.
    pub fn fail(&mut self, why: &str) {
        // Whatever is seen next takes it back.
        self.shown = None;
        self.updates.send(Update::Failed(why.to_owned()));
    }
}
