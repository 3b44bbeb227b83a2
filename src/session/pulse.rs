//! Whether a client lives: what it takes though it says nothing, and what others ask about one that
//! was silent.

use std::{future::Future as _, pin::Pin, task::Context, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

use super::{Socket, clock::Clock};
use crate::{line::Probe, stream::NextHop as _};

/// The least time an answer is given.
const ANSWER_TIME_LEAST: Duration = Duration::from_secs(1);

/// What is known of a client beside when it was heard.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Bytes its kernel had acknowledged when this was last asked.
    acknowledged: u64,
    /// Whoever asks whether it is there.
    asking: Vec<Probe>,
    /// When the answer is due, since when it is waited for.
    due: Option<(Pin<Box<Sleep>>, Instant)>,
    /// When a ping went out that was not answered yet.
    pinged: Option<Instant>,
    longest: Duration,
}

impl Pulse {
    /// Whether its kernel has acknowledged bytes of a backlog since this was last asked. Where all
    /// was taken at once that proves nothing: then a client that lives answers the ping.
    pub(super) fn takes(&mut self, socket: &Socket) -> bool {
        let Some(now) = socket.stream().sample() else { return false };
        let before = std::mem::replace(&mut self.acknowledged, now.acknowledged);
        now.acknowledged > before && now.unacknowledged > 0 && socket.waiting() > 0
    }

    /// A ping goes out.
    pub(super) fn pinged(&mut self) {
        self.pinged.get_or_insert_with(Instant::now);
    }

    /// A pong came.
    pub(super) fn ponged(&mut self) {
        if let Some(pinged) = self.pinged.take() {
            self.longest = self.longest.max(pinged.elapsed());
        }
    }

    /// Somebody asks. Returns whether a ping is to go out: the client was silent for longer than
    /// `heartbeat` and two of its round trips.
    pub(super) fn ask(
        &mut self,
        probe: Probe,
        clock: &Clock,
        heartbeat: Duration,
        socket: &Socket,
    ) -> bool {
        // Before the first pong the handshake of TCP tells how far it is.
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

    /// Answers when it is known.
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
