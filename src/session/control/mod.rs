//! Control mode, `wsbridge.v1`: binary frames are line bytes, text frames are messages (docs/protocol.md 3 to 10).

mod answers;
mod ask;
mod down;
mod opening;
mod receive;
mod refused;
mod send;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Sleep, timeout},
};

use self::{
    answers::Answers,
    opening::{Busy, Done},
};
use super::{
    Report, Session, Socket,
    clock::{Clock, Due},
    live::Live,
    packing::Packets,
    parking::Parking,
    rate::Rate,
};
use crate::{
    config::Endpoint,
    line::{Lines, Participant},
    stream::with_scratch,
    wire::{
        close::Ended,
        control::{self, Tell},
        frame::Opcode,
    },
};

/// How long a client has to say `open` or `resume`.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// How long the client's Close may take behind ours.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Bytes of one read, either way.
const READ: usize = 32 * 1024;

/// Rounds of one poll before other tasks get their turn.
const ROUNDS: usize = 16;

/// What a control session runs on.
#[derive(Debug)]
pub struct Setup {
    /// The gateway's lines.
    pub lines: Arc<Lines>,
    /// The gateway's parked sessions.
    pub parking: Arc<Parking>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Who asks.
    pub who: Participant,
    /// Silence after which the client counts as dead.
    pub dead_after: Duration,
    /// How long a session outlives its socket.
    pub resume: Duration,
}

/// Runs a control session's socket to its end. A session that is open when the socket is lost is parked.
pub async fn control<S>(socket: Socket<S>, setup: Setup, session: &mut Session) -> Report
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut orders = session.order.clone();
    let order = async {
        let order = orders.wait_for(Option::is_some).await.ok().and_then(|order| order.clone());
        order.unwrap_or(Ended::Stopping)
    };
    let mut order = pin!(order);
    let mut ordered = false;
    let mut control = Control::new(socket, setup, session);
    let ended = poll_fn(|cx| {
        if !ordered && let Poll::Ready(ended) = order.as_mut().poll(cx) {
            ordered = true;
            control.end(ended);
        }
        with_scratch(|buf| control.poll(cx, buf))
    })
    .await;
    if let Some(live) = control.leave(&ended) {
        // What was taken goes out within the linger, without the lease: it is before whatever the next one writes.
        tokio::select! {
            _ = timeout(control.setup.endpoint.limits.linger, live.leave()) => {}
            _ = order, if !ordered => {}
        }
    }
    Report { ended, lost_up: 0, lost_down: 0 }
}

struct Control<'a, S> {
    socket: Socket<S>,
    setup: Arc<Setup>,
    session: &'a Session,
    clock: Clock,
    live: Option<Live>,
    /// The client's message, as far as it has come.
    text: Vec<u8>,
    busy: Option<Busy>,
    answers: Answers,
    /// Packets of the line's bytes, for an endpoint that makes them. What is held was not sent: a session that goes
    /// on elsewhere hears it there.
    packets: Option<Packets>,
    /// The endpoint's limit, up and down.
    rates: Option<Box<[Rate; 2]>>,
    /// When a lease has to be looked at.
    timer: Option<Pin<Box<Sleep>>>,
    /// Resolves with the next change of the board.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ended: Option<Ended>,
    closing: Closing,
    /// The kernel took no more for the client.
    pressed: bool,
    /// The client's Close came behind ours.
    answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Not yet.
    Open,
    /// Our Close waits to be written.
    Queued,
    /// It is written; the client's is awaited.
    Sent,
    /// Nothing more will come or go.
    Done,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Control<'a, S> {
    fn new(socket: Socket<S>, setup: Setup, session: &'a Session) -> Self {
        let mut clock = Clock::new(setup.dead_after, setup.dead_after / 3, setup.endpoint.limits.idle);
        clock.end_within(OPEN_WITHIN);
        let rate = setup.endpoint.limits.rate;
        let mut control = Self {
            socket,
            rates: rate.map(|rate| Box::new([Rate::new(rate), Rate::new(rate)])),
            setup: Arc::new(setup),
            session,
            clock,
            live: None,
            text: Vec::new(),
            busy: None,
            answers: Answers::default(),
            packets: None,
            timer: None,
            change: None,
            ended: None,
            closing: Closing::Open,
            pressed: false,
            answered: false,
        };
        let hello = control.hello();
        control.tell(&hello);
        control
    }

    /// Ends the socket; the first reason stands.
    fn end(&mut self, ended: Ended) {
        if self.ended.is_none() {
            self.ended = Some(ended);
            self.busy = None;
            self.clock.extend(CLOSE_WAIT);
        }
        // Whoever resumes the session does not wait for this socket's farewell.
        if self.ended == Some(Ended::Superseded)
            && let Some(live) = self.live.take()
        {
            self.setup.parking.park(live, self.setup.resume, self.session.entry.login);
        }
    }

    fn tell(&mut self, message: &Tell) {
        self.socket.queue(Opcode::Text, message.text().as_bytes());
    }

    fn poll(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Ended> {
        for _ in 0..ROUNDS {
            let moved =
                [self.poll_busy(cx), self.poll_up(cx, buf), self.poll_out(cx, buf), self.poll_clock(cx)];
            if self.closing == Closing::Done {
                let ended = self.ended.clone().unwrap_or(Ended::ClientClosed(None));
                return Poll::Ready(ended);
            }
            if moved.iter().all(Poll::is_pending) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the socket waits for: a session that begins, goes on or closes.
    fn poll_busy(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(busy) = &mut self.busy else { return Poll::Pending };
        let done = ready!(busy.as_mut().poll(cx));
        self.busy = None;
        // What was done before it is told before it.
        while self.poll_answers(cx).is_ready() {}
        match done {
            Done::Began { live, opened, resumed, .. } => {
                let message = if resumed { Tell::Resumed(opened) } else { Tell::Opened(opened) };
                self.tell(&message);
                // A client acknowledges at each quarter of its window, so that half of it gets free in any case.
                let most = usize::try_from(live.window / 2).unwrap_or(READ);
                self.packets = Packets::counted(live.endpoint.packing, most);
                self.setup.parking.run(&live, &self.session.entry);
                self.live = Some(*live);
                self.clock.lift();
                self.change = None;
                self.news();
            }
            Done::Refused { id, failure } => {
                self.fail_waiting();
                self.fail(id, failure);
            }
            Done::Closed { id } => {
                self.fail_waiting();
                self.answer(id, control::Answer::default());
            }
        }
        Poll::Ready(())
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_lease(cx);
        match ready!(self.clock.poll(cx, self.busy.is_some())) {
            Due::Ping if self.socket.waiting() == 0 && self.ended.is_none() => {
                self.socket.queue(Opcode::Ping, b"");
            }
            Due::Silent if self.ended.is_none() => self.end(Ended::ClientSilent),
            Due::Idle if self.live.is_some() => self.end(Ended::Idle),
            Due::Ping | Due::Idle => {}
            Due::Deadline if self.ended.is_none() => {
                if self.live.is_none() && self.busy.is_none() {
                    self.end(Ended::NotOpened);
                }
            }
            Due::Silent | Due::Deadline => self.closing = Closing::Done,
        }
        Poll::Ready(())
    }

    /// The socket is gone without a Close.
    fn lost(&mut self, why: &str) {
        self.ended.get_or_insert_with(|| Ended::ClientLost(why.to_owned()));
        self.closing = Closing::Done;
    }

    /// The socket is done with: its session waits for another, or ends with it. Returns one whose bytes still go out.
    fn leave(&mut self, ended: &Ended) -> Option<Live> {
        let live = self.live.take()?;
        // The last bytes of a target may have been lost with the socket.
        if outlives(ended) || matches!(ended, Ended::TargetEnded | Ended::TargetFailed(_)) && !self.answered {
            self.setup.parking.park(live, self.setup.resume, self.session.entry.login);
            return None;
        }
        self.setup.parking.end(live.secret());
        drains(ended).then_some(live)
    }
}

/// Whether a session outlives a socket that ended so: what an end was not meant, or may be mended by coming back.
fn outlives(ended: &Ended) -> bool {
    match ended {
        Ended::ClientLost(_)
        | Ended::ClientSilent
        | Ended::Internal(_)
        | Ended::Superseded
        | Ended::Limited(_)
        | Ended::TooBig => true,
        // Also 1001, which browsers say when a page is left or reloaded: the secret is gone with the page, and the next one
        // would find the line held by nobody who could come back.
        Ended::ClientClosed(_)
        | Ended::BadFrame(_)
        | Ended::BadText
        | Ended::BadMessage(_)
        | Ended::TargetEnded
        | Ended::TargetFailed(_)
        | Ended::TargetUnreachable(_)
        | Ended::Stopping
        | Ended::Restarting
        | Ended::NotAuthenticated
        | Ended::Withdrawn
        | Ended::Removed
        | Ended::NotOpened
        | Ended::Busy(_)
        | Ended::Disconnected
        | Ended::TooSlow(_)
        | Ended::Idle => false,
    }
}

/// Whether what was taken from a client whose session ended so still goes out, as in plain mode. Not where its right is
/// gone or the message was never to be sent.
fn drains(ended: &Ended) -> bool {
    matches!(
        ended,
        Ended::ClientClosed(_)
            | Ended::TargetEnded
            | Ended::Stopping
            | Ended::Restarting
            | Ended::Removed
            | Ended::Disconnected
            | Ended::Idle
    )
}
