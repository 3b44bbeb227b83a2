//! A client of `wsbridge.v1`: one session on one line that outlives its connection.
//!
//! Bytes go both ways within the windows of docs/protocol.md section 5, and requests go in line
//! with them. A lost connection is dialled again and its session resumed: each byte arrives once
//! and in order, or [`Event::Gone`] says that the gateway has given up the session.
//!
//! ```no_run
//! use wsbridge::client::{Client, Dial, Event};
//!
//! # async fn example() -> Result<(), wsbridge::client::Error> {
//! let dial = Dial::new("wss://gateway.example/ws/console").bearer("wsb_...");
//! let (client, mut events) = Client::connect(dial).await?;
//! client.open(Default::default()).await?;
//! client.write(b"version\r").await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Data { bytes, .. } => println!("{}", String::from_utf8_lossy(&bytes)),
//!         Event::Gap { from, to } => println!("{} bytes were missed", to - from),
//!         Event::Gone(why) | Event::Closed { reason: why, .. } => println!("the end: {why}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod dial;
mod drive;
mod event;
mod resend;
mod state;

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinSet, time::timeout};

pub use self::{
    dial::Dial,
    event::{Error, Event},
};
use self::{
    drive::{drive, greet},
    state::{Answered, Reply, Shared},
};
use crate::wire::control::Ask;
pub use crate::{
    settings::{
        DataBits, ErrorCounts, Flow, Inputs, Levels, LineEvent, Parity, Settings, Step, StopBits,
    },
    wire::control::{
        Answer, Close, Code, Config, Flush, Hello, LeaseNews, LeaseOp, LeaseRequest, Macro, Open,
        Opened, Role, Signals, Status,
    },
};

/// How long [`Client::end`] waits for the gateway's Close.
const END: Duration = Duration::from_secs(5);

/// The writing half of a client: data and requests. Dropping it cuts the connection, and the
/// gateway keeps the session for its resume time; [`end`](Self::end) closes in an orderly way.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    /// The connection; it ends with the client.
    _task: JoinSet<()>,
}

/// The reading half of a client.
#[derive(Debug)]
pub struct Events(Arc<Shared>);

impl Events {
    /// What happens next; `None` after [`Event::Closed`]. Taking data is what acknowledges it: the
    /// gateway sends no further ahead than the window. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.next().await
    }
}

impl Client {
    /// Connects and waits for `hello`. Errors are those of the first connection; later ones are
    /// events.
    pub async fn connect(dial: Dial) -> Result<(Self, Events), Error> {
        let (socket, hello) = greet(dial.connect().await?).await?;
        let shared = state::start(hello);
        let mut task = JoinSet::new();
        task.spawn(drive(Arc::clone(&shared), dial, socket));
        Ok((Self { shared: Arc::clone(&shared), _task: task }, Events(shared)))
    }

    /// What the gateway last said about itself and the endpoint, or, on the bus, about all
    /// endpoints.
    pub fn hello(&self) -> Hello {
        self.shared.hello()
    }

    /// Begins a session; one that is open ends.
    pub async fn open(&self, open: Open) -> Result<Opened, Error> {
        match answer(self.shared.ask(&Ask::Open(open))).await? {
            Reply::Opened(opened) => Ok(opened),
            Reply::Ok(_) | Reply::Pong => Err(Error::Foreign("another answer to `open`".into())),
        }
    }

    /// Sends bytes to the line. Ready when all of them have been taken here: the window plus 64 KiB
    /// are buffered ahead of the gateway. Fails if no session is open. If it is dropped early, some
    /// of the bytes may have been taken.
    ///
    /// If the endpoint has `datagrams` among its `caps`, each write is one datagram, even an empty
    /// one; more than 65,507 bytes fail with `limit`.
    pub async fn write(&self, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let n = self.shared.write(bytes).await?;
            bytes = bytes.get(n..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Changes settings, after the bytes written before, unless `now` is set.
    pub async fn config(&self, config: Config) -> Result<(), Error> {
        self.ok(Ask::Config(config)).await.map(drop)
    }

    /// Moves DTR, RTS and break step by step, after the bytes written before.
    pub async fn signals(&self, steps: Vec<Step>) -> Result<(), Error> {
        self.ok(Ask::Signals(Signals { steps, now: false })).await.map(drop)
    }

    /// Moves DTR, RTS and break in one step, ahead of everything that waits.
    pub async fn signals_now(&self, change: Levels) -> Result<(), Error> {
        let steps = vec![Step { change, hold: Duration::ZERO, at: None }];
        self.ok(Ask::Signals(Signals { steps, now: true })).await.map(drop)
    }

    /// Runs a signal sequence of the endpoint's configuration, after the bytes written before.
    pub async fn run_macro(&self, name: impl Into<String>) -> Result<(), Error> {
        self.ok(Ask::Macro(Macro { name: name.into() })).await.map(drop)
    }

    /// Settings, modem lines and counters as they are now.
    pub async fn get(&self) -> Result<Answer, Error> {
        self.ok(Ask::Get).await
    }

    /// Discards what the line has received and nobody has read (`rx`), and what it has not sent
    /// (`tx`).
    pub async fn flush(&self, rx: bool, tx: bool) -> Result<(), Error> {
        self.ok(Ask::Flush(Flush { rx, tx })).await.map(drop)
    }

    /// Ready when everything written before is out and the wire is idle; `unsupported` when all of
    /// it has left the gateway and nobody can tell whether it has left the device.
    pub async fn drain(&self) -> Result<(), Error> {
        self.ok(Ask::Drain).await.map(drop)
    }

    /// Requests the right to write, takes it, gives it back, or answers a request for it.
    pub async fn lease(&self, op: LeaseOp) -> Result<(), Error> {
        self.ok(Ask::Lease(LeaseRequest { op })).await.map(drop)
    }

    /// How many of the bytes written are not acknowledged; of a session that is over, how many
    /// never were.
    pub fn outstanding(&self) -> u64 {
        self.shared.outstanding()
    }

    /// Sends what was written, then Close, and leaves what still comes to the events.
    pub fn finish(&self) {
        self.shared.close();
    }

    /// A round trip.
    pub async fn ping(&self) -> Result<(), Error> {
        answer(self.shared.ask(&Ask::Ping)).await.map(drop)
    }

    /// Ends the session and keeps the connection; with `drain`, first sends what was written.
    pub async fn close(&self, drain: bool) -> Result<(), Error> {
        match self.ok(Ask::Close(Close { drain })).await {
            // Everything that can be known about was sent.
            Err(Error::Failed { code: Code::Unsupported, .. }) if drain => Ok(()),
            closed => closed.map(drop),
        }
    }

    /// Sends what was written, then Close; ready when the gateway's Close has come, or after 5 s.
    pub async fn end(self) {
        self.shared.close();
        timeout(END, self.shared.ended()).await.ok();
    }

    async fn ok(&self, ask: Ask) -> Result<Answer, Error> {
        match answer(self.shared.ask(&ask)).await? {
            Reply::Ok(answer) => Ok(answer),
            Reply::Opened(_) | Reply::Pong => {
                Err(Error::Foreign("an answer of another kind".into()))
            }
        }
    }
}

/// The outcome of a request.
async fn answer(outcome: oneshot::Receiver<Answered>) -> Answered {
    outcome.await.unwrap_or(Err(Error::Lost))
}
