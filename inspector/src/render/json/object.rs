//! An object written field by field, laid out as [`super::pretty`] lays it out.
//!
//! A list of 25,000 rows has 600,000 fields, and serde_json takes longer over them than everything else takes that an
//! answer needs. This is for such rows and nothing else; a test of each holds it against the types.

/// What stands before a key that is not the first, by the depth of its object.
const BEFORE: [&[u8]; 7] = [
    b",\n\"",
    b",\n  \"",
    b",\n    \"",
    b",\n      \"",
    b",\n        \"",
    b",\n          \"",
    b",\n            \"",
];

/// An object that is open.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens one that stands `depth` levels below the top: its fields are indented by so many.
    pub fn open(out: &'o mut Vec<u8>, depth: usize) -> Self {
        out.push(b'{');
        Self { out, depth: depth.min(BEFORE.len() - 1), empty: true }
    }

    /// Closes it.
    pub fn close(self) {
        if !self.empty {
            line(self.out, self.depth - 1);
        }
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) {
        let before = BEFORE.get(self.depth).copied().unwrap_or_default();
        self.out.extend_from_slice(if self.empty { before.get(1..).unwrap_or_default() } else { before });
        self.empty = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\": ");
    }

    /// A number, or null.
    pub fn number(&mut self, name: &str, value: impl Into<Option<u64>>) {
        self.key(name);
        match value.into() {
            Some(value) => number(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A truth value, or null.
    pub fn truth(&mut self, name: &str, value: impl Into<Option<bool>>) {
        self.key(name);
        let text = match value.into() {
            Some(true) => "true",
            Some(false) => "false",
            None => "null",
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A string, or null.
    pub fn string<'s>(&mut self, name: &str, value: impl Into<Option<&'s str>>) {
        self.key(name);
        match value.into() {
            Some(value) => string(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) {
        self.key(name);
        let mut object = Object::open(self.out, self.depth + 1);
        fields(&mut object);
        object.close();
    }

    /// A list, each value written by `write` at the depth that it is told.
    pub fn list<T>(&mut self, name: &str, values: &[T], write: impl Fn(&mut Vec<u8>, &T, usize)) {
        self.key(name);
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            line(self.out, self.depth + 1);
            write(self.out, value, self.depth + 2);
        }
        if !values.is_empty() {
            line(self.out, self.depth);
        }
        self.out.push(b']');
    }
}

/// Ends a line and indents the next one.
pub fn line(out: &mut Vec<u8>, depth: usize) {
    let before = BEFORE.get(depth).copied().unwrap_or_default();
    out.extend_from_slice(before.get(1..before.len() - 1).unwrap_or_default());
}

/// A number.
pub fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A string, harmless to look at.
pub fn string(out: &mut Vec<u8>, value: &str) {
    // Without a way out in the middle, so that many bytes are looked at in one go.
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    if value.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        super::string(out, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::json::pretty;
    use crate::render::samples::HOSTILE;

    #[test]
    fn an_object_is_laid_out_as_its_value_is() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out, 1);
        object.number("zero", 0);
        object.number("all", u64::MAX);
        object.number("none", None);
        object.truth("yes", true);
        object.truth("unknown", None);
        object.string("word", "a \"b\" \\ é");
        object.string("nothing", None);
        object.list("texts", &HOSTILE, |out, text, _| string(out, text));
        object.list("empty", &[0_u8; 0], |_, _, _| {});
        object.object("inner", |inner| {
            inner.list("numbers", &[1_u64, 20], |out, value, _| number(out, *value));
            inner.object("nobody", |_| {});
        });
        object.list("objects", &[7_u64, 8], |out, value, depth| {
            let mut object = Object::open(out, depth);
            object.number("n", *value);
            object.close();
        });
        object.close();
        out.push(b'\n');
        let value = json!({
            "zero": 0, "all": u64::MAX, "none": null, "yes": true, "unknown": null, "word": "a \"b\" \\ é", "nothing": null,
            "texts": HOSTILE, "empty": [], "inner": {"numbers": [1, 20], "nobody": {}}, "objects": [{"n": 7}, {"n": 8}]
        });
        assert_eq!(String::from_utf8(out).unwrap(), pretty(&value).unwrap());
    }
}
