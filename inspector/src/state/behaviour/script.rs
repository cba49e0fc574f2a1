//! Whether a shell script does nothing but sleep.
//!
//! Deliberately a small subset of the shell: what it does not understand (pipes, substitutions, conditions,
//! functions, redirections to anything but /dev/null) is taken for work. So a mistake makes a pause look like an
//! application, never the other way round.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::command::sleeper;

/// Longer scripts do more than sleep.
const MAX_BYTES: usize = 4096;

/// Whether the script sleeps, and does nothing else.
pub(super) fn only_sleeps(script: &str, depth: usize) -> bool {
    if script.len() > MAX_BYTES {
        return false;
    }
    let Some(tokens) = tokens(script) else { return false };
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth, sleeps: false };
    parser.list().is_some() && parser.tokens.peek().is_none() && parser.sleeps
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word; whether any of it was quoted (a quoted `do` is no keyword).
    Word(String, bool),
    /// `;`, `&` or an end of line.
    End,
    /// `&&` or `||`.
    AndOr,
    /// `(`.
    Open,
    /// `)`.
    Close,
}

/// Splits a script; `None` where it has what we do not follow.
fn tokens(script: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut characters = script.chars().peekable();
    while let Some(&character) = characters.peek() {
        match character {
            ' ' | '\t' => {
                characters.next();
            }
            '#' => while characters.next_if(|c| *c != '\n').is_some() {},
            '\n' => {
                characters.next();
                found.push(Token::End);
            }
            ';' => {
                characters.next();
                // `;;` belongs to `case`.
                if characters.peek() == Some(&';') {
                    return None;
                }
                found.push(Token::End);
            }
            '&' => {
                characters.next();
                match characters.peek() {
                    Some('&') => {
                        characters.next();
                        found.push(Token::AndOr);
                    }
                    // `&>`: a redirection.
                    Some('>') => redirection(&mut characters)?,
                    _ => found.push(Token::End),
                }
            }
            '|' => {
                characters.next();
                characters.next_if_eq(&'|')?;
                found.push(Token::AndOr);
            }
            '(' => {
                characters.next();
                found.push(Token::Open);
            }
            ')' => {
                characters.next();
                found.push(Token::Close);
            }
            '<' | '>' => redirection(&mut characters)?,
            _ => {
                let (word, quoted) = word(&mut characters)?;
                // `2>`: the digit belongs to the redirection.
                let redirects = characters.peek().is_some_and(|c| matches!(c, '<' | '>'));
                if redirects && !quoted && word.chars().all(|c| c.is_ascii_digit()) {
                    redirection(&mut characters)?;
                } else {
                    found.push(Token::Word(word, quoted));
                }
            }
        }
    }
    Some(found)
}

type Characters<'a> = Peekable<std::str::Chars<'a>>;

/// A redirection to or from /dev/null, or of one descriptor to another; `None` for any other.
fn redirection(characters: &mut Characters<'_>) -> Option<()> {
    while characters.next_if(|c| matches!(c, '<' | '>')).is_some() {}
    let to_descriptor = characters.next_if_eq(&'&').is_some();
    while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    let (target, _) = word(characters)?;
    let harmless =
        if to_descriptor { matches!(target.as_str(), "1" | "2" | "-") } else { target == "/dev/null" };
    harmless.then_some(())
}

/// A word, its quotes removed; `None` where it substitutes a command's output.
fn word(characters: &mut Characters<'_>) -> Option<(String, bool)> {
    let (mut text, mut quoted) = (String::new(), false);
    while let Some(&character) = characters.peek() {
        match character {
            ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
            '`' => return None,
            '\'' => {
                characters.next();
                quoted = true;
                loop {
                    match characters.next()? {
                        '\'' => break,
                        inner => text.push(inner),
                    }
                }
            }
            '"' => {
                characters.next();
                quoted = true;
                loop {
                    match characters.next()? {
                        '"' => break,
                        '`' => return None,
                        '\\' => text.push(characters.next()?),
                        '$' => dollar(characters, &mut text)?,
                        inner => text.push(inner),
                    }
                }
            }
            '\\' => {
                characters.next();
                quoted = true;
                text.push(characters.next()?);
            }
            '$' => {
                characters.next();
                dollar(characters, &mut text)?;
            }
            _ => {
                characters.next();
                text.push(character);
            }
        }
    }
    (quoted || !text.is_empty()).then_some((text, quoted))
}

/// What follows a `$`: a variable's value is harmless, a command's output is not.
fn dollar(characters: &mut Characters<'_>, text: &mut String) -> Option<()> {
    text.push('$');
    match characters.peek() {
        // `$(…)`, `$((…))`, and bash's `$'…'`.
        Some('(' | '\'' | '"') => None,
        Some('{') => loop {
            match characters.next()? {
                '}' => {
                    text.push('}');
                    return Some(());
                }
                // A substitution within.
                '`' | '(' => return None,
                inner => text.push(inner),
            }
        },
        _ => Some(()),
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    depth: usize,
    /// Whether anything in it sleeps.
    sleeps: bool,
}

impl Parser {
    /// Commands, up to a closing word or the end.
    fn list(&mut self) -> Option<()> {
        let mut any = false;
        loop {
            while self.tokens.next_if(|token| matches!(token, Token::End | Token::AndOr)).is_some() {}
            match self.tokens.peek() {
                None | Some(Token::Close) => break,
                Some(Token::Word(word, false)) if matches!(word.as_str(), "do" | "done" | "}") => break,
                Some(_) => self.command()?,
            }
            any = true;
        }
        any.then_some(())
    }

    fn command(&mut self) -> Option<()> {
        match self.tokens.next()? {
            Token::Open => self.nested(|parser| {
                parser.list()?;
                (parser.tokens.next()? == Token::Close).then_some(())
            }),
            Token::Word(word, false) => match word.as_str() {
                "{" => self.nested(|parser| {
                    parser.list()?;
                    parser.keyword("}")
                }),
                "while" | "until" => self.nested(|parser| {
                    parser.list()?;
                    parser.keyword("do")?;
                    parser.list()?;
                    parser.keyword("done")
                }),
                _ => self.simple(word),
            },
            Token::Word(word, true) => self.simple(word),
            Token::End | Token::AndOr | Token::Close => None,
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let depth = self.depth;
        self.depth = depth.checked_sub(1)?;
        let outcome = inner(self);
        self.depth = depth;
        outcome
    }

    fn keyword(&mut self, keyword: &str) -> Option<()> {
        match self.tokens.next()? {
            Token::Word(word, false) if word == keyword => Some(()),
            _ => None,
        }
    }

    /// A simple command: a sleeper, or a builtin that only waits or sets the shell up.
    fn simple(&mut self, first: String) -> Option<()> {
        let mut words = vec![first];
        while let Some(token) = self.tokens.next_if(|token| matches!(token, Token::Word(..))) {
            if let Token::Word(word, _) = token {
                words.push(word);
            }
        }
        // `name () { … }` defines a function.
        if self.tokens.peek() == Some(&Token::Open) {
            return None;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.is_harmless(&words).then_some(())
    }

    fn is_harmless(&mut self, words: &[&str]) -> bool {
        match words {
            [":" | "true" | "false" | "wait" | "set", ..] => true,
            ["exec"] => true,
            ["exec", rest @ ..] => self.is_sleeper(rest),
            ["trap", action, ..] => is_harmless_trap(action),
            words => self.is_sleeper(words),
        }
    }

    fn is_sleeper(&mut self, words: &[&str]) -> bool {
        let sleeps = sleeper(words, self.depth).is_some();
        self.sleeps |= sleeps;
        sleeps
    }
}

/// A trap's action is harmless where it only ends things.
fn is_harmless_trap(action: &str) -> bool {
    let Some(tokens) = tokens(action) else { return false };
    tokens.split(|token| matches!(token, Token::End | Token::AndOr)).all(|command| match command {
        [] => true,
        [Token::Word(word, _), rest @ ..] => {
            matches!(
                word.as_str(),
                ":" | "true" | "exit" | "kill" | "wait" | "break" | "return" | "-" | "trap"
            ) && rest.iter().all(|token| matches!(token, Token::Word(..)))
        }
        _ => false,
    })
}
