//! What may reach a terminal, a log or a page: text, and nothing that acts.

/// Fails if `bytes` is not UTF-8, or holds a control character (line feeds apart) or one that reorders text.
pub fn is_clean(bytes: &[u8], what: &str) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what} is not UTF-8: {error}"));
    for (number, line) in text.lines().enumerate() {
        let bad = line.chars().find(|character| {
            character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}')
                || ('\u{202a}'..='\u{202e}').contains(character)
                || ('\u{2066}'..='\u{2069}').contains(character)
        });
        assert!(bad.is_none(), "{what}, line {}: a raw {bad:?} in {line:?}", number + 1);
    }
}
