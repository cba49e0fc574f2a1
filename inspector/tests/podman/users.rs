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
use crate::support::answer::{Ours, list};
use crate::support::executable;
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
    executable::copy(&std::env::current_exe().unwrap(), &program);
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

    let by_user = format!("--socket=podman={}", socket.display());
    let nothing = machine.scratch("no-runc");
    let no_runc = format!("--socket=oci={}", nothing.display());
    let file = folder.join("recording").display().to_string();
    inspector(["record", &file, &by_user, &no_runc]).succeeded();
    let words = words_of(Path::new(&file));
    for container in [&own, &roots] {
        let word = words.iter().find(|word| word["id"] == container.id.as_str());
        let word = word.unwrap_or_else(|| panic!("{} is not in {words:#?}", container.id));
        assert_eq!(word["word_of_uid"], UID, "{word:#}");
    }

    // What the user says of its own process is believed, what it says of root's is not.
    let ours = pods(&[&by_user, &no_runc]).ours(&[&own.id, &roots.id]);
    assert_eq!(ours.container(&own.id)["identity"], "confirmed");
    assert_eq!(ours.container(&own.id)["name"], "own");
    assert_unbelieved(&ours, &roots.id);

    // And what root's own files say stands against it.
    let file = folder.join("both").display().to_string();
    inspector(["record", &file, &by_user]).succeeded();
    let words = words_of(Path::new(&file));
    let word = words.iter().find(|word| word["id"] == roots.id.as_str()).unwrap();
    assert_eq!((&word["word_of_uid"], &word["name"]), (&Value::Null, &json!(roots.id)), "{word:#}");
}

/// Root's process is no container of that name by a user's word.
fn assert_unbelieved(ours: &Ours, id: &str) {
    for row in ours.pods.iter().flat_map(|pod| list(pod, "containers")).filter(|row| row["id"] == id) {
        assert_ne!(row["identity"], "confirmed", "root's process, by a user's word: {row:#}");
        assert_ne!(row["name"], "roots");
    }
}

/// The containers in a recording: one a line.
fn words_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let documents = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    documents.filter_map(|mut document| Some(document.get_mut("container")?.take())).collect()
}
