//! Control mode, `wsbridge.v1`: binary frames are line bytes, text frames are messages
//! (docs/protocol.md 3 to 10).

mod answers;
mod ask;
mod datagram;
mod down;
mod opening;
mod orders;
mod refused;

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use self::{
    answers::Answers,
    ask::{answer, fail_bytes},
    opening::{Busy, Done},
    orders::Notices,
};
use super::{
    Notice, Restraints, Session, SessionReport, Socket,
    clock::Rules,
    drain::Linger,
    endings::{self, Remainder, loss},
    engine::{Piece, Speech, run},
    link::Link,
    live::{Leaving, Live},
    message::Message,
    packing::Packets,
    parking::Parking,
    sessions::{Sessions, Standing},
};
use crate::{
    auth::OneSession,
    config::Endpoint,
    line::{LineNews, Lines, Participant},
    wire::{
        close::Ended,
        control::{self, Code, TEXT_MAX, Tell},
        frame::Opcode,
    },
};

/// How long a client has to send `open` or `resume`.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// The most line bytes in one read.
const LINE_READ_MAX: usize = 32 * 1024;

/// What a control session needs.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The gateway's lines.
    pub lines: Arc<Lines>,
    /// The gateway's running sessions.
    pub sessions: Arc<Sessions>,
    /// The gateway's parked sessions.
    pub parking: Arc<Parking>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Who is asking.
    pub who: Participant,
    /// Silence after which the client counts as dead.
    pub dead_after: Duration,
    /// How long a session outlives its socket.
    pub resume: Duration,
    /// The one session that this principal may begin; `None`: as many as there is room for.
    pub once: Option<Arc<OneSession>>,
}

/// Runs a control session's socket to its end. If a session is open when the socket is lost, it is
/// parked.
pub(crate) async fn control(socket: Socket, setup: Setup, session: &Session) -> SessionReport {
    let rules = Rules {
        dead_after: setup.dead_after,
        ping_after: setup.dead_after / 3,
        idle: setup.endpoint.limits.idle,
        rate: setup.endpoint.limits.rate,
    };
    if setup.endpoint.share.is_some() {
        socket.bound_unread();
    }
    let mut link = Link::new(socket, rules);
    link.clock.end_within(OPEN_WITHIN);
    session.entry.shows_notices();
    let mut control = ControlSession::new(setup, session);
    tell(&mut link, &control.hello());
    run(&mut link, &mut control, session.orders()).await;
    control.finish(&link)
}

/// Queues a message for the client, after what already waits.
fn tell(link: &mut Link, message: &Tell) {
    link.socket.queue(Opcode::Text, message.text().as_bytes());
}

/// What becomes of the open session when its socket ends.
#[derive(Debug)]
enum Parting {
    /// Nothing yet.
    Open,
    /// What was taken from the client still goes to the line, without the lease: it comes before
    /// whatever the next session writes.
    Leaving(Box<Leaving>),
    /// That is over, or the session waits for another socket.
    Done,
}

struct ControlSession<'a> {
    setup: Arc<Setup>,
    session: &'a Session,
    live: Option<Live>,
    /// The client's text message, as far as it has arrived.
    text: Vec<u8>,
    /// The same for a data message, where each message is a datagram.
    datagram: Option<Message>,
    busy: Option<Busy>,
    answers: Answers,
    /// Packets of the line's bytes, for an endpoint that forms them. What is held was not sent: a
    /// session that goes on elsewhere hears it there.
    packets: Option<Packets>,
    /// When the lease has to be looked at.
    timer: Option<Pin<Box<Sleep>>>,
    /// Resolves with the next change on the board.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Messages that the client has yet to be given.
    notices: Notices,
    parting: Parting,
    /// Bytes from the client that the target will not get: those it has been told about, and the
    /// others.
    told_lost: u64,
    lost: u64,
    /// How many bytes had been taken from the client when the target ended its side.
    mark: u64,
}

impl<'a> ControlSession<'a> {
    fn new(setup: Setup, session: &'a Session) -> Self {
        let datagrams = setup.endpoint.target.has_datagrams();
        Self {
            datagram: datagrams.then(Message::default),
            setup: Arc::new(setup),
            session,
            live: None,
            text: Vec::new(),
            busy: None,
            answers: Answers::default(),
            packets: None,
            timer: None,
            change: None,
            notices: Notices::default(),
            parting: Parting::Open,
            told_lost: 0,
            lost: 0,
            mark: 0,
        }
    }

    fn linger(&self) -> Linger {
        Linger::of(&self.setup.endpoint.limits)
    }

    /// Waits for whatever the socket is busy with: a session that begins, resumes or closes.
    fn poll_busy(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
        let Some(busy) = &mut self.busy else { return Poll::Pending };
        let done = ready!(busy.as_mut().poll(cx));
        self.busy = None;
        // What was done before it is reported before it.
        while self.poll_answers(link, cx).is_ready() {}
        match done {
            Done::Began { live, opened, resumed, .. } => {
                let message = if resumed { Tell::Resumed(opened) } else { Tell::Opened(opened) };
                tell(link, &message);
                // A client acknowledges at each quarter of its window, so half of the window
                // becomes free in any case.
                let most = usize::try_from(live.window / 2).unwrap_or(LINE_READ_MAX);
                self.packets = Packets::counted(live.endpoint.packing, most);
                self.setup.parking.run(&live, &self.session.entry);
                self.session.entry.stand(Standing::Seat(live.seat.id()));
                let held = live.held;
                self.live = Some(*live);
                // What came while it began.
                self.stay_held(held);
                self.change = None;
                self.news(link);
            }
            Done::Refused { id, failure, bytes } => {
                self.fail_waiting(link);
                let failure = self.explained(failure);
                fail_bytes(link, id, failure, bytes);
                link.clock.end_within(OPEN_WITHIN);
            }
            Done::Closed { id } => {
                self.fail_waiting(link);
                answer(link, id, control::Answer::default());
            }
        }
        Poll::Ready(())
    }

    /// Bytes from an open session's client that are on their way.
    fn left(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.seat.pending().bytes)
    }

    /// Takes one step in what becomes of the open session.
    fn poll_parting(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<()> {
        match (&mut self.parting, link.ended()) {
            (Parting::Leaving(leaving), _) => {
                self.lost += ready!(leaving.poll(cx));
                self.parting = Parting::Done;
            }
            // A target that has ended only its own side still gets what the client sent before it
            // answered. The last bytes of that target may be lost with the socket: then they may be
            // asked for again.
            (Parting::Open, Some(Ended::TargetEnded)) if !link.is_read() => {
                let over = if link.is_answered() { self.take_live() } else { None };
                match over {
                    Some(live) => self.leave(live, Remainder::Drain),
                    None => self.parting = Parting::Done,
                }
            }
            (Parting::Open | Parting::Done, _) => return Poll::Pending,
        }
        Poll::Ready(())
    }

    fn leave(&mut self, live: Live, rest: Remainder) {
        let leaving = Leaving::new(live, self.linger(), rest);
        self.parting = Parting::Leaving(Box::new(leaving));
    }

    /// The open session, which is over.
    fn take_live(&mut self) -> Option<Live> {
        let live = self.live.take()?;
        self.session.entry.stand(Standing::Idle);
        self.setup.parking.end(live.secret());
        Some(live)
    }

    /// Keeps the open session for its client to come back.
    fn park(&mut self, ended: &Ended) {
        if let Some(live) = self.live.take() {
            self.setup.parking.park(live, self.setup.resume, ended);
        }
    }

    /// The socket is done with: its session waits for another, or has ended with it.
    fn finish(mut self, link: &Link) -> SessionReport {
        let ended = link.ended().cloned().unwrap_or(Ended::ClientClosed(None));
        let broke =
            matches!(ended, Ended::TargetEnded | Ended::TargetFailed(_) | Ended::TargetReset(_));
        if link.ending().is_some_and(|ending| ending.parks) || broke && !link.is_answered() {
            self.park(&ended);
        }
        drop(self.take_live());
        let taken = self.session.entry.to_target.load(Ordering::Relaxed);
        SessionReport { ended, taken, lost_up: self.told_lost + self.lost, lost_down: 0 }
    }

    /// Line bytes that were under way when the target ended its side.
    fn take_late(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        let Some(live) = self.live.as_mut().filter(|live| live.seat.is_writer()) else { return };
        self.session.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let taken = match live.seat.poll_write(cx, bytes) {
            Poll::Ready(Ok(taken)) => taken,
            // No more can come than the window that is not acknowledged any more.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.lost += (bytes.len() - taken) as u64;
    }
}

impl Speech for ControlSession<'_> {
    fn is_stream(&self, text: bool) -> bool {
        !text && self.datagram.is_none()
    }

    fn data(&mut self, link: &mut Link, cx: &mut Context<'_>, bytes: &[u8]) {
        match link.ended() {
            None => {}
            Some(Ended::TargetEnded) => return self.take_late(cx, bytes),
            // It is not acknowledged, so its client knows.
            Some(_) => return,
        }
        let Some(live) = &mut self.live else {
            link.end(Ended::BadMessage("data before `opened`".into()));
            return;
        };
        link.clock.moved();
        if !live.seat.is_writer() {
            // Counted and done with: the client's count of its bytes and ours stay one.
            live.seat.ignore(bytes.len());
            let message = format!("{} bytes were not sent: you do not hold the lease", bytes.len());
            let bytes = Some(bytes.len() as u64);
            return tell(link, &Tell::Error { re: None, code: Code::NotWriter, message, bytes });
        }
        live.used = Instant::now();
        self.session.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match live.seat.poll_write(cx, bytes) {
            Poll::Ready(Ok(n)) if n == bytes.len() => {}
            Poll::Ready(_) | Poll::Pending => {
                link.end(Ended::BadMessage("more data than the window".into()));
            }
        }
    }

    fn piece(&mut self, link: &mut Link, cx: &mut Context<'_>, piece: Piece<'_>) {
        if link.ended().is_some() {
            return;
        }
        if !piece.text {
            return self.gather(link, cx, piece);
        }
        self.text.extend_from_slice(piece.bytes);
        if self.text.len() > TEXT_MAX {
            link.end(Ended::TooBig);
        } else if piece.last {
            let text = std::mem::take(&mut self.text);
            self.message(link, &text);
        }
    }

    fn listens(&self) -> bool {
        let full = || self.live.as_ref().is_some_and(|live| live.seat.is_full());
        self.busy.is_none() && (self.datagram.is_none() || !full())
    }

    fn idles(&self) -> bool {
        self.live.is_some()
    }

    fn poll_target(&mut self, link: &mut Link, cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<()> {
        self.poll_lease(cx);
        let moved = [self.poll_busy(link, cx), self.poll_parting(link, cx)];
        if moved.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<LineNews> {
        self.live.as_mut().map_or(Poll::Pending, |live| live.seat.poll_word(cx))
    }

    fn poll_client(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if link.ended().is_none() {
            if self.notices.tell_next(link) {
                return Poll::Ready(());
            }
            let moved =
                [self.poll_answers(link, cx), self.poll_acks(link, cx), self.poll_news(link, cx)];
            if moved.iter().any(Poll::is_ready) {
                return Poll::Ready(());
            }
        }
        self.poll_down(link, cx, buf)
    }

    fn wind_up(&mut self, link: &mut Link, rest: Remainder) {
        self.busy = None;
        // Behind its session nobody would count what is held back.
        if !link.is_mute() {
            self.send_rest(link);
        }
        self.mark = self.session.entry.to_target.load(Ordering::Relaxed);
        if let Parting::Leaving(leaving) = &mut self.parting {
            return leaving.hurry(rest);
        }
        self.parting = match link.ended() {
            // While its client may still answer.
            Some(Ended::TargetEnded) => Parting::Open,
            Some(Ended::TargetFailed(_) | Ended::TargetReset(_)) => Parting::Done,
            _ if link.ending().is_some_and(|ending| ending.parks) => Parting::Done,
            ended => match self.take_live() {
                Some(mut live) => {
                    let queued = live.seat.pending().bytes > 0;
                    let parting = endings::Parting { queued, has_word: true };
                    if let Some(loss) = ended.and_then(|ended| loss(ended, parting)) {
                        live.seat.bereave(loss);
                    }
                    return self.leave(live, rest);
                }
                None => Parting::Done,
            },
        };
    }

    fn is_settled(&self) -> bool {
        let taken = self.session.entry.to_target.load(Ordering::Relaxed);
        self.is_done() || taken.saturating_sub(self.left()) >= self.mark
    }

    fn is_done(&self) -> bool {
        matches!(self.parting, Parting::Done)
    }

    /// Says before the farewell which bytes of the client's were never delivered.
    fn last_words(&mut self, link: &mut Link) {
        self.send_rest(link);
        if self.lost == 0 {
            return;
        }
        if link.ending().is_some_and(|ending| ending.rest == Remainder::Discard) {
            let message = format!("{} bytes were not sent: you may not write any more", self.lost);
            tell(
                link,
                &Tell::Error { re: None, code: Code::Denied, message, bytes: Some(self.lost) },
            );
        }
        let of = self.session.entry.to_target.load(Ordering::Relaxed).max(self.lost);
        match link.ended() {
            Some(Ended::ClientClosed(_)) => {
                link.amend(Ended::Undelivered { delivered: of - self.lost, of });
            }
            Some(_) | None => {
                link.note(Some(format!("at least {} of {of} bytes not delivered", self.lost)));
            }
        }
    }

    fn restrain(&mut self, link: &mut Link, by: Restraints) {
        self.held_by(link, by);
    }

    fn notice(&mut self, notice: Arc<Notice>) {
        self.notices.push(notice);
    }

    fn superseded(&mut self, _link: &mut Link) {
        // Whoever resumes the session does not wait for this socket's farewell.
        self.park(&Ended::Superseded);
    }
}
