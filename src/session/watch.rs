//! The watch for a target that is dead: it acknowledges nothing of what it was sent.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::Far;
use crate::stream::{Life, Liveness};

/// Looks at a connection while something is on its way to it; an idle one costs nothing.
#[derive(Debug)]
pub(super) struct Watch {
    liveness: Liveness,
    dead_after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(dead_after: Duration) -> Self {
        Self { liveness: Liveness::new(dead_after), dead_after, timer: None }
    }

    /// Something was sent.
    pub(super) fn sent(&mut self) {
        if self.timer.is_none() {
            // The rule counts from when it was sent, however late it is looked.
            self.timer = Some(Box::pin(sleep_until(Instant::now() + self.dead_after / 2)));
        }
    }

    /// Ready when nobody is there any more, with the reason.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, far: &impl Far) -> Poll<String> {
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            match far.life(&mut self.liveness, Instant::now()) {
                Life::Idle => self.timer = None,
                Life::Waiting(until) => timer.as_mut().reset(until),
                Life::Dead(_) => {
                    self.timer = None;
                    let seconds = self.dead_after.as_secs_f32();
                    return Poll::Ready(format!(
                        "the device does not answer: nothing acknowledged for {seconds} s"
                    ));
                }
            }
        }
    }
}
