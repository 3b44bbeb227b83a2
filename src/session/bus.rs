//! The bus on `/ws/`: which endpoints there are, and their state as it changes (docs/protocol.md
//! section 9).

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    Session, SessionReport, Socket,
    clock::Rules,
    describe::{describe, status, writer},
    endings::Remainder,
    engine::{Piece, Speech, run},
    link::Link,
    rates::{Counts, Rates},
};
use crate::{
    config::{Endpoint, Rights},
    line::Board,
    wire::{
        close::Ended,
        control::{self, Ask, Code, Tell},
        frame::Opcode,
    },
};

/// Which endpoints a bus shows, and to whom.
pub(crate) trait BusView: Send + Sync {
    /// The endpoints the client may see now, with their lines' boards.
    fn visible(&self) -> Vec<(Arc<Endpoint>, Rights, Option<watch::Receiver<Board>>)>;

    /// What was counted for each of these endpoints since the start.
    fn counts(&self) -> BTreeMap<String, Counts>;

    /// Changes when `visible` may.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Changes when access was asked for or lent, to whomever.
    fn lending(&self) -> watch::Receiver<u64>;

    /// How many requests for access the client may decide.
    fn pending(&self) -> usize;
}

/// Runs a bus socket to its end.
pub(crate) async fn bus(
    socket: Socket,
    shown: &dyn BusView,
    dead_after: Duration,
    session: &Session,
) -> SessionReport {
    let rules = Rules { dead_after, ping_after: dead_after / 3, idle: None, rate: None };
    let mut link = Link::new(socket, rules);
    let mut overview = Overview::new(shown, dead_after);
    overview.hello(&mut link);
    run(&mut link, &mut overview, session.orders()).await;
    SessionReport::of(link.ended().cloned().unwrap_or(Ended::ClientClosed(None)))
}

/// What one client has been told about the gateway's endpoints.
struct Overview<'a> {
    shown: &'a dyn BusView,
    dead_after: Duration,
    text: Vec<u8>,
    /// The boards of endpoints the client knows about.
    known: BTreeMap<String, watch::Receiver<Board>>,
    /// One task waits for each board; they end with the bus.
    watches: JoinSet<String>,
    /// Resolves when endpoints have come or gone.
    listed: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What the client was told that it may do.
    rights: BTreeMap<String, Rights>,
    /// Resolves when access was asked for or lent.
    lent: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The rates, while the client wants them.
    rates: Option<Rates>,
}

/// Ready with the next change to the list.
fn listed(mut changes: watch::Receiver<u64>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    // The sender lives as long as the gateway.
    Box::pin(async move { changes.changed().await.unwrap_or(()) })
}

impl<'a> Overview<'a> {
    fn new(shown: &'a dyn BusView, dead_after: Duration) -> Self {
        Self {
            shown,
            dead_after,
            text: Vec::new(),
            known: BTreeMap::new(),
            watches: JoinSet::new(),
            listed: listed(shown.changes()),
            rights: BTreeMap::new(),
            lent: listed(shown.lending()),
            rates: None,
        }
    }

    /// Says everything: at the start, and when endpoints have come or gone.
    fn hello(&mut self, link: &mut Link) {
        self.listed = listed(self.shown.changes());
        self.watches = JoinSet::new();
        self.known = BTreeMap::new();
        self.rights = BTreeMap::new();
        let mut endpoints = Vec::new();
        for (endpoint, rights, mut board) in self.shown.visible() {
            let now = board.as_mut().map(|board| board.borrow_and_update().clone());
            self.rights.insert(endpoint.name.clone(), rights);
            endpoints.push(describe(&endpoint, rights, now.as_ref()));
            if let Some(board) = board {
                self.watch(endpoint.name.clone(), board.clone());
                self.known.insert(endpoint.name.clone(), board);
            }
        }
        tell(
            link,
            &Tell::Hello(control::Hello {
                v: 1,
                server: concat!("wsbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
                endpoint: None,
                endpoints: Some(endpoints),
                window: 0,
                heartbeat: (self.dead_after / 3).as_secs().max(1),
                resume: 0,
            }),
        );
    }

    fn watch(&mut self, name: String, mut board: watch::Receiver<Board>) {
        self.watches.spawn(async move {
            // The list reports a line that ends.
            if board.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            name
        });
    }

    fn changed(&mut self, link: &mut Link, name: &str) {
        let Some(board) = self.known.get_mut(name) else { return };
        let now = board.borrow_and_update().clone();
        let again = board.clone();
        tell(
            link,
            &Tell::Status(control::Status {
                endpoint: Some(name.to_owned()),
                writer: writer(&now),
                observers: Some(now.observers()),
                ..status(&now)
            }),
        );
        self.watch(name.to_owned(), again);
    }

    /// Access was asked for or lent: says what the client may do now, if that is something else, and
    /// how many requests wait for it.
    fn lent(&mut self, link: &mut Link) {
        self.lent = listed(self.shown.lending());
        let now = self.shown.visible().into_iter();
        let now: BTreeMap<_, _> =
            now.map(|(endpoint, rights, _)| (endpoint.name.clone(), rights)).collect();
        if now != self.rights {
            self.hello(link);
        }
        tell(link, &Tell::Lending { pending: self.shown.pending() });
    }

    /// Says the rates, if any of them differs from a second ago.
    fn tell_rates(&mut self, link: &mut Link) {
        let news = self.rates.as_mut().and_then(|rates| rates.news(self.shown.counts()));
        if let Some(rates) = news {
            tell(link, &Tell::Rates { rates });
        }
    }

    /// Answers a request. What cannot be done is reported only if there is an `id` to answer.
    fn message(&mut self, link: &mut Link, text: &[u8]) {
        let request = match control::parse(text) {
            Ok(request) => request,
            Err(why) => return link.end(Ended::BadMessage(why)),
        };
        match (request.ask, request.id) {
            (Ok(Ask::Ping), re) => tell(link, &Tell::Pong { re }),
            (Ok(Ask::Watch(watch)), re) => {
                self.rates = watch.rates.then(|| Rates::new(self.shown.counts()));
                if let Some(re) = re {
                    tell(link, &Tell::Ok { re, answer: control::Answer::default() });
                }
            }
            (_, None) => {}
            (Ok(_), re) => {
                let message = "the bus is for reading only; open `/ws/NAME`".to_owned();
                tell(link, &Tell::Error { re, code: Code::NotOpen, message, bytes: None });
            }
            (Err(failure), re) => {
                let control::Failure { code, message } = failure;
                tell(link, &Tell::Error { re, code, message, bytes: None });
            }
        }
    }
}

fn tell(link: &mut Link, message: &Tell) {
    link.socket.queue(Opcode::Text, message.text().as_bytes());
}

impl Speech for Overview<'_> {
    fn is_stream(&self, _text: bool) -> bool {
        false
    }

    fn data(&mut self, _link: &mut Link, _cx: &mut Context<'_>, _bytes: &[u8]) {}

    fn piece(&mut self, link: &mut Link, _cx: &mut Context<'_>, piece: Piece<'_>) {
        if link.ended().is_some() {
            return;
        }
        if !piece.text {
            link.end(Ended::BadMessage("data on the bus".into()));
            return;
        }
        self.text.extend_from_slice(piece.bytes);
        if self.text.len() > control::TEXT_MAX {
            link.end(Ended::TooBig);
        } else if piece.last {
            let text = std::mem::take(&mut self.text);
            self.message(link, &text);
        }
    }

    fn listens(&self) -> bool {
        true
    }

    fn idles(&self) -> bool {
        false
    }

    fn poll_target(
        &mut self,
        _link: &mut Link,
        _cx: &mut Context<'_>,
        _buf: &mut [u8],
    ) -> Poll<()> {
        Poll::Pending
    }

    fn poll_client(&mut self, link: &mut Link, cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<()> {
        if self.listed.as_mut().poll(cx).is_ready() {
            self.hello(link);
        } else if self.lent.as_mut().poll(cx).is_ready() {
            self.lent(link);
        } else if let Poll::Ready(Some(Ok(name))) = self.watches.poll_join_next(cx) {
            self.changed(link, &name);
        } else if self.rates.as_mut().is_some_and(|rates| rates.poll_second(cx).is_ready()) {
            self.tell_rates(link);
        } else {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn wind_up(&mut self, _link: &mut Link, _rest: Remainder) {}

    fn is_settled(&self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        true
    }

    fn last_words(&mut self, _link: &mut Link) {}
}
