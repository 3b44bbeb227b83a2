//! Seats to device: carries out the queue's data and tasks in the order they were sent.

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
    bus::Bus,
    controls::{Pace, perform},
    input::{Front, Next},
    output::{EAR, Hearing, Lossless, Output, SeatEvent},
    pacing::Pacer,
    task::Task,
};
use crate::{
    config::{Endpoint, Packing},
    record::Ahead,
    settings::Settings,
    target::{Port, Wire, is_too_long},
};

/// How often we look at a driver while it sends.
const DRIVER_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Carries out the queue until the device takes no more; returns why.
pub(super) async fn uplink(
    shared: &Shared,
    device: &mut (dyn AsyncWrite + Send + Unpin),
    port: &Port,
) -> io::Error {
    let mut pace = Pace::default();
    let mut paced = Paced::new(shared);
    let mut looks = Looks::default();
    loop {
        let work = poll_fn(|cx| {
            let work = paced.poll_work(cx, device);
            if work.is_pending() {
                looks.poll(cx, port);
            }
            work
        });
        match work.await {
            Ok(Work::Wrote) => looks.wrote(),
            Ok(Work::Turn) => shared.input.turn(port.unsent()),
            Ok(Work::Ask) => paced.answered(!matches!(port.wire().await, Ok(Wire::Busy(_)))),
            Ok(Work::Task(task)) => {
                // A stream that buffers (TLS, telnet) sends the rest first; a tty has nothing to
                // flush.
                poll_fn(|cx| Pin::new(&mut *device).poll_flush(cx)).await.ok();
                perform(shared, task, port, &mut pace).await;
            }
            Err(error) => return error,
        }
    }
}

/// Looks at how far a driver has got while it sends: one that goes with its device can no longer be
/// asked what it still had.
#[derive(Default)]
struct Looks {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Looks {
    fn wrote(&mut self) {
        self.timer.get_or_insert_with(|| Box::pin(sleep(DRIVER_CHECK_INTERVAL)));
    }

    fn poll(&mut self, cx: &mut Context<'_>, port: &Port) {
        while let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            if port.is_sending() {
                timer.as_mut().reset(Instant::now() + DRIVER_CHECK_INTERVAL);
            } else {
                self.timer = None;
            }
        }
    }
}

/// What was done about the queue.
enum Work {
    /// Bytes went to the device.
    Wrote,
    /// Before more goes to it, [`Input::turn`](super::input::Input::turn) has to be told how much
    /// it holds.
    Turn,
    /// By the clock a message has left; [`Paced::answered`] has to be told whether the wire is
    /// idle.
    Ask,
    /// A task is due.
    Task(Task),
}

/// The queue, at a pace that the device can take. Bytes that wait stay in the queue, where a flush
/// or the end of a seat can still remove them.
struct Paced<'a> {
    shared: &'a Shared,
    /// The rules, as last applied.
    endpoint: watch::Receiver<Arc<Endpoint>>,
    pacer: Pacer,
    /// The Modbus bus, if the line is one.
    bus: Option<Bus>,
    timer: Pin<Box<Sleep>>,
    ahead: Ahead,
    /// A reader's place, to hear prompts.
    ear: Option<Ear<'a>>,
}

impl<'a> Paced<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut endpoint = shared.endpoint.clone();
        endpoint.mark_changed();
        let timer = Box::pin(sleep(Duration::ZERO));
        let (pacer, ahead) = (Pacer::default(), Ahead::default());
        Self { shared, endpoint, pacer, bus: None, timer, ahead, ear: None }
    }

    /// Does the next thing in the queue; pending while there is nothing to do, the device takes
    /// nothing, or a pause lasts.
    fn poll_work(
        &mut self,
        cx: &mut Context<'_>,
        device: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Poll<io::Result<Work>> {
        if self.endpoint.has_changed().unwrap_or(false) {
            let endpoint = Arc::clone(&self.endpoint.borrow_and_update());
            self.pacer.set_rules(endpoint.pacing.clone());
            self.bus = matches!(endpoint.packing, Packing::ModbusRtu { .. }).then(Bus::default);
            self.ear = self.pacer.listens().0.then(|| Ear::new(&self.shared.output));
        }
        // Read before the queue is locked: a leaving seat locks the board first and the queue
        // second.
        self.shared.tell_board();
        let paces = self.pacer.paces() || self.bus.is_some() || self.shared.has_echo();
        let settings = paces.then(|| self.shared.board.borrow().settings).flatten();
        loop {
            if let Some(ear) = &self.ear {
                ear.listen(cx, &mut self.pacer);
            }
            match self.shared.input.poll_front(cx) {
                Poll::Ready(Next::Turn) => return Poll::Ready(Ok(Work::Turn)),
                Poll::Ready(Next::Task(task)) => return Poll::Ready(Ok(Work::Task(task))),
                Poll::Ready(Next::Data(front)) => {
                    let length = self.piece(&front);
                    if length > 0 || self.shared.datagrams {
                        ready!(self.poll_put(cx, device, front, (length, settings)))?;
                        return Poll::Ready(Ok(Work::Wrote));
                    }
                }
                Poll::Pending => {}
            }
            let bus = self.bus.as_ref().and_then(Bus::due);
            let Some(due) = self.pacer.due().or(bus) else { return Poll::Pending };
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.pacer.due().is_some() {
                self.pacer.go_on();
            } else if self.bus.as_mut().is_some_and(Bus::asks) {
                return Poll::Ready(Ok(Work::Ask));
            }
        }
    }

    /// Writes that many of the next bytes, on a line with these settings.
    fn poll_put(
        &mut self,
        cx: &mut Context<'_>,
        device: &mut (dyn AsyncWrite + Send + Unpin),
        front: Front<'_>,
        (length, settings): (usize, Option<Settings>),
    ) -> Poll<io::Result<()>> {
        let (owner, piece) = (front.owner(), front.bytes().split_at(length).0);
        let tap = (&*self.shared.tap, self.shared.stream);
        self.shared.tell_sender(owner);
        let recorded = ready!(self.ahead.poll(cx, tap, (piece, self.shared.datagrams)));
        let (piece, _) = piece.split_at(recorded);
        match ready!(poll_write(cx, device, piece)) {
            Ok(n) => {
                let (wrote, _) = piece.split_at(n);
                self.shared.sent(wrote, settings);
                self.ahead.sent(tap, wrote);
                self.wrote(wrote, settings);
                front.consumed(n);
            }
            Err(error) if self.shared.datagrams && is_too_long(&error) => {
                self.shared.refused(front);
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    /// How many of the next bytes may be sent in one write.
    fn piece(&mut self, front: &Front<'_>) -> usize {
        let most = self.pacer.piece(front.bytes());
        let (next, _) = front.bytes().split_at(most);
        self.bus.as_mut().map_or(most, |bus| bus.piece(next, front.owner(), Instant::now()))
    }

    /// Notes that these bytes were sent, on a line with these settings.
    fn wrote(&mut self, bytes: &[u8], settings: Option<Settings>) {
        let (now, character) =
            (Instant::now(), settings.map_or(Duration::ZERO, |all| all.character()));
        self.pacer.wrote(bytes, now, character);
        if let Some(bus) = &mut self.bus {
            bus.wrote(bytes, now, settings.unwrap_or_default());
        }
    }

    /// Takes note whether the wire is idle, as far as the port knows; for a port on another box
    /// only the clock can say.
    fn answered(&mut self, is_idle: bool) {
        let settings = self.shared.board.borrow().settings.unwrap_or_default();
        if let Some(bus) = &mut self.bus {
            bus.answered(is_idle, Instant::now(), settings);
        }
    }
}

/// Writes at least one byte, or an empty datagram.
fn poll_write(
    cx: &mut Context<'_>,
    device: &mut (dyn AsyncWrite + Send + Unpin),
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(device).poll_write(cx, bytes)) {
        Ok(0) if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        wrote => Poll::Ready(wrote),
    }
}

/// A reader of the device's output that never holds it back.
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
            longest: 0,
        };
        output.enter(EAR, hearing);
        Self(output)
    }

    /// Looks for the prompt in what the device has said since the line that it answers.
    fn listen(&self, cx: &mut Context<'_>, pacer: &mut Pacer) {
        if !pacer.listens().1 {
            self.0.seek(EAR, u64::MAX);
        }
        let mut buf = [0; 512];
        while pacer.listens().1 {
            match self.0.poll_read(EAR, cx, &mut buf) {
                Poll::Ready(SeatEvent::Bytes(n)) => pacer.heard(buf.split_at(n).0),
                Poll::Ready(SeatEvent::Gap(_) | SeatEvent::Mark(_)) => {}
                Poll::Ready(SeatEvent::Ended(_)) | Poll::Pending => return,
            }
        }
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        self.0.leave(EAR);
    }
}
