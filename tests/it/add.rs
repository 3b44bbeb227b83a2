//! `wsbridge add` as it is typed: with options next to a running gateway, at a terminal, and
//! through OpenWrt's `uci`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::harness::{Daemon, Pty, Target};

fn add(config: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    command
        .arg("add")
        .args(words)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn an_endpoint_is_written_put_in_force_and_told_with_its_address() {
    let (line, echo) = (Pty::new(), Target::echo());
    let daemon = Daemon::open("  first: { sim: echo }\n");
    let (config, folder) = (daemon.config(), daemon.folder().join("endpoints.d"));
    let path = line.path().display().to_string();
    let output =
        add(&config, &["modem1", "--port", &path, "--baud", "9600", "--title", "Cabinet: 3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let port = 0;
    assert!(text.contains(&format!("ws://localhost:{port}/ws/modem1\n")), "{text}");
    daemon.wait_for("reloaded");
    let written = fs::read_to_string(folder.join("modem1.yaml")).unwrap();
    assert!(
        written.contains("baud: 9600") && written.contains("title: \"Cabinet: 3\""),
        "{written}"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("modem1.yaml"))), (0o750, 0o640));
    assert_eq!(names(&folder), ["modem1.yaml"]);
    // A TCP port as well, with a name made from its address.
    let address = echo.address().to_string();
    let output = add(&config, &["--tcp", &address]);
    let text = String::from_utf8(output.stdout).unwrap();
    let name = format!("127-0-0-1-{}", echo.address().port());
    assert!(text.contains(&format!("/ws/{name}\n")), "{text}");
    assert_eq!(
        Command::new(env!("CARGO_BIN_EXE_wsbridge"))
            .arg("check")
            .arg(&config)
            .status()
            .unwrap()
            .code(),
        Some(0)
    );
}

#[test]
fn a_udp_port_is_written_with_the_port_that_it_sends_to() {
    let daemon = Daemon::open("  first: { sim: echo }\n");
    let written = |name: &str| {
        fs::read_to_string(daemon.folder().join(format!("endpoints.d/{name}.yaml"))).unwrap()
    };
    let output = add(&daemon.config(), &["boat", "--udp", "127.0.0.1:10110"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(written("boat"), "boat:\n  udp:\n    address: \"127.0.0.1:10110\"\n");
    let words = ["--udp", "127.0.0.1:10110", "--local-port", "0"];
    let output = add(&daemon.config(), &words);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("udp.local_port: ") && said.contains("1 to 65535"), "{said}");
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words = ["buoy", "--udp", "127.0.0.1:10110", "--local-port", &free.to_string()];
    assert_eq!(add(&daemon.config(), &words).status.code(), Some(0));
    assert!(written("buoy").ends_with(&format!("    local_port: {free}\n")), "{}", written("buoy"));
    let both = add(&daemon.config(), &["x", "--udp", "h:1", "--tcp", "h:1"]);
    assert_eq!(both.status.code(), Some(64), "{both:?}");
}

#[test]
fn where_the_whole_is_wrong_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("wsbridge.yaml");
    fs::write(&config, "auth: none\nendpoints: { first: { sim: echo } }\n").unwrap();
    let beside = folder.path().join("endpoints.d");
    for (words, part) in [
        (&["first", "--tcp", "192.0.2.1:502"][..], "already an endpoint `first`"),
        (&["plc1", "--tcp", "192.0.2.1"][..], "plc1.yaml:3:14: endpoints.plc1.tcp.address: "),
        (&["Plc 1", "--tcp", "192.0.2.1:502"][..], "endpoints.Plc 1"),
        (&["../x", "--tcp", "192.0.2.1:502"][..], "../x"),
        (&["line1", "--port", "/dev/ttyS77", "--format", "9N1"][..], "format"),
        (&["line1"][..], "--port /dev/"),
    ] {
        let output = add(&config, words);
        assert_ne!(output.status.code(), Some(0), "{words:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(part), "{words:?}\n{text}");
        assert_eq!(names(&beside), [""; 0], "{words:?}");
        assert!(!folder.path().join("x.yaml").exists());
    }
    // Nothing is added to a configuration that is already wrong.
    fs::write(&config, "auth: nobody\n").unwrap();
    assert_eq!(add(&config, &["plc1", "--tcp", "192.0.2.1:502"]).status.code(), Some(78));
    assert!(!beside.exists());
}

#[test]
fn at_a_terminal_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("wsbridge.yaml");
    fs::write(&config, "auth: none\nendpoints: { first: { sim: echo } }\n").unwrap();
    let terminal = Pty::new();
    let open = || fs::OpenOptions::new().read(true).write(true).open(terminal.path()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .arg("add")
        .arg("--config")
        .arg(&config)
        .stdin(open())
        .stderr(open())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut person = terminal.device();
    person.write_all(b"192.0.2.20:502\nplc1\n").unwrap();
    let text: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    assert!(text.iter().any(|line| line.ends_with("/ws/plc1")), "{text:?}");
    let written = fs::read_to_string(folder.path().join("endpoints.d/plc1.yaml")).unwrap();
    assert_eq!(written, "plc1:\n  tcp:\n    address: \"192.0.2.20:502\"\n");
}
