//! What a client's handles and its connection share: both queues, the waiting requests, and the
//! session's position.

mod heard;
mod out;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::{Error, Event, resend::Resend};
use crate::wire::control::{
    Answer, Ask, Code, DATAGRAM_MOST, Hello, Opened, Resume, WINDOW_DEFAULT, WINDOW_MAX, WINDOW_MIN,
};

/// Events that may wait for the application; while there are more, the connection is not read.
const EVENTS: usize = 4096;

/// Requests that may wait for their answers; further ones are refused with `limit`.
const REQUESTS: usize = 64;

/// The most bytes in one data frame.
const DATA_FRAME_MAX: usize = 16 * 1024;

/// The answer to a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Opened(Opened),
    Ok(Answer),
    Pong,
}

pub(super) type Answered = Result<Reply, Error>;

/// A frame to send.
#[derive(Debug)]
pub(super) enum OutgoingFrame {
    Text(String),
    Data(Bytes),
    Close,
}

#[derive(Debug)]
struct PendingRequest {
    reply: oneshot::Sender<Answered>,
    then: Then,
    sent: bool,
}

/// What an answer changes on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// A session begins, with this many bytes granted.
    Open(u32),
    /// What came before is dropped.
    Flush,
    /// The session ends, as soon as this is sent.
    Close,
}

/// A session as a resume needs it.
#[derive(Debug)]
struct ResumePoint {
    secret: String,
    epoch: String,
}

#[derive(Debug, Default)]
struct SessionState {
    hello: Hello,
    place: Option<ResumePoint>,
    /// The number of the `resume` whose answer is awaited; nothing else is sent until it comes.
    resuming: Option<u64>,
    first: Option<String>,
    /// Requests that take effect on receipt.
    urgent: VecDeque<(u64, String)>,
    /// Requests in line with the data, each after the byte at its offset.
    fifo: VecDeque<(u64, u64, String)>,
    resend: Resend,
    /// Bytes of the session before that were never acknowledged.
    unsent: u64,
    pending: BTreeMap<u64, PendingRequest>,
    last_id: u64,
    events: VecDeque<Event>,
    /// Bytes held in events.
    held: usize,
    /// Offset after the last byte received; then after the last that the application took, and the
    /// last that the gateway was told about.
    received: u64,
    consumed: u64,
    told: u64,
    window: u64,
    closing: bool,
    close_sent: bool,
    ended: Option<String>,
}

/// The state, and whom to wake. The lock is never held across an await.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<SessionState>,
    /// Something can be sent.
    out: Notify,
    /// An event waits, or there is room for more.
    news: Notify,
    /// Something can be written.
    room: Notify,
}

/// The gateway broke the protocol.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when `look` finds something; `notify` says when to look again.
    async fn until<T>(
        &self,
        notify: &Notify,
        mut look: impl FnMut(&mut SessionState) -> Option<T>,
    ) -> T {
        loop {
            let notified = notify.notified();
            tokio::pin!(notified);
            // Registered before the look, so that nothing comes unseen in between.
            notified.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            notified.await;
        }
    }

    // The application's side.

    pub(super) fn hello(&self) -> Hello {
        self.lock().hello.clone()
    }

    /// Queues a request according to its kind; the receiver gets the answer.
    pub(super) fn ask(&self, ask: &Ask) -> oneshot::Receiver<Answered> {
        let (reply, outcome) = oneshot::channel();
        let state = &mut *self.lock();
        let refusal = match &state.ended {
            Some(why) => Some(Error::Closed(why.clone())),
            None if state.pending.len() >= REQUESTS => Some(Error::Failed {
                code: Code::Limit,
                message: format!("{REQUESTS} requests wait for their answer"),
            }),
            None => None,
        };
        if let Some(refusal) = refusal {
            reply.send(Err(refusal)).ok();
            return outcome;
        }
        let id = state.next_id();
        let then = match ask {
            Ask::Open(open) => {
                state.forget("another session was opened");
                Then::Open(open.window.unwrap_or(WINDOW_DEFAULT).clamp(WINDOW_MIN, WINDOW_MAX))
            }
            Ask::Flush(_) => Then::Flush,
            Ask::Close(_) => Then::Close,
            Ask::Resume(_)
            | Ask::Config(_)
            | Ask::Signals(_)
            | Ask::Macro(_)
            | Ask::Get
            | Ask::Drain
            | Ask::Ack(_)
            | Ask::Lease(_)
            | Ask::Watch(_)
            | Ask::Ping => Then::Nothing,
        };
        state.pending.insert(id, PendingRequest { reply, then, sent: false });
        let in_line = match ask {
            Ask::Config(config) => !config.now,
            Ask::Signals(signals) => !signals.now,
            Ask::Close(close) => close.drain,
            Ask::Macro(_) | Ask::Drain => true,
            Ask::Open(_)
            | Ask::Resume(_)
            | Ask::Get
            | Ask::Flush(_)
            | Ask::Ack(_)
            | Ask::Lease(_)
            | Ask::Watch(_)
            | Ask::Ping => false,
        };
        if in_line {
            state.line_up(id, ask);
        } else {
            state.urgent.push_back((id, ask.text(Some(id))));
        }
        self.out.notify_waiters();
        outcome
    }

    /// Takes bytes for the line, as many as there is room for, or a datagram.
    pub(super) async fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        let look = |state: &mut SessionState| {
            if let Some(why) = &state.ended {
                return Some(Err(Error::Closed(why.clone())));
            }
            if state.place.is_none() {
                return Some(Err(Error::Closed("no session is open".into())));
            }
            if state.resend.is_whole() && bytes.len() > DATAGRAM_MOST {
                let message = format!("a datagram has at most {DATAGRAM_MOST} bytes");
                return Some(Err(Error::Failed { code: Code::Limit, message }));
            }
            let part = bytes.get(..state.resend.fits(bytes.len())?)?;
            state.resend.push(part);
            Some(Ok(part.len()))
        };
        let written = self.until(&self.room, look).await;
        self.out.notify_waiters();
        written
    }

    /// The next event; `None` after the last.
    pub(super) async fn next(&self) -> Option<Event> {
        let event = self
            .until(&self.news, |state| match state.events.pop_front() {
                Some(event) => Some(Some(event)),
                None if state.ended.is_some() => Some(None),
                None => None,
            })
            .await?;
        let mut state = self.lock();
        if let Event::Data { at, bytes } = &event {
            state.held -= bytes.len();
            state.consumed = at + bytes.len() as u64;
        } else if let Event::Gap { to, .. } = event {
            state.consumed = to;
        }
        drop(state);
        self.out.notify_waiters();
        self.news.notify_waiters();
        Some(event)
    }

    /// Bytes that are not acknowledged: of this session, or of the one that is over.
    pub(super) fn outstanding(&self) -> u64 {
        let state = self.lock();
        match state.place {
            Some(_) => state.resend.end() - state.resend.base(),
            None => state.unsent,
        }
    }

    /// Asks for the end of the connection.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.out.notify_waiters();
    }

    /// Ready when nothing will come any more.
    pub(super) async fn ended(&self) {
        self.until(&self.news, |state| state.ended.as_ref().map(drop)).await;
    }

    // The connection's side.

    /// A connection is up.
    pub(super) fn connected(&self, hello: Hello, again: bool) {
        let state = &mut *self.lock();
        state.hello = hello;
        if again {
            state.say(Event::Hello(Box::new(state.hello.clone())));
        }
        if let Some(ResumePoint { secret, epoch }) = &state.place {
            let (session, epoch, rx) = (secret.clone(), epoch.clone(), state.received);
            let id = state.next_id();
            state.first = Some(Ask::Resume(Resume { session, epoch, rx }).text(Some(id)));
            state.resuming = Some(id);
        }
        self.news.notify_waiters();
    }

    /// The connection is lost: what was asked on it will not be answered.
    pub(super) fn lost(&self, why: &str) {
        let state = &mut *self.lock();
        (state.resuming, state.first) = (None, None);
        let sent: Vec<u64> =
            state.pending.iter().filter(|(_, one)| one.sent).map(|(id, _)| *id).collect();
        for id in sent {
            state.answer(id, Err(Error::Lost));
        }
        state.say(Event::Lost(why.to_owned()));
        self.news.notify_waiters();
    }

    /// Ends everything.
    pub(super) fn end(&self, code: Option<u16>, reason: String) {
        let state = &mut *self.lock();
        if state.ended.is_none() {
            state.leave(&reason);
            for (_, one) in std::mem::take(&mut state.pending) {
                one.reply.send(Err(Error::Closed(reason.clone()))).ok();
            }
            state.say(Event::Closed { code, reason: reason.clone() });
            state.ended = Some(reason);
        }
        self.news.notify_waiters();
        self.room.notify_waiters();
    }

    /// Whether the application wants to end.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Sends a ping that nobody waits for.
    pub(super) fn ping(&self) {
        let state = &mut *self.lock();
        let id = state.next_id();
        state.urgent.push_back((id, Ask::Ping.text(Some(id))));
        self.out.notify_waiters();
    }

    /// The next frame to send, if there is one now.
    pub(super) fn try_out(&self) -> Option<OutgoingFrame> {
        self.lock().out()
    }

    /// The next frame to send.
    pub(super) async fn out(&self) -> OutgoingFrame {
        self.until(&self.out, SessionState::out).await
    }

    /// Ready when more may be received.
    pub(super) async fn readable(&self) {
        let room = |state: &mut SessionState| {
            let full = state.events.len() >= EVENTS || state.held as u64 > 2 * state.window;
            (!full).then_some(())
        };
        self.until(&self.news, room).await;
    }

    /// Takes line bytes that arrived.
    pub(super) fn data(&self, bytes: Bytes) {
        let state = &mut *self.lock();
        // Whatever an old session still sends is dropped.
        let nothing = bytes.is_empty() && !state.resend.is_whole();
        if state.place.is_none() || state.resuming.is_some() || nothing {
            return;
        }
        let at = state.received;
        state.received += bytes.len() as u64;
        state.held += bytes.len();
        state.say(Event::Data { at, bytes });
        self.news.notify_waiters();
    }

    /// Handles a message that arrived.
    pub(super) fn told(&self, text: &str) -> Result<(), Broken> {
        let Some(tell) = heard::read(text)? else { return Ok(()) };
        let result = self.lock().told(tell);
        self.out.notify_waiters();
        self.news.notify_waiters();
        self.room.notify_waiters();
        result
    }
}

impl SessionState {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn say(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn line_up(&mut self, id: u64, ask: &Ask) {
        self.fifo.push_back((self.resend.end(), id, ask.text(Some(id))));
    }

    /// The session is over, and what it sent here is still for the application.
    fn leave(&mut self, why: &str) {
        if self.place.take().is_some() {
            self.unsent = self.resend.end() - self.resend.base();
        }
        self.resend = Resend::default();
        for (_, id, _) in std::mem::take(&mut self.fifo) {
            self.answer(id, Err(Error::Closed(why.to_owned())));
        }
    }

    /// The application has ended the session: what came for it goes nowhere.
    fn forget(&mut self, why: &str) {
        self.leave(why);
        self.events.retain(|event| !matches!(event, Event::Data { .. } | Event::Gap { .. }));
        self.held = 0;
    }

    fn answer(&mut self, id: u64, outcome: Answered) {
        if let Some(one) = self.pending.remove(&id) {
            // Perhaps nobody waits for it any more.
            one.reply.send(outcome).ok();
        }
    }
}

/// The state of a client whose connection has just said hello.
pub(super) fn start(hello: Hello) -> Arc<Shared> {
    let shared = Arc::new(Shared::default());
    shared.connected(hello, false);
    shared
}
