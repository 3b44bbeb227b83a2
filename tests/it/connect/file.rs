//! Several lines at once, from a file.

use std::{
    fs::{self, File},
    io::Write as _,
    net::TcpStream,
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{echoed, is_reset};
use crate::{
    harness::{Daemon, PATIENCE, Pty, Target, Technician, access::tokens, noise},
    peers::works,
};

/// A folder with a `lines.yaml`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines.yaml"), text).unwrap();
    folder
}

/// `connect --file` with the file of a folder.
fn connect(folder: &TempDir) -> Technician {
    let file = folder.path().join("lines.yaml");
    Technician::connect(&["--file", file.to_str().unwrap()])
}

fn dial(connect: &Technician, line: &str) -> TcpStream {
    let stream = TcpStream::connect(connect.address_of(line)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn the_lines_of_a_file_are_served_together_and_one_that_is_refused_leaves_the_others_alone() {
    let (echo, mut device) = (Target::echo(), Pty::new());
    let daemon = Daemon::open(&format!(
        "{}  modem1:\n    serial: {{ port: {} }}\n",
        echo.endpoint("e"),
        device.path().display()
    ));
    daemon.wait_for("device open");
    let folder = folder(&format!(
        "gateway: http://{}\nlines:\n  e: {{ tcp: '127.0.0.1:0' }}\n  nobody: {{ tcp: '127.0.0.1:0' }}\n  node: {{ \
         endpoint: modem1, pty: modem1 }}\n",
        daemon.address()
    ));
    let mut connect = connect(&folder);
    let refused = connect.wait_for("no endpoint `nobody`");
    assert!(refused.contains("there is e, modem1; tried again every 60 s"), "{refused}");
    let stream = dial(&connect, "e");
    echoed(&stream, &noise(64 << 10));
    let node = connect.wait_for("wsbridge: modem1 of ");
    let path = folder.path().join("modem1");
    assert!(node.ends_with(path.to_str().unwrap()), "{node}");
    let mut tool = File::options().read(true).write(true).open(&path).unwrap();
    tool.write_all(b"AT\r").unwrap();
    assert_eq!(device.receive(3), b"AT\r");
    connect.signal(Signal::TERM);
    assert_eq!(connect.exit().code(), Some(0));
    assert!(fs::symlink_metadata(&path).is_err(), "the link is left behind");
}

#[test]
fn a_gateway_that_is_away_or_restarts_resets_the_programs_and_serves_their_next_connections() {
    let echo = Target::echo();
    let mut daemon = Daemon::open(&echo.endpoint("e"));
    let address = daemon.address();
    daemon.stop();
    let folder =
        folder(&format!("gateway: http://{address}\nlines: {{ e: {{ tcp: '127.0.0.1:0' }} }}\n"));
    let connect = connect(&folder);
    assert!(is_reset(&dial(&connect, "e")));
    connect.wait_for("was closed: cannot reach the gateway");
    let config = format!(
        "listen: [ {{ address: '{address}', tls: none }} ]\nauth: none\nendpoints:\n{}",
        echo.endpoint("e")
    );
    let mut daemon = Daemon::start(&config);
    let stream = dial(&connect, "e");
    echoed(&stream, b"before");
    daemon.stop();
    let _daemon = Daemon::start(&config);
    assert!(is_reset(&stream));
    echoed(&dial(&connect, "e"), b"after");
}

#[test]
fn a_line_without_its_token_is_served_once_it_is_there() {
    let echo = Target::echo();
    let access = tokens(&[("anna", "read, write")]);
    let daemon = Daemon::start(&format!("{access}{}", echo.endpoint("e")));
    let folder = folder(&format!(
        "gateway: {{ url: 'http://{}', token_file: a.token }}\nlines: {{ e: {{ tcp: '127.0.0.1:0' }} }}\n",
        daemon.address()
    ));
    let connect = connect(&folder);
    let said = connect.wait_for("a.token: ");
    assert!(said.contains("tried again every 10 s"), "{said}");
    fs::write(folder.path().join("a.token"), "wsb_anna\n").unwrap();
    echoed(&dial(&connect, "e"), b"hello");
}

#[test]
fn a_file_with_mistakes_serves_nothing_and_names_each_with_its_line() {
    let folder = folder(
        "gateway: https://gw/plc1\nlines:\n  e:\n    tpc: 127.0.0.1:0\n  f: { tcp: 127.0.0.1:0 }\n",
    );
    let (code, _, said) = connect(&folder).ended();
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("lines.yaml:4:5: lines.e: unknown key `tpc`; did you mean `tcp`?"),
        "{said}"
    );
    assert!(said.contains("lines.yaml:1:10: gateway: `plc1` in the address"), "{said}");
    assert!(!said.contains(" is at "), "{said}");
    let (code, _, said) = Technician::connect(&["--file", "/nonexistent/lines.yaml"]).ended();
    assert_eq!(code, Some(66), "{said}");
    let (code, ..) = Technician::connect(&["https://gw/e", "--file", "lines.yaml"]).ended();
    assert_eq!(code, Some(64));
}

/// systemd's own opinion of the unit, and the program's of what the unit types.
#[test]
fn the_unit_for_users_is_one() {
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/wsbridge-connect.service");
    let text = fs::read_to_string(unit).unwrap();
    let typed =
        text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/wsbridge ")).unwrap();
    let folder = folder("nothing");
    let home = folder.path().to_str().unwrap().to_owned();
    let args = typed.replace("%E/wsbridge", &home);
    let output =
        Command::new(env!("CARGO_BIN_EXE_wsbridge")).args(args.split(' ')).output().unwrap();
    // The file is wrong; the command line is not.
    assert_eq!(output.status.code(), Some(78));
    if !works("systemd-analyze", &["--version"]) {
        eprintln!("skipped: no systemd-analyze");
        return;
    }
    let verify = |text: &str| {
        let unit = folder.path().join("wsbridge-connect.service");
        fs::write(&unit, text.replace("/usr/bin/wsbridge", env!("CARGO_BIN_EXE_wsbridge")))
            .unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["--user", "--man=no", "verify"]).arg(unit);
        command.env("XDG_RUNTIME_DIR", &home).output().unwrap()
    };
    let good = verify(&text);
    let said = String::from_utf8_lossy(&good.stderr).into_owned();
    assert!(good.status.success() && !said.contains("wsbridge"), "{said}");
    let bad = verify(&text.replace("RestartSec=5", "RestartSecs=5"));
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(said.contains("RestartSecs"), "{said}");
}
