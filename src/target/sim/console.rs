//! A router's console: a boot log played in time, a prompt with line editing, a few commands.

mod commands;

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;

use self::commands::Reaction;
use super::{
    drive::SimulatedDevice,
    script::{Script, TimedText},
};

/// The longest command line; more is answered with a bell.
const LINE_MAX: usize = 200;

/// Lines that arrow up can recall.
const HISTORY: usize = 20;

/// A router that is being switched on.
pub(super) struct Console {
    /// What is being printed: the boot log, a ping.
    script: Script,
    mode: Mode,
    enabled: bool,
    /// When the boot began.
    since: Duration,
    line: Vec<u8>,
    history: VecDeque<Vec<u8>>,
    /// How many lines back arrow up has gone.
    back: usize,
    escape: KeySequence,
    /// The last byte was a CR: a LF after it belongs to it.
    after_cr: bool,
}

/// What a typed line means.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Nothing: the router is booting.
    Booting,
    /// A command.
    Ready,
    /// The answer to the question that `reload` asks.
    Confirming,
}

/// Where in a terminal's key sequence (ECMA-48 CSI) we are.
#[derive(Clone, Copy, PartialEq)]
enum KeySequence {
    None,
    Started,
    Parameters,
}

impl Default for Console {
    fn default() -> Self {
        let mut console = Self {
            script: Script::default(),
            mode: Mode::Booting,
            enabled: false,
            since: Duration::ZERO,
            line: Vec::new(),
            history: VecDeque::new(),
            back: 0,
            escape: KeySequence::None,
            after_cr: false,
        };
        console.boot(Duration::ZERO);
        console
    }
}

impl SimulatedDevice for Console {
    fn input(&mut self, now: Duration, bytes: &[u8], out: &mut BytesMut) {
        for &byte in bytes {
            let line_feed = byte == b'\n' && std::mem::take(&mut self.after_cr);
            self.after_cr = byte == b'\r';
            if self.script.is_running() {
                self.interrupt(byte, out);
            } else if self.escape != KeySequence::None {
                self.key(byte, out);
            } else if !line_feed {
                self.edit(now, byte, out);
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.script.deadline()
    }

    fn tick(&mut self, now: Duration, out: &mut BytesMut) {
        if !self.script.is_running() {
            return;
        }
        self.script.play(now, out);
        if !self.script.is_running() {
            self.mode = Mode::Ready;
            self.prompt(out);
        }
    }
}

impl Console {
    fn boot(&mut self, now: Duration) {
        (self.mode, self.enabled, self.since) = (Mode::Booting, false, now);
        self.script.start(now, commands::boot_log());
    }

    /// While something is being printed only ^C counts, and not during the boot: anything else
    /// typed meanwhile is lost.
    fn interrupt(&mut self, byte: u8, out: &mut BytesMut) {
        if byte == 3 && self.mode != Mode::Booting {
            self.script.stop();
            out.extend_from_slice(b"^C\r\n");
            self.prompt(out);
        }
    }

    fn prompt(&self, out: &mut BytesMut) {
        out.extend_from_slice(if self.enabled { b"router# " } else { b"router> " });
    }

    /// Handles one byte of a line that is being typed.
    fn edit(&mut self, now: Duration, byte: u8, out: &mut BytesMut) {
        match byte {
            b'\r' | b'\n' => {
                out.extend_from_slice(b"\r\n");
                self.enter(now, out);
            }
            3 => {
                self.line.clear();
                self.mode = Mode::Ready;
                out.extend_from_slice(b"^C\r\n");
                self.prompt(out);
            }
            8 | 0x7F => self.rub_out(1, out),
            0x15 => self.rub_out(self.line.len(), out),
            0x17 => self.rub_out(self.last_word(), out),
            0x1B => self.escape = KeySequence::Started,
            b' '..=b'~' if self.line.len() < LINE_MAX => {
                self.line.push(byte);
                out.extend_from_slice(&[byte]);
            }
            b' '..=b'~' => out.extend_from_slice(b"\x07"),
            _ => {}
        }
    }

    /// Removes characters from the end of the line and from the screen.
    fn rub_out(&mut self, count: usize, out: &mut BytesMut) {
        let keep = self.line.len().saturating_sub(count);
        for _ in keep..self.line.len() {
            out.extend_from_slice(b"\x08 \x08");
        }
        self.line.truncate(keep);
    }

    /// Length of the last word and the spaces after it.
    fn last_word(&self) -> usize {
        let spaces = self.line.iter().rev().take_while(|byte| **byte == b' ').count();
        spaces + self.line.iter().rev().skip(spaces).take_while(|byte| **byte != b' ').count()
    }

    /// Handles one byte of a key sequence; arrow up and down recall lines, other keys do nothing.
    fn key(&mut self, byte: u8, out: &mut BytesMut) {
        self.escape = match (self.escape, byte) {
            // After that, parameter and intermediate bytes (ECMA-48 section 5.4).
            (KeySequence::Started, b'[' | b'O') | (KeySequence::Parameters, 0x20..=0x3F) => {
                KeySequence::Parameters
            }
            (KeySequence::Parameters, b'A') => {
                self.recall((self.back + 1).min(self.history.len()), out);
                KeySequence::None
            }
            (KeySequence::Parameters, b'B') => {
                self.recall(self.back.saturating_sub(1), out);
                KeySequence::None
            }
            _ => KeySequence::None,
        };
    }

    /// Replaces the line being typed by the one that is `back` lines ago.
    fn recall(&mut self, back: usize, out: &mut BytesMut) {
        self.rub_out(self.line.len(), out);
        self.back = back;
        if let Some(line) = back.checked_sub(1).and_then(|index| self.history.get(index)) {
            self.line.clone_from(line);
            out.extend_from_slice(&self.line);
        }
    }

    /// Runs the typed line.
    fn enter(&mut self, now: Duration, out: &mut BytesMut) {
        let typed = std::mem::take(&mut self.line);
        self.back = 0;
        let text = String::from_utf8_lossy(&typed).trim().to_owned();
        if self.mode == Mode::Confirming {
            self.mode = Mode::Ready;
            if text.is_empty() || text.eq_ignore_ascii_case("y") || text.eq_ignore_ascii_case("yes")
            {
                out.extend_from_slice(b"Restarting system.\r\n");
                return self.boot(now);
            }
            return self.prompt(out);
        }
        if !text.is_empty() {
            self.history.push_front(typed);
            self.history.truncate(HISTORY);
        }
        match commands::run(&text, self.enabled, now.saturating_sub(self.since)) {
            Reaction::Say(answer) => {
                for line in answer.lines() {
                    out.extend_from_slice(line.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                self.prompt(out);
            }
            Reaction::Play(steps) => self.play(now, steps),
            Reaction::Enable(on) => {
                self.enabled = on;
                self.prompt(out);
            }
            Reaction::Confirm(question) => {
                self.mode = Mode::Confirming;
                out.extend_from_slice(question.as_bytes());
            }
        }
    }

    fn play(&mut self, now: Duration, steps: Vec<TimedText>) {
        self.script.start(now, steps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(console: &mut Console, now_ms: u64, text: &str) -> String {
        let mut out = BytesMut::new();
        console.input(Duration::from_millis(now_ms), text.as_bytes(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// Plays whatever is due until nothing is; returns the texts with their times.
    fn play(console: &mut Console) -> Vec<(Duration, String)> {
        let mut played = Vec::new();
        while let Some(due) = console.deadline() {
            let mut out = BytesMut::new();
            console.tick(due, &mut out);
            played.push((due, String::from_utf8(out.to_vec()).unwrap()));
        }
        played
    }

    fn booted() -> Console {
        let mut console = Console::default();
        play(&mut console);
        console
    }

    fn text(played: &[(Duration, String)]) -> String {
        played.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn the_boot_log_takes_some_seconds_and_ends_in_a_prompt() {
        let mut console = Console::default();
        assert_eq!(send(&mut console, 0, "\r\x03help\r"), "", "a booting router does not listen");
        let log = play(&mut console);
        assert!(log.len() > 20 && log.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!((2..10).contains(&log.last().unwrap().0.as_secs()));
        assert!(text(&log).ends_with("router> "), "{}", text(&log));
    }

    #[test]
    fn each_line_end_a_terminal_sends_gives_one_prompt() {
        for enter in ["\r", "\n", "\r\n"] {
            assert_eq!(send(&mut booted(), 9000, enter), "\r\nrouter> ");
        }
    }

    #[test]
    fn commands_can_be_shortened_and_unknown_ones_are_named() {
        let mut console = booted();
        assert!(send(&mut console, 9000, "sh ver\r").contains("uptime"));
        assert!(send(&mut console, 9000, "show interfaces\r").contains("eth0"));
        assert!(send(&mut console, 9000, "show log\r").contains("DDR"));
        assert!(send(&mut console, 9000, "?\r").contains("reload"));
        assert!(send(&mut console, 9000, "frobnicate\r").contains("unknown command `frobnicate`"));
    }

    #[test]
    fn backspace_control_u_w_and_c_edit_the_line() {
        let mut console = booted();
        assert_eq!(send(&mut console, 9000, "ab\x7f"), "ab\x08 \x08");
        assert_eq!(console.line, b"a");
        send(&mut console, 9000, "b one two ");
        send(&mut console, 9000, "\x17");
        assert_eq!(console.line, b"ab one ");
        send(&mut console, 9000, "\x15\x08");
        assert_eq!(console.line, b"");
        assert_eq!(send(&mut console, 9000, "x\x03"), "x^C\r\nrouter> ");
        assert_eq!(console.line, b"");
    }

    #[test]
    fn arrow_up_recalls_and_other_keys_leave_nothing_behind() {
        let mut console = booted();
        send(&mut console, 9000, "help\r");
        send(&mut console, 9000, "\x1b[3~\x1b[C\x1bOH");
        assert_eq!(console.line, b"");
        assert_eq!(send(&mut console, 9000, "\x1b[A"), "help");
        send(&mut console, 9000, "\x1b[B");
        assert_eq!(console.line, b"");
    }

    #[test]
    fn ping_takes_its_time_and_control_c_ends_it() {
        let mut console = booted();
        send(&mut console, 9000, "ping 192.0.2.1\r");
        let answer = play(&mut console);
        assert!(text(&answer).contains("!!!!!") && text(&answer).ends_with("router> "));
        send(&mut console, 20_000, "ping 192.0.2.1\r");
        assert_eq!(send(&mut console, 20_100, "\x03"), "^C\r\nrouter> ");
        assert_eq!(console.deadline(), None);
    }

    #[test]
    fn reload_wants_enable_and_a_confirmation_and_boots_again() {
        let mut console = booted();
        assert!(send(&mut console, 9000, "reload\r").contains("enable"));
        assert!(send(&mut console, 9000, "enable\r").ends_with("router# "));
        assert!(send(&mut console, 9000, "reload\r").ends_with("[confirm] "));
        assert!(send(&mut console, 9000, "n\r").ends_with("router# "));
        send(&mut console, 9000, "reload\r");
        assert!(send(&mut console, 9000, "\r").contains("Restarting"));
        assert!(text(&play(&mut console)).ends_with("router> "));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics_and_the_line_stays_bounded(chunks: Vec<Vec<u8>>) {
            let (mut console, mut out) = (booted(), BytesMut::new());
            for chunk in chunks {
                console.input(Duration::from_secs(60), &chunk, &mut out);
                assert!(console.line.len() <= LINE_MAX && console.history.len() <= HISTORY);
            }
        }
    }
}
