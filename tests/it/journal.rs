//! What the journal shows, and what a terminal does: one event per line, times that people can
//! read.

use std::{
    fs::{self, File},
    io::Write as _,
    process::{Command, Stdio},
};

use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{Daemon, Pty, Raw, daemon::OPEN};

/// `125.03s`, `1.5ms`: how Rust shows a Duration to programmers.
fn is_debug(word: &str) -> bool {
    let number = word.trim_end_matches(|c: char| c.is_alphabetic() || c == '\u{b5}');
    let unit = word.get(number.len()..).unwrap_or_default();
    ["s", "ms", "\u{b5}s", "ns"].contains(&unit) && number.parse::<f64>().is_ok()
}

#[test]
fn every_event_is_one_line_and_says_times_as_people_do() {
    assert!(is_debug("125.03s") && is_debug("85ms") && !is_debug("2 min 5 s"));
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.frame(2, b"hello");
    assert_eq!(client.data(5), b"hello");
    client.frame(8, &1000_u16.to_be_bytes());
    let log = daemon.wait_for("session closed");
    let closed = log.lines().find(|line| line.contains("session closed")).unwrap();
    let (_, lasted) = closed.split_once(" lasted=\"").expect(closed);
    assert!(lasted.split('"').next().unwrap().ends_with(" ms"), "{closed}");
    // Three mistakes, each with its line of the file.
    let said = daemon.reload(&format!("{OPEN}  echo:\n    smi: echo\n    open: x\n    share: y\n"));
    let reloaded = said.lines().find(|line| line.contains("not reloaded")).unwrap();
    assert!(reloaded.contains("`smi`") && reloaded.contains("(and 2 more mistakes)"), "{said}");
    let whole = daemon.log();
    for line in whole.lines() {
        let dated = line.split(' ').next().unwrap_or_default();
        assert!(dated.starts_with("20") && dated.ends_with('Z'), "no line of its own: {line}");
        let times = line.split([' ', '=', '"', ',']).find(|word| is_debug(word));
        assert!(times.is_none(), "{times:?} in {line}");
    }
}

/// What `check` says about a file on a terminal with this many columns.
fn on_a_terminal(columns: u16, config: &str) -> String {
    let mut pty = Pty::new();
    let mut terminal = File::options().read(true).write(true).open(pty.path()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.yaml"), config).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["check", "w.yaml"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(terminal.try_clone().unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(78));
    terminal.write_all(b"\0").unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\0") {
        said.extend(pty.receive(1));
    }
    String::from_utf8(said).unwrap().trim_end_matches('\0').to_owned()
}

#[test]
fn mistakes_are_broken_at_the_terminals_width() {
    let wrong = "auth: none\nlisten: [ { address: 8443 } ]\n";
    for (columns, widest) in [(60, 60), (300, 100), (0, 80)] {
        let said = on_a_terminal(columns, wrong);
        let widths: Vec<_> = said.lines().map(|line| line.trim_end().chars().count()).collect();
        assert!(widths.iter().all(|width| *width <= widest), "{columns}: {said}");
        assert!(widths.iter().any(|width| *width > widest - 20), "{columns}: {said}");
        assert!(said.contains("    2 | listen: [ { address: 8443 } ]"), "{said}");
    }
}

#[test]
fn shells_offer_rights_and_levels() {
    let script = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["completions", "bash"])
        .output()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("script"), &script.stdout).unwrap();
    let offered = |words: &str| {
        let count = words.split(' ').count();
        let run = format!(
            "source ./script; COMP_WORDS=({words} ''); COMP_CWORD={count}; \
             _wsbridge wsbridge '' \"${{COMP_WORDS[{count}-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output =
            Command::new("bash").arg("-c").arg(run).current_dir(folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let rights = offered("wsbridge token new plc --rights");
    for right in ["*=read", "*=write", "*=signals", "*=settings", "*=takeover", "/metrics=read"] {
        assert!(rights.lines().any(|line| line == right), "{right}: {rights}");
    }
    let levels = offered("wsbridge serve --log-level");
    for level in ["error", "warn", "info", "debug", "trace"] {
        assert!(levels.lines().any(|line| line == level), "{level}: {levels}");
    }
}
