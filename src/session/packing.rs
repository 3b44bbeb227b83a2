//! Message borders for those who need them: a framer with a timer.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    config::{PACKET_MOST, Packing},
    wire::frames::Framer,
};

/// A framer with a timer.
#[derive(Debug)]
pub(super) struct Packets {
    framer: Framer,
    /// Packets that silence has ended and that have not been passed on yet.
    ended: VecDeque<Vec<u8>>,
    /// When the last byte came.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Packets {
    /// Packets of at most `most` bytes; `None` for an endpoint that needs no borders.
    pub(super) fn new(rule: Packing, most: usize) -> Option<Self> {
        let now = Instant::now();
        let framer = Framer::new(rule, most.min(PACKET_MOST));
        let timer = Box::pin(sleep_until(now));
        (rule != Packing::None).then(|| Self { framer, ended: VecDeque::new(), last: now, timer })
    }

    /// The same with every byte shown, for those who count them.
    pub(super) fn counted(rule: Packing, most: usize) -> Option<Self> {
        match rule {
            Packing::Delimiter { bytes, plus, .. } => {
                Self::new(Packing::Delimiter { bytes, keep: true, plus }, most)
            }
            Packing::None | Packing::Idle(_) | Packing::Length(_) | Packing::ModbusRtu { .. } => {
                Self::new(rule, most)
            }
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.framer.held() + self.ended.iter().map(Vec::len).sum::<usize>()
    }

    /// Bytes to take before the longest packet is full.
    pub(super) fn room(&self) -> usize {
        self.framer.room()
    }

    /// Takes bytes and passes on the packets they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut packet: impl FnMut(&[u8])) {
        self.ended.drain(..).for_each(|ended| packet(&ended));
        self.last = Instant::now();
        self.framer.push(bytes, packet);
    }

    /// Notes that the device paused before the next byte. Returns the first packet which that ends;
    /// the others come before what is pushed next.
    pub(super) fn pause(&mut self, pause: Duration) -> Option<Vec<u8>> {
        if self.framer.silence().is_some_and(|silence| pause >= silence) {
            self.end();
        }
        self.ended.pop_front()
    }

    /// The next packet that silence has ended. Poll it only when there is nothing to read.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        if self.ended.is_empty() {
            let Some(silence) = self.framer.silence() else { return Poll::Pending };
            let due = self.last + silence;
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.end();
        }
        self.ended.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// What is held, when nothing more can belong to it.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        self.end();
        let rest: Vec<u8> = self.ended.drain(..).flatten().collect();
        (!rest.is_empty()).then_some(rest)
    }

    fn end(&mut self) {
        let ended = &mut self.ended;
        self.framer.end(|packet| ended.push_back(packet.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::wire::modbus::crc16;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_garbage_and_the_frame_behind_it_apart_and_in_order() {
        let silence = Duration::from_millis(4);
        let frame = [&[7, 6, 0, 2, 0, 9][..], &crc16(&[7, 6, 0, 2, 0, 9]).to_le_bytes()].concat();
        // It looks like the answer to a long read.
        let read = [&[1, 3, 200][..], &frame].concat();
        for paused in [false, true] {
            let mut packets = Packets::new(Packing::ModbusRtu { silence }, 1000).unwrap();
            let begun = Instant::now();
            packets.push(&read, |packet| panic!("{packet:?}"));
            let first = if paused {
                packets.pause(Duration::from_millis(50)).unwrap()
            } else {
                poll_fn(|cx| packets.poll_due(cx)).await
            };
            assert_eq!(first, [1, 3, 200]);
            assert_eq!(begun.elapsed().as_millis(), if paused { 0 } else { 50 });
            assert_eq!(packets.held(), frame.len());
            let mut all = Vec::new();
            packets.push(&frame, |packet| all.push(packet.to_vec()));
            assert_eq!(all, [frame.clone(), frame.clone()]);
            assert_eq!((packets.held(), packets.rest()), (0, None));
        }
    }
}
