//! Whether the device is there, for a door whose clients stay while it is not.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::watch;

use crate::line::{Board, LineState};

/// Asks a line's board; without one the device is there.
#[derive(Default)]
pub(super) struct Presence(Option<Held>);

struct Held {
    board: watch::Receiver<Board>,
    /// Resolves when the device is there.
    back: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Presence {
    /// Of a line with that board, where clients are held.
    pub(super) fn of(board: Option<watch::Receiver<Board>>, hold: bool) -> Self {
        Self(board.filter(|_| hold).map(|board| Held { board, back: None }))
    }

    /// Whether it was away when it was last asked.
    pub(super) fn is_away(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.back.is_some())
    }

    /// Ready when the device is there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Held { board, back }) = &mut self.0 else { return Poll::Ready(()) };
        if board.borrow().state == LineState::Up {
            *back = None;
            return Poll::Ready(());
        }
        let coming = back.get_or_insert_with(|| {
            let mut board = board.clone();
            Box::pin(async move {
                // The sender lives as long as the seat.
                let _ = board.wait_for(|board| board.state == LineState::Up).await;
            })
        });
        ready!(coming.as_mut().poll(cx));
        *back = None;
        Poll::Ready(())
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presence").field(&self.0.is_some()).finish()
    }
}
