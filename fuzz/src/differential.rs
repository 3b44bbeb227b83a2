//! The frame decoder beside tungstenite's, as the reference: both must read the same from the same
//! bytes.
//!
//! Known and wanted differences:
//! * A length not in its shortest form is an error here; tungstenite takes it.
//! * An error is found here at the first byte that proves it; tungstenite waits for the end of the
//!   frame, so on a stream that ends before it finds none.
//! * An illegal close code is an error here; tungstenite gives a Close of its own making, 1002
//!   "Protocol violation".
//! * 1014 is a legal close code here.
//! * A frame's size has no limit here; tungstenite has one, and what it refuses for it counts as
//!   not yet complete.

use std::io::{self, Cursor, Read, Write};

use super::{
    frame::{Decoder, FrameError, Item, parse_close},
    tungstenite::{
        Error, Message, WebSocket, error::ProtocolError, protocol::Role, protocol::WebSocketConfig,
    },
};

/// What a whole frame or message was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A complete message.
    Data { text: bool, bytes: Vec<u8> },
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A Close; nothing is read behind it.
    Close(Option<(u16, String)>),
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was complete.
    pub events: Vec<Event>,
    /// The error at its end, if any.
    pub error: Option<FrameError>,
}

/// Reads `bytes` with our decoder, in reads of `chunk` bytes.
pub fn ours(bytes: &[u8], chunk: usize) -> Reading {
    in_reads(bytes.chunks(chunk.max(1)))
}

/// Reads what comes in these reads with our decoder.
pub fn in_reads<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Reading {
    let mut reading = Reading { events: Vec::new(), error: None };
    let mut decoder = Decoder::new();
    let mut message = Vec::new();
    for piece in reads {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            let (used, item) = match decoder.next(input) {
                Ok(found) => found,
                Err(error) => {
                    reading.error = Some(error);
                    return reading;
                }
            };
            assert!(used > 0 || item == Item::More, "an item out of nothing: {item:?}");
            reading.events.push(match item {
                Item::More => {
                    assert_eq!(used, input.len(), "More uses all");
                    break;
                }
                Item::Data { range, text, first, last } => {
                    assert!(range.end == used, "the payload ends the item");
                    if first {
                        message.clear();
                    }
                    message.extend_from_slice(&input[range]);
                    input = &mut input[used..];
                    if !last {
                        continue;
                    }
                    Event::Data { text, bytes: std::mem::take(&mut message) }
                }
                Item::Ping => Event::Ping(decoder.control().to_vec()),
                Item::Pong => Event::Pong(decoder.control().to_vec()),
                Item::Close => {
                    let close = parse_close(decoder.control()).expect("checked by the decoder");
                    reading
                        .events
                        .push(Event::Close(close.map(|(code, reason)| (code, reason.to_owned()))));
                    return reading;
                }
            });
            if !matches!(reading.events.last(), Some(Event::Data { .. })) {
                input = &mut input[used..];
            }
        }
    }
    reading
}

/// A stream that was received whole; what is written to it is thrown away.
struct Received<'a>(Cursor<&'a [u8]>);

impl Read for Received<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Received<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads `bytes` with tungstenite.
pub fn theirs(bytes: &[u8]) -> Reading {
    let mut config = WebSocketConfig::default();
    config.max_frame_size = Some(1 << 20);
    config.max_message_size = None;
    let mut socket =
        WebSocket::from_raw_socket(Received(Cursor::new(bytes)), Role::Server, Some(config));
    let mut reading = Reading { events: Vec::new(), error: None };
    loop {
        reading.events.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Data { text: true, bytes: text.as_bytes().to_vec() },
            Ok(Message::Binary(bytes)) => Event::Data { text: false, bytes: bytes.to_vec() },
            Ok(Message::Ping(bytes)) => Event::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Event::Pong(bytes.to_vec()),
            Ok(Message::Close(close)) => {
                let close =
                    close.map(|close| (u16::from(close.code), close.reason.as_str().to_owned()));
                if close == Some((1002, "Protocol violation".to_owned())) {
                    reading.error = Some(FrameError::Protocol("illegal close code"));
                } else {
                    reading.events.push(Event::Close(close));
                }
                return reading;
            }
            Ok(Message::Frame(frame)) => panic!("tungstenite gives no raw frames: {frame:?}"),
            Err(error) => {
                reading.error = class(&error);
                return reading;
            }
        });
    }
}

/// The error of our own that stands for `error`; `None` for the end of the stream.
fn class(error: &Error) -> Option<FrameError> {
    if matches!(error, Error::Utf8(_)) {
        return Some(FrameError::NotUtf8);
    }
    let end = matches!(
        error,
        Error::Capacity(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    );
    assert!(end || matches!(error, Error::Protocol(_)), "an error of no class: {error}");
    (!end).then_some(FrameError::Protocol("by tungstenite's reading"))
}

/// The payload of all data frames, whole or not, in reads of `chunk` bytes, and the mistake or
/// Close behind it; `short` says that small frames are taken the short way, as a session does.
fn payload(bytes: &[u8], chunk: usize, short: bool) -> (Vec<u8>, Option<Result<Item, FrameError>>) {
    let (mut decoder, mut all) = (Decoder::new(), Vec::new());
    for piece in bytes.chunks(chunk.max(1)) {
        let mut input = piece.to_vec();
        let mut at = 0;
        while at < input.len() {
            let mut kept = 0..0;
            if short {
                at = decoder.gather(&mut input, at, &mut kept);
                all.extend_from_slice(&input[kept]);
            }
            match decoder.next(&mut input[at..]) {
                Ok((used, Item::Data { range, .. })) => {
                    all.extend_from_slice(&input[at..][range]);
                    at += used;
                }
                Ok((used, Item::More | Item::Ping | Item::Pong)) => at += used,
                end => return (all, Some(end.map(|(_, item)| item))),
            }
        }
    }
    (all, None)
}

/// Panics when the two read `bytes` differently, or when reads of `chunk` bytes or the short way
/// change what we read.
pub fn agree(bytes: &[u8], chunk: usize) {
    let whole = ours(bytes, usize::MAX);
    assert_eq!(whole, ours(bytes, chunk), "reads of {chunk} bytes make a difference");
    for chunk in [chunk, usize::MAX] {
        let (strict, short) = (payload(bytes, chunk, false), payload(bytes, chunk, true));
        assert_eq!(strict, short, "the short way in reads of {chunk} bytes");
    }
    let reference = theirs(bytes);
    match (&whole.error, &reference.error) {
        // A control frame with a long form of length is over 125 bytes or not in its shortest form.
        (
            Some(FrameError::Protocol(
                "length not in its shortest form" | "control frame over 125 bytes",
            )),
            _,
        ) => {
            assert!(reference.events.starts_with(&whole.events), "{whole:?}\n{reference:?}");
        }
        (Some(FrameError::Protocol(_)), None | Some(FrameError::Protocol(_)))
        | (Some(FrameError::NotUtf8), None | Some(FrameError::NotUtf8))
        | (None, None) => assert_eq!(whole.events, reference.events),
        // 1014 (bad gateway) is in IANA's registry; tungstenite does not know it. Or a peer's own
        // Close 1002 with tungstenite's very words.
        (None, Some(FrameError::Protocol("illegal close code"))) => {
            assert!(
                matches!(whole.events.last(), Some(Event::Close(Some((1002 | 1014, _))))),
                "{whole:?}"
            );
        }
        _ => panic!("ours {whole:?}\ntheirs {reference:?}"),
    }
}
