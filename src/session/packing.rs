//! Message borders for those who need them: which of a device's bytes make one packet. Bytes and time in, borders out.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    config::{PACKET_MOST, Packing},
    wire::modbus::{self, Head},
};

/// Silence that ends a Modbus frame whose length says that more is to come: adapters and networks deliver one in
/// pieces with pauses between.
const TORN: Duration = Duration::from_millis(50);

/// Cuts a stream into packets. It holds less than one packet between two calls.
#[derive(Debug)]
struct Packer {
    rule: Packing,
    /// Bytes of a packet after which it is cut as it is.
    most: usize,
    held: Vec<u8>,
    /// Bytes at the beginning of `held` that no delimiter begins in.
    searched: usize,
    /// When the last byte came.
    last: Instant,
}

impl Packer {
    /// Takes bytes and gives the packets they complete.
    fn push(&mut self, bytes: &[u8], now: Instant, mut packet: impl FnMut(&[u8])) {
        self.last = now;
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(rest) = self.held.get(from..).filter(|rest| !rest.is_empty()) {
            let Some((length, shown)) = self.cut(rest) else { break };
            packet(rest.get(..shown).unwrap_or_default());
            from += length;
            self.searched = 0;
        }
        if from == self.held.len() {
            // An idle connection keeps no buffer.
            self.held = Vec::new();
        } else {
            self.held.drain(..from);
            if let Packing::Delimiter { bytes, .. } = self.rule {
                self.searched = (self.held.len() + 1).saturating_sub(bytes.as_slice().len());
            }
        }
    }

    /// The first packet: how many bytes it takes, and how many of them are shown.
    fn cut(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let whole = |length: usize| Some((length, length));
        let found = match self.rule {
            Packing::None => whole(bytes.len()),
            Packing::Idle(_) => None,
            Packing::Length(length) => whole(length).filter(|_| bytes.len() >= length && length <= self.most),
            Packing::Delimiter { bytes: delimiter, keep } => {
                let delimiter = delimiter.as_slice();
                let unseen = bytes.get(self.searched..).unwrap_or_default();
                let at = unseen.windows(delimiter.len()).position(|window| window == delimiter);
                at.map(|at| self.searched + at).map(|at| {
                    let end = at + delimiter.len();
                    (end, if keep { end } else { at })
                })
            }
            Packing::ModbusRtu { .. } => match modbus::head(bytes) {
                Head::Frame(length) => whole(length),
                Head::Open | Head::Strange => None,
            },
        };
        match found {
            Some((length, _)) if length <= self.most => found,
            _ if bytes.len() >= self.most => whole(self.most),
            _ => None,
        }
    }

    /// Silence that ends what is held; `None` when no silence does.
    fn silence(&self) -> Option<Duration> {
        match self.rule {
            Packing::Idle(idle) => Some(idle),
            Packing::ModbusRtu { silence } => match modbus::head(&self.held) {
                Head::Open => Some(silence.max(TORN)),
                Head::Frame(_) | Head::Strange => Some(silence),
            },
            Packing::None | Packing::Length(_) | Packing::Delimiter { .. } => None,
        }
    }

    /// When what is held is a packet, if nothing more comes.
    fn due(&self) -> Option<Instant> {
        (!self.held.is_empty()).then(|| self.silence())?.map(|silence| self.last + silence)
    }

    /// The device paused before the next byte: whether that ends what is held.
    fn is_ended_by(&self, pause: Duration) -> bool {
        !self.held.is_empty() && self.silence().is_some_and(|silence| pause >= silence)
    }

    /// What is held, as it is.
    fn rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.held)
    }
}

/// A packer and its timer.
#[derive(Debug)]
pub(super) struct Packets {
    packer: Packer,
    timer: Pin<Box<Sleep>>,
}

impl Packets {
    /// Packets of at most `most` bytes; `None` for an endpoint that needs no borders.
    pub(super) fn new(rule: Packing, most: usize) -> Option<Self> {
        let now = Instant::now();
        let packer =
            Packer { rule, most: most.clamp(1, PACKET_MOST), held: Vec::new(), searched: 0, last: now };
        (rule != Packing::None).then(|| Self { packer, timer: Box::pin(sleep_until(now)) })
    }

    /// The same with every byte shown, for those who count them.
    pub(super) fn counted(rule: Packing, most: usize) -> Option<Self> {
        match rule {
            Packing::Delimiter { bytes, .. } => Self::new(Packing::Delimiter { bytes, keep: true }, most),
            Packing::None | Packing::Idle(_) | Packing::Length(_) | Packing::ModbusRtu { .. } => {
                Self::new(rule, most)
            }
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.packer.held.len()
    }

    /// Bytes to take before the longest packet is full.
    pub(super) fn room(&self) -> usize {
        self.packer.most.saturating_sub(self.held())
    }

    /// Takes bytes and gives the packets they complete.
    pub(super) fn push(&mut self, bytes: &[u8], packet: impl FnMut(&[u8])) {
        self.packer.push(bytes, Instant::now(), packet);
    }

    /// The device paused before the next byte; what that ends.
    pub(super) fn pause(&mut self, pause: Duration) -> Option<Vec<u8>> {
        self.packer.is_ended_by(pause).then(|| self.packer.rest())
    }

    /// What silence ends. Poll it only when there is nothing to read.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        let Some(due) = self.packer.due() else { return Poll::Pending };
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(self.packer.rest())
    }

    /// What is held, when nothing more can belong to it.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        Some(self.packer.rest()).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config::Delimiter, wire::modbus::crc16};

    fn packer(rule: Packing) -> Packer {
        Packer { rule, most: PACKET_MOST, held: Vec::new(), searched: 0, last: Instant::now() }
    }

    fn delimiter(bytes: &[u8], keep: bool) -> Packing {
        Packing::Delimiter { bytes: Delimiter::new(bytes).unwrap(), keep }
    }

    /// Packets of a stream read in these pieces; the last is what was left.
    fn packets(rule: Packing, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut packer, mut all) = (packer(rule), Vec::new());
        for piece in pieces {
            packer.push(piece, Instant::now(), |packet| all.push(packet.to_vec()));
        }
        all.push(packer.rest());
        all
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc16(body).to_le_bytes()].concat()
    }

    #[test]
    fn a_delimiter_split_over_reads_is_found() {
        let pieces: [&[u8]; 4] = [b"one\r", b"\ntwo\r\n\r", b"\nthr", b"ee"];
        let wanted: [&[u8]; 4] = [b"one\r\n", b"two\r\n", b"\r\n", b"three"];
        assert_eq!(packets(delimiter(b"\r\n", true), &pieces), wanted);
        let wanted: [&[u8]; 4] = [b"one", b"two", b"", b"three"];
        assert_eq!(packets(delimiter(b"\r\n", false), &pieces), wanted);
    }

    #[test]
    fn a_packet_that_never_ends_is_cut_at_the_longest_there_may_be() {
        for rule in [delimiter(b"\n", true), Packing::Idle(Duration::from_secs(1))] {
            let all = packets(rule, &[&vec![0; PACKET_MOST], &[0; 3]]);
            assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [PACKET_MOST, 3]);
        }
    }

    #[test]
    fn modbus_frames_in_one_read_are_two_packets_and_noise_waits_for_silence() {
        let rule = Packing::ModbusRtu { silence: Duration::from_millis(4) };
        let (request, response) = (framed(&[1, 3, 0, 2, 0, 1]), framed(&[1, 3, 2, 0, 200]));
        let both = [request.as_slice(), &response].concat();
        assert_eq!(packets(rule, &[&both[..10], &both[10..]]), [request, response, vec![]]);
        let mut packer = packer(rule);
        let now = Instant::now();
        packer.push(&[1, 99, 7], now, |packet| panic!("{packet:?}"));
        assert_eq!(packer.due(), Some(now + Duration::from_millis(4)));
        assert!(packer.is_ended_by(Duration::from_millis(4)));
        packer.rest();
        // A frame that is torn on its way is given more time.
        packer.push(&[1, 3, 8, 0], now, |packet| panic!("{packet:?}"));
        assert!(!packer.is_ended_by(Duration::from_millis(16)) && packer.is_ended_by(TORN));
    }

    fn rules() -> impl Strategy<Value = Packing> {
        prop_oneof![
            Just(Packing::Idle(Duration::from_millis(4))),
            (1_usize..9).prop_map(Packing::Length),
            Just(Packing::ModbusRtu { silence: Duration::from_millis(4) }),
            proptest::collection::vec(0_u8..3, 1..5).prop_map(|bytes| delimiter(&bytes, true)),
        ]
    }

    proptest! {
        #[test]
        fn packets_are_the_stream_and_each_obeys_the_rule(
            rule in rules(),
            most in 5_usize..20,
            pieces in proptest::collection::vec((proptest::collection::vec(0_u8..3, 0..12), 0_u64..9), 0..12),
        ) {
            let mut packer = Packer { most, ..packer(rule) };
            let (mut all, mut input, mut now) = (Vec::new(), Vec::new(), Instant::now());
            for (piece, pause) in &pieces {
                let pause = Duration::from_millis(*pause);
                now += pause;
                if packer.is_ended_by(pause) {
                    all.push((packer.rest(), true));
                }
                packer.push(piece, now, |packet| all.push((packet.to_vec(), false)));
                prop_assert!(packer.held.len() < most);
                input.extend_from_slice(piece);
            }
            let rest = packer.rest();
            let output: Vec<u8> = all.iter().flat_map(|(packet, _)| packet).chain(&rest).copied().collect();
            prop_assert_eq!(output, input);
            for (packet, silence) in &all {
                let obeys = match rule {
                    Packing::Length(length) => packet.len() == length.min(most),
                    Packing::Delimiter { bytes, .. } => {
                        let bytes = bytes.as_slice();
                        let ends = packet.windows(bytes.len()).position(|window| window == bytes);
                        ends.map_or(packet.len() == most, |at| at + bytes.len() == packet.len())
                    }
                    Packing::Idle(_) => *silence || packet.len() == most,
                    Packing::ModbusRtu { .. } => {
                        *silence || packet.len() == most || modbus::head(packet) == Head::Frame(packet.len())
                    }
                    Packing::None => true,
                };
                prop_assert!(obeys, "{packet:?}");
            }
        }
    }
}
