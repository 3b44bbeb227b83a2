//! Heartbeats of a device, which are no data: found where they come alone.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::metrics::EndpointMetrics;

/// So long nothing comes before a heartbeat and after it: a device sends one when it has had
/// nothing to say for seconds.
const PAUSE: Duration = Duration::from_millis(50);

/// A network that was away may deliver as many at once.
const AT_ONCE: usize = 16;

/// Looks for heartbeats in what a device sends.
pub(super) struct Ignored {
    heartbeat: Vec<u8>,
    /// When something came last.
    last: Option<Instant>,
    /// What came after a pause and may be nothing but heartbeats.
    held: Vec<u8>,
    timer: Pin<Box<Sleep>>,
}

impl Ignored {
    pub(super) fn new(heartbeat: Vec<u8>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { heartbeat, last: None, held: Vec::new(), timer }
    }

    /// Takes what came; returns what is data by now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let now = Instant::now();
        let alone = self.last.is_none_or(|last| now >= last + PAUSE);
        self.last = Some(now);
        if self.held.is_empty() && !alone {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        self.timer.as_mut().reset(now + PAUSE);
        let beats = self.heartbeat.iter().cycle();
        let fits = self.held.len() <= self.heartbeat.len() * AT_ONCE
            && self.held.iter().eq(beats.take(self.held.len()));
        if fits { Vec::new() } else { std::mem::take(&mut self.held) }
    }

    /// Ready with what was held and is data, if no more has come; never while nothing is held.
    pub(super) fn poll_late(
        &mut self,
        cx: &mut Context<'_>,
        metrics: &EndpointMetrics,
    ) -> Poll<Vec<u8>> {
        while !self.held.is_empty() {
            ready!(self.timer.as_mut().poll(cx));
            let data = self.end(metrics);
            if !data.is_empty() {
                return Poll::Ready(data);
            }
        }
        Poll::Pending
    }

    /// Nothing more comes, or not soon: what was held is heartbeats, which are counted and dropped,
    /// or data.
    pub(super) fn end(&mut self, metrics: &EndpointMetrics) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let (count, rest) = (held.len() / self.heartbeat.len(), held.len() % self.heartbeat.len());
        if rest > 0 {
            return held;
        }
        metrics.heartbeats.add(count as u64);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{sleep, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    async fn late(ignored: &mut Ignored, metrics: &EndpointMetrics) -> Option<Vec<u8>> {
        timeout(LONG, poll_fn(|cx| ignored.poll_late(cx, metrics))).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_comes_alone_is_counted_and_dropped() {
        let (mut ignored, metrics) = (Ignored::new(b"HB".to_vec()), EndpointMetrics::default());
        assert_eq!(ignored.take(b"H"), b"");
        assert_eq!(ignored.take(b"B"), b"");
        assert_eq!(late(&mut ignored, &metrics).await, None);
        assert_eq!(ignored.take(b"HBHB"), b"");
        assert_eq!(late(&mut ignored, &metrics).await, None);
        assert_eq!(metrics.heartbeats.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_looks_like_one_is_passed_on_whole() {
        let (mut ignored, metrics) = (Ignored::new(b"HB".to_vec()), EndpointMetrics::default());
        // Right behind data, or with data right behind it.
        assert_eq!(ignored.take(b"data"), b"data");
        assert_eq!(ignored.take(b"HB"), b"HB");
        sleep(LONG).await;
        assert_eq!(ignored.take(b"HB"), b"");
        assert_eq!(ignored.take(b"X"), b"HBX");
        sleep(LONG).await;
        // The beginning of one, and no more.
        assert_eq!(ignored.take(b"H"), b"");
        assert_eq!(late(&mut ignored, &metrics).await.unwrap(), b"H");
        sleep(LONG).await;
        assert_eq!(ignored.take(&b"HB".repeat(17)), b"HB".repeat(17));
        assert_eq!(metrics.heartbeats.get(), 0);
    }
}
