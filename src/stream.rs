//! One byte stream, whatever carries it: TCP, unix socket, either under TLS, a device node.

mod beat;
mod ledger;
mod life;
mod listening;
mod metered;
mod peer;
mod recorded;
mod sample;
mod split;
mod tls;
mod vigil;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, ServerName},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) use self::vigil::Vigil;
use self::{
    beat::Beat,
    metered::Metered,
    recorded::{Recorded, Secure as _},
    tls::Tls,
};
pub(crate) use self::{
    ledger::Ledger,
    life::{Life, Liveness},
    listening::{BACKLOG, listening},
    peer::PeerSide,
    sample::{NextHop, Outstanding, Sample},
    split::{ReadHalf, StreamProbe, WriteHalf, split},
};
use crate::pty::{Visit, VisitStream};

/// Bytes the kernel holds for a client beyond those in flight. It is small so that a pong or a
/// Close does not wait behind megabytes, and a client's pace shows as it is.
const UNSENT: u32 = 128 * 1024;

/// A client that acknowledges nothing for this long, probes included, is gone (`TCP_USER_TIMEOUT`).
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// A connection to a client or to a target. What is written to it is counted until the next hop has
/// it.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    beat: Option<Box<Beat>>,
}

#[derive(Debug)]
enum Transport {
    /// Plain TCP.
    Tcp(Metered<TcpStream>),
    /// Unix stream socket.
    Unix(Metered<UnixStream>),
    /// A client's TLS over TCP; boxed, since its state takes some kilobytes.
    TlsTcp(Box<Recorded<Tls<Metered<TcpStream>>>>),
    /// A client's TLS over a unix socket.
    TlsUnix(Box<Recorded<Tls<Metered<UnixStream>>>>),
    /// TLS to a target over TCP.
    TargetTlsTcp(Box<Recorded<TlsStream<Metered<TcpStream>>>>),
    /// TLS to a target over a unix socket.
    TargetTlsUnix(Box<Recorded<TlsStream<Metered<UnixStream>>>>),
    /// A tool at a device node.
    Node(VisitStream),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Transport::Tcp($inner) => $call,
            Transport::Unix($inner) => $call,
            Transport::TlsTcp($inner) => $call,
            Transport::TlsUnix($inner) => $call,
            Transport::TargetTlsTcp($inner) => $call,
            Transport::TargetTlsUnix($inner) => $call,
            Transport::Node($inner) => $call,
        }
    };
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Transport::Tcp(Metered::new(socket)).into()
    }
}

impl From<UnixStream> for Stream {
    fn from(socket: UnixStream) -> Self {
        Transport::Unix(Metered::new(socket)).into()
    }
}

impl From<Transport> for Stream {
    fn from(transport: Transport) -> Self {
        Self { transport, beat: None }
    }
}

impl From<VisitStream> for Stream {
    fn from(visit: VisitStream) -> Self {
        Transport::Node(visit).into()
    }
}

impl Stream {
    /// Sends bytes without delay, and notices a client that is gone. If this fails, only that is
    /// lost: no reason to refuse.
    pub(crate) fn tune(&self) {
        let Some(stream) = self.tcp() else { return };
        let socket = SockRef::from(stream);
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        let _ = stream.set_nodelay(true);
        let _ = socket.set_tcp_keepalive(&keepalive);
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
    }

    /// Does the handshake with a client that speaks TLS. Fails with `InvalidData` if the client
    /// breaks TLS, after sending the alert that says so.
    pub(crate) async fn accept_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self::from(match self.transport {
            Transport::Tcp(socket) => {
                Transport::TlsTcp(Box::new(Recorded::new(Tls::accept(socket, config).await?)))
            }
            Transport::Unix(socket) => {
                Transport::TlsUnix(Box::new(Recorded::new(Tls::accept(socket, config).await?)))
            }
            Transport::TlsTcp(_)
            | Transport::TlsUnix(_)
            | Transport::TargetTlsTcp(_)
            | Transport::TargetTlsUnix(_)
            | Transport::Node(_) => {
                return Err(twice());
            }
        }))
    }

    /// Does the handshake with a target that speaks TLS.
    pub(crate) async fn connect_tls(
        self,
        connector: &TlsConnector,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        Ok(Self::from(match self.transport {
            Transport::Tcp(socket) => Transport::TargetTlsTcp(Box::new(Recorded::new(
                connector.connect(name, socket).await?,
            ))),
            Transport::Unix(socket) => Transport::TargetTlsUnix(Box::new(Recorded::new(
                connector.connect(name, socket).await?,
            ))),
            Transport::TlsTcp(_)
            | Transport::TlsUnix(_)
            | Transport::TargetTlsTcp(_)
            | Transport::TargetTlsUnix(_)
            | Transport::Node(_) => {
                return Err(twice());
            }
        }))
    }

    /// A client's certificates, its own first; `None` if it showed none.
    pub(crate) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match &self.transport {
            Transport::TlsTcp(stream) => stream.tls().peer_certificates(),
            Transport::TlsUnix(stream) => stream.tls().peer_certificates(),
            Transport::Tcp(_)
            | Transport::Unix(_)
            | Transport::TargetTlsTcp(_)
            | Transport::TargetTlsUnix(_)
            | Transport::Node(_) => None,
        }
    }

    /// Payload written that the next hop's kernel has not acknowledged, or (unix sockets) that the
    /// peer may not have read. Under TLS a record counts until all of it is acknowledged. Costs a
    /// system call.
    pub(crate) fn outstanding(&self) -> Outstanding {
        let all = self.transport.outstanding();
        self.beat.as_ref().map_or(all, |beat| beat.without(all))
    }

    /// Sends these bytes whenever nothing was sent for this long. That goes on while somebody
    /// reads.
    pub(crate) fn keep_alive(&mut self, every: Duration, bytes: Vec<u8>) {
        self.beat = Some(Box::new(Beat::new(every, bytes)));
    }

    /// Whether it has sent such bytes since the last call.
    pub(crate) fn has_beaten(&mut self) -> bool {
        self.beat.as_mut().is_some_and(|beat| beat.has_beaten())
    }

    /// Limits what may wait unread here, including the kernel's overhead, and ends autotuning.
    /// `TCP_WINDOW_CLAMP` does not do that: it limits what is offered at a time, and the window
    /// opens again while the buffer has room. What was offered before and does not fit is sent
    /// again later. A unix socket is limited by its peer.
    pub(crate) fn clamp_window(&self, bytes: usize) -> io::Result<()> {
        // The kernel doubles the value.
        self.tcp().map_or(Ok(()), |socket| SockRef::from(socket).set_recv_buffer_size(bytes / 2))
    }

    /// What the peer has done with its side, seen without reading. Costs a system call.
    pub(crate) fn peer_side(&self) -> PeerSide {
        match &self.transport {
            Transport::Tcp(socket) => PeerSide::of(socket.socket()),
            Transport::Unix(socket) => PeerSide::of(socket.socket()),
            Transport::TlsTcp(stream) => PeerSide::of(stream.tls().socket().socket()),
            Transport::TlsUnix(stream) => PeerSide::of(stream.tls().socket().socket()),
            Transport::TargetTlsTcp(stream) => PeerSide::of(stream.tls().socket().socket()),
            Transport::TargetTlsUnix(stream) => PeerSide::of(stream.tls().socket().socket()),
            Transport::Node(stream) => PeerSide::of(stream.visit().master()),
        }
    }

    /// The TCP socket underneath, for its options; `None` over a unix socket.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        Some(match &self.transport {
            Transport::Tcp(socket) => socket.socket(),
            Transport::TlsTcp(stream) => stream.tls().socket().socket(),
            Transport::TargetTlsTcp(stream) => stream.tls().socket().socket(),
            Transport::Unix(_)
            | Transport::TlsUnix(_)
            | Transport::TargetTlsUnix(_)
            | Transport::Node(_) => return None,
        })
    }

    /// What is known of a tool at a device node, beside its bytes. Its end is one both ways.
    pub(crate) fn visit(&self) -> Option<&Arc<Visit>> {
        match &self.transport {
            Transport::Node(stream) => Some(stream.visit()),
            Transport::Tcp(_)
            | Transport::Unix(_)
            | Transport::TlsTcp(_)
            | Transport::TlsUnix(_)
            | Transport::TargetTlsTcp(_)
            | Transport::TargetTlsUnix(_) => None,
        }
    }
}

impl NextHop for Stream {
    fn sample(&self) -> Option<Sample> {
        match &self.transport {
            Transport::Tcp(socket) => socket.sample(),
            Transport::TlsTcp(stream) => stream.tls().socket().sample(),
            Transport::TargetTlsTcp(stream) => stream.tls().socket().sample(),
            Transport::Unix(_)
            | Transport::TlsUnix(_)
            | Transport::TargetTlsUnix(_)
            | Transport::Node(_) => None,
        }
    }

    fn outstanding(&self) -> Outstanding {
        Self::outstanding(self)
    }
}

fn twice() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "TLS within TLS")
}

impl Transport {
    fn outstanding(&self) -> Outstanding {
        match self {
            Self::Tcp(socket) => socket.outstanding(),
            Self::Unix(socket) => socket.outstanding(),
            Self::TlsTcp(stream) => stream.outstanding(),
            Self::TlsUnix(stream) => stream.outstanding(),
            Self::TargetTlsTcp(stream) => stream.outstanding(),
            Self::TargetTlsUnix(stream) => stream.outstanding(),
            Self::Node(stream) => {
                let bytes = stream.unread();
                Outstanding { bytes, exact: bytes == 0 }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { transport, beat } = self.get_mut();
        let read = each!(&mut *transport, inner => Pin::new(inner).poll_read(cx, buf));
        if let (Poll::Pending, Some(beat)) = (&read, beat) {
            while beat.poll_due(cx, || transport.outstanding().bytes == 0).is_ready() {
                if each!(&mut *transport, inner => beat.poll_rest(cx, inner)).is_ready() {
                    let _ = each!(&mut *transport, inner => Pin::new(inner).poll_flush(cx));
                }
            }
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { transport, beat } = self.get_mut();
        each!(transport, inner => {
            if let Some(beat) = beat {
                ready!(beat.poll_rest(cx, inner));
            }
            let written = ready!(Pin::new(inner).poll_write(cx, buf));
            Poll::Ready(counted(beat, written))
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { transport, beat } = self.get_mut();
        each!(transport, inner => {
            if let Some(beat) = beat {
                ready!(beat.poll_rest(cx, inner));
            }
            let written = ready!(Pin::new(inner).poll_write_vectored(cx, bufs));
            Poll::Ready(counted(beat, written))
        })
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.transport, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().transport, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { transport, beat } = self.get_mut();
        if let Some(beat) = beat {
            beat.end();
        }
        each!(transport, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

/// Tells the heartbeat what somebody wrote.
fn counted(beat: &mut Option<Box<Beat>>, written: io::Result<usize>) -> io::Result<usize> {
    if let (Some(beat), Ok(bytes)) = (beat, &written) {
        beat.wrote(*bytes);
    }
    written
}

/// Ends a connection without a word: what was not delivered is not taken for the whole.
pub(crate) fn reset(socket: TcpStream) {
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}

/// Size of the scratch buffer: room for a read of 64 KiB after the longest frame header.
pub(crate) const SCRATCH: usize = 64 * 1024 + 16;

/// Lends the thread's scratch buffer for the duration of one poll, so that an idle connection needs
/// none of its own. A nested call (there are none) would get a fresh buffer.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: std::cell::Cell<Option<Box<[u8]>>> = const { std::cell::Cell::new(None) };
    }
    let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; SCRATCH].into());
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}

#[cfg(test)]
mod tests;
