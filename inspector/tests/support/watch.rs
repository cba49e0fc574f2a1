//! `inspector watch`, followed by a test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::run::{BINARY, inspector, patience};

/// How long to wait for an event.
const LIMIT: Duration = Duration::from_secs(20);

/// A stream of the program's, ended with the test.
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
    pub events: Vec<Value>,
}

impl Watch {
    /// Starts it, and waits until it has looked at everything once: until it tells of a container that is made for it.
    pub fn start<C>(socket: &str, run: impl Fn(usize) -> C, id: impl Fn(&C) -> String) -> Self {
        let mut child = Command::new(BINARY)
            .args(["watch", "-o", "json", socket])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut watch = Self { child, lines, events: Vec::new() };
        for attempt in 0..5 {
            let sign = run(attempt);
            let began = Instant::now();
            while began.elapsed() < patience(Duration::from_secs(3)) {
                watch.read(Duration::from_millis(100));
                if watch.position(|it| is(it, "container-started", &id(&sign))).is_some() {
                    return watch;
                }
            }
        }
        panic!("the stream never began: {:#?}", watch.events)
    }

    /// Waits for a line, at most so long, and takes all that there are.
    pub fn read(&mut self, limit: Duration) {
        let Ok(first) = self.lines.recv_timeout(limit) else { return };
        for line in std::iter::once(first).chain(self.lines.try_iter()) {
            self.events.push(serde_json::from_str(&line).unwrap());
        }
    }

    /// Where the first such event is.
    pub fn position(&self, wanted: impl Fn(&Value) -> bool) -> Option<usize> {
        self.events.iter().position(wanted)
    }

    /// Waits for an event.
    #[track_caller]
    pub fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> usize {
        let began = Instant::now();
        loop {
            if let Some(at) = self.position(&wanted) {
                return at;
            }
            assert!(began.elapsed() < patience(LIMIT), "no {what}: {:#?}", self.events);
            self.read(Duration::from_millis(100));
        }
    }

    /// Every event so far is by the schema, and none is missing.
    pub fn is_sound(&self) {
        let schema = inspector(["schema", "watch"]).succeeded();
        let schema: Value = serde_json::from_str(schema.text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (index, event) in self.events.iter().enumerate() {
            let errors: Vec<String> = validator.iter_errors(event).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}: {event:#}");
            assert_eq!(event["sequence"], json!(index + 1));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(out: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Whether it is of that type, about that container.
pub fn is(event: &Value, event_type: &str, container: &str) -> bool {
    event["type"] == event_type && event["container"]["id"] == container
}
