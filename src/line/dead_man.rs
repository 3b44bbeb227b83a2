//! What a line does when it has lost its writer: the endpoint's steps, once, behind what is left of
//! the queue and ahead of whoever writes next. What came of it is told.
//!
//! It is no safety function: a daemon that is killed, or a machine without power, does none of it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    LineHold, LineState, Shared, controls,
    input::CutPoint,
    output::SeatId,
    task::{Action, Task, TaskOutcome, Undone},
};
use crate::{
    auth::PrincipalId,
    config::{DEAD_MAN_TIME, DeadMan, DeadManStep, Endpoint},
    event::Event,
    settings::{Levels, Step},
    target::PortError,
};

/// How long a step may take beyond its own time before the line counts as stuck.
const WIRE_TIME: Duration = Duration::from_secs(2);

/// How long a device that is opened again is waited for.
const REOPENS: Duration = Duration::from_secs(2);

/// How long all of it may take when the line is let go of: the daemon stops within 6 s.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How a line loses its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Why, in a word.
    pub(crate) why: &'static str,
    pub(crate) how: Lost,
}

/// What is lost with a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its access is over, or it left without a word: the steps are done now.
    Access,
    /// Its connection, so long ago: it may come back within the time of `after`.
    Connection(Duration),
    /// The device itself, which may come back.
    Device,
}

/// What is owed to a line that has lost its writer.
#[derive(Clone, Debug)]
pub(super) struct Case {
    rule: DeadMan,
    /// Whom it has lost.
    who: PrincipalId,
    seat: SeatId,
    why: &'static str,
}

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    /// After so long, unless somebody else writes by then.
    After(Duration),
    /// When the device is back, unless somebody else writes by then.
    OnReturn,
    Never,
}

impl Case {
    pub(super) fn new(
        endpoint: &Endpoint,
        who: &PrincipalId,
        seat: SeatId,
        why: &'static str,
    ) -> Option<Self> {
        let rule = endpoint.dead_man.clone()?;
        Some(Self { rule, who: who.clone(), seat, why })
    }

    pub(super) fn when(&self, lost: Lost) -> When {
        match lost {
            Lost::Access => When::Now,
            Lost::Connection(for_) => {
                let left =
                    self.rule.after.map_or(Duration::ZERO, |after| after.saturating_sub(for_));
                if left.is_zero() { When::Now } else { When::After(left) }
            }
            Lost::Device if self.rule.on_return => When::OnReturn,
            Lost::Device => When::Never,
        }
    }

    fn tell(&self, shared: &Shared, done: usize, undone: Option<&str>) {
        shared.events.tell(Event::DeadMan {
            endpoint: &shared.name,
            who: &self.who,
            why: self.why,
            steps: (done, self.rule.steps.len()),
            undone,
        });
    }
}

/// A case that waits for the device, and where its steps are handed over once they are queued.
#[derive(Debug)]
pub(super) struct Returning {
    case: Case,
    queued: oneshot::Sender<Queued>,
}

/// Steps in the queue, with the seat they have there.
#[derive(Debug)]
pub(super) struct Queued {
    seat: SeatId,
    outcomes: Vec<TaskOutcome>,
}

impl Returning {
    /// The device is back: puts the steps into the queue before anybody else can.
    pub(super) fn queue(self, shared: &Shared) {
        // Nobody waits for them if the line was let go of meanwhile.
        self.queued.send(queue(shared, &self.case)).ok();
    }
}

/// Has a case carried out. What is to be done now is in the queue when this returns.
pub(super) fn begin(shared: &Arc<Shared>, life: &Arc<LineHold>, case: Case, when: When) {
    let is_up = shared.board.borrow().state == LineState::Up;
    let (queued, when) = match when {
        When::Never => return,
        When::Now if is_up => (Some(queue(shared, &case)), when),
        When::Now if case.rule.on_return => (None, When::OnReturn),
        When::Now => return case.tell(shared, 0, Some("the device is gone")),
        When::After(_) | When::OnReturn => (None, when),
    };
    shared.board.send_modify(|board| board.owed += 1);
    let (shared, life) = (Arc::clone(shared), Arc::clone(life));
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let queued = match (queued, when) {
            (Some(queued), _) => Ok(queued),
            (None, When::After(left)) => after(&shared, &case, left).await,
            (None, _) => returned(&shared, &case).await,
        };
        match queued {
            Ok(queued) => finish(&shared, &case, queued).await,
            Err(why) => case.tell(&shared, 0, Some(why)),
        }
        shared.board.send_modify(|board| board.owed = board.owed.saturating_sub(1));
        drop(life);
    });
}

/// Waits for the time to act; the error says why nothing is done.
async fn after(shared: &Arc<Shared>, case: &Case, left: Duration) -> Result<Queued, &'static str> {
    tokio::select! {
        () = sleep(left) => {}
        // It will not get any better by waiting.
        () = let_go(shared.endpoint.clone()) => {}
        () = replaced(shared, case.seat) => return Err(REPLACED),
    }
    if shared.callers.others_write(case.seat, &shared.board.borrow()) {
        return Err(REPLACED);
    }
    shared.cut_all(case.seat);
    let is_up = shared.board.borrow().state == LineState::Up;
    match (is_up, case.rule.on_return) {
        (true, _) => Ok(queue(shared, case)),
        (false, true) => returned(shared, case).await,
        (false, false) => Err("the device is gone"),
    }
}

const REPLACED: &str = "another session writes by now";

/// Waits for the device.
async fn returned(shared: &Arc<Shared>, case: &Case) -> Result<Queued, &'static str> {
    let (queued, receiver) = oneshot::channel();
    *shared.lock_returning() = Some(Returning { case: case.clone(), queued });
    // It may have come back just before that.
    if shared.board.borrow().state == LineState::Up
        && let Some(returning) = shared.lock_returning().take()
    {
        returning.queue(shared);
    }
    let why = tokio::select! {
        biased;
        queued = receiver => return queued.map_err(|_| "the device is gone"),
        () = let_go(shared.endpoint.clone()) => "the device is gone",
        () = replaced(shared, case.seat) => REPLACED,
    };
    shared.lock_returning().take();
    Err(why)
}

/// Ready when the line is to end.
async fn let_go(mut endpoint: watch::Receiver<Arc<Endpoint>>) {
    while endpoint.changed().await.is_ok() {}
}

/// Ready when somebody other than that seat holds the lease.
async fn replaced(shared: &Shared, seat: SeatId) {
    let mut board = shared.board.subscribe();
    let other = |holder: &super::Holder| holder.seat != seat;
    // The sender is in `shared`.
    let _ = board.wait_for(|board| board.lease.holder().is_some_and(other)).await;
}

/// Puts the steps into the queue, each followed by what says that it is done.
fn queue(shared: &Shared, case: &Case) -> Queued {
    let seat = shared.next_own_seat();
    shared.input.enter(seat);
    let mut outcomes = Vec::new();
    for step in &case.rule.steps {
        if let DeadManStep::Send(bytes) = step {
            shared.input.push_rest(seat, bytes);
        }
        let (task, outcome) = Task::new(action(shared, step, seat));
        shared.input.offer(seat, task);
        outcomes.push(outcome);
    }
    Queued { seat, outcomes }
}

/// What does a step, or waits for its bytes.
fn action(shared: &Shared, step: &DeadManStep, seat: SeatId) -> Action {
    let one = |change, hold| Step { change, hold, at: None };
    let brk = |on| Levels { brk: Some(on), ..Levels::default() };
    let settings = || shared.endpoint.borrow().target.settings();
    let steps = match step {
        DeadManStep::Send(_) => return Action::Drain,
        DeadManStep::Restore => match settings() {
            Some(settings) => return Action::Retune(settings),
            None => Vec::new(),
        },
        DeadManStep::Signals(levels) => vec![one(*levels, Duration::ZERO)],
        DeadManStep::Break(time) => vec![one(brk(true), *time), one(brk(false), Duration::ZERO)],
        DeadManStep::Wait(time) => vec![one(Levels::default(), *time)],
    };
    Action::Signals { steps, seat, by: None }
}

/// Waits for the steps, and tells what came of them. On a line that is stuck, bytes are given up and
/// the rest is done past the queue.
async fn finish(shared: &Arc<Shared>, case: &Case, Queued { seat, outcomes }: Queued) {
    let (mut done, mut undone, mut stuck) = (0, None, false);
    let mut until = Instant::now() + DEAD_MAN_TIME + WIRE_TIME;
    for (step, outcome) in case.rule.steps.iter().zip(outcomes) {
        let in_turn = if stuck { None } else { in_turn(shared, step, outcome, &mut until).await };
        let result = if let Some(result) = in_turn {
            result
        } else {
            if !stuck {
                stuck = true;
                give_up(shared, seat).await;
            }
            past_the_queue(shared, step, seat).await
        };
        match (result, step) {
            // A connection cannot say when its wire is idle.
            (Ok(()), _) | (Err(Undone::Port(PortError::Unsupported)), DeadManStep::Send(_)) => {
                done += 1;
            }
            (Err(why), _) => {
                undone.get_or_insert_with(|| format!("{}: {}", step.word(), reason(&why)));
            }
        }
    }
    shared.input.leave(seat);
    case.tell(shared, done, undone.as_deref());
}

/// Waits for a step in the queue; `None`: it takes too long. All of it has time until then, and less
/// once the line is let go of.
async fn in_turn(
    shared: &Shared,
    step: &DeadManStep,
    mut outcome: TaskOutcome,
    until: &mut Instant,
) -> Option<Result<(), Undone>> {
    let most = Instant::now() + step.time() + wire_time(shared, step) + WIRE_TIME;
    let ended = tokio::select! {
        biased;
        ended = timeout_at(most.min(*until), &mut outcome) => ended,
        () = let_go(shared.endpoint.clone()) => {
            *until = (*until).min(Instant::now() + STOP_WITHIN);
            timeout_at(most.min(*until), &mut outcome).await
        }
    };
    ended.ok().map(|outcome| outcome.unwrap_or(Err(Undone::Gone)))
}

/// How long a step's bytes need on the wire.
fn wire_time(shared: &Shared, step: &DeadManStep) -> Duration {
    let settings = shared.board.borrow().settings;
    match (step, settings) {
        (DeadManStep::Send(bytes), Some(settings)) => {
            settings.character() * u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        }
        _ => Duration::ZERO,
    }
}

/// Takes what is left out of the queue and the driver. A device that has to be opened again for that
/// is waited for: its DTR and RTS move as with every opening, and the other steps come after that.
async fn give_up(shared: &Arc<Shared>, seat: SeatId) {
    let mut board = shared.board.subscribe();
    shared.input.cut(seat, CutPoint::All);
    shared.input.hold();
    if controls::discard(shared, seat).await {
        let again = async {
            // The sender is in `shared`.
            let _ = board.wait_for(|board| board.state != LineState::Up).await;
            let _ = board.wait_for(|board| board.state == LineState::Up).await;
        };
        let _ = timeout(REOPENS, again).await;
    }
}

/// Does a step past the queue, as far as it can be done there.
async fn past_the_queue(shared: &Shared, step: &DeadManStep, seat: SeatId) -> Result<(), Undone> {
    match step {
        DeadManStep::Wait(_) => return Ok(()),
        DeadManStep::Send(_) => return Err(Undone::Timeout),
        DeadManStep::Signals(_) | DeadManStep::Break(_) | DeadManStep::Restore => {}
    }
    let Some(port) = shared.port() else { return Err(Undone::Gone) };
    let (task, outcome) = Task::new(action(shared, step, seat));
    controls::perform_now(shared, task, &port).await;
    outcome.await.unwrap_or(Err(Undone::Gone))
}

/// Why a step was not done.
fn reason(undone: &Undone) -> String {
    match undone {
        Undone::Port(error) => error.to_string(),
        Undone::Timeout => "the line accepts no data".into(),
        Undone::Gone => "the device is gone".into(),
        Undone::Full | Undone::TooLong | Undone::Taken => "not in time".into(),
    }
}
