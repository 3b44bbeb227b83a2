//! An endless stream of numbered lines, as fast as they are read; a receiver can verify every byte.

use std::{fmt::Write as _, time::Duration};

use bytes::BytesMut;

use super::drive::SimulatedDevice;

/// Bytes in a line, including the newline: byte `n` of the stream is in line `n / 64 + 1`.
const LINE_LENGTH: usize = 64;

/// Lines made in one go: 16 KiB.
const BATCH: usize = 256;

/// Letters after the number; each line starts one letter further on, so that a shifted line shows.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The line with this number, from 1: twelve digits, a space, fifty letters, a newline.
pub(crate) fn line(number: u64) -> String {
    let shift = usize::try_from(number % LETTERS.len() as u64).unwrap_or_default();
    let (end, start) = LETTERS.split_at_checked(shift).unwrap_or_default();
    let mut line = String::with_capacity(LINE_LENGTH);
    // Writing to a String cannot fail.
    let _ = write!(line, "{number:012} {start}{end}");
    line.truncate(LINE_LENGTH - 1);
    line.push('\n');
    line
}

/// Counts the lines sent.
#[derive(Default)]
pub(super) struct LineCounter {
    sent: u64,
}

impl SimulatedDevice for LineCounter {
    fn input(&mut self, _now: Duration, _bytes: &[u8], _out: &mut BytesMut) {}

    fn deadline(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn tick(&mut self, _now: Duration, out: &mut BytesMut) {
        for _ in 0..BATCH {
            self.sent = self.sent.wrapping_add(1);
            out.extend_from_slice(line(self.sent).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_64_bytes_and_begins_with_its_number() {
        for number in [1, 51, 52, 53, 999_999_999_999] {
            let line = line(number);
            assert_eq!(line.len(), LINE_LENGTH);
            assert!(line.starts_with(&format!("{number:012} ")) && line.ends_with('\n'));
        }
    }

    #[test]
    fn the_stream_is_the_lines_in_order() {
        let (mut source, mut out) = (LineCounter::default(), BytesMut::new());
        source.tick(Duration::ZERO, &mut out);
        source.tick(Duration::ZERO, &mut out);
        let expected: String = (1..=2 * BATCH as u64).map(line).collect();
        assert_eq!(out, expected.as_bytes());
    }
}
