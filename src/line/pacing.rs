//! When the next bytes may go to a device that loses what comes too fast. Bytes and time in, pauses
//! out.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Pacing;

/// The pace of a line's uplink. There is one for the device, whoever sends.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    rules: Pacing,
    /// When everything sent will have left the line at its speed.
    sent: Option<Instant>,
    /// Nothing is sent before this.
    due: Option<Instant>,
    /// The pause is for a prompt, which ends it.
    prompted: bool,
    /// The device's last bytes, fewer than a prompt has.
    heard: Vec<u8>,
    /// The last byte sent was a CR, so a LF that follows belongs to it.
    after_cr: bool,
}

impl Pacer {
    /// Switches to other rules.
    pub(super) fn set_rules(&mut self, rules: Pacing) {
        *self = Self { rules, after_cr: self.after_cr, ..Self::default() };
    }

    /// Whether there are any rules to keep.
    pub(super) fn paces(&self) -> bool {
        self.rules != Pacing::default()
    }

    /// How many of the next bytes may be sent in one write; 0 until [`due`](Self::due).
    pub(super) fn piece(&self, next: &[u8]) -> usize {
        if self.due.is_some() {
            // The other half of a line end is not held back with the next line.
            let half =
                self.after_cr && next.first() == Some(&b'\n') && self.rules.byte_delay.is_zero();
            return usize::from(half);
        }
        if !self.rules.byte_delay.is_zero() {
            return next.len().min(1);
        }
        if self.rules.line_delay.is_zero() && self.rules.prompt.is_none() {
            return next.len();
        }
        let end = next.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        end.map_or(next.len(), |at| at + 1 + usize::from(next.get(at..at + 2) == Some(b"\r\n")))
    }

    /// Notes that these bytes were sent; each takes `character` on the line.
    pub(super) fn wrote(&mut self, bytes: &[u8], now: Instant, character: Duration) {
        let Some(last) = bytes.last() else { return };
        let (after_cr, only_lf) = (self.after_cr, bytes == b"\n");
        self.after_cr = *last == b'\r';
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let sent = self.sent.map_or(now, |sent| sent.max(now)) + character * length;
        self.sent = Some(sent);
        let line = matches!(last, b'\r' | b'\n');
        if let Some(prompt) = self.rules.prompt.as_ref().filter(|_| line) {
            // CR and LF are one line end: what the device says after the CR alone is its answer,
            // too.
            if !(after_cr && only_lf && !self.prompted) {
                self.prompted = true;
                self.due = Some(sent + prompt.timeout);
                return;
            }
        }
        let pause = if line {
            self.rules.line_delay.max(self.rules.byte_delay)
        } else {
            self.rules.byte_delay
        };
        if !pause.is_zero() {
            self.due = Some(sent + pause);
        }
    }

    /// When the pause is over; `None` if there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Ends the pause.
    pub(super) fn go_on(&mut self) {
        self.due = None;
        self.prompted = false;
        self.heard.clear();
    }

    /// Whether prompts are looked for at all, and whether one is being waited for now.
    pub(super) fn listens(&self) -> (bool, bool) {
        (self.rules.prompt.is_some(), self.prompted)
    }

    /// Takes what the device said.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let Some(prompt) = self.rules.prompt.as_ref().filter(|_| self.prompted) else { return };
        let length = prompt.text.len();
        self.heard.extend_from_slice(bytes);
        if !self.heard.windows(length).any(|window| window == prompt.text) {
            let old = (self.heard.len() + 1).saturating_sub(length);
            self.heard.drain(..old);
            return;
        }
        let pause = self.rules.byte_delay;
        self.go_on();
        if !pause.is_zero() {
            self.due = self.sent.map(|sent| sent + pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Prompt;

    const MS: Duration = Duration::from_millis(1);

    fn pacer(rules: Pacing) -> Pacer {
        let mut pacer = Pacer::default();
        pacer.set_rules(rules);
        pacer
    }

    fn prompt(text: &[u8]) -> Pacing {
        Pacing {
            prompt: Some(Prompt { text: text.to_vec(), timeout: 100 * MS }),
            ..Pacing::default()
        }
    }

    /// Sends everything; returns each piece with the time it was sent.
    fn send(pacer: &mut Pacer, mut bytes: &[u8], character: Duration) -> Vec<(Vec<u8>, u128)> {
        let start = Instant::now();
        let (mut now, mut all) = (start, Vec::new());
        while !bytes.is_empty() {
            let n = pacer.piece(bytes);
            if n == 0 {
                now = pacer.due().unwrap();
                pacer.go_on();
                continue;
            }
            let (piece, rest) = bytes.split_at(n);
            all.push((piece.to_vec(), (now - start).as_millis()));
            pacer.wrote(piece, now, character);
            bytes = rest;
        }
        all
    }

    #[test]
    fn without_rules_everything_goes_at_once() {
        let all = send(&mut Pacer::default(), b"a\nb\n", MS);
        assert_eq!(all, [(b"a\nb\n".to_vec(), 0)]);
    }

    #[test]
    fn pauses_begin_when_the_bytes_before_have_left_the_line() {
        let rules = Pacing { line_delay: 50 * MS, ..Pacing::default() };
        let wanted = [(b"ab\r\n".to_vec(), 0), (b"\n".to_vec(), 54), (b"c".to_vec(), 105)];
        assert_eq!(send(&mut pacer(rules), b"ab\r\n\nc", MS), wanted);
        let rules = Pacing { byte_delay: 2 * MS, line_delay: 50 * MS, ..Pacing::default() };
        let wanted =
            [(b"a".to_vec(), 0), (b"\n".to_vec(), 3), (b"b".to_vec(), 54), (b"c".to_vec(), 57)];
        assert_eq!(send(&mut pacer(rules), b"a\nbc", MS), wanted);
    }

    #[test]
    fn a_line_end_sent_in_two_halves_is_one() {
        let rules = Pacing { line_delay: 50 * MS, ..Pacing::default() };
        let mut pacer = pacer(rules);
        let now = Instant::now();
        pacer.wrote(b"a\r", now, Duration::ZERO);
        assert_eq!((pacer.piece(b"b"), pacer.piece(b"\nb")), (0, 1));
        pacer.wrote(b"\n", now, Duration::ZERO);
        assert_eq!((pacer.piece(b"\nb"), pacer.due()), (0, Some(now + 50 * MS)));
    }

    #[test]
    fn a_prompt_split_over_reads_ends_the_pause_and_nothing_before_the_line_does() {
        let mut pacer = pacer(prompt(b"> "));
        pacer.heard(b"> ");
        pacer.wrote(b"show\n", Instant::now(), Duration::ZERO);
        for said in [b"show\r\n".as_slice(), b">", b"x>"] {
            pacer.heard(said);
            assert_eq!(pacer.piece(b"next"), 0);
        }
        pacer.heard(b" ");
        assert_eq!(pacer.piece(b"next"), 4);
    }

    #[test]
    fn a_prompt_that_does_not_come_is_waited_for_no_longer_than_its_time() {
        let wanted = [(b"a\n".to_vec(), 0), (b"b".to_vec(), 100)];
        assert_eq!(send(&mut pacer(prompt(b"> ")), b"a\nb", Duration::ZERO), wanted);
    }

    proptest! {
        #[test]
        fn paced_bytes_are_the_bytes_in_order(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..40),
            byte_delay in 0_u32..2, line_delay in 0_u32..3, prompted: bool,
        ) {
            let rules = Pacing { byte_delay: byte_delay * MS, line_delay: line_delay * MS,
                prompt: prompt(b"> ").prompt.filter(|_| prompted) };
            let all = send(&mut pacer(rules), &bytes, Duration::ZERO);
            prop_assert!(all.windows(2).all(|pair| pair[0].1 + u128::from(byte_delay) <= pair[1].1));
            prop_assert_eq!(all.concat_pieces(), bytes);
        }
    }

    trait Pieces {
        fn concat_pieces(&self) -> Vec<u8>;
    }

    impl Pieces for Vec<(Vec<u8>, u128)> {
        fn concat_pieces(&self) -> Vec<u8> {
            self.iter().flat_map(|(piece, _)| piece.clone()).collect()
        }
    }
}
