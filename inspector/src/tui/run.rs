//! Moves keys and news into the view, and pictures out to the terminal.
//!
//! Two threads: one shows, one reads keys. Whoever looks at the node is kept waiting by neither, and keeps neither waiting.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event as Input};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::oneshot;

use super::App;
use super::keys::Action;
use super::mailbox::{Mail, Updates};
use super::screen::{self, Screen};

/// Between two pictures at least.
const PICTURE: Duration = Duration::from_millis(33);

/// How often the window's size is looked at, and whether all this has ended.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long to wait for a terminal that takes nothing (a connection that hangs).
const PATIENCE: Duration = Duration::from_secs(2);

/// A view that is, or will be, on the screen.
#[derive(Debug)]
pub struct Tui {
    updates: Updates,
    ended: oneshot::Receiver<io::Result<()>>,
    /// What it ended with, once it was asked.
    over: bool,
}

impl Tui {
    /// Starts it. The terminal is taken with the first [`super::Update::State`]: until then there is nothing to show, and what goes
    /// wrong is told as always.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn start(app: App) -> io::Result<Self> {
        let updates = Updates::default();
        let (tell, ended) = oneshot::channel();
        let inbox = updates.clone();
        thread::Builder::new().name("screen".to_owned()).spawn(move || {
            let inbox = Closing(inbox);
            let result = show(app, &inbox.0);
            drop(inbox);
            // Nobody waits for it where the program ends anyway.
            let _ = tell.send(result);
        })?;
        Ok(Self { updates, ended, over: false })
    }

    /// Where to send news.
    #[must_use]
    pub fn updates(&self) -> Updates {
        self.updates.clone()
    }

    /// Waits until somebody ends it.
    ///
    /// # Errors
    /// If the terminal cannot be drawn on or read from.
    pub async fn ended(&mut self) -> io::Result<()> {
        let result = (&mut self.ended).await;
        self.over = true;
        result.unwrap_or_else(|_| Err(bug()))
    }

    /// Ends it, and waits until the terminal is as it was.
    pub async fn end(mut self) {
        self.updates.close();
        if !self.over && tokio::time::timeout(PATIENCE, &mut self.ended).await.is_err() {
            screen::give_back_modes();
        }
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.updates.close();
    }
}

fn bug() -> io::Error {
    io::Error::other("the view failed, which is a bug: please report it")
}

/// Ends both sides when one of them ends, by a panic too.
struct Closing(Updates);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Shows news until it is closed.
fn show(mut app: App, inbox: &Updates) -> io::Result<()> {
    let mut first = Mail::default();
    while first.state.is_none() {
        first = inbox.take();
        if first.closed {
            return Ok(());
        }
        // What the log said before stands on the terminal.
        first.logged = None;
    }
    let mut screen = Screen::take(app.colour)?;
    let reader = Closing(inbox.clone());
    let keys = thread::Builder::new().name("keys".to_owned()).spawn(move || read(&reader.0))?;
    let mut mail = first;
    let result = loop {
        let began = Instant::now();
        match news(&mut app, mail) {
            Action::Quit => break Ok(()),
            Action::Nothing => {}
            Action::Draw => {
                if let Err(error) = screen.draw(&mut app) {
                    break Err(error);
                }
            }
        }
        // What comes within the time of a picture is shown with the next.
        mail = inbox.take();
        if let Some(rest) = PICTURE.checked_sub(began.elapsed()).filter(|_| !mail.closed) {
            thread::sleep(rest);
        }
    };
    inbox.close();
    // Before the terminal is given back: what is typed from then on is for others.
    let read = keys.join().unwrap_or_else(|_| Err(bug()));
    drop(screen);
    result.and(read)
}

/// Makes something of everything that came.
fn news(app: &mut App, mail: Mail) -> Action {
    let Mail { state, events, failed, logged, keys, resized, closed } = mail;
    if closed {
        return Action::Quit;
    }
    let others = state.is_some() || failed.is_some() || logged.is_some() || !events.is_empty();
    let mut action = if others || resized { Action::Draw } else { Action::Nothing };
    app.tell(&Vec::from(events));
    if let Some(scene) = state {
        app.update(*scene);
    }
    if let Some(line) = logged {
        app.log(&line);
    }
    if let Some(why) = failed {
        app.fail(&why);
    }
    for key in keys {
        match app.press(key) {
            Action::Nothing => {}
            Action::Draw => action = Action::Draw,
            Action::Quit => return Action::Quit,
        }
    }
    action
}

/// Reads keys until it is closed, or nobody types any more.
fn read(inbox: &Updates) -> io::Result<()> {
    let stdin = io::stdin();
    let mut size = screen::size();
    while !inbox.is_closed() {
        // crossterm would wait for ever, and turn in circles where the terminal is gone.
        let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut descriptors, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = descriptors[0].revents();
        if ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(());
        }
        if ready.contains(PollFlags::IN) {
            let mut any = false;
            while event::poll(Duration::ZERO)? {
                any = true;
                match event::read()? {
                    Input::Key(key) => inbox.press(key),
                    Input::Resize(..) => inbox.resize(),
                    _ => {}
                }
            }
            if !any {
                // Half a sequence; the rest of it will come.
                thread::sleep(PICTURE);
            }
        }
        let now = screen::size();
        if now != size {
            size = now;
            inbox.resize();
        }
    }
    Ok(())
}
