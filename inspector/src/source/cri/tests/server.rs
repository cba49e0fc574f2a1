//! A runtime on a Unix socket that behaves as a test wants, on a thread of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderValue, Response};
use prost::Message;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::source::cri::messages::{
    ContainerStatus, ContainerStatusResponse, ListContainersResponse, ListSandboxesResponse, ListedContainer,
    ListedSandbox, SandboxStatus, SandboxStatusResponse, StatusRequest, VersionResponse,
};

/// How it answers one call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This message.
    Message(Vec<u8>),
    /// A message said to be of 1 GiB, and as much of it as the other side takes.
    Endless,
    /// Said to be of one length, ended before.
    CutShort,
    /// A status, and words.
    Status(i32, String),
    /// Nothing at all.
    Silence,
    /// A byte of the message every 50 ms.
    Drip,
    /// This is no protobuf.
    Garbage,
    /// The stream is reset.
    Reset,
}

/// What it is at the other end of the socket.
#[derive(Clone, Debug)]
pub enum Script {
    /// A runtime, by the method's name and the id that was asked for.
    Runtime(BTreeMap<(String, String), Reply>),
    /// These bytes, whoever asks.
    Raw(&'static [u8]),
    /// Accepts and closes.
    AcceptOnly,
    /// Accepts and says nothing.
    Hang,
}

/// A running server; it stops when dropped.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    shared: Arc<Shared>,
    _path: PathBuf,
}

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
    calls: Mutex<Vec<String>>,
}

impl Server {
    pub fn start(path: &Path, script: Script) -> Self {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).unwrap();
                let accept = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        of_thread.connections.fetch_add(1, Ordering::SeqCst);
                        tokio::spawn(serve(stream, script.clone(), Arc::clone(&of_thread)));
                    }
                };
                tokio::select! { () = accept => {}, _ = stopped => {} }
            });
        });
        Self { stop: Some(stop), thread: Some(thread), shared, _path: path.to_owned() }
    }

    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(std::thread::JoinHandle::join).transpose().unwrap();
    }
}

async fn serve(mut stream: UnixStream, script: Script, shared: Arc<Shared>) {
    let replies = match script {
        Script::Runtime(replies) => replies,
        Script::AcceptOnly => return,
        Script::Hang => return std::future::pending().await,
        Script::Raw(bytes) => {
            // The client may hang up whenever it likes.
            let _hung_up = stream.write_all(bytes).await;
            return std::future::pending().await;
        }
    };
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (replies, shared) = (replies.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
            shared.most.fetch_max(open, Ordering::SeqCst);
            let _hung_up = answer(request, respond, &replies, &shared).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    request: hyper::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    replies: &BTreeMap<(String, String), Reply>,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let method = request.uri().path().trim_start_matches("/runtime.v1.RuntimeService/").to_owned();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        bytes.extend_from_slice(&data?);
    }
    // Any of the requests: none of them has another first field.
    let id = bytes.get(5..).and_then(|message| StatusRequest::decode(message).ok()).unwrap_or_default().id;
    shared.calls.lock().unwrap().push(method.clone());
    // So that calls which may overlap do.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let unknown = Reply::Status(12, format!("unknown method {method}"));
    let reply = replies.get(&(method, id)).unwrap_or(&unknown);
    let head = Response::builder().status(200).header("content-type", "application/grpc").body(()).unwrap();
    let trailers = |status: i32, words: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(status));
        trailers.insert("grpc-message", HeaderValue::from_str(&percent(words)).unwrap());
        trailers
    };
    if matches!(reply, Reply::Silence) {
        return std::future::pending().await;
    }
    if matches!(reply, Reply::Reset) {
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut stream = respond.send_response(head, false)?;
    let frame = |message: &[u8], length: usize| {
        let mut frame = vec![0];
        frame.extend(u32::try_from(length).unwrap().to_be_bytes());
        frame.extend_from_slice(message);
        Bytes::from(frame)
    };
    match reply {
        Reply::Message(message) => {
            stream.send_data(frame(message, message.len()), false)?;
            stream.send_trailers(trailers(0, ""))
        }
        Reply::Garbage => {
            stream.send_data(frame(b"\x0f\xff\xff\xff\xff", 5), false)?;
            stream.send_trailers(trailers(0, ""))
        }
        Reply::CutShort => {
            stream.send_data(frame(b"\x0a", 100), false)?;
            stream.send_trailers(trailers(0, ""))
        }
        Reply::Status(status, words) => stream.send_trailers(trailers(*status, words)),
        Reply::Endless => {
            stream.send_data(frame(&[], 1 << 30), false)?;
            loop {
                stream.reserve_capacity(1 << 16);
                let Some(capacity) = std::future::poll_fn(|context| stream.poll_capacity(context)).await
                else {
                    return Ok(());
                };
                stream.send_data(vec![0; capacity?].into(), false)?;
            }
        }
        Reply::Drip => {
            stream.send_data(frame(&[], 1000), false)?;
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.send_data(Bytes::from_static(b"\n"), false)?;
            }
        }
        Reply::Silence | Reply::Reset => Ok(()),
    }
}

/// As gRPC encodes words in a header.
fn percent(words: &str) -> String {
    let byte = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    words.bytes().map(byte).collect()
}

/// The replies of a runtime that has these.
pub fn runtime(
    sandboxes: &[(SandboxStatus, &str)],
    containers: &[(ContainerStatus, &str, &str)],
) -> BTreeMap<(String, String), Reply> {
    let mut replies = BTreeMap::new();
    let mut add = |method: &str, id: &str, message: Vec<u8>| {
        replies.insert((method.to_owned(), id.to_owned()), Reply::Message(message));
    };
    let version =
        VersionResponse { runtime_name: "containerd".to_owned(), runtime_version: "1.6.20".to_owned() };
    add("Version", "", version.encode_to_vec());
    let items = sandboxes.iter().map(|(status, _)| ListedSandbox { id: status.id.clone() }).collect();
    add("ListPodSandbox", "", ListSandboxesResponse { items }.encode_to_vec());
    let listed = containers
        .iter()
        .map(|(status, sandbox, _)| ListedContainer {
            id: status.id.clone(),
            pod_sandbox_id: (*sandbox).to_owned(),
        })
        .collect();
    add("ListContainers", "", ListContainersResponse { containers: listed }.encode_to_vec());
    let info = |text: &str| [("info".to_owned(), text.to_owned())].into();
    for (status, text) in sandboxes {
        let answer = SandboxStatusResponse { status: Some(status.clone()), info: info(text) };
        add("PodSandboxStatus", &status.id, answer.encode_to_vec());
    }
    for (status, _, text) in containers {
        let answer = ContainerStatusResponse { status: Some(status.clone()), info: info(text) };
        add("ContainerStatus", &status.id, answer.encode_to_vec());
    }
    replies
}
