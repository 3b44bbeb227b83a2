//! The admin socket: who may open it, what it refuses, and the commands that ask through it.

mod moderate;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{Daemon, PATIENCE, Target, Wire, access::tokens, until};

fn socket(daemon: &Daemon) -> PathBuf {
    daemon.folder().join("admin.sock")
}

/// Runs a command that asks by this socket.
fn command(socket: &Path, args: &[&str]) -> Output {
    let mut asking = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    asking.args(args).arg("--socket").arg(socket).stdin(Stdio::null()).output().unwrap()
}

fn code_and_error(output: &Output) -> (i32, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

/// What the gateway answers there to a request with these header lines.
fn answer(socket: &Path, path: &str, more: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{more}Connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The sessions as `wsbridge sessions --json` prints them.
fn sessions(daemon: &Daemon) -> Vec<Value> {
    let output = command(&socket(daemon), &["sessions", "--json"]);
    assert!(output.status.success(), "{}", code_and_error(&output).1);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["sessions"].as_array().unwrap().clone()
}

#[test]
fn a_gateway_that_does_not_run_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let (code, said) = code_and_error(&command(&path, &["sessions"]));
    assert_eq!(code, 69, "{said}");
    assert!(said.contains(&format!("the gateway is not running (no {}", path.display())), "{said}");
    // What a crash leaves behind.
    drop(UnixListener::bind(&path).unwrap());
    let (code, said) = code_and_error(&command(&path, &["sessions"]));
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("nobody listens at"), "{said}");
}

#[test]
fn a_socket_that_somebody_may_not_open_says_what_to_type() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root, to become somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("admin.sock");
    let _listening = UnixListener::bind(&path).unwrap();
    let binary = folder.path().join("wsbridge");
    fs::copy(env!("CARGO_BIN_EXE_wsbridge"), &binary).unwrap();
    let refused = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(&binary);
        command.args(["sessions", "--socket"]).arg(&path).uid(65534).gid(65534);
        code_and_error(&command.output().unwrap())
    };
    let (code, said) = refused(0o600);
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("put sudo before the command"), "{said}");
    let (code, said) = refused(0o660);
    assert_eq!(code, 77, "{said}");
    assert!(
        said.contains("you are not in group root") && said.contains("usermod -aG root"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_open_the_socket_sees_every_session_without_a_password() {
    let echo = Target::echo();
    let config = tokens(&[("anna", "read, write")]);
    let daemon = Daemon::start(&format!("{config}  e:\n    sim: echo\n{}", echo.endpoint("plc")));
    let (_anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["type"], "opened");
    let seen = sessions(&daemon);
    assert_eq!(
        (seen.len(), &seen[0]["user"], &seen[0]["endpoint"]),
        (1, &json!("anna"), &json!("e"))
    );
    let shown = command(&socket(&daemon), &["sessions"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let row = shown.lines().nth(1).unwrap();
    assert!(
        shown.starts_with("SESSION") && row.contains("anna") && row.contains("token"),
        "{shown}"
    );
    // Ours and root's alone.
    let mode = fs::metadata(socket(&daemon)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_browser_or_a_proxy_has_sent_is_refused() {
    let daemon = Daemon::open("  e:\n    sim: echo\n");
    let socket = socket(&daemon);
    let status = |more: &str| answer(&socket, "/api/session", more)[9..12].to_owned();
    assert_eq!(status("Host: anything.example\r\n"), "200");
    assert_eq!(status("Host: x\r\nAuthorization: Bearer wsb_wrong\r\nCookie: a=b\r\n"), "200");
    for sign in [
        "Origin: http://localhost",
        "Origin: null",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Mode: navigate",
        "X-Forwarded-For: 192.0.2.9",
        "Forwarded: for=192.0.2.9",
    ] {
        assert_eq!(status(&format!("Host: localhost\r\n{sign}\r\n")), "403", "{sign}");
    }
    let page = answer(&socket, "/api/session", "Host: localhost\r\n");
    assert!(page.contains("\"local\""), "{page}");
}

#[test]
fn the_socket_can_be_elsewhere_or_nowhere_and_a_reload_moves_it() {
    let config = |admin: &str| {
        format!("{admin}\nlisten:\n  - {{ address: \"127.0.0.1:0\", tls: none }}\nauth: none\n")
    };
    let daemon = Daemon::start(&config("admin: { socket: \"{dir}/other.sock\" }"));
    let (usual, other) = (socket(&daemon), daemon.folder().join("other.sock"));
    assert!(command(&other, &["sessions"]).status.success() && !usual.exists());
    daemon.reload(&config(""));
    assert!(command(&usual, &["sessions"]).status.success());
    until("the end of the other", || (!other.exists()).then_some(()));
    daemon.reload(&config("admin: { socket: \"{dir}/admin.sock\" }"));
    assert!(command(&usual, &["sessions"]).status.success(), "the same place goes on");
    daemon.reload(&config("admin: none"));
    until("the end of it", || (!usual.exists()).then_some(()));
}

#[test]
fn a_crowd_at_the_other_listeners_does_not_lock_the_administrator_out() {
    let limits = "limits: { connections: 1, per_address: 1, unauthenticated: 1 }\n";
    let daemon = Daemon::start(&format!(
        "{limits}listen:\n  - {{ address: \"127.0.0.1:0\", tls: none }}\nauth: none\nendpoints:\n  e:\n    sim: echo\n"
    ));
    let _held: Vec<_> =
        (0..40).map(|_| crate::harness::Raw::handshake(daemon.address(), "e", "").0).collect();
    assert!(command(&socket(&daemon), &["sessions"]).status.success());
}

#[test]
fn systemds_socket_is_taken_over_and_closes_at_once_while_there_is_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handed.sock");
    let listening = UnixListener::bind(&path).unwrap();
    let config = "listen:\n  - { address: \"127.0.0.1:0\", tls: none }\nauth: none\n";
    let daemon = Daemon::start_with(config, |command| {
        let inner = std::mem::replace(command, Command::new("sh"));
        let script =
            "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin exec \"$0\" \"$@\" 3<&0 0</dev/null";
        command.args(["-c", script]).arg(inner.get_program()).args(inner.get_args());
        command.env("RUNTIME_DIRECTORY", folder.path());
        command
            .stdin(std::os::fd::OwnedFd::from(listening))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    });
    assert!(command(&path, &["sessions"]).status.success());
    assert!(!folder.path().join("admin.sock").exists(), "one is enough");
    daemon.reload(&format!("admin: none\n{config}"));
    let (code, said) = code_and_error(&command(&path, &["sessions"]));
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("`admin: none`"), "{said}");
    daemon.reload(config);
    assert!(command(&path, &["sessions"]).status.success());
    drop(daemon);
    assert!(path.exists(), "it is systemd's");
}
