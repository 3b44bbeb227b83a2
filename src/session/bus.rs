//! The bus on `/ws/`: which endpoints there are and how they are, as it changes (docs/protocol.md section 9).

use std::{collections::BTreeMap, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    Report, Session, Socket,
    describe::{describe, status, writer},
    rates::{Counts, Rates, second},
};
use crate::{
    config::{Endpoint, Rights},
    line::Board,
    wire::{
        close::Ended,
        control::{self, Ask, Code, Tell},
        frame::{Item, Opcode, parse_close},
    },
};

/// How long a client has to take our Close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Bytes waiting for the client above which its pings are not answered.
const WAITING: usize = 64 * 1024;

/// Which endpoints a bus shows, and to whom.
pub trait Bus: Send + Sync {
    /// The endpoints the client may see now, with their lines' boards.
    fn visible(&self) -> Vec<(Arc<Endpoint>, Rights, Option<watch::Receiver<Board>>)>;

    /// What was counted of each such endpoint since the start.
    fn counts(&self) -> BTreeMap<String, Counts>;

    /// Changes when `visible` may.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// What the bus waits for.
enum Event {
    /// So many bytes came from the client.
    Read(std::io::Result<usize>),
    /// The board of this endpoint changed.
    Board(String),
    /// Endpoints came or went.
    Listed,
    /// A ping is due.
    Tick,
    /// A second is over, for who watches.
    Second,
    /// The order to end.
    Order(Ended),
}

/// Runs a bus socket to its end.
pub async fn bus<S>(socket: Socket<S>, shown: &dyn Bus, dead_after: Duration, session: &mut Session) -> Report
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut state = State::new(socket, dead_after);
    let ended = match state.run(shown, session).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    state.socket.queue_close(&ended);
    // A client that takes nothing any more is not waited for.
    timeout(CLOSE_WAIT, state.flush()).await.ok();
    Report { ended, lost_up: 0, lost_down: 0 }
}

/// No value: the bus only ends with a reason.
enum Never {}

struct State<S> {
    socket: Socket<S>,
    dead_after: Duration,
    heard: Instant,
    text: Vec<u8>,
    /// One task waits for each board; they end with the bus.
    watches: JoinSet<String>,
    /// The rates, while the client wants them.
    rates: Option<Rates>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    fn new(socket: Socket<S>, dead_after: Duration) -> Self {
        Self {
            socket,
            dead_after,
            heard: Instant::now(),
            text: Vec::new(),
            watches: JoinSet::new(),
            rates: None,
        }
    }

    async fn run(&mut self, shown: &dyn Bus, session: &mut Session) -> Result<Never, Ended> {
        let mut listed = shown.changes();
        let mut known = self.hello(shown);
        let mut tick = interval(self.dead_after / 3);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buf = [0; 2048];
        loop {
            // A client that takes nothing for that long is as good as gone.
            timeout(self.dead_after, self.flush()).await.map_err(|_| Ended::ClientSilent)??;
            let event = tokio::select! {
                biased;
                order = session.order.wait_for(Option::is_some) => {
                    Event::Order(order.ok().and_then(|order| order.clone()).unwrap_or(Ended::Stopping))
                }
                read = poll_fn(|cx| self.socket.poll_read(cx, &mut buf)) => Event::Read(read),
                Some(Ok(name)) = self.watches.join_next() => Event::Board(name),
                _ = listed.changed() => Event::Listed,
                _ = tick.tick() => Event::Tick,
                () = second(&mut self.rates) => Event::Second,
            };
            match event {
                Event::Order(ended) => return Err(ended),
                Event::Read(Ok(0)) => return Err(Ended::ClientLost("end of stream without Close".into())),
                Event::Read(Ok(n)) => self.read(shown, buf.get_mut(..n).unwrap_or_default())?,
                Event::Read(Err(error)) => return Err(Ended::ClientLost(error.to_string())),
                Event::Board(name) => self.changed(&mut known, &name),
                Event::Listed => known = self.hello(shown),
                Event::Tick if self.heard.elapsed() >= self.dead_after => return Err(Ended::ClientSilent),
                Event::Tick => self.socket.queue(Opcode::Ping, b""),
                Event::Second => self.rates(shown),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let flushed = poll_fn(|cx| {
            loop {
                match self.socket.poll_flush(cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        flushed.await.map_err(|error| Ended::ClientLost(error.to_string()))
    }

    fn tell(&mut self, message: &Tell) {
        self.socket.queue(Opcode::Text, message.text().as_bytes());
    }

    /// Says everything: at the start, and when endpoints came or went.
    fn hello(&mut self, shown: &dyn Bus) -> Known {
        self.watches = JoinSet::new();
        let mut known = Known::new();
        let mut endpoints = Vec::new();
        for (endpoint, rights, mut board) in shown.visible() {
            let now = board.as_mut().map(|board| board.borrow_and_update().clone());
            endpoints.push(describe(&endpoint, rights, now.as_ref()));
            if let Some(board) = board {
                self.watch(endpoint.name.clone(), board.clone());
                known.insert(endpoint.name.clone(), board);
            }
        }
        self.tell(&Tell::Hello(control::Hello {
            v: 1,
            server: concat!("wsbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
            endpoint: None,
            endpoints: Some(endpoints),
            window: 0,
            heartbeat: (self.dead_after / 3).as_secs().max(1),
            resume: 0,
        }));
        known
    }

    fn watch(&mut self, name: String, mut board: watch::Receiver<Board>) {
        self.watches.spawn(async move {
            // A line that ends is told by the list.
            if board.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            name
        });
    }

    fn changed(&mut self, known: &mut Known, name: &str) {
        let Some(board) = known.get_mut(name) else { return };
        let now = board.borrow_and_update().clone();
        let again = board.clone();
        self.tell(&Tell::Status(control::Status {
            endpoint: Some(name.to_owned()),
            writer: writer(&now),
            observers: Some(now.observers()),
            ..status(&now)
        }));
        self.watch(name.to_owned(), again);
    }

    /// Says the rates, when one of them is another than a second ago.
    fn rates(&mut self, shown: &dyn Bus) {
        let news = self.rates.as_mut().and_then(|rates| rates.news(shown.counts()));
        if let Some(rates) = news {
            self.tell(&Tell::Rates { rates });
        }
    }

    /// The client's frames: pings, Close, and the few requests there are here.
    fn read(&mut self, shown: &dyn Bus, input: &mut [u8]) -> Result<(), Ended> {
        self.heard = Instant::now();
        let mut at = 0;
        while let Some(rest) = input.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let (used, item) = self.socket.decoder.next(rest)?;
            match item {
                Item::Data { text: false, .. } => {
                    return Err(Ended::BadMessage("data on the bus".into()));
                }
                Item::Data { range, last, .. } => {
                    self.text.extend_from_slice(rest.get(range).unwrap_or_default());
                    if self.text.len() > control::TEXT_MAX {
                        return Err(Ended::TooBig);
                    }
                    if last {
                        let text = std::mem::take(&mut self.text);
                        self.message(shown, &text)?;
                    }
                }
                Item::Ping if self.socket.waiting() < WAITING => {
                    let pong = self.socket.decoder.control().to_vec();
                    self.socket.queue(Opcode::Pong, &pong);
                }
                Item::Ping | Item::Pong | Item::More => {}
                Item::Close => {
                    let close = parse_close(self.socket.decoder.control())?;
                    return Err(Ended::ClientClosed(close.map(|(code, _)| code)));
                }
            }
            at += used;
        }
        Ok(())
    }

    fn message(&mut self, shown: &dyn Bus, text: &[u8]) -> Result<(), Ended> {
        let request = control::parse(text).map_err(Ended::BadMessage)?;
        match (request.ask, request.id) {
            (Ok(Ask::Ping), re) => self.tell(&Tell::Pong { re }),
            (Ok(Ask::Watch(watch)), re) => {
                self.rates = watch.rates.then(|| Rates::new(shown.counts()));
                if let Some(re) = re {
                    self.tell(&Tell::Ok { re, answer: control::Answer::default() });
                }
            }
            (_, None) => {}
            (Ok(_), re) => {
                let message = "the bus only tells; open `/ws/NAME`".to_owned();
                self.tell(&Tell::Error { re, code: Code::NotOpen, message, bytes: None });
            }
            (Err(failure), re) => {
                let control::Failure { code, message } = failure;
                self.tell(&Tell::Error { re, code, message, bytes: None });
            }
        }
        Ok(())
    }
}

/// The boards a bus has told of.
type Known = BTreeMap<String, watch::Receiver<Board>>;
