//! How line bytes travel in plain mode: as they are, as text with replacements, or as base64; and
//! which of them make one message.

use std::{
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Payload, Socket,
    eol::{Eol, LineEnds},
    packing::Packets,
};
use crate::{
    config::Packing,
    wire::frame::{HEADER_MAX, Opcode},
};

/// Turns the client's messages into line bytes.
#[derive(Debug)]
pub(super) struct ClientEncoding {
    base64: Option<Base64In>,
    ends: Option<LineEnds>,
    eol: Option<Eol>,
    /// Each message stands on its own.
    whole: bool,
}

impl ClientEncoding {
    pub(super) fn new(payload: Payload, eol: Option<Eol>, whole: bool) -> Self {
        let base64 = (payload == Payload::Base64).then(Base64In::default);
        Self { base64, ends: eol.map(LineEnds::new), eol, whole }
    }

    /// Whether payloads are line bytes as they are.
    pub(super) fn is_stream(&self) -> bool {
        self.base64.is_none() && self.ends.is_none() && !self.whole
    }

    /// The line bytes in a piece of a message; `last` says that the message is complete.
    pub(super) fn decode(&mut self, piece: &[u8], last: bool) -> Result<Vec<u8>, &'static str> {
        let mut bytes = Vec::new();
        match &mut self.base64 {
            Some(base64) => base64.decode(piece, last, &mut bytes)?,
            None => bytes.extend_from_slice(piece),
        }
        if let Some(ends) = &mut self.ends {
            bytes = ends.convert(&bytes);
        }
        if self.whole && last {
            self.ends = self.eol.map(LineEnds::new);
        }
        Ok(bytes)
    }
}

/// Turns line bytes into the client's messages.
#[derive(Debug)]
pub(super) struct Outgoing {
    payload: Payload,
    packets: Option<Packets>,
    text: TextOut,
    /// Each message stands on its own.
    whole: bool,
}

impl Outgoing {
    /// `most` is the longest message, in bytes.
    pub(super) fn new(payload: Payload, packing: Packing, most: usize, whole: bool) -> Self {
        Self { payload, packets: Packets::new(packing, most), text: TextOut::default(), whole }
    }

    /// How many of `most` bytes may be read now.
    pub(super) fn room(&self, most: usize) -> usize {
        self.packets.as_ref().map_or(most, |packets| packets.room().min(most))
    }

    /// Bytes held back.
    pub(super) fn held(&self) -> usize {
        self.packets.as_ref().map_or(0, Packets::held)
    }

    /// Sends the bytes at `buf[HEADER_MAX..][..length]`, or holds them until a message is complete.
    #[expect(clippy::indexing_slicing, reason = "what was just read into the buffer")]
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        length: usize,
        socket: &mut Socket,
    ) -> io::Result<()> {
        if self.packets.is_none() && self.payload == Payload::Binary {
            return socket.send_in_place(cx, buf, length);
        }
        let bytes = &buf[HEADER_MAX..HEADER_MAX + length];
        match self.packets.take() {
            Some(mut packets) => {
                packets.push(bytes, |packet| self.message(packet, socket));
                self.packets = Some(packets);
            }
            None => self.message(bytes, socket),
        }
        Ok(())
    }

    /// Sends what silence completes. Poll it only when there is nothing to read.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<()> {
        let Some(packets) = &mut self.packets else { return Poll::Pending };
        let packet = ready!(packets.poll_due(cx));
        self.message(&packet, socket);
        Poll::Ready(())
    }

    /// Notes that the device paused before its next byte.
    pub(super) fn pause(&mut self, pause: Duration, socket: &mut Socket) {
        if let Some(packet) = self.packets.as_mut().and_then(|packets| packets.pause(pause)) {
            self.message(&packet, socket);
        }
    }

    /// Sends what is held back, when nothing more can belong to it.
    pub(super) fn finish(&mut self, socket: &mut Socket) {
        if let Some(packet) = self.packets.as_mut().and_then(Packets::rest) {
            self.message(&packet, socket);
        }
        let rest = self.text.rest();
        if !rest.is_empty() {
            socket.queue(Opcode::Text, rest.as_bytes());
        }
    }

    /// Sends one packet as one message.
    fn message(&mut self, packet: &[u8], socket: &mut Socket) {
        match self.payload {
            Payload::Binary => socket.queue(Opcode::Binary, packet),
            Payload::Base64 => socket.queue(Opcode::Text, base64_out(packet).as_bytes()),
            Payload::Text => {
                let mut text = self.text.encode(packet);
                if self.whole {
                    text += &self.text.rest();
                }
                // Half a character belongs to the next message; an empty packet is a message all
                // the same.
                if !text.is_empty() || packet.is_empty() {
                    socket.queue(Opcode::Text, text.as_bytes());
                }
            }
        }
    }
}

/// Turns line bytes into text frames, with invalid UTF-8 replaced; a character cut by a read is
/// held back for the next one.
#[derive(Debug, Default)]
struct TextOut {
    cut: Vec<u8>,
}

impl TextOut {
    /// The text of what was held back and `bytes`.
    fn encode(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.cut);
        all.extend_from_slice(bytes);
        let whole = all.len() - cut_at_end(&all);
        self.cut = all.split_off(whole);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What is still held back when the line has ended.
    fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.cut)).into_owned()
    }
}

/// Length of an incomplete character at the end that may still be completed.
fn cut_at_end(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // Invalid bytes at the very end are a cut character, unless they can never become valid.
        Some(chunk) => {
            let tail = chunk.invalid();
            let completable =
                std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none());
            if completable { tail.len() } else { 0 }
        }
        None => 0,
    }
}

/// Line bytes as base64 text.
fn base64_out(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Turns base64 text frames into line bytes, however frames and reads are cut.
#[derive(Debug, Default)]
struct Base64In {
    group: Vec<u8>,
}

impl Base64In {
    /// Appends the bytes of `text` to `bytes`. `last` says that the message is complete, so that no
    /// group may be left open.
    fn decode(&mut self, text: &[u8], last: bool, bytes: &mut Vec<u8>) -> Result<(), &'static str> {
        const NOT_BASE64: &str = "not base64";
        let mut all = std::mem::take(&mut self.group);
        all.extend_from_slice(text);
        let whole = all.len() - all.len() % 4;
        self.group = all.split_off(whole);
        if last && !self.group.is_empty() {
            return Err(NOT_BASE64);
        }
        STANDARD.decode_vec(&all, bytes).map_err(|_| NOT_BASE64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_cut_by_a_read_is_not_replaced() {
        let mut text = TextOut::default();
        let mut all = String::new();
        for byte in "grün €\u{1f980}".as_bytes() {
            all += &text.encode(&[*byte]);
        }
        assert_eq!(all + &text.rest(), "grün €\u{1f980}");
        assert_eq!(text.encode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!((text.encode(b"\xe2\x82"), text.rest()), (String::new(), "\u{fffd}".into()));
    }

    proptest! {
        #[test]
        fn base64_decodes_over_any_cut(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..9) {
            let text = base64_out(&bytes).into_bytes();
            let mut decoder = Base64In::default();
            let mut got = Vec::new();
            let pieces = text.len().div_ceil(cut);
            for (i, piece) in text.chunks(cut).enumerate() {
                decoder.decode(piece, i + 1 == pieces, &mut got).unwrap();
            }
            prop_assert_eq!(got, bytes);
        }
    }

    #[test]
    fn an_open_group_or_a_foreign_letter_is_an_error() {
        assert!(Base64In::default().decode(b"QUJ", true, &mut Vec::new()).is_err());
        assert!(Base64In::default().decode(b"QU\x00D", true, &mut Vec::new()).is_err());
    }
}
