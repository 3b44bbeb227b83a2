//! Seats to device: carries out the queue, data and tasks in the order sent.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite,
    sync::watch,
    time::{Instant, Sleep, sleep, sleep_until},
};
use tracing::{info, warn};

use super::{
    Shared,
    input::Work,
    output::{EAR, Heard, Hearing, Lossless, Output, SeatId},
    pacing::Pacer,
    task::{Reply, Task, Undone},
};
use crate::{
    config::{Endpoint, Target},
    settings::{Levels, Settings, Step},
    target::{Port, PortError},
    wire::control::SettingsChange,
};

/// How often a driver is asked whether its transmitter is empty.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Longest a drain waits for something to move: a line held by flow control never drains.
pub const DRAIN_MOST: Duration = Duration::from_secs(30);

/// Longest distance of two steps' clocks that is kept; over it they are no sequence.
const PACE_MOST: Duration = Duration::from_secs(1);

/// The clock of the last step: the client's and ours.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(SeatId, Duration, Instant)>,
}

impl Pace {
    /// Waits until a step may run: not earlier after the last than the client's clock had them apart.
    async fn keep(&mut self, seat: SeatId, at: Option<Duration>) {
        let Some(at) = at else { return };
        if let Some((last_seat, last_at, ran)) = self.last
            && last_seat == seat
            && let Some(apart) = at.checked_sub(last_at)
            && apart <= PACE_MOST
        {
            sleep_until(ran + apart).await;
        }
        self.last = Some((seat, at, Instant::now()));
    }
}

/// Carries out the queue until the device takes no more; returns why.
pub(super) async fn uplink(
    shared: &Shared,
    device: &mut (dyn AsyncWrite + Send + Unpin),
    port: &Port,
) -> io::Error {
    let mut pace = Pace::default();
    let mut paced = Paced::new(shared);
    loop {
        match poll_fn(|cx| paced.poll_work(cx, device)).await {
            Ok(Work::Wrote) => {}
            Ok(Work::Turn) => shared.input.turn(port.unsent()),
            Ok(Work::Task(task)) => {
                // A stream that buffers (TLS, telnet) sends the rest first; a tty has nothing to flush.
                poll_fn(|cx| Pin::new(&mut *device).poll_flush(cx)).await.ok();
                perform(shared, task, port, &mut pace).await;
            }
            Err(error) => return error,
        }
    }
}

/// The queue at the pace the device can bear. Bytes that wait stay in the queue: a flush or the end of a seat takes
/// them from there at once.
struct Paced<'a> {
    shared: &'a Shared,
    /// The rules, as last applied.
    endpoint: watch::Receiver<Arc<Endpoint>>,
    pacer: Pacer,
    timer: Pin<Box<Sleep>>,
    /// A place among the readers, to hear prompts.
    ear: Option<Ear<'a>>,
}

impl<'a> Paced<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut endpoint = shared.endpoint.clone();
        endpoint.mark_changed();
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { shared, endpoint, pacer: Pacer::default(), timer, ear: None }
    }

    fn poll_work(
        &mut self,
        cx: &mut Context<'_>,
        device: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Poll<io::Result<Work>> {
        if self.endpoint.has_changed().unwrap_or(false) {
            self.pacer.set_rules(self.endpoint.borrow_and_update().pacing.clone());
            self.ear = self.pacer.listens().0.then(|| Ear::new(&self.shared.output));
        }
        // Looked at before the queue is locked: who leaves has the board and then wants the queue.
        let character = self.pacer.paces().then(|| self.shared.board.borrow().settings).flatten();
        let character = character.map_or(Duration::ZERO, |settings| settings.character());
        loop {
            if let Some(ear) = &self.ear {
                ear.listen(cx, &mut self.pacer);
            }
            let work = self.shared.input.poll_work(cx, device, &mut |next, went| match went {
                None => self.pacer.piece(next),
                Some(n) => {
                    self.pacer.wrote(next.get(..n).unwrap_or_default(), Instant::now(), character);
                    n
                }
            });
            let (Poll::Pending, Some(due)) = (&work, self.pacer.due()) else { return work };
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.pacer.go_on();
        }
    }
}

/// A reader of the device's output that holds nothing back.
struct Ear<'a>(&'a Output);

impl<'a> Ear<'a> {
    fn new(output: &'a Output) -> Self {
        let hearing = Hearing {
            from: None,
            lossless: Lossless::Never,
            acks: false,
            events: false,
            times: false,
            pauses: false,
            patient: true,
        };
        output.enter(EAR, hearing);
        Self(output)
    }

    /// Looks for the prompt in what the device has said since the line that is to be answered.
    fn listen(&self, cx: &mut Context<'_>, pacer: &mut Pacer) {
        if !pacer.listens().1 {
            self.0.seek(EAR, u64::MAX);
        }
        let mut buf = [0; 512];
        while pacer.listens().1 {
            match self.0.poll_read(EAR, cx, &mut buf) {
                Poll::Ready(Heard::Bytes(n)) => pacer.heard(buf.get(..n).unwrap_or_default()),
                Poll::Ready(Heard::Gap(_) | Heard::Mark(_)) => {}
                Poll::Ready(Heard::Ended(_)) | Poll::Pending => return,
            }
        }
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        self.0.leave(EAR);
    }
}

/// Does one task now; from the queue, or past it.
async fn perform(shared: &Shared, task: Task, port: &Port, pace: &mut Pace) {
    // Nobody may wait for a reply any more: as good as told.
    match task {
        Task::Drain(reply) => {
            let drained = drain(port, &reply).await;
            reply.send(drained).ok();
        }
        Task::Configure { change, drain: wait, by, reply } => {
            let drained = if wait { drain(port, &reply).await } else { Ok(()) };
            let result = match drained {
                Ok(()) => configure(shared, port, change, &by).await,
                Err(error) => Err(error),
            };
            reply.send(result).ok();
        }
        Task::Signals { steps, seat, reply } => {
            reply.send(signals(shared, port, &steps, seat, pace).await).ok();
        }
        Task::Retune { settings, reply } => {
            retune(shared, port, settings).await;
            if let Some(reply) = reply {
                reply.send(Ok(())).ok();
            }
        }
        Task::Release => release(shared, port).await,
    }
}

/// Does a task at once, past the queue: for a line that is stuck.
pub(super) async fn perform_now(shared: &Shared, task: Task, port: &Port) {
    perform(shared, task, port, &mut Pace::default()).await;
}

/// Waits for an empty transmitter, as long as somebody wants to know.
async fn drain(port: &Port, reply: &Reply) -> Result<(), Undone> {
    let until = Instant::now() + DRAIN_MOST;
    while !reply.is_closed() && port.unsent() > 0 {
        if Instant::now() >= until {
            return Err(Undone::Timeout);
        }
        sleep(DRAIN_POLL).await;
    }
    Ok(())
}

async fn configure(shared: &Shared, port: &Port, change: SettingsChange, by: &str) -> Result<(), Undone> {
    let settings = change.apply(port.settings().await?);
    port.configure(settings).await?;
    info!(endpoint = shared.name, principal = by, %settings, "settings changed");
    shared.board.send_modify(|board| {
        board.settings = Some(settings);
        board.settings_by = Some(by.to_owned());
    });
    Ok(())
}

async fn signals(
    shared: &Shared,
    port: &Port,
    steps: &[Step],
    seat: SeatId,
    pace: &mut Pace,
) -> Result<(), Undone> {
    for step in steps {
        pace.keep(seat, step.at).await;
        if !step.change.is_empty() {
            port.set(step.change).await?;
            shared.board.send_modify(|board| board.drove(step.change, seat));
        }
        if !step.hold.is_zero() {
            sleep(step.hold).await;
        }
    }
    // Whoever began it has left meanwhile.
    if !shared.input.has(seat) {
        end_break(shared, seat).await;
    }
    Ok(())
}

/// The end of a break.
const BREAK_OFF: Levels = Levels { dtr: None, rts: None, brk: Some(false) };

/// Ends a break that a seat has left behind, if one stands.
pub(super) async fn end_break(shared: &Shared, seat: SeatId) {
    if forget_break(shared, seat) {
        break_off(shared).await;
    }
}

/// Notes the end of a seat's break; returns whether there is one to end.
pub(super) fn forget_break(shared: &Shared, seat: SeatId) -> bool {
    shared.board.send_if_modified(|board| {
        let breaks = board.breaks(seat);
        if breaks {
            board.drove(BREAK_OFF, seat);
        }
        breaks
    })
}

/// Ends a break.
pub(super) async fn break_off(shared: &Shared) {
    if let Some(port) = shared.port() {
        drive(shared, &port, BREAK_OFF).await;
    }
}

/// Sets the port as configured, and forgets what clients had changed.
async fn retune(shared: &Shared, port: &Port, settings: Settings) {
    match port.configure(settings).await {
        Ok(()) => info!(endpoint = shared.name, %settings, "settings as configured"),
        Err(PortError::Unsupported) => return,
        Err(error) => return warn!(endpoint = shared.name, %settings, %error, "settings not changed"),
    }
    shared.board.send_modify(|board| {
        board.settings = Some(settings);
        board.settings_by = None;
    });
}

async fn release(shared: &Shared, port: &Port) {
    shared.board.send_if_modified(|board| std::mem::take(&mut board.vacated));
    let endpoint = Arc::clone(&shared.endpoint.borrow());
    let (levels, settings) = match &endpoint.target {
        Target::Serial(serial) => (serial.on_release, serial.settings),
        Target::Rfc2217(remote) => (remote.on_release, remote.settings),
        Target::Tcp(_) | Target::Sim(_) => return,
    };
    drive(shared, port, levels).await;
    if shared.board.borrow().settings_by.is_some() {
        retune(shared, port, settings).await;
    }
    shared.board.send_modify(|board| board.outputs = Levels::default());
}

/// Moves lines as configured, if anything is to move.
pub(super) async fn drive(shared: &Shared, port: &Port, levels: Levels) {
    if !levels.is_empty()
        && let Err(error) = port.set(levels).await
    {
        warn!(endpoint = shared.name, %error, "modem lines not moved");
    }
}
