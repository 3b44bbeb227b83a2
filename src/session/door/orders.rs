//! What a client of RFC 2217 orders, as tasks of the line; what right each needs.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    config::Rights,
    line::{Seat, TaskOutcome},
    settings::{Levels, Step},
    wire::telnet::{PortDeed, PortValues, ResetMove, comport::Purge},
};

/// How long a break by telnet's own command lasts: what `tcsendbreak` does.
const BREAK: Duration = Duration::from_millis(250);

/// What comes of an order.
pub(super) enum Outcome {
    /// It was done, or not.
    Known(bool),
    /// A task of the queue.
    Task(TaskOutcome),
    /// Something beside the queue.
    Work(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Outcome {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Known(done) => Poll::Ready(*done),
            Self::Task(outcome) => {
                Pin::new(outcome).poll(cx).map(|done| matches!(done, Ok(Ok(()))))
            }
            Self::Work(work) => work.as_mut().poll(cx).map(|()| true),
        }
    }
}

/// The right an order needs, if any.
pub(super) fn needs(deed: &PortDeed) -> Option<Rights> {
    match deed {
        PortDeed::Tell | PortDeed::Purge(Purge::Input) => None,
        PortDeed::Configure(_) => Some(Rights::SETTINGS),
        PortDeed::Move(_) | PortDeed::Break => Some(Rights::SIGNALS),
        PortDeed::Purge(Purge::Output | Purge::Both) => Some(Rights::WRITE),
    }
}

/// Whether something would be another than it is.
pub(super) fn changes(deed: &PortDeed, now: &PortValues) -> bool {
    match deed {
        // Who has sent nothing has nothing to discard.
        PortDeed::Tell | PortDeed::Purge(_) => false,
        PortDeed::Configure(change) => change.apply(now.settings) != now.settings,
        PortDeed::Move(change) => {
            let Levels { dtr, rts, brk } = now.outputs;
            let moves = |to: Option<bool>, is: bool| to.is_some_and(|to| to != is);
            moves(change.dtr, dtr.unwrap_or(true))
                || moves(change.rts, rts.unwrap_or(true))
                || moves(change.brk, brk.unwrap_or(false))
        }
        PortDeed::Break => true,
    }
}

/// Whether the client wants to hear nothing of what came before.
pub(super) fn discards_input(deed: &PortDeed) -> bool {
    matches!(deed, PortDeed::Purge(Purge::Input | Purge::Both))
}

/// Begins what is ordered.
pub(super) fn begin(seat: &Seat, deed: PortDeed) -> Outcome {
    match deed {
        PortDeed::Tell => Outcome::Known(true),
        PortDeed::Configure(change) => {
            // Behind what was sent, which leaves by the settings it was sent for; but a line that
            // is stuck by its flow control is got going by another one.
            let drain = change.flow.is_none();
            Outcome::Task(seat.submit(seat.configure(change, drain)))
        }
        PortDeed::Move(change) => steps(seat, vec![step(change, Duration::ZERO)]),
        PortDeed::Break => {
            let brk = |on| Levels { brk: Some(on), ..Levels::default() };
            steps(seat, vec![step(brk(true), BREAK), step(brk(false), Duration::ZERO)])
        }
        PortDeed::Purge(purge) => {
            let writes = seat.is_writer();
            let output = (writes && purge != Purge::Input).then(|| seat.flush_output());
            // What the driver holds is everybody's: a seat that does not write skips what it has
            // not read, no more.
            let input = (writes && purge != Purge::Output).then(|| seat.flush_input());
            Outcome::Work(Box::pin(async move {
                if let Some(output) = output {
                    let _ = output.await;
                }
                if let Some(input) = input {
                    let _ = input.await;
                }
            }))
        }
    }
}

/// Moves lines as the recogniser of resets says.
pub(super) fn moved(seat: &Seat, moved: ResetMove) -> Outcome {
    match moved {
        ResetMove::Plain(change) => begin(seat, PortDeed::Move(change)),
        ResetMove::Held => Outcome::Known(true),
        ResetMove::Steps(all) if all.is_empty() => Outcome::Known(true),
        ResetMove::Steps(all) => steps(seat, all),
    }
}

fn steps(seat: &Seat, steps: Vec<Step>) -> Outcome {
    Outcome::Task(seat.submit(seat.signals(steps, None)))
}

fn step(change: Levels, hold: Duration) -> Step {
    Step { change, hold, at: None }
}
