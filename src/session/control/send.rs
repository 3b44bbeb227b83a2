//! Everything for the client, in one place so that no frame cuts another: answers, acknowledgements, news, then data.

use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{super::live::Live, Closing, Control};
use crate::wire::{
    close::Ended,
    control::{Code, Tell},
};

impl<S: AsyncRead + AsyncWrite + Unpin> Control<'_, S> {
    /// Everything for the client, in one place so that no frame cuts another.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(false)) => {}
            Poll::Ready(Ok(true)) => {
                // As in plain mode: a client that makes room is alive.
                if std::mem::take(&mut self.pressed) {
                    self.clock.heard();
                }
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => {
                self.lost(&error.to_string());
                return Poll::Ready(());
            }
            Poll::Pending => {
                self.pressed = true;
                return Poll::Pending;
            }
        }
        match (&self.ended, self.closing) {
            (Some(ended), Closing::Open) => {
                let ended = ended.clone();
                self.send_rest();
                self.socket.queue_close(&ended);
                self.closing = Closing::Queued;
                return Poll::Ready(());
            }
            (Some(Ended::ClientClosed(_)), Closing::Queued) => {
                self.closing = Closing::Done;
                return Poll::Ready(());
            }
            (_, Closing::Queued) => {
                self.closing = Closing::Sent;
                return Poll::Ready(());
            }
            (_, Closing::Sent | Closing::Done) => return Poll::Pending,
            (None, Closing::Open) => {}
        }
        let moved = [self.poll_answers(cx), self.poll_acks(cx), self.poll_news(cx)];
        if moved.iter().any(Poll::is_ready) {
            return Poll::Ready(());
        }
        self.poll_down(cx, buf)
    }

    /// Says how many of the client's bytes have left the queue, and how many of them were lost.
    fn poll_acks(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        live.told = ready!(live.seat.poll_done(cx, live.told));
        let lost = live.seat.progress().lost;
        let (ack, new) = (Tell::Ack { tx: live.told }, lost - live.told_lost);
        live.told_lost = lost;
        self.tell(&ack);
        if new > 0 {
            let message = format!("{new} bytes were not sent: the device is gone");
            self.tell(&Tell::Error { re: None, code: Code::LineDown, message, bytes: Some(new) });
        }
        Poll::Ready(())
    }

    /// Says what changed on the board.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(live) = &mut self.live else { return Poll::Pending };
        let change = self.change.get_or_insert_with(|| {
            let mut board = live.board.clone();
            // The sender lives as long as the seat.
            Box::pin(async move { board.changed().await.unwrap_or(()) })
        });
        ready!(change.as_mut().poll(cx));
        self.change = None;
        self.news();
        Poll::Ready(())
    }

    pub(super) fn news(&mut self) {
        let news = self.live.as_mut().map(Live::news).unwrap_or_default();
        for message in news {
            self.tell(&message);
        }
    }
}
