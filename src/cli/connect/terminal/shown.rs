//! What is shown of a line's bytes: as they are, by lines with the time, or in hex.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// Each line begins with the time.
    pub(super) timestamps: bool,
    /// In hex.
    pub(super) hex: bool,
    /// Something stands on the line that is shown last.
    within: bool,
}

impl Shown {
    /// In that way.
    pub(super) fn new(timestamps: bool, hex: bool) -> Self {
        Self { timestamps, hex, within: false }
    }

    /// What to show of bytes that came now; `at` is the offset of the first.
    pub(super) fn show(&mut self, at: u64, bytes: &[u8], now: SystemTime) -> Vec<u8> {
        if self.hex {
            return self.dump(at, bytes, now);
        }
        if !self.timestamps {
            return bytes.to_vec();
        }
        let mut out = Vec::new();
        for byte in bytes {
            if !self.within && *byte != b'\n' {
                out.extend(stamp(now).bytes());
                self.within = true;
            }
            out.push(*byte);
            if *byte == b'\n' {
                self.within = false;
            }
        }
        out
    }

    fn dump(self, at: u64, bytes: &[u8], now: SystemTime) -> Vec<u8> {
        let time = if self.timestamps { stamp(now) } else { String::new() };
        let lines = (at..).step_by(16).zip(bytes.chunks(16)).map(|(at, row)| {
            let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = |byte: &u8| {
                let plain = byte.is_ascii_graphic() || *byte == b' ';
                if plain { char::from(*byte) } else { '.' }
            };
            let text: String = row.iter().map(shown).collect();
            format!("{time}{at:08x}  {:47}  |{text}|\r\n", hex.join(" "))
        });
        lines.collect::<String>().into_bytes()
    }
}

/// The time of day, UTC.
fn stamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let day = since.as_secs() % 86_400;
    let (hours, minutes, seconds) = (day / 3600, day / 60 % 60, day % 60);
    format!("[{hours:02}:{minutes:02}:{seconds:02}.{:03}Z] ", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_begin_with_the_time_however_their_bytes_come() {
        let mut shown = Shown::new(true, false);
        let now = UNIX_EPOCH + Duration::from_millis(3_723_004);
        assert_eq!(text(shown.show(0, b"on", now)), "[01:02:03.004Z] on");
        assert_eq!(
            text(shown.show(2, b"e\r\n\r\ntwo", now)),
            "e\r\n[01:02:03.004Z] \r\n[01:02:03.004Z] two"
        );
    }

    #[test]
    fn hex_has_offsets_and_what_can_be_read() {
        let mut shown = Shown::new(false, true);
        let dump = text(shown.show(0x1f0, b"0123456789abcdef\x00A", UNIX_EPOCH));
        let lines: Vec<_> = dump.split("\r\n").collect();
        assert!(
            lines[0].starts_with("000001f0  30 31") && lines[0].ends_with("|0123456789abcdef|"),
            "{dump}"
        );
        assert!(lines[1].starts_with("00000200  00 41") && lines[1].ends_with("|.A|"), "{dump}");
    }
}
