//! GET requests to a daemon's Unix socket, for which the daemon is not trusted: every answer has a limit in
//! bytes and a limit in time, whatever the other side does or fails to do.
//!
//! It must not follow redirects, keep connections or speak anything but HTTP/1 over a Unix socket.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustix::fs::{FileType, Mode, OFlags};
use tokio::net::UnixStream;

/// Whose sockets to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Only those that root listens on.
    Root,
    /// Only those that this user listens on; for that user's own processes.
    User(u32),
    /// Whoever listens: the user named this socket.
    Anyone,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error("{0}")]
    Absent(String),
    /// The reader may not ask, or the listener is not to be believed.
    #[error("{0}")]
    Denied(String),
    /// No answer in time. The sentence says what was waited for.
    #[error("{0}")]
    Late(String),
    /// The daemon says that there is no such thing (404).
    #[error("{0}")]
    NotFound(String),
    /// An answer that is wrong or too long, or a connection that broke.
    #[error("{0}")]
    Failed(String),
}

/// A whole answer of status 200.
#[derive(Debug)]
pub struct Answer {
    /// What was said about it.
    pub headers: HeaderMap,
    /// The document.
    pub body: Bytes,
}

/// A daemon's Unix socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    trust: Trust,
}

impl Client {
    /// A client of this socket; it connects anew for each request.
    #[must_use]
    pub const fn new(socket: PathBuf, trust: Trust) -> Self {
        Self { socket, trust }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Gets one document of at most `max_bytes`, in at most `time`, from connecting to the last byte.
    ///
    /// # Errors
    /// When there is no whole answer of status 200 within the limits.
    pub async fn get(&self, target: &str, max_bytes: usize, time: Duration) -> Result<Bytes, Error> {
        Ok(self.get_with_headers(target, max_bytes, time).await?.body)
    }

    /// The same, with the answer's headers.
    ///
    /// # Errors
    /// When there is no whole answer of status 200 within the limits.
    pub async fn get_with_headers(
        &self,
        target: &str,
        max_bytes: usize,
        time: Duration,
    ) -> Result<Answer, Error> {
        tokio::time::timeout(time, self.exchange(target, max_bytes)).await.unwrap_or_else(|_| {
            Err(Error::Late(format!("GET {target} had no whole answer within {:.1} s", time.as_secs_f64())))
        })
    }

    async fn exchange(&self, target: &str, max_bytes: usize) -> Result<Answer, Error> {
        let stream = connect(&self.socket, self.trust).await?;
        let broken =
            |error: hyper::Error| Error::Failed(format!("GET {target} failed: {}", root_cause(&error)));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::get(target)
            .header(header::HOST, "localhost")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| Error::Failed(format!("{target:?} cannot be asked for: {error}")))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(Error::NotFound(format!("GET {target}: not found"))),
                status => {
                    return Err(Error::Failed(format!("GET {target} was answered with status {status}")));
                }
            }
            let (parts, body) = answer.into_parts();
            match Limited::new(body, max_bytes).collect().await {
                Ok(body) => Ok(Answer { headers: parts.headers, body: body.to_bytes() }),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(Error::Failed(format!("the answer to GET {target} is longer than {max_bytes} bytes")))
                }
                Err(error) => Err(Error::Failed(format!(
                    "the answer to GET {target} broke off: {}",
                    root_cause(&*error)
                ))),
            }
        };
        let mut answer = pin!(answer);
        // The connection has to be driven beside the request; when it ends first, what it read is still there.
        tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }
}

/// Connects to a daemon's socket.
///
/// # Errors
/// When nobody listens there, the reader may not ask, or the listener is not to be believed.
pub(super) async fn connect(socket: &Path, trust: Trust) -> Result<UnixStream, Error> {
    let path = socket.display();
    let file = rustix::fs::open(socket, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| unreachable_socket(socket, &error.into()))?;
    let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind != Ok(FileType::Socket) {
        return Err(Error::Failed(format!("{path} is not a socket")));
    }
    // By the descriptor: a path below a host root may be longer than the 107 bytes of an address.
    let stream = UnixStream::connect(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .await
        .map_err(|error| unreachable_socket(socket, &error))?;
    let peer = stream
        .peer_cred()
        .map_err(|error| Error::Failed(format!("{path}: the kernel does not say who listens: {error}")))?;
    let uid = peer.uid();
    match trust {
        Trust::Root if uid != 0 => Err(Error::Denied(format!(
            "{path} is served by uid {uid}, not by root, and is not believed unless named with --socket"
        ))),
        Trust::User(user) if uid != user => Err(Error::Denied(format!(
            "{path} is served by uid {uid}, not by uid {user}, and is not believed"
        ))),
        Trust::Root | Trust::User(_) | Trust::Anyone => Ok(stream),
    }
}

/// Who listens on a socket.
///
/// # Errors
/// When nobody does, or the reader may not ask.
pub async fn peer_uid(socket: &Path, time: Duration) -> Result<u32, Error> {
    let late = |_| Err(Error::Late(format!("{} accepts no connection", socket.display())));
    let stream = tokio::time::timeout(time, connect(socket, Trust::Anyone)).await.unwrap_or_else(late)?;
    let peer = stream.peer_cred().map_err(|error| Error::Failed(format!("{}: {error}", socket.display())))?;
    Ok(peer.uid())
}

fn unreachable_socket(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::Absent(format!("there is no {path}"))
        }
        io::ErrorKind::ConnectionRefused => Error::Absent(format!("nobody listens on {path}")),
        io::ErrorKind::PermissionDenied => Error::Denied(format!("{path}: permission denied; run as root")),
        io::ErrorKind::WouldBlock => Error::Failed(format!("{path}: its daemon accepts no connections")),
        _ => Error::Failed(format!("{path}: {error}")),
    }
}

/// The innermost error: hyper's outer ones only say that something failed.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
