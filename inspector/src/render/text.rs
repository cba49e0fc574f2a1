//! Foreign text, made safe and measured.
//!
//! Names, images, paths and commands come from whoever runs on the node. Printed as they are, they can move
//! the cursor, recolour the screen, hide characters or reverse their order. Everything that reaches a terminal
//! goes through [`clean`] or [`fit`]; JSON and YAML keep the exact string, escaped by the same rule
//! ([`is_plain`]). Nothing here writes anywhere.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character can be printed as it is: it is visible (or the space), and changes nothing but its own
/// place on the screen.
///
/// False for control characters (C0, DEL, C1), format characters (bidirectional controls, zero-width ones,
/// tags), line and paragraph separators, spaces other than U+0020, and private or unassigned code points.
#[must_use]
pub fn is_plain(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    if is_ignorable(c) {
        return false;
    }
    // std escapes exactly what it holds for unprintable (Cc, Cf, Zl, Zp, Zs, Co, Cn). A combining mark counts
    // as unprintable only at the start of a string, hence the letter before it.
    let mut buffer = [b'a'; 5];
    let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..end]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// Whether a text is of ASCII that can be seen, and so plain: nearly all are. Without a way out in the middle, so that many
/// bytes are looked at in one go.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// Characters that are letters or marks by category, and invisible all the same (Unicode's
/// `Default_Ignorable_Code_Point`; its format characters are caught by category).
const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with everything that is not [plain](is_plain) written as a visible escape: `\n`, `\x1b`, `\u{202e}`.
///
/// For reading, not for parsing back: a backslash that was there stays as it is.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_visible(text) || text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_clean(&mut out, c);
    }
    Cow::Owned(out)
}

fn push_clean(out: &mut String, c: char) {
    let _ = match c {
        c if is_plain(c) => {
            out.push(c);
            Ok(())
        }
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// Columns that a clean text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// [`clean`]s a text and shortens it to `columns`, with `…` where something was cut off.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    // Look no further into a text of megabytes than can be shown; marks without a width count too, so that a
    // name cannot hide thousands of them in one column.
    let characters = columns.saturating_mul(2).saturating_add(1);
    let clean = match text.char_indices().nth(characters) {
        Some((end, _)) => clean(&text[..end]),
        None => clean(text),
    };
    let cut = clean.len() < text.len() && text.chars().nth(characters).is_some();
    if !cut && width(&clean) <= columns {
        return clean.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in clean.chars() {
        used += c.width().unwrap_or(1);
        if used >= columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Like [`fit`], and keeps the end: for paths, whose last part tells most.
#[must_use]
pub fn fit_end(text: &str, columns: usize) -> String {
    let clean = clean(text);
    if width(&clean) <= columns {
        return clean.into_owned();
    }
    let mut used = 0;
    let start = clean
        .char_indices()
        .rev()
        .take_while(|(_, c)| {
            used += c.width().unwrap_or(1).max(1);
            used < columns
        })
        .last()
        .map_or(clean.len(), |(start, _)| start);
    format!("…{}", &clean[start..])
}

/// Breaks a clean text into lines of at most `columns` (at least 8), at spaces where there are any.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word_width = width(word);
        let space = usize::from(used > 0);
        if used + space + word_width <= columns {
            push_word(&mut lines, word, space);
            used += space + word_width;
            continue;
        }
        if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        let mut rest = word;
        while word_width > columns {
            let end = prefix(rest, columns);
            push_word(&mut lines, &rest[..end], 0);
            lines.push(String::new());
            rest = &rest[end..];
            word_width = width(rest);
        }
        push_word(&mut lines, rest, 0);
        used += word_width;
    }
    lines
}

fn push_word(lines: &mut [String], word: &str, space: usize) {
    if let Some(line) = lines.last_mut() {
        if space > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
}

/// The length in bytes of the longest prefix that fits in `columns`, of one character at least.
fn prefix(text: &str, columns: usize) -> usize {
    let mut used = 0;
    let mut end = 0;
    for (start, c) in text.char_indices() {
        used += c.width().unwrap_or(1);
        if used > columns && start > 0 {
            break;
        }
        end = start + c.len_utf8();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_become_visible_escapes() {
        for (hostile, shown) in [
            ("nginx", "nginx"),
            ("日本語 ünïcode é", "日本語 ünïcode é"),
            ("e\u{301}", "e\u{301}"),
            ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
            ("a\nb\tc\rd\0\x7f", r"a\nb\tc\rd\x00\x7f"),
            ("\u{9b}2J\u{85}", r"\u{9b}2J\u{85}"),
            ("\u{202e}gpj.exe\u{2066}\u{2069}\u{202a}", r"\u{202e}gpj.exe\u{2066}\u{2069}\u{202a}"),
            ("\u{200e}\u{200f}\u{61c}", r"\u{200e}\u{200f}\u{61c}"),
            ("a\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}", r"a\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}"),
            ("\u{2028}\u{2029}\u{a0}\u{3000}", r"\u{2028}\u{2029}\u{a0}\u{3000}"),
            ("\u{e000}\u{10ffff}\u{378}", r"\u{e000}\u{10ffff}\u{378}"),
            ("\u{3164}\u{115f}\u{fe0f}\u{e0041}", r"\u{3164}\u{115f}\u{fe0f}\u{e0041}"),
            (r"run-\x2d.mount", r"run-\x2d.mount"),
        ] {
            assert_eq!(clean(hostile), shown);
        }
    }

    #[test]
    fn every_control_and_format_character_of_unicode_is_escaped() {
        let escaped = |c: char| !is_plain(c);
        assert!(('\0'..'\u{20}').chain('\u{7f}'..='\u{9f}').all(escaped));
        for range in [
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{fff9}'..='\u{fffb}',
        ] {
            assert!(range.clone().all(escaped), "{range:?}");
        }
        assert!((' '..='~').all(is_plain));
        assert!("│├└─▲…äß漢字ไทยनमस्ते🦀".chars().all(is_plain));
    }

    #[test]
    fn fit_never_exceeds_its_columns_and_marks_what_it_cut() {
        assert_eq!(fit("nginx", 5), "nginx");
        assert_eq!(fit("nginx-1", 5), "ngin…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("\x1b[31m", 5), r"\x1b…");
        assert_eq!(fit_end("/a/b/c/d", 5), "…/c/d");
        let zalgo = format!("a{}", "\u{301}".repeat(10_000));
        let long = "x\u{202e}".repeat(100_000);
        for columns in 1..40 {
            for text in ["日本語日本語日本語日本語日本語", "ab\u{301}cdef\x1b[2Jghijklm", &zalgo, &long]
            {
                let fitted = fit(text, columns);
                assert!(width(&fitted) <= columns, "{fitted:?} in {columns}");
                assert!(fitted.chars().count() <= 2 * columns + 2, "{columns}");
            }
        }
    }

    #[test]
    fn wrap_keeps_every_word_and_the_width() {
        assert_eq!(wrap("one two three four", 8), ["one two", "three", "four"]);
        assert_eq!(wrap("0123456789 ab", 8), ["01234567", "89 ab"]);
        assert_eq!(wrap("", 20), [""]);
        let text = "the quick 日本語日本語 fox jumps over averyveryverylongwordwithoutspaces and on";
        for columns in 8..60 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }
}
