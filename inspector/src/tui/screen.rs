//! Takes the terminal for a full screen, and gives it back however this ends.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, terminal};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::App;

/// Whether a full screen has the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What a full screen would need, and does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Standard input is no terminal.
    Input,
    /// Standard output is no terminal.
    Output,
    /// The terminal says that it can do nothing but lines (`TERM=dumb`).
    Cursor,
}

/// What is missing for a full screen.
#[must_use]
pub fn missing() -> Option<Missing> {
    if !io::stdin().is_terminal() {
        return Some(Missing::Input);
    }
    if !io::stdout().is_terminal() {
        return Some(Missing::Output);
    }
    std::env::var_os("TERM").is_some_and(|term| term == "dumb").then_some(Missing::Cursor)
}

/// The size of the window; 80 by 24 where the terminal does not know (a serial console).
pub(super) fn size() -> (u16, u16) {
    // No person has a larger one, and every cell of it takes memory.
    const LARGEST: (u16, u16) = (1_000, 500);
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    size.filter(|size| size.ws_col > 0 && size.ws_row > 0)
        .map_or((80, 24), |size| (size.ws_col.min(LARGEST.0), size.ws_row.min(LARGEST.1)))
}

/// A terminal that is drawn on.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    size: (u16, u16),
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take(colour: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // First, so that the message is where it can be read.
                give_back();
                before(info);
            }));
        });
        if colour {
            // --color has decided already; crossterm would read NO_COLOR once more and overrule it.
            crossterm::style::force_color_output(true);
        }
        TAKEN.store(true, Ordering::SeqCst);
        let taken = terminal::enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide))
            .and_then(|()| {
                let size = size();
                Ok(Self { terminal: fresh(size)?, size })
            });
        if taken.is_err() {
            give_back();
        }
        taken
    }

    /// Draws, in whatever size the window has now.
    pub(super) fn draw(&mut self, app: &mut App) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            // Another thread panicked, and its message stands there now.
            return Ok(());
        }
        let size = size();
        if size != self.size {
            (self.terminal, self.size) = (fresh(size)?, size);
        }
        self.terminal.draw(|frame| app.draw(frame)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// An empty screen of that size. The size is ours to say: ratatui would ask crossterm, and that one `tput`, where the
/// terminal does not know it.
fn fresh((columns, rows): (u16, u16)) -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    execute!(io::stdout(), Clear(ClearType::All))?;
    // Room for a whole picture, so that it is written at once.
    let out = BufWriter::with_capacity(64 << 10, io::stdout());
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport })
}

/// Gives the terminal back, once.
pub(super) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where even that fails there is no terminal any more.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = io::stdout().flush();
        let _ = terminal::disable_raw_mode();
    }
}

/// Gives back its modes only: somebody has stopped the output, and would stop us.
pub(super) fn give_back_modes() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = terminal::disable_raw_mode();
    }
}
