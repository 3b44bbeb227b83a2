//! What a client asks for: leads each message to what it does.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::super::{describe::describe, drain::Linger, link::Link, live::Live, packing::Packets};
use super::{
    Busy, ControlSession, Setup,
    answers::RequestOutcome,
    opening::{close, movable, open, resume},
    refused::{Refused as _, no_lease},
    tell,
};
use crate::{
    config::Rights,
    line::{Action, Reason, Undone, WINDOW},
    wire::{
        close::Ended,
        control::{self, Answer, Ask, Code, Failure, Hello, LeaseOp, Signals, Tell, When, parse},
    },
};

/// How late a drain may be answered.
const DRAIN_LATE: Duration = Duration::from_secs(2);

/// How long a lease's holder has to answer a request for it.
const LEASE_ANSWER_TIME: Duration = Duration::from_secs(30);

impl ControlSession<'_> {
    pub(super) fn hello(&self) -> Tell {
        let setup = &self.setup;
        let board = setup.lines.board(&setup.endpoint.name);
        let endpoint = describe(
            &setup.endpoint,
            setup.who.rights,
            board.as_ref().map(|board| board.borrow().clone()).as_ref(),
        );
        Tell::Hello(Hello {
            v: 1,
            server: concat!("wsbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
            endpoint: Some(endpoint),
            endpoints: None,
            window: u32::try_from(WINDOW).unwrap_or(u32::MAX),
            heartbeat: (setup.dead_after / 3).as_secs().max(1),
            resume: setup.resume.as_secs(),
        })
    }

    /// Handles a text frame from the client.
    pub(super) fn message(&mut self, link: &mut Link, text: &[u8]) {
        let request = match parse(text) {
            Ok(request) => request,
            Err(why) => return link.end(Ended::BadMessage(why)),
        };
        let id = request.id;
        let result = match request.ask {
            Err(failure) => Err(failure),
            Ok(Ask::Open(ask)) => {
                let socket = self.session.entry.number;
                self.begin(link, |setup| Box::pin(open(setup, id, ask, socket)));
                Ok(())
            }
            Ok(Ask::Resume(ask)) => {
                self.begin(link, |setup| Box::pin(resume(setup, id, ask)));
                Ok(())
            }
            Ok(Ask::Close(ask)) => {
                let live = self.forget_live();
                if !ask.drain {
                    self.fail_waiting(link);
                }
                // A drain that was asked for just before is finished first: otherwise the seat's
                // leaving would end it.
                let linger = self.linger();
                let linger = Linger { still: linger.still + DRAIN_LATE, ..linger };
                self.busy = Some(Box::pin(close(live, id, ask.drain.then_some(linger))));
                Ok(())
            }
            Ok(Ask::Ping) => {
                tell(link, &Tell::Pong { re: id });
                Ok(())
            }
            Ok(ask) => self.ask(link, id, ask),
        };
        if let Err(failure) = result {
            fail(link, id, self.explained(failure));
        }
    }

    /// Ends the previous session and begins a new one.
    fn begin(&mut self, link: &mut Link, work: impl FnOnce(Arc<Setup>) -> Busy) {
        if let Some(live) = self.forget_live() {
            live.discard();
        }
        self.fail_waiting(link);
        link.clock.lift();
        self.busy = Some(work(Arc::clone(&self.setup)));
    }

    /// Every request gets an answer: those still waiting when their session ends get this one.
    pub(super) fn fail_waiting(&mut self, link: &mut Link) {
        for id in self.answers.abandon() {
            fail(
                link,
                id,
                Failure::new(Code::SessionGone, "the session was closed before this was done"),
            );
        }
    }

    fn forget_live(&mut self) -> Option<Live> {
        self.change = None;
        self.packets = None;
        self.take_live()
    }

    /// Handles what needs an open session.
    fn ask(&mut self, link: &mut Link, id: Option<u64>, ask: Ask) -> Result<(), Failure> {
        let Some(live) = &mut self.live else {
            return Err(Failure::new(Code::NotOpen, "say `open` first"));
        };
        let rights = live.seat.who().rights;
        if !matches!(ask, Ask::Ack(_) | Ask::Lease(_)) {
            self.answers.room()?;
        }
        match ask {
            Ask::Ack(ack) => {
                live.acked = live.acked.max(ack.rx.min(live.at));
                live.seat.done_reading(live.acked);
                Ok(())
            }
            Ask::Config(ask) => {
                writer(live, rights, Rights::SETTINGS)?;
                let task = live.seat.configure(ask.change, ask.when == When::Drain && !ask.now);
                self.do_task(id, ask.now, task)
            }
            Ask::Signals(ask) => self.signals(id, ask, None, rights),
            Ask::Macro(ask) => {
                let steps =
                    live.seat.endpoint().macros.get(&ask.name).cloned().ok_or_else(|| {
                        Failure::new(
                            Code::Unsupported,
                            format!("this endpoint has no macro `{}`", ask.name),
                        )
                    })?;
                self.signals(id, Signals { steps, now: false }, Some(ask.name), rights)
            }
            Ask::Drain => {
                let tx = live.seat.progress().taken;
                let drained = live.seat.drain();
                self.answers.wait(id, async move {
                    done(Ok(drained.await), Answer { tx: Some(tx), ..Answer::default() })
                })
            }
            Ask::Flush(ask) => self.flush(id, ask),
            Ask::Get => self.get(id),
            Ask::Lease(ask) => self.lease(link, id, ask.op, rights),
            Ask::Watch(_) => Err(Failure::new(Code::Unsupported, "the bus, `/ws/`, tells rates")),
            Ask::Open(_) | Ask::Resume(_) | Ask::Close(_) | Ask::Ping => Ok(()),
        }
    }

    fn signals(
        &mut self,
        id: Option<u64>,
        ask: Signals,
        name: Option<String>,
        rights: Rights,
    ) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        writer(live, rights, Rights::SIGNALS)?;
        let caps = live.board.borrow().caps;
        let changes: Vec<_> = ask.steps.iter().map(|step| step.change).collect();
        movable(caps, &changes)?;
        let task = live.seat.signals(ask.steps, name);
        self.do_task(id, ask.now, task)
    }

    /// Puts a task into the queue, or past it.
    fn do_task(&mut self, id: Option<u64>, now: bool, what: Action) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        live.used = Instant::now();
        let outcome = if now { live.seat.do_now(what) } else { live.seat.submit(what) };
        self.answers.wait(id, async move { done(outcome.await, Answer::default()) })
    }

    fn flush(&mut self, id: Option<u64>, ask: control::Flush) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        if ask.tx {
            writer(live, live.seat.who().rights, Rights::WRITE)?;
        }
        let output = ask.tx.then(|| live.seat.flush_output());
        // What the driver holds belongs to everybody: a seat that does not write only skips what it
        // has not read.
        let writes = live.seat.is_writer();
        let input = ask.rx.then(|| writes.then(|| live.seat.flush_input()));
        self.answers.wait(id, async move {
            let kept = match output {
                None => None,
                Some(output) => match output.await {
                    Ok(flushed) => Some(flushed.kept as u64).filter(|kept| *kept > 0),
                    Err(undone) => return RequestOutcome::Failed(undone.failure()),
                },
            };
            let answer = Answer { bytes: kept, ..Answer::default() };
            match input {
                None => RequestOutcome::Ok(answer),
                Some(None) => RequestOutcome::Flushed(answer),
                Some(Some(input)) => match input.await {
                    Ok(()) => RequestOutcome::Flushed(answer),
                    Err(error) => RequestOutcome::Failed(error.failure()),
                },
            }
        })
    }

    fn get(&mut self, id: Option<u64>) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let (look, outputs) = (live.seat.look(), live.seat.outputs());
        let (rx, tx) = (Some(live.at), Some(live.seat.progress().taken));
        self.answers.wait(id, async move {
            let (config, signals, counters) = look.await;
            RequestOutcome::Ok(Answer {
                rx,
                tx,
                config,
                signals,
                outputs: Some(outputs),
                counters,
                bytes: None,
            })
        })
    }

    fn lease(
        &mut self,
        link: &mut Link,
        id: Option<u64>,
        op: LeaseOp,
        rights: Rights,
    ) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let wants = matches!(op, LeaseOp::Request | LeaseOp::Claim | LeaseOp::Take);
        if wants && !rights.allows(Rights::WRITE) {
            return Err(Failure::new(Code::Denied, "you may not write to this endpoint"));
        }
        let result = match op {
            LeaseOp::Request => {
                live.asked = Some(Instant::now());
                live.seat.request()
            }
            LeaseOp::Claim if live.seat.claim().is_err() => {
                live.used = Instant::now();
                return self.supersede(id);
            }
            LeaseOp::Claim => Ok(()),
            LeaseOp::Take if !rights.allows(Rights::TAKEOVER) && !live.seat.is_held_by_own() => {
                return Err(Failure::new(
                    Code::Denied,
                    "you may not take the lease from its holder",
                ));
            }
            LeaseOp::Take => {
                live.seat.take();
                Ok(())
            }
            LeaseOp::Release => {
                live.seat.release(Reason::Released);
                Ok(())
            }
            LeaseOp::Grant => live.seat.answer(true),
            LeaseOp::Deny => live.seat.answer(false),
        };
        live.used = Instant::now();
        result.map_err(|no| no_lease(&no, live.seat.who()))?;
        answer(link, id, Answer::default());
        // Where everyone may write, the board does not change.
        self.news(link);
        Ok(())
    }

    /// Takes the lease from a session of the same user, if that is gone.
    fn supersede(&mut self, id: Option<u64>) -> Result<(), Failure> {
        self.answers.room()?;
        let Some(live) = &self.live else { return Ok(()) };
        let (claimed, who) = (live.seat.supersede(), live.seat.who().clone());
        self.answers.wait(id, async move {
            match claimed.await {
                Ok(()) => RequestOutcome::Ok(Answer::default()),
                Err(no) => RequestOutcome::Failed(no_lease(&no, &who)),
            }
        })
    }

    /// Passes on answers that have come.
    pub(super) fn poll_answers(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
        let (id, outcome) = ready!(self.answers.poll(cx));
        match outcome {
            RequestOutcome::Ok(done) => answer(link, id, done),
            RequestOutcome::Failed(failure) => fail(link, id, failure),
            RequestOutcome::Flushed(done) => {
                // What is held was received before, so it is discarded with the rest.
                self.packets.as_mut().and_then(Packets::rest);
                let rx = self.live.as_mut().map(|live| {
                    live.at = live.seat.seek(live.seat.end());
                    live.acked = live.at;
                    live.at
                });
                answer(link, id, Answer { rx, ..done });
            }
        }
        Poll::Ready(())
    }

    /// Watches the time limits of a lease: a request that is not answered, a holder that sends
    /// nothing.
    pub(super) fn poll_lease(&mut self, cx: &mut Context<'_>) {
        let Some(live) = &mut self.live else { return };
        let asked =
            live.asked.filter(|_| live.seat.is_asking()).map(|asked| asked + LEASE_ANSWER_TIME);
        let idle =
            live.seat.endpoint().lease_idle.filter(|_| live.holds()).map(|idle| live.used + idle);
        let Some(due) = asked.into_iter().chain(idle).min() else {
            self.timer = None;
            return;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_ready() {
            if asked == Some(due) {
                live.asked = None;
                live.seat.withdraw();
            } else {
                live.seat.release(Reason::Expired);
            }
            self.timer = None;
        }
    }
}

/// Reports that a request cannot be done.
pub(super) fn fail(link: &mut Link, id: Option<u64>, failure: Failure) {
    fail_bytes(link, id, failure, None);
}

/// Reports that a request cannot be done, and that so many bytes were not sent for it.
pub(super) fn fail_bytes(link: &mut Link, id: Option<u64>, failure: Failure, bytes: Option<u64>) {
    if let Some(re) = id {
        let Failure { code, message } = failure;
        tell(link, &Tell::Error { re: Some(re), code, message, bytes });
    }
}

/// Reports that a request is done.
pub(super) fn answer(link: &mut Link, id: Option<u64>, answer: Answer) {
    if let Some(re) = id {
        tell(link, &Tell::Ok { re, answer });
    }
}

/// Allows only the writer, and only with the right.
fn writer(live: &Live, has: Rights, needs: Rights) -> Result<(), Failure> {
    if !live.seat.is_writer() {
        return Err(Failure::new(Code::NotWriter, "you do not hold the lease"));
    }
    if !has.allows(needs) {
        return Err(Failure::new(
            Code::Denied,
            format!("you have no right to: {}", needs.words().join(", ")),
        ));
    }
    Ok(())
}

fn done(
    outcome: Result<Result<(), Undone>, oneshot::error::RecvError>,
    answer: Answer,
) -> RequestOutcome {
    match outcome.unwrap_or(Err(Undone::Gone)) {
        Ok(()) => RequestOutcome::Ok(answer),
        Err(undone) => RequestOutcome::Failed(undone.failure()),
    }
}
