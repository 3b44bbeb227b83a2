//! What is done to a line's port: a drain, settings, signals, break, and how the port is left.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Shared,
    output::SeatId,
    task::{Action, PACE_MOST, Reply, Task, Undone},
};
use crate::{
    auth::PrincipalId,
    config::Target,
    event::Event,
    settings::{Levels, Settings, Step},
    target::{Port, PortError, Wire},
    wire::control::SettingsChange,
};

/// How often a port is asked whether its wire is idle.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// How long a drain waits at most without any movement: a line held by flow control never drains.
pub(crate) const DRAIN_MOST: Duration = Duration::from_secs(30);

/// The same for a task that passes the queue of a line that may be stuck.
const NOW_MOST: Duration = Duration::from_secs(1);

/// How long bytes that cannot be discarded have to leave by themselves.
const LEAVES: Duration = Duration::from_millis(500);

/// The clock of the last step: the client's and ours.
#[derive(Debug)]
pub(super) struct Pace {
    last: Option<(SeatId, Duration, Instant)>,
    /// How long a step may wait on a line where nothing moves.
    most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { last: None, most: DRAIN_MOST }
    }
}

impl Pace {
    /// Waits until a step may run: no earlier after the last step than the client's clock had them
    /// apart.
    async fn keep(
        &mut self,
        seat: SeatId,
        at: Option<Duration>,
        turn: &CancellationToken,
    ) -> Result<(), Undone> {
        let Some(at) = at else { return Ok(()) };
        if let Some((last_seat, last_at, ran)) = self.last
            && last_seat == seat
            && let Some(apart) = at.checked_sub(last_at)
            && apart <= PACE_MOST
        {
            pause(turn, ran + apart).await?;
        }
        self.last = Some((seat, at, Instant::now()));
        Ok(())
    }
}

/// Waits, unless the seat loses its turn.
async fn pause(turn: &CancellationToken, until: Instant) -> Result<(), Undone> {
    turn.run_until_cancelled(sleep_until(until)).await.ok_or(Undone::Taken)
}

/// Does one task of the queue.
pub(super) async fn perform(shared: &Shared, task: Task, port: &Port, pace: &mut Pace) {
    let outcome = match &task.what {
        Action::Drain => match drain(port, task.reply(), DRAIN_MOST, &task.turn).await {
            Ok(Wire::HandedOn) => Err(Undone::Port(PortError::Unsupported)),
            drained => drained.map(drop),
        },
        Action::Configure { change, drain: wait, by } => {
            let drained = if *wait {
                drain(port, None, DRAIN_MOST, &task.turn).await.map(drop)
            } else {
                Ok(())
            };
            match drained {
                Ok(()) => configure(shared, port, change, by).await,
                Err(undone) => Err(undone),
            }
        }
        Action::Signals { steps, seat, by } => {
            tell_signals(shared, steps, by.as_ref());
            let done = signals(shared, port, (steps, *seat), pace, &task.turn).await;
            // The seat that began a break has left meanwhile, or lost its turn.
            if done == Err(Undone::Taken) || done.is_ok() && !shared.input.has(*seat) {
                end_break(shared, *seat).await;
            }
            done
        }
        Action::EndBreak(seat) => {
            end_break(shared, *seat).await;
            Ok(())
        }
        Action::Retune(settings) => {
            // Nobody's bytes may leave with settings that are not theirs. A line that takes nothing
            // is set anyway.
            drain(port, None, DRAIN_MOST, &task.turn).await.ok();
            retune(shared, port, *settings).await;
            Ok(())
        }
        Action::Release => {
            release(shared, port, &task.turn).await;
            Ok(())
        }
    };
    task.answer(outcome);
}

/// Does a task immediately, past the queue: for a line that is stuck. A task that still has to wait
/// for the wire (a break) holds the queue back meanwhile, and gives up soon.
pub(super) async fn perform_now(shared: &Shared, task: Task, port: &Port) {
    let breaks =
        matches!(&task.what, Action::Signals { steps, .. } if steps.iter().any(begins_break));
    if breaks {
        shared.input.hold();
    }
    perform(shared, task, port, &mut Pace { last: None, most: NOW_MOST }).await;
    if breaks {
        shared.input.go_on();
    }
}

fn begins_break(step: &Step) -> bool {
    step.change.brk == Some(true)
}

/// Waits until the wire is idle, as far as that can be known. Gives up when nothing has moved for
/// `most`, or when nobody waits any longer for the reply that was asked for.
async fn drain(
    port: &Port,
    reply: Option<&Reply>,
    most: Duration,
    turn: &CancellationToken,
) -> Result<Wire, Undone> {
    let mut last = (0, Instant::now());
    loop {
        let wire = port.wire().await?;
        let Wire::Busy(unsent) = wire else { return Ok(wire) };
        if reply.is_some_and(Reply::is_closed) {
            return Err(Undone::Gone);
        }
        if unsent != last.0 {
            last = (unsent, Instant::now());
        }
        if last.1.elapsed() >= most + port.adapter_time() {
            return Err(Undone::Timeout);
        }
        pause(turn, Instant::now() + DRAIN_POLL).await?;
    }
}

/// Discards what the driver still holds of a seat's bytes; the queue is held until that is done. If
/// they can neither be discarded nor leave by themselves, the device is closed and opened again:
/// none of them may leave together with the next seat's. Returns whether it is.
pub(super) async fn discard(shared: &Shared, seat: SeatId) -> bool {
    let mut reopens = false;
    if let Some((port, stuck)) = shared.open_port()
        && let held = port.held().bytes
        && held > 0
        && shared.input.owns_driver(seat, held)
    {
        // A device that is gone has discarded it in its own way.
        port.flush(false, true).await.ok();
        if port.forgets_when_closed() && keeps(&port).await {
            warn!(
                endpoint = shared.name,
                bytes = port.held().bytes,
                "the line accepts no data; reopening it"
            );
            stuck.cancel();
            reopens = true;
        }
    }
    shared.input.go_on();
    reopens
}

/// Whether a port still holds what it should have discarded.
async fn keeps(port: &Port) -> bool {
    let began = Instant::now();
    while let Ok(Wire::Busy(unsent)) = port.wire().await {
        // What the adapter holds is on its way, and needs its time.
        let most = if unsent > 0 { LEAVES } else { LEAVES + port.adapter_time() };
        if began.elapsed() >= most {
            return true;
        }
        sleep(DRAIN_POLL).await;
    }
    false
}

async fn configure(
    shared: &Shared,
    port: &Port,
    change: &SettingsChange,
    by: &PrincipalId,
) -> Result<(), Undone> {
    let settings = change.apply(port.settings().await?);
    port.configure(settings).await?;
    shared.board.send_modify(|board| {
        board.settings = Some(settings);
        board.settings_by = Some(by.name.clone());
    });
    shared.events.tell(Event::Settings { endpoint: &shared.name, by, settings });
    Ok(())
}

/// Tells who moves the lines. That they begin to move is what counts: a sequence that is cut short
/// has moved them, too.
fn tell_signals(shared: &Shared, steps: &[Step], by: Option<&(PrincipalId, Option<String>)>) {
    let Some((by, name)) = by else { return };
    if steps.iter().any(|step| !step.change.is_empty()) {
        let (endpoint, name) = (shared.name.as_str(), name.as_deref());
        shared.events.tell(Event::Signals { endpoint, by, steps, name });
    }
}

async fn signals(
    shared: &Shared,
    port: &Port,
    (steps, seat): (&[Step], SeatId),
    pace: &mut Pace,
    turn: &CancellationToken,
) -> Result<(), Undone> {
    for step in steps {
        pace.keep(seat, step.at, turn).await?;
        if begins_break(step) {
            // The kernel waits for that, too, and without a limit.
            drain(port, None, pace.most, turn).await?;
        }
        if !step.change.is_empty() {
            set(shared, port, step.change).await?;
            shared.board.send_modify(|board| board.drove(step.change, seat));
            // A pulse is over before anybody looks at the board.
            shared.tell_board();
        }
        if !step.hold.is_zero() {
            pause(turn, Instant::now() + step.hold).await?;
        }
    }
    Ok(())
}

/// The end of a break.
const BREAK_OFF: Levels = Levels { dtr: None, rts: None, brk: Some(false) };

/// Ends a break that a seat has left behind, if there still is one.
pub(super) async fn end_break(shared: &Shared, seat: SeatId) {
    if forget_break(shared, seat) {
        break_off(shared).await;
    }
}

/// Notes the end of a seat's break; returns whether there was one.
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
        Err(error) => {
            return warn!(endpoint = shared.name, %settings, %error, "settings not changed");
        }
    }
    shared.board.send_modify(|board| {
        board.settings = Some(settings);
        board.settings_by = None;
    });
}

/// Releases the port, after the last byte of whoever had the line.
async fn release(shared: &Shared, port: &Port, turn: &CancellationToken) {
    if drain(port, None, DRAIN_MOST, turn).await == Err(Undone::Timeout) {
        warn!(endpoint = shared.name, "the line accepts no data; released all the same");
    }
    shared.board.send_if_modified(|board| std::mem::take(&mut board.vacated));
    let endpoint = Arc::clone(&shared.endpoint.borrow());
    let (levels, settings) = match &endpoint.target {
        Target::Serial(serial) => (serial.on_release, serial.settings),
        Target::Rfc2217(remote) => (remote.on_release, remote.settings),
        Target::Tcp(_) | Target::DialIn(_) | Target::Udp(_) | Target::Sim(_) => return,
    };
    drive(shared, port, levels).await;
    let present = endpoint.target.carrier().while_connected;
    // Somebody has come meanwhile.
    if shared.board.borrow().seats > 0 {
        drive(shared, port, present).await;
    }
    if shared.board.borrow().settings_by.is_some() {
        retune(shared, port, settings).await;
    }
    shared.board.send_modify(|board| board.outputs = Levels::default());
}

/// Sets modem lines as configured, if any are.
pub(super) async fn drive(shared: &Shared, port: &Port, levels: Levels) {
    if !levels.is_empty()
        && let Err(error) = set(shared, port, levels).await
    {
        warn!(endpoint = shared.name, %error, "modem lines not moved");
    }
}

/// Sets modem lines. If it turns out that the port cannot, everyone is told.
async fn set(shared: &Shared, port: &Port, levels: Levels) -> Result<(), PortError> {
    let done = port.set(levels).await;
    if done == Err(PortError::Unsupported) {
        let caps = port.caps();
        shared.board.send_if_modified(|board| std::mem::replace(&mut board.caps, caps) != caps);
    }
    done
}
