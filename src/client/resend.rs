//! Bytes that were sent and not acknowledged, kept for a resume; and bytes that wait for the
//! window.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes that a session may hold here beyond the gateway's window; when the buffer is full, `write`
/// waits.
const AHEAD: u64 = 64 * 1024;

/// Messages it may hold; empty ones take no room.
const MESSAGES: usize = 1024;

/// The gateway acknowledged or resumed at an offset that was never sent, or that was acknowledged
/// long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange;

/// A session's bytes, from the first one not acknowledged to the last one written. Offsets count
/// from the session's first byte.
#[derive(Debug, Default)]
pub(super) struct Resend {
    kept: BytesMut,
    /// Offset of the first byte kept.
    base: u64,
    /// Offset of the next byte to send.
    next: u64,
    /// The most of our bytes that the gateway holds unacknowledged.
    window: u64,
    /// Message borders, if the bytes are messages that stay whole.
    messages: Option<Messages>,
}

/// Where messages end among the bytes kept.
#[derive(Debug, Default)]
struct Messages {
    lengths: VecDeque<usize>,
    /// How many of them were sent.
    sent: usize,
}

impl Resend {
    /// Nothing written yet, to a gateway that grants this many bytes; `whole` says that what is
    /// written together stays together.
    pub(super) fn new(window: u32, whole: bool) -> Self {
        let messages = whole.then(Messages::default);
        Self { window: window.into(), messages, ..Self::default() }
    }

    /// Whether what is written together stays together.
    pub(super) fn is_whole(&self) -> bool {
        self.messages.is_some()
    }

    /// How many of this many bytes can be written now (for a message, all or none); `None` means
    /// wait.
    pub(super) fn fits(&self, length: usize) -> Option<usize> {
        let room = self.room();
        match &self.messages {
            Some(messages) => {
                (length <= room && messages.lengths.len() < MESSAGES).then_some(length)
            }
            None => Some(length.min(room)).filter(|part| *part > 0 || length == 0),
        }
    }

    fn room(&self) -> usize {
        let most = self.window + AHEAD;
        usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(self.kept.len())
    }

    /// Appends bytes, or a message, to those written before.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if let Some(messages) = &mut self.messages {
            messages.lengths.push_back(bytes.len());
        }
    }

    /// Offset after the last byte written.
    pub(super) fn end(&self) -> u64 {
        self.base + self.kept.len() as u64
    }

    /// Offset of the first byte that is not acknowledged.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Offset of the next byte to send.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The next bytes to send: at most `most`, or a whole message; below `until`, and within the
    /// window.
    pub(super) fn take(&mut self, most: usize, until: u64) -> Option<Bytes> {
        if let Some(messages) = &mut self.messages {
            let end = self.next + *messages.lengths.get(messages.sent)? as u64;
            let fits = end <= until.min(self.base + self.window);
            let from = usize::try_from(self.next - self.base).ok().filter(|_| fits)?;
            let bytes = self.kept.get(from..usize::try_from(end - self.base).ok()?)?;
            messages.sent += 1;
            self.next = end;
            return Some(Bytes::copy_from_slice(bytes));
        }
        let end = self
            .end()
            .min(until)
            .min(self.base + self.window)
            .min(self.next.saturating_add(most as u64));
        let from = usize::try_from(self.next - self.base).ok()?;
        let to = usize::try_from(end.checked_sub(self.base)?).ok()?;
        let bytes = self.kept.get(from..to).filter(|bytes| !bytes.is_empty())?;
        let bytes = Bytes::copy_from_slice(bytes);
        self.next = end;
        Some(bytes)
    }

    /// The gateway no longer needs bytes below `tx`. A late acknowledgement changes nothing.
    pub(super) fn ack(&mut self, tx: u64) -> Result<(), OutOfRange> {
        if tx > self.next {
            return Err(OutOfRange);
        }
        let done = usize::try_from(tx.saturating_sub(self.base)).unwrap_or(usize::MAX);
        if let Some(messages) = &mut self.messages {
            messages.forget(done)?;
        }
        if done > 0 {
            self.kept.advance(done);
            self.base = tx;
        }
        Ok(())
    }

    /// The session continues: the gateway has taken what is below `tx`, and gets the rest again. It
    /// acknowledges later.
    pub(super) fn resumed(&mut self, tx: u64) -> Result<(), OutOfRange> {
        if tx < self.base || tx > self.next {
            return Err(OutOfRange);
        }
        if let Some(messages) = &mut self.messages {
            messages.sent =
                messages.border(usize::try_from(tx - self.base).unwrap_or(usize::MAX))?;
        }
        self.next = tx;
        Ok(())
    }
}

impl Messages {
    /// How many messages this many bytes make.
    fn border(&self, bytes: usize) -> Result<usize, OutOfRange> {
        let mut sum = 0;
        let border = self.lengths.iter().position(|length| {
            let here = sum >= bytes;
            sum += usize::from(!here) * length;
            here
        });
        if sum == bytes { Ok(border.unwrap_or(self.lengths.len())) } else { Err(OutOfRange) }
    }

    /// Drops this many bytes, which are done with, and the messages that they were.
    fn forget(&mut self, bytes: usize) -> Result<(), OutOfRange> {
        let mut done = self.border(bytes)?;
        // Empty messages after them were taken, too, as far as can be known.
        while done < self.sent && self.lengths.get(done) == Some(&0) {
            done += 1;
        }
        self.lengths.drain(..done);
        self.sent = self.sent.saturating_sub(done);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_sent_beyond_the_window_or_past_a_request() {
        let mut resend = Resend::new(4096, false);
        resend.push(&[7; 5000]);
        assert_eq!(resend.take(100, 10), Some(Bytes::from_static(&[7; 10])));
        assert_eq!(resend.take(100, 10), None);
        assert_eq!(resend.take(usize::MAX, u64::MAX).map(|bytes| bytes.len()), Some(4086));
        assert_eq!(resend.take(1, u64::MAX), None);
        resend.ack(4000).unwrap();
        assert_eq!(resend.take(9999, u64::MAX).map(|bytes| bytes.len()), Some(904));
        assert_eq!((resend.ack(5001), resend.resumed(3999)), (Err(OutOfRange), Err(OutOfRange)));
        assert_eq!(resend.room(), 4096 + 64 * 1024 - 1000);
    }

    #[test]
    fn messages_go_out_whole_the_first_time_and_again() {
        let mut resend = Resend::new(4096, true);
        let whole = |resend: &mut Resend| resend.take(3, u64::MAX).map(|bytes| bytes.to_vec());
        for message in [&b"abcd"[..], b"", b"ef"] {
            assert_eq!(resend.fits(message.len()), Some(message.len()));
            resend.push(message);
        }
        assert_eq!(whole(&mut resend), Some(b"abcd".to_vec()));
        assert_eq!(whole(&mut resend), Some(b"".to_vec()));
        assert_eq!(resend.take(9, 5), None, "a request stands before the rest of it");
        assert_eq!(whole(&mut resend), Some(b"ef".to_vec()));
        assert_eq!(whole(&mut resend), None);
        assert_eq!((resend.resumed(1), resend.resumed(4)), (Err(OutOfRange), Ok(())));
        assert_eq!(whole(&mut resend), Some(b"".to_vec()));
        assert_eq!(whole(&mut resend), Some(b"ef".to_vec()));
        assert_eq!((resend.ack(5), resend.ack(4)), (Err(OutOfRange), Ok(())));
        resend.push(&[7; 4095]);
        assert_eq!(whole(&mut resend), None, "not within the window");
        resend.ack(6).unwrap();
        assert_eq!(whole(&mut resend).map(|bytes| bytes.len()), Some(4095));
        assert_eq!(resend.fits(65_507), Some(65_507));
        assert_eq!(resend.fits(70_000), None);
    }

    /// A gateway that takes bytes in order, acknowledges late, and whose connection may be cut
    /// anywhere.
    #[derive(Clone, Debug)]
    enum Move {
        Write(u16),
        Send(u16),
        /// This many of the bytes under way arrive.
        Arrive(u16),
        /// The gateway is done with this many, and the news gets through or does not.
        Done(u16, bool),
        Cut,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            3 => any::<u16>().prop_map(Move::Write),
            4 => any::<u16>().prop_map(Move::Send),
            4 => any::<u16>().prop_map(Move::Arrive),
            4 => (any::<u16>(), any::<bool>()).prop_map(|(n, heard)| Move::Done(n, heard)),
            1 => Just(Move::Cut),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        #[test]
        fn each_byte_arrives_once_and_in_order_whatever_is_cut(moves in moves(), window in 4096_u32..20_000) {
            let mut resend = Resend::new(window, false);
            let (mut written, mut flying, mut taken, mut done) = (0_u64, Vec::new(), Vec::new(), 0_u64);
            let byte = |at: u64| u8::try_from(at % 251).unwrap();
            for step in moves {
                match step {
                    Move::Write(n) => {
                        let n = usize::from(n).min(resend.room());
                        let bytes: Vec<u8> = (0..n as u64).map(|i| byte(written + i)).collect();
                        resend.push(&bytes);
                        written += n as u64;
                    }
                    Move::Send(n) => flying.extend(resend.take(n.into(), u64::MAX).unwrap_or_default()),
                    Move::Arrive(n) => taken.extend(flying.drain(..usize::from(n).min(flying.len()))),
                    Move::Done(n, heard) => {
                        done = (done + u64::from(n)).min(taken.len() as u64);
                        if heard {
                            resend.ack(done).unwrap();
                        }
                    }
                    Move::Cut => {
                        flying.clear();
                        resend.resumed(taken.len() as u64).unwrap();
                    }
                }
                prop_assert!(taken.len() as u64 + flying.len() as u64 - done <= u64::from(window));
                prop_assert_eq!(resend.end(), written);
                prop_assert_eq!(resend.next(), (taken.len() + flying.len()) as u64);
            }
            prop_assert!(taken.iter().zip(0..).all(|(got, at)| *got == byte(at)));
        }
    }
}
