//! Unary gRPC calls to a daemon's Unix socket, for which the daemon is not trusted: every answer has a limit in bytes
//! and a limit in time, and what it says in an error is cleaned and cut before anybody reads it.
//!
//! It must not stream, compress, speak over anything but a Unix socket, or connect a second time by itself: who
//! listens was checked for the first connection only.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::http::{self, Trust};

/// The longest that a daemon's own words in an error may be, in characters.
const MAX_WORDS: usize = 300;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// The daemon says that there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The daemon does not know this call: it is of another version, or another sort.
    #[error("{0}")]
    Unimplemented(String),
    /// An answer that is wrong or too long, or a connection that broke.
    #[error("{0}")]
    Failed(String),
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Absent(why) => Self::Absent(why),
            http::Error::Denied(why) => Self::Denied(why),
            http::Error::Late(why) => Self::Late(why),
            http::Error::NotFound(why) => Self::NotFound(why),
            http::Error::Failed(why) => Self::Failed(why),
        }
    }
}

/// A connection to a daemon. Clones share it, and their calls run beside each other.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    channel: Channel,
    metadata: Option<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
}

impl Client {
    /// Connects, in at most `time`.
    ///
    /// # Errors
    /// When nobody listens there, the reader may not ask, or the listener is not to be believed.
    pub async fn connect(socket: &Path, trust: Trust, time: Duration) -> Result<Self, Error> {
        let late = |_| {
            Error::Late(format!(
                "{} was not to be reached within {:.1} s",
                socket.display(),
                time.as_secs_f64()
            ))
        };
        tokio::time::timeout(time, Self::dial(socket, trust))
            .await
            .unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn dial(socket: &Path, trust: Trust) -> Result<Self, Error> {
        let stream = Mutex::new(Some(http::connect(socket, trust).await?));
        let connector = service_fn(move |_: Uri| {
            let stream = stream.lock().ok().and_then(|mut stream| stream.take());
            async move {
                stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the connection broke off"))
            }
        });
        // The host is asked for by HTTP/2 only; it leads nowhere.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| failed(socket, "", &http::root_cause(&error)))?;
        Ok(Self { socket: socket.to_owned(), channel, metadata: None })
    }

    /// The same connection, with a header in every call (`containerd-namespace`).
    ///
    /// # Errors
    /// When the value is no header: it is not ASCII, or has control characters.
    pub fn with_metadata(&self, name: &'static str, value: &str) -> Result<Self, Error> {
        let invalid = || Error::Failed(format!("{name}: {value:?} cannot be sent in a header"));
        let name = MetadataKey::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = MetadataValue::try_from(value).map_err(|_| invalid())?;
        Ok(Self { metadata: Some((name, value)), ..self.clone() })
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Calls `/package.Service/Method` and waits at most `time` for an answer of at most `max_bytes`.
    ///
    /// # Errors
    /// When there is no whole answer of status OK within the limits.
    pub async fn call<Q, A>(
        &self,
        method: &'static str,
        question: Q,
        max_bytes: usize,
        time: Duration,
    ) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let name = method.rsplit('/').next().unwrap_or(method);
        tokio::time::timeout(time, self.exchange(method, name, question, max_bytes)).await.unwrap_or_else(
            |_| {
                Err(Error::Late(format!(
                    "{}: {name} had no whole answer within {:.1} s",
                    self.socket.display(),
                    time.as_secs_f64()
                )))
            },
        )
    }

    async fn exchange<Q, A>(
        &self,
        method: &'static str,
        name: &str,
        question: Q,
        max_bytes: usize,
    ) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(max_bytes);
        grpc.ready().await.map_err(|error| failed(&self.socket, name, &http::root_cause(&error)))?;
        let mut request = Request::new(question);
        if let Some((name, value)) = &self.metadata {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        let codec = ProstCodec::<Q, A>::default();
        match grpc.unary(request, PathAndQuery::from_static(method), codec).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(refused(&self.socket, name, &status, max_bytes)),
        }
    }
}

fn failed(socket: &Path, name: &str, why: &str) -> Error {
    let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
    Error::Failed(format!("{}: {name}{}", socket.display(), one_line(why)))
}

/// What a status means for the reader.
fn refused(socket: &Path, name: &str, status: &Status, max_bytes: usize) -> Error {
    let (socket_path, words) = (socket.display(), one_line(status.message()));
    // Made here, not by the daemon, where it has a cause: the connection broke or what came is no gRPC.
    if let Some(cause) = std::error::Error::source(status) {
        return failed(socket, name, &format!("the connection broke off: {}", http::root_cause(cause)));
    }
    match status.code() {
        Code::NotFound => Error::NotFound(format!("{socket_path}: {name}: not found: {words}")),
        Code::Unimplemented => Error::Unimplemented(format!("{socket_path} does not know {name}: {words}")),
        Code::PermissionDenied | Code::Unauthenticated => {
            Error::Denied(format!("{socket_path}: {name} is not allowed: {words}"))
        }
        Code::DeadlineExceeded | Code::Cancelled => Error::Late(format!("{socket_path}: {name}: {words}")),
        // tonic's own word for an answer over the limit.
        Code::OutOfRange => {
            Error::Failed(format!("{socket_path}: the answer to {name} is longer than {max_bytes} bytes"))
        }
        code => Error::Failed(format!("{socket_path}: {name} failed ({code:?}): {words}")),
    }
}

/// A daemon's words, made safe to print in one line.
fn one_line(words: &str) -> String {
    let clean = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
    let mut line: String = words.trim().chars().take(MAX_WORDS).map(clean).collect();
    if words.trim().chars().nth(MAX_WORDS).is_some() {
        line.push('…');
    }
    line
}
