//! Calls that wait in the kernel without a limit (tcdrain, TIOCSBRK, close): each runs in a thread
//! that a signal can end.

use std::{
    io,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::sys::ioctl;

/// Pause between two signals: one that arrives before the call has begun to wait ends nothing.
const SIGNAL_PAUSE: Duration = Duration::from_millis(2);

/// After this many signals the thread must be waiting for hardware, which no signal ends.
const SIGNALS_MAX: usize = 500;

/// A call in a thread of its own. Dropping it ends the call.
#[derive(Debug)]
pub(super) struct BlockingCall<T> {
    thread: Option<JoinHandle<()>>,
    done: oneshot::Receiver<T>,
}

impl<T: Send + 'static> BlockingCall<T> {
    /// Begins the call.
    pub(super) fn begin(call: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        ioctl::make_interruptible()?;
        let (tell, done) = oneshot::channel();
        let thread = thread::Builder::new().name("tty-wait".into()).spawn(move || {
            // Perhaps nobody waits for it any more.
            tell.send(call()).ok();
        })?;
        Ok(Self { thread: Some(thread), done })
    }

    /// What it returned, or `None` if it takes longer than `limit`.
    pub(super) async fn within(mut self, limit: Duration) -> Option<T> {
        timeout(limit, &mut self.done).await.ok()?.ok()
    }

    /// Ends it now, and waits until it has ended.
    pub(super) fn end(mut self) {
        if let Some(thread) = self.thread.take() {
            end(thread);
        }
    }
}

impl<T> Drop for BlockingCall<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take().filter(|thread| !thread.is_finished()) {
            // Elsewhere, since this thread has others to serve. If no thread can be had, the call
            // ends when its port hangs up.
            drop(thread::Builder::new().name("tty-end".into()).spawn(move || end(thread)));
        }
    }
}

fn end(thread: JoinHandle<()>) {
    for _ in 0..SIGNALS_MAX {
        if thread.is_finished() {
            break;
        }
        ioctl::interrupt(&thread);
        thread::sleep(SIGNAL_PAUSE);
    }
    thread.join().ok();
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, sync::Arc, time::Instant};

    use rustix::io::Errno;

    use super::*;

    #[tokio::test]
    async fn a_call_that_waits_is_ended_by_its_limit_and_its_descriptor_is_free_then() {
        let (near, far) = io::pipe().unwrap();
        let near = Arc::new(near);
        let held = Arc::clone(&near);
        let call = move || rustix::io::read(held.as_fd(), &mut [0; 1]);
        let waiting = BlockingCall::begin(call).unwrap();
        assert_eq!(waiting.within(Duration::from_millis(20)).await, None);
        let began = Instant::now();
        while Arc::strong_count(&near) > 1 {
            assert!(began.elapsed() < Duration::from_secs(20), "the thread still waits");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(far);
    }

    #[tokio::test]
    async fn a_call_that_does_not_wait_gives_what_it_gave() {
        let waiting = BlockingCall::begin(|| Err::<(), _>(Errno::NOTTY)).unwrap();
        assert_eq!(waiting.within(Duration::from_secs(20)).await, Some(Err(Errno::NOTTY)));
        let (near, _far) = io::pipe().unwrap();
        BlockingCall::begin(move || rustix::io::read(near, &mut [0; 1])).unwrap().end();
    }
}
