//! stub until merge
use crate::observation::*;
use crate::view::Class;
pub(super) fn classify(tasks: &[(&Task, Option<&Behaviour>)], _command: &[String], _node: &Node) -> (Class, String) {
    if tasks.iter().any(|(_, b)| b.is_none()) { return (Class::Unknown, "unread".into()) }
    if tasks.iter().all(|(_, b)| b.is_some_and(|b| b.waits.iter().all(|w| *w == Wait::Signal) && b.sockets == Some(0))) { (Class::Pause, "waits for signals".into()) } else { (Class::Application, "works".into()) }
}
pub(super) fn classify_command(argv: &[String]) -> (Class, String) {
    match argv.first().map(String::as_str) { None => (Class::Unknown, "no command".into()), Some("/pause"|"sleep") => (Class::Pause, "sleeper".into()), Some(c) => (Class::Application, format!("it was told to run {c}")) }
}
