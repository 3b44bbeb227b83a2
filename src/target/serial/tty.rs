//! An open tty: its descriptor for controls, its byte stream, its lock, and how it is closed.

use std::{
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    termios::{ControlModes, QueueSelector, ioctl_tiocnxcl, tcflush, tcgetattr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::{Instant, Sleep, sleep},
};
use tokio_serial::SerialStream;

use super::{
    lock::Lock,
    transmitter::{Transmitter, WireKnowledge},
    waiting::BlockingCall,
};
use crate::sys::ioctl;

/// How often a device that takes nothing is asked again. Drivers wake a writer when there is room,
/// but not all do so when tcflush empties their buffer: a pty's does not.
const STUCK_RETRY: Duration = Duration::from_millis(200);

/// What the two halves of the stream and the controls of a device share. The device is closed when
/// all of them have been dropped.
#[derive(Debug)]
pub(super) struct Tty {
    /// A second descriptor of the same open device; taken only by `drop`.
    control: Option<OwnedFd>,
    /// Whether received bytes were discarded since the reader last asked.
    flushed: AtomicBool,
    /// How much of what was written may still be on its way.
    transmitter: Mutex<Transmitter>,
    /// Released after the kernel's locks.
    lock: Option<Lock>,
    /// Dropped when the device is closed.
    closed: Option<watch::Sender<()>>,
}

impl Tty {
    pub(super) fn new(control: OwnedFd, lock: Lock, transmitter: Transmitter) -> Self {
        Self {
            control: Some(control),
            flushed: AtomicBool::new(false),
            transmitter: Mutex::new(transmitter),
            lock: Some(lock),
            closed: Some(watch::Sender::new(())),
        }
    }

    /// Ready when the device is closed: everything that shares it is gone, and the kernel has
    /// returned from `close()`.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.as_ref().map(watch::Sender::subscribe);
        async move {
            if let Some(closed) = &mut closed {
                // Nothing is ever sent: the sender going away is the message.
                closed.changed().await.ok();
            }
        }
    }

    pub(super) fn transmitter(&self) -> MutexGuard<'_, Transmitter> {
        self.transmitter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TIOCOUTQ, or 0 if a driver does not know it; an error if the device is gone.
    fn asked(&self) -> io::Result<usize> {
        match self.control().and_then(ioctl::unsent) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(0),
            asked => asked,
        }
    }

    /// Bytes that the driver holds; for a device that is gone, the most that it can have taken with
    /// it.
    pub(super) fn unsent(&self) -> usize {
        self.asked().unwrap_or_else(|_| self.transmitter().lost_with_it())
    }

    /// The state of the wire, as far as that is known without waiting.
    pub(super) fn look(&self) -> io::Result<WireKnowledge> {
        let unsent = self.asked()?;
        let empty = || self.control().and_then(ioctl::transmitter_empty).ok();
        Ok(self.transmitter().look(Instant::now(), unsent, empty))
    }

    /// Bytes that were written and may not be on the wire: those in the driver, and at most those
    /// in the adapter. For a device that is gone, the most that it can have taken with it.
    pub(super) fn held(&self) -> (usize, usize) {
        let Ok(unsent) = self.asked() else { return (0, self.unsent()) };
        let empty = || self.control().and_then(ioctl::transmitter_empty).ok();
        let mut transmitter = self.transmitter();
        (transmitter.at_most(unsent), transmitter.with_adapter(Instant::now(), unsent, empty))
    }

    /// The descriptor for ioctls.
    pub(super) fn control(&self) -> io::Result<BorrowedFd<'_>> {
        self.control.as_ref().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// tcflush; also lets the reader know if its input was discarded.
    pub(super) fn flush(&self, queue: QueueSelector) -> io::Result<()> {
        tcflush(self.control()?, queue)?;
        self.flushed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether received bytes were discarded since the last call.
    pub(super) fn was_flushed(&self) -> bool {
        self.flushed.swap(false, Ordering::AcqRel)
    }

    /// Whether frames have a parity bit now.
    pub(super) fn has_parity(&self) -> bool {
        let modes = self.control().and_then(|fd| Ok(tcgetattr(fd)?.control_modes));
        modes.is_ok_and(|modes| modes.contains(ControlModes::PARENB))
    }
}

impl Drop for Tty {
    /// Abandons output that the driver still holds: whoever wants that sent waits for the wire to
    /// be idle first. The last close of a tty waits for the transmitter (`closing_wait`, 30 s by
    /// default), so it is done in a thread of its own. If there is nothing to wait for, the locks
    /// are gone before that, and the device can be opened again immediately. If something is held
    /// that cannot be discarded (USB drivers and adapters have no flush), a signal ends that wait,
    /// and until the close is over the device is still ours: nothing that was abandoned leaves
    /// together with what comes next.
    fn drop(&mut self) {
        let (Some(control), lock, closed) =
            (self.control.take(), self.lock.take(), self.closed.take())
        else {
            return;
        };
        // Only if needed: on a pty this would discard what the other side has not read yet.
        if ioctl::unsent(&control).is_ok_and(|bytes| bytes > 0) {
            let _ = tcflush(&control, QueueSelector::OFlush);
        }
        let unsent = ioctl::unsent(&control).unwrap_or(0);
        let empty = || ioctl::transmitter_empty(&control).ok();
        let transmitter = self.transmitter.get_mut().unwrap_or_else(PoisonError::into_inner);
        let held = matches!(
            transmitter.look(Instant::now(), unsent, empty),
            WireKnowledge::Busy | WireKnowledge::Ask
        );
        let _ = ioctl_tiocnxcl(&control);
        let _ = flock(&control, FlockOperation::Unlock);
        let lock = lock.filter(|_| held);
        let close = move || {
            if !held {
                drop(control);
            } else if let Ok(close) = BlockingCall::begin(move || drop(control)) {
                close.end();
            }
            drop((lock, closed));
        };
        // If no thread can be had, the closure is dropped here, and the descriptor with it.
        drop(std::thread::Builder::new().name("tty-close".into()).spawn(close));
    }
}

/// The byte stream of a tty. End of file, or EIO, means that the device is gone.
#[derive(Debug)]
pub(super) struct TtyStream {
    stream: SerialStream,
    /// When a device that took nothing is asked again.
    again: Option<Pin<Box<Sleep>>>,
    /// Dropped after the stream, so that the last close is the tty's own.
    tty: Arc<Tty>,
}

impl TtyStream {
    pub(super) fn new(stream: SerialStream, tty: Arc<Tty>) -> Self {
        Self { stream, again: None, tty }
    }

    fn wrote(&self, wrote: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = wrote {
            self.tty.transmitter().wrote(bytes, Instant::now());
        }
        wrote
    }
}

impl AsyncRead for TtyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TtyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(wrote) = Pin::new(&mut this.stream).poll_write(cx, buf) {
            this.again = None;
            return Poll::Ready(this.wrote(wrote));
        }
        loop {
            let again = this.again.get_or_insert_with(|| Box::pin(sleep(STUCK_RETRY)));
            ready!(again.as_mut().poll(cx));
            this.again = None;
            match rustix::io::write(this.tty.control()?, buf) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                wrote => return Poll::Ready(this.wrote(wrote.map_err(io::Error::from))),
            }
        }
    }

    /// Nothing is held back here. The stream's own flush is tcdrain, which would block the whole
    /// thread until the last bit is on the wire; the line drains with `Port::unsent` instead.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// A serial line has no half-close.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
