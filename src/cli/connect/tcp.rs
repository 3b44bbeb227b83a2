//! A TCP port of this computer: each connection is a session on the line. One at a time, unless
//! several are let in; one that has sent nothing gives way to one that does.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{CommandError, Outcome, SysExit, stop::stopped},
    carry::carry,
    comport,
    guard::{Noted, Opening, Seen},
    line::{Line, Parted},
};
use crate::config::KnownResets;

/// Connections that wait, having sent nothing, while another is served.
const WAITING_MAX: usize = 8;

/// What a listener is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    pub(super) keep: bool,
    pub(super) many: bool,
    pub(super) allow_http: bool,
    /// Programs speak RFC 2217; which resets are recognised.
    pub(super) rfc2217: Option<KnownResets>,
}

/// A connection of a program.
#[derive(Debug)]
struct Caller {
    stream: TcpStream,
    peer: SocketAddr,
    opening: Opening,
}

/// The one that is served, where it is one at a time.
#[derive(Debug)]
struct Served {
    seen: Arc<Seen>,
    gives_way: CancellationToken,
}

/// Serves programs until somebody wants the end, or the session is gone.
pub(super) async fn serve(line: &Line, address: SocketAddr, ways: Ways) -> Outcome {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot listen on {address}: {error}"))
    })?;
    let address = listener.local_addr().unwrap_or(address);
    line.told.announce(&format!("{} of {} is at {address}", line.name(), line.gateway()));
    if !address.ip().is_loopback() {
        line.told.fault(&format!(
            "whoever reaches {address} reaches {} with your rights: there is no login on it",
            line.name()
        ));
    }
    let mut port = Port {
        line,
        ways,
        sessions: JoinSet::new(),
        waiting: JoinSet::new(),
        served: None,
        next: None,
        over: CancellationToken::new(),
    };
    let ended = tokio::select! {
        ended = port.run(&listener) => ended,
        () = stopped() => Parted::Ended,
    };
    drop(listener);
    port.leave().await;
    ended.outcome()
}

#[derive(Debug)]
struct Port<'a> {
    line: &'a Line,
    ways: Ways,
    sessions: JoinSet<Parted>,
    waiting: JoinSet<Option<Caller>>,
    served: Option<Served>,
    /// It has written, and the one that is served is on its way out.
    next: Option<Caller>,
    /// The end of all.
    over: CancellationToken,
}

impl Port<'_> {
    async fn run(&mut self, listener: &TcpListener) -> Parted {
        loop {
            tokio::select! {
                // What is over has no place any more when the next one comes.
                biased;
                Some(parted) = self.sessions.join_next() => {
                    let parted = parted.unwrap_or_else(|error| Parted::Tool(error.to_string()));
                    if let Some(parted) = self.ended(parted) {
                        return parted;
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.accepted(stream, peer),
                    Err(error) => {
                        self.line.told.fault(&format!("a connection was not accepted: {error}"));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(caller) = self.waiting.join_next() => {
                    if let Ok(Some(caller)) = caller {
                        self.wrote(caller);
                    }
                }
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        // What a program writes is not held back.
        let _ = stream.set_nodelay(true);
        let opening = if self.ways.allow_http { Opening::Any } else { Opening::Looked };
        let mut caller = Caller { stream, peer, opening };
        let Some(served) = self.served.as_ref().filter(|_| !self.ways.many) else {
            return self.start(caller);
        };
        if served.seen.has_ended() && self.next.is_none() {
            served.gives_way.cancel();
            self.next = Some(caller);
            return;
        }
        if served.seen.has_written() || self.waiting.len() >= WAITING_MAX {
            return self.refuse(&caller);
        }
        let line = self.line.clone();
        self.waiting.spawn(async move {
            let opening = std::mem::replace(&mut caller.opening, Opening::Any);
            match opening.read(&mut caller.stream).await {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => Some(Caller { opening: Opening::Read(bytes), ..caller }),
                Err(parted) => {
                    tell(&line, caller.peer, &parted);
                    reset(&caller.stream);
                    None
                }
            }
        });
    }

    /// One that waited has sent something.
    fn wrote(&mut self, caller: Caller) {
        match &self.served {
            None => self.start(caller),
            Some(served) if !served.seen.has_written() && self.next.is_none() => {
                served.gives_way.cancel();
                self.next = Some(caller);
            }
            Some(_) => self.refuse(&caller),
        }
    }

    fn refuse(&self, caller: &Caller) {
        self.line.told.fault(&format!(
            "{}: {} was closed: another connection is served; --many lets several in",
            self.line.name(),
            caller.peer
        ));
        reset(&caller.stream);
    }

    fn start(&mut self, caller: Caller) {
        let seen = Arc::new(Seen::new(matches!(caller.opening, Opening::Read(_))));
        let served = Served { seen, gives_way: self.over.child_token() };
        let (line, seen) = (self.line.clone(), Arc::clone(&served.seen));
        let (gives_way, rfc2217) = (served.gives_way.clone(), self.ways.rfc2217);
        self.sessions
            .spawn(async move { session(&line, caller, (&seen, rfc2217), &gives_way).await });
        self.served = Some(served);
    }

    /// A session is over. Some: and so is everything.
    fn ended(&mut self, parted: Parted) -> Option<Parted> {
        if !self.ways.many {
            self.served = None;
            if let Some(next) = self.next.take() {
                self.start(next);
            }
        }
        match parted {
            Parted::Refused(_) => Some(parted),
            Parted::Gone(_) | Parted::Unreachable(_) => Some(parted).filter(|_| !self.ways.keep),
            Parted::Ended
            | Parted::Tool(_)
            | Parted::Page(_)
            | Parted::Busy(_)
            | Parted::Incomplete(_) => None,
        }
    }

    /// Ends what runs, in order.
    async fn leave(&mut self) {
        self.waiting.abort_all();
        self.over.cancel();
        while self.sessions.join_next().await.is_some() {}
    }
}

/// One connection, from its first byte to its last.
async fn session(
    line: &Line,
    mut caller: Caller,
    (seen, rfc2217): (&Seen, Option<KnownResets>),
    gives_way: &CancellationToken,
) -> Parted {
    let parted = carried(line, &mut caller, (seen, rfc2217), gives_way).await;
    if parted == Parted::Ended {
        // Its last bytes go before its end; what it sent behind ours makes a reset of it.
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut caller.stream).await;
    } else {
        reset(&caller.stream);
        tell(line, caller.peer, &parted);
    }
    parted
}

/// Carries one caller's bytes. On an exclusive line the session is opened only once the caller has
/// sent something: a port scan then keeps nobody out.
async fn carried(
    line: &Line,
    caller: &mut Caller,
    (seen, rfc2217): (&Seen, Option<KnownResets>),
    gives_way: &CancellationToken,
) -> Parted {
    let mut opening = std::mem::replace(&mut caller.opening, Opening::Any);
    let (mut from, mut to) = caller.stream.split();
    let mut from = Noted::new(&mut from, seen);
    let gave_way = || Parted::Tool("its place was needed, or this is the end".into());
    if line.waits() {
        let first = tokio::select! {
            first = opening.read(&mut from) => first,
            () = gives_way.cancelled() => return gave_way(),
        };
        opening = match first {
            Ok(bytes) if bytes.is_empty() => return Parted::Tool("it sent nothing".into()),
            Ok(bytes) => Opening::Read(bytes),
            Err(parted) => return parted,
        };
    }
    let mut session = match line.open().await {
        Ok(session) => session,
        Err(parted) => return parted,
    };
    let parted = tokio::select! {
        parted = async {
            let (session, ends) = (&mut session, (&mut from, &mut to));
            match rfc2217 {
                Some(resets) => comport::carry(line, session, ends, (opening, resets)).await,
                None => carry(line, session, ends, opening).await,
            }
        } => parted,
        () = gives_way.cancelled() => gave_way(),
    };
    session.writer.client.end().await;
    parted
}

fn tell(line: &Line, peer: SocketAddr, parted: &Parted) {
    let (name, told) = (line.name(), line.told);
    match parted {
        Parted::Ended => {}
        Parted::Tool(why) => told.state(&format!("{name}: {peer} has left: {why}")),
        Parted::Page(what) => told.fault(&format!(
            "{name}: {peer} was closed, and nothing of it passed on: it began like {what}, as a web page's would; --allow-http lets \
             it through"
        )),
        Parted::Busy(why)
        | Parted::Incomplete(why)
        | Parted::Refused(why)
        | Parted::Gone(why)
        | Parted::Unreachable(why) => told.fault(&format!("{peer} was closed: {why}")),
    }
}

/// Its end is a reset: who reads it knows that it is not all.
fn reset(stream: &TcpStream) {
    // A socket that is gone needs none.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
