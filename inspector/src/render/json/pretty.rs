//! The layout of [`serde_json::ser::PrettyFormatter`], byte for byte, in a third of its writes: an answer of 25,000
//! namespaces has 600,000 keys, and most of what it took was to write their indentation piece by piece.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// What stands before a value or a key that is not the first: a comma, a line end, and spaces for the deepest level.
const LINE: &[u8] = b",\n                                                                ";

/// Columns of one level.
const STEP: usize = 2;

/// Several lines, indented by two spaces.
#[derive(Default)]
pub(super) struct Pretty {
    depth: usize,
    /// Whether what is open has anything in it yet.
    filled: bool,
    /// Whether a key is being written, whose quotes are written with what is around it.
    in_key: bool,
}

impl Pretty {
    /// Ends the line and indents the next one, for `after` too.
    fn line<W: ?Sized + Write>(&self, out: &mut W, first: bool, after: &[u8]) -> io::Result<()> {
        let start = usize::from(first);
        let end = 2 + self.depth * STEP;
        match LINE.get(start..end) {
            Some(line) => {
                let mut bytes = [0; LINE.len() + 1];
                let length = line.len() + after.len();
                if let Some(room) = bytes.get_mut(..length) {
                    let (head, tail) = room.split_at_mut(line.len());
                    head.copy_from_slice(line);
                    tail.copy_from_slice(after);
                    return out.write_all(room);
                }
                out.write_all(line)?;
            }
            // Deeper than anything of ours.
            None => {
                out.write_all(LINE.get(start..2).unwrap_or_default())?;
                for _ in 0..self.depth {
                    out.write_all(b"  ")?;
                }
            }
        }
        out.write_all(after)
    }

    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.filled { self.line(out, true, bracket) } else { out.write_all(bracket) }
    }
}

impl Formatter for Pretty {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.line(out, first, b"")
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.in_key = true;
        self.line(out, first, b"\"")
    }

    fn begin_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.in_key { Ok(()) } else { out.write_all(b"\"") }
    }

    fn end_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.in_key) { out.write_all(b"\": ") } else { out.write_all(b"\"") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, _out: &mut W) -> io::Result<()> {
        Ok(())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::{Serializer, Value, json};

    use super::*;

    /// As our formatter lays it out, and as serde_json's.
    fn both(value: &impl Serialize) -> (String, String) {
        let mut out = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut out, Pretty::default())).unwrap();
        (String::from_utf8(out).unwrap(), serde_json::to_string_pretty(value).unwrap())
    }

    #[test]
    fn every_value_is_laid_out_as_serde_json_does() {
        let mut deep = json!(["bottom"]);
        for level in 0..60 {
            deep = if level % 2 == 0 { json!({"down": deep, "": null}) } else { json!([1, deep, {}]) };
        }
        for value in [
            json!(null),
            json!("text \" \\ \n"),
            json!([]),
            json!({}),
            json!([[], {}, [[]], {"a": {}}]),
            json!({"a": [], "b": {"c": [1, 2.5, -3, "x", true], "\"\n\u{1}": {"": ""}}, "d": {}}),
            deep,
        ] {
            let (ours, theirs) = both(&value);
            assert_eq!(ours, theirs);
            assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), value);
        }
        let numbers: BTreeMap<u32, Option<&[u8]>> = [(1, None), (20, Some([1].as_slice()))].into();
        let (ours, theirs) = both(&numbers);
        assert_eq!(ours, theirs);
    }
}
