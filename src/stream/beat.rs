//! Bytes of ours that keep a connection open: sent while nothing else is.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep},
};

use super::sample::Outstanding;

/// A connection's heartbeat. Its bytes never stand within what somebody else sends: they go out
/// when nothing was written for some time, and everything written has arrived.
#[derive(Debug)]
pub(super) struct Beat {
    every: Duration,
    bytes: Vec<u8>,
    /// When something was last written.
    last: Instant,
    timer: Pin<Box<Sleep>>,
    /// How many bytes of the present beat have yet to be written.
    rest: usize,
    /// Bytes written so far, ours and others'.
    written: u64,
    /// How many they were when the last byte of ours had been written.
    ended: u64,
    /// Something of ours was written since the owner last asked.
    beaten: bool,
    /// Our side of the stream has ended.
    over: bool,
}

impl Beat {
    /// The first one is due after this time.
    pub(super) fn new(every: Duration, bytes: Vec<u8>) -> Self {
        Self {
            every,
            bytes,
            last: Instant::now(),
            timer: Box::pin(sleep(every)),
            rest: 0,
            written: 0,
            ended: 0,
            beaten: false,
            over: false,
        }
    }

    /// Ready when it is time to send one. `has_arrived` says whether everything written so far has:
    /// as long as something is on its way, the connection is in use.
    pub(super) fn poll_due(
        &mut self,
        cx: &mut Context<'_>,
        has_arrived: impl Fn() -> bool,
    ) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let (now, due) = (Instant::now(), self.last + self.every);
            if now >= due && !self.over && has_arrived() {
                self.rest = self.bytes.len();
                self.timer.as_mut().reset(now + self.every);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(if now < due { due } else { now + self.every });
        }
    }

    /// Writes what is left of a beat that has begun. Nothing else may be written before. That the
    /// connection is broken shows to whoever reads.
    pub(super) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<()> {
        while self.rest > 0 {
            let (_, rest) = self.bytes.split_at(self.bytes.len() - self.rest);
            let Ok(n @ 1..) = ready!(Pin::new(&mut *stream).poll_write(cx, rest)) else {
                self.rest = 0;
                break;
            };
            self.rest -= n;
            self.wrote(n);
            (self.ended, self.beaten) = (self.written, true);
        }
        Poll::Ready(())
    }

    /// Somebody has written this many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.last = Instant::now();
    }

    /// Our side of the stream has ended.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// Whether something of ours was written since the last call.
    pub(super) fn has_beaten(&mut self) -> bool {
        std::mem::take(&mut self.beaten)
    }

    /// What has not arrived, without our own bytes. A beat begins only when nothing is outstanding,
    /// so there is never more than one among them.
    pub(super) fn without(&self, all: Outstanding) -> Outstanding {
        let begun = self.ended.saturating_sub((self.bytes.len() - self.rest) as u64);
        let arrived = self.written.saturating_sub(all.bytes);
        let ours = self.ended.saturating_sub(begun.max(arrived));
        Outstanding { bytes: all.bytes.saturating_sub(ours), ..all }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn due(beat: &mut Beat, has_arrived: bool) -> impl Future<Output = ()> {
        poll_fn(move |cx| beat.poll_due(cx, || has_arrived))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_due_when_nothing_was_written_for_its_time() {
        let begun = Instant::now();
        let mut beat = Beat::new(EVERY, b"hb".to_vec());
        sleep(Duration::from_secs(20)).await;
        beat.wrote(7);
        due(&mut beat, true).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(50));
        let mut sent = Vec::new();
        poll_fn(|cx| beat.poll_rest(cx, &mut sent)).await;
        assert!(sent == b"hb" && beat.has_beaten() && !beat.has_beaten());
        // While something is on its way the connection is not idle.
        assert!(timeout(10 * EVERY, due(&mut beat, false)).await.is_err());
        beat.end();
        assert!(timeout(10 * EVERY, due(&mut beat, true)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn its_bytes_do_not_count_among_what_somebody_lost() {
        let mut beat = Beat::new(EVERY, b"hb".to_vec());
        beat.wrote(100);
        due(&mut beat, true).await;
        poll_fn(|cx| beat.poll_rest(cx, &mut Vec::new())).await;
        beat.wrote(10);
        let left = |bytes| beat.without(Outstanding { bytes, exact: true }).bytes;
        // Of 100 + 2 + 10 bytes the last so many have not arrived.
        assert_eq!([0, 5, 10, 11, 12].map(left), [0, 5, 10, 10, 10]);
    }
}
