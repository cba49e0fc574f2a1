//! Pictures, keys, and every size.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::story::KEPT;
use super::{Action, App, Scene};
use crate::render::samples;
use crate::render::tests::expect;
use crate::render::text::{is_plain, width};
use crate::view::{API_VERSION, Event, EventTier, EventType as T, Named, PodList};

/// Something that happened.
pub(super) fn event(event_type: T, message: &str, pod: Option<(&str, &str)>) -> Event {
    Event {
        api_version: API_VERSION,
        kind: "Event",
        sequence: 1,
        time: Some("2026-11-27T19:45:01.123456789Z".to_owned()),
        boottime_ns: 5,
        event_type,
        pod: pod.map(|(id, name)| Named { id: id.to_owned(), name: name.to_owned() }),
        container: None,
        process: None,
        namespaces: Vec::new(),
        exit: None,
        victims: Vec::new(),
        finding: None,
        lost: None,
        tier: EventTier::Fexit,
        message: message.to_owned(),
        node: None,
    }
}

fn scene(list: &PodList) -> Scene {
    Scene {
        node: list.node.name.clone(),
        heard: "told by the kernel (fentry)".to_owned(),
        pods: list.pods.clone(),
        findings: list.findings.clone(),
        lost: 0,
        gaps: list.coverage.gaps.len(),
    }
}

/// The end of a pod, as the stream tells it.
fn story(list: &PodList) -> Vec<Event> {
    let pod = list.pods.first().map(|pod| (pod.id.as_str(), pod.name.as_str()));
    let other = list.pods.last().map(|pod| (pod.id.as_str(), pod.name.as_str()));
    vec![
        event(T::ContainerStarted, "logger of redis runs: pid 41977, in namespaces of its own", other),
        event(T::NamespaceJoined, "busybox came into pid:[4026532184] of nginx by setns", pod),
        event(T::FindingRaised, "PNS001 non-pause-owner: nginx owns the pid namespace that busybox joined", pod),
        event(T::ContainerExited, "nginx ended by itself with code 0", pod),
        event(T::OwnerExited, "nginx, which owned pid:[4026532184], net:[4026532187] and ipc:[4026532186], is gone", pod),
        event(T::PodCollapsed, "nginx collapsed: the kernel killed busybox, because PID 1 of its PID namespace died", pod),
        event(T::Resynced, "12 events of the kernel did not arrive (12 ring-full); all tasks were read anew", None),
    ]
}

fn app(list: &PodList, colour: bool) -> App {
    let mut app = App::new("node", false, colour);
    app.update(scene(list));
    app.tell(&story(list));
    app
}

fn press(app: &mut App, keys: &str) -> Action {
    keys.chars().fold(Action::Nothing, |_, key| hit(app, code(key)))
}

/// Arrows and the like by their signs.
const fn code(key: char) -> KeyCode {
    match key {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\u{1b}' => KeyCode::Esc,
        '\u{8}' => KeyCode::Backspace,
        '↑' => KeyCode::Up,
        '↓' => KeyCode::Down,
        '⇞' => KeyCode::PageUp,
        '⇟' => KeyCode::PageDown,
        '⇱' => KeyCode::Home,
        '⇲' => KeyCode::End,
        key => KeyCode::Char(key),
    }
}

fn hit(app: &mut App, code: KeyCode) -> Action {
    app.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn buffer(app: &mut App, columns: u16, rows: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| app.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The picture as text.
fn picture(app: &mut App, columns: u16, rows: u16) -> String {
    let buffer = buffer(app, columns, rows);
    let mut out = String::new();
    for row in 0..rows {
        let mut line = String::new();
        let mut column = 0;
        while column < columns {
            let symbol = buffer[(column, row)].symbol();
            line.push_str(symbol);
            column += u16::try_from(width(symbol).max(1)).unwrap();
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn pictures_look_as_they_did() {
    let (article, zoo) = (samples::article(), samples::zoo());
    for (columns, rows) in [(80, 24), (60, 15), (60, 40), (120, 30), (200, 50), (20, 5)] {
        expect(&format!("tui-article-{columns}x{rows}.txt"), &picture(&mut app(&article, false), columns, rows));
    }
    expect("tui-zoo-120x40.txt", &picture(&mut app(&zoo, false), 120, 40));
    let mut detail = app(&article, false);
    press(&mut detail, "\n");
    expect("tui-detail-120x50.txt", &picture(&mut detail, 120, 50));
    expect("tui-detail-40x15.txt", &picture(&mut detail, 40, 15));
    let mut help = app(&article, false);
    press(&mut help, "?");
    expect("tui-help-80x24.txt", &picture(&mut help, 80, 24));
    let mut types = app(&article, false);
    press(&mut types, "t↓ ");
    expect("tui-types-80x24.txt", &picture(&mut types, 80, 24));
}
