//! Log lines on standard error: one line each, harmless whatever they quote.

use std::io::Write as _;

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
    builder.format(|out, record| {
        let level = record.level().as_str().to_ascii_lowercase();
        writeln!(out, "inspector: {level}: {}", clean(&record.args().to_string()))
    });
    // Fails only where a logger runs already (a test): that one is as good.
    let _ = builder.try_init();
}
