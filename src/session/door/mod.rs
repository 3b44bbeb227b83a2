//! A door's client on one seat or connection: bytes without frames, whose beginning is looked at
//! before anything is passed on, and whose end says whether everything arrived.

mod clock;
mod comport;
mod down;
mod first;
mod node;
mod orders;
mod presence;
mod raw;
mod still;
mod up;

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;

use self::{clock::Quiet, presence::Presence, still::Still};
use super::{
    Far, RunningSession, Session, SessionReport,
    drain::{Drain, Linger},
    endings::{Farewell, Parting, Remainder, ending, loss},
    order::Ordered,
    rate::BothRates,
    upstream::{Count, Upstream},
};
use crate::{
    line::Mark,
    screen::Screen,
    stream::{Stream, Vigil, with_scratch},
    wire::{close::Ended, opening::Foreign},
};

pub(crate) use self::{
    comport::ComPort,
    first::{First, first_bytes},
    node::DeviceNode,
    raw::Raw,
};

/// Bytes of one read, either way.
const READ_MAX: usize = 32 * 1024;

/// Rounds of one poll before other tasks get their turn.
const ROUNDS: usize = 16;

/// A client that sends no more is still told what the device answers, until it has been quiet for so
/// long: a raw connection does not say whether its other half is closed, too.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The rules of a door's session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorTerms {
    /// A client that acknowledges nothing of what it was sent for so long is dead.
    pub dead_after: Duration,
    /// Silence of both sides after which the session ends.
    pub idle: Option<Duration>,
    /// How long bytes on their way may stand still once the session ends.
    pub linger: Linger,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    /// The client stays while the device is away.
    pub hold: bool,
}

/// What is spoken at a door: bytes as they are, or bytes and requests of RFC 2217. Polled by one
/// task; neither direction waits for the other.
pub(crate) trait Words<F> {
    /// Bytes of the client, never empty.
    fn heard(&mut self, cx: &mut Context<'_>, up: &mut Upstream<F>, bytes: &[u8]);

    /// Whether more can be heard now.
    fn listens(&self, up: &Upstream<F>) -> bool;

    /// Whether everything that was heard has been passed on.
    fn is_through(&self) -> bool;

    /// Ready when a client that has sent nothing asks for something all the same.
    fn poll_asks(&mut self, _cx: &mut Context<'_>, _up: &Upstream<F>) -> Poll<()> {
        Poll::Pending
    }

    /// Whether the client wants nothing of what it has not read, as it says once.
    fn skips(&mut self, _up: &mut Upstream<F>) -> bool {
        false
    }

    /// Passes on what was heard and is not with the target yet. Ready when something moved, with
    /// why the session ends if it does.
    fn poll_on(&mut self, cx: &mut Context<'_>, up: &mut Upstream<F>) -> Poll<Option<Ended>>;

    /// Ready when the line may be heard.
    fn poll_room(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// What is heard of the line, for the client.
    fn say(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// What happened on the line, where the protocol has words for it.
    fn mark(&mut self, _mark: Mark, _out: &mut Vec<u8>) {}

    /// What we have to say ourselves: answers, notifications. Ready when there was something.
    fn poll_say(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Upstream<F>,
        out: &mut Vec<u8>,
    ) -> Poll<()>;

    /// The last words to a client that is parted from; nothing where the protocol has none.
    fn farewell(&mut self, ended: &Ended, out: &mut Vec<u8>);

    /// Forgets what was heard and not passed on; how many bytes of it were for the device.
    fn forget(&mut self) -> usize;
}

/// What becomes of a connection before it is a session.
pub(crate) trait Entrance {
    /// The client has sent something that is a tool's: the session counts from now on, unless there
    /// is no room for it.
    fn enter(&mut self) -> Result<(), Ended>;

    /// Bytes of the device go to the client for the first time.
    fn witness(&mut self);
}

/// How a door's session begins.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// What the client sends first is looked at; the session counts from then on.
    Screened(Screen),
    /// These bytes have passed.
    Passed(Vec<u8>),
}

/// How a door's client is left.
#[derive(Debug)]
pub(crate) enum LeftDoor {
    /// It was a session.
    Session(SessionReport),
    /// It was no tool: nothing of it was passed on.
    Foreign(Foreign),
}

/// Runs a door's session to its end. Everything read is delivered as long as it moves; the end of
/// the stream says that all of it was, both ways, and a reset that it was not.
pub(crate) async fn door<F: Far, W: Words<F>>(
    stream: Stream,
    beginning: Beginning,
    (far, words): (F, W),
    terms: DoorTerms,
    (session, entrance): (&Session, &mut (dyn Entrance + Send)),
) -> LeftDoor {
    // A client is slow as long as it takes bytes, and dead when it does not answer: the kernel's
    // own rule knows no difference behind a closed window.
    if let Some(socket) = stream.tcp() {
        let _ = SockRef::from(socket).set_tcp_user_timeout(None);
    }
    let (screen, early) = match beginning {
        Beginning::Screened(screen) => (Some(screen), Vec::new()),
        Beginning::Passed(early) => (None, early),
    };
    let presence = Presence::of(far.board(), terms.hold);
    let upstream = Upstream::new(far, terms.linger, terms.dead_after, false);
    let mut door = DoorSession {
        stream,
        screen,
        early,
        words,
        upstream,
        presence,
        terms,
        out: Vec::new(),
        sent: 0,
        inbound: Inbound::Open,
        broken: false,
        parting: None,
        half_closed: false,
        over: false,
        foreign: None,
        ended: None,
        wound_up: false,
        vigil: Vigil::new(terms.dead_after),
        rates: BothRates::new(terms.rate),
        quiet: Quiet::new(terms.idle),
        still: Still::default(),
        last_words: LAST_WORDS,
        lost_down: 0,
        entry: Arc::clone(&session.entry),
        entrance,
    };
    let mut orders = session.orders();
    loop {
        let mut order = pin!(orders.next());
        let ordered = poll_fn(|cx| match order.as_mut().poll(cx) {
            Poll::Ready(ordered) => Poll::Ready(Some(ordered)),
            Poll::Pending => with_scratch(|buf| door.poll(cx, buf)).map(|()| None),
        });
        match ordered.await {
            Some(Ordered::End(ended)) => door.order(ended),
            Some(Ordered::Held(by)) if !door.upstream.far.restrain(by) => {
                door.end(Ended::Withdrawn);
            }
            // Bytes of ours would be the device's to its client.
            Some(Ordered::Held(_) | Ordered::Notice(_)) => {}
            None => return door.report(),
        }
    }
}

/// The client's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    /// Bytes come.
    Open,
    /// Its end has come.
    Ended,
}

/// A session of a door.
#[expect(clippy::struct_excessive_bools, reason = "each says of another thing that it is over")]
struct DoorSession<'a, F, W> {
    stream: Stream,
    /// What holds the beginning back; `None` once that has passed.
    screen: Option<Screen>,
    /// Bytes that have passed and wait for the device.
    early: Vec<u8>,
    words: W,
    upstream: Upstream<F>,
    presence: Presence,
    terms: DoorTerms,
    /// Bytes for the client, and how many of them are written.
    out: Vec<u8>,
    sent: usize,
    inbound: Inbound,
    /// There is nobody to write to.
    broken: bool,
    /// Waits until the client has everything.
    parting: Option<Drain>,
    /// The target's end was passed on.
    half_closed: bool,
    over: bool,
    /// The client was no tool; what it was.
    foreign: Option<Foreign>,
    ended: Option<Ended>,
    wound_up: bool,
    vigil: Vigil,
    rates: BothRates,
    quiet: Quiet,
    still: Still,
    /// How long a client that sends no more is still told what the device says.
    last_words: Duration,
    /// Bytes that the client did not get.
    lost_down: u64,
    entry: Arc<RunningSession>,
    entrance: &'a mut (dyn Entrance + Send),
}

impl<F: Far, W: Words<F>> DoorSession<'_, F, W> {
    /// The order to end came from outside; it may hurry a session that ends already.
    fn order(&mut self, ended: Ended) {
        let rest = ending(&ended).rest;
        if self.ended.is_none() {
            self.end(ended);
        } else if rest != Remainder::Drain {
            self.upstream.wind_up(rest);
            if let Some(parting) = &mut self.parting {
                parting.hurry(rest);
            }
        }
    }

    /// The session ends; the first reason stands.
    fn end(&mut self, ended: Ended) {
        if self.ended.is_some() {
            return;
        }
        let parting = Parting { queued: self.upstream.is_under_way(), has_word: false };
        if let Some(loss) = loss(&ended, parting) {
            self.upstream.far.bereave(loss);
        }
        if ending(&ended).farewell == Farewell::None {
            self.give_up();
        }
        self.ended = Some(ended);
    }

    /// The connection is of no use any more.
    fn give_up(&mut self) {
        if !self.over {
            self.lost_down = self.unacknowledged();
            (self.broken, self.over) = (true, true);
            self.inbound = Inbound::Ended;
        }
    }

    fn break_off(&mut self, why: &str) {
        self.end(Ended::ClientLost(why.to_owned()));
        self.give_up();
    }

    /// Bytes for the client that its kernel has not acknowledged.
    fn unacknowledged(&self) -> u64 {
        ((self.out.len() - self.sent) as u64).saturating_add(self.stream.outstanding().bytes)
    }

    fn poll(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        for _ in 0..ROUNDS {
            self.still.begin();
            let moved =
                [self.poll_client(cx, buf), self.poll_target(cx, buf), self.poll_down(cx, buf)];
            if self.foreign.is_some() || (self.over && self.wound_up && self.upstream.is_done()) {
                return Poll::Ready(());
            }
            if moved.iter().all(Poll::is_pending)
                && self.poll_clock(cx).is_pending()
                && self.poll_still(cx).is_pending()
            {
                return Poll::Pending;
            }
        }
        let _ = self.poll_clock(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = &self.stream;
        if let Poll::Ready(Some(why)) =
            self.vigil.poll(cx, |liveness, now| liveness.look(stream, now))
        {
            self.break_off(&why);
            return Poll::Ready(());
        }
        if self.ended.is_none() && self.quiet.poll(cx).is_ready() {
            self.end(Ended::Idle);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn report(self) -> LeftDoor {
        if let Some(foreign) = self.foreign {
            return LeftDoor::Foreign(foreign);
        }
        let Count { taken, lost, unsure } = self.upstream.count();
        let ended = match self.ended {
            Some(Ended::ClientClosed(_)) if lost > 0 => {
                Ended::Undelivered { delivered: taken - lost, of: taken }
            }
            Some(ended) => ended,
            None => Ended::ClientClosed(None),
        };
        let missed = if let Ended::TooSlow(missed) = ended { missed } else { 0 };
        LeftDoor::Session(SessionReport {
            ended,
            taken,
            lost_up: lost + unsure,
            lost_down: self.lost_down + missed,
        })
    }
}
