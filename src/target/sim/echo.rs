//! A device that sends back what it gets, byte for byte.

use std::time::Duration;

use bytes::BytesMut;

use super::drive::SimulatedDevice;

/// Sends back what it gets.
pub(super) struct Echo;

impl SimulatedDevice for Echo {
    fn input(&mut self, _now: Duration, bytes: &[u8], out: &mut BytesMut) {
        out.extend_from_slice(bytes);
    }
}
