//! Line to client in control mode: data within the client's window, marks and gaps at their offsets.

use std::{
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Control, READ};
use crate::{
    line::{Gone, Heard, Kind},
    session::packing::Packets,
    wire::{
        close::Ended,
        control::Tell,
        frame::{HEADER_MAX, Opcode},
    },
};

impl<S: AsyncRead + AsyncWrite + Unpin> Control<'_, S> {
    /// Line to client, within the client's window.
    pub(super) fn poll_down(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        let mut most = live.room().min(READ);
        if let Some(packets) = &self.packets {
            most = most.saturating_sub(packets.held()).min(packets.room());
        }
        if let Some([_, down]) = self.rates.as_deref_mut()
            && most > 0
        {
            most = most.min(ready!(down.poll(cx)));
        }
        let space = buf.get_mut(HEADER_MAX..HEADER_MAX + most).unwrap_or_default();
        let heard = if most == 0 { Poll::Pending } else { live.seat.poll_read(cx, space) };
        let heard = match (heard, &mut self.packets) {
            (Poll::Ready(heard), _) => heard,
            // What is held may be the end of a packet only if the line really has no more.
            (Poll::Pending, Some(packets)) if most > 0 => {
                let packet = ready!(packets.poll_due(cx));
                self.send_packet(&packet);
                return Poll::Ready(());
            }
            (Poll::Pending, _) => return Poll::Pending,
        };
        match heard {
            Heard::Bytes(n) => self.send_line(cx, buf, n),
            Heard::Mark(mark) => match mark.kind {
                Kind::Event(event) => {
                    self.send_rest();
                    self.tell(&Tell::Line { event, at: mark.at, count: mark.count });
                }
                Kind::Time(ms) => {
                    self.send_rest();
                    self.tell(&Tell::Time { at: mark.at, ms });
                }
                Kind::Pause(pause) => {
                    let packet = self.packets.as_mut().and_then(|packets| packets.pause(pause));
                    if let Some(packet) = packet {
                        self.send_packet(&packet);
                    }
                }
            },
            Heard::Gap(gap) => {
                self.send_rest();
                if let Some(live) = &mut self.live {
                    live.at = gap.to;
                    // What was missed takes no room in the window.
                    live.acked += gap.to - gap.from;
                }
                self.tell(&Tell::Gap { from: gap.from, to: gap.to });
            }
            Heard::Ended(Gone::Ended) => self.end(Ended::TargetEnded),
            Heard::Ended(Gone::Failed(why)) => self.end(Ended::TargetFailed(why)),
        }
        Poll::Ready(())
    }

    /// Bytes of the line that lie in `buf` behind the room for a header.
    fn send_line(&mut self, cx: &mut Context<'_>, buf: &mut [u8], length: usize) {
        self.clock.moved();
        if let Some([_, down]) = self.rates.as_deref_mut() {
            down.take(length);
        }
        if let Some(mut packets) = self.packets.take() {
            let bytes = buf.get(HEADER_MAX..HEADER_MAX + length).unwrap_or_default();
            packets.push(bytes, |packet| self.send_packet(packet));
            self.packets = Some(packets);
            return;
        }
        self.sent(length);
        if let Err(error) = self.socket.send_in_place(cx, buf, length) {
            self.lost(&error.to_string());
        }
    }

    /// One packet is one message.
    fn send_packet(&mut self, packet: &[u8]) {
        self.sent(packet.len());
        self.socket.queue(Opcode::Binary, packet);
    }

    /// What is held back, when nothing more can belong to it.
    pub(super) fn send_rest(&mut self) {
        // Without a session nobody counts these bytes any more; whoever took it over hears them itself.
        let rest = self.packets.as_mut().and_then(Packets::rest);
        if let Some(rest) = rest.filter(|_| self.live.is_some()) {
            self.send_packet(&rest);
        }
    }

    fn sent(&mut self, length: usize) {
        if let Some(live) = &mut self.live {
            live.at += length as u64;
        }
        self.session.entry.to_client.fetch_add(length as u64, Ordering::Relaxed);
    }
}
