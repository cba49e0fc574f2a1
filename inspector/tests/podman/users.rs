//! Another user's Podman: whatever it says is that user's word, and proves nothing about the processes of others.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::check::pods;
use crate::machine::Machine;
use crate::support::answer::list;
use crate::support::run::{inspector, wait_until};

trials![a_users_socket_is_that_users_word];

/// The argument that makes this binary a relay: who connects to the one socket talks to the other.
pub const RELAY: &str = "--relay";
/// A user that owns nothing on any machine.
const UID: u32 = 59_871;

/// Listens on one socket and passes all on to another, as whoever runs it.
pub fn relay(listen: &Path, upstream: &Path) -> ExitCode {
    let Ok(listener) = UnixListener::bind(listen) else { return ExitCode::FAILURE };
    for client in listener.incoming().flatten() {
        let upstream = upstream.to_owned();
        thread::spawn(move || -> io::Result<()> {
            let server = UnixStream::connect(upstream)?;
            let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || io::copy(&mut from_client, &mut to_server));
            io::copy(&mut &server, &mut &client)?;
            client.shutdown(std::net::Shutdown::Both)
        });
    }
    ExitCode::SUCCESS
}

struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_users_socket_is_that_users_word(machine: &'static Machine) {
    // The user's own process, and root's: the user claims both.
    let own = machine.run("own", &["--network=none", "--user", &UID.to_string()], &["sleep", "3600"]);
    let roots = machine.run("roots", &["--network=none"], &["sleep", "3600"]);
    let real = machine.folder.join("podman.sock");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o666)).unwrap();
    let folder = machine.scratch("user");
    std::os::unix::fs::chown(&folder, Some(UID), Some(UID)).unwrap();
    let (socket, program) = (folder.join("podman.sock"), folder.join("relay"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let id = format!("--reuid={UID}");
    let relay = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", &id, &format!("--regid={UID}"), "--clear-groups"])
        .arg(&program)
        .arg(RELAY)
        .args([&socket, &real])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _relay = Relay(relay);
    wait_until("the user's socket", || UnixStream::connect(&socket).is_ok());

    let flag = format!("--socket=podman={}", socket.display());
    let file = folder.join("recording");
    inspector(["record", file.to_str().unwrap(), &flag]).succeeded();
    let words = words_of(&file);
    for container in [&own, &roots] {
        let word = words.iter().find(|word| word["id"] == container.id.as_str()).unwrap();
        assert_eq!(word["word_of_uid"], UID, "{word:#}");
    }

    let ours = pods(&[&flag]).ours(&[&own.id, &roots.id]);
    // What the user says of its own process is believed, what it says of root's is not.
    assert_eq!(ours.container(&own.id)["identity"], "confirmed");
    for pod in &ours.pods {
        for row in list(pod, "containers").iter().filter(|row| row["id"] == roots.id.as_str()) {
            assert_ne!(row["identity"], "confirmed", "root's process, by a user's word: {row:#}");
            assert_ne!(row["name"], json!("roots"));
        }
    }
}

/// The containers in a recording.
fn words_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let documents = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    documents.filter_map(|document| find(&document)).next().unwrap_or_default()
}

fn find(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Object(fields) => match fields.get("containers") {
            Some(Value::Array(rows)) => Some(rows.clone()),
            _ => fields.values().find_map(find),
        },
        Value::Array(values) => values.iter().find_map(find),
        _ => None,
    }
}
