//! Device to seats: the tape, its marks, and who has read how far.

mod datagram;
mod look;

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use self::datagram::Next;
use super::{
    borders::Borders,
    marks::{Mark, MarkKind, Marks},
    tape::{Gap, Tape},
};
use crate::settings::LineEvent;

/// A pause after which the time of the next byte is noted.
const PAUSE: Duration = Duration::from_millis(5);

/// A seat's number on its line.
pub(crate) type SeatId = u64;

/// The line's own reader, that waits for prompts; seats count from 1.
pub(super) const EAR: SeatId = 0;

/// What a seat hears next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SeatEvent {
    /// This many bytes were copied.
    Bytes(usize),
    /// Something happened before the next byte.
    Mark(Mark),
    /// These bytes were overwritten before the seat read them; it goes on behind them.
    Gap(Gap),
    /// The device is gone; everything it sent was heard before.
    Ended(Gone),
}

/// How a device went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It ended its stream.
    Ended,
    /// It failed, or was not there; why.
    Failed(String),
    /// Its connection was reset: what it had acknowledged it may not have read.
    Reset(String),
}

impl Gone {
    /// By an error of a read or a write.
    pub(crate) fn by(error: &io::Error) -> Self {
        let why = format!("the device failed: {error}");
        let resets = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
        ];
        if resets.contains(&error.kind()) { Self::Reset(why) } else { Self::Failed(why) }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the device ended"),
            Self::Failed(why) | Self::Reset(why) => f.write_str(why),
        }
    }
}

/// What a seat wants to hear, and from where.
#[expect(clippy::struct_excessive_bools, reason = "independent wishes")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    /// Offset to begin at; `None` is the end of the tape.
    pub(super) from: Option<u64>,
    /// When it holds the device back rather than miss a byte.
    pub(super) lossless: Lossless,
    /// It says what it is done with, for it may come back and want bytes again.
    pub(super) acks: bool,
    /// It hears of line events.
    pub(super) events: bool,
    /// It hears the time of bytes.
    pub(super) times: bool,
    /// It hears of pauses in the device's output.
    pub(super) pauses: bool,
    /// It goes on when the device is gone and comes back, and is not told here.
    pub(super) patient: bool,
    /// The longest datagram it ever takes.
    pub(super) longest: usize,
}

/// When a reader holds the device back rather than miss a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lossless {
    /// The line is its own.
    Always,
    /// While nobody else reads: the kernel's buffer and flow control then hold what it has not
    /// read, as behind any relay, and nobody is kept waiting.
    Alone,
    /// It is told what it missed.
    Never,
}

/// The tape and its readers. The lock is held for the copy of one read and never across an await.
#[derive(Debug)]
pub(super) struct Output(Mutex<OutputState>);

#[derive(Debug)]
struct OutputState {
    tape: Tape,
    /// Of a device that sends datagrams.
    borders: Option<Borders>,
    marks: Marks,
    /// When the last byte came.
    last: Instant,
    /// Shortest pause that is noted.
    pause: Option<Duration>,
    readers: BTreeMap<SeatId, ReadPosition>,
    /// The downlink, when it waits for a lossless reader.
    writer: Option<Waker>,
    /// Why the device is gone, while it is.
    down: Option<Gone>,
}

#[derive(Debug)]
struct ReadPosition {
    hearing: Hearing,
    /// Offset of the next byte to hear.
    at: u64,
    /// Number of the next mark to hear, and of the next datagram.
    mark: u64,
    datagram: u64,
    /// Bytes below this are not needed again, not even for a resume.
    done: u64,
    waker: Option<Waker>,
}

impl Output {
    pub(super) fn new(history: usize, datagrams: bool) -> Self {
        let tape = Tape::new(history);
        Self(Mutex::new(OutputState {
            borders: datagrams.then(|| Borders::new(tape.capacity())),
            tape,
            marks: Marks::default(),
            last: Instant::now(),
            pause: None,
            readers: BTreeMap::new(),
            writer: None,
            down: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, OutputState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new reader; returns the offset it begins at and that of the tape's end.
    pub(super) fn enter(&self, seat: SeatId, hearing: Hearing) -> (u64, u64) {
        let mut inner = self.lock();
        let end = inner.tape.end();
        let (at, datagram) =
            hearing.from.map_or_else(|| (end, inner.last_datagram()), |from| inner.place(from));
        // What happened before a reader came is told to those alone who want the bytes from before.
        let mark = hearing.from.map_or(inner.marks.end(), |_| inner.marks.number_at(at));
        inner
            .readers
            .insert(seat, ReadPosition { hearing, at, mark, datagram, done: at, waker: None });
        // Whoever was alone is so no more.
        inner.wake_writer();
        (at, end)
    }

    /// A reader leaves.
    pub(super) fn leave(&self, seat: SeatId) {
        let mut inner = self.lock();
        inner.readers.remove(&seat);
        inner.wake_writer();
    }

    /// A reader goes on at another offset; returns the one it got.
    pub(super) fn seek(&self, seat: SeatId, to: u64) -> u64 {
        let inner = &mut *self.lock();
        let (to, mut datagram) = inner.place(to);
        let mark = inner.marks.number_at(to);
        if let Some(reader) = inner.readers.get_mut(&seat) {
            if reader.at == to {
                // Empty ones that were heard here are not heard again.
                datagram = datagram.max(reader.datagram);
            }
            (reader.at, reader.mark, reader.datagram) = (to, mark, datagram);
            reader.done = reader.done.max(to);
        }
        inner.wake_writer();
        to
    }

    /// A reader will never need bytes below `offset` again.
    pub(super) fn done(&self, seat: SeatId, offset: u64) {
        let inner = &mut *self.lock();
        if let Some(reader) = inner.readers.get_mut(&seat) {
            reader.done = reader.done.max(offset.min(reader.at));
        }
        inner.wake_writer();
    }

    /// How many bytes the device may send now without a lossless reader missing one; pending at 0.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut inner = self.lock();
        let alone = inner.readers.keys().filter(|seat| **seat != EAR).count() == 1;
        let lossless = inner.readers.values().filter(|reader| match reader.hearing.lossless {
            Lossless::Always => true,
            Lossless::Alone => alone,
            Lossless::Never => false,
        });
        let Some(slowest) = lossless.map(|reader| reader.done).min() else {
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

    /// The device sent bytes, or one datagram; `marks` lie before that many of them.
    pub(super) fn push(&self, bytes: &[u8], marks: &[(usize, LineEvent)]) {
        let inner = &mut *self.lock();
        let (start, gather) = (inner.tape.end(), inner.marks.end());
        let now = Instant::now();
        let since = now.duration_since(inner.last);
        if inner.pause.is_some_and(|pause| since >= pause) && !bytes.is_empty() {
            inner.marks.push(start, MarkKind::Pause(since), gather);
        }
        if since >= PAUSE && !bytes.is_empty() {
            inner.marks.push(start, MarkKind::Time(unix_ms()), gather);
        }
        inner.last = now;
        for (before, event) in marks {
            inner.marks.push(start + *before as u64, MarkKind::Event(*event), gather);
        }
        inner.tape.push(bytes);
        if let Some(borders) = &mut inner.borders {
            borders.push(inner.tape.end(), inner.tape.start());
        }
        inner.wake_readers();
    }

    /// Errors of the line (parity, framing, overrun) since the gateway began it.
    pub(super) fn errors(&self) -> u64 {
        self.lock().marks.errors()
    }

    /// Notes pauses of at least this long from now on.
    pub(super) fn set_pause(&self, pause: Option<Duration>) {
        self.lock().pause = pause;
    }

    /// The device came (`None`) or is gone, and why.
    pub(super) fn set_down(&self, down: Option<Gone>) {
        let mut inner = self.lock();
        inner.down = down;
        inner.wake_readers();
    }

    /// Nothing more comes; how the device went, if it has gone already, stands.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.down.get_or_insert_with(|| Gone::Failed("the line was closed".into()));
        inner.wake_readers();
    }

    /// What `seat` hears next.
    pub(super) fn poll_read(
        &self,
        seat: SeatId,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<SeatEvent> {
        let inner = &mut *self.lock();
        let Some(reader) = inner.readers.get_mut(&seat) else {
            return Poll::Ready(SeatEvent::Ended(Gone::Failed("the seat was left".into())));
        };
        let mut most = buf.len();
        if let Some(mark) = reader.next_mark(&inner.marks) {
            if mark.at <= reader.at {
                reader.mark += 1;
                return Poll::Ready(SeatEvent::Mark(mark));
            }
            most = most.min(usize::try_from(mark.at - reader.at).unwrap_or(most));
        }
        if let Some(borders) = &inner.borders {
            return match datagram::next(borders, &inner.tape, reader, buf) {
                Next::Heard(heard) => {
                    if matches!(heard, SeatEvent::Gap(_)) {
                        reader.mark = inner.marks.number_at(reader.at);
                    }
                    Poll::Ready(heard)
                }
                Next::None => reader.wait(cx, inner.down.as_ref()),
                Next::NoRoom => reader.wait(cx, None),
            };
        }
        match inner.tape.read(reader.at, buf.split_at_mut(most).0) {
            Ok(0) => reader.wait(cx, inner.down.as_ref()),
            Ok(n) => {
                reader.at += n as u64;
                if !reader.hearing.acks {
                    reader.done = reader.at;
                    inner.wake_writer();
                }
                Poll::Ready(SeatEvent::Bytes(n))
            }
            Err(gap) => {
                reader.at = gap.to;
                reader.mark = inner.marks.number_at(gap.to);
                Poll::Ready(SeatEvent::Gap(gap))
            }
        }
    }
}

impl ReadPosition {
    /// There is nothing for it now, and where the device is `down` there will be nothing.
    fn wait(&mut self, cx: &mut Context<'_>, down: Option<&Gone>) -> Poll<SeatEvent> {
        match down {
            Some(why) if !self.hearing.patient => Poll::Ready(SeatEvent::Ended(why.clone())),
            _ => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next mark this reader wants; those it does not want are passed over.
    fn next_mark(&mut self, marks: &Marks) -> Option<Mark> {
        loop {
            let (number, mark) = marks.next(self.mark)?;
            self.mark = number;
            let wanted = match mark.kind {
                MarkKind::Event(_) => self.hearing.events,
                MarkKind::Time(_) => self.hearing.times,
                MarkKind::Pause(_) => self.hearing.pauses,
            };
            if wanted {
                return Some(mark);
            }
            self.mark += 1;
        }
    }
}

impl OutputState {
    /// The place at an offset, or where the next datagram begins behind it; and its number.
    fn place(&self, offset: u64) -> (u64, u64) {
        match &self.borders {
            Some(borders) => {
                let (number, at) = borders.number_at(offset);
                (at, number)
            }
            None => (offset.min(self.tape.end()), 0),
        }
    }

    /// Number of the next datagram to come.
    fn last_datagram(&self) -> u64 {
        self.borders.as_ref().map_or(0, Borders::end)
    }

    fn wake_readers(&mut self) {
        for reader in self.readers.values_mut() {
            if let Some(waker) = reader.waker.take() {
                waker.wake();
            }
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// The wall clock, in milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
