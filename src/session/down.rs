//! Target to client: a read, a header, one write.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Far, Input, Payload, Socket,
    encoding::{TextOut, base64_out},
    rate::Rate,
};
use crate::wire::{
    close::Ended,
    frame::{HEADER_MAX, Opcode},
};

/// Bytes of one read: with its 4-byte header the frame fills two TLS records of 16 KiB.
const READ: usize = 32 * 1024 - 4;

/// The target's direction of a plain session.
#[derive(Debug)]
pub(super) struct Down {
    phase: Phase,
    rate: Option<Rate>,
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
    pub(super) fn new(rate: Option<u64>) -> Self {
        let (text, rate) = (TextOut::default(), rate.map(Rate::new));
        Self { phase: Phase::Open, rate, text, count: 0, lost: 0 }
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
        let space = buf.get_mut(HEADER_MAX..HEADER_MAX + most).unwrap_or_default();
        let input = ready!(far.poll_read(cx, space));
        match &input {
            Input::Bytes(n) => self.send(cx, buf, *n, socket)?,
            Input::End(_) if socket.payload == Payload::Text => {
                let rest = self.text.rest();
                if !rest.is_empty() {
                    socket.queue(Opcode::Text, rest.as_bytes());
                }
            }
            Input::End(_) => {}
        }
        Poll::Ready(Ok(input))
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
        match socket.payload {
            Payload::Binary => return socket.send_in_place(cx, buf, length),
            Payload::Base64 => socket.queue(Opcode::Text, base64_out(bytes).as_bytes()),
            Payload::Text => {
                let text = self.text.encode(bytes);
                if !text.is_empty() {
                    socket.queue(Opcode::Text, text.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// Puts the Close frame behind what waits.
    pub(super) fn close<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, ended: &Ended) {
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
            self.lost = socket.waiting();
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
