//! Log lines on standard error: one line each, harmless whatever they quote.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use env_logger::Target;
use log::LevelFilter;

use crate::render::text::clean;

/// Starts logging: what `-v` asks for, else what RUST_LOG asks for, else warnings.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => None,
        1 => Some(LevelFilter::Info),
        2 => Some(LevelFilter::Debug),
        _ => Some(LevelFilter::Trace),
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Warn);
    match level {
        Some(level) => {
            builder.filter_module("inspector", level);
        }
        None => {
            builder.parse_default_env();
        }
    }
    builder.target(Target::Pipe(Box::new(Lines)));
    builder.format(|out, record| {
        let level = record.level().as_str().to_ascii_lowercase();
        writeln!(out, "inspector: {level}: {}", clean(&record.args().to_string()))
    });
    // Fails only where a logger runs already (a test): that one is as good.
    let _ = builder.try_init();
}

/// Lines that are held back at most.
const HELD: usize = 200;

static BACK: Mutex<Option<HeldBack>> = Mutex::new(None);

/// Lines that are held back while the whole screen is drawn on.
struct HeldBack {
    lines: VecDeque<Vec<u8>>,
    let_go: u64,
    tell: Box<dyn Fn(&str) + Send>,
}

/// Holds log lines back until it is dropped.
#[derive(Debug)]
pub struct Hold(());

/// Holds log lines back that would be written across what is drawn on the screen, and tells them to `tell`; afterwards they
/// are written. Where standard error is no terminal, they are written at once, too.
#[must_use]
pub fn hold(tell: impl Fn(&str) + Send + 'static) -> Hold {
    *back() = Some(HeldBack { lines: VecDeque::new(), let_go: 0, tell: Box::new(tell) });
    Hold(())
}

fn back() -> MutexGuard<'static, Option<HeldBack>> {
    BACK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(held) = back().take() else { return };
        let mut out = io::stderr().lock();
        if held.let_go > 0 {
            let _ = writeln!(out, "inspector: warn: {} earlier lines of the log were let go", held.let_go);
        }
        for line in held.lines {
            let _ = out.write_all(&line);
        }
    }
}

/// Standard error, or what is held back from it. A line comes in one piece.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut back = back();
        let Some(held) = back.as_mut() else { return io::stderr().write(line) };
        (held.tell)(String::from_utf8_lossy(line).trim_end());
        if !io::stderr().is_terminal() {
            return io::stderr().write(line);
        }
        held.lines.push_back(line.to_vec());
        if held.lines.len() > HELD {
            held.lines.pop_front();
            held.let_go += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
