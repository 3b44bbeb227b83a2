//! Line to client in control mode: data within the client's window, marks and gaps at their
//! offsets.

use std::{
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use super::{ControlSession, LINE_READ_MAX, tell};
use crate::{
    config::Rights,
    line::{DATAGRAM_READ, Gone, LineState, MarkKind, SeatEvent},
    session::{link::Link, live::Live, packing::Packets},
    wire::{
        close::Ended,
        control::{Code, Tell},
        frame::{HEADER_MAX, Opcode},
    },
};

impl ControlSession<'_> {
    /// Says how many of the client's bytes have left the queue, and how many were lost.
    pub(super) fn poll_acks(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        live.told = ready!(live.seat.poll_done(cx, live.told, live.told_lost));
        let (lost, too_long) = (live.seat.progress().lost, live.seat.progress().too_long);
        let refused = too_long - std::mem::replace(&mut live.told_too_long, too_long);
        let (ack, new) = (Tell::Ack { tx: live.told }, lost - live.told_lost);
        live.told_lost = lost;
        tell(link, &ack);
        self.told_lost += new;
        if new > 0 {
            let is_up = live.board.borrow().state == LineState::Up;
            let may_write = live.seat.who().rights.allows(Rights::WRITE);
            let (code, why) = if !may_write {
                (Code::Denied, "you may not write any more")
            } else if refused == new {
                (Code::Limit, "the network takes no datagram of that size")
            } else if is_up && !live.seat.is_writer() {
                (Code::NotWriter, "another session writes now")
            } else {
                (Code::LineDown, "the device is gone")
            };
            let message = format!("{new} bytes were not sent: {why}");
            tell(link, &Tell::Error { re: None, code, message, bytes: Some(new) });
        }
        Poll::Ready(())
    }

    /// Says what has changed on the board.
    pub(super) fn poll_news(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        let change = self.change.get_or_insert_with(|| {
            let mut board = live.board.clone();
            // The sender lives as long as the seat.
            Box::pin(async move { board.changed().await.unwrap_or(()) })
        });
        ready!(change.as_mut().poll(cx));
        self.change = None;
        self.news(link);
        Poll::Ready(())
    }

    pub(super) fn news(&mut self, link: &mut Link) {
        let news = self.live.as_mut().map(Live::news).unwrap_or_default();
        for message in news {
            tell(link, &message);
        }
    }

    /// Sends from the line to the client, within the client's window.
    pub(super) fn poll_down(
        &mut self,
        link: &mut Link,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        let whole = self.datagram.is_some();
        let mut most = live.room().min(if whole { DATAGRAM_READ } else { LINE_READ_MAX });
        if let Some(packets) = &self.packets {
            most = most.saturating_sub(packets.held()).min(packets.room());
        }
        if whole {
            ready!(link.rates.poll_next(cx));
        } else {
            most = ready!(link.rates.poll_down(cx, most));
        }
        let (_, space) = buf.split_at_mut(HEADER_MAX);
        let (space, _) = space.split_at_mut(most);
        let heard = if most == 0 { Poll::Pending } else { live.seat.poll_read(cx, space) };
        let heard = match (heard, &mut self.packets) {
            (Poll::Ready(heard), _) => heard,
            // What is held can be the end of a packet only if the line really has nothing more.
            (Poll::Pending, Some(packets)) if most > 0 => {
                let packet = ready!(packets.poll_due(cx));
                self.send_packet(link, &packet);
                return Poll::Ready(());
            }
            (Poll::Pending, _) => return Poll::Pending,
        };
        match heard {
            SeatEvent::Bytes(n) => self.send_line(link, cx, buf, n),
            SeatEvent::Mark(mark) => match mark.kind {
                MarkKind::Event(event) => {
                    self.send_rest(link);
                    tell(link, &Tell::Line { event, at: mark.at, count: mark.count });
                }
                MarkKind::Time(ms) => {
                    self.send_rest(link);
                    tell(link, &Tell::Time { at: mark.at, ms });
                }
                MarkKind::Pause(pause) => {
                    let packet = self.packets.as_mut().and_then(|packets| packets.pause(pause));
                    if let Some(packet) = packet {
                        self.send_packet(link, &packet);
                    }
                }
            },
            SeatEvent::Gap(gap) => {
                self.send_rest(link);
                if let Some(live) = &mut self.live {
                    live.at = gap.to;
                    // What was missed takes no room in the window.
                    live.acked += gap.to - gap.from;
                }
                tell(link, &Tell::Gap { from: gap.from, to: gap.to });
            }
            SeatEvent::Ended(gone) => link.end(match gone {
                Gone::Ended => Ended::TargetEnded,
                Gone::Failed(why) => Ended::TargetFailed(why),
                Gone::Reset(why) => Ended::TargetReset(why),
                Gone::Carrier => Ended::CarrierLost,
            }),
        }
        Poll::Ready(())
    }

    #[expect(clippy::indexing_slicing, reason = "what was just read into the buffer")]
    /// Sends line bytes, which lie in `buf` after the room for a header.
    fn send_line(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8], length: usize) {
        link.clock.moved();
        link.rates.sent(length);
        if let Some(mut packets) = self.packets.take() {
            let bytes = &buf[HEADER_MAX..HEADER_MAX + length];
            packets.push(bytes, |packet| self.send_packet(link, packet));
            self.packets = Some(packets);
            return;
        }
        self.sent(length);
        let wrote = link.socket.send_in_place(cx, buf, length);
        link.wrote(wrote);
    }

    /// Sends one packet as one message.
    fn send_packet(&mut self, link: &mut Link, packet: &[u8]) {
        self.sent(packet.len());
        link.socket.queue(Opcode::Binary, packet);
    }

    /// Sends what is held back, when nothing more can belong to it.
    pub(super) fn send_rest(&mut self, link: &mut Link) {
        // Without a session nobody counts these bytes any more; a socket that has taken the session
        // over hears them itself.
        let rest = self.packets.as_mut().and_then(Packets::rest);
        if let Some(rest) = rest.filter(|_| self.live.is_some()) {
            self.send_packet(link, &rest);
        }
    }

    fn sent(&mut self, length: usize) {
        if let Some(live) = &mut self.live {
            live.at += length as u64;
        }
        self.session.entry.to_client.fetch_add(length as u64, Ordering::Relaxed);
    }
}
