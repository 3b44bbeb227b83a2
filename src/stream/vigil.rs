//! Watches a connection from inside: a timer that runs while something is outstanding.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::life::{Life, Liveness};

/// After this share of its time a connection is first looked at when something was written to it:
/// by then it has mostly acknowledged whatever an idle connection is asked. The rule counts from
/// the write, however late the look.
const FIRST_LOOK: u32 = 8;

/// Says when a peer is dead. An idle connection costs no timer.
#[derive(Debug)]
pub(crate) struct Vigil {
    liveness: Liveness,
    dead_after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Vigil {
    /// For a connection that was just made; a peer that acknowledges nothing for `dead_after` is
    /// dead.
    pub(crate) fn new(dead_after: Duration) -> Self {
        Self { liveness: Liveness::new(dead_after), dead_after, timer: None }
    }

    /// Whether it waits for a write.
    pub(crate) fn is_idle(&self) -> bool {
        self.timer.is_none()
    }

    /// Something was written.
    pub(crate) fn wrote(&mut self) {
        let first = self.dead_after / FIRST_LOOK;
        self.timer.get_or_insert_with(|| Box::pin(sleep(first)));
    }

    /// Ready with the reason when the peer is dead; ready without one while nothing is outstanding.
    /// `look` reports the state of the connection.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut Liveness, Instant) -> Life,
    ) -> Poll<Option<String>> {
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Ready(None) };
            ready!(timer.as_mut().poll(cx));
            match look(&mut self.liveness, Instant::now()) {
                Life::Idle => self.timer = None,
                Life::Waiting(until) => timer.as_mut().reset(until),
                Life::Dead(_) => {
                    self.timer = None;
                    let why =
                        format!("nothing acknowledged for {} s", self.dead_after.as_secs_f32());
                    return Poll::Ready(Some(why));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
