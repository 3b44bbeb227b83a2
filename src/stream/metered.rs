//! A socket that counts what was written to it, and what of that the next hop has not taken yet.

use std::{
    io::{self, IoSlice},
    os::fd::AsFd,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, ready},
    time::Duration,
};

use portable_atomic::AtomicU64;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    peer::PeerSide,
    sample::{Outstanding, Sample},
};
use crate::sys::ioctl::{self, TcpInfo};

/// A unix socket is asked again after this many bytes even if nobody wants to know: what its peer
/// has read can be seen only while the peer is there.
const ASK_AFTER: u64 = 64 * 1024;

/// What a socket's kernel knows of its next hop.
pub(super) trait Kernel: AsyncRead + AsyncWrite + AsFd + Unpin {
    /// Whether a peer that leaves takes with it what could be known.
    const FORGETS: bool;

    /// How much of `meter.written` the next hop has not taken.
    fn unacknowledged(&self, meter: &Meter) -> Outstanding;

    /// Whether, after a shutdown, our FIN counts among what is not acknowledged.
    fn fin_sent(&self) -> bool;

    /// The state of the connection; `None` where no peer can vanish without a word.
    fn sample(&self, meter: &Meter) -> Option<Sample>;
}

/// What has been done on a socket so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes the kernel took.
    written: u64,
    /// Our FIN is on its way, and counts as one byte.
    fin_sent: bool,
    /// Bytes that are known to have been read (unix sockets).
    read: AtomicU64,
    /// When `written` reaches this, the kernel is asked again (unix sockets).
    ask_at: u64,
}

impl Kernel for TcpStream {
    const FORGETS: bool = false;

    fn unacknowledged(&self, meter: &Meter) -> Outstanding {
        // It fails only on listening sockets.
        let queued = ioctl::unsent(self).map_or(meter.written, |bytes| bytes as u64);
        let bytes = queued.saturating_sub(u64::from(meter.fin_sent)).min(meter.written);
        Outstanding { bytes, exact: true }
    }

    /// After a reset no FIN was sent, although shutdown did not complain.
    fn fin_sent(&self) -> bool {
        const WITHOUT: [u8; 3] = [TcpInfo::ESTABLISHED, TcpInfo::CLOSE, TcpInfo::CLOSE_WAIT];
        ioctl::tcp_info(self).is_ok_and(|info| !WITHOUT.contains(&info.state))
    }

    fn sample(&self, meter: &Meter) -> Option<Sample> {
        let info = ioctl::tcp_info(self).ok()?;
        let millis = |millis: u32| Duration::from_millis(millis.into());
        let micros = |micros: u32| Duration::from_micros(micros.into());
        let (last_sent, rto) = (millis(info.last_data_sent), micros(info.rto));
        // It was sent again after the first time-out, after twice that, and so on: the sum of all
        // but the last.
        let first = rto.checked_div(1 << info.backoff.min(31)).unwrap_or_default();
        let unacknowledged = self.unacknowledged(meter).bytes;
        Some(Sample {
            acknowledged: meter.written - unacknowledged,
            unacknowledged,
            in_flight: info.unacked > 0,
            last_ack: millis(info.last_ack_recv),
            last_sent,
            first_sent: last_sent + rto.saturating_sub(first),
            probes: info.probes,
            rto,
            rtt: micros(info.rtt),
        })
    }
}

impl Kernel for UnixStream {
    const FORGETS: bool = true;

    /// The kernel counts the memory of what waits, and nothing once the peer has left, whatever it
    /// left unread: only a 0 before the peer's end means that everything was read.
    fn unacknowledged(&self, meter: &Meter) -> Outstanding {
        let memory = ioctl::unsent(self).map_or(u64::MAX, |bytes| bytes as u64);
        if memory == 0 && PeerSide::of(self) != PeerSide::Gone {
            meter.read.store(meter.written, Relaxed);
            return Outstanding { bytes: 0, exact: true };
        }
        let unknown = meter.written - meter.read.load(Relaxed);
        let bytes = if memory == 0 { unknown } else { unknown.min(memory) };
        Outstanding { bytes, exact: bytes == 0 }
    }

    fn fin_sent(&self) -> bool {
        false
    }

    fn sample(&self, _: &Meter) -> Option<Sample> {
        None
    }
}

/// A socket whose written bytes are counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    socket: S,
    meter: Meter,
}

impl<S: Kernel> Metered<S> {
    /// A socket that nothing was written to yet.
    pub(super) fn new(socket: S) -> Self {
        Self { socket, meter: Meter { ask_at: ASK_AFTER, ..Meter::default() } }
    }

    /// The socket itself, for its options.
    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// Bytes the kernel took so far.
    pub(super) fn written(&self) -> u64 {
        self.meter.written
    }

    /// How much of that the next hop has not taken.
    pub(super) fn outstanding(&self) -> Outstanding {
        self.socket.unacknowledged(&self.meter)
    }

    /// The state of the connection.
    pub(super) fn sample(&self) -> Option<Sample> {
        self.socket.sample(&self.meter)
    }

    fn wrote(&mut self, bytes: usize) {
        self.meter.written += bytes as u64;
        if S::FORGETS && self.meter.written >= self.meter.ask_at {
            self.outstanding();
            self.meter.ask_at = self.meter.written + ASK_AFTER;
        }
    }

    /// The peer spoke: it may have read what it answers, and may be about to leave.
    fn heard(&self) {
        if S::FORGETS && self.meter.written > self.meter.read.load(Relaxed) {
            self.outstanding();
        }
    }
}

impl<S: Kernel> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = ready!(Pin::new(&mut this.socket).poll_read(cx, buf));
        this.heard();
        Poll::Ready(read)
    }
}

impl<S: Kernel> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, buf))?;
        this.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write_vectored(cx, bufs))?;
        this.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        this.meter.fin_sent = this.socket.fin_sent();
        Poll::Ready(Ok(()))
    }
}
