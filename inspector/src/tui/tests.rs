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
use crate::view::{Event, EventTier, EventType as T, Named, PodList};

/// Something that happened.
pub(super) fn event(event_type: T, message: &str, pod: Option<(&str, &str)>) -> Event {
    Event {
        sequence: 1,
        time: "2026-11-27T19:45:01.123456789Z".parse().ok(),
        boottime_ns: 5,
        pod: pod.map(|(id, name)| Named { id: id.to_owned(), name: name.to_owned() }),
        tier: EventTier::Fexit,
        message: message.to_owned(),
        ..Event::draft(event_type)
    }
}

fn scene(list: &PodList) -> Scene {
    Scene {
        node: list.node.name.clone(),
        heard: "told by the kernel (fentry)".to_owned(),
        pods: list.pods.iter().cloned().map(Into::into).collect(),
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
        event(
            T::FindingRaised,
            "PNS001 non-pause-owner: nginx owns the pid namespace that busybox joined",
            pod,
        ),
        event(T::ContainerExited, "nginx ended by itself with code 0", pod),
        event(
            T::OwnerExited,
            "nginx, which owned pid:[4026532184], net:[4026532187] and ipc:[4026532186], is gone",
            pod,
        ),
        event(
            T::PodCollapsed,
            "nginx collapsed: the kernel killed busybox, because PID 1 of its PID namespace died",
            pod,
        ),
        event(
            T::Resynced,
            "12 events of the kernel did not arrive (12 ring-full); all tasks were read anew",
            None,
        ),
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
        expect(
            &format!("tui-article-{columns}x{rows}.txt"),
            &picture(&mut app(&article, false), columns, rows),
        );
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

/// Without the line of state.
fn below(app: &mut App) -> String {
    picture(app, 120, 30).lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[test]
fn keys_end_it_and_close_what_is_open() {
    let list = samples::article();
    for (keys, end) in [
        ("q", Action::Quit),
        ("\u{1b}", Action::Quit),
        ("?q", Action::Quit),
        ("tq", Action::Quit),
        ("?\u{1b}", Action::Draw),
        ("?\u{1b}\u{1b}", Action::Quit),
        ("t\u{1b}", Action::Draw),
        ("\n\u{1b}", Action::Draw),
        ("\n\u{1b}\u{1b}", Action::Quit),
        ("/q", Action::Draw),
        ("/q\u{1b}\u{1b}", Action::Quit),
        ("z", Action::Nothing),
    ] {
        assert_eq!(press(&mut app(&list, false), keys), end, "{keys:?}");
        for mode in ["", "?", "t", "/", "\n"] {
            let mut app = app(&list, false);
            press(&mut app, mode);
            let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(app.press(interrupt), Action::Quit, "{mode:?}");
        }
    }
}

#[test]
fn events_are_chosen_by_pod_text_and_type() {
    let list = samples::article();
    let shown = |keys: &str| {
        let mut app = app(&list, false);
        press(&mut app, keys);
        below(&mut app)
    };
    for (keys, title, there, not) in [
        ("", "Events: 7", "logger of redis", "No event"),
        ("f", "Events: 5 of 7 · pod nginx", "busybox came", "logger of redis"),
        ("ff", "Events: 7", "logger of redis", "No event"),
        ("↓f", "Events: 1 of 7 · pod pause", "logger of redis", "busybox came"),
        ("/PNS001\n", "Events: 1 of 7 · /PNS001", "non-pause-owner", "logger of redis"),
        ("/owner-Exx\u{8}", "Events: 1 of 7 · /owner-Ex", "is gone", "logger of redis"),
        ("/no such", "Events: 0 of 7", "No event matches", "logger of redis"),
        ("/no such\u{1b}", "Events: 7", "logger of redis", "No event"),
        ("tn↓ \n", "Events: 1 of 7 · 15 types hidden", "ended by itself", "logger of redis"),
        ("tna\n", "Events: 7", "logger of redis", "No event"),
        ("f/came\ntn\nc", "Events: 7", "logger of redis", "No event"),
    ] {
        let picture = shown(keys);
        let pane = picture.lines().map(|line| line.chars().skip(48).collect::<String>() + "\n");
        let pane: String = pane.collect();
        assert!(pane.contains(title) && pane.contains(there) && !pane.contains(not), "{keys:?}\n{picture}");
    }
}

#[test]
fn what_is_held_stands_still_and_nothing_is_missing_afterwards() {
    let list = samples::article();
    let mut app = app(&list, false);
    press(&mut app, "p");
    let held = below(&mut app);
    app.tell(&[event(T::PodSurvived, "pause survived", None)]);
    app.update(scene(&samples::zoo()));
    let still = below(&mut app);
    assert_eq!(still.replace("held, 1 new (p)", "held, 0 new (p)"), held);
    assert!(picture(&mut app, 120, 30).starts_with(" node-1 │ HELD, 1 new │ 2 pods"));
    press(&mut app, " ");
    let now = below(&mut app);
    assert!(now.contains("pause survived") && now.contains("node-exporter"), "{now}");
}

#[test]
fn events_follow_unless_one_looks_back() {
    let mut app = App::new("node", false, false);
    let tell = |app: &mut App, numbers: std::ops::Range<u32>| {
        let events = numbers.map(|n| event(T::NamespaceCreated, &format!("number {n}."), None));
        app.tell(&events.collect::<Vec<_>>());
    };
    tell(&mut app, 0..100);
    press(&mut app, "\t");
    assert!(below(&mut app).contains("number 99."));
    press(&mut app, "⇞");
    let back = below(&mut app);
    assert!(!back.contains("number 99.") && back.contains("newer below (End)"), "{back}");
    tell(&mut app, 100..110);
    let line = |picture: &str| picture.lines().nth(5).map(str::to_owned);
    assert_eq!(line(&below(&mut app)), line(&back), "it stands where one looks");
    press(&mut app, "⇱");
    let first = below(&mut app);
    assert!(first.contains("number 0.") && first.contains("number 5."), "{first}");
    press(&mut app, "↑↑↑↑");
    assert_eq!(below(&mut app), first);
    press(&mut app, "↓");
    assert!(!below(&mut app).contains("number 0."), "one down is seen at once");
    press(&mut app, "⇲");
    tell(&mut app, 110..111);
    assert!(below(&mut app).contains("number 110."));
}

#[test]
fn so_many_events_are_kept_and_the_rest_is_counted() {
    let mut app = App::new("node", false, false);
    let many = KEPT + 345;
    for n in 0..many {
        app.tell(&[event(T::NamespaceCreated, &format!("number {n}."), None)]);
    }
    assert!(below(&mut app).contains("Events: 2000 · 345 older let go"));
    press(&mut app, "\t⇱");
    assert!(below(&mut app).contains("number 345."));
}

#[test]
fn the_mark_stays_with_its_pod_and_a_pod_that_goes_is_still_told_of() {
    let list = samples::zoo();
    let mut app = app(&list, false);
    press(&mut app, "↓");
    assert!(below(&mut app).contains("▸ chrome"));
    let mut later = scene(&list);
    later.pods.remove(0);
    app.update(later.clone());
    assert!(below(&mut app).contains("▸ chrome"));
    press(&mut app, "\n");
    assert!(below(&mut app).contains("● Pod chrome"));
    later.pods.remove(0);
    app.update(later);
    let gone = below(&mut app);
    assert!(gone.contains("● Pod chrome") && gone.contains("It is gone"), "{gone}");
    assert!(gone.contains("▸ kube-system/coredns"), "{gone}");
}

#[test]
fn what_is_left_out_is_counted_and_shown_when_asked_for() {
    let mut app = app(&samples::zoo(), false);
    let few = below(&mut app);
    assert!(few.contains("Pods: 7") && few.contains("1 hidden (a)") && !few.contains("▸ web"), "{few}");
    press(&mut app, "a⇲");
    let all = below(&mut app);
    assert!(all.contains("Pods: 8") && !all.contains("hidden (a)") && all.contains("▸ web"), "{all}");
}

#[test]
fn a_failure_is_told_until_the_next_look() {
    let mut app = app(&samples::article(), false);
    app.fail("could not look at this node: \x1b[2J; trying again");
    assert!(below(&mut app).contains(r"! could not look at this node: \x1b[2J; trying again"));
    assert!(picture(&mut app, 40, 6).contains("! could not look"));
    app.update(scene(&samples::article()));
    assert!(!below(&mut app).contains("could not look"));
    app.log("inspector: warn: something");
    assert!(below(&mut app).contains("! inspector: warn: something"));
    press(&mut app, "\u{1b}");
    assert!(!below(&mut app).contains("something"));
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let list = samples::zoo();
    for keys in ["", "\n", "?", "t"] {
        let (mut plain, mut coloured) = (app(&list, false), app(&list, true));
        press(&mut plain, keys);
        press(&mut coloured, keys);
        let colours = |buffer: &Buffer| {
            let of = |colour: Color| buffer.content().iter().filter(|cell| cell.fg == colour).count();
            (of(Color::Red), of(Color::Green), of(Color::Yellow))
        };
        assert_eq!(colours(&buffer(&mut plain, 120, 40)), (0, 0, 0));
        let (red, green, yellow) = colours(&buffer(&mut coloured, 120, 40));
        assert!(red > 0 && green > 0 && yellow > 0, "{keys:?}");
        assert_eq!(picture(&mut plain, 120, 40), picture(&mut coloured, 120, 40));
    }
}

/// Names and texts as an attacker would choose them.
fn hostile() -> (PodList, Vec<Event>) {
    let mut list = samples::hostile();
    let mut texts: Vec<String> = samples::HOSTILE.map(str::to_owned).to_vec();
    texts.extend(["x".repeat(10_000), "日".repeat(1_500), "e".to_owned() + &"\u{301}".repeat(2_000)]);
    texts.extend([
        "\u{301}\u{302}".to_owned(),
        "a ".repeat(2_000),
        "👩‍👩‍👧‍👦".repeat(300),
        "\x1b[?1049l".repeat(300),
    ]);
    let kinds = list.pods.clone();
    for (text, pod) in texts.iter().zip(kinds.iter().cycle()) {
        let mut pod = pod.clone();
        (pod.name, pod.id) = (text.clone(), format!("{text}{}", list.pods.len()));
        (pod.why, pod.namespace) = (text.clone(), Some(text.clone()));
        for container in &mut pod.containers {
            container.name.clone_from(text);
            container.image = Some(text.clone());
        }
        list.pods.push(pod);
    }
    let of =
        |(text, pod): (&String, &crate::view::Pod)| event(T::ContainerExited, text, Some((&pod.id, text)));
    let events = texts.iter().zip(&list.pods).map(of).collect();
    (list, events)
}

fn is_harmless(buffer: &Buffer) {
    for cell in buffer.content() {
        assert!(cell.symbol().chars().all(is_plain), "{:?}", cell.symbol());
    }
}

#[test]
fn every_size_can_be_drawn_whatever_things_are_called() {
    let (list, events) = hostile();
    let columns = [1, 2, 7, 12, 18, 19, 20, 21, 26];
    let small = columns.into_iter().flat_map(|columns| (1..=9).map(move |rows| (columns, rows)));
    let large = [
        (40, 12),
        (60, 15),
        (79, 25),
        (80, 24),
        (81, 60),
        (120, 7),
        (200, 50),
        (300, 100),
        (1, 200),
        (300, 5),
    ];
    for (columns, rows) in small.chain(large) {
        let mut app = App::new("", true, true);
        is_harmless(&buffer(&mut app, columns, rows));
        app.update(scene(&list));
        app.tell(&events);
        app.log(&events[0].message);
        for keys in
            ["", "\t", "\n", "⇲", "\u{1b}", "?", "⇲", "\u{1b}", "t⇲", "\n", "/日\u{9b}", "\u{1b}w", "f", "p"]
        {
            press(&mut app, keys);
            is_harmless(&buffer(&mut app, columns, rows));
        }
    }
}

#[test]
fn no_keys_and_no_news_break_it() {
    const KEYS: &str = "?/tpfwacgGhjklnq x\n\t\u{1b}\u{8}↑↓⇞⇟⇱⇲日";
    let keys: Vec<char> = KEYS.chars().collect();
    let (list, events) = hostile();
    let scenes = [scene(&list), scene(&samples::zoo()), Scene::default(), scene(&samples::many(40))];
    let mut app = App::new("node", false, true);
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..700 {
        match random(8) {
            0 => app.update(scenes[random(scenes.len())].clone()),
            1 => app.tell(&events[..random(events.len())]),
            2 => app.fail("late"),
            _ => {
                hit(&mut app, code(keys[random(keys.len())]));
            }
        }
        if random(3) == 0 {
            let size = (u16::try_from(random(140)).unwrap() + 1, u16::try_from(random(50)).unwrap() + 1);
            is_harmless(&buffer(&mut app, size.0, size.1));
        }
    }
}
