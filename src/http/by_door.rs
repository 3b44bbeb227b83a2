//! A door's client, from its connection to its end: who it is, what it reaches, what is recorded.

use std::{sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::time::timeout;

use super::{
    Account, Bridge,
    scope::{NEEDED, find_endpoint, participant},
    upgrade::told,
    warden::{lock, revoked},
};
use crate::{
    auth::{Peer, Principal, Slot, at_door, unix_now},
    config::{Door, DoorWay, Endpoint, OpenWhen, Rights, RightsTable, Target},
    line::{NoSeat, Participant, Seat, SeatRequest, WriteIntent},
    metrics::TargetState,
    screen::Screen,
    session::{
        Beginning, ComPort, Crowd, Dedicated, DeviceNode, DoorTerms, Entrance, Far, First,
        LeftDoor, Linger, Raw, RunningSession, Session, SessionReport, Standing, Words, door,
        first_bytes,
    },
    stream::Stream,
    target::tcp,
    wire::close::{Ended, Refusal},
};

/// A client that a door has let in.
#[derive(Debug)]
pub(crate) struct Caller {
    bridge: Arc<Bridge>,
    endpoint: Arc<Endpoint>,
    door: Arc<Door>,
    who: Participant,
    session: Session,
    account: Account,
    slot: Slot,
}

impl Caller {
    /// Who comes in by a door of an endpoint, if somebody may.
    pub(crate) fn new(
        bridge: &Arc<Bridge>,
        (name, door): (&str, &Arc<Door>),
        peer: &Peer,
        slot: Slot,
    ) -> Result<Self, Refusal> {
        let config = bridge.config();
        let named = door.who.as_deref();
        let found = at_door(&config.access, peer.certificate.as_ref(), named, unix_now());
        let found = found.ok_or(Refusal::Unauthorized)?;
        // What the door does not lend is nobody's here.
        let rights = found.rights.on(name).only(door.lends);
        if !rights.allows(NEEDED) {
            return Err(Refusal::Forbidden);
        }
        let principal = Principal { rights: RightsTable(vec![(name.to_owned(), rights)]), ..found };
        let endpoint = find_endpoint(&config, rights, name)?;
        let session = bridge.sessions.enter(name, &principal, peer);
        lock(bridge, &session.entry);
        let limit = session.entry.restraints().limit();
        let who = participant(&config, &principal, name).within(limit);
        session.entry.stand(Standing::Silent);
        let entry = Arc::clone(&session.entry);
        let account = Account::new(Arc::clone(bridge), name, principal, entry);
        let (bridge, door) = (Arc::clone(bridge), Arc::clone(door));
        Ok(Self { bridge, endpoint, door, who, session, account, slot })
    }

    /// What others see of it.
    pub(crate) fn entry(&self) -> Arc<RunningSession> {
        Arc::clone(&self.session.entry)
    }

    /// Serves it to its end.
    pub(crate) async fn serve(self, mut stream: Stream) {
        // What changed since it was let in is not in the watch's next look.
        if let Some(ended) = revoked(&self.bridge, &self.session.entry) {
            self.session.entry.end(ended);
        }
        let opens = self.endpoint.open == OpenWhen::OnDemand || self.endpoint.share.is_none();
        // A tool that opens a node has not begun to use it either, but is looked at by nobody.
        let is_node = self.door.way.is_node();
        let screen = if is_node { Screen::passing_all() } else { Screen::default() };
        let waits = is_node || self.door.screened;
        if waits && opens {
            match first_bytes(&mut stream, screen, &self.session).await {
                First::Bytes(bytes) => self.begin(stream, bytes).await,
                First::Foreign(foreign) => self.refuse(stream, &Refusal::Opening(foreign)),
                First::Left => {}
            }
        } else if waits {
            self.reach(stream, Beginning::Screened(screen)).await;
        } else {
            self.begin(stream, Vec::new()).await;
        }
    }

    /// The session counts from now on.
    async fn begin(mut self, stream: Stream, early: Vec<u8>) {
        match self.ways().0.enter() {
            Ok(()) => self.reach(stream, Beginning::Passed(early)).await,
            Err(ended) => {
                self.account.begin();
                self.account.end(&SessionReport::of(ended), false);
                reset(stream);
            }
        }
    }

    fn ways(&mut self) -> (EntranceHall<'_>, &Session) {
        let Self { bridge, endpoint, who, session, account, slot, .. } = self;
        let standing = Standing::Arriving;
        let hall =
            EntranceHall { bridge, endpoint, who, entry: &session.entry, account, slot, standing };
        (hall, session)
    }

    /// Reaches the target, and runs the session on it.
    async fn reach(self, stream: Stream, beginning: Beginning) {
        let dedicated =
            self.endpoint.share.is_none() && !matches!(self.door.way, DoorWay::Rfc2217(_));
        if let (true, Target::Tcp(target)) = (dedicated, &self.endpoint.target) {
            if !self.who.rights.allows(Rights::WRITE) {
                return self.refuse(stream, &Refusal::Forbidden);
            }
            let reached = tcp::connect(target).await;
            let state = if reached.is_ok() { TargetState::Up } else { TargetState::Down };
            self.bridge.metrics.endpoint(&self.endpoint.name).target(state);
            return match reached {
                Ok(far) => {
                    let tap = self.bridge.lines.tap(&self.endpoint);
                    let far = Dedicated::new(far, tap, &self.who.principal);
                    self.run(stream, beginning, (far, Raw::default()), Standing::Own).await;
                }
                Err(error) => self.unreached(stream, Refusal::from(&error)),
            };
        }
        match self.sit(matches!(beginning, Beginning::Screened(_))).await {
            Ok(seat) => {
                let standing = Standing::Seat(seat.id());
                if matches!(self.door.way, DoorWay::Rfc2217(_)) {
                    let words = ComPort::new(&seat, &self.door);
                    return self.run(stream, beginning, (seat, words), standing).await;
                }
                if let Some(visit) = stream.visit().cloned() {
                    let words = DeviceNode::new(&seat, visit);
                    return self.run(stream, beginning, (seat, words), standing).await;
                }
                self.run(stream, beginning, (seat, Raw::default()), standing).await;
            }
            Err(refusal) => self.unreached(stream, refusal),
        }
    }

    async fn sit(&self, silent: bool) -> Result<Seat, Refusal> {
        let request = SeatRequest {
            intent: WriteIntent::OnWrite,
            silent,
            patient: self.door.hold,
            events: matches!(self.door.way, DoorWay::Rfc2217(_)),
            ..SeatRequest::default()
        };
        let taken = self.bridge.lines.join(&self.endpoint, self.who.clone(), &request);
        let seat = taken.map_err(|no| match no {
            NoSeat::Busy(holder) => Refusal::Busy(holder),
            NoSeat::Unknown => Refusal::NotFound,
        })?;
        let seat = seat.seat;
        if self.door.hold {
            return Ok(seat);
        }
        match timeout(Seat::OPENING_WAIT, seat.ready()).await {
            Ok(Ok(())) => Ok(seat),
            Ok(Err(why)) => Err(Refusal::from(&why)),
            Err(_) => Err(Refusal::TargetTimeout("still being opened".into())),
        }
    }

    async fn run<F: Far, W: Words<F>>(
        mut self,
        stream: Stream,
        beginning: Beginning,
        reached: (F, W),
        standing: Standing,
    ) {
        if matches!(beginning, Beginning::Passed(_)) {
            self.session.entry.stand(standing);
        }
        let limits = self.endpoint.limits;
        let terms = DoorTerms {
            dead_after: self.bridge.config().dead_after,
            idle: limits.idle,
            linger: Linger::of(&limits),
            rate: limits.rate,
            hold: self.door.hold,
        };
        let client = self.session.entry.client;
        let (mut hall, session) = self.ways();
        hall.standing = standing;
        let left = door(stream, beginning, reached, terms, (session, &mut hall)).await;
        match left {
            LeftDoor::Session(report) => {
                // A client that came and went is no session; one that we end is told of.
                if !matches!(report.ended, Ended::ClientClosed(_) | Ended::ClientLost(_)) {
                    self.account.begin();
                }
                self.account.end(&report, F::IS_CONNECTION);
            }
            LeftDoor::Foreign(foreign) => {
                self.bridge.refused(client, self.label(), &Refusal::Opening(foreign));
            }
        }
    }

    /// The device cannot be had: a tool that is disconnected at once tries again, or says so.
    fn unreached(mut self, stream: Stream, refusal: Refusal) {
        reset(stream);
        self.account.begin();
        self.account.end(&SessionReport::of(told(refusal)), false);
    }

    fn refuse(self, stream: Stream, refusal: &Refusal) {
        reset(stream);
        self.bridge.refused(self.session.entry.client, self.label(), refusal);
    }

    /// What the log says where it would say method and path.
    fn label(&self) -> &str {
        &self.endpoint.name
    }
}

/// What a session needs to begin to count.
struct EntranceHall<'a> {
    bridge: &'a Arc<Bridge>,
    endpoint: &'a Arc<Endpoint>,
    who: &'a Participant,
    entry: &'a Arc<RunningSession>,
    account: &'a mut Account,
    slot: &'a Slot,
    /// What it has of the endpoint once it counts.
    standing: Standing,
}

impl Entrance for EntranceHall<'_> {
    fn enter(&mut self) -> Result<(), Ended> {
        self.account.begin();
        if !self.slot.authenticate(false) {
            return Err(Ended::GaveWay);
        }
        self.entry.stand(self.standing);
        let Bridge { sessions, parking, lines, .. } = &**self.bridge;
        let crowd = Crowd { sessions, parking, lines };
        crowd.admit(self.endpoint, self.who, self.entry.number).map_err(Ended::NoRoom)
    }

    fn witness(&mut self) {
        self.account.begin();
    }
}

/// Not an end of the stream: nothing the client sent has arrived anywhere.
fn reset(stream: Stream) {
    if let Some(socket) = stream.tcp() {
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
    drop(stream);
}
