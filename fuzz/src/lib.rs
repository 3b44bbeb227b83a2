//! What must hold for any bytes a stranger sends. Each function panics where it does not.
//! `fuzz/run` runs the targets.

pub mod differential;

use std::time::Duration;

use tungstenite;
use wsbridge::testing::{
    Import, ImportKind, import, parse, parse_uci, uci_as_yaml,
    wire::{
        close::Refusal,
        control, frame,
        frames::{Delimiter, Framer, Packing},
        head, proxy, subprotocol,
        telnet::{self, AccessServer, PortDeed, PortValues, comport::ComPortCommand},
    },
};

/// Any text is a client's message or none, and what is understood is printed and read as the same;
/// of steps, whose clock is any number, only that it is read. So is a gateway's message.
pub fn check_control(bytes: &[u8]) {
    if let Ok(control::Request { id, ask: Ok(ask) }) = control::parse(bytes) {
        let text = ask.text(id);
        let Ok(control::Request { id: again, ask: Ok(once) }) = control::parse(text.as_bytes())
        else {
            panic!("{text} is not read again");
        };
        assert_eq!(again, id);
        assert!(once == ask || matches!(ask, control::Ask::Signals(_)), "{ask:?} became {once:?}");
    }
    let Some(tell) = str::from_utf8(bytes).ok().and_then(|text| control::Tell::parse(text).ok())
    else {
        return;
    };
    let text = tell.text();
    match control::Tell::parse(&text) {
        Ok(again) => assert_eq!(again, tell),
        Err(error) => panic!("{text} is not read again: {error}"),
    }
}

/// The frame decoder reads what tungstenite reads, in reads of any size: the first byte says which.
pub fn check_frame(bytes: &[u8]) {
    if let [chunk, stream @ ..] = bytes {
        differential::agree(stream, usize::from(*chunk));
    }
}

/// Any text of another program's is imported or not; what becomes of it is a configuration, the same
/// in YAML and in UCI, and no larger than such a text can need. The first byte says what it is taken
/// for.
pub fn check_import(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let kind = match kind % 6 {
        0 => Some(ImportKind::Ser2netYaml),
        1 => Some(ImportKind::Ser2netConf),
        2 => Some(ImportKind::Ser2netUci),
        3 => Some(ImportKind::Tokens),
        4 => Some(ImportKind::Commands),
        _ => None,
    };
    let from = ["192.0.2.0/24".to_owned()];
    let made = |uci| import(&Import { text, kind, from: &from, uci, endpoints_only: false });
    let Ok(yaml) = made(false) else { return };
    assert!(yaml.text.len() < 4096 + 700 * text.lines().count() + 16 * text.len());
    let none = |_: &_| Err(String::new());
    let (config, _) = parse(&yaml.text, "yaml", &none).expect("what is made is read");
    assert_eq!(config.endpoints.len(), yaml.endpoints);
    let uci = made(true).expect("what is said in YAML is said in UCI");
    let (again, _) = parse_uci(&uci.text, "uci", &none).expect("what is made is read");
    // UCI has no doors.
    assert!(yaml.text.contains("    doors:\n") || again.endpoints == config.endpoints);
}

/// Whatever the rule, a stream gives the same messages in reads of any size, and no byte of it is
/// missing or twice. The first three bytes are the rule, the longest message and the size of a
/// read.
pub fn check_frames(bytes: &[u8]) {
    let [rule, most, chunk, stream @ ..] = bytes else { return };
    let plus = usize::from(rule >> 4);
    let silence = Duration::from_millis(4);
    let (rule, whole) = match rule % 5 {
        0 => (Packing::Idle(silence), true),
        1 => (Packing::Length(plus + 1), true),
        2 => (Packing::ModbusRtu { silence }, true),
        kind => {
            let bytes = Delimiter::new(&b"\r\n\r\n"[..1 + plus % 4]).unwrap();
            (Packing::Delimiter { bytes, keep: kind == 3, plus }, kind == 3)
        }
    };
    let most = if *most == 0 { 4096 } else { usize::from(*most) };
    let messages = framed(rule, most, stream.chunks(stream.len().max(1)));
    assert_eq!(messages, framed(rule, most, stream.chunks(usize::from(*chunk).max(1))));
    assert!(messages.iter().all(|message| message.len() <= most));
    if whole {
        assert_eq!(messages.concat(), stream);
    }
}

/// The messages in these reads, the last of them ended by silence.
fn framed<'a>(rule: Packing, most: usize, reads: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut framer, mut messages) = (Framer::new(rule, most), Vec::new());
    for read in reads {
        framer.push(read, |message| messages.push(message.to_vec()));
    }
    framer.end(|message| messages.push(message.to_vec()));
    assert_eq!(framer.held(), 0);
    messages
}

/// A head gives the same however it is cut, and what is let through is read the same by another
/// parser.
pub fn check_head(bytes: &[u8]) {
    let whole = head::scan(bytes, head::HEADERS_MAX);
    let first = (0..bytes.len())
        .map(|cut| head::scan(&bytes[..cut], head::HEADERS_MAX))
        .find(|early| *early != Ok(None));
    assert_eq!(first.as_ref().unwrap_or(&whole), &whole, "a cut makes a difference");
    assert!(whole != Ok(None) || bytes.len() < head::HEAD_MAX, "a full buffer decides");
    let Ok(Some(head)) = whole else { return };
    let mut fields = [httparse::EMPTY_HEADER; head::FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(head.len)));
    let old = request.version == Some(0);
    assert!(old || request.version == Some(1));
    assert!(!old || (head.last && !head.upgrade && head.body == 0));
    assert_eq!(request.method.map(str::as_bytes), Some(head.method));
    assert_eq!(request.path.map(str::as_bytes), Some(head.target));
    let theirs =
        request.headers.iter().map(|field| (field.name.as_bytes(), field.value.trim_ascii()));
    assert!(theirs.eq(head.fields.iter().copied()));
    let named = |name: &str| {
        request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count()
    };
    assert!(named("host") == 1 || (old && named("host") == 0));
    assert_eq!(named("transfer-encoding"), 0);
    let length =
        request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |field| str::from_utf8(field.value).unwrap().parse().unwrap());
    assert_eq!(head.body, length);
    assert!(!head.upgrade || head.body == 0);
}

/// A header of the PROXY protocol is asked for in pieces that are part of it, however they come:
/// cut, it gives the same, and not a byte behind it is asked for.
pub fn check_proxy(bytes: &[u8]) {
    let told = |step: usize| {
        let (mut have, mut may) = (0, 0);
        loop {
            match proxy::scan(&bytes[..have]) {
                Ok(proxy::HeaderProgress::More(more)) => {
                    assert!(more > 0 && have + more <= proxy::PROXY_HEADER_MAX);
                    may = may.max(have + more);
                    have += more.min(step);
                    if have > bytes.len() {
                        return None;
                    }
                }
                Ok(proxy::HeaderProgress::Done(found)) => {
                    assert!(have <= may);
                    return Some(Ok((found, have)));
                }
                Err(_) => return Some(Err(())),
            }
        }
    };
    let whole = told(usize::MAX);
    assert!(whole.is_none() || told(1) == whole, "a cut makes a difference");
}

/// A telnet stream gives the same in reads of any size (the first byte says which, and which end we
/// are), its data come back when encoded, and a command that is understood says the same when we
/// say it.
pub fn check_telnet(bytes: &[u8]) {
    let Some((chunk, stream)) = bytes.split_first() else { return };
    let role = if *chunk < 128 { telnet::Role::Client } else { telnet::Role::Server };
    let whole = telnet_stream(role, stream.chunks(stream.len().max(1)));
    assert_eq!(whole, telnet_stream(role, stream.chunks(usize::from(*chunk % 128).max(1))));
    for binary in [false, true] {
        let mut wire = Vec::new();
        telnet::Encoder::default().encode(&whole.0, binary, &mut wire);
        let kept =
            telnet::Decoder::default().decode(&mut wire, binary, |_, event| panic!("{event:?}"));
        assert_eq!(wire[..kept], whole.0);
    }
}

/// Data, and the events between them as text.
fn telnet_stream<'a>(
    role: telnet::Role,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u8>, Vec<(usize, String)>) {
    let mut decoder = telnet::Decoder::default();
    let mut options = telnet::Options::open(role, &mut Vec::new());
    let (mut data, mut events) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (mut piece, before) = (piece.to_vec(), data.len());
        let binary = options.binary.them.is_on();
        let kept = decoder.decode(&mut piece, binary, |at, event| {
            events.push((before + at, format!("{event:?}")));
            match event {
                telnet::Event::Said(verb, option) => drop(options.hear(verb, option)),
                telnet::Event::Sub(_, content) => said_again(content),
                telnet::Event::AreYouThere | telnet::Event::Break | telnet::Event::Fault(_) => {}
            }
            options.binary.them.is_on()
        });
        data.extend(&piece[..kept]);
    }
    (data, events)
}

fn said_again(content: &[u8]) {
    let Some(command) = ComPortCommand::decode(content) else { return };
    for role in [telnet::Role::Client, telnet::Role::Server] {
        let mut wire = Vec::new();
        command.encode(role, &mut wire);
        let kept = telnet::Decoder::default().decode(&mut wire, true, |_, event| {
            let telnet::Event::Sub(44, content) = event else { panic!("{event:?}") };
            assert_eq!(ComPortCommand::decode(content).as_ref(), Some(&command));
            true
        });
        assert_eq!(kept, 0);
    }
}

/// A client of RFC 2217 has the same done in reads of any size (the first byte says which), gets no
/// storm of answers for one of its own, and reads what it is answered, whatever it said before.
pub fn check_rfc2217_server(bytes: &[u8]) {
    let Some((chunk, stream)) = bytes.split_first() else { return };
    let whole = served(stream.chunks(stream.len().max(1)));
    assert_eq!(whole, served(stream.chunks(usize::from(*chunk).max(1))));
}

/// Data, and where the port's part of the orders stands among them, a line or a setting each.
fn served<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<(usize, String)>) {
    let mut wire = Vec::new();
    let mut server = AccessServer::open("wsbridge/1 fuzz", &mut wire);
    let (mut data, mut done) = (Vec::new(), Vec::new());
    for read in reads {
        let (mut bytes, before) = (read.to_vec(), data.len());
        wire.clear();
        let heard = server.hear(&mut bytes, &mut wire);
        assert!(wire.len() <= read.len() + 1800);
        understood(&wire);
        data.extend(&bytes[..heard.data]);
        for (at, order) in heard.orders {
            assert!(at <= heard.data);
            let mut told = |what: String| done.push((before + at, what));
            match order.deed {
                PortDeed::Configure(change) => {
                    change.baud.map(|baud| told(format!("baud {baud}")));
                    change.data.map(|data| told(format!("data {data:?}")));
                    change.parity.map(|parity| told(format!("parity {parity:?}")));
                    change.stop.map(|stop| told(format!("stop {stop:?}")));
                    change.flow.map(|flow| told(format!("flow {flow:?}")));
                }
                PortDeed::Move(change) => {
                    change.dtr.map(|on| told(format!("dtr {on}")));
                    change.rts.map(|on| told(format!("rts {on}")));
                    change.brk.map(|on| told(format!("break {on}")));
                }
                other => told(format!("{other:?}")),
            }
            let mut answers = Vec::new();
            server.answer(&order, done.len() % 2 == 0, &PortValues::default(), &mut answers);
            understood(&answers);
        }
        let mut down = Vec::new();
        server.data(read, &mut down);
        let down = server_data(&server, down);
        assert_eq!(down, read);
    }
    // What came together has no order among itself.
    done.sort();
    (data, done)
}

/// What a server says is what a client of ours reads without a fault.
fn understood(wire: &[u8]) {
    telnet::Decoder::default().decode(&mut wire.to_vec(), true, |_, event| {
        match event {
            telnet::Event::Sub(44, content) => {
                assert!(ComPortCommand::decode(content).is_some(), "{content:?}");
            }
            telnet::Event::Said(..) => {}
            other => panic!("{other:?}"),
        }
        true
    });
}

/// Data as the client reads them that the server has agreed with.
fn server_data(server: &AccessServer, mut wire: Vec<u8>) -> Vec<u8> {
    let binary = server.is_binary();
    let kept = telnet::Decoder::default().decode(&mut wire, binary, |_, event| panic!("{event:?}"));
    wire.truncate(kept);
    wire
}

/// Offers are answered with one of them or not at all, and no credential shows. The first byte says
/// what is spoken, a line is a field's value.
pub fn check_subprotocol(bytes: &[u8]) {
    let Some((allowed, offers)) = bytes.split_first() else { return };
    let Ok(offers) = str::from_utf8(offers) else { return };
    let named = ["mqtt".to_owned()];
    let named = if allowed & 1 == 0 { &named[..] } else { &[] };
    let spoken = subprotocol::Spoken::By { base64: allowed & 2 != 0, named };
    match subprotocol::negotiate(offers.lines(), spoken) {
        Ok(offer) => {
            let names: Vec<&str> =
                offers.lines().flat_map(|value| value.split(',')).map(str::trim).collect();
            match offer.answer {
                Some(answer) => assert!(names.contains(&answer.name())),
                None => assert!(names.is_empty()),
            }
            if let Some(
                subprotocol::Credential::Bearer(text) | subprotocol::Credential::Ticket(text),
            ) = &offer.credential
            {
                assert!((1..=subprotocol::CREDENTIAL_MAX).contains(&text.reveal().len()));
            }
            let shown = format!("{:?}", offer.credential);
            assert!(["None", "Some(Bearer(..))", "Some(Ticket(..))"].contains(&shown.as_str()));
        }
        Err(Refusal::BadRequest(_) | Refusal::Subprotocol(_)) => {}
        Err(other) => panic!("a refusal of another kind: {other:?}"),
    }
}

/// Any text is a UCI file or none; one that is a configuration is the same when it is printed as
/// YAML.
pub fn check_uci(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok((config, _)) = parse_uci(text, "uci", &|_| Err(String::new())) else { return };
    let yaml = uci_as_yaml(text, "uci").expect("what is resolved is printed");
    let (again, _) =
        parse(&yaml, "yaml", &|_| Err(String::new())).expect("what is printed is read");
    assert_eq!(again, config);
}
