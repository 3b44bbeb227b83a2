//! A door that is a device node: the device's bytes as they are, and the speed that a tool sets.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    Raw, Words,
    orders::{self, Outcome},
};
use crate::{
    config::Rights,
    line::{Board, LineState, Seat},
    pty::Visit,
    session::{Far, upstream::Upstream},
    wire::{
        close::Ended,
        control::SettingsChange,
        telnet::{PortDeed, comport::Purge},
    },
};

/// How often a node's speed is looked at: a tool that clears all local modes is not reported to us
/// any more.
const LOOK: Duration = Duration::from_millis(250);

/// What passes at such a door.
pub(crate) struct DeviceNode {
    raw: Raw,
    visit: Arc<Visit>,
    board: watch::Receiver<Board>,
    /// Resolves with the next change of the board.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// `None` where a speed is ignored anyway.
    look: Option<Interval>,
    /// The node's speed, as last looked at.
    speed: Option<u32>,
    /// What the tool has set it to, and the line does not have.
    wanted: Option<u32>,
    /// A change that is with the line.
    doing: Option<(u32, Outcome)>,
    /// A speed that was not set was told of.
    told: bool,
}

impl fmt::Debug for DeviceNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceNode").field("visit", &self.visit).finish_non_exhaustive()
    }
}

impl DeviceNode {
    /// Of a seat that a tool at a node has.
    pub(crate) fn new(seat: &Seat, visit: Arc<Visit>) -> Self {
        let look = seat.who().rights.allows(Rights::SETTINGS).then(|| {
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        Self {
            raw: Raw::default(),
            speed: visit.found_speed(),
            visit,
            board: seat.board(),
            change: None,
            look,
            wanted: None,
            doing: None,
            told: false,
        }
    }

    /// Notes a speed that the tool has set. A line without settings has none to compare with.
    fn look(&mut self, cx: &mut Context<'_>) {
        let due = self.visit.has_set_modes();
        let ticked = self.look.as_mut().is_some_and(|look| {
            // Polled once more it wakes us again.
            look.poll_tick(cx).is_ready() && look.poll_tick(cx).is_pending()
        });
        if (due || ticked)
            && let Ok(speed) = self.visit.master().speed()
        {
            // 0 drops DTR, which a pty does not have.
            if speed != 0 && self.speed.is_some_and(|seen| seen != speed) {
                self.wanted = Some(speed);
            }
            self.speed = self.speed.map(|_| speed);
        }
        let of_line = self.of_line();
        self.wanted.take_if(|wanted| of_line == Some(*wanted));
    }

    /// The line's speed; `None` of a line without settings.
    fn of_line(&self) -> Option<u32> {
        self.board.borrow().settings.map(|settings| settings.baud)
    }

    /// Passes on a speed that the tool has set, as a settings request of its own. Ready when that
    /// came to something.
    fn poll_speed(&mut self, cx: &mut Context<'_>, up: &mut Upstream<Seat>) -> Poll<()> {
        if let Some((speed, outcome)) = &mut self.doing {
            let Poll::Ready(done) = outcome.poll(cx) else { return Poll::Pending };
            if !done {
                let why = format!("the speed {speed} was refused, the line keeps its own");
                self.tell(&up.far, &why);
            }
            self.doing = None;
            return Poll::Ready(());
        }
        let Some(speed) = self.wanted else { return Poll::Pending };
        if !up.far.who().rights.allows(Rights::SETTINGS) {
            self.tell(
                &up.far,
                "the tool sets the speed, and the door does not lend `settings`: ignored",
            );
        } else if self.board.borrow().state != LineState::Up || !up.is_level() {
            // What was sent before goes before; a device that comes back has its own speed.
            return Poll::Pending;
        } else {
            match Far::poll_claim(&mut up.far, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(ended)) => {
                    self.tell(&up.far, &format!("the tool sets the speed, and may not: {ended}"));
                }
                Poll::Ready(Ok(())) => {
                    let change = SettingsChange { baud: Some(speed), ..SettingsChange::default() };
                    self.doing = Some((speed, orders::begin(&up.far, PortDeed::Configure(change))));
                }
            }
        }
        self.wanted = None;
        Poll::Ready(())
    }

    /// Once a visit: tools set their speed again and again.
    fn tell(&mut self, seat: &Seat, what: &str) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::info!(endpoint = seat.endpoint().name, "device node: {what}");
        }
    }

    /// The node has the line's speed, whoever sets that.
    fn follow(&mut self, cx: &mut Context<'_>) {
        loop {
            if let Some(change) = &mut self.change
                && change.as_mut().poll(cx).is_pending()
            {
                return;
            }
            let settings = self.board.borrow_and_update().settings;
            if let Some(baud) = settings.map(|settings| settings.baud)
                && self.wanted.is_none()
                && self.doing.is_none()
                && self.speed != Some(baud)
                && self.visit.master().set_speed(baud).is_ok()
            {
                self.speed = Some(baud);
            }
            let mut board = self.board.clone();
            // The sender lives as long as the seat.
            self.change = Some(Box::pin(async move { board.changed().await.unwrap_or(()) }));
        }
    }
}

impl Words<Seat> for DeviceNode {
    fn heard(&mut self, cx: &mut Context<'_>, up: &mut Upstream<Seat>, bytes: &[u8]) {
        self.raw.heard(cx, up, bytes);
    }

    fn listens(&self, up: &Upstream<Seat>) -> bool {
        self.wanted.is_none() && self.raw.listens(up)
    }

    fn is_through(&self) -> bool {
        Words::<Seat>::is_through(&self.raw)
    }

    fn poll_asks(&mut self, cx: &mut Context<'_>, up: &Upstream<Seat>) -> Poll<()> {
        self.look(cx);
        let asks = self.wanted.is_some() && up.far.who().rights.allows(Rights::SETTINGS);
        if asks { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_on(&mut self, cx: &mut Context<'_>, up: &mut Upstream<Seat>) -> Poll<Option<Ended>> {
        self.look(cx);
        self.follow(cx);
        if self.visit.has_flushed_output() && up.far.is_writer() {
            drop(orders::begin(&up.far, PortDeed::Purge(Purge::Output)));
        }
        let passed = self.poll_speed(cx, up).map(|()| None);
        if passed.is_ready() { passed } else { self.raw.poll_on(cx, up) }
    }

    fn say(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        Words::<Seat>::say(&mut self.raw, bytes, out);
    }

    fn skips(&mut self, up: &mut Upstream<Seat>) -> bool {
        let skips = self.visit.has_flushed_input();
        if skips {
            up.far.seek(up.far.end());
        }
        skips
    }

    fn poll_say(
        &mut self,
        _cx: &mut Context<'_>,
        _up: &mut Upstream<Seat>,
        _out: &mut Vec<u8>,
    ) -> Poll<()> {
        Poll::Pending
    }

    fn farewell(&mut self, _ended: &Ended, _out: &mut Vec<u8>) {}

    fn forget(&mut self) -> usize {
        Words::<Seat>::forget(&mut self.raw)
    }
}
