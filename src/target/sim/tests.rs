//! Each device, talked to through its real pty or TCP port.

use std::{os::unix::fs::OpenOptionsExt, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::*;
use crate::config::{PortIdentity, TcpAddress};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

async fn begin(device: SimDevice) -> Sim {
    start(&SimTarget { device }).await.unwrap()
}

async fn connect(sim: &Sim) -> TcpStream {
    let Target::Tcp(tcp) = &sim.target else { panic!("{:?} is no TCP target", sim.target) };
    let TcpAddress::Host(host, port) = &tcp.address else { panic!("{:?} is no port", tcp.address) };
    TcpStream::connect((host.as_str(), *port)).await.unwrap()
}

fn open(sim: &Sim) -> tokio::fs::File {
    let Target::Serial(serial) = &sim.target else {
        panic!("{:?} is no serial target", sim.target)
    };
    let PortIdentity::Path(path) = &serial.port else { panic!("{:?} is no path", serial.port) };
    let noctty = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(noctty)
        .open(path)
        .unwrap()
        .into()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

async fn expect(stream: &mut (impl AsyncRead + Unpin), expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    timeout(LONG, stream.read_exact(&mut got)).await.expect("an answer in time").unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
}

async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut got = Vec::new();
    while !got.ends_with(end.as_bytes()) {
        got.push(timeout(LONG, stream.read_u8()).await.expect("an answer in time").unwrap());
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_modem_answers_and_dials_through_its_pty() {
    let sim = begin(SimDevice::Modem).await;
    let mut tty = open(&sim);
    send(&mut tty, b"AT\r").await;
    expect(&mut tty, b"AT\r\r\nOK\r\n").await;
    send(&mut tty, b"ATD123\r").await;
    expect(&mut tty, b"ATD123\r\r\nCONNECT 9600\r\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_serial_plc_answers_through_its_pty() {
    let sim = begin(SimDevice::ModbusRtu).await;
    let mut tty = open(&sim);
    send(&mut tty, b"\x01\x03\x00\x02\x00\x01\x25\xCA").await;
    let mut answer = [0; 7];
    timeout(LONG, tty.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[..5], [1, 3, 2, 0, 200]);
}

#[tokio::test]
async fn the_network_plc_serves_many_connections_and_hangs_up_on_nonsense() {
    let sim = begin(SimDevice::ModbusTcp).await;
    let mut plcs = Vec::new();
    for _ in 0..20 {
        plcs.push(connect(&sim).await);
    }
    for plc in &mut plcs {
        send(plc, &[0, 9, 0, 0, 0, 6, 1, 3, 0, 2, 0, 1]).await;
        expect(plc, &[0, 9, 0, 0, 0, 5, 1, 3, 2, 0, 200]).await;
    }
    let mut nonsense = plcs.pop().unwrap();
    send(&mut nonsense, b"GET / HTTP/1.1\r\n\r\n").await;
    let mut rest = Vec::new();
    // Because of what we sent after the broken header, the end may be a reset.
    let _ = timeout(LONG, nonsense.read_to_end(&mut rest)).await.expect("hung up");
    assert_eq!(rest, b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_boots_and_answers_through_its_pty() {
    let sim = begin(SimDevice::Console).await;
    let mut tty = open(&sim);
    assert!(read_until(&mut tty, "router> ").await.contains("Starting kernel"));
    send(&mut tty, b"show version\r").await;
    assert!(read_until(&mut tty, "router> ").await.contains("uptime"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_echo_returns_every_byte_value_through_a_pty_and_survives_a_reopening() {
    let sim = begin(SimDevice::Echo).await;
    let all: Vec<u8> = (0..=255).collect();
    for _ in 0..2 {
        let mut tty = open(&sim);
        send(&mut tty, &all).await;
        expect(&mut tty, &all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_through_the_echos_pty_comes_back_whole() {
    let sim = begin(SimDevice::Echo).await;
    let (mut reader, mut writer) = (open(&sim), open(&sim));
    let sent: Vec<u8> = (0..250_000u32).flat_map(u32::to_le_bytes).collect();
    let mut got = vec![0; sent.len()];
    let both = async { tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got)) };
    let (wrote, read) = timeout(LONG, both).await.unwrap();
    wrote.unwrap();
    read.unwrap();
    assert!(got == sent);
}

#[tokio::test]
async fn the_tcp_echo_returns_what_was_sent_before_a_half_close_then_ends() {
    let sim = begin(SimDevice::EchoTcp).await;
    let (mut reader, mut writer) = connect(&sim).await.into_split();
    let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    let write = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let read = reader.read_to_end(&mut got);
    timeout(LONG, async { tokio::join!(write, read).1.unwrap() }).await.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[tokio::test]
async fn the_source_sends_numbered_lines_until_its_reader_ends() {
    let sim = begin(SimDevice::Source).await;
    let mut stream = connect(&sim).await;
    let mut got = vec![0; 64 * 5000];
    timeout(LONG, stream.read_exact(&mut got)).await.unwrap().unwrap();
    let expected: String = (1..=5000).map(source::line).collect();
    assert!(got == expected.as_bytes());
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest.len() % 64, 0, "whole lines to the end");
}

#[tokio::test]
async fn a_dropped_device_is_gone() {
    let sim = begin(SimDevice::EchoTcp).await;
    let mut stream = connect(&sim).await;
    drop(sim);
    let mut rest = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("the connection ends");
}
