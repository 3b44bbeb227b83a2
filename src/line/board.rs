//! A line's notice board: what everyone on it may know, as of now.
//!
//! One watch channel carries it. A slow reader sees the latest state instead of each step to it, so
//! it needs no queue and misses nothing that still matters.

use std::{collections::BTreeSet, time::SystemTime};

use super::{lease::Lease, output::SeatId};
use crate::{
    config::Share,
    settings::{Inputs, Levels, Settings, UsbId},
    target::{Caps, OpenError},
};

/// A line's state, for lists, metrics and anyone who wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    /// Nobody needs it (`open: on-demand`).
    Closed,
    /// Being opened.
    Opening,
    /// Open.
    Up,
    /// Not there, and why. We keep trying.
    Down(OpenError),
}

impl LineState {
    /// The word for this state in lists and metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opening => "opening",
            Self::Up => "up",
            Self::Down(_) => "down",
        }
    }

    /// Whether the device can be used, or why not; `None` while that is still open.
    pub(crate) fn settled(&self) -> Option<Result<(), OpenError>> {
        match self {
            Self::Up => Some(Ok(())),
            Self::Down(why) => Some(Err(why.clone())),
            Self::Closed | Self::Opening => None,
        }
    }
}

/// What everyone on a line may know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Board {
    /// The state of the device.
    pub state: LineState,
    /// When that state began.
    pub since: SystemTime,
    /// Whether it has ever been open.
    pub was_up: bool,
    /// Where the tape ended when the state last changed.
    pub at: u64,
    /// How the line is shared.
    pub share: Share,
    /// What the port can do.
    pub caps: Caps,
    /// USB vendor and product number of the adapter.
    pub usb: Option<UsbId>,
    /// The current settings; `None` on a line without any.
    pub settings: Option<Settings>,
    /// Who changed them last; `None` if they are as configured.
    pub settings_by: Option<String>,
    /// DTR, RTS and break as a client last drove them.
    pub outputs: Levels,
    /// The seat that began the break, if a seat did.
    pub(super) breaker: Option<SeatId>,
    /// CTS, DSR, DCD and RI, while somebody wants to know them.
    pub inputs: Option<Inputs>,
    /// The right to write.
    pub lease: Lease,
    /// The last seat has left, and the device has yet to be released.
    pub(super) vacated: bool,
    /// Seats whose client is gone while their principal goes on at another.
    pub(super) ghosts: BTreeSet<SeatId>,
    /// How much is owed to the device, which stays open for it.
    pub(super) owed: usize,
    /// Seats taken.
    pub seats: usize,
    /// How many of these want to hear about modem lines.
    pub listeners: usize,
}

impl Board {
    pub(super) fn new(share: Share) -> Self {
        Self {
            state: LineState::Closed,
            since: SystemTime::now(),
            was_up: false,
            at: 0,
            share,
            caps: Caps::default(),
            usb: None,
            settings: None,
            settings_by: None,
            outputs: Levels::default(),
            breaker: None,
            inputs: None,
            lease: Lease::default(),
            vacated: false,
            ghosts: BTreeSet::new(),
            owed: 0,
            seats: 0,
            listeners: 0,
        }
    }

    /// Seats that do not hold the lease.
    pub(crate) fn observers(&self) -> usize {
        self.seats - usize::from(self.lease.holder().is_some()).min(self.seats)
    }

    /// Notes that the last seat has left. Returns whether there is a device to release now;
    /// otherwise that happens when it is back.
    pub(super) fn vacate(&mut self) -> bool {
        self.vacated = true;
        if self.state != LineState::Up {
            self.forget();
        }
        self.state == LineState::Up
    }

    /// Forgets what clients had changed: whoever comes now had no part in it.
    pub(super) fn forget(&mut self) {
        self.settings_by = None;
        self.outputs = Levels::default();
    }

    /// Whether this seat holds the line in a break.
    pub(super) fn breaks(&self, seat: SeatId) -> bool {
        self.outputs.brk == Some(true) && self.breaker == Some(seat)
    }

    /// Remembers what a client last drove.
    pub(super) fn drove(&mut self, change: Levels, by: SeatId) {
        if change.brk.is_some() {
            self.breaker = Some(by);
        }
        self.outputs.dtr = change.dtr.or(self.outputs.dtr);
        self.outputs.rts = change.rts.or(self.outputs.rts);
        self.outputs.brk = change.brk.or(self.outputs.brk);
    }
}

/// A time as `wsbridge.v1` writes it: RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(seconds).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
