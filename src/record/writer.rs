//! The thread that writes an endpoint's files: nobody whose bytes are recorded waits for the disk,
//! except by `required`.

use std::{
    fmt, io,
    path::PathBuf,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    encode::{Encoder, Manner},
    files::{Budget, Files},
    piece::{Batch, Kind, now},
    sink::{Sink, Taken},
};
use crate::{
    config::{RecordFirst, RecordRules},
    metrics::EndpointMetrics,
};

/// How long after an error the disk is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// What happens to an endpoint's recording.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RecordNews<'a> {
    /// A file began.
    Started(&'a str),
    /// Another one began.
    Rotated(&'a str),
    /// Nothing can be written, and why.
    Failed(&'a str),
}

/// Who hears of it: the endpoint's name, and what happened.
pub(crate) type Teller = Arc<dyn Fn(&str, RecordNews<'_>) + Send + Sync>;

/// A running recording.
pub(super) struct Writer {
    pub(super) sink: Arc<Sink>,
    pub(super) rules: RecordRules,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub(super) fn start(
        folder: PathBuf,
        (rules, manner): (&RecordRules, Manner),
        (metrics, teller): (Arc<EndpointMetrics>, Teller),
    ) -> io::Result<Self> {
        let sink = Arc::new(Sink::default());
        let budget = Budget { file: rules.max_file, age: rules.max_age, total: rules.max_total };
        let name = manner.name.clone();
        let mut work = Work {
            name,
            files: Files::new(folder, manner.format, budget),
            encoder: Encoder::new(manner),
            sink: Arc::clone(&sink),
            sync: rules.required == RecordFirst::OnDisk,
            gap: 0,
            failed: None,
            began: false,
            metrics,
            teller,
            news: Vec::new(),
        };
        let thread = Builder::new().name("record".into()).spawn(move || work.run())?;
        Ok(Self { sink, rules: rules.clone(), thread: Some(thread) })
    }

    /// Writes what waits, and closes the file.
    pub(super) fn stop(mut self) {
        self.sink.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a recording's thread ended by a fault");
        }
    }
}

/// What the thread has.
struct Work {
    name: String,
    files: Files,
    encoder: Encoder,
    sink: Arc<Sink>,
    sync: bool,
    /// Bytes that were not recorded since the last that were.
    gap: u64,
    /// When the disk last failed, while it does.
    failed: Option<Instant>,
    /// There was a file before.
    began: bool,
    metrics: Arc<EndpointMetrics>,
    teller: Teller,
    /// What has to be told when it is so for everybody.
    news: Vec<News>,
}

enum News {
    Begun(String),
    Failed(String),
}

impl Work {
    fn run(&mut self) {
        // What a crash left is mended before anybody looks for it.
        if let Err(error) = self.files.prepare() {
            self.fail(&error);
        }
        self.sink.settle(0, self.failed.is_some());
        self.tell();
        let mut spare = Batch::default();
        loop {
            let again = self.failed.map(|when| when + AGAIN);
            let taken = self.sink.wait(std::mem::take(&mut spare), again);
            self.lose(taken.lost);
            let done = self.write(&taken);
            self.sink.settle(taken.number, !done);
            self.tell();
            if taken.closed {
                break;
            }
            spare = taken.batch;
            spare.clear();
        }
        self.files.close();
    }

    /// Writes a batch; false: it cannot be written, and is counted.
    fn write(&mut self, taken: &Taken) -> bool {
        let waits = self.failed.is_some_and(|when| when.elapsed() < AGAIN);
        let nothing = taken.batch.is_empty() && self.failed.is_none();
        if waits {
            self.lose(taken.batch.data());
            return false;
        }
        if nothing {
            return true;
        }
        // About as long as it gets, so that it does not grow by copies of itself.
        let mut bytes = Vec::with_capacity(taken.batch.size());
        let at = taken.batch.began().unwrap_or_else(now);
        let began = if self.files.is_open() { Ok(()) } else { self.begin(at) };
        let mut gap = Batch::default();
        if self.gap > 0 {
            gap.push((at, 0), Kind::Lost(self.gap), &[], true);
        }
        for (piece, own) in gap.iter().chain(taken.batch.iter()) {
            self.encoder.piece(&mut bytes, piece, own);
        }
        let written = began.and_then(|()| self.files.append(&bytes, self.sync && taken.urgent));
        match written {
            Err(error) => {
                self.lose(taken.batch.data());
                self.fail(&error);
                return false;
            }
            Ok(()) => self.gap = 0,
        }
        if self.failed.take().is_some() {
            tracing::info!(endpoint = self.name, "recorded again");
        }
        if self.files.is_full() {
            self.files.close();
        }
        true
    }

    /// Begins a file.
    fn begin(&mut self, at: u64) -> io::Result<()> {
        let mut head = Vec::new();
        self.encoder.begin(&mut head, at);
        let name = self.files.begin(&head)?;
        self.news.push(News::Begun(name));
        Ok(())
    }

    fn tell(&mut self) {
        for news in std::mem::take(&mut self.news) {
            let told = match &news {
                News::Failed(why) => RecordNews::Failed(why),
                News::Begun(name) if self.began => RecordNews::Rotated(name),
                News::Begun(name) => RecordNews::Started(name),
            };
            self.began |= matches!(news, News::Begun(_));
            (self.teller)(&self.name, told);
        }
    }

    fn lose(&mut self, bytes: u64) {
        self.gap += bytes;
        self.metrics.record_lost.add(bytes);
    }

    fn fail(&mut self, error: &io::Error) {
        if self.failed.is_none() {
            self.news.push(News::Failed(error.to_string()));
        }
        self.failed = Some(Instant::now());
    }
}
