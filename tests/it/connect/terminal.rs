//! A line in the technician's terminal, which is a pty of the test's.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    process::{Command, Stdio},
};

use rustix::{
    process::Signal,
    termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr},
};

use super::url;
use crate::{
    harness::{Daemon, Pty, Target, Technician, noise, until},
    peers::works,
};

/// A terminal as a shell leaves it, and what stands on it.
pub(crate) struct Terminal {
    pty: Pty,
    slave: File,
    shown: String,
    /// All of it, also what was waited for.
    screen: String,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let pty = Pty::new();
        let slave = File::options().read(true).write(true).open(pty.path()).unwrap();
        let mut cooked = tcgetattr(&slave).unwrap();
        cooked.local_modes |= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(&slave, OptionalActions::Now, &cooked).unwrap();
        Self { pty, slave, shown: String::new(), screen: String::new() }
    }

    /// Runs `wsbridge connect` on it.
    fn run(&self, args: &[&str]) -> Technician {
        Technician::connect_with(args, |command| self.carry(command))
    }

    /// Puts a command on it.
    pub(crate) fn carry(&self, command: &mut Command) {
        let end = || Stdio::from(self.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
    }

    pub(crate) fn types(&mut self, keys: &[u8]) {
        self.pty.send(keys);
    }

    /// Waits until that is shown, behind what was waited for before.
    pub(crate) fn shows(&mut self, text: &str) {
        let mut device = self.pty.device();
        let mut piece = [0; 4096];
        let found = until(text, || {
            if let Some(at) = self.shown.find(text) {
                return Some(at + text.len());
            }
            if self.pty.has_input() {
                let read = device.read(&mut piece).unwrap();
                let text = String::from_utf8_lossy(&piece[..read]);
                self.shown += &text;
                self.screen += &text;
            }
            None
        });
        self.shown.drain(..found);
    }

    /// Whether that was ever shown, as far as was waited for.
    pub(crate) fn has_shown(&self, text: &str) -> bool {
        self.screen.contains(text)
    }

    /// Whether it is as a shell leaves it.
    pub(crate) fn is_cooked(&self) -> bool {
        let cooked = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcgetattr(&self.slave).unwrap().local_modes.contains(cooked)
    }
}

#[test]
fn keys_go_to_the_device_commands_do_not_and_the_terminal_is_given_back_as_it_was() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let mut terminal = Terminal::new();
    let log = daemon.folder().join("line.log");
    let mut connect =
        terminal.run(&[&url(&daemon, "e"), "--log", log.to_str().unwrap(), "--eol", "crlf"]);
    terminal.shows("Ctrl-] then ? shows the keys");
    until("a raw terminal", || (!terminal.is_cooked()).then_some(()));
    // Ctrl-C is the device's.
    terminal.types(b"hello\x03\r");
    terminal.shows("hello\u{3}\r\n");
    terminal.types(b"\x1d?");
    terminal.shows("q quit");
    terminal.types(b"\x1dZ");
    terminal.shows("no such key");
    terminal.types(b"\x1db");
    terminal.shows("a break of 250 ms: ");
    terminal.types(b"\x1dhA");
    terminal.shows("  41  ");
    terminal.types(b"\x1dq");
    assert_eq!(connect.exit().code(), Some(0));
    assert!(terminal.is_cooked());
    assert!(fs::read_to_string(log).unwrap().starts_with("hello\u{3}\r\n"));
}

#[test]
fn a_signal_and_a_session_that_is_gone_give_the_terminal_back_too() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let mut terminal = Terminal::new();
    let mut connect = terminal.run(&[&url(&daemon, "e"), "--timestamps"]);
    terminal.shows("shows the keys");
    terminal.types(b"x");
    terminal.shows("Z] x");
    connect.signal(Signal::TERM);
    assert_eq!(connect.exit().code(), Some(0));
    assert!(terminal.is_cooked());

    let source = Target::reset(3);
    let daemon = Daemon::open(&source.endpoint("e"));
    let mut connect = terminal.run(&[&url(&daemon, "e")]);
    terminal.shows("shows the keys");
    terminal.types(b"abc");
    assert_eq!(connect.exit().code(), Some(2));
    assert!(terminal.is_cooked());
}

#[test]
fn without_a_terminal_it_says_what_there_is_for_programs() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let (code, _, said) = Technician::connect(&[&url(&daemon, "e")]).ended();
    assert_eq!(code, Some(64));
    assert!(said.contains("--stdio and --tcp"), "{said}");
}

#[test]
fn a_file_goes_to_the_device_by_zmodem_and_comes_back() {
    if !works("sz", &["--version"]) {
        eprintln!("skipped: no lrzsz");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    let bytes = noise(60_000);
    let file = here.join("boot.bin");
    fs::write(&file, &bytes).unwrap();
    let place = there.clone();
    let device = Target::serve(move |stream| {
        let end = || Stdio::from(std::os::fd::OwnedFd::from(stream.try_clone().unwrap()));
        let run = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).current_dir(&place).stdin(end()).stdout(end()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "{program}");
        };
        run("rz", &["-b"]);
        // The next begins with what the other end's program says first.
        (&stream).read_exact(&mut [0; 1]).unwrap();
        fs::rename(place.join("boot.bin"), place.join("back.bin")).unwrap();
        run("sz", &["-b", "back.bin"]);
        io::copy(&mut &stream, &mut io::sink()).ok();
    });
    let daemon = Daemon::open(&device.endpoint("e"));
    let mut terminal = Terminal::new();
    let mut connect = Technician::connect_with(&[&url(&daemon, "e")], |command| {
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).current_dir(&here);
    });
    terminal.shows("shows the keys");
    terminal.types(b"\x1ds");
    terminal.shows("YMODEM): ");
    terminal.types(format!("{}\r", file.display()).as_bytes());
    terminal.shows("the transfer is complete");
    assert!(fs::read(there.join("boot.bin")).unwrap() == bytes);
    terminal.types(b"\x1dx");
    terminal.shows("YMODEM) ");
    terminal.types(b"\r");
    terminal.shows("the transfer begins");
    terminal.shows("the transfer is complete");
    assert!(fs::read(here.join("back.bin")).unwrap() == bytes);
    terminal.types(b"\x1dx");
    terminal.shows("YMODEM) ");
    terminal.types(b"\r");
    terminal.shows("the transfer begins");
    terminal.types(b"\x03");
    terminal.shows("the transfer was cancelled");
    terminal.types(b"\x1dq");
    assert_eq!(connect.exit().code(), Some(0));
}
