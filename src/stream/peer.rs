//! How the peer's side of a connection stands, seen without reading.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What a peer has done with its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerSide {
    /// It may send.
    Open,
    /// It sends no more; what it has sent may be unread.
    Ended,
    /// The connection is over both ways.
    Gone,
}

impl PeerSide {
    /// Asks the kernel (poll(2)). Costs a system call.
    pub(super) fn of(socket: &impl AsFd) -> Self {
        let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
        let asked = poll(&mut polled, Some(&Timespec::default()));
        let [polled] = polled;
        let seen = polled.revents();
        if asked.is_err() || seen.intersects(PollFlags::HUP | PollFlags::ERR) {
            Self::Gone
        } else if seen.contains(PollFlags::RDHUP) {
            Self::Ended
        } else {
            Self::Open
        }
    }
}
