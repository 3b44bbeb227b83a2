//! A client's WebSocket and a gateway's link, joined: bytes pass unread, and what ends one side ends
//! the other in the same way.

use std::{io, ops::Range, pin::pin, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::super::{
    Bridge,
    visitor::{Connection, Upgraded},
};
use crate::{
    auth::{ClientAddress, Principal},
    event::{Event, FleetEvent},
    stream::Stream,
    wire::{
        close::Ended,
        frame::{self, Opcode, border::Borders},
    },
};

/// Bytes of one read.
const PIECE: usize = 32 * 1024;
/// How often it is looked at whether it may go on.
const LOOK: Duration = Duration::from_secs(5);
/// How long the hub's own Close may take: to the next border of frames, and out.
const PARTING: Duration = Duration::from_secs(2);

/// A client and a gateway.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) bridge: Arc<Bridge>,
    /// Holds the client's place.
    #[expect(dead_code, reason = "held only to be dropped")]
    pub(super) connection: Arc<Connection>,
    pub(super) client: ClientAddress,
    pub(super) who: Principal,
    pub(super) gateway: String,
    pub(super) path: String,
}

/// One direction: what was read and has not been written yet, and what passed.
#[derive(Debug)]
struct Direction {
    piece: Box<[u8]>,
    /// What of `piece` is still to be written.
    unsent: Range<usize>,
    /// Bytes written.
    moved: u64,
    /// Where the writer is among the frames.
    borders: Borders,
}

/// How one direction ended.
enum Side {
    /// The reader said that nothing follows.
    Ended,
    /// Something broke.
    Broken,
}

impl Splice {
    /// Until both sides have ended, one is cut, or whoever asks may no longer.
    pub(super) async fn run(self, (near, early): Upgraded, (far, first): (Stream, Vec<u8>)) {
        let began = Instant::now();
        let (mut up, mut down) = (Direction::new(early), Direction::new(first));
        self.join(near, far, (&mut up, &mut down)).await;
        let event = FleetEvent::Parted {
            who: &self.who.id,
            client: self.client,
            path: &self.path,
            to_client: down.moved,
            to_gateway: up.moved,
            lasted: began.elapsed(),
        };
        self.bridge.events.tell(Event::Fleet { gateway: &self.gateway, event });
    }

    async fn join(
        &self,
        mut near: Stream,
        mut far: Stream,
        (up, down): (&mut Direction, &mut Direction),
    ) {
        let Some(mut revoked) = self.bridge.hub.get().map(|hub| hub.register.revocations()) else {
            return;
        };
        let (mut config, mut look) = (self.bridge.config.clone(), interval(LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = {
            let (mut near_read, mut near_write) = tokio::io::split(&mut near);
            let (mut far_read, mut far_write) = tokio::io::split(&mut far);
            let mut upward = pin!(up.carry(&mut near_read, &mut far_write));
            let mut downward = pin!(down.carry(&mut far_read, &mut near_write));
            let (mut up_ended, mut down_ended) = (false, false);
            loop {
                let looks = tokio::select! {
                    side = &mut upward, if !up_ended => match side {
                        Side::Ended => { up_ended = true; false }
                        Side::Broken => break None,
                    },
                    side = &mut downward, if !down_ended => match side {
                        Side::Ended => { down_ended = true; false }
                        Side::Broken => break None,
                    },
                    () = self.bridge.stop.cancelled() => break Some(Ended::Stopping),
                    // Their senders live as long as the bridge.
                    _ = revoked.changed() => true,
                    _ = config.changed() => true,
                    _ = look.tick() => true,
                };
                if up_ended && down_ended {
                    return;
                }
                if let Some(ended) = looks.then(|| self.over()).flatten() {
                    break Some(ended);
                }
            }
        };
        match ended {
            // What is under way is lost to whoever is still there: he sees a cut, and resumes.
            None => {
                cut(&near);
                cut(&far);
            }
            Some(ended) => {
                let _ = timeout(PARTING, part(&mut near, &mut far, down, &ended)).await;
                cut(&far);
            }
        }
    }

    /// Why it may not go on, if it may not: whoever asks has lost what he had, or the gateway has
    /// been revoked.
    fn over(&self) -> Option<Ended> {
        let config = self.bridge.config();
        let Some(now) = self.bridge.auth.find_with(&config, &self.who.id, self.who.login) else {
            return Some(Ended::NotAuthenticated);
        };
        let certificate = self.who.certificate.as_deref();
        if !self.bridge.auth.goes_on(&config, self.who.login, certificate) {
            return Some(Ended::NotAuthenticated);
        }
        let known =
            self.bridge.hub.get().is_some_and(|it| it.register.find(&self.gateway).is_some());
        let (before, after) =
            (self.who.rights.of_gateway(&self.gateway), now.rights.of_gateway(&self.gateway));
        // The gateway was told what he could do when it began: with less he begins again.
        if !known || before != after {
            return Some(Ended::Withdrawn);
        }
        None
    }
}

impl Direction {
    /// Begins with bytes that have been read already.
    fn new(early: Vec<u8>) -> Self {
        let unsent = 0..early.len();
        let mut piece = early;
        piece.resize(piece.len().max(PIECE), 0);
        Self { piece: piece.into(), unsent, moved: 0, borders: Borders::default() }
    }

    /// Carries it to its end, which is passed on. Whoever stops it half-way finds everything in its
    /// place.
    async fn carry(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Side {
        loop {
            while let Some(rest) = self.piece.get(self.unsent.clone()).filter(|it| !it.is_empty()) {
                match to.write(rest).await {
                    Ok(0) | Err(_) => return Side::Broken,
                    Ok(written) => {
                        self.borders.pass(rest.get(..written).unwrap_or_default());
                        self.unsent.start += written;
                        self.moved += written as u64;
                    }
                }
            }
            if to.flush().await.is_err() {
                return Side::Broken;
            }
            match from.read(&mut self.piece).await {
                Ok(0) => break,
                Ok(read) => self.unsent = 0..read,
                Err(_) => return Side::Broken,
            }
        }
        match to.shutdown().await {
            Ok(()) => Side::Ended,
            Err(_) => Side::Broken,
        }
    }
}

/// The hub's own Close, between two frames of the gateway's.
async fn part(
    near: &mut Stream,
    far: &mut Stream,
    down: &mut Direction,
    ended: &Ended,
) -> io::Result<()> {
    while !down.borders.is_at_one() {
        let Direction { piece, unsent, moved, borders } = down;
        if Range::is_empty(unsent) {
            let read = far.read(piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *unsent = 0..read;
        }
        let rest = piece.get(unsent.clone()).unwrap_or_default();
        let used = borders.up_to_next(rest);
        near.write_all(rest.get(..used).unwrap_or_default()).await?;
        unsent.start += used;
        *moved += used as u64;
    }
    let payload = frame::close_payload(ended.code().unwrap_or(1011), &ended.to_string());
    let mut header = [0; frame::HEADER_MAX];
    let length = frame::header(&mut header, true, Opcode::Close, payload.len() as u64);
    near.write_all(header.get(frame::HEADER_MAX - length..).unwrap_or_default()).await?;
    near.write_all(&payload).await?;
    near.shutdown().await?;
    tokio::io::copy(near, &mut tokio::io::sink()).await.map(drop)
}

/// Ends a connection as a network that has gone would: with a reset.
fn cut(stream: &Stream) {
    if let Some(socket) = stream.tcp() {
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}
