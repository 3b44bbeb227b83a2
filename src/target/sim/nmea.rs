//! A boat's multiplexer: every second its position, wind and depth, as NMEA 0183 sentences.

use std::{fmt::Write as _, time::Duration};

use bytes::BytesMut;

use super::drive::SimulatedDevice;

/// Time between two reports.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts the reports.
#[derive(Default)]
pub(super) struct Multiplexer {
    reports: u32,
}

impl SimulatedDevice for Multiplexer {
    fn input(&mut self, _now: Duration, _bytes: &[u8], _out: &mut BytesMut) {}

    fn deadline(&self) -> Option<Duration> {
        Some(PERIOD * self.reports)
    }

    fn tick(&mut self, _now: Duration, out: &mut BytesMut) {
        let second = self.reports;
        self.reports = self.reports.wrapping_add(1);
        let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
        let clock = format!("{hour:02}{minute:02}{:02}.00", second % 60);
        // Six knots to the north: a ten-thousandth of a minute of arc takes a sixteenth of a
        // second.
        let north = second * 16 % 600_000;
        let (degrees, thousandths) = (54 + north / 600_000, north % 600_000);
        let latitude =
            format!("{degrees:02}{:02}.{:04}", thousandths / 10_000, thousandths % 10_000);
        sentence(&format!("GPRMC,{clock},A,{latitude},N,01007.5000,E,6.0,0.0,010126,,"), out);
        sentence(&format!("WIMWV,{}.0,R,{}.5,N,A", 200 + second % 30, 9 + second % 4), out);
        sentence(&format!("SDDPT,{}.{},0.4", 12 + second / 10 % 5, second % 10), out);
    }
}

/// Adds the checksum: all characters between `$` and `*`, by exclusive or.
fn sentence(body: &str, out: &mut BytesMut) {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    // Writing to it cannot fail.
    let _ = write!(out, "${body}*{sum:02X}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_the_checksum_of_the_standards_example() {
        let mut out = BytesMut::new();
        sentence("GPGLL,5300.97914,N,00259.98174,E,125926,A", &mut out);
        assert_eq!(out, &b"$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n"[..]);
    }

    #[test]
    fn each_second_there_are_three_and_the_boat_moves_north() {
        let (mut device, mut out) = (Multiplexer::default(), BytesMut::new());
        for second in 0..2 {
            assert_eq!(device.deadline(), Some(Duration::from_secs(second)));
            device.tick(Duration::ZERO, &mut out);
        }
        let text = String::from_utf8(out.to_vec()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[0].starts_with("$GPRMC,000000.00,A,5400.0000,N,"), "{text}");
        assert!(lines[3].starts_with("$GPRMC,000001.00,A,5400.0016,N,"), "{text}");
    }
}
