//! Target to client: a read, a header, one write.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Far, Input, Payload, Socket,
    encoding::{TextOut, base64_out},
    packing::Packets,
    rate::Rate,
};
use crate::config::{PACKET_MOST, Packing};
use crate::wire::{
    close::Ended,
    frame::{HEADER_MAX, Opcode},
};

/// Bytes of one read: with its 4-byte header the frame fills two TLS records of 16 KiB.
const READ: usize = PACKET_MOST;

/// The target's direction of a plain session.
#[derive(Debug)]
pub(super) struct Down {
    phase: Phase,
    rate: Option<Rate>,
    packets: Option<Packets>,
    text: TextOut,
    count: u64,
    lost: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The Close frame waits to be written.
    Closing,
    /// It is written, or there is nobody to write to.
    Done,
}

impl Down {
    pub(super) fn new(rate: Option<u64>, packing: Packing) -> Self {
        let (text, rate) = (TextOut::default(), rate.map(Rate::new));
        Self { phase: Phase::Open, rate, packets: Packets::new(packing, READ), text, count: 0, lost: 0 }
    }

    /// Moves one piece. Call it only when nothing waits in the socket.
    pub(super) fn poll<S, F>(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        socket: &mut Socket<S>,
        far: &mut F,
    ) -> Poll<io::Result<Input>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Far,
    {
        let most = match &mut self.rate {
            Some(rate) => ready!(rate.poll(cx)).min(READ),
            None => READ,
        };
        let most = self.packets.as_ref().map_or(most, |packets| packets.room().min(most));
        let space = buf.get_mut(HEADER_MAX..HEADER_MAX + most).unwrap_or_default();
        let input = match (far.poll_read(cx, space), &mut self.packets) {
            (Poll::Ready(input), _) => input,
            (Poll::Pending, None) => return Poll::Pending,
            (Poll::Pending, Some(packets)) => {
                let packet = ready!(packets.poll_due(cx));
                self.send_packet(&packet, socket);
                return Poll::Ready(Ok(Input::Bytes(0)));
            }
        };
        match &input {
            Input::Bytes(n) => self.send(cx, buf, *n, socket)?,
            Input::Pause(pause) => {
                let packet = self.packets.as_mut().and_then(|packets| packets.pause(*pause));
                if let Some(packet) = packet {
                    self.send_packet(&packet, socket);
                }
            }
            Input::End(_) => self.send_rest(socket),
        }
        Poll::Ready(Ok(input))
    }

    /// What is held back, when nothing more can belong to it.
    fn send_rest<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) {
        if let Some(packet) = self.packets.as_mut().and_then(Packets::rest) {
            self.send_packet(&packet, socket);
        }
        if socket.payload == Payload::Text {
            let rest = self.text.rest();
            if !rest.is_empty() {
                socket.queue(Opcode::Text, rest.as_bytes());
            }
        }
    }

    /// One packet is one message.
    fn send_packet<S>(&mut self, packet: &[u8], socket: &mut Socket<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match socket.payload {
            Payload::Binary => socket.queue(Opcode::Binary, packet),
            Payload::Base64 => socket.queue(Opcode::Text, base64_out(packet).as_bytes()),
            Payload::Text => {
                let text = self.text.encode(packet);
                // Half a character belongs to the next message; an empty packet is one all the same.
                if !text.is_empty() || packet.is_empty() {
                    socket.queue(Opcode::Text, text.as_bytes());
                }
            }
        }
    }

    fn send<S>(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        length: usize,
        socket: &mut Socket<S>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.count += length as u64;
        if let Some(rate) = &mut self.rate {
            rate.take(length);
        }
        let bytes = buf.get(HEADER_MAX..HEADER_MAX + length).unwrap_or_default();
        if let Some(mut packets) = self.packets.take() {
            packets.push(bytes, |packet| self.send_packet(packet, socket));
            self.packets = Some(packets);
            return Ok(());
        }
        match socket.payload {
            Payload::Binary => socket.send_in_place(cx, buf, length)?,
            Payload::Base64 | Payload::Text => self.send_packet(bytes, socket),
        }
        Ok(())
    }

    /// Puts the Close frame behind what waits.
    pub(super) fn close<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, ended: &Ended) {
        self.send_rest(socket);
        socket.queue_close(ended);
        self.phase = Phase::Closing;
    }

    /// The Close frame is written.
    pub(super) fn closed(&mut self) {
        self.phase = Phase::Done;
    }

    /// There is nobody to write to any more.
    pub(super) fn give_up<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &Socket<S>) {
        if self.phase != Phase::Done {
            self.lost = socket.waiting() + self.packets.as_ref().map_or(0, Packets::held);
            self.phase = Phase::Done;
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Bytes moved since the last call.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// Bytes that were taken and not delivered.
    pub(super) fn lost_bytes(&self) -> usize {
        self.lost
    }
}
