//! Device to seats: the tape, its marks, and how far everyone has read.

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

/// The pause after which the time of the next byte is noted.
const PAUSE: Duration = Duration::from_millis(5);

/// A seat's number on its line.
pub(crate) type SeatId = u64;

/// The line's own reader, which waits for prompts; seats count from 1.
pub(super) const EAR: SeatId = 0;

/// What a seat hears next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SeatEvent {
    /// This many bytes were copied.
    Bytes(usize),
    /// Something happened before the next byte.
    Mark(Mark),
    /// These bytes were overwritten before the seat read them; it continues after them.
    Gap(Gap),
    /// The device is gone, and everything it sent has been heard.
    Ended(Gone),
}

/// How a device went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It ended its stream.
    Ended,
    /// It failed, or was not there, and why.
    Failed(String),
    /// Its carrier fell, and sessions end with that.
    Carrier,
    /// Its connection was reset: it may not have read what it had acknowledged.
    Reset(String),
}

impl Gone {
    /// Through an error of a read or a write.
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
            Self::Carrier => f.write_str("the carrier was lost"),
            Self::Failed(why) | Self::Reset(why) => f.write_str(why),
        }
    }
}

/// What a seat wants to hear, and from where on.
#[expect(clippy::struct_excessive_bools, reason = "independent wishes")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    /// The offset to begin at; `None` is the end of the tape.
    pub(super) from: Option<u64>,
    /// When it holds the device back instead of missing a byte.
    pub(super) lossless: Lossless,
    /// It says what it is done with, since it may come back and want bytes again.
    pub(super) acks: bool,
    /// It hears about line events.
    pub(super) events: bool,
    /// It hears when bytes came.
    pub(super) times: bool,
    /// It hears about pauses in the device's output.
    pub(super) pauses: bool,
    /// It stays when the device goes and comes back, and is not told of that here.
    pub(super) patient: bool,
    /// The longest datagram it can ever take.
    pub(super) longest: usize,
}

/// When a reader holds the device back instead of missing a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lossless {
    /// Always: the line is private.
    Always,
    /// While nobody else reads: then the kernel's buffer and flow control hold what it has not
    /// read, as behind any relay, and nobody else is kept waiting.
    Alone,
    /// Never: it is told what it missed.
    Never,
}

/// The tape and its readers. The lock is held while one read is copied, and never across an await.
#[derive(Debug)]
pub(super) struct Output(Mutex<OutputState>);

#[derive(Debug)]
struct OutputState {
    tape: Tape,
    /// For a device that sends datagrams.
    borders: Option<Borders>,
    marks: Marks,
    /// When the last byte came.
    last: Instant,
    /// The shortest pause that is noted.
    pause: Option<Duration>,
    readers: BTreeMap<SeatId, ReadPosition>,
    /// The downlink's waker, while it waits for a lossless reader.
    writer: Option<Waker>,
    /// Why the device is gone, while it is.
    down: Option<Gone>,
}

#[derive(Debug)]
struct ReadPosition {
    hearing: Hearing,
    /// Offset of the next byte to hear.
    at: u64,
    /// Number of the next mark to hear, and (below) of the next datagram.
    mark: u64,
    datagram: u64,
    /// Bytes below this are not needed again, not even for a resume.
    done: u64,
    /// Why there is nothing more for this reader, whatever comes for others.
    over: Option<Gone>,
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

    /// Adds a reader; returns the offsets where it begins and where the tape ends.
    pub(super) fn enter(&self, seat: SeatId, hearing: Hearing) -> (u64, u64) {
        let mut inner = self.lock();
        let end = inner.tape.end();
        let (at, datagram) =
            hearing.from.map_or_else(|| (end, inner.last_datagram()), |from| inner.place(from));
        // Only a reader that wants earlier bytes hears what happened before it came.
        let mark = hearing.from.map_or(inner.marks.end(), |_| inner.marks.number_at(at));
        inner.readers.insert(
            seat,
            ReadPosition { hearing, at, mark, datagram, done: at, over: None, waker: None },
        );
        // A reader that was alone no longer is.
        inner.wake_writer();
        (at, end)
    }

    /// A reader leaves.
    pub(super) fn leave(&self, seat: SeatId) {
        let mut inner = self.lock();
        inner.readers.remove(&seat);
        inner.wake_writer();
    }

    /// Lets a reader continue at another offset; returns the one it got.
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

    /// Notes that a reader will never need bytes below `offset` again.
    pub(super) fn done(&self, seat: SeatId, offset: u64) {
        let inner = &mut *self.lock();
        if let Some(reader) = inner.readers.get_mut(&seat) {
            reader.done = reader.done.max(offset.min(reader.at));
        }
        inner.wake_writer();
    }

    /// How many bytes the device may send now without a lossless reader missing any; pending at 0.
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

    /// Takes bytes that the device sent, or one datagram; `marks` say how many of them each mark
    /// follows.
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

    /// Line errors (parity, framing, overrun) since the gateway began the line.
    pub(super) fn errors(&self) -> u64 {
        self.lock().marks.errors()
    }

    /// Notes pauses of at least this length from now on.
    pub(super) fn set_pause(&self, pause: Option<Duration>) {
        self.lock().pause = pause;
    }

    /// Ends everybody who reads now, those who wait for a device to come back among them, once they
    /// have read what there is.
    pub(super) fn end_all(&self, why: &Gone) {
        let mut inner = self.lock();
        inner.readers.values_mut().for_each(|reader| reader.over = Some(why.clone()));
        inner.wake_readers();
    }

    /// Notes that the device came (`None`), or that it is gone and why.
    pub(super) fn set_down(&self, down: Option<Gone>) {
        let mut inner = self.lock();
        inner.down = down;
        inner.wake_readers();
    }

    /// Notes that nothing more comes; if the device has gone already, the way it went stands.
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
    /// There is nothing for this reader now; if the device is `down`, there never will be.
    fn wait(&mut self, cx: &mut Context<'_>, down: Option<&Gone>) -> Poll<SeatEvent> {
        let down = self.over.as_ref().or(down.filter(|_| !self.hearing.patient));
        if let Some(why) = down {
            return Poll::Ready(SeatEvent::Ended(why.clone()));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next mark that this reader wants; others are skipped.
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
    /// The offset itself, or the start of the next datagram at or after it, with its number.
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
