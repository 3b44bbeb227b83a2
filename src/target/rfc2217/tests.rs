//! Peers that misbehave.

mod silent;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    config::{CarrierRules, TcpAddress, TcpTarget},
    settings::{Inputs, Levels, Settings},
    target::Bytes,
    wire::telnet::{self, IAC},
};

const DO_COM_PORT: [u8; 3] = [IAC, 253, 44];
const DONT_COM_PORT: [u8; 3] = [IAC, 254, 44];

/// A target, and the listener that plays it.
async fn far() -> (TcpListener, Rfc2217Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpTarget {
        address: TcpAddress::Host("127.0.0.1".into(), listener.local_addr().unwrap().port()),
        connect_timeout: Duration::from_millis(500),
        keepalive: None,
        dead_after: Duration::from_secs(30),
        user_timeout: None,
        tls: None,
        usb: None,
        heartbeat: None,
    };
    let (settings, keep) = (Settings::default(), Levels::default());
    let control = PortControl::Required;
    (
        listener,
        Rfc2217Target {
            tcp,
            settings,
            on_open: keep,
            on_release: keep,
            carrier: CarrierRules::default(),
            control,
        },
    )
}

/// Opens while the peer sends these bytes, then reads to the end.
async fn against(sends: &[u8], close: bool, control: PortControl) -> Result<Device, OpenError> {
    let (listener, target) = far().await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(sends).await.unwrap();
        if close {
            stream.shutdown().await.unwrap();
        }
        // For however long it takes.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
    };
    let target = Rfc2217Target { control, ..target };
    let mut learnt = PeerLimits::default();
    tokio::select! {
        opened = open(&target, &mut learnt) => opened,
        () = async { peer.await; std::future::pending().await } => unreachable!(),
    }
}

fn confirmations() -> Vec<u8> {
    let mut wire = DO_COM_PORT.to_vec();
    for content in [&[101, 0, 0, 0x25, 0x80][..], &[102, 8], &[103, 1], &[104, 1], &[105, 1]] {
        telnet::sub(44, content, &mut wire);
    }
    wire
}

#[tokio::test]
async fn a_silent_peer_is_given_up_and_every_option_it_did_not_answer_is_named() {
    let OpenError::Timeout(text) = against(b"", false, PortControl::Required).await.unwrap_err()
    else {
        panic!("another error")
    };
    assert!(
        text.contains("no answer to COM-PORT-OPTION, BINARY, SUPPRESS-GO-AHEAD within 0.5 s"),
        "{text}"
    );
    assert!(text.contains("control: optional"), "{text}");
    let some = [DO_COM_PORT, [IAC, 253, 0], [IAC, 251, 0]].concat();
    let OpenError::Timeout(text) =
        against(&some[3..], false, PortControl::Required).await.unwrap_err()
    else {
        panic!("another error")
    };
    assert!(text.contains("no answer to COM-PORT-OPTION, SUPPRESS-GO-AHEAD within"), "{text}");
}

#[tokio::test]
async fn a_peer_that_refuses_control_is_unfit_or_plain_telnet_as_configured() {
    let error = against(&DONT_COM_PORT, false, PortControl::Required).await.unwrap_err();
    let OpenError::Unfit(text) = error else { panic!("{error:?}") };
    assert!(text.contains("refuses COM-PORT-OPTION"), "{text}");
    let sends = [&DONT_COM_PORT[..], b"login: "].concat();
    let device = against(&sends, false, PortControl::Optional).await.unwrap();
    assert_eq!(device.notes[0], "no control of the port: the peer refuses COM-PORT-OPTION");
    assert!(device.notes[1].contains("did not answer BINARY"), "{:?}", device.notes);
    assert_eq!(device.port.caps(), crate::target::Caps::default());
    assert_eq!(device.port.set(Levels::default()).await, Err(PortError::Unsupported));
    assert_eq!(device.port.flush(true, true).await, Ok(()));
    let mut bytes = [0; 7];
    Bytes(device.reader).read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"login: ");
}

#[tokio::test]
async fn a_peer_that_confirms_nothing_is_taken_to_have_done_as_told() {
    let device = against(&DO_COM_PORT, false, PortControl::Required).await.unwrap();
    assert!(
        device.notes.iter().any(|note| note.contains("did not confirm baud, data bits")),
        "{device:?}"
    );
    assert_eq!(device.port.settings().await, Ok(Settings::default()));
}

#[tokio::test]
async fn another_frame_than_asked_for_is_unfit_and_another_speed_is_noted() {
    let mut wire = confirmations();
    telnet::sub(44, &[101, 0, 0, 0x12, 0xc0], &mut wire);
    let device = against(&wire, false, PortControl::Required).await;
    // All of it came before anything was asked, so nothing counts as confirmed, but everything is
    // known.
    let notes = device.unwrap().notes;
    assert!(notes.contains(&"asked for 9600 baud, the peer set 4800".to_owned()), "{notes:?}");
    telnet::sub(44, &[102, 7], &mut wire);
    let error = against(&wire, false, PortControl::Required).await.unwrap_err();
    let OpenError::Unfit(text) = error else { panic!("{error:?}") };
    assert!(text.ends_with("asked for 8N1, the peer set 7N1"), "{text}");
}

#[tokio::test]
async fn a_connection_that_ends_within_a_sub_negotiation_ends_the_opening() {
    let wire = [&DO_COM_PORT[..], &[IAC, 250, 44, 101, 0]].concat();
    let error = against(&wire, true, PortControl::Required).await.unwrap_err();
    let OpenError::Refused(text) = error else { panic!("{error:?}") };
    assert!(text.contains("the peer closed the connection while it was being opened"), "{text}");
}

/// A connection whose far end is still a socket; a `small` one is soon full.
async fn pair(
    small: bool,
) -> (TcpStream, CommandReader, link::EscapingWriter, Arc<SharedConnection>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    let (near, (far, _)) = (near.unwrap(), far.unwrap());
    if small {
        socket2::SockRef::from(&near).set_send_buffer_size(4096).unwrap();
        socket2::SockRef::from(&far).set_recv_buffer_size(4096).unwrap();
    }
    let (reader, writer, link) =
        reader::split("far", crate::stream::Stream::from(near), Duration::from_secs(30));
    (far, reader, writer, link)
}

#[tokio::test]
async fn a_storm_of_commands_moves_no_byte_and_one_without_end_is_cut_off() {
    let (mut far, reader, _writer, link) = pair(true).await;
    let mut reader = Bytes(Box::new(reader));
    let calm: Vec<u8> = [[IAC, 241, IAC, 252, 77, IAC].as_slice(), &[254, 78, IAC, 240]].concat();
    let storm = async {
        for _ in 0..1000 {
            far.write_all(&calm).await.unwrap();
        }
        far.write_all(b"x").await.unwrap();
        // Now requests that want answers, from a peer that never reads them.
        while far.write_all(&[IAC, 251, 77].repeat(1000)).await.is_ok() {}
    };
    let read = async {
        assert_eq!(reader.read_u8().await.unwrap(), b'x');
        let error = reader.read_u8().await.unwrap_err();
        drop(reader);
        error
    };
    let ((), error) = tokio::join!(storm, read);
    assert_eq!(error.to_string(), "the peer keeps asking and reads no answer");
    assert!(link.heard().gone.is_some());
}

#[tokio::test]
async fn signals_of_one_step_are_one_piece_before_data_that_wait() {
    let (mut far, _reader, mut writer, link) = pair(false).await;
    let port = RemotePort::new(link, true, Settings::default(), Duration::from_secs(1), &[]);
    port.set(Levels { dtr: Some(false), rts: Some(true), brk: None }).await.unwrap();
    writer.write_all(&[1, IAC, 2]).await.unwrap();
    writer.flush().await.unwrap();
    let mut wire = vec![0; 15 + 14 + 4];
    far.read_exact(&mut wire).await.unwrap();
    let step = [IAC, 250, 44, 5, 9, IAC, 240, IAC, 250, 44, 5, 11, IAC, 240];
    assert_eq!(wire[15..], [step.as_slice(), &[1, IAC, IAC, 2]].concat());
}

#[tokio::test]
async fn who_waits_hears_that_the_connection_is_gone() {
    let (far, reader, mut writer, link) = pair(false).await;
    let port = RemotePort::new(link, true, Settings::default(), Duration::from_secs(1), &[]);
    drop(far);
    let wait = port.inputs_changed(Inputs::default());
    let end = async { Bytes(Box::new(reader)).read_u8().await };
    let (waited, _) = tokio::join!(wait, end);
    assert_eq!(waited, Err(PortError::Failed("the peer closed the connection".into())));
    assert!(matches!(
        port.set(Levels { dtr: Some(true), ..Levels::default() }).await,
        Err(PortError::Failed(_))
    ));
    assert!(writer.write_all(b"x").await.is_err());
}

#[tokio::test]
async fn megabytes_of_the_escaped_byte_pass_a_slow_reader_with_commands_between() {
    let (far, reader, mut writer, link) = pair(false).await;
    let port = RemotePort::new(link, true, Settings::default(), Duration::from_secs(1), &[]);
    let data: Vec<u8> =
        (0..2_000_000_u32).map(|n| if n % 3 == 0 { IAC } else { n.to_be_bytes()[3] }).collect();
    let (mut clean, mut sink) = duplex(1 << 22);
    let (mut from_far, _to_far) = far.into_split();
    let write = async {
        for part in data.chunks(100_000) {
            writer.write_all(part).await.unwrap();
            port.set(Levels { dtr: Some(true), ..Levels::default() }).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let read = async {
        let (mut decoder, mut buf, mut steps) = (telnet::Decoder::default(), [0; 777], 0);
        loop {
            let count = from_far.read(&mut buf).await.unwrap();
            if count == 0 {
                return steps;
            }
            let kept = decoder.decode(&mut buf[..count], false, |_, event| {
                steps += usize::from(matches!(event, telnet::Event::Sub(44, &[5, 8])));
                false
            });
            clean.write_all(&buf[..kept]).await.unwrap();
        }
    };
    let ((), steps) = tokio::join!(write, read);
    drop((clean, reader));
    let mut got = Vec::new();
    sink.read_to_end(&mut got).await.unwrap();
    assert!(got == data, "{} of {} bytes", got.len(), data.len());
    assert_eq!(steps, 20);
}

/// Reads to the end; returns what came, and why it ended.
async fn to_the_end(mut reader: CommandReader) -> (Vec<u8>, String) {
    let mut early = Early::default();
    let why = early.fill(&mut reader).await;
    (early.bytes, why)
}

#[tokio::test(start_paused = true)]
async fn a_sub_negotiation_without_an_end_ends_the_connection() {
    let (mut far, reader, _writer, link) = pair(false).await;
    far.write_all(&[b'a', IAC, 250, 44, 101, 1]).await.unwrap();
    let (bytes, why) = to_the_end(reader).await;
    assert_eq!(bytes, b"a");
    assert!(
        why.starts_with(
            "a telnet sub-negotiation of 2 bytes has no end after 5 s; it may not be doubling"
        ),
        "{why}"
    );
    assert_eq!((link.heard().errors.telnet, link.heard().gone), (1, Some(why)));

    let (mut far, reader, _writer, link) = pair(false).await;
    far.write_all(&[&[b'b', IAC, 250][..], &[b'.'; 300]].concat()).await.unwrap();
    let (bytes, why) = to_the_end(reader).await;
    assert_eq!(bytes, b"b");
    assert!(why.starts_with("a telnet sub-negotiation of more than 256 bytes; it may"), "{why}");
    assert_eq!(link.heard().errors.telnet, 1);
}

#[tokio::test]
async fn a_command_that_is_none_is_counted_and_the_stream_goes_on() {
    let (mut far, reader, _writer, link) = pair(false).await;
    far.write_all(&[b'a', IAC, b'b', b'c', IAC, 250, 44, IAC, 241, b'd', IAC, IAC]).await.unwrap();
    far.shutdown().await.unwrap();
    let (bytes, why) = to_the_end(reader).await;
    assert_eq!((bytes, why.as_str()), (b"acd\xff".to_vec(), "the peer closed the connection"));
    assert_eq!(link.heard().errors.telnet, 2);
}

#[tokio::test]
async fn line_ends_are_telnets_where_the_peer_refuses_binary() {
    let (mut far, mut reader, mut writer, link) = pair(false).await;
    far.write_all(&[IAC, 252, 0, IAC, 254, 0]).await.unwrap();
    far.write_all(b"a\r\0b\r\nc\r").await.unwrap();
    far.write_all(b"\0d").await.unwrap();
    let mut early = Early::default();
    let mut heard = link.subscribe();
    tokio::select! {
        why = early.fill(&mut reader) => panic!("{why}"),
        heard = heard.wait_for(|heard| heard.options.binary.us.is_refused()) => drop(heard),
    }
    writer.write_all(b"x\ry\r\n\xff\r").await.unwrap();
    writer.shutdown().await.unwrap();
    let mut wire = Vec::new();
    far.read_to_end(&mut wire).await.unwrap();
    assert_eq!(wire[15..], *b"x\r\0y\r\n\xff\xff\r\0");
    far.shutdown().await.unwrap();
    early.fill(&mut reader).await;
    assert_eq!(early.bytes, b"a\rb\r\nc\rd");
}

#[tokio::test]
async fn what_a_peer_says_before_it_closes_is_the_reason() {
    let said =
        "the peer said \"Port already in use\" and closed the connection while it was being opened";
    for sends in
        [&b"Port already in use\r\n"[..], &[&DO_COM_PORT[..], b"Port already in use\r\n"].concat()]
    {
        let error = against(sends, true, PortControl::Required).await.unwrap_err();
        assert!(error.to_string().ends_with(said), "{error}");
    }
    // With a reset, since it never reads what it is asked.
    let (listener, target) = far().await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        stream.write_all(b"Port already in use\r\n").await.unwrap();
    };
    let mut learnt = PeerLimits::default();
    let (error, ()) = tokio::join!(open(&target, &mut learnt), peer);
    let error = error.unwrap_err();
    assert!(error.to_string().ends_with(said), "{error}");
    // For a port that was open for some time it is just the last thing it said, and not a reason.
    let (mut far, reader, ..) = pair(false).await;
    far.write_all(&[b'.'; 500]).await.unwrap();
    far.write_all(b"bye\r\n").await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(to_the_end(reader).await.1, "the peer closed the connection");
}
