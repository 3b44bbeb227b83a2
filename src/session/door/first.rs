//! A client's first bytes, where nothing is reached before they have come.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use tokio::io::{AsyncRead as _, ReadBuf};

use crate::{
    screen::{Screen, Verdict},
    session::Session,
    stream::{Stream, with_scratch},
    wire::opening::Foreign,
};

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum First {
    /// A tool's first bytes; none where it has only ended its side.
    Bytes(Vec<u8>),
    /// It is no tool; what it is.
    Foreign(Foreign),
    /// It has left, or was ordered to.
    Left,
}

/// Waits for them; nothing of them has gone anywhere.
pub(crate) async fn first_bytes(
    stream: &mut Stream,
    mut screen: Screen,
    session: &Session,
) -> First {
    let mut orders = session.orders();
    let mut order = pin!(orders.end());
    poll_fn(|cx| {
        if order.as_mut().poll(cx).is_ready() {
            return Poll::Ready(First::Left);
        }
        loop {
            if let Poll::Ready(verdict) = screen.poll(cx) {
                return Poll::Ready(verdict.into());
            }
            let read = with_scratch(|buf| {
                let mut buf = ReadBuf::new(buf);
                Pin::new(&mut *stream).poll_read(cx, &mut buf).map_ok(|()| {
                    screen.take(buf.filled());
                    !buf.filled().is_empty()
                })
            });
            match read {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) if screen.len() > 0 => {
                    return Poll::Ready(screen.end().into());
                }
                Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(First::Left),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

impl From<Verdict> for First {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass(bytes) => Self::Bytes(bytes),
            Verdict::Foreign(foreign) => Self::Foreign(foreign),
        }
    }
}
