//! Device to seats: the tape and who has read how far.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::tape::{Gap, Tape};

/// A seat's number on its line.
pub(super) type SeatId = u64;

/// What a seat hears next.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes were copied.
    Bytes(usize),
    /// These bytes were overwritten before the seat read them; it goes on behind them.
    Gap(Gap),
    /// The device is gone, and why; everything it sent was heard before.
    Ended(String),
}

/// The tape and its readers. The lock is held for the copy of one read and never across an await.
#[derive(Debug)]
pub(super) struct Output(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    tape: Tape,
    readers: BTreeMap<SeatId, Reader>,
    /// The downlink, when it waits for a lossless reader.
    writer: Option<Waker>,
    /// Why the device is gone, while it is.
    down: Option<String>,
}

#[derive(Debug)]
struct Reader {
    at: u64,
    lossless: bool,
    waker: Option<Waker>,
}

impl Output {
    pub(super) fn new(history: usize) -> Self {
        Self(Mutex::new(Inner {
            tape: Tape::new(history),
            readers: BTreeMap::new(),
            writer: None,
            down: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new reader begins at the end of the tape. A lossless one holds the device back rather than miss a byte.
    pub(super) fn enter(&self, seat: SeatId, lossless: bool) {
        let mut inner = self.lock();
        let at = inner.tape.end();
        inner.readers.insert(seat, Reader { at, lossless, waker: None });
    }

    /// A reader leaves.
    pub(super) fn leave(&self, seat: SeatId) {
        let mut inner = self.lock();
        inner.readers.remove(&seat);
        if let Some(writer) = inner.writer.take() {
            writer.wake();
        }
    }

    /// How many bytes the device may send now without a lossless reader missing one; pending at 0.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut inner = self.lock();
        let slowest = inner.readers.values().filter(|reader| reader.lossless).map(|reader| reader.at).min();
        let Some(slowest) = slowest else {
            return Poll::Ready(usize::MAX);
        };
        let behind = usize::try_from(inner.tape.end() - slowest).unwrap_or(usize::MAX);
        match inner.tape.capacity().saturating_sub(behind) {
            0 => {
                inner.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    /// The device sent bytes.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.tape.push(bytes);
        inner.wake_readers();
    }

    /// The device came (`None`) or is gone, and why.
    pub(super) fn set_down(&self, down: Option<String>) {
        let mut inner = self.lock();
        inner.down = down;
        inner.wake_readers();
    }

    /// What `seat` hears next.
    pub(super) fn poll_read(&self, seat: SeatId, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Heard> {
        let inner = &mut *self.lock();
        let Some(reader) = inner.readers.get_mut(&seat) else {
            return Poll::Ready(Heard::Ended("the seat was left".into()));
        };
        match inner.tape.read(reader.at, buf) {
            Ok(0) => {
                if let Some(why) = &inner.down {
                    return Poll::Ready(Heard::Ended(why.clone()));
                }
                reader.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Ok(n) => {
                reader.at += n as u64;
                if reader.lossless
                    && let Some(writer) = inner.writer.take()
                {
                    writer.wake();
                }
                Poll::Ready(Heard::Bytes(n))
            }
            Err(gap) => {
                reader.at = gap.to;
                Poll::Ready(Heard::Gap(gap))
            }
        }
    }
}

impl Inner {
    fn wake_readers(&mut self) {
        for reader in self.readers.values_mut() {
            if let Some(waker) = reader.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_slow_viewer_costs_nobody_a_byte_and_is_told_what_it_missed() {
        let output = Output::new(4096);
        output.enter(1, false);
        output.enter(2, false);
        let mut quick = 0;
        for round in 0..10 {
            output.push(&[round; 1000]);
            let mut buf = [0; 4096];
            let heard = poll_fn(|cx| output.poll_read(1, cx, &mut buf)).await;
            assert_eq!(heard, Heard::Bytes(1000));
            quick += 1000;
        }
        let heard = poll_fn(|cx| output.poll_read(2, cx, &mut [0; 9000])).await;
        assert_eq!(heard, Heard::Gap(Gap { from: 0, to: quick - 4096 }));
        assert_eq!(poll_fn(|cx| output.poll_read(2, cx, &mut [0; 9000])).await, Heard::Bytes(4096));
    }

    #[tokio::test]
    async fn a_lossless_reader_holds_the_device_back_until_it_leaves() {
        let output = Output::new(4096);
        output.enter(1, true);
        output.push(&[0; 4096]);
        assert!(poll_fn(|cx| Poll::Ready(output.poll_room(cx).is_pending())).await);
        assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 96])).await, Heard::Bytes(96));
        assert_eq!(poll_fn(|cx| output.poll_room(cx)).await, 96);
        output.leave(1);
        assert_eq!(poll_fn(|cx| output.poll_room(cx)).await, usize::MAX);
    }

    #[tokio::test]
    async fn everything_a_device_sent_is_heard_before_its_end() {
        let output = Output::new(4096);
        output.enter(1, false);
        output.push(b"last words");
        output.set_down(Some("unplugged".into()));
        assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await, Heard::Bytes(10));
        let end = poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await;
        assert_eq!(end, Heard::Ended("unplugged".into()));
    }
}
