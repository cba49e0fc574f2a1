//! YAML of the same value as the JSON, in block style.
//!
//! Our own small emitter, because strings are hostile: a scalar is plain only if no reading of YAML 1.1 or 1.2
//! could take it for anything but that string, and double-quoted with every doubtful character escaped otherwise.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::text::is_plain;

/// The value as one YAML document.
pub fn document(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = String::new();
    match serde_json::to_value(value)? {
        Value::Object(map) if !map.is_empty() => object(&mut out, &map, 0),
        Value::Array(items) if !items.is_empty() => array(&mut out, &items, 0),
        leaf => {
            scalar(&mut out, &leaf);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Writes the entries at this depth; the first goes where the cursor is.
fn object(out: &mut String, map: &serde_json::Map<String, Value>, depth: usize) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        string(out, key);
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                indent(out, depth + 1);
                object(out, map, depth + 1);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, depth);
                array(out, items, depth);
            }
            leaf => {
                out.push(' ');
                scalar(out, leaf);
                out.push('\n');
            }
        }
    }
}

fn array(out: &mut String, items: &[Value], depth: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => object(out, map, depth + 1),
            Value::Array(items) if !items.is_empty() => array(out, items, depth + 1),
            leaf => {
                scalar(out, leaf);
                out.push('\n');
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Anything that takes one line.
fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => string(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

fn string(out: &mut String, text: &str) {
    if is_unmistakable(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            c if is_plain(c) => write!(out, "{c}"),
            _ if code <= 0xff => write!(out, "\\x{code:02x}"),
            _ if code <= 0xffff => write!(out, "\\u{code:04x}"),
            // Unlike JSON's, YAML's \u is a character and not half of a surrogate pair.
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out.push('"');
}

/// Whether the text, unquoted, is that string to every reader: a word that starts with a letter or a slash, without
/// spaces, and not one of the words that mean a truth value, null or a number.
fn is_unmistakable(text: &str) -> bool {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(':')
        && text.len() <= 256
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::render::samples::HOSTILE;

    #[test]
    fn what_is_printed_is_harmless_and_parses_to_the_very_string() {
        let printed = document(&HOSTILE).unwrap();
        assert!(printed.chars().all(|c| c == '\n' || is_plain(c)), "{printed}");
        assert_eq!(serde_saphyr::from_str::<Vec<String>>(&printed).unwrap(), HOSTILE);
        let keys: BTreeMap<&str, usize> =
            HOSTILE.iter().enumerate().map(|(value, key)| (*key, value)).collect();
        let parsed: BTreeMap<String, usize> = serde_saphyr::from_str(&document(&keys).unwrap()).unwrap();
        assert_eq!(parsed, keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    }

    #[test]
    fn words_that_yaml_takes_for_something_else_are_quoted() {
        for text in [
            "true",
            "No",
            "y",
            "null",
            "NaN",
            "~",
            "",
            "1",
            "0x1f",
            "1e5",
            "1:30",
            "2026-11-23",
            "-",
            "- a",
            "a: b",
            "a #b",
            "key:",
            "*a",
            "&a",
            "!t",
            "%d",
            "@a",
            "`a",
            "[a",
            "{a",
            " a",
            "a ",
        ] {
            let printed = document(&text).unwrap();
            assert!(printed.starts_with('"'), "{printed}");
            assert_eq!(serde_saphyr::from_str::<String>(&printed).unwrap(), text);
        }
        for text in
            ["nginx", "docker.io/library/nginx:1.27", "proc:12:345", "/docker/3f2a", "pid-namespace-died"]
        {
            assert_eq!(document(&text).unwrap(), format!("{text}\n"));
        }
    }

    #[test]
    fn nesting_is_that_of_the_value() {
        let value = serde_json::json!({
            "a": [], "b": {}, "c": [[1, 2], [{"x": [{"w": null}], "z": true}], []], "d": {"e": {"f": [1.5, "g h"]}}, "i": [{}]
        });
        let printed = document(&value).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&printed).unwrap(), value, "{printed}");
        assert!(
            printed.starts_with("a: []\nb: {}\nc:\n- - 1\n  - 2\n- - x:\n    - w: null\n    z: true\n"),
            "{printed}"
        );
    }
}
