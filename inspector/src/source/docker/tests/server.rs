//! A daemon on a Unix socket that behaves as a test wants, on threads of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::fixtures;

/// How it behaves.
#[derive(Clone, Debug)]
pub enum Script {
    /// As dockerd.
    Docker,
    /// As dockerd, with one listed container gone.
    Without(&'static str),
    /// As dockerd, silent about one container.
    Stuck(&'static str),
    /// As dockerd without containers.
    Empty,
    /// As dockerd, listing what are no ids.
    StrangeIds,
    /// As Podman's service.
    Podman,
    /// Listens and accepts nobody.
    NeverAccept,
    /// Accepts and closes.
    AcceptOnly,
    /// Accepts and reads, and says nothing.
    Hang,
    /// A byte of the headers every 50 ms.
    DripHeaders,
    /// A byte of the body every 50 ms.
    DripBody,
    /// A gigabyte.
    Endless,
    /// These bytes.
    Raw(&'static str),
}

/// A running server; it stops when dropped.
pub struct Server {
    shared: Arc<Shared>,
    path: std::path::PathBuf,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    open: AtomicUsize,
    most: AtomicUsize,
    targets: Mutex<Vec<String>>,
}

impl Server {
    pub fn start(path: &Path, script: Script) -> Self {
        Self::on(UnixListener::bind(path).unwrap(), path, script)
    }

    /// The kernel remembers who began to listen: a thread that has become nobody (where it may).
    pub fn as_nobody(path: &Path, script: Script) -> Self {
        let at = path.to_owned();
        let parent = path.parent().unwrap();
        fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let listener = thread::spawn(move || {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::fs::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            UnixListener::bind(&at).unwrap()
        });
        Self::on(listener.join().unwrap(), path, script)
    }

    fn on(listener: UnixListener, path: &Path, script: Script) -> Self {
        let shared = Arc::new(Shared::default());
        let server = Self { shared: Arc::clone(&shared), path: path.to_owned() };
        thread::spawn(move || {
            if matches!(script, Script::NeverAccept) {
                while !shared.stop.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, script) = (Arc::clone(&shared), script.clone());
                thread::spawn(move || {
                    let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
                    shared.most.fetch_max(open, Ordering::SeqCst);
                    // The client may hang up whenever it likes.
                    let _hung_up = serve(&stream.unwrap(), &script, &shared);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    pub fn targets(&self) -> Vec<String> {
        self.shared.targets.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _woken = UnixStream::connect(&self.path);
        let _gone = fs::remove_file(&self.path);
    }
}

fn serve(mut stream: &UnixStream, script: &Script, shared: &Shared) -> std::io::Result<()> {
    if matches!(script, Script::AcceptOnly) {
        return Ok(());
    }
    let mut target = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            target = rest.split(' ').next().unwrap_or_default().to_owned();
        }
    }
    shared.targets.lock().unwrap().push(target.clone());
    let drip = |mut stream: &UnixStream, text: &str| -> std::io::Result<()> {
        for byte in text.bytes().cycle() {
            stream.write_all(&[byte])?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    match script {
        Script::Hang => {
            while !shared.stop.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Script::Stuck(id) if target.contains(id) => {
            thread::sleep(Duration::from_secs(3));
            Ok(())
        }
        Script::DripHeaders => drip(stream, "HTTP/1.1 200 OK\r\nX: "),
        Script::DripBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
            drip(stream, " ")
        }
        Script::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")?;
            let block = vec![b' '; 1 << 20];
            (0..1024).try_for_each(|_| stream.write_all(&block))
        }
        Script::Raw(text) => stream.write_all(text.as_bytes()),
        script => match answer(script, &target) {
            Some(body) => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )?;
                for chunk in body.chunks(1000) {
                    write!(stream, "{:x}\r\n", chunk.len())?;
                    stream.write_all(chunk)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        },
    }
}

fn answer(script: &Script, target: &str) -> Option<Vec<u8>> {
    let file = |name: &str| fs::read(fixtures().join("api").join(name)).ok();
    match (target, script) {
        ("/version", Script::Podman) => {
            Some(br#"{"Version":"4.3.1","Components":[{"Name":"Podman Engine","Version":"4.3.1"}]}"#.to_vec())
        }
        ("/version", _) => file("version.json"),
        ("/info", _) => file("info.json"),
        ("/containers/json?all=1", Script::Empty) => Some(b"[]".to_vec()),
        ("/containers/json?all=1", Script::StrangeIds) => {
            Some(br#"[{"Id":"../../../info"},{"Id":"a b\r\nX: y"}]"#.to_vec())
        }
        ("/containers/json?all=1", _) => file("list.json"),
        (target, script) => {
            let id = target.strip_prefix("/containers/")?.strip_suffix("/json")?;
            let gone = matches!(script, Script::Without(gone) if *gone == id);
            if gone { None } else { file(&format!("{id}.json")) }
        }
    }
}
