//! Notices that the time of day was set, which the kernel tells whoever asks.

use std::{future::pending, io, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::{Errno, read},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::unix::AsyncFd;

/// Seconds since 1970 of a time that no gateway sees.
const NEVER: i64 = i64::MAX / 1_000_000_000;

/// Changes of the clock that are no ticking (`timerfd_create(2)`, `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub(crate) struct ClockSteps(Option<AsyncFd<OwnedFd>>);

impl ClockSteps {
    /// From now on. Where the kernel cannot tell, there are none.
    pub(crate) fn new() -> Self {
        let asked = asked().and_then(|timer| {
            #[expect(deprecated, reason = "it owns its descriptor for as long as it lives")]
            AsyncFd::new(timer)
        });
        Self(asked.inspect_err(|error| tracing::warn!("the clock is not watched: {error}")).ok())
    }

    /// Ready when the clock has been set. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        let Some(timer) = &self.0 else { return pending().await };
        loop {
            let Ok(mut ready) = timer.readable().await else { return pending().await };
            let mut count = [0; 8];
            let set = match read(timer, &mut count) {
                Err(Errno::CANCELED) => true,
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    false
                }
                // Spinning would be worse than not knowing.
                Ok(_) | Err(_) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    false
                }
            };
            if set {
                return;
            }
        }
    }
}

fn asked() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    let never = Timespec { tv_sec: NEVER, tv_nsec: 0 };
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    let when = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, when, &Itimerspec { it_interval: none, it_value: never })?;
    Ok(timer)
}
