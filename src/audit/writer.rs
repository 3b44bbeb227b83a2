//! The thread that writes the record: events come through a queue, and nobody who tells one waits
//! for the disk.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::{
    files::{Budget, Files, Recovered},
    line::{Entry, LOST},
    witness::{Witness, WitnessNews},
};
use crate::{boot, config::AuditRules, metrics::Metrics};

/// Events that may wait for the disk; more are counted and not kept.
const QUEUE: usize = 4096;
/// Bytes of one file, unless little is kept altogether.
const FILE_MAX: u64 = 8 << 20;
/// How long after an error the disk is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Events that were not kept.
#[derive(Debug)]
struct Lost {
    /// Since the last that was.
    untold: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Lost {
    fn one(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        self.metrics.audit_lost.inc();
    }
}

/// What the thread has to do.
#[derive(Debug)]
enum Job {
    Keep(Entry),
    /// A new key; the answer is that key, or why there is none.
    Rotate(Entry, SyncSender<io::Result<String>>),
}

/// The record, for whoever has something to tell.
#[derive(Debug)]
pub(crate) struct Audit {
    queue: Mutex<Option<SyncSender<Job>>>,
    lost: Arc<Lost>,
    thread: Mutex<Option<JoinHandle<()>>>,
    placed: Arc<Notify>,
}

impl Audit {
    /// Opens the record in a folder and starts its thread. `host` begins its name; `start` is its
    /// first line.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(crate) fn start(
        folder: &Path,
        rules: AuditRules,
        (metrics, news): (Arc<Metrics>, WitnessNews),
        (host, start): (&str, &Entry),
    ) -> io::Result<Self> {
        let budget = Budget { file: FILE_MAX.min(rules.keep / 4), total: rules.keep };
        let (files, recovered) = Files::open(folder, host, budget)?;
        let (queue, entries) = sync_channel(QUEUE);
        metrics.audit_signed.set(files.checked);
        let courier = (Arc::clone(&metrics), news);
        let witness = rules.witness.clone();
        let placed = Arc::new(Notify::new());
        let begin = |rules| Witness::start(rules, folder, courier, Arc::clone(&placed));
        let witness = witness.map(begin).transpose()?;
        let lost = Arc::new(Lost { untold: AtomicU64::new(0), metrics });
        let mut writer = Writer {
            files,
            folder: folder.to_owned(),
            rules,
            boot: boot::number(),
            lost: Arc::clone(&lost),
            failed: None,
            witness,
        };
        if recovered != Recovered::default() {
            writer.keep(&found(recovered));
        }
        writer.keep(start);
        let thread = std::thread::Builder::new().name("audit".into());
        let thread = thread.spawn(move || writer.run(&entries))?;
        Ok(Self { queue: Mutex::new(Some(queue)), lost, thread: Mutex::new(Some(thread)), placed })
    }

    /// From here on whoever tells of an event tells it here: the witness's thread begins.
    pub(crate) fn placed(&self) {
        self.placed.notify_one();
    }

    /// Keeps an entry. Never waits: what the queue has no room for is counted, and the record says
    /// how many.
    pub(crate) fn tell(&self, entry: Entry) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else { return };
        if matches!(queue.try_send(Job::Keep(entry)), Err(TrySendError::Full(_))) {
            self.lost.one();
        }
    }

    /// Goes on with a new key, which `entry` announces. Waits for the disk.
    ///
    /// # Errors
    /// The disk is full, or fails: the old key goes on.
    pub(crate) fn rotate(&self, entry: Entry) -> io::Result<String> {
        let (done, answer) = sync_channel(1);
        let stopped = || io::Error::other("the record is stopped");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or_else(stopped)?;
        queue.send(Job::Rotate(entry, done)).map_err(|_| stopped())?;
        drop(queue);
        answer.recv().map_err(|_| stopped())?
    }

    /// Writes what waits, and the last checkpoint.
    pub(crate) fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the record's thread ended by a fault");
        }
    }
}

/// What the thread has.
struct Writer {
    files: Files,
    folder: PathBuf,
    rules: AuditRules,
    boot: String,
    lost: Arc<Lost>,
    /// When the disk last failed, while it does.
    failed: Option<Instant>,
    witness: Option<Witness>,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        let mut due = Instant::now() + self.rules.every;
        loop {
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Job::Keep(entry)) => self.keep(&entry),
                Ok(Job::Rotate(entry, done)) => {
                    let _ = done.send(self.rotate(entry));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint();
                    due = Instant::now() + self.rules.every;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // It is the last time.
        self.failed = self.failed.and_then(|when| when.checked_sub(AGAIN));
        self.keep(&Entry { at: jiff::Timestamp::now(), what: "stop", ..Entry::default() });
        self.checkpoint();
        if let Some(witness) = self.witness.take() {
            witness.stop();
        }
    }

    /// What the old key has not signed, it signs before it goes.
    fn rotate(&mut self, entry: Entry) -> io::Result<String> {
        self.checkpoint();
        let clock = (self.boot.clone(), boot::uptime().as_secs_f64());
        let key = self.files.rotate(|at, detail| {
            at.line(&Entry { detail, ..entry }, (clock.0.as_str(), clock.1))
        })?;
        self.checkpoint();
        Ok(key)
    }

    /// Writes a line, and before it how many are missing.
    fn keep(&mut self, entry: &Entry) {
        if self.failed.is_some_and(|when| when.elapsed() < AGAIN) {
            self.lost.one();
            return;
        }
        let lost = self.lost.untold.load(Ordering::Relaxed);
        if lost > 0 {
            let detail = Map::from_iter([("events".to_owned(), Value::from(lost))]);
            let gap = Entry { at: entry.at, what: LOST, detail, ..Entry::default() };
            if !self.append(&gap) {
                self.lost.one();
                return;
            }
            self.lost.untold.fetch_sub(lost, Ordering::Relaxed);
        }
        if !self.append(entry) {
            self.lost.one();
        }
    }

    fn append(&mut self, entry: &Entry) -> bool {
        let line = self.files.at.line(entry, (&self.boot, boot::uptime().as_secs_f64()));
        let done = self.files.append(&line);
        self.tell_disk(done).is_some()
    }

    fn checkpoint(&mut self) {
        let done = self.files.checkpoint();
        if let Some(Some(note)) = self.tell_disk(done) {
            self.lost.metrics.audit_signed.set(self.files.checked);
            if self.rules.log {
                tracing::info!(checkpoint = note, "record signed");
            }
            if let Some(file) = &self.rules.file {
                leave(file, &note);
            }
            if let Some(witness) = &self.witness {
                witness.tell(note);
            }
        }
    }

    /// Says once that the disk does not take the record, and once that it does again.
    fn tell_disk<T>(&mut self, done: io::Result<T>) -> Option<T> {
        match done {
            Ok(done) => {
                if self.failed.take().is_some() {
                    tracing::info!("the record is written again");
                }
                Some(done)
            }
            Err(error) => {
                if self.failed.is_none() {
                    let folder = self.folder.display();
                    tracing::error!(%folder, "the record cannot be written; events are counted until it can: {error}");
                }
                self.failed = Some(Instant::now());
                None
            }
        }
    }
}

/// Leaves a checkpoint where the gateway may be unable to change it.
fn leave(file: &Path, note: &str) {
    let opened = OpenOptions::new().append(true).create(true).open(file);
    let done = opened.and_then(|mut file| {
        file.write_all(format!("{note}\n").as_bytes())?;
        file.sync_data()
    });
    if let Err(error) = done {
        tracing::error!(file = %file.display(), "no checkpoint could be left there: {error}");
    }
}

/// What was wrong with the record when it was opened.
fn found(recovered: Recovered) -> Entry {
    let Recovered { cut, missing } = recovered;
    tracing::warn!(cut, missing, "the record did not end as it was left");
    let detail = [("cut", cut), ("missing", missing)];
    let detail = detail.map(|(name, number)| (name.to_owned(), Value::from(number)));
    let at = jiff::Timestamp::now();
    Entry { at, what: "recovered", detail: detail.into_iter().collect(), ..Entry::default() }
}
