//! Sockets behind which no runtime is: what a broken, hostile or overloaded daemon does.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What a fake daemon does with whoever connects.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// Never accepts.
    Deaf,
    /// Accepts, reads and never answers.
    Silent,
    /// Accepts and closes.
    Closes,
    /// Answers with these bytes, whatever was asked, and closes.
    Says(&'static [u8]),
    /// Answers one byte at a time, for ever.
    Drips,
    /// A gigabyte of JSON.
    Floods,
    /// Headers without end.
    FloodsHeaders,
}

/// Serves at `path` as long as the tests run.
pub fn serve(path: &Path, behaviour: Behaviour) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        if matches!(behaviour, Behaviour::Deaf) {
            loop {
                thread::park();
            }
        }
        // The other side hangs up when it has had enough: an error here is its answer.
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, behaviour));
        }
    });
}

fn answer(mut stream: UnixStream, behaviour: Behaviour) -> std::io::Result<()> {
    if matches!(behaviour, Behaviour::Closes) {
        return Ok(());
    }
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n";
    match behaviour {
        Behaviour::Deaf | Behaviour::Closes => Ok(()),
        Behaviour::Silent => loop {
            thread::sleep(Duration::from_secs(60));
        },
        Behaviour::Says(bytes) => stream.write_all(bytes),
        Behaviour::Drips => {
            stream.write_all(head)?;
            loop {
                stream.write_all(b"[")?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Behaviour::Floods => {
            stream.write_all(head)?;
            stream.write_all(b"[")?;
            let block = b"{},".repeat(20_000);
            for _ in 0..(1_073_741_824 / block.len()) {
                stream.write_all(&block)?;
            }
            Ok(())
        }
        Behaviour::FloodsHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for _ in 0..1_000_000 {
                stream.write_all(
                    &b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(16),
                )?;
            }
            Ok(())
        }
    }
}
