//! The settings of a line in ser2net's words: `9600n81`, `8DATABITS`, `-RTSCTS`.

use super::draft::Draft;

/// The settings of a line, as far as they are given.
#[derive(Clone, Debug, Default)]
pub(super) struct LineWords {
    pub(super) baud: Option<String>,
    pub(super) data: Option<char>,
    pub(super) parity: Option<char>,
    pub(super) stop: Option<char>,
    pub(super) xonxoff: bool,
    pub(super) rtscts: bool,
    pub(super) hang_up: bool,
}

impl LineWords {
    /// Accepts a word; false if it is none of these.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let word = word.trim().to_ascii_lowercase();
        let (word, on) = match word.strip_prefix('-') {
            Some(rest) => (rest, false),
            None => (word.as_str(), true),
        };
        let (word, on) = match word.split_once('=') {
            Some(("speed", speed)) => (speed, on),
            Some((key, "true" | "on" | "yes" | "1")) => (key, on),
            Some((key, "false" | "off" | "no" | "0")) => (key, !on),
            Some(_) => return false,
            None => (word, on),
        };
        match word {
            "xonxoff" => self.xonxoff = on,
            "rtscts" => self.rtscts = on,
            "hangup_when_done" | "hangup-when-done" => self.hang_up = on,
            // We never wait for a carrier, and breaks end when their time is over.
            "local" | "nobreak" => {}
            "none" | "even" | "odd" | "mark" | "space" if on => self.parity = word.chars().next(),
            "1stopbit" | "1stopbits" | "2stopbit" | "2stopbits" if on => {
                self.stop = word.chars().next();
            }
            "5databits" | "6databits" | "7databits" | "8databits" if on => {
                self.data = word.chars().next();
            }
            _ => return on && self.speed(word),
        }
        true
    }

    /// `9600`, `9600n81`, `9600N8`.
    fn speed(&mut self, word: &str) -> bool {
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (baud, frame) = word.split_at(digits);
        let baud = baud.trim_start_matches('0');
        if baud.is_empty() {
            return false;
        }
        let mut rest = frame.chars();
        let (parity, data, stop) = (rest.next(), rest.next(), rest.next());
        let known = |c: Option<char>, all: &str| c.is_none_or(|c| all.contains(c));
        if !known(parity, "noems")
            || !known(data, "5678")
            || !known(stop, "12")
            || rest.next().is_some()
        {
            return false;
        }
        self.baud = Some(baud.to_owned());
        self.parity = parity.or(self.parity);
        self.data = data.or(self.data);
        self.stop = stop.or(self.stop);
        true
    }

    /// Sets them on an endpoint; `target` is `serial` or `rfc2217`.
    pub(super) fn say(&self, draft: &mut Draft, line: usize) {
        if let Some(baud) = &self.baud {
            draft.say("serial.baud", "baud", baud);
        }
        if self.data.or(self.parity).or(self.stop).is_some() {
            let format: String = [
                self.data.unwrap_or('8'),
                self.parity.unwrap_or('n').to_ascii_uppercase(),
                self.stop.unwrap_or('1'),
            ]
            .iter()
            .collect();
            if format != "8N1" {
                draft.say("serial.format", "format", format);
            }
        }
        match (self.rtscts, self.xonxoff) {
            (true, both) => {
                draft.say("serial.flow", "flow", "rtscts");
                if both {
                    draft.lost(line, "XON/XOFF beside RTS/CTS: one flow control at a time");
                }
            }
            (false, true) => draft.say("serial.flow", "flow", "xonxoff"),
            (false, false) => {}
        }
        if self.hang_up {
            draft.say("serial.signals.on_last_close.dtr", "close_dtr", "false");
            draft.say("serial.signals.on_last_close.rts", "close_rts", "false");
        }
    }
}
