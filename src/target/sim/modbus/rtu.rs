//! Modbus RTU framing (MODBUS over Serial Line V1.02, section 2.5): address, function, data, CRC16.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;

use super::{super::drive::SimulatedDevice, Model};
use crate::wire::modbus::crc16;

/// The unit that answers; address 0 is the broadcast, which everybody obeys and nobody answers.
const UNIT_ADDRESS: u8 = 1;

/// Shortest and longest frame: address, function, CRC.
const FRAME_LENGTHS: std::ops::RangeInclusive<usize> = 4..=256;

/// The silence that ends a frame. On a wire it is 3.5 characters (4 ms at 9600 baud); across a
/// network, where the bytes of a frame may arrive apart, it has to be more.
const SILENCE: Duration = Duration::from_millis(50);

/// A slave on a serial line.
pub(in super::super) struct Slave {
    model: Arc<Mutex<Model>>,
    frame: Vec<u8>,
    heard: Duration,
    /// A broken frame is passing: nothing counts until there is silence.
    deaf: bool,
}

impl Slave {
    /// A slave with this data.
    pub(in super::super) fn new(model: Arc<Mutex<Model>>) -> Self {
        Self { model, frame: Vec::new(), heard: Duration::ZERO, deaf: false }
    }

    /// A frame is complete: checks and answers it. `false` if its checksum is wrong.
    fn answer(&mut self, now: Duration, out: &mut BytesMut) -> bool {
        let frame = std::mem::take(&mut self.frame);
        let Some((body, [low, high])) = frame.split_last_chunk::<2>() else { return false };
        if crc16(body) != u16::from_le_bytes([*low, *high]) {
            return false;
        }
        if let Some((unit @ (0 | &UNIT_ADDRESS), request)) = body.split_first() {
            let answer =
                self.model.lock().unwrap_or_else(PoisonError::into_inner).answer(now, request);
            if *unit == UNIT_ADDRESS {
                let framed = [&[UNIT_ADDRESS], &*answer].concat();
                out.extend_from_slice(&framed);
                out.extend_from_slice(&crc16(&framed).to_le_bytes());
            }
        }
        true
    }
}

impl SimulatedDevice for Slave {
    fn input(&mut self, now: Duration, bytes: &[u8], out: &mut BytesMut) {
        self.heard = now;
        for byte in bytes {
            if self.deaf {
                return;
            }
            self.frame.push(*byte);
            if length(&self.frame) == Some(self.frame.len())
                || self.frame.len() == *FRAME_LENGTHS.end()
            {
                self.deaf = !self.answer(now, out);
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        (self.deaf || !self.frame.is_empty()).then(|| self.heard + SILENCE)
    }

    fn tick(&mut self, now: Duration, out: &mut BytesMut) {
        if now >= self.heard + SILENCE {
            // A function of unknown length ends here, and is answered with exception 1.
            if FRAME_LENGTHS.contains(&self.frame.len()) {
                self.answer(now, out);
            }
            self.frame.clear();
            self.deaf = false;
        }
    }
}

/// The whole length of a request, once its first bytes tell; `None` while they do not, or if the
/// function is unknown.
fn length(frame: &[u8]) -> Option<usize> {
    match frame.get(1)? {
        1..=6 => Some(8),
        15 | 16 => frame.get(6).map(|count| 9 + usize::from(*count)),
        43 => Some(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slave() -> Slave {
        Slave::new(Arc::default())
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc16(body).to_le_bytes()].concat()
    }

    fn send(slave: &mut Slave, now_ms: u64, bytes: &[u8]) -> Vec<u8> {
        let (mut out, now) = (BytesMut::new(), Duration::from_millis(now_ms));
        if slave.deadline().is_some_and(|due| due <= now) {
            slave.tick(now, &mut out);
        }
        slave.input(now, bytes, &mut out);
        out.to_vec()
    }

    #[test]
    fn the_checksum_is_the_one_of_the_specification() {
        // Section 6.2.2's example: 02 07 gives 41 12.
        assert_eq!(framed(&[2, 7]), [2, 7, 0x41, 0x12]);
    }

    #[test]
    fn a_request_is_answered_when_its_last_byte_comes() {
        let mut slave = slave();
        let request = framed(&[1, 3, 0, 2, 0, 1]);
        for byte in &request[..7] {
            assert_eq!(send(&mut slave, 0, &[*byte]), b"");
        }
        assert_eq!(send(&mut slave, 0, &request[7..]), framed(&[1, 3, 2, 0, 200]));
    }

    #[test]
    fn requests_sent_together_are_each_answered() {
        let two = [framed(&[1, 3, 0, 2, 0, 1]), framed(&[1, 16, 0, 2, 0, 1, 2, 0, 7])].concat();
        let answers = [framed(&[1, 3, 2, 0, 200]), framed(&[1, 16, 0, 2, 0, 1])].concat();
        assert_eq!(send(&mut slave(), 0, &two), answers);
    }

    #[test]
    fn other_units_are_not_answered_and_a_broadcast_is_obeyed_in_silence() {
        let mut slave = slave();
        assert_eq!(send(&mut slave, 0, &framed(&[9, 3, 0, 2, 0, 1])), b"");
        assert_eq!(send(&mut slave, 0, &framed(&[0, 6, 0, 2, 0, 9])), b"");
        assert_eq!(send(&mut slave, 0, &framed(&[1, 3, 0, 2, 0, 1])), framed(&[1, 3, 2, 0, 9]));
    }

    #[test]
    fn a_wrong_checksum_is_ignored_and_the_next_frame_after_silence_is_answered() {
        let mut slave = slave();
        assert_eq!(send(&mut slave, 0, &[1, 3, 0, 2, 0, 1, 0, 0]), b"");
        assert_eq!(send(&mut slave, 10, &framed(&[1, 3, 0, 2, 0, 1])), b"");
        assert_eq!(send(&mut slave, 70, &framed(&[1, 3, 0, 2, 0, 1])), framed(&[1, 3, 2, 0, 200]));
    }

    #[test]
    fn half_a_frame_is_forgotten_after_silence() {
        let mut slave = slave();
        assert_eq!(send(&mut slave, 0, &[1, 3, 0]), b"");
        assert_eq!(send(&mut slave, 60, &framed(&[1, 3, 0, 2, 0, 1])), framed(&[1, 3, 2, 0, 200]));
    }

    #[test]
    fn an_unknown_function_is_refused_after_silence() {
        let mut slave = slave();
        assert_eq!(send(&mut slave, 0, &framed(&[1, 99, 5])), b"");
        assert_eq!(send(&mut slave, 60, &[]), framed(&[1, 0x80 | 0x63, 1]));
    }

    proptest::proptest! {
        #[test]
        fn hostile_input_leaves_a_bounded_frame(chunks: Vec<Vec<u8>>) {
            let mut slave = slave();
            for chunk in chunks {
                send(&mut slave, 0, &chunk);
                assert!(slave.frame.len() < *FRAME_LENGTHS.end());
            }
        }
    }
}
