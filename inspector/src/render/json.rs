//! JSON that is harmless to look at.
//!
//! A string in JSON is what it was, and parsing gives it back exactly; but whatever could act on a terminal
//! ([`is_plain`] says what) is written as `\uXXXX`, so that `cat` of an output file shows text and does nothing.

pub mod object;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::text::{is_plain, is_visible};

/// The value over several lines, indented by two spaces, with a line end.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, PrettyFormatter::new())
}

/// The value on one line, with its line end.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, CompactFormatter)
}

/// Appends the value, on the line that there is.
pub fn push(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Escaping(CompactFormatter)))
}

/// Appends one string, quoted.
fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail, nor does a string.
    let _ = text.serialize(&mut serde_json::Serializer::with_formatter(out, Escaping(CompactFormatter)));
}

fn write(value: &impl Serialize, layout: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Escaping(layout)))?;
    out.push(b'\n');
    // serde_json writes UTF-8 only; this checks instead of trusting.
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

/// The layout of another formatter, with its strings escaped.
struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    /// Gets what is left between the escapes that JSON itself asks for (`"`, `\` and C0).
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if is_visible(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| !is_plain(c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples::HOSTILE;

    #[test]
    fn what_is_printed_is_harmless_and_parses_to_the_very_string() {
        for printed in [pretty(&HOSTILE).unwrap(), line(&HOSTILE).unwrap()] {
            assert!(printed.chars().all(|c| c == '\n' || is_plain(c)), "{printed}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&printed).unwrap(), HOSTILE);
        }
    }

    #[test]
    fn keys_are_escaped_too_and_the_layout_is_the_usual_one() {
        let value = serde_json::json!({"b\u{202e}": [], "a": {"x": [1, {}]}});
        assert_eq!(line(&value).unwrap(), "{\"b\\u202e\":[],\"a\":{\"x\":[1,{}]}}\n");
        let plain = serde_json::json!({"b": [], "a": {"x": [1, {}], "y": null}, "c": "é"});
        assert_eq!(pretty(&plain).unwrap(), serde_json::to_string_pretty(&plain).unwrap() + "\n");
    }
}
