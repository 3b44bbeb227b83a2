//! A Hayes modem: AT commands (ITU-T V.250), dialling, an online state with the `+++` escape (guard
//! time S12).

use std::time::Duration;

use bytes::BytesMut;

use super::drive::SimulatedDevice;

/// The longest command line; beyond it the answer is ERROR (V.250 section 5.2.1 asks for at least
/// 40).
const COMMAND_LINE_MAX: usize = 255;

/// From ATD to CONNECT.
const DIALLING: Duration = Duration::from_millis(600);

/// What the called host says first; after that it echoes.
const BANNER: &[u8] = b"\r\nRemote host ready. It echoes what you type; +++ and ATH hang up.\r\n";

/// How many pluses the escape sequence has.
const ESCAPE: u8 = 3;

/// A modem as it is after power-on: echo on, results in words, on hook.
pub(super) struct Modem {
    state: ModemState,
    profile: Profile,
    /// The call that `+++` left and that ATO returns to.
    connected: bool,
    line: Vec<u8>,
    overflow: bool,
    /// What A/ repeats.
    last: Vec<u8>,
    /// Escape characters seen in a row after a guard time.
    pluses: u8,
    /// When the last byte came while online.
    heard: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum ModemState {
    Command,
    Dialling { until: Duration },
    Online,
}

/// What AT&F resets.
struct Profile {
    echo: bool,
    verbose: bool,
    quiet: bool,
    registers: [u8; 256],
}

impl Default for Profile {
    fn default() -> Self {
        let mut registers = [0; 256];
        // S2 escape, S3 CR, S4 LF, S5 backspace, S6-S12 the usual times; S12 in 1/50 s.
        for (register, value) in
            registers.iter_mut().zip([0, 0, 43, 13, 10, 8, 2, 50, 2, 6, 14, 95, 50])
        {
            *register = value;
        }
        Self { echo: true, verbose: true, quiet: false, registers }
    }
}

impl Profile {
    fn register(&self, number: u8) -> u8 {
        self.registers.get(usize::from(number)).copied().unwrap_or_default()
    }

    fn guard(&self) -> Duration {
        Duration::from_millis(u64::from(self.register(12)) * 20)
    }
}

/// A final result code: V.250 section 5.7.1, its word and its number.
#[derive(Clone, Copy)]
enum ResultCode {
    Ok,
    Connect,
    NoCarrier,
    Error,
    /// Dialling: the result comes later.
    Later,
}

impl ResultCode {
    fn code(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Ok => Some(("OK", "0")),
            Self::Connect => Some(("CONNECT 9600", "12")),
            Self::NoCarrier => Some(("NO CARRIER", "3")),
            Self::Error => Some(("ERROR", "4")),
            Self::Later => None,
        }
    }
}

impl Default for Modem {
    fn default() -> Self {
        Self {
            state: ModemState::Command,
            profile: Profile::default(),
            connected: false,
            line: Vec::new(),
            overflow: false,
            last: Vec::new(),
            pluses: 0,
            heard: Duration::ZERO,
        }
    }
}

impl SimulatedDevice for Modem {
    fn input(&mut self, now: Duration, bytes: &[u8], out: &mut BytesMut) {
        for &byte in bytes {
            match self.state {
                ModemState::Command => self.command(now, byte, out),
                ModemState::Dialling { .. } => self.abort(byte, out),
                ModemState::Online => self.online(now, byte, out),
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        match self.state {
            ModemState::Command => None,
            ModemState::Dialling { until } => Some(until),
            ModemState::Online => {
                (self.pluses == ESCAPE).then(|| self.heard + self.profile.guard())
            }
        }
    }

    fn tick(&mut self, now: Duration, out: &mut BytesMut) {
        match self.state {
            ModemState::Dialling { until } if now >= until => {
                self.go_online(now, out);
                out.extend_from_slice(BANNER);
            }
            ModemState::Online
                if self.pluses == ESCAPE && now >= self.heard + self.profile.guard() =>
            {
                self.state = ModemState::Command;
                self.result(ResultCode::Ok, out);
            }
            ModemState::Command | ModemState::Dialling { .. } | ModemState::Online => {}
        }
    }
}

impl Modem {
    /// Handles one byte in the online state: sends it to the far host, which echoes it, and watches
    /// for the escape sequence.
    fn online(&mut self, now: Duration, byte: u8, out: &mut BytesMut) {
        let quiet = now.saturating_sub(self.heard) >= self.profile.guard();
        let escape = self.profile.register(2);
        // A register above 127 switches the escape off.
        self.pluses = match (byte == escape && escape < 128, quiet, self.pluses) {
            (true, true, _) => 1,
            (true, false, seen @ 1..ESCAPE) => seen + 1,
            _ => 0,
        };
        self.heard = now;
        out.extend_from_slice(&[byte]);
    }

    /// Any character aborts a call that is being set up (V.250 section 5.6.1), except the LF of a
    /// terminal that sends CR LF.
    fn abort(&mut self, byte: u8, out: &mut BytesMut) {
        if byte != self.profile.register(4) {
            self.state = ModemState::Command;
            self.result(ResultCode::NoCarrier, out);
        }
    }

    fn go_online(&mut self, now: Duration, out: &mut BytesMut) {
        self.state = ModemState::Online;
        self.connected = true;
        (self.pluses, self.heard) = (0, now);
        self.result(ResultCode::Connect, out);
    }

    /// Handles one byte in the command state.
    fn command(&mut self, now: Duration, byte: u8, out: &mut BytesMut) {
        let (cr, backspace) = (self.profile.register(3), self.profile.register(5));
        if byte == backspace || byte == 0x7F {
            if self.line.pop().is_some() && self.profile.echo {
                out.extend_from_slice(&[backspace, b' ', backspace]);
            }
            return;
        }
        if self.profile.echo {
            out.extend_from_slice(&[byte]);
        }
        if byte == cr {
            let line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.overflow) {
                self.result(ResultCode::Error, out);
            } else {
                self.execute(now, &line, out);
            }
        } else if self.line.len() >= COMMAND_LINE_MAX {
            self.overflow = true;
        } else if byte.is_ascii_graphic() {
            self.line.push(byte.to_ascii_uppercase());
            if self.line == b"A/" {
                self.line.clear();
                let last = self.last.clone();
                self.execute(now, &last, out);
            }
        }
    }

    /// Runs a command line; a line that does not begin with AT is noise and gets no answer.
    fn execute(&mut self, now: Duration, line: &[u8], out: &mut BytesMut) {
        let Some(body) = line.strip_prefix(b"AT") else { return };
        self.last = line.to_vec();
        let mut rest = CommandTail(body);
        let mut outcome = ResultCode::Ok;
        while let (ResultCode::Ok, Some(letter)) = (outcome, rest.next()) {
            outcome = self.one(now, letter, &mut rest, out);
        }
        if self.state != ModemState::Online {
            self.result(outcome, out);
        }
    }

    /// Runs one command of a line.
    fn one(
        &mut self,
        now: Duration,
        letter: u8,
        rest: &mut CommandTail<'_>,
        out: &mut BytesMut,
    ) -> ResultCode {
        match letter {
            b'D' => return self.dial(now, rest),
            b'S' => return self.register(rest, out),
            b'+' => return self.extended(rest, out),
            b'&' => return self.ampersand(rest),
            _ => {}
        }
        match (letter, rest.number().unwrap_or(0)) {
            (b'E', value @ 0..=1) => self.profile.echo = value == 1,
            (b'V', value @ 0..=1) => self.profile.verbose = value == 1,
            (b'Q', value @ 0..=1) => self.profile.quiet = value == 1,
            (b'H', 0..=1) => self.connected = false,
            (b'Z', 0..=1) => {
                self.connected = false;
                self.profile = Profile::default();
            }
            (b'I', 0) => self.say("wsbridge simulated modem 9600", out),
            (b'I', 1..=9) => self.say(env!("CARGO_PKG_VERSION"), out),
            (b'L' | b'M', 0..=3) | (b'X', 0..=4) => {}
            (b'O', 0) if self.connected => {
                self.go_online(now, out);
                return ResultCode::Later;
            }
            (b'O' | b'A', 0) => return ResultCode::NoCarrier,
            _ => return ResultCode::Error,
        }
        ResultCode::Ok
    }

    /// `ATD[T|P]number`; with a `;` at the end the modem stays in the command state.
    fn dial(&mut self, now: Duration, rest: &mut CommandTail<'_>) -> ResultCode {
        let number = std::mem::take(&mut rest.0);
        if self.connected || !number.iter().any(u8::is_ascii_digit) {
            return ResultCode::Error;
        }
        if number.ends_with(b";") {
            return ResultCode::Ok;
        }
        self.state = ModemState::Dialling { until: now + DIALLING };
        ResultCode::Later
    }

    /// `Sn?` and `Sn=value`.
    fn register(&mut self, rest: &mut CommandTail<'_>, out: &mut BytesMut) -> ResultCode {
        let number = rest.number().and_then(|number| u8::try_from(number).ok());
        match (number, rest.next()) {
            (Some(number), Some(b'?')) => {
                self.say(&format!("{:03}", self.profile.register(number)), out);
                ResultCode::Ok
            }
            (Some(number), Some(b'=')) => {
                let value = rest.number().and_then(|value| u8::try_from(value).ok());
                let place = self.profile.registers.get_mut(usize::from(number));
                match (value, place) {
                    (Some(value), Some(place)) => {
                        *place = value;
                        ResultCode::Ok
                    }
                    _ => ResultCode::Error,
                }
            }
            _ => ResultCode::Error,
        }
    }

    /// `AT+...`: the manufacturer, and the signal strength of a cellular modem.
    fn extended(&mut self, rest: &mut CommandTail<'_>, out: &mut BytesMut) -> ResultCode {
        let text = match std::mem::take(&mut rest.0) {
            b"GMI" | b"CGMI" => "wsbridge",
            b"GMM" | b"CGMM" => "simulated modem",
            b"GMR" | b"CGMR" => env!("CARGO_PKG_VERSION"),
            b"CSQ" => "+CSQ: 24,0",
            _ => return ResultCode::Error,
        };
        self.say(text, out);
        ResultCode::Ok
    }

    /// `AT&F`, and the switches that terminal programs send at the start.
    fn ampersand(&mut self, rest: &mut CommandTail<'_>) -> ResultCode {
        match (rest.next(), rest.number().unwrap_or(0)) {
            (Some(b'F'), 0..=1) => self.profile = Profile::default(),
            (Some(b'C' | b'S'), 0..=1) | (Some(b'D' | b'W'), 0..=3) | (Some(b'K'), 0..=6) => {}
            _ => return ResultCode::Error,
        }
        ResultCode::Ok
    }

    /// Information text (V.250 section 5.7.1: header only with V1).
    fn say(&self, text: &str, out: &mut BytesMut) {
        let (cr, lf) = (self.profile.register(3), self.profile.register(4));
        if self.profile.verbose {
            out.extend_from_slice(&[cr, lf]);
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&[cr, lf]);
    }

    /// Sends a result code, unless Q1 keeps the modem quiet.
    fn result(&self, outcome: ResultCode, out: &mut BytesMut) {
        let Some((word, number)) = outcome.code().filter(|_| !self.profile.quiet) else { return };
        if self.profile.verbose {
            self.say(word, out);
        } else {
            out.extend_from_slice(number.as_bytes());
            out.extend_from_slice(&[self.profile.register(3)]);
        }
    }
}

/// What is left of a command line.
struct CommandTail<'a>(&'a [u8]);

impl CommandTail<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A decimal number, if one comes next; anything above 65535 is taken as 65535.
    fn number(&mut self) -> Option<u16> {
        let mut number = None;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            number = Some(
                number.unwrap_or(0u16).saturating_mul(10).saturating_add(u16::from(digit - b'0')),
            );
            self.0 = rest;
        }
        number
    }
}

#[cfg(test)]
mod tests;
