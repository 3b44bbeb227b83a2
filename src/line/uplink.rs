//! Seats to device: carries out the queue, data and tasks in the order sent.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite,
    sync::watch,
    time::{Instant, Sleep, sleep},
};

use super::{
    Shared,
    controls::{Pace, perform},
    input::Next,
    output::{EAR, Heard, Hearing, Lossless, Output},
    pacing::Pacer,
    task::Task,
};
use crate::{config::Endpoint, target::Port};

/// Carries out the queue until the device takes no more; returns why.
pub(super) async fn uplink(
    shared: &Shared,
    device: &mut (dyn AsyncWrite + Send + Unpin),
    port: &Port,
) -> io::Error {
    let mut pace = Pace::default();
    let mut paced = Paced::new(shared);
    loop {
        match poll_fn(|cx| paced.poll_work(cx, device)).await {
            Ok(Work::Wrote) => {}
            Ok(Work::Turn) => shared.input.turn(port.unsent()),
            Ok(Work::Task(task)) => {
                // A stream that buffers (TLS, telnet) sends the rest first; a tty has nothing to flush.
                poll_fn(|cx| Pin::new(&mut *device).poll_flush(cx)).await.ok();
                perform(shared, task, port, &mut pace).await;
            }
            Err(error) => return error,
        }
    }
}

/// What was done of the queue.
enum Work {
    /// Bytes went to the device.
    Wrote,
    /// Before more goes to it, [`Input::turn`](super::input::Input::turn) wants to know how much it holds.
    Turn,
    /// A task is due.
    Task(Task),
}

/// The queue at the pace the device can bear. Bytes that wait stay in the queue: a flush or the end of a seat takes
/// them from there at once.
struct Paced<'a> {
    shared: &'a Shared,
    /// The rules, as last applied.
    endpoint: watch::Receiver<Arc<Endpoint>>,
    pacer: Pacer,
    timer: Pin<Box<Sleep>>,
    /// A place among the readers, to hear prompts.
    ear: Option<Ear<'a>>,
}

impl<'a> Paced<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut endpoint = shared.endpoint.clone();
        endpoint.mark_changed();
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { shared, endpoint, pacer: Pacer::default(), timer, ear: None }
    }

    /// Does the next thing of the queue; pending while there is nothing to do, the device takes nothing, or a pause
    /// lasts.
    fn poll_work(
        &mut self,
        cx: &mut Context<'_>,
        device: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Poll<io::Result<Work>> {
        if self.endpoint.has_changed().unwrap_or(false) {
            self.pacer.set_rules(self.endpoint.borrow_and_update().pacing.clone());
            self.ear = self.pacer.listens().0.then(|| Ear::new(&self.shared.output));
        }
        // Looked at before the queue is locked: who leaves has the board and then wants the queue.
        let character = self.pacer.paces().then(|| self.shared.board.borrow().settings).flatten();
        let character = character.map_or(Duration::ZERO, |settings| settings.character());
        loop {
            if let Some(ear) = &self.ear {
                ear.listen(cx, &mut self.pacer);
            }
            match self.shared.input.poll_front(cx) {
                Poll::Ready(Next::Turn) => return Poll::Ready(Ok(Work::Turn)),
                Poll::Ready(Next::Task(task)) => return Poll::Ready(Ok(Work::Task(task))),
                Poll::Ready(Next::Data(front)) => {
                    let (piece, _) = front.bytes().split_at(self.pacer.piece(front.bytes()));
                    if !piece.is_empty() {
                        let n = ready!(poll_write(cx, device, piece))?;
                        let (wrote, _) = piece.split_at(n);
                        self.pacer.wrote(wrote, Instant::now(), character);
                        front.consumed(n);
                        return Poll::Ready(Ok(Work::Wrote));
                    }
                }
                Poll::Pending => {}
            }
            let Some(due) = self.pacer.due() else { return Poll::Pending };
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.pacer.go_on();
        }
    }
}

/// Writes at least one byte.
fn poll_write(
    cx: &mut Context<'_>,
    device: &mut (dyn AsyncWrite + Send + Unpin),
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(device).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        wrote => Poll::Ready(wrote),
    }
}

/// A reader of the device's output that holds nothing back.
struct Ear<'a>(&'a Output);

impl<'a> Ear<'a> {
    fn new(output: &'a Output) -> Self {
        let hearing = Hearing {
            from: None,
            lossless: Lossless::Never,
            acks: false,
            events: false,
            times: false,
            pauses: false,
            patient: true,
        };
        output.enter(EAR, hearing);
        Self(output)
    }

    /// Looks for the prompt in what the device has said since the line that is to be answered.
    fn listen(&self, cx: &mut Context<'_>, pacer: &mut Pacer) {
        if !pacer.listens().1 {
            self.0.seek(EAR, u64::MAX);
        }
        let mut buf = [0; 512];
        while pacer.listens().1 {
            match self.0.poll_read(EAR, cx, &mut buf) {
                Poll::Ready(Heard::Bytes(n)) => pacer.heard(buf.split_at(n).0),
                Poll::Ready(Heard::Gap(_) | Heard::Mark(_)) => {}
                Poll::Ready(Heard::Ended(_)) | Poll::Pending => return,
            }
        }
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        self.0.leave(EAR);
    }
}
