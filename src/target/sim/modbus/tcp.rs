//! Modbus TCP framing (MODBUS Messaging on TCP/IP V1.0b, section 3.1): the MBAP header.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Buf, BytesMut};

use super::{super::drive::SimulatedDevice, Model};

/// Transaction, protocol (0), length of what follows; after these, the unit.
const HEADER: usize = 6;

/// The length of what follows the header: a unit, and a request of 1 to 253 bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 2..=254;

/// One connection to a server.
pub(in super::super) struct Server {
    model: Arc<Mutex<Model>>,
    pending: BytesMut,
    broken: bool,
}

impl Server {
    /// A connection to a server with this data.
    pub(in super::super) fn new(model: Arc<Mutex<Model>>) -> Self {
        Self { model, pending: BytesMut::new(), broken: false }
    }

    /// Answers the first request in `pending`; `false` if none is complete.
    fn next(&mut self, now: Duration, out: &mut BytesMut) -> bool {
        let Some([t0, t1, p0, p1, l0, l1]) = self.pending.first_chunk::<HEADER>().copied() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if (p0, p1) != (0, 0) || !LENGTH.contains(&length) {
            // There is no telling where the next request begins: hang up.
            self.broken = true;
            return false;
        }
        if self.pending.len() < HEADER + length {
            return false;
        }
        self.pending.advance(HEADER);
        let message = self.pending.split_to(length);
        if let Some((unit, request)) = message.split_first() {
            let answer =
                self.model.lock().unwrap_or_else(PoisonError::into_inner).answer(now, request);
            let [l0, l1] = u16::try_from(1 + answer.len()).unwrap_or_default().to_be_bytes();
            out.extend_from_slice(&[t0, t1, 0, 0, l0, l1, *unit]);
            out.extend_from_slice(&answer);
        }
        true
    }
}

impl SimulatedDevice for Server {
    fn input(&mut self, now: Duration, bytes: &[u8], out: &mut BytesMut) {
        self.pending.extend_from_slice(bytes);
        while !self.broken && self.next(now, out) {}
    }

    fn ended(&self) -> bool {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[u8] = &[0xAB, 0xCD, 0, 0, 0, 6, 7, 3, 0, 2, 0, 1];
    const ANSWER: &[u8] = &[0xAB, 0xCD, 0, 0, 0, 5, 7, 3, 2, 0, 200];

    fn send(server: &mut Server, bytes: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        server.input(Duration::ZERO, bytes, &mut out);
        out.to_vec()
    }

    #[test]
    fn transaction_and_unit_come_back_however_the_bytes_are_cut() {
        let mut server = Server::new(Arc::default());
        assert_eq!(send(&mut server, READ), ANSWER);
        assert_eq!(send(&mut server, &READ[..9]), b"");
        assert_eq!(send(&mut server, &[&READ[9..], READ].concat()), [ANSWER, ANSWER].concat());
    }

    #[test]
    fn a_wrong_header_hangs_up_after_the_answers_before_it() {
        for wrong in [[0, 0, 0, 1, 0, 6], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]] {
            let mut server = Server::new(Arc::default());
            assert_eq!(send(&mut server, &[READ, &wrong].concat()), ANSWER);
            assert!(server.ended());
        }
    }

    #[test]
    fn connections_share_the_data() {
        let model = Arc::default();
        let (mut one, mut two) = (Server::new(Arc::clone(&model)), Server::new(model));
        send(&mut one, &[0, 1, 0, 0, 0, 6, 1, 6, 0, 2, 0, 9]);
        assert_eq!(send(&mut two, READ), [0xAB, 0xCD, 0, 0, 0, 5, 7, 3, 2, 0, 9]);
    }

    proptest::proptest! {
        #[test]
        fn hostile_input_leaves_a_bounded_buffer(chunks: Vec<Vec<u8>>) {
            let mut server = Server::new(Arc::default());
            for chunk in chunks {
                if server.ended() {
                    break;
                }
                send(&mut server, &chunk);
                assert!(server.ended() || server.pending.len() < HEADER + LENGTH.end());
            }
        }
    }
}
