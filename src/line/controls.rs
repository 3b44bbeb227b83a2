//! What is done to a line's port: a drain, settings, signals, break, and how it is left.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::{
    Shared,
    output::SeatId,
    task::{Action, Reply, Task, Undone},
};
use crate::{
    config::Target,
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
pub(super) struct Pace {
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

/// Does one task now; from the queue, or past it.
pub(super) async fn perform(shared: &Shared, task: Task, port: &Port, pace: &mut Pace) {
    let Task { what, reply } = task;
    let outcome = match what {
        Action::Drain => drain(port, reply.as_ref()).await,
        Action::Configure { change, drain: wait, by } => {
            let drained = if wait { drain(port, reply.as_ref()).await } else { Ok(()) };
            match drained {
                Ok(()) => configure(shared, port, change, &by).await,
                Err(undone) => Err(undone),
            }
        }
        Action::Signals { steps, seat } => signals(shared, port, &steps, seat, pace).await,
        Action::Retune(settings) => {
            retune(shared, port, settings).await;
            Ok(())
        }
        Action::Release => {
            release(shared, port).await;
            Ok(())
        }
    };
    if let Some(reply) = reply {
        // Nobody may wait for it any more: as good as told.
        reply.send(outcome).ok();
    }
}

/// Does a task at once, past the queue: for a line that is stuck.
pub(super) async fn perform_now(shared: &Shared, task: Task, port: &Port) {
    perform(shared, task, port, &mut Pace::default()).await;
}

/// Waits for an empty transmitter, as long as somebody wants to know.
async fn drain(port: &Port, reply: Option<&Reply>) -> Result<(), Undone> {
    let until = Instant::now() + DRAIN_MOST;
    while !reply.is_some_and(Reply::is_closed) && port.unsent() > 0 {
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
