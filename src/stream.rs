//! One byte stream, whatever carries it: TCP, unix socket, either under TLS.

mod tls;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

pub use self::tls::Tls;

/// A connection to a client or to a target.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// Unix stream socket.
    Unix(UnixStream),
    /// A client's TLS over TCP; boxed, since its state is some kilobytes.
    TlsTcp(Box<Tls<TcpStream>>),
    /// A client's TLS over a unix socket.
    TlsUnix(Box<Tls<UnixStream>>),
    /// TLS to a target over TCP.
    TargetTlsTcp(Box<TlsStream<TcpStream>>),
    /// TLS to a target over a unix socket.
    TargetTlsUnix(Box<TlsStream<UnixStream>>),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
            Stream::TlsTcp($inner) => $call,
            Stream::TlsUnix($inner) => $call,
            Stream::TargetTlsTcp($inner) => $call,
            Stream::TargetTlsUnix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}

/// Size of the scratch buffer: room for a read of 64 KiB behind the longest frame header.
pub const SCRATCH: usize = 64 * 1024 + 16;

/// Lends the thread's scratch buffer for the length of one poll, so that an idle connection needs none of its own.
/// A call inside a call (none exists) would get a fresh buffer.
pub fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: std::cell::Cell<Option<Box<[u8]>>> = const { std::cell::Cell::new(None) };
    }
    let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; SCRATCH].into());
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}
