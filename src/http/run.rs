//! A session's life after its handshake: the raw stream taken back, the pump, its log lines and
//! counts.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    Account, Bridge,
    scope::{NEEDED, decides, named, participant, within},
    visitor::{Connection, Upgraded},
    warden::{revoked, tally},
};
use crate::{
    auth::{Moment, Principal, RequestState},
    config::{Endpoint, Rights, RightsTable},
    line::{Board, Seat},
    session::{
        BusView, Counts, Dedicated, Eol, Linger, Payload, Session, SessionReport, Setup, Socket,
        Standing, Terms, bus, control, plain,
    },
    stream::Stream,
    wire::{
        close::Ended,
        frame::{self, Opcode},
    },
};

/// How long the client of a session that never began has to answer our Close.
const CLOSING: Duration = Duration::from_secs(2);
/// Bytes from such a client that are read and thrown away.
const CLOSING_BYTES: u64 = 64 * 1024;

/// The far side, reached before the client was answered.
#[derive(Debug)]
pub(super) enum Reached {
    /// A connection for this session alone.
    Own(Dedicated),
    /// A seat on a line.
    Seat(Seat),
    /// Control mode, which reaches its line itself.
    Line,
    /// The bus.
    Bus,
}

impl Reached {
    /// The standing that this gives a session.
    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Own(_) => Standing::Own,
            Self::Seat(seat) => Standing::Seat(seat.id()),
            Self::Line | Self::Bus => Standing::Idle,
        }
    }
}

/// A session about to run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) bridge: Arc<Bridge>,
    /// Holds the slot until the session ends.
    pub(super) connection: Arc<Connection>,
    /// `None` on the bus.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) principal: Principal,
    pub(super) payload: Payload,
    pub(super) eol: Option<Eol>,
}

impl Run {
    /// Waits until the handshake's response is out, then runs the session to its end. Ends with the
    /// session, or immediately if the client has left.
    pub(super) async fn go(
        self,
        upgraded: oneshot::Receiver<Upgraded>,
        far: Result<Reached, Ended>,
        mut session: Session,
    ) {
        let Ok((stream, early)) = upgraded.await else {
            tracing::debug!(peer = %session.entry.client, "the client left during the handshake");
            return;
        };
        let entry = Arc::clone(&session.entry);
        let (bridge, principal) = (Arc::clone(&self.bridge), self.principal.clone());
        let mut account = Account::new(bridge, self.name(), principal, Arc::clone(&entry));
        account.begin();
        let own = matches!(far, Ok(Reached::Own(_)));
        let report = match far {
            Err(ended) => {
                close(stream, &ended).await;
                SessionReport::of(ended)
            }
            Ok(reached) => {
                // The watch shows only changes from now on, not those since the handshake was
                // checked.
                if let Some(ended) = revoked(&self.bridge, &entry) {
                    entry.end(ended);
                }
                let lent = &self.bridge.auth.grants;
                let lent = lent.left(&entry.principal, &entry.endpoint, Moment::now());
                let refuses = self.bridge.lines.refuses(&entry.endpoint);
                if entry.certificate.is_some() || lent.is_some() || refuses {
                    self.bridge.ending.notify_one();
                }
                let socket = Socket::new(stream, early, self.payload).with_line_ends(self.eol);
                self.pump(socket, reached, &mut session).await
            }
        };
        account.end(&report, own);
    }

    /// The endpoint's name; the bus has none.
    fn name(&self) -> &str {
        self.endpoint.as_ref().map_or("", |endpoint| &endpoint.name)
    }

    /// The session's work, boxed by kind: an idle session stays small, whatever a large one needs.
    fn pump<'a>(
        &'a self,
        socket: Socket,
        reached: Reached,
        session: &'a mut Session,
    ) -> Pin<Box<dyn Future<Output = SessionReport> + Send + 'a>> {
        let config = self.bridge.config();
        let Some(endpoint) = &self.endpoint else {
            let shown = PrincipalView {
                bridge: Arc::clone(&self.bridge),
                principal: self.principal.clone(),
                app: self.connection.peer.app.clone(),
                framed: session.entry.framed,
            };
            return Box::pin(async move { bus(socket, &shown, config.dead_after, session).await });
        };
        let limits = endpoint.limits;
        let terms = Terms {
            dead_after: config.dead_after,
            idle: limits.idle,
            linger: Linger::of(&limits),
            rate: limits.rate,
            packing: endpoint.packing,
            datagrams: endpoint.target.has_datagrams(),
        };
        match reached {
            Reached::Own(far) => Box::pin(plain(socket, far, terms, session)),
            Reached::Seat(seat) => Box::pin(plain(socket, seat, terms, session)),
            Reached::Line | Reached::Bus => {
                let limit = session.entry.restraints().limit();
                let who = participant(&config, &self.principal, &endpoint.name).within(limit);
                let setup = Setup {
                    lines: Arc::clone(&self.bridge.lines),
                    sessions: Arc::clone(&self.bridge.sessions),
                    parking: Arc::clone(&self.bridge.parking),
                    endpoint: Arc::clone(endpoint),
                    who,
                    dead_after: config.dead_after,
                    resume: config.resume,
                    once: self.principal.one_session().cloned(),
                };
                Box::pin(control(socket, setup, session))
            }
        }
    }
}

/// What a principal's bus shows of the gateway.
#[derive(Debug)]
struct PrincipalView {
    bridge: Arc<Bridge>,
    principal: Principal,
    /// The app at whose origin it is shown.
    app: Option<Arc<str>>,
    /// It is shown in another page's frame.
    framed: bool,
}

impl PrincipalView {
    /// The principal with what it may do now, here.
    fn principal(&self) -> Option<Principal> {
        let config = self.bridge.config();
        let now = self.bridge.auth.find(&config, &self.principal.id)?;
        let rights = within(&config, (self.app.as_deref(), self.framed), now.rights);
        let rights = named(self.principal.only.as_ref(), rights);
        Some(Principal { rights, ..now })
    }
}

impl BusView for PrincipalView {
    fn visible(&self) -> Vec<(Arc<Endpoint>, Rights, Option<watch::Receiver<Board>>)> {
        let config = self.bridge.config();
        let rights = self.principal().map_or_else(RightsTable::default, |now| now.rights);
        let seen =
            config.endpoints.values().filter(|endpoint| rights.on(&endpoint.name).allows(NEEDED));
        seen.map(|endpoint| {
            let name = &endpoint.name;
            (Arc::clone(endpoint), rights.on(name), self.bridge.lines.board(name))
        })
        .collect()
    }

    fn counts(&self) -> BTreeMap<String, Counts> {
        for entry in self.bridge.sessions.list() {
            tally(&self.bridge, &entry);
        }
        let seen = self.visible().into_iter();
        seen.map(|(endpoint, ..)| {
            let counted = self.bridge.metrics.endpoint(&endpoint.name);
            // A line hears its device whether anybody listens or not.
            let log = self.bridge.lines.log(&endpoint.name);
            let rx = log.as_ref().map_or_else(|| counted.to_client.get(), |log| log.bounds().1);
            let errors = log.map_or(0, |log| log.errors());
            (endpoint.name.clone(), Counts { rx, tx: counted.to_target.get(), errors })
        })
        .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.bridge.lines.applied()
    }

    fn lending(&self) -> watch::Receiver<u64> {
        self.bridge.auth.grants.changes()
    }

    fn pending(&self) -> usize {
        let all = self.bridge.auth.grants.requests().into_iter();
        let open = all.filter(|one| one.state == RequestState::Pending);
        let Some(principal) = self.principal() else { return 0 };
        open.filter(|one| decides(&principal, one)).count()
    }
}

/// Lets a client in only to tell it why it is refused.
pub(super) async fn turn_away(upgraded: oneshot::Receiver<Upgraded>, ended: &Ended) {
    if let Ok((stream, _)) = upgraded.await {
        close(stream, ended).await;
    }
}

/// Closes a WebSocket that has nothing to carry: our Close, then the client's, or two seconds.
async fn close(mut stream: Stream, ended: &Ended) {
    let payload = frame::close_payload(ended.code().unwrap_or(1011), &ended.to_string());
    let mut header = [0; frame::HEADER_MAX];
    let length = frame::header(&mut header, true, Opcode::Close, payload.len() as u64);
    let mut bytes = header.get(frame::HEADER_MAX - length..).unwrap_or_default().to_vec();
    bytes.extend_from_slice(&payload);
    let last = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(CLOSING_BYTES), &mut tokio::io::sink()).await
    };
    // If anything fails here, nobody is left to be told.
    let _ = timeout(CLOSING, last).await;
}
