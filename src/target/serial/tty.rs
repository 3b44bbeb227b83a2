//! An open tty: its descriptor for controls, its byte stream, its lock, and how it is closed.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustix::{
    fs::{FlockOperation, flock},
    termios::{QueueSelector, ioctl_tiocnxcl, tcflush},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::SerialStream;

use super::{ioctl, lock::Lock};

/// What the stream's two halves and the controls of a device share. The device is closed when all are dropped.
#[derive(Debug)]
pub(super) struct Tty {
    /// A second descriptor of the same open device; taken only by `drop`.
    control: Option<OwnedFd>,
    /// Let go after the kernel's locks.
    _lock: Lock,
}

impl Tty {
    pub(super) fn new(control: OwnedFd, lock: Lock) -> Self {
        Self { control: Some(control), _lock: lock }
    }

    /// The descriptor for ioctls.
    pub(super) fn control(&self) -> io::Result<BorrowedFd<'_>> {
        self.control.as_ref().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Tty {
    /// Abandons output the driver still holds: who wants it sent waits for `Port::unsent` to be 0 first. The last
    /// close of a tty waits for the transmitter (`closing_wait`, 30 s by default), so a thread of its own does it; the
    /// locks are gone before that, and the device can be opened again at once.
    fn drop(&mut self) {
        let Some(control) = self.control.take() else { return };
        // Not without need: on a pty this would discard what the other side has not read yet.
        if ioctl::unsent(&control).is_ok_and(|bytes| bytes > 0) {
            let _ = tcflush(&control, QueueSelector::OFlush);
        }
        let _ = ioctl_tiocnxcl(&control);
        let _ = flock(&control, FlockOperation::Unlock);
        let close = std::thread::Builder::new().name("tty-close".into());
        // Without a thread to be had, the closure is dropped here, and the descriptor with it.
        drop(close.spawn(move || drop(control)));
    }
}

/// The byte stream of a tty. End of file, or EIO, means that the device is gone.
#[derive(Debug)]
pub(super) struct Wire {
    stream: SerialStream,
    /// Dropped after the stream, so that the last close is the tty's own.
    _tty: Arc<Tty>,
}

impl Wire {
    pub(super) fn new(stream: SerialStream, tty: Arc<Tty>) -> Self {
        Self { stream, _tty: tty }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// Nothing is held back here. The stream's own flush is tcdrain, which would block the whole thread until the
    /// last bit is on the wire; the line drains by `Port::unsent` instead.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// A serial line has no half-close.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
