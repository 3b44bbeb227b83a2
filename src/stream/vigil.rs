//! The watch over a connection from inside: a timer that runs while something is outstanding.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::{
    life::{Life, Liveness},
    sample::NextHop,
};

/// After this share of its time a connection is first looked at when something was written to it: what an idle connection
/// is asked, it has mostly acknowledged by then. The rule counts from the write, however late it is looked.
const FIRST_LOOK: u32 = 8;

/// Says when a peer is dead. An idle connection costs no timer.
#[derive(Debug)]
pub(super) struct Vigil {
    liveness: Liveness,
    dead_after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Vigil {
    /// A connection that was just made; a peer that acknowledges nothing for `dead_after` is dead.
    pub(super) fn new(dead_after: Duration) -> Self {
        Self { liveness: Liveness::new(dead_after), dead_after, timer: None }
    }

    /// Whether it waits for a write.
    pub(super) fn is_idle(&self) -> bool {
        self.timer.is_none()
    }

    /// Something was written.
    pub(super) fn wrote(&mut self) {
        let first = self.dead_after / FIRST_LOOK;
        self.timer.get_or_insert_with(|| Box::pin(sleep(first)));
    }

    /// Ready with what to say when the peer is dead; ready without while nothing is outstanding.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, hop: &impl NextHop) -> Poll<Option<io::Error>> {
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Ready(None) };
            ready!(timer.as_mut().poll(cx));
            match self.liveness.look(hop, Instant::now()) {
                Life::Idle => self.timer = None,
                Life::Waiting(until) => timer.as_mut().reset(until),
                Life::Dead(_) => {
                    self.timer = None;
                    let what = format!("nothing acknowledged for {} s", self.dead_after.as_secs_f32());
                    return Poll::Ready(Some(io::Error::new(io::ErrorKind::TimedOut, what)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
