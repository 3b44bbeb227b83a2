//! The byte stream of a tty that marks errors, read as clean bytes and marks.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};

use super::{
    super::Source,
    tty::Tty,
    unmark::{DriverCounts, Unmark},
};
use crate::{
    settings::{ErrorCounts, LineEvent},
    sys::ioctl,
};

/// How often the counters are read while no escape is seen.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(1);

/// A tty with PARMRK set, read as clean bytes and marks.
pub(super) struct Marked<R> {
    stream: R,
    tty: Arc<Tty>,
    unmark: Unmark,
    ledger: DriverCounts,
    asked: Instant,
}

impl<R> Marked<R> {
    /// Reads `stream`, which belongs to `tty`.
    pub(super) fn new(stream: R, tty: Arc<Tty>) -> Self {
        let mut marked = Self {
            stream,
            tty,
            unmark: Unmark::default(),
            ledger: DriverCounts::default(),
            asked: Instant::now(),
        };
        marked.ledger.post(marked.counts());
        marked
    }

    /// Reads the driver's memory: no adapter is asked, so this does not block.
    fn counts(&self) -> Option<ErrorCounts> {
        self.tty.control().and_then(ioctl::error_counts).ok()
    }

    /// Cleans one read; `drained` says whether the driver had no more.
    fn clean(
        &mut self,
        bytes: &mut [u8],
        marks: &mut Vec<(usize, LineEvent)>,
        drained: bool,
    ) -> usize {
        if self.tty.was_flushed() {
            self.unmark = Unmark::default(); // the other half of an escape may be gone
        }
        let (tty, ledger) = (&self.tty, &mut self.ledger);
        let mut asked = false;
        let mut lost = false;
        let kept = self.unmark.strip(bytes, marks, |byte| {
            if !asked {
                asked = true;
                ledger.begin(tty.has_parity());
                lost = ledger.post(tty.control().and_then(ioctl::error_counts).ok());
            }
            ledger.judge(byte)
        });
        if self.asked.elapsed() >= COUNTERS_INTERVAL {
            self.asked = Instant::now();
            if !asked {
                lost = self.ledger.post(self.counts());
            }
            if drained {
                marks.extend(self.ledger.age().map(|event| (kept, event)));
            }
        }
        if lost {
            marks.push((kept, LineEvent::Overrun));
        }
        kept
    }
}

impl<R: AsyncRead + Send + Unpin> Source for Marked<R> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        loop {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let drained = buf.remaining() > 0;
            let (_, bytes) = buf.filled_mut().split_at_mut(start);
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let kept = self.clean(bytes, marks, drained);
            buf.set_filled(start + kept);
            // Half an escape alone is not news, and an empty read would mean that the device is
            // gone.
            if kept > 0 || !marks.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A pty's line discipline doubles ff like that of any tty, and an empty piece of an escape is
    /// not the end of the stream.
    #[tokio::test]
    async fn all_256_values_pass_a_tty_that_marks_errors() {
        use rustix::{
            pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
            termios::{OptionalActions, tcgetattr, tcsetattr},
        };

        use super::super::{
            lock,
            transmitter::{IdleQuery, Transmitter},
        };
        use crate::sys::termios;

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let stream = tokio_serial::SerialStream::open(&tokio_serial::new(&path, 9600)).unwrap();
        let control = ioctl::duplicate(&stream).unwrap();
        let mut termios = tcgetattr(&control).unwrap();
        termios::apply(&mut termios, crate::settings::Settings::default(), true).unwrap();
        tcsetattr(&control, OptionalActions::Now, &termios).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let lock = lock::take(path.as_ref(), folder.path()).unwrap();
        let transmitter = Transmitter::new(IdleQuery::NoWire, crate::settings::Settings::default());
        let mut source = Marked::new(stream, Arc::new(Tty::new(control, lock, transmitter)));
        let all: Vec<u8> = (0..=255).chain([0xff, 0xff, 0, 0xff]).collect();
        std::fs::File::from(master.try_clone().unwrap()).write_all(&all).unwrap();
        let (mut got, mut marks) = (Vec::new(), Vec::new());
        while got.len() < all.len() {
            // One byte at a time: each doubled ff is split in two.
            let mut space = [0; 1];
            let mut buf = ReadBuf::new(&mut space);
            std::future::poll_fn(|cx| source.poll_read(cx, &mut buf, &mut marks)).await.unwrap();
            assert_eq!(buf.filled().len(), 1);
            got.extend_from_slice(buf.filled());
        }
        assert_eq!((got, marks), (all, Vec::new()));
        // Polled first: it is waiting when the far end goes.
        let (end, ()) = tokio::join!(biased; read(&mut source), async { drop(master) });
        assert!(matches!(end, Ok(0) | Err(libc::EIO)), "{end:?}");
    }

    async fn read(source: &mut impl Source) -> Result<usize, i32> {
        let mut space = [0; 16];
        let mut buf = ReadBuf::new(&mut space);
        let read = std::future::poll_fn(|cx| source.poll_read(cx, &mut buf, &mut Vec::new())).await;
        read.map(|()| buf.filled().len()).map_err(|error| error.raw_os_error().unwrap())
    }
}
