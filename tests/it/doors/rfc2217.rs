//! Doors of RFC 2217, with the clients people use: pyserial, serialx, ser2net, and ourselves.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use wsbridge::{
    client::{DataBits, Flow, Levels, Parity, Settings, StopBits},
    testing::target::{self, Device, Rfc2217Target, Target},
};

use super::{Tool, door, metric};
use crate::{
    harness::{Daemon, PATIENCE, Pty, Raw, until},
    rfc2217::{Peer, all_bytes, bytes, exactly, follow, remote},
};

const IAC: u8 = 255;

/// A program in Python.
struct Python {
    child: Child,
    lines: Option<ChildStdin>,
    says: Receiver<String>,
}

impl Python {
    /// `None` where the library is not installed.
    fn start(library: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/serial_client.py");
        let mut command = Command::new("python3");
        command.args([script, library]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().ok()?;
        let (sender, says) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        if says.recv_timeout(PATIENCE).is_err() {
            eprintln!("skipped: python3 with {library} is not here");
            let _ = child.wait();
            return None;
        }
        Some(Self { lines: child.stdin.take(), child, says })
    }

    /// What a line of Python gives.
    fn run(&mut self, line: &str) -> String {
        writeln!(self.lines.as_mut().unwrap(), "{line}").unwrap();
        self.says.recv_timeout(PATIENCE).unwrap()
    }

    /// Each line gives `None`.
    fn does(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.run(line), "None", "{line}");
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.lines.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ALL: &str = "[ read, write, signals, settings ]";

/// An endpoint `e` with such a door, and what it reaches.
fn endpoint(target: &str, rights: &str, rest: &str) -> String {
    format!(
        "  e:\n    {target}\n    doors: [ {{ rfc2217: \"127.0.0.1:0\", rights: {rights}{rest} }} ]\n"
    )
}

/// A gateway on a pty.
fn on_pty(pty: &Pty, rest: &str) -> Daemon {
    let target = format!("serial: {{ port: \"{}\" }}", pty.path().display());
    let daemon = Daemon::open(&endpoint(&target, ALL, rest));
    daemon.wait_for("device open");
    daemon
}

/// A gateway on a port whose lines are heard: pyserial's server.
fn on_peer(peer: &Peer, rights: &str, rest: &str) -> Daemon {
    let target = format!("rfc2217: {{ address: \"127.0.0.1:{}\", baud: 9600 }}", peer.port);
    let daemon = Daemon::open(&endpoint(&target, rights, rest));
    daemon.wait_for("device open");
    peer.hears(&["set baudrate 9600", "set bytesize 8", "set parity N", "set stopbits 1"]);
    peer.hears(&["set xonxoff 0", "set rtscts 0"]);
    daemon
}

fn open(address: SocketAddr, more: &str) -> String {
    format!("port = serial.serial_for_url('rfc2217://{address}'{more})")
}

/// Reads until this has come.
fn hears(tool: &mut Tool, wanted: &[u8]) {
    let mut got = Vec::new();
    while !got.ends_with(wanted) {
        got.extend(tool.receive(1));
    }
}

fn sub(content: &[u8]) -> Vec<u8> {
    [&[IAC, 250, 44], content, &[IAC, 240]].concat()
}

#[test]
fn pyserial_sets_the_port_and_all_bytes_pass_both_ways() {
    let Some(mut client) = Python::start("pyserial") else { return };
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let more = ", baudrate=57600, bytesize=7, parity='E', stopbits=2, timeout=9";
    client.does(&[&open(door(&daemon), more)]);
    // It sends them one by one.
    daemon.wait_for("57600 7E2 none");
    client.does(&["data = bytes(range(256)) + bytes([255] * 300) + bytes(reversed(range(256)))"]);
    assert_eq!(client.run("port.write(data)"), "812");
    assert_eq!(pty.receive(812), all_bytes());
    pty.send(&all_bytes());
    assert_eq!(client.run("port.read(812) == data"), "True");
    client.does(&["port.baudrate = 115200", "port.rtscts = True"]);
    let line = daemon.wait_for("115200 7E2 rtscts");
    assert!(line.contains("settings changed"), "{line}");
    // Nothing is read of what came before a purge.
    client.does(&["port.rtscts = False"]);
    pty.send(b"old");
    until("it has come", || (client.run("port.in_waiting >= 3") == "True").then_some(()));
    client.does(&["port.reset_input_buffer()", "port.reset_output_buffer()"]);
    pty.send(b"new");
    assert_eq!(client.run("port.read(3)"), "b'new'");
    client.does(&["port.close()"]);
}

#[test]
fn pyserial_moves_lines_breaks_and_hears_the_modem() {
    let (Some(mut peer), Some(mut client)) = (Peer::start(), Python::start("pyserial")) else {
        return;
    };
    let daemon = on_peer(&peer, ALL, "");
    client.does(&[&open(door(&daemon), ", baudrate=9600, timeout=9")]);
    // It set nothing that was not so, and the lines are up already as far as anybody knows.
    client.does(&["port.dtr = False", "port.rts = False"]);
    peer.hears(&["set dtr 0", "set rts 0"]);
    client.does(&[
        "port.dtr = True",
        "port.break_condition = True",
        "port.break_condition = False",
    ]);
    peer.hears(&["set dtr 1", "set break_condition 1", "set break_condition 0"]);
    assert_eq!(client.run("port.cts, port.cd"), "(False, False)");
    peer.order("cts 1");
    until("CTS", || (client.run("port.cts") == "True").then_some(()));
    peer.order("cd 1");
    until("CD", || (client.run("port.cd") == "True").then_some(()));
    // A speed that the port has not is refused, and nothing of it stays.
    let refused = client.run("port.baudrate = 12345");
    assert!(refused.contains("rejected"), "{refused}");
    client.does(&["port._baudrate = 9600", "port.parity = 'E'"]);
    for last in ["set parity E", "set rtscts 0"] {
        while peer.says.recv_timeout(PATIENCE).unwrap() != last {}
    }
    client.does(&["port._poll_modem_state = True"]);
    assert_eq!(client.run("port.cts, port.ri"), "(True, False)");
    client.does(&["port.rfc2217_send_subnegotiation(bytes([10]), bytes([31]))"]);
    peer.order("linestate 16");
    until("break", || (client.run("port._linestate") == "16").then_some(()));
}

#[test]
fn an_observer_gets_real_values_and_changes_nothing() {
    let (Some(peer), Some(mut client)) = (Peer::start(), Python::start("pyserial")) else {
        return;
    };
    let daemon = on_peer(&peer, "[ read ]", "");
    client.does(&[&open(door(&daemon), ", baudrate=9600, timeout=9")]);
    for refused in ["port.baudrate = 115200", "port.dtr = False", "port.parity = 'E'"] {
        let why = client.run(refused);
        assert!(why.contains("rejected"), "{refused}: {why}");
    }
    let mut device = fs::OpenOptions::new().write(true).open(&peer.device).unwrap();
    device.write_all(b"seen").unwrap();
    assert_eq!(client.run("port.read(4)"), "b'seen'");
    drop(client);
    daemon.wait_for("session closed");
    assert!(peer.says.try_recv().is_err(), "nothing was set");
}

#[test]
fn who_does_not_hold_the_lease_changes_nothing() {
    let (Some(peer), Some(mut client)) = (Peer::start(), Python::start("pyserial")) else {
        return;
    };
    let daemon = on_peer(&peer, ALL, ", banner: true");
    let writer = Raw::upgrade(daemon.address(), "e?role=writer");
    client.does(&[&open(door(&daemon), ", baudrate=9600, timeout=9")]);
    let why = client.run("port.baudrate = 115200");
    assert!(why.contains("rejected"), "{why}");
    drop(client);
    daemon.wait_for("session closed");
    // Bytes that go nowhere are no success, and the reason is told.
    let mut tool = Tool::new(&daemon);
    tool.send(&[&[IAC, 251, 44][..], b"lost", b"beyond twelve bytes"].concat());
    let (said, end) = tool.end();
    assert!(String::from_utf8_lossy(&said).contains("in use by"), "{said:?}");
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
    drop(writer);
    let mut client = Python::start("pyserial").unwrap();
    client.does(&[&open(door(&daemon), ", baudrate=19200, timeout=9")]);
    peer.hears(&["set baudrate 19200"]);
}

#[test]
fn pairs_of_lines_move_together_and_a_hundred_pulses_are_a_hundred() {
    let Some(peer) = Peer::start() else { return };
    let daemon = on_peer(&peer, ALL, "");
    let mut tool = Tool::new(&daemon);
    let pulse = [sub(&[5, 9]), sub(&[5, 8])].concat();
    tool.send(&[sub(&[5, 9]), sub(&[5, 12]), pulse.repeat(100), b"end".to_vec()].concat());
    peer.hears(&["set dtr 0", "set rts 0"]);
    for _ in 0..100 {
        peer.hears(&["set dtr 0", "set dtr 1"]);
    }
    let device = fs::File::open(&peer.device).unwrap();
    assert_eq!(exactly(device, 3), b"end");
    // Every one of them is answered, in order.
    let answers = [sub(&[105, 9]), sub(&[105, 12])].concat();
    let pulse = [sub(&[105, 9]), sub(&[105, 8])].concat();
    let wanted = [answers, pulse.repeat(100)].concat();
    hears(&mut tool, &wanted);
}

#[test]
fn a_storm_of_options_and_questions_is_bounded_and_harms_nobody() {
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let mut storm = TcpStream::connect(door(&daemon)).unwrap();
    storm.set_nonblocking(true).unwrap();
    // AYT and unknown options, and questions that each want an answer, of one who reads none.
    let mut piece = [IAC, 246, IAC, 251, 24, IAC, 253, 31, IAC, 251, 0, IAC, 252, 0].repeat(100);
    piece.extend(sub(&[1, 0, 0, 0, 0]).repeat(100));
    let (mut sent, mut stuck, mut at) = (0, 0, 0);
    // A kernel takes a few megabytes that nobody reads.
    while sent < 64 << 20 && stuck < 100 {
        if let Ok(n) = storm.write(&piece[at..]) {
            (sent, stuck, at) = (sent + n, 0, (at + n) % piece.len());
        } else {
            stuck += 1;
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    assert!(stuck == 100, "it is read without end: {sent} bytes");
    let mut tool = Tool::new(&daemon);
    tool.send(&[sub(&[0]), b"AT\r".to_vec()].concat());
    assert_eq!(pty.receive(3), b"AT\r");
    let name = format!("wsbridge/{} e", env!("CARGO_PKG_VERSION"));
    let wanted = sub(&[&[100], name.as_bytes()].concat());
    hears(&mut tool, &wanted);
    assert!(metric(&daemon, "wsbridge_sessions_open{endpoint=\"e\"}") >= 1);
}

#[test]
fn a_sub_negotiation_without_an_end_swallows_nothing_for_long() {
    let pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let mut tool = Tool::new(&daemon);
    tool.send(&[&sub(&[5, 7])[..], &[IAC, 250, 44, 1, 2, 3], b"swallowed"].concat());
    let (said, _) = tool.end();
    assert!(said.ends_with(&sub(&[105, 8])), "{said:?}");
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("sub-negotiation of 12 bytes has no end"), "{closed}");
}

#[tokio::test]
async fn two_gateways_in_a_row_are_one() {
    let pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let settings = Settings {
        baud: 115_200,
        data: DataBits::Seven,
        parity: Parity::Even,
        stop: StopBits::Two,
        flow: Flow::None,
    };
    let target = Rfc2217Target { settings, ..remote(door(&daemon).port()) };
    let Device { reader, mut writer, port, notes, .. } =
        target::open(&Target::Rfc2217(target)).await.unwrap();
    assert_eq!(notes, Vec::<String>::new());
    let line = daemon.wait_for("settings changed");
    assert!(line.contains("115200 7E2 none"), "{line}");
    let (_reading, mut seen) = follow(reader);
    let mut device = pty.device();
    device.write_all(&all_bytes()).unwrap();
    assert_eq!(bytes(&mut seen, all_bytes().len()).await, all_bytes());
    writer.write_all(&all_bytes()).await.unwrap();
    assert_eq!(exactly(pty.device(), all_bytes().len()), all_bytes());
    port.flush(true, true).await.unwrap();
    let slower = Settings { baud: 1200, ..settings };
    port.configure(slower).await.unwrap();
    assert_eq!(port.settings().await, Ok(slower));
    port.set(Levels { dtr: Some(true), rts: Some(true), brk: None }).await.unwrap();
}

#[test]
fn serialx_opens_sets_and_passes_all_bytes() {
    let Some(mut client) = Python::start("serialx") else { return };
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let opened = client.run(&open(door(&daemon), ", baudrate=38400, read_timeout=9"));
    assert_eq!(opened, "None");
    client.run("port.open()");
    let line = daemon.wait_for("settings changed");
    assert!(line.contains("38400 8N1 none"), "{line}");
    client.does(&["data = bytes(range(256)) + bytes([255] * 300) + bytes(reversed(range(256)))"]);
    client.run("port.write(data)");
    assert_eq!(pty.receive(812), all_bytes());
    pty.send(&all_bytes());
    assert_eq!(client.run("port.readexactly(812) == data"), "True");
    assert_eq!(client.run("port.get_modem_pins().cts.name"), "'LOW'");
}

/// ser2net as a client: a TCP port of its own, and our door behind it.
struct Ser2netClient {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Ser2netClient {
    fn start(accepter: &str, door: SocketAddr) -> Option<Self> {
        if Command::new("ser2net").arg("-v").output().is_err() {
            eprintln!("skipped: ser2net is not here");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("ser2net.yaml");
        let (host, to) = (door.ip(), door.port());
        let text = format!(
            "%YAML 1.1\n---\nconnection: &far\n  accepter: {accepter}tcp,127.0.0.1,{port}\n  connector: telnet(rfc2217),tcp,{host},{to}\n"
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("ser2net");
        let child = command.arg("-n").arg("-u").arg("-c").arg(&file).spawn().unwrap();
        Some(Self { child, port, _folder: folder })
    }
}

impl Drop for Ser2netClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ser2net_is_a_client_of_a_door() {
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let Some(far) = Ser2netClient::start("", door(&daemon)) else { return };
    let mut tool = until("ser2net listens", || TcpStream::connect(("127.0.0.1", far.port)).ok());
    tool.set_read_timeout(Some(PATIENCE)).unwrap();
    tool.write_all(&all_bytes()).unwrap();
    assert_eq!(pty.receive(812), all_bytes());
    pty.send(&all_bytes());
    let mut got = vec![0; 812];
    tool.read_exact(&mut got).unwrap();
    assert_eq!(got, all_bytes());
}

#[test]
fn ser2net_passes_settings_on_to_a_door() {
    let Some(mut client) = Python::start("pyserial") else { return };
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let Some(far) = Ser2netClient::start("telnet(rfc2217),", door(&daemon)) else { return };
    until("ser2net listens", || TcpStream::connect(("127.0.0.1", far.port)).ok());
    let there = SocketAddr::from(([127, 0, 0, 1], far.port));
    client.does(&[&open(there, ", baudrate=19200, bytesize=7, parity='O', timeout=9")]);
    daemon.wait_for("19200 7O1 none");
    assert_eq!(client.run("port.write(b'AT')"), "2");
    assert_eq!(pty.receive(2), b"AT");
    client.does(&["port.baudrate = 230400"]);
    daemon.wait_for("230400 7O1 none");
    client.does(&["port.close()"]);
}

#[test]
fn who_asks_is_told_when_the_last_byte_has_left_and_what_was_ignored_is_counted() {
    let mut pty = Pty::new();
    let daemon = on_pty(&pty, "");
    let mut tool = Tool::new(&daemon);
    // WILL COM-PORT-OPTION, SET-LINESTATE-MASK of the two bits, a command that nobody knows.
    tool.send(&[&[IAC, 251, 44][..], &sub(&[10, 0x60]), &sub(&[77, 1]), b"AT"].concat());
    hears(&mut tool, &sub(&[110, 0x60]));
    hears(&mut tool, &sub(&[106, 0x60]));
    assert_eq!(pty.receive(2), b"AT");
    let ignored = "wsbridge_telnet_ignored_total{endpoint=\"e\",kind=\"unknown\"}";
    assert_eq!(metric(&daemon, ignored), 1);
}
