//! Bytes on their way to a device, and their record: before them where one is required, and
//! otherwise after them.

use std::task::{Context, Poll, ready};

use super::{piece::Kind, tap::Tap};

/// Bytes that wait together for their record, where they have no borders.
const FIRST_MAX: usize = 4096;

/// What was recorded and has not gone yet.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    bytes: Vec<u8>,
    /// The number to wait for.
    number: u64,
}

impl Ahead {
    /// How many of these bytes may go to the device now; pending until their record is written.
    /// `whole`: they are a datagram.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (tap, stream): (&Tap, u32),
        (bytes, whole): (&[u8], bool),
    ) -> Poll<usize> {
        if !tap.is_required() {
            self.bytes.clear();
            return Poll::Ready(bytes.len());
        }
        let most = if whole { bytes.len() } else { bytes.len().min(FIRST_MAX) };
        if most == 0 {
            return Poll::Ready(0);
        }
        loop {
            let length = self.bytes.len().min(bytes.len());
            if length > 0 && self.bytes.starts_with(bytes.split_at(length).0) {
                if ready!(tap.poll_written(self.number, cx)) {
                    return Poll::Ready(length);
                }
                // It was given up: it is recorded anew when that is possible.
                self.bytes.clear();
            } else if !self.bytes.is_empty() {
                // They were discarded meanwhile, or their sender has left.
                let gone = format!("not sent: the last {} bytes before", self.bytes.len());
                tap.tell(stream, Kind::Note, gone.as_bytes());
                self.bytes.clear();
            }
            ready!(tap.poll_able(cx));
            let (first, _) = bytes.split_at(most);
            self.number = tap.tell_first(stream, first);
            self.bytes.extend_from_slice(first);
        }
    }

    /// These bytes went to the device.
    pub(crate) fn sent(&mut self, (tap, stream): (&Tap, u32), bytes: &[u8]) {
        if self.bytes.is_empty() {
            tap.tell(stream, Kind::ToDevice, bytes);
        } else {
            self.bytes.drain(..bytes.len().min(self.bytes.len()));
        }
    }
}
