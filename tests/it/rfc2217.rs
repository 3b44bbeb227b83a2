//! Serial ports on other boxes, played by the servers people use: pyserial's and ser2net.

mod carrier;
mod hostile;
mod sessions;

use std::{
    fs,
    future::poll_fn,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
    pin::Pin,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    task::Poll,
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use wsbridge::{
    client::{DataBits, ErrorCounts, Flow, Inputs, Levels, LineEvent, Parity, Settings, StopBits},
    testing::target::{
        self, CarrierRules, Device, OpenError, PortControl, PortError, Rfc2217Target, Source,
        Target, TcpAddress, TcpTarget,
    },
};

use crate::harness::{Daemon, PATIENCE, Pty, Raw};

/// Two of the three ends of the test: pyserial's server, and what it says.
pub(crate) struct Peer {
    child: Child,
    orders: Option<ChildStdin>,
    pub(crate) says: Receiver<String>,
    pub(crate) port: u16,
    pub(crate) device: PathBuf,
}

impl Peer {
    /// `None` where pyserial is not installed.
    pub(crate) fn start() -> Option<Self> {
        let installed = Command::new("python3").args(["-c", "import serial.rfc2217"]).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: python3 with pyserial is not here");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/rfc2217_server.py");
        let mut command = Command::new("python3");
        let mut child =
            command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, says) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let first = says.recv_timeout(PATIENCE).unwrap();
        let [_, port, device] = first.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (port, device) = (port.parse().unwrap(), device.into());
        let orders = child.stdin.take();
        Some(Self { child, orders, says, port, device })
    }

    pub(crate) fn order(&mut self, words: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{words}").unwrap();
        self.hears(&[&format!("did {words}")]);
    }

    /// Exactly these lines come next.
    pub(crate) fn hears(&self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.says.recv_timeout(PATIENCE).as_deref(), Ok(*line));
        }
    }

    fn target(&self) -> Rfc2217Target {
        remote(self.port)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn remote(port: u16) -> Rfc2217Target {
    Rfc2217Target {
        tcp: TcpTarget {
            address: TcpAddress::Host("127.0.0.1".into(), port),
            connect_timeout: Duration::from_secs(5),
            keepalive: None,
            dead_after: Duration::from_secs(30),
            user_timeout: None,
            tls: None,
            usb: None,
            heartbeat: None,
        },
        settings: Settings { baud: 115_200, ..Settings::default() },
        on_open: Levels::default(),
        on_release: Levels::default(),
        carrier: CarrierRules::default(),
        control: PortControl::Required,
    }
}

/// What a device has sent so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    bytes: Vec<u8>,
    marks: Vec<(usize, LineEvent)>,
}

/// Reads a device as a line does; the task ends with the set.
pub(crate) fn follow(mut reader: Box<dyn Source>) -> (JoinSet<()>, watch::Receiver<Seen>) {
    let (sender, seen) = watch::channel(Seen::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut bytes, mut marks) = ([0; 1024], Vec::new());
            let mut buf = ReadBuf::new(&mut bytes);
            poll_fn(|cx| reader.poll_read(cx, &mut buf, &mut marks)).await.unwrap();
            if buf.filled().is_empty() && marks.is_empty() {
                return;
            }
            sender.send_modify(|seen| {
                let before = seen.bytes.len();
                seen.bytes.extend(buf.filled());
                seen.marks.extend(marks.iter().map(|(at, event)| (before + at, *event)));
            });
        }
    });
    (tasks, seen)
}

/// Waits until a device has sent this many bytes.
pub(crate) async fn bytes(seen: &mut watch::Receiver<Seen>, count: usize) -> Vec<u8> {
    let enough = timeout(PATIENCE, seen.wait_for(|seen| seen.bytes.len() >= count)).await;
    enough.expect("bytes in time").unwrap().bytes.clone()
}

/// All bytes, with the one that telnet escapes many times over.
pub(crate) fn all_bytes() -> Vec<u8> {
    (0..=255).chain([255; 300]).chain((0..=255).rev()).collect()
}

pub(crate) fn exactly(mut file: fs::File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    file.read_exact(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn pyserials_server_is_set_and_all_bytes_pass_both_ways() {
    let Some(peer) = Peer::start() else { return };
    let settings = Settings {
        baud: 460_800,
        data: DataBits::Seven,
        parity: Parity::Even,
        stop: StopBits::Two,
        flow: Flow::Hardware,
    };
    let on_open = Levels { dtr: Some(false), rts: Some(true), brk: None };
    let target = Rfc2217Target { settings, on_open, ..peer.target() };
    let Device { reader, mut writer, port, notes, .. } =
        target::open(&Target::Rfc2217(target)).await.unwrap();
    assert_eq!(notes, Vec::<String>::new());
    peer.hears(&[
        "set baudrate 460800",
        "set bytesize 7",
        "set parity E",
        "set stopbits 2",
        "set rtscts 1",
    ]);
    peer.hears(&["set dtr 0", "set rts 1"]);
    assert_eq!(port.settings().await, Ok(settings));
    let (_reading, mut seen) = follow(reader);
    let mut device = fs::OpenOptions::new().read(true).write(true).open(&peer.device).unwrap();
    device.write_all(&all_bytes()).unwrap();
    assert_eq!(bytes(&mut seen, all_bytes().len()).await, all_bytes());
    writer.write_all(&all_bytes()).await.unwrap();
    assert_eq!(exactly(device, all_bytes().len()), all_bytes());
}

#[tokio::test]
async fn settings_change_and_what_the_peer_refuses_is_told_and_taken_back() {
    let Some(peer) = Peer::start() else { return };
    let Device { reader, port, .. } = target::open(&Target::Rfc2217(peer.target())).await.unwrap();
    let _reading = follow(reader);
    let other = Settings { baud: 57_600, parity: Parity::Mark, ..peer.target().settings };
    port.configure(other).await.unwrap();
    assert_eq!(port.settings().await, Ok(other));
    let error =
        port.configure(Settings { baud: 12_345, data: DataBits::Five, ..other }).await.unwrap_err();
    assert_eq!(error, PortError::BadSettings("asked for 12345 baud, the peer set 57600".into()));
    assert_eq!(port.settings().await, Ok(other));
    port.flush(true, true).await.unwrap();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line| line != "purge output") {
        heard.push(peer.says.recv_timeout(PATIENCE).unwrap());
    }
    let sizes: Vec<_> = heard.iter().filter(|line| line.starts_with("set bytesize")).collect();
    assert_eq!(sizes, ["set bytesize 8", "set bytesize 8", "set bytesize 5", "set bytesize 8"]);
    assert_eq!(heard[heard.len() - 2..], ["purge input", "purge output"]);
}

#[tokio::test]
async fn modem_lines_break_and_errors_pass_and_a_suspended_writer_waits() {
    let Some(mut peer) = Peer::start() else { return };
    let Device { reader, mut writer, port, .. } =
        target::open(&Target::Rfc2217(peer.target())).await.unwrap();
    let (_reading, mut seen) = follow(reader);
    peer.hears(&["set baudrate 115200", "set bytesize 8", "set parity N", "set stopbits 1"]);
    peer.hears(&["set xonxoff 0", "set rtscts 0"]);
    for (dtr, rts) in [(false, true), (true, false)] {
        port.set(Levels { dtr: Some(dtr), rts: Some(rts), brk: None }).await.unwrap();
        peer.hears(&[
            &format!("set dtr {}", i32::from(dtr)),
            &format!("set rts {}", i32::from(rts)),
        ]);
    }
    for on in [true, false] {
        port.set(Levels { brk: Some(on), ..Levels::default() }).await.unwrap();
        peer.hears(&[&format!("set break_condition {}", i32::from(on))]);
    }
    let none = Inputs::default();
    assert_eq!(port.inputs().await, Ok(none));
    peer.order("cts 1");
    let first = port.inputs_changed(none).await.unwrap();
    assert_eq!(first, Inputs { cts: true, ..none });
    peer.order("ri 1");
    assert_eq!(port.inputs_changed(first).await, Ok(Inputs { ri: true, ..first }));

    let mut device = fs::OpenOptions::new().read(true).write(true).open(&peer.device).unwrap();
    device.write_all(b"ab").unwrap();
    bytes(&mut seen, 2).await;
    peer.order("linestate 24");
    peer.order("suspend");
    device.write_all(b"c").unwrap();
    bytes(&mut seen, 3).await;
    assert_eq!(seen.borrow().marks, [(2, LineEvent::Framing), (2, LineEvent::Break)]);
    let counts = ErrorCounts { framing: 1, brk: 1, ..ErrorCounts::default() };
    assert_eq!(port.errors().await, Ok(counts));
    let waits =
        poll_fn(|cx| Poll::Ready(Pin::new(&mut writer).poll_write(cx, b"x").is_pending())).await;
    assert!(waits, "suspended");
    port.set(Levels { dtr: Some(false), ..Levels::default() }).await.unwrap();
    peer.hears(&["set dtr 0"]);
    peer.order("resume");
    writer.write_all(b"x").await.unwrap();
    assert_eq!(exactly(device, 1), b"x");
}

#[tokio::test]
async fn a_daemon_serves_a_port_on_another_box_as_a_line() {
    let Some(peer) = Peer::start() else { return };
    let daemon = Daemon::open(&format!(
        "  far:\n    rfc2217: {{ address: \"127.0.0.1:{}\", baud: 19200 }}\n",
        peer.port
    ));
    let mut client = Raw::upgrade(daemon.address(), "far");
    client.frame(2, b"to the device\xff");
    let mut device = fs::OpenOptions::new().read(true).write(true).open(&peer.device).unwrap();
    assert_eq!(exactly(device.try_clone().unwrap(), 14), b"to the device\xff");
    device.write_all(b"from the device\xff").unwrap();
    assert_eq!(client.data(16), b"from the device\xff");
    peer.hears(&["set baudrate 19200"]);
}

/// ser2net in front of a pty.
pub(crate) struct Ser2net {
    child: Child,
    pub(crate) port: u16,
    pub(crate) pty: Pty,
    _folder: TempDir,
}

impl Ser2net {
    /// `None` where it is not installed. `layer` is `telnet(rfc2217),` or nothing.
    pub(crate) fn start(layer: &str) -> Option<Self> {
        if Command::new("ser2net").arg("-v").output().is_err() {
            eprintln!("skipped: ser2net is not here");
            return None;
        }
        let (pty, folder) = (Pty::new(), TempDir::new().unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("ser2net.yaml");
        let text = format!(
            "%YAML 1.1\n---\nconnection: &far\n  accepter: {layer}tcp,127.0.0.1,{port}\n  connector: serialdev,{},local\n",
            pty.path().display()
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("ser2net");
        let child = command.arg("-n").arg("-u").arg("-c").arg(&file).spawn().unwrap();
        Some(Self { child, port, pty, _folder: folder })
    }

    /// Opens as a line does: again until it listens and has let the last connection go.
    async fn open(&self, target: &Rfc2217Target) -> Result<Device, OpenError> {
        let address = remote(self.port).tcp.address;
        let tcp = TcpTarget { address, ..target.tcp.clone() };
        let target = Target::Rfc2217(Rfc2217Target { tcp, ..target.clone() });
        let there = async {
            loop {
                match target::open(&target).await {
                    Err(OpenError::Refused(_)) => target::appeared(&target).await,
                    done => return done,
                }
            }
        };
        timeout(PATIENCE, there).await.expect("ser2net answers")
    }
}

impl Drop for Ser2net {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn ser2net_is_set_and_all_bytes_pass_both_ways() {
    let Some(mut far) = Ser2net::start("telnet(rfc2217),") else { return };
    let settings = Settings { baud: 230_400, stop: StopBits::Two, ..Settings::default() };
    let opened = far.open(&Rfc2217Target { settings, ..remote(0) }).await.unwrap();
    let Device { reader, mut writer, port, notes, .. } = opened;
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(port.settings().await, Ok(settings));
    let (_reading, mut seen) = follow(reader);
    far.pty.send(&all_bytes());
    assert_eq!(bytes(&mut seen, all_bytes().len()).await, all_bytes());
    writer.write_all(&all_bytes()).await.unwrap();
    assert_eq!(far.pty.receive(all_bytes().len()), all_bytes());
    let faster = Settings { baud: 57_600, flow: Flow::Software, ..settings };
    port.configure(faster).await.unwrap();
    assert_eq!(port.settings().await, Ok(faster));
    port.set(Levels { dtr: Some(true), rts: Some(false), brk: None }).await.unwrap();
    port.flush(true, true).await.unwrap();
    writer.write_all(b"after all that").await.unwrap();
    assert_eq!(far.pty.receive(14), b"after all that");
}

#[tokio::test]
async fn a_raw_ser2net_is_no_rfc2217_server_and_serves_as_telnet_where_that_will_do() {
    let Some(mut far) = Ser2net::start("") else { return };
    let mut target = remote(0);
    target.tcp.connect_timeout = Duration::from_millis(300);
    let error = far.open(&target).await.unwrap_err();
    let OpenError::Timeout(text) = &error else { panic!("{error:?}") };
    assert!(
        text.contains("no answer to COM-PORT-OPTION, BINARY, SUPPRESS-GO-AHEAD within 0.3 s"),
        "{text}"
    );
    target.control = PortControl::Optional;
    let Device { reader, mut writer, port, notes, .. } = far.open(&target).await.unwrap();
    let _reading = follow(reader);
    assert!(notes[0].starts_with("no control of the port: no answer"), "{notes:?}");
    assert_eq!(port.settings().await, Err(PortError::Unsupported));
    writer.write_all(b"bytes").await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"bytes") {
        got.extend(far.pty.receive(1));
    }
}
