//! TLS whose records are remembered, so that unacknowledged ciphertext can be reported as payload.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::{
    ledger::Ledger,
    metered::{Kernel, Metered},
    sample::Outstanding,
    tls::Tls,
};

/// TLS on a socket that counts.
pub(super) trait Secure: AsyncRead + AsyncWrite + Unpin {
    /// The kind of socket underneath.
    type Socket: Kernel;

    /// The socket underneath.
    fn socket(&self) -> &Metered<Self::Socket>;

    /// Whether every record made so far is in the socket.
    fn has_sent_all(&self) -> bool;
}

impl<S: Kernel> Secure for Tls<Metered<S>> {
    type Socket = S;

    fn socket(&self) -> &Metered<S> {
        self.io()
    }

    fn has_sent_all(&self) -> bool {
        Self::has_sent_all(self)
    }
}

impl<S: Kernel> Secure for TlsStream<Metered<S>> {
    type Socket = S;

    fn socket(&self) -> &Metered<S> {
        self.get_ref().0
    }

    fn has_sent_all(&self) -> bool {
        !self.get_ref().1.wants_write()
    }
}

/// A TLS stream with its ledger.
#[derive(Debug)]
pub(super) struct Recorded<T> {
    tls: T,
    ledger: Ledger,
}

impl<T: Secure> Recorded<T> {
    /// A stream whose handshake is done.
    pub(super) fn new(tls: T) -> Self {
        Self { tls, ledger: Ledger::default() }
    }

    /// The TLS stream itself.
    pub(super) fn tls(&self) -> &T {
        &self.tls
    }

    /// Payload that the next hop has not acknowledged, including what waits inside TLS.
    pub(super) fn outstanding(&self) -> Outstanding {
        let below = self.tls.socket().outstanding();
        if below.bytes == 0 && self.tls.has_sent_all() {
            return below;
        }
        let bytes = self.ledger.outstanding(self.tls.socket().written() - below.bytes);
        Outstanding { bytes, exact: below.exact || bytes == 0 }
    }

    /// Notes where the payload so far ends on the wire, if that is known.
    fn mark(&mut self) {
        let Self { tls, ledger } = self;
        if tls.has_sent_all() {
            let socket = tls.socket();
            ledger.mark(socket.written(), || socket.written() - socket.outstanding().bytes);
        }
    }
}

impl<T: Secure> AsyncRead for Recorded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_read(cx, buf)
    }
}

impl<T: Secure> AsyncWrite for Recorded<T> {
    /// Takes more only when all earlier records are in the socket: otherwise nobody would know
    /// where they end.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.tls.has_sent_all() {
            ready!(Pin::new(&mut this.tls).poll_flush(cx))?;
        }
        this.mark();
        let taken = ready!(Pin::new(&mut this.tls).poll_write(cx, buf))?;
        this.ledger.wrapped(taken);
        this.mark();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.tls).poll_flush(cx);
        this.mark();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}
