//! What a command would do, for an owner that is dead: one that only sleeps, or anything else.

use super::script::only_sleeps;
use super::{ClassVerdict, INITS, MULTI_CALL, SHELLS};
use crate::view::Class;

/// `tini -- sh -c 'exec busybox sleep 1h'` is three deep; hostile input may be deeper than the stack.
const MAX_DEPTH: usize = 8;

/// Classifies a declared command: the program and its arguments.
#[must_use]
pub fn classify_command(argv: &[String]) -> ClassVerdict {
    let Some(program) = argv.first() else {
        return ClassVerdict::new(Class::Unknown, "nothing declares its command");
    };
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    match sleeper(&words, MAX_DEPTH) {
        Some(what) => ClassVerdict::new(Class::Pause, format!("its command, {what}, only waits")),
        None => ClassVerdict::new(Class::Application, format!("its command, {program}, is no known sleeper")),
    }
}

/// The name of the sleeper that this command comes to, if it does nothing but sleep.
pub(super) fn sleeper(argv: &[&str], depth: usize) -> Option<&'static str> {
    let depth = depth.checked_sub(1)?;
    let (path, arguments) = argv.split_first()?;
    let program = path.rsplit('/').next()?;
    match program {
        "pause" => Some("pause"),
        // OpenShift's pause.
        "pod" if *path == "/usr/bin/pod" => Some("pause"),
        "sleep" => is_sleep(arguments).then_some("sleep"),
        "tail" => follows_nothing(arguments).then_some("tail -f /dev/null"),
        "catatonit" if arguments == ["-P"] => Some("catatonit -P"),
        _ if INITS.contains(&program) => sleeper(after_init_options(program, arguments)?, depth),
        _ if MULTI_CALL.contains(&program) => match arguments.split_first() {
            Some((first, rest)) if first.starts_with("--coreutils-prog=") => {
                let mut inner = vec![first.strip_prefix("--coreutils-prog=")?];
                inner.extend_from_slice(rest);
                sleeper(&inner, depth)
            }
            _ => sleeper(arguments, depth),
        },
        _ if SHELLS.contains(&program) => {
            only_sleeps(shell_script(arguments)?, depth).then_some("a script of sleeps")
        }
        _ => None,
    }
}

/// `sleep`'s arguments: durations, or variables that can only hold some.
fn is_sleep(arguments: &[&str]) -> bool {
    let arguments = if arguments.first() == Some(&"--") { &arguments[1..] } else { arguments };
    !arguments.is_empty()
        && arguments.iter().all(|argument| is_duration(argument) || argument.starts_with('$'))
}

fn is_duration(text: &str) -> bool {
    if matches!(text.to_ascii_lowercase().as_str(), "inf" | "infinity" | "infd") {
        return true;
    }
    let number = text.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or(text);
    number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// `tail`'s arguments: to follow, and nothing but /dev/null or (empty) standard input.
fn follows_nothing(arguments: &[&str]) -> bool {
    let (mut follows, mut options_end) = (false, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "/dev/null" => {}
            "--" if !options_end => options_end = true,
            _ if options_end => return false,
            "--follow"
            | "--follow=name"
            | "--follow=descriptor"
            | "--retry"
            | "-q"
            | "--quiet"
            | "--silent" => {
                follows |= argument.starts_with("--follow");
            }
            // Options with a value of their own; `--pid` is none of them: it ends.
            "-n" | "-c" | "-s" | "--lines" | "--bytes" | "--sleep-interval" => {
                if rest.next().is_none() {
                    return false;
                }
            }
            _ if ["-n", "-c", "-s", "--lines=", "--bytes=", "--sleep-interval="]
                .iter()
                .any(|option| argument.starts_with(option)) => {}
            _ => match argument.strip_prefix('-') {
                // `-f`, `-F`, `-0f`, `-qf`.
                Some(letters)
                    if !letters.is_empty() && letters.chars().all(|c| "fFq0123456789".contains(c)) =>
                {
                    follows |= letters.contains(['f', 'F']);
                }
                _ => return false,
            },
        }
    }
    follows
}

/// What an init runs; `None` where it has options that we do not know.
fn after_init_options<'a>(program: &str, mut arguments: &'a [&'a str]) -> Option<&'a [&'a str]> {
    // Options of each whose value is the next word.
    let with_value: &[&str] = match program {
        "dumb-init" => &["-r", "--rewrite"],
        _ => &["-p", "-e"],
    };
    while let Some((first, rest)) = arguments.split_first() {
        if *first == "--" {
            return Some(rest);
        }
        if !first.starts_with('-') {
            break;
        }
        arguments = if with_value.contains(first) { rest.get(1..)? } else { rest };
    }
    Some(arguments)
}

/// The script after `-c`; `None` where the shell is given a file, or nothing.
fn shell_script<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut rest = arguments.iter();
    let mut has_script = false;
    while let Some(argument) = rest.next() {
        match *argument {
            "-o" | "+o" => {
                rest.next()?;
            }
            "--" => {}
            long if long.starts_with("--") => {}
            letters if letters.starts_with(['-', '+']) && letters.len() > 1 => {
                has_script |= letters.starts_with('-') && letters.contains('c');
                // `-eo pipefail`: the value of its `o` is the next word.
                if letters.ends_with('o') {
                    rest.next()?;
                }
            }
            script => return has_script.then_some(script),
        }
    }
    None
}
