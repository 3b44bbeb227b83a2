//! The daemon's life: start, reload, stop, and what it says when it cannot.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Instant,
};

use rustix::process::Signal;
use sha2::{Digest, Sha256};

use crate::harness::{Daemon, PATIENCE, Raw, Target, client::upgrade_head, daemon::OPEN};

#[test]
fn a_tcp_endpoint_carries_bytes_both_ways() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.frame(2, b"hello");
    assert_eq!(client.data(5), b"hello");
}

#[test]
fn sigterm_closes_sessions_with_1001_and_exits_0() {
    let echo = Target::echo();
    let mut daemon = Daemon::open(&echo.endpoint("echo"));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    daemon.signal(Signal::TERM);
    assert_eq!(client.closed().map(|(code, _)| code), Some(1001));
    client.frame(8, &1001_u16.to_be_bytes());
    let begun = Instant::now();
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(begun.elapsed().as_secs() < 6);
}

#[test]
fn a_stop_takes_less_than_6_seconds_though_a_client_answers_nothing() {
    let echo = Target::echo();
    let mut daemon = Daemon::open(&echo.endpoint("echo"));
    let _client = Raw::upgrade(daemon.address(), "echo");
    let begun = Instant::now();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(begun.elapsed().as_secs_f32() < 6.0, "{:?}", begun.elapsed());
}

#[test]
fn a_reload_keeps_unchanged_endpoints_and_ends_removed_and_moved_ones() {
    let (kept, gone, moved) = (Target::echo(), Target::echo(), Target::echo());
    let all = [kept.endpoint("kept"), gone.endpoint("gone"), moved.endpoint("moved")].concat();
    let daemon = Daemon::open(&all);
    let address = daemon.address();
    let mut clients = ["kept", "gone", "moved"].map(|name| Raw::upgrade(address, name));
    let said = daemon.reload(&format!("{OPEN}{}{}", kept.endpoint("kept"), gone.endpoint("moved")));
    assert!(said.contains("removed gone; changed moved"), "{said}");
    assert_eq!(clients[1].closed().map(|(code, _)| code), Some(4404));
    assert_eq!(clients[2].closed().map(|(code, _)| code), Some(4420));
    clients[0].frame(2, b"still here");
    assert_eq!(clients[0].data(10), b"still here");
    let mut again = Raw::upgrade(address, "moved");
    again.frame(2, b"x");
    assert_eq!(again.data(1), b"x");
}

#[test]
fn an_invalid_file_changes_nothing_and_says_why() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    let said = daemon.reload(&format!("{OPEN}  echo:\n    tpc: {{ address: \"127.0.0.1:1\" }}\n"));
    assert!(said.contains("not reloaded") && said.contains("tpc"), "{said}");
    client.frame(2, b"still here");
    assert_eq!(client.data(10), b"still here");
}

#[test]
fn a_reload_adds_and_removes_listeners() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let two = OPEN.replacen(
        "auth: none",
        "  - address: \"unix:{dir}/wsbridge.sock\"\n    tls: none\nauth: none",
        1,
    );
    daemon.reload(&format!("{two}{}", echo.endpoint("echo")));
    let socket = daemon.folder().join("wsbridge.sock");
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    daemon.reload(&format!("{OPEN}{}", echo.endpoint("echo")));
    daemon.wait_for("no longer listening on unix:");
    Raw::upgrade(daemon.address(), "echo");
}

#[test]
fn a_reload_puts_tls_on_the_same_port_and_running_sessions_go_on() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let address = daemon.address();
    let mut client = Raw::upgrade(address, "echo");
    // The port the system chose, which a configuration with `:0` keeps.
    daemon.reload(&format!(
        "{}{}",
        OPEN.replace("tls: none", "tls: self-signed"),
        echo.endpoint("echo")
    ));
    assert!(daemon.wait_for("tls=true").contains(&address.to_string()));
    client.frame(2, b"still here");
    assert_eq!(client.data(10), b"still here");
    let answer =
        Raw::ask(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_reload_opens_a_port_of_loopback_to_the_network_and_closes_it_again() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    // A port that was free a moment ago: with `:0` it would be given another one.
    let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let at = |address: &str| {
        let written = OPEN.replacen("127.0.0.1:0", &format!("{address}:{port}"), 1);
        assert!(
            written.contains(&port.to_string()),
            "the harness's configuration is another one: {OPEN}"
        );
        let plain = if address == "[::]" {
            let login = format!("tokens: {{ a: {{ sha256: {} }} }}", "0f".repeat(32));
            written
                .replace("tls: none", "tls: none\n    plain: accepted")
                .replace("auth: none", &login)
        } else {
            written
        };
        daemon.reload(&format!("{plain}{}", echo.endpoint("echo")))
    };
    let healthy = |address: &str| {
        let address = format!("{address}:{port}").parse().unwrap();
        Raw::ask(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    };
    for address in ["127.0.0.1", "[::]", "127.0.0.1"] {
        let said = at(address);
        assert!(!said.contains("not reloaded"), "{address}: {said}");
        assert!(healthy("127.0.0.1"), "{address}");
        // The socket goes a moment after the message.
        let began = Instant::now();
        while TcpStream::connect(("::1", port)).is_ok() != (address == "[::]") {
            assert!(began.elapsed() < PATIENCE, "{address}");
        }
    }
    // A second gateway does not get a share of the port.
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
}

#[test]
fn a_port_in_use_is_one_clear_line_and_exit_code_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let echo = Target::echo();
    let config =
        format!("{}{}", OPEN.replace(":0\"", &format!(":{port}\"")), echo.endpoint("echo"));
    let (code, said) = Daemon::fails(&config);
    assert_eq!(code, 69, "{said}");
    assert!(
        said.lines().last().unwrap().contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
}

#[test]
fn a_bad_configuration_is_exit_code_78_and_names_the_nearest_key() {
    let (code, said) = Daemon::fails(&OPEN.replace("auth:", "atuh:"));
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("`auth`"), "{said}");
}

#[test]
fn a_missing_device_and_an_unreachable_host_do_not_stop_the_start() {
    let daemon = Daemon::open(
        "  gone:\n    serial: { port: { path: /dev/wsbridge-none } }\n  far:\n    tcp: { address: \"nowhere.invalid:1\" }\n",
    );
    let answer = Raw::ask(
        daemon.address(),
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// What systemd hears: datagrams on `NOTIFY_SOCKET`.
#[test]
fn systemd_hears_ready_reloading_watchdog_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let hears = |word: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length =
                systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("no {word}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.contains(word) {
                return message;
            }
        }
    };
    let echo = Target::echo();
    let config = format!("{OPEN}{}", echo.endpoint("echo"));
    let mut daemon = Daemon::start_with(&config, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    assert!(hears("READY=1").contains("STATUS=1 endpoint on 127.0.0.1:"));
    hears("WATCHDOG=1");
    daemon.reload(&config);
    assert!(hears("RELOADING=1").contains("MONOTONIC_USEC="));
    hears("READY=1");
    daemon.reload("nonsense: 1\n");
    hears("the last reload failed");
    daemon.signal(Signal::TERM);
    hears("STOPPING=1");
    assert_eq!(daemon.exit().code(), Some(0));
}

#[test]
fn a_socket_of_systemds_is_taken_over_by_its_name() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let echo = Target::echo();
    let access = format!(
        "    plain: accepted\ntokens:\n  a: {{ sha256: \"{}\", rights: {{ echo: [ read, write ] }} }}",
        hex(&Sha256::digest("wsb_a"))
    );
    let config = OPEN.replace("127.0.0.1:0", "systemd:web").replace("auth: none", &access);
    let daemon = Daemon::start_with(&format!("{config}{}", echo.endpoint("echo")), |command| {
        // The shell gives the descriptor the number 3 and puts its own process id into the
        // variables, then becomes the daemon.
        let inner = std::mem::replace(command, Command::new("sh"));
        let script =
            "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" \"$@\" 3<&0 0</dev/null";
        command.args(["-c", script]).arg(inner.get_program()).args(inner.get_args());
        command
            .stdin(std::os::fd::OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    });
    let mut client = Raw::connect(address);
    client.send(upgrade_head(address, "echo", "Authorization: Bearer wsb_a\r\n").as_bytes());
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    client.frame(2, b"handed over");
    assert_eq!(client.data(11), b"handed over");
    drop(daemon);
}

#[test]
fn a_session_ends_when_its_token_is_withdrawn_or_replaced() {
    let echo = Target::echo();
    let hash = |text: &str| hex(&Sha256::digest(text));
    let config = |tokens: &str| {
        format!(
            "{}{}",
            OPEN.replace("auth: none", &format!("tokens:\n{tokens}")),
            echo.endpoint("echo")
        )
    };
    let token = |name: &str, text: &str| {
        format!("  {name}: {{ sha256: \"{}\", rights: {{ echo: [ read, write ] }} }}\n", hash(text))
    };
    let all = [token("a", "wsb_a"), token("b", "wsb_b"), token("c", "wsb_c")].concat();
    let daemon = Daemon::start(&config(&all));
    let mut clients = ["wsb_a", "wsb_b", "wsb_c"].map(|text| {
        let mut raw = Raw::connect(daemon.address());
        let bearer = format!("Authorization: Bearer {text}\r\n");
        raw.send(upgrade_head(daemon.address(), "echo", &bearer).as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        raw
    });
    daemon.reload(&config(&[token("a", "wsb_a"), token("b", "wsb_other")].concat()));
    assert_eq!(clients[1].closed().map(|(code, _)| code), Some(4401));
    assert_eq!(clients[2].closed().map(|(code, _)| code), Some(4401));
    clients[0].frame(2, b"still here");
    assert_eq!(clients[0].data(10), b"still here");
}

#[test]
fn the_metrics_page_shows_sessions_and_bytes() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.frame(2, b"hello");
    client.data(5);
    client.frame(8, &1000_u16.to_be_bytes());
    client.rest();
    daemon.wait_for("session closed");
    let page = Raw::ask(
        daemon.address(),
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    for line in [
        "wsbridge_sessions_total{endpoint=\"echo\"} 1\n",
        "wsbridge_bytes_total{endpoint=\"echo\",direction=\"to_target\"} 5\n",
        "wsbridge_bytes_total{endpoint=\"echo\",direction=\"to_client\"} 5\n",
        "wsbridge_session_endings_total{reason=\"client_closed\"} 1\n",
        "# EOF\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn an_invalid_file_is_named_by_line_and_column() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let said = daemon.reload(&format!("{OPEN}  echo:\n    tpc: {{ address: \"127.0.0.1:1\" }}\n"));
    assert!(said.contains(":7:5") && said.contains("`tcp`"), "{said}");
}
