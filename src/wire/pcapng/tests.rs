//! What is written is read back, and read by other people's programs.

use std::{
    fs,
    io::{self, Write as _},
    process::Command,
    time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{settings::LineEvent, wire::modbus::crc16};

fn framed(body: &[u8]) -> Vec<u8> {
    [body, &crc16(body).to_le_bytes()].concat()
}

const SECOND: u64 = 1_000_000_000;
const BEGAN: u64 = 1_764_000_000 * SECOND;

/// A file with one interface of each kind.
fn begun() -> Vec<u8> {
    let mut out = Vec::new();
    section(&mut out, "wsbridge test");
    interface(&mut out, Link::Serial, "plc1", "9600 8N1");
    interface(&mut out, Link::UpperPdu, "plc1", "Modbus");
    interface(&mut out, Link::Ip, "plc1", "");
    out
}

proptest! {
    #[test]
    fn packets_are_read_back_and_a_cut_file_up_to_its_last_whole_packet(
        packets in prop::collection::vec(
            (any::<u64>(), prop::option::of(any::<bool>()), prop::option::of("[ -~é]{0,30}"), any::<u64>(), prop::collection::vec(any::<u8>(), 0..50)),
            0..12,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut out = begun();
        let mut ends = vec![out.len()];
        for (at, inbound, comment, dropped, bytes) in &packets {
            let comment = comment.as_deref();
            let this = Packet { interface: 1, at: *at, inbound: *inbound, comment, dropped: *dropped };
            packet(&mut out, &this, &[bytes]);
            ends.push(out.len());
        }
        let (mut at, mut found) = (0, Vec::new());
        while let Some((block, length)) = read(&out[at..]).unwrap() {
            at += length;
            if let Block::Packet(packet, bytes) = block {
                found.push((packet.at, packet.inbound, packet.comment.map(str::to_owned), packet.dropped, bytes.to_vec()));
            }
        }
        prop_assert_eq!((at, found), (out.len(), packets));
        let cut = cut.index(out.len() - ends[0] + 1) + ends[0];
        let last = ends.iter().rev().find(|end| **end <= cut).unwrap();
        prop_assert_eq!(whole(&out[..cut]), *last);
    }

    #[test]
    fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = serial_parts(&bytes);
        let _ = Flow::parts(&bytes);
    }

    #[test]
    fn a_flow_carries_each_direction_as_it_is(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..30),
        datagrams in any::<bool>(),
    ) {
        let mut flow = Flow::new(50_000, (None, 502), datagrams);
        let mut packets = Vec::new();
        flow.open(|_, packet| packets.push(packet.to_vec()));
        for (to, bytes) in &pieces {
            packets.push(flow.data(if *to { Towards::Device } else { Towards::Client }, bytes));
        }
        flow.close(|_, packet| packets.push(packet.to_vec()));
        for way in [Towards::Device, Towards::Client] {
            let found = packets.iter().filter_map(|packet| Flow::parts(packet));
            let found: Vec<u8> = found.filter(|it| it.0 == way).flat_map(|it| it.1).copied().collect();
            let sent = pieces.iter().filter(|it| it.0 == (way == Towards::Device));
            prop_assert_eq!(found, sent.flat_map(|it| &it.1).copied().collect::<Vec<_>>());
        }
    }
}

#[test]
fn frames_become_messages_and_what_has_no_right_checksum_does_not() {
    let mut all = Transactions::new(Duration::from_millis(2));
    let mut found = Vec::new();
    let request = framed(&[17, 3, 0, 2, 0, 1]);
    let (head, tail) = request.split_at(3);
    let mut push = |at: u64, towards, bytes: &[u8]| {
        all.push((at, towards), bytes, |pdu| found.push(pdu[pdu.len() - 8..].to_vec()));
    };
    push(0, Towards::Device, head);
    push(1, Towards::Device, tail);
    push(2, Towards::Client, &framed(&[17, 3, 2, 0, 200]));
    push(3, Towards::Client, &[17, 3, 2, 0, 200, 0, 0]);
    push(SECOND, Towards::Device, &request);
    assert_eq!(
        found,
        [[0, 6, 17, 3, 0, 2, 0, 1], [0, 0, 5, 17, 3, 2, 0, 200], [0, 6, 17, 3, 0, 2, 0, 1],]
    );
}

/// Bytes of a test file: a Modbus exchange on the line and as messages, and one over TCP.
fn sample() -> Vec<u8> {
    let mut out = begun();
    let mut modbus = Transactions::new(Duration::from_millis(2));
    let write = framed(&[17, 6, 0, 2, 0, 9]);
    // The response to function 6 is the same bytes.
    for (step, towards) in [Towards::Device, Towards::Client].into_iter().enumerate() {
        let at = BEGAN + step as u64 * SECOND / 10;
        let (event, inbound) = match towards {
            Towards::Device => (SerialEvent::ToDevice, false),
            Towards::Client => (SerialEvent::FromDevice, true),
        };
        let this = Packet { at, inbound: Some(inbound), ..Packet::default() };
        packet(&mut out, &this, &[&serial_header(at, event, 0x18), &write]);
        let this = Packet { interface: 1, ..this };
        modbus.push((at, towards), &write, |pdu| packet(&mut out, &this, &[pdu]));
    }
    let at = BEGAN + SECOND;
    let broken = SerialEvent::Line(LineEvent::Break);
    let this = Packet { at, comment: Some("break"), dropped: 7, ..Packet::default() };
    packet(&mut out, &this, &[&serial_header(at, broken, 0)]);
    let mut flow = Flow::new(50_001, (None, 502), false);
    let mut put = |towards, bytes: &[u8]| {
        let inbound = Some(towards == Towards::Client);
        packet(&mut out, &Packet { interface: 2, at, inbound, ..Packet::default() }, &[bytes]);
    };
    flow.open(&mut put);
    for towards in [Towards::Device, Towards::Client] {
        put(towards, &flow.data(towards, &[0, 1, 0, 0, 0, 6, 1, 6, 0, 2, 0, 9]));
    }
    flow.close(&mut put);
    out
}

/// What a program says, or `None` if it is not here.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(args).output() else {
        let _ = writeln!(io::stderr(), "skipped: {program} is not here");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("No module named") {
        let _ = writeln!(io::stderr(), "skipped: {told}");
        return None;
    }
    assert!(output.status.success(), "{program}: {told}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn wireshark_tells_requests_and_responses_apart_without_any_setting() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sample.pcapng");
    fs::write(&file, sample()).unwrap();
    let file = file.to_str().unwrap();
    let checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"];
    if let Some(list) = said("tshark", &[&["-r", file][..], &checks].concat()) {
        let lines: Vec<_> = list.lines().collect();
        let has = |line: usize, words: &[&str]| {
            assert!(words.iter().all(|word| lines[line].contains(word)), "{line}: {list}");
        };
        has(1, &["Modbus/TCP", "Query: Trans:     1; Unit:  17, Func:   6"]);
        has(3, &["Modbus/TCP", "Response: Trans:     1; Unit:  17, Func:   6"]);
        has(8, &["Modbus/TCP", "Query: Trans:     1"]);
        has(9, &["Modbus/TCP", "Response: Trans:     1"]);
        let wrong = "_ws.expert.severity >= \"Warning\" || ip.checksum.status == \"Bad\" || tcp.checksum.status == \"Bad\"";
        let found = said("tshark", &[&["-r", file, "-Y", wrong][..], &checks].concat());
        assert_eq!(found.as_deref(), Some(""));
    }
    if let Some(told) = said("capinfos", &["-M", file]) {
        assert!(told.contains("rtac-serial") && told.contains("Number of packets:   13"), "{told}");
    }
}

#[test]
fn python_readers_of_others_read_every_packet() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sample.pcapng");
    fs::write(&file, sample()).unwrap();
    let file = file.to_str().unwrap();
    let scapy = "import sys\nfrom scapy.utils import PcapNgReader\nprint(sum(1 for _ in PcapNgReader(sys.argv[1])))";
    if let Some(count) = said("python3", &["-c", scapy, file]) {
        assert_eq!(count.trim(), "13");
    }
    let pcapng = "import sys\nfrom pcapng import FileScanner\nfrom pcapng.blocks import EnhancedPacket\n\
                  all = [b for b in FileScanner(open(sys.argv[1], 'rb')) if isinstance(b, EnhancedPacket)]\n\
                  print(len(all), all[4].options['opt_comment'], all[4].options['epb_dropcount'], all[0].timestamp)";
    if let Some(told) = said("python3", &["-c", pcapng, file]) {
        assert!(told.starts_with("13 break 7 1764000000"), "{told}");
    }
}
