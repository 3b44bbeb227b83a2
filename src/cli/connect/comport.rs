//! RFC 2217 for programs of this computer: what they ask of a serial port, asked of the line.

use std::{
    future::pending,
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    carry::{READ_MAX, down, left},
    guard::Opening,
    line::{Line, Parted, Session, Writer},
};
use crate::{
    client::{Code, Config, Error, Event, Levels, Step},
    config::KnownResets,
    wire::control::When,
    wire::telnet::{
        AccessServer, EspResets, PortDeed, PortOrder, PortValues, ResetMove, comport::Purge,
    },
};

/// Bytes that may wait for the program; over it nothing more is read, of either side.
const WIRE_MAX: usize = 64 * 1024;

/// How long a break by telnet's own command lasts: what `tcsendbreak` does.
const BREAK: Duration = Duration::from_millis(250);

/// One program.
struct Port<'a> {
    line: &'a Line,
    writer: &'a Writer,
    state: Mutex<State>,
    /// Something waits for the program, or no longer does.
    moved: Notify,
    began: Instant,
}

struct State {
    server: AccessServer,
    wire: Vec<u8>,
    values: PortValues,
    /// What recognises resets, where that is wanted.
    resets: Option<EspResets>,
    /// Until when a change that may be part of one is held.
    held_until: Option<Instant>,
    /// The line's data wait for room.
    waiting: Option<Waker>,
}

/// Carries bytes and orders between a program and a session.
pub(super) async fn carry<R, W>(
    line: &Line,
    session: &mut Session,
    (from, to): (&mut R, &mut W),
    (opening, resets): (Opening, KnownResets),
) -> Parted
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Session { writer, events, settings, inputs } = session;
    let mut wire = Vec::new();
    let signature = format!("wsbridge/{} {}", env!("CARGO_PKG_VERSION"), line.name());
    let mut server = AccessServer::open(&signature, &mut wire);
    server.modem_lines(inputs.unwrap_or_default(), &mut wire);
    let values = PortValues {
        settings: settings.unwrap_or_default(),
        inputs: inputs.unwrap_or_default(),
        ..PortValues::default()
    };
    let resets = (resets == KnownResets::Esp).then(EspResets::default);
    let state = State { server, wire, values, resets, held_until: None, waiting: None };
    let port = Port {
        line,
        writer,
        state: Mutex::new(state),
        moved: Notify::new(),
        began: Instant::now(),
    };
    let mut encoded = Encoded(&port);
    let parted = tokio::select! {
        biased;
        parted = down(line, writer, events, &mut encoded, |event| port.note(event)) => parted,
        parted = port.up(from, opening) => parted,
        parted = port.out(to) => parted,
    };
    left(line, parted, writer.client.outstanding())
}

impl Port<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the program: data and orders, each in its turn.
    async fn up<R: AsyncRead + Unpin>(&self, from: &mut R, opening: Opening) -> Parted {
        let mut bytes = match opening.read(from).await {
            Ok(bytes) => bytes,
            Err(parted) => return parted,
        };
        loop {
            if let Err(parted) = self.heard(&mut bytes).await {
                return parted;
            }
            while self.lock().wire.len() > WIRE_MAX {
                self.moved.notified().await;
            }
            bytes.resize(READ_MAX, 0);
            let read = tokio::select! {
                read = from.read(&mut bytes) => read,
                released = self.overdue() => {
                    if let Err(parted) = released {
                        return parted;
                    }
                    bytes.clear();
                    continue;
                }
            };
            match read {
                Ok(0) => return Parted::Tool("it was closed".into()),
                Ok(read) => bytes.truncate(read),
                Err(error) => return Parted::Tool(error.to_string()),
            }
        }
    }

    async fn heard(&self, bytes: &mut [u8]) -> Result<(), Parted> {
        let read = {
            let State { server, wire, waiting, .. } = &mut *self.lock();
            // It may have said that it takes data again.
            waiting.take().into_iter().for_each(Waker::wake);
            server.hear(bytes, wire)
        };
        self.moved.notify_waiters();
        let mut done = 0;
        for (at, order) in read.orders {
            self.data(bytes.get(done..at).unwrap_or_default()).await?;
            done = at;
            let is_done = self.order(&order).await?;
            let State { server, wire, values, .. } = &mut *self.lock();
            server.answer(&order, is_done, values, wire);
            self.moved.notify_waiters();
        }
        self.data(bytes.get(done..read.data).unwrap_or_default()).await
    }

    async fn data(&self, bytes: &[u8]) -> Result<(), Parted> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.release().await?;
        match self.writer.claim().await {
            Ok(()) => {}
            Err(Error::Failed { code: Code::Busy, message }) => {
                return Err(Parted::Busy(format!("{} is held by {message}", self.line.name())));
            }
            Err(error) => return Err(self.line.parted(error)),
        }
        self.writer.client.write(bytes).await.map_err(|error| self.line.parted(error))
    }

    /// Does what is asked, with resets as they have to be done.
    async fn order(&self, order: &PortOrder) -> Result<bool, Parted> {
        let moved = match order.deed {
            PortDeed::Move(levels) if levels.brk.is_none() => self.recognised(levels),
            PortDeed::Tell => None,
            PortDeed::Configure(_) | PortDeed::Move(_) | PortDeed::Break | PortDeed::Purge(_) => {
                self.release().await?;
                None
            }
        };
        match moved {
            Some(ResetMove::Held) => Ok(true),
            Some(ResetMove::Steps(steps)) if steps.is_empty() => Ok(true),
            Some(ResetMove::Steps(steps)) => self.claimed(|| self.steps(steps.clone())).await,
            Some(ResetMove::Plain(_)) | None => self.plain(order).await,
        }
    }

    /// What a change is, where resets are recognised.
    fn recognised(&self, levels: Levels) -> Option<ResetMove> {
        let State { resets, held_until, .. } = &mut *self.lock();
        let resets = resets.as_mut()?;
        let moved = resets.change(levels);
        *held_until = resets.is_held().then(|| Instant::now() + EspResets::PATIENCE);
        Some(moved)
    }

    /// When what is held has been held for long enough: it is no part of a reset.
    async fn overdue(&self) -> Result<(), Parted> {
        let until = self.lock().held_until;
        match until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
        self.release().await
    }

    /// Does what is held: it is no part of a reset.
    async fn release(&self) -> Result<(), Parted> {
        let levels = {
            let State { resets, held_until, .. } = &mut *self.lock();
            *held_until = None;
            resets.as_mut().and_then(EspResets::release)
        };
        let Some(levels) = levels else { return Ok(()) };
        // To the program it counts as done.
        self.claimed(|| self.ask(PortDeed::Move(levels))).await.map(drop)
    }

    async fn steps(&self, steps: Vec<Step>) -> Result<(), Error> {
        let last = steps.last().map(|step| step.change);
        self.writer.client.signals(steps).await?;
        if let Some(Levels { dtr, rts, .. }) = last {
            let outputs = &mut self.lock().values.outputs;
            *outputs = Levels { dtr, rts, ..*outputs };
        }
        Ok(())
    }

    /// Does what is asked, if it may be done and changes anything.
    async fn plain(&self, order: &PortOrder) -> Result<bool, Parted> {
        let now = self.lock().values;
        // Who has not written has nothing of its own to discard.
        let purges = matches!(order.deed, PortDeed::Purge(_));
        let nothing = purges && !self.writer.writes.load(Ordering::Relaxed);
        if nothing || !changes(&order.deed, &now) {
            return Ok(true);
        }
        self.claimed(|| self.ask(order.deed)).await
    }

    /// Whether something is done that the lease is for. A connection that is lost meanwhile has it
    /// asked again.
    async fn claimed<F: Future<Output = Result<(), Error>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<bool, Parted> {
        loop {
            let asked = async {
                self.writer.claim().await?;
                ask().await
            };
            match asked.await {
                Ok(()) => return Ok(true),
                Err(Error::Lost) => {}
                Err(Error::Failed { message, .. }) => {
                    self.line.told.state(&format!("{}: {message}", self.line.name()));
                    return Ok(false);
                }
                Err(error) => return Err(self.line.parted(error)),
            }
        }
    }

    async fn ask(&self, deed: PortDeed) -> Result<(), Error> {
        let client = &self.writer.client;
        let step = |change, hold| Step { change, hold, at: Some(self.began.elapsed()) };
        match deed {
            PortDeed::Tell => {}
            PortDeed::Configure(change) => {
                // A line that is stuck by its flow control is got going by another one.
                let when = if change.flow.is_none() { When::Drain } else { When::Now };
                client.config(Config { change, when, now: false }).await?;
                let values = &mut self.lock().values;
                values.settings = change.apply(values.settings);
            }
            PortDeed::Move(change) => {
                client.signals(vec![step(change, Duration::ZERO)]).await?;
                let outputs = &mut self.lock().values.outputs;
                let Levels { dtr, rts, brk } = change;
                *outputs = Levels {
                    dtr: dtr.or(outputs.dtr),
                    rts: rts.or(outputs.rts),
                    brk: brk.or(outputs.brk),
                };
            }
            PortDeed::Break => {
                let brk = |on| Levels { brk: Some(on), ..Levels::default() };
                let steps = vec![step(brk(true), BREAK), step(brk(false), Duration::ZERO)];
                client.signals(steps).await?;
            }
            PortDeed::Purge(purge) => {
                client.flush(purge != Purge::Output, purge != Purge::Input).await?;
            }
        }
        Ok(())
    }

    /// What happened on the line, beside its data.
    fn note(&self, event: &Event) {
        let State { server, wire, values, .. } = &mut *self.lock();
        if let Event::Signals(inputs) = event {
            values.inputs = *inputs;
            server.modem_lines(*inputs, wire);
        }
        if let Event::Config { settings, .. } = event {
            values.settings = *settings;
        }
        if let Event::Line { event, .. } = event {
            server.line_events(&[*event], wire);
        }
        self.moved.notify_waiters();
    }

    /// What waits for the program; there is room for more then.
    fn taken(&self) -> Vec<u8> {
        let State { wire, waiting, .. } = &mut *self.lock();
        waiting.take().into_iter().for_each(Waker::wake);
        std::mem::take(wire)
    }

    /// To the program: what waits for it.
    async fn out<W: AsyncWrite + Unpin>(&self, to: &mut W) -> Parted {
        loop {
            let moved = self.moved.notified();
            let wire = self.taken();
            if wire.is_empty() {
                moved.await;
                continue;
            }
            self.moved.notify_waiters();
            if let Err(error) = to.write_all(&wire).await {
                return Parted::Tool(error.to_string());
            }
        }
    }
}

/// Whether something would be another than it is.
fn changes(deed: &PortDeed, now: &PortValues) -> bool {
    match deed {
        PortDeed::Tell => false,
        PortDeed::Configure(change) => change.apply(now.settings) != now.settings,
        PortDeed::Move(Levels { dtr, rts, brk }) => {
            let moves = |to: Option<bool>, is: bool| to.is_some_and(|to| to != is);
            moves(*dtr, now.outputs.dtr.unwrap_or(true))
                || moves(*rts, now.outputs.rts.unwrap_or(true))
                || moves(*brk, now.outputs.brk.unwrap_or(false))
        }
        PortDeed::Break | PortDeed::Purge(_) => true,
    }
}

/// The line's data, as telnet has them; taken while there is room.
struct Encoded<'a>(&'a Port<'a>);

impl AsyncWrite for Encoded<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let State { server, wire, waiting, .. } = &mut *self.0.lock();
        if wire.len() > WIRE_MAX || server.is_suspended() {
            *waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        server.data(bytes, wire);
        self.0.moved.notify_waiters();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
