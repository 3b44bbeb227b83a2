//! asciicast v3, the recordings of asciinema: a header, and a line for each event.

use serde_json::{Value, json};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The device said something.
    Output,
    /// A client sent something.
    Input,
    /// A note to the reader: a break, a gap.
    Marker,
    /// Modem lines changed.
    Signals,
    /// Settings changed.
    Settings,
    /// Somebody else writes.
    User,
}

impl Code {
    /// The letter; readers skip those that they do not know.
    fn letter(self) -> &'static str {
        match self {
            Self::Output => "o",
            Self::Input => "i",
            Self::Marker => "m",
            Self::Signals => "s",
            Self::Settings => "c",
            Self::User => "u",
        }
    }
}

/// A recording in progress.
#[derive(Debug)]
pub(crate) struct Cast {
    /// Microseconds from its beginning to the last event, as written.
    written: u64,
    /// When it began, in microseconds since 1970.
    began: u64,
    output: Utf8,
    input: Utf8,
}

impl Cast {
    /// Begins one at this time (nanoseconds since 1970) and writes its header.
    pub(crate) fn begin(out: &mut Vec<u8>, at: u64, title: &str) -> Self {
        let header = json!({
            "version": 3,
            "term": { "cols": 80, "rows": 24, "type": "xterm-256color" },
            "timestamp": at / 1_000_000_000,
            "title": title,
            "tags": ["wsbridge", "text: bytes that are no UTF-8 are U+FFFD here; a pcapng recording has them"],
        });
        line(out, &header);
        let (output, input) = (Utf8::default(), Utf8::default());
        Self { written: 0, began: at / 1000, output, input }
    }

    /// Bytes of the device or, if `input` is so, of a client. A character that is not complete
    /// waits for its rest.
    pub(crate) fn bytes(&mut self, out: &mut Vec<u8>, at: u64, (bytes, input): (&[u8], bool)) {
        let (utf8, code) =
            if input { (&mut self.input, Code::Input) } else { (&mut self.output, Code::Output) };
        let text = utf8.push(bytes);
        if !text.is_empty() {
            self.event(out, at, (code, &text));
        }
    }

    /// Adds an event. Its time is rounded by the clock, not from event to event: so errors do not
    /// add up.
    pub(crate) fn event(&mut self, out: &mut Vec<u8>, at: u64, (code, text): (Code, &str)) {
        let now = (at / 1000).saturating_sub(self.began).max(self.written);
        let since = now - self.written;
        self.written = now;
        let (seconds, micros) = (since / 1_000_000, since % 1_000_000);
        let text = Value::from(text);
        let code = code.letter();
        out.extend(format!("[{seconds}.{micros:06}, \"{code}\", {text}]\n").into_bytes());
    }
}

fn line(out: &mut Vec<u8>, value: &Value) {
    out.extend(value.to_string().into_bytes());
    out.push(b'\n');
}

/// Bytes to text, in pieces: the beginning of a character waits for its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utf8 {
    held: Vec<u8>,
}

impl Utf8 {
    /// Takes bytes; gives the text they complete. What is no UTF-8 becomes U+FFFD.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.held.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(good) => {
                    text.push_str(good);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    rest = bad;
                    let Some(length) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = rest.split_at(length).1;
                }
            }
        }
        let done = self.held.len() - rest.len();
        self.held.drain(..done);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_recording_reads_as_the_format_says() {
        let mut out = Vec::new();
        let second = 1_000_000_000;
        let mut cast = Cast::begin(&mut out, 1_700_000_000 * second, "plc1");
        let at = |nanos: u64| 1_700_000_000 * second + nanos;
        cast.bytes(&mut out, at(1_500_000_400), (b"caf\xc3", false));
        cast.bytes(&mut out, at(1_500_000_900), (b"\xa9\xff\"\n", false));
        cast.event(&mut out, at(2_000_001_000), (Code::User, "anna"));
        for (code, text) in
            [(Code::Settings, "9600 8N1"), (Code::Signals, "DTR"), (Code::Marker, "break")]
        {
            cast.event(&mut out, at(2_000_001_000), (code, text));
        }
        // A clock that went back.
        cast.bytes(&mut out, at(0), (b"x", true));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["version"], &lines[0]["term"]["cols"]), (&json!(3), &json!(80)));
        assert_eq!(
            lines[1..],
            [
                json!([1.5, "o", "caf"]),
                json!([0.0, "o", "é\u{fffd}\"\n"]),
                json!([0.500_001, "u", "anna"]),
                json!([0.0, "c", "9600 8N1"]),
                json!([0.0, "s", "DTR"]),
                json!([0.0, "m", "break"]),
                json!([0.0, "i", "x"]),
            ]
        );
    }

    proptest! {
        #[test]
        fn text_is_that_of_the_bytes_however_they_were_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..40),
        ) {
            let (mut utf8, mut text) = (Utf8::default(), String::new());
            for piece in &pieces {
                text += &utf8.push(piece);
            }
            text += &String::from_utf8_lossy(&utf8.held);
            prop_assert_eq!(text, String::from_utf8_lossy(&pieces.concat()).into_owned());
        }

        #[test]
        fn rounding_errors_do_not_add_up(steps in prop::collection::vec(0_u64..3_000_000, 1..200)) {
            let mut out = Vec::new();
            let mut cast = Cast::begin(&mut out, 0, "");
            let mut now = 0;
            for step in &steps {
                now += step;
                cast.event(&mut out, now, (Code::Marker, ""));
            }
            let text = String::from_utf8(out).unwrap();
            let sum: f64 = text
                .lines()
                .skip(1)
                .map(|line| serde_json::from_str::<(f64, String, String)>(line).unwrap().0)
                .sum();
            let error = Duration::from_secs_f64(sum).abs_diff(Duration::from_nanos(now));
            prop_assert!(error < Duration::from_nanos(1_500));
        }
    }
}
