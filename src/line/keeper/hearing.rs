//! Device to tape: what it says, without our own echo where that is to be taken out.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::PoisonError,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::ReadBuf,
    time::{Instant, Sleep, sleep},
};

use crate::{
    config::{SerialTarget, Target},
    line::{Shared, echo::Echo, output::Gone},
    settings::{LineEvent, Settings},
    stream::with_scratch,
    target::Source,
};

/// How long an adapter that was asked for low latency may hold what it has heard, with the time a
/// busy machine takes to read it.
const LATENCY_LOW: Duration = Duration::from_millis(5);

/// The same for one that was not: 16 ms is what FTDI's take.
const LATENCY: Duration = Duration::from_millis(20);

/// Reads from the device to the tape, without a buffer in between. Returns how the device went.
pub(super) async fn downlink(shared: &Shared, device: &mut dyn Source) -> Gone {
    let mut marks = Vec::new();
    let mut late = pin!(sleep(Duration::ZERO));
    poll_fn(|cx: &mut Context<'_>| {
        with_scratch(|buf| {
            loop {
                // What is held of an echo may have to be passed on with what comes now.
                let room = ready!(shared.output.poll_room(cx)).min(buf.len());
                let room = room.saturating_sub(shared.echo_held()).max(1);
                let mut buf = ReadBuf::new(buf.split_at_mut(room).0);
                let Poll::Ready(read) = device.poll_read(cx, &mut buf, &mut marks) else {
                    ready!(shared.poll_late(cx, late.as_mut()));
                    continue;
                };
                match read {
                    Ok(()) if buf.filled().is_empty() && marks.is_empty() && device.ends() => {
                        return Poll::Ready(Gone::Ended);
                    }
                    Ok(()) => {
                        shared.heard(buf.filled(), &mut marks);
                        marks.clear();
                    }
                    Err(error) => return Poll::Ready(Gone::by(&error)),
                }
            }
        })
    })
    .await
}

impl Shared {
    /// Begins to look for our echo, on a device that has just been opened, if that is wanted.
    pub(super) fn begin_echo(&self) {
        let echo = match &self.endpoint.borrow().target {
            Target::Serial(SerialTarget { removes_echo: true, low_latency, .. }) => {
                Some(Echo::new(if *low_latency { LATENCY_LOW } else { LATENCY }))
            }
            Target::Serial(_)
            | Target::Rfc2217(_)
            | Target::Tcp(_)
            | Target::DialIn(_)
            | Target::Udp(_)
            | Target::Sim(_) => None,
        };
        *self.echo.lock().unwrap_or_else(PoisonError::into_inner) = echo;
    }

    fn with_echo<T>(&self, look: impl FnOnce(&mut Echo) -> T) -> Option<T> {
        self.echo.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(look)
    }

    /// Whether our echo is looked for.
    pub(in crate::line) fn has_echo(&self) -> bool {
        self.with_echo(|_| ()).is_some()
    }

    fn echo_held(&self) -> usize {
        self.with_echo(|echo| echo.held()).unwrap_or_default()
    }

    fn echo_due(&self) -> Option<Instant> {
        self.with_echo(|echo| echo.due()).flatten()
    }

    /// Passes on what was held of an echo that did not come whole, when its time is over.
    fn poll_late(&self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        let Some(due) = self.echo_due() else { return Poll::Pending };
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.poll(cx));
        self.heard(&[], &mut []);
        Poll::Ready(())
    }

    /// Notes bytes that went to the device, on a line with these settings.
    pub(in crate::line) fn sent(&self, bytes: &[u8], settings: Option<Settings>) {
        let settings = settings.unwrap_or_default();
        self.with_echo(|echo| echo.wrote(bytes, Instant::now(), settings.character()));
    }

    /// Puts what the device says on the tape, without our echo.
    fn heard(&self, bytes: &[u8], marks: &mut [(usize, LineEvent)]) {
        let heard = self.with_echo(|echo| {
            let passed = echo.heard(bytes, marks, Instant::now());
            let counts = echo.counted();
            self.metrics.echo_removed.add(counts.removed);
            self.metrics.echo_missing.add(counts.missing);
            passed.into_owned()
        });
        match heard {
            None => self.pass(bytes, marks),
            Some(passed) if passed.is_empty() && marks.is_empty() => {}
            Some(passed) => self.pass(&passed, marks),
        }
    }

    /// To whoever records it, and to the tape.
    fn pass(&self, bytes: &[u8], marks: &mut [(usize, LineEvent)]) {
        self.tell_heard(bytes, marks);
        self.output.push(bytes, marks);
    }
}
