//! Whether a client is alive: what it acknowledges though it says nothing, and what others ask
//! about one that has been silent.

use std::{future::Future as _, pin::Pin, task::Context, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

use super::{Socket, clock::Clock};
use crate::{line::Probe, stream::NextHop as _};

/// The least time allowed for an answer.
const ANSWER_TIME_LEAST: Duration = Duration::from_secs(1);

/// What is known about a client besides when it was heard.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Bytes its kernel had acknowledged when we last asked.
    acknowledged: u64,
    /// Those who ask whether it is there.
    asking: Vec<Probe>,
    /// When the answer is due, and since when it has been awaited.
    due: Option<(Pin<Box<Sleep>>, Instant)>,
    /// When a ping went out that has not been answered yet.
    pinged: Option<Instant>,
    longest: Duration,
}

impl Pulse {
    /// Whether its kernel has acknowledged bytes of a backlog since we last asked. If everything
    /// was taken immediately that proves nothing, and a client that is alive answers the ping.
    pub(super) fn takes(&mut self, socket: &Socket) -> bool {
        let Some(now) = socket.stream().sample() else { return false };
        let before = std::mem::replace(&mut self.acknowledged, now.acknowledged);
        now.acknowledged > before && now.unacknowledged > 0 && socket.waiting() > 0
    }

    /// A ping went out.
    pub(super) fn pinged(&mut self) {
        self.pinged.get_or_insert_with(Instant::now);
    }

    /// A pong came.
    pub(super) fn ponged(&mut self) {
        if let Some(pinged) = self.pinged.take() {
            self.longest = self.longest.max(pinged.elapsed());
        }
    }

    /// Somebody asks. Returns whether a ping has to go out: the client has been silent for longer
    /// than `heartbeat` and two of its round trips.
    pub(super) fn ask(
        &mut self,
        probe: Probe,
        clock: &Clock,
        heartbeat: Duration,
        socket: &Socket,
    ) -> bool {
        // Before the first pong, the TCP handshake tells how far away it is.
        let hop = socket.stream().sample().map_or(Duration::ZERO, |now| now.rtt);
        let trips = (2 * self.longest.max(hop)).max(ANSWER_TIME_LEAST);
        if clock.silence() < heartbeat + trips {
            probe.answer(true);
            return false;
        }
        self.asking.push(probe);
        self.due.get_or_insert_with(|| (Box::pin(sleep(trips)), Instant::now()));
        true
    }

    /// Answers once it is known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, clock: &Clock) {
        let Some((due, since)) = &mut self.due else { return };
        let heard = clock.silence() < since.elapsed();
        if !heard && due.as_mut().poll(cx).is_pending() {
            return;
        }
        self.due = None;
        for probe in self.asking.drain(..) {
            probe.answer(heard);
        }
    }
}
