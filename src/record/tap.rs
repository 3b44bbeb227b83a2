//! Where an endpoint is listened to: whatever passes is told here, and goes to those who keep it.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::watch;

use super::{
    encode::{Manner, Shape},
    piece::{Kind, now},
    sink::Sink,
    writer::{Teller, Writer},
};
use crate::{
    config::{RecordFirst, RecordFormat, RecordRules},
    metrics::EndpointMetrics,
};

/// The place where an endpoint is listened to. It costs next to nothing while nobody does.
#[derive(Debug)]
pub(crate) struct Tap {
    kept: Mutex<Kept>,
    /// Whether somebody keeps what passes.
    busy: watch::Sender<bool>,
    is_busy: AtomicBool,
    /// Whether nothing may go to the device that is not recorded.
    required: AtomicBool,
    streams: AtomicU32,
}

#[derive(Debug)]
struct Kept {
    manner: Manner,
    writer: Option<(Writer, Manner, PathBuf)>,
    live: Vec<Arc<Sink>>,
    known: Known,
}

/// What is so now, for those who begin to listen.
#[derive(Debug, Default)]
struct Known {
    lines: u8,
    settings: String,
    user: String,
    streams: BTreeSet<u32>,
}

impl Known {
    fn note(&mut self, stream: u32, kind: Kind, bytes: &[u8]) {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match kind {
            Kind::Signals(lines) => self.lines = lines,
            Kind::Settings => self.settings = text(),
            Kind::User => self.user = text(),
            Kind::Opened => drop(self.streams.insert(stream)),
            Kind::Closed => drop(self.streams.remove(&stream)),
            Kind::FromDevice | Kind::ToDevice | Kind::Line(_) | Kind::Note | Kind::Lost(_) => {}
        }
    }

    /// Tells a newcomer.
    fn tell(&self, sink: &Sink) {
        let at = now();
        let push = |stream, kind, text: &str| {
            sink.push((at, stream), (kind, text.as_bytes()), (true, false));
        };
        if !self.settings.is_empty() {
            push(0, Kind::Settings, &self.settings);
        }
        if self.lines != 0 {
            push(0, Kind::Signals(self.lines), "");
        }
        for stream in &self.streams {
            push(*stream, Kind::Opened, "");
        }
        if !self.user.is_empty() {
            push(0, Kind::User, &self.user);
        }
    }
}

impl Tap {
    pub(super) fn new(manner: Manner) -> Self {
        let kept = Kept { manner, writer: None, live: Vec::new(), known: Known::default() };
        Self {
            kept: Mutex::new(kept),
            busy: watch::Sender::new(false),
            is_busy: AtomicBool::new(false),
            required: AtomicBool::new(false),
            streams: AtomicU32::new(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the recording what the configuration wants: none without rules.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn set(
        &self,
        manner: Manner,
        wanted: Option<(&RecordRules, PathBuf)>,
        told: (Arc<EndpointMetrics>, Teller),
    ) -> io::Result<()> {
        let mut kept = self.lock();
        let same = kept
            .writer
            .as_ref()
            .map(|(writer, manner, folder)| (&writer.rules, folder.clone(), manner.clone()))
            == wanted.as_ref().map(|(rules, folder)| {
                (*rules, folder.clone(), Manner { format: rules.format, ..manner.clone() })
            });
        kept.manner = Manner { format: RecordFormat::Pcapng, ..manner.clone() };
        if same {
            return Ok(());
        }
        let before = kept.writer.take();
        if let Some((before, ..)) = before {
            before.stop();
        }
        let mut started = Ok(());
        if let Some((rules, folder)) = wanted {
            let manner = Manner { format: rules.format, ..manner };
            match Writer::start(folder.clone(), (rules, manner.clone()), told) {
                Ok(writer) => {
                    kept.known.tell(&writer.sink);
                    kept.writer = Some((writer, manner, folder));
                }
                Err(error) => started = Err(error),
            }
            self.required.store(rules.required != RecordFirst::No, Ordering::Relaxed);
        } else {
            self.required.store(false, Ordering::Relaxed);
        }
        self.note_busy(&kept);
        started
    }

    /// Ends the recording: what waits is written.
    pub(super) fn stop(&self) {
        let mut kept = self.lock();
        let writer = kept.writer.take();
        for live in kept.live.drain(..) {
            live.close();
        }
        self.note_busy(&kept);
        drop(kept);
        if let Some((writer, ..)) = writer {
            writer.stop();
        }
    }

    fn note_busy(&self, kept: &Kept) {
        let busy = kept.writer.is_some() || !kept.live.is_empty();
        self.is_busy.store(busy, Ordering::Relaxed);
        self.busy.send_if_modified(|before| std::mem::replace(before, busy) != busy);
    }

    /// Whether somebody keeps what passes; changes with it.
    pub(crate) fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }

    /// Whether somebody keeps what passes.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// A number for a connection that is one of several.
    pub(crate) fn stream(&self) -> u32 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells what happened. Never waits.
    pub(crate) fn tell(&self, stream: u32, kind: Kind, bytes: &[u8]) {
        let data = matches!(kind, Kind::FromDevice | Kind::ToDevice | Kind::Line(_) | Kind::Note);
        if data && !self.is_busy() {
            return;
        }
        self.push(stream, (kind, bytes), false);
    }

    /// Tells of bytes that may go to the device only when they are written; a number to wait for.
    pub(crate) fn tell_first(&self, stream: u32, bytes: &[u8]) -> u64 {
        self.push(stream, (Kind::ToDevice, bytes), true)
    }

    fn push(&self, stream: u32, (kind, bytes): (Kind, &[u8]), urgent: bool) -> u64 {
        let at = (now(), stream);
        let mut kept = self.lock();
        kept.known.note(stream, kind, bytes);
        let whole = matches!(kept.manner.shape, Shape::Datagrams(..));
        for live in &kept.live {
            live.push(at, (kind, bytes), (whole, false));
        }
        let writer = kept.writer.as_ref();
        writer.map_or(0, |(writer, ..)| writer.sink.push(at, (kind, bytes), (whole, urgent)))
    }

    /// Whether nothing may go to the device that is not recorded.
    pub(crate) fn is_required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    /// Whether nobody may write, because it cannot be recorded.
    pub(crate) fn refuses(&self) -> bool {
        self.is_required()
            && self.lock().writer.as_ref().is_none_or(|(writer, ..)| writer.sink.is_failing())
    }

    fn sink(&self) -> Option<Arc<Sink>> {
        self.lock().writer.as_ref().map(|(writer, ..)| Arc::clone(&writer.sink))
    }

    /// Ready when the bytes of this number are written (true), or cannot be (false).
    pub(crate) fn poll_written(&self, number: u64, cx: &mut Context<'_>) -> Poll<bool> {
        match self.sink() {
            Some(sink) => sink.poll_written(number, cx),
            // It is not required any more.
            None => Poll::Ready(!self.is_required()),
        }
    }

    /// Ready while something can be written.
    pub(crate) fn poll_able(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink().map_or(Poll::Ready(()), |sink| sink.poll_able(cx))
    }

    /// A sink that gets all from now on, and what it gets is to be.
    pub(super) fn join(&self) -> (Arc<Sink>, Manner) {
        let sink = Arc::new(Sink::default());
        let mut kept = self.lock();
        kept.known.tell(&sink);
        kept.live.push(Arc::clone(&sink));
        self.note_busy(&kept);
        (sink, kept.manner.clone())
    }

    /// Ends that.
    pub(super) fn leave(&self, sink: &Arc<Sink>) {
        sink.close();
        let mut kept = self.lock();
        kept.live.retain(|live| !Arc::ptr_eq(live, sink));
        self.note_busy(&kept);
    }
}
