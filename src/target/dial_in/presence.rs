//! Which connection is the device: it keeps its place while it answers, and the newest that
//! registers follows it when it does not.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use socket2::TcpKeepalive;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    doorstep::{Arrival, Met, Rules},
    incoming::Present,
};
use crate::{
    stream::{NextHop as _, StreamProbe, reset},
    target::tcp,
    wire::close::Refusal,
};

/// Connections that have yet to say who they are; the oldest give way.
const UNKNOWN_MAX: usize = 16;

/// Pause when the system has no descriptor or memory for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// How long the device has to answer when another connection claims to be it: a mobile network may
/// take seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// Meanwhile it is asked this often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How often we look whether it has answered.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The kernel counts time in steps of up to this.
const TICK: Duration = Duration::from_millis(20);

/// The connection that is the device, and one that may follow it.
#[derive(Debug, Default)]
pub(super) struct Presence {
    state: Mutex<State>,
    /// Changes when somebody waits.
    news: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    present: Option<Arc<Present>>,
    waiting: Option<Arrival>,
}

impl Presence {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that waits to be the device.
    pub(super) fn admit(&self) -> Option<Arrival> {
        self.lock().waiting.take()
    }

    /// It is the device from now on.
    pub(super) fn settle(&self, probe: StreamProbe, peer: SocketAddr) -> Arc<Present> {
        let (replaced, spoken) = (CancellationToken::new(), AtomicBool::new(false));
        let present = Arc::new(Present { probe, peer, replaced, spoken });
        self.lock().present = Some(Arc::clone(&present));
        present
    }

    /// Ready when a connection waits to be the device.
    pub(super) async fn arrived(&self) {
        let mut news = self.news.subscribe();
        // Its sender is here, so waiting cannot fail.
        while self.lock().waiting.is_none() && news.changed().await.is_ok() {}
    }
}

/// Accepts for as long as it is not dropped; connections that have yet to say who they are end with
/// it.
pub(super) async fn receive(listener: TcpListener, rules: Rules, presence: Arc<Presence>) {
    let rules = Arc::new(rules);
    let mut hall = Hall { rules: Arc::clone(&rules), presence, unknown: VecDeque::new() };
    let (mut meetings, mut questions) = (JoinSet::new(), JoinSet::new());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => hall.enter(socket, peer, &mut meetings),
                // No descriptor is left, or the client has gone already.
                Err(_) => sleep(NO_ROOM).await,
            },
            Some(met) = meetings.join_next() => {
                if let Ok(met) = met
                    && let Some(present) = hall.met(met)
                    && questions.is_empty()
                {
                    let keepalive = rules.keepalive;
                    questions.spawn(async move { (answers(&present, keepalive).await, present) });
                }
            }
            Some(asked) = questions.join_next() => {
                if let Ok((answers, present)) = asked {
                    hall.asked(answers, &present);
                }
            }
        }
    }
}

/// Those who want to be the device.
struct Hall {
    rules: Arc<Rules>,
    presence: Arc<Presence>,
    /// Who has yet to say who it is, the oldest first.
    unknown: VecDeque<AbortHandle>,
}

impl Hall {
    /// Hears a connection, on a task of its own.
    fn enter(&mut self, socket: TcpStream, peer: SocketAddr, meetings: &mut JoinSet<Met>) {
        if !self.rules.allow(peer) {
            return self.refuse(socket, peer, &Refusal::Forbidden);
        }
        self.unknown.retain(|other| !other.is_finished());
        if self.unknown.len() >= UNKNOWN_MAX
            && let Some(oldest) = self.unknown.pop_front()
        {
            oldest.abort();
            (self.rules.desk.refused)(peer, &Refusal::TooMany(0));
        }
        let rules = Arc::clone(&self.rules);
        self.unknown.push_back(meetings.spawn(async move { rules.meet(socket, peer).await }));
    }

    /// Takes note of what a connection has said; returns the device that has to be asked whether it
    /// is still there.
    fn met(&self, met: Met) -> Option<Arc<Present>> {
        let arrival = match met {
            Met::Arrived(arrival) => arrival,
            Met::Refused(socket, peer, refusal) => {
                self.refuse(socket, peer, &refusal);
                return None;
            }
            Met::Left => return None,
        };
        let newer = arrival.peer;
        let (older, present) = {
            let mut state = self.presence.lock();
            (state.waiting.replace(arrival), state.present.clone())
        };
        if let Some(older) = older {
            let holder = format!("the same device, which has connected anew from {newer}");
            self.refuse(older.socket, older.peer, &Refusal::Busy(holder));
        }
        let present = present.filter(|it| !it.probe.is_gone());
        match present {
            None => self.presence.news.send_replace(()),
            // It may as well be a browser's that never says anything.
            Some(silent) if !self.rules.register() && !silent.spoken.load(Relaxed) => {
                silent.replaced.cancel();
            }
            Some(present) => return Some(present),
        }
        None
    }

    /// The device was asked: it keeps its place, or whoever waits follows it.
    fn asked(&self, answers: bool, present: &Present) {
        if present.probe.is_gone() {
            return self.presence.news.send_replace(());
        }
        let mut state = self.presence.lock();
        let Some(newer) = state.waiting.as_ref().map(|it| it.peer) else { return };
        let endpoint = self.rules.desk.endpoint.as_str();
        if !answers {
            tracing::info!(endpoint, peer = %present.peer, "the device does not answer, and has connected anew from {newer}");
            present.replaced.cancel();
            return;
        }
        let refused = state.waiting.take();
        drop(state);
        if let Some(refused) = refused {
            let holder = format!("the device at {}, which answers", present.peer);
            tracing::info!(endpoint, peer = %refused.peer, "refused: in use by {holder}");
            self.refuse(refused.socket, refused.peer, &Refusal::Busy(holder));
        }
    }

    fn refuse(&self, socket: TcpStream, peer: SocketAddr, refusal: &Refusal) {
        reset(socket);
        (self.rules.desk.refused)(peer, refusal);
    }
}

/// Asks the other end of a connection whether it is still there: the kernel does, with keepalive
/// probes, and while data is on its way with that.
async fn answers(present: &Present, usual: Option<Duration>) -> bool {
    let probe = &present.probe;
    let asked = Instant::now();
    // More of them than there is time for: how it ends is decided here.
    let hasty = TcpKeepalive::new().with_time(ASK_EVERY).with_interval(ASK_EVERY).with_retries(60);
    probe.ask_after(&hasty);
    let answered = loop {
        sleep(LOOK_EVERY).await;
        let Some(silence) = probe.silence() else { return false };
        if silence + TICK < asked.elapsed() {
            break true;
        }
        if asked.elapsed() >= ANSWER_WITHIN {
            // With a closed window it is asked ever more rarely, and has answered the last time.
            break probe.sample().is_some_and(|sample| sample.answers());
        }
    };
    probe.ask_after(
        &usual.map_or(TcpKeepalive::new().with_time(Duration::from_secs(7200)), tcp::keepalive),
    );
    answered
}
