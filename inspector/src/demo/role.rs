//! What the demo's processes do once they stand in their namespaces.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// A part in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Waits for a signal, for ever.
    Pause,
    /// A business process: a tiny web server.
    Web,
    /// Another one beside it.
    Sidecar,
}

/// Where the web server listens: in a network namespace of its own, so any port is free.
const PORT: u16 = 8080;

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Pause, Self::Web, Self::Sidecar];

    /// The name of the process (15 bytes at most).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pause => "demo-pause",
            Self::Web => "demo-web",
            Self::Sidecar => "demo-sidecar",
        }
    }

    /// Gets ready, calls `ready`, and works until killed.
    pub(super) fn play(self, ready: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Pause => {
                ready()?;
                loop {
                    // SAFETY: pause(2) takes nothing and touches no memory.
                    unsafe { libc::pause() };
                }
            }
            Self::Web => {
                raise_loopback()?;
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
                ready()?;
                for stream in listener.incoming().flatten() {
                    // A visitor that goes away early is not our trouble.
                    let _ = answer(stream);
                }
                Ok(())
            }
            Self::Sidecar => {
                ready()?;
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = [0; 1024];
    let _ = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nthe demo's web server\n")
}

/// Brings `lo` up: in a new network namespace it is down.
fn raise_loopback() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: ifreq is plain data, for which zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    control(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    #[expect(clippy::cast_possible_truncation, reason = "IFF_UP is 1")]
    let up = libc::IFF_UP as libc::c_short;
    // SAFETY: the kernel has just filled this member of the union.
    unsafe { request.ifr_ifru.ifru_flags |= up };
    control(&socket, libc::SIOCSIFFLAGS, &mut request)
}

/// Reads or sets the flags of the network interface that the request names.
fn control(socket: &UdpSocket, operation: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: both operations read and write one ifreq, which outlives the call; its name ends in a zero.
    match unsafe { libc::ioctl(socket.as_raw_fd(), operation, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
