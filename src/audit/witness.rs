//! The witness: a server that is given each checkpoint and keeps it where the gateway cannot change
//! it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{files, note::SignedCheckpoint};
use crate::{
    config::WitnessRules,
    dial::{Dialler, Proxies, Request, Site, Trust},
    metrics::Metrics,
};

/// The newest checkpoint that the witness has.
const WITNESSED: &str = "witnessed";
/// How long it has to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it has while the gateway stops.
const LAST: Duration = Duration::from_secs(3);
/// How soon it is tried again, and how late at most; each pause is twice the one before.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Is told once when the witness takes no checkpoint, and why; and once when it does again.
pub(crate) type WitnessNews = Arc<dyn Fn(Result<(), &str>) + Send + Sync>;

/// What is given to the witness. Only the newest counts: it holds everything before it in place.
#[derive(Debug)]
pub(super) struct Witness {
    newest: watch::Sender<Option<String>>,
    thread: JoinHandle<()>,
}

impl Witness {
    /// Starts its thread, which waits for `placed` (what it tells is to be recorded) and ends within 3 s of [`Self::stop`].
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(super) fn start(
        rules: WitnessRules,
        folder: &Path,
        (metrics, news): (Arc<Metrics>, WitnessNews),
        placed: Arc<Notify>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (newest, notes) = watch::channel(files::newest_note(folder));
        let kept = fs::read_to_string(folder.join(WITNESSED)).unwrap_or_default();
        metrics.audit_witnessed.set(size(&kept));
        let file = folder.join(WITNESSED);
        let mut courier = Courier { rules, file, kept, failed: 0, metrics, news };
        let thread = std::thread::Builder::new().name("witness".into());
        let thread = thread.spawn(move || runtime.block_on(courier.run(notes, &placed)))?;
        Ok(Self { newest, thread })
    }

    /// Gives it a checkpoint. Never waits.
    pub(super) fn tell(&self, note: String) {
        self.newest.send_replace(Some(note));
    }

    /// Tries a last time, if something is left.
    pub(super) fn stop(self) {
        drop(self.newest);
        if self.thread.join().is_err() {
            tracing::error!("the witness's thread ended by a fault");
        }
    }
}

/// Takes checkpoints there.
struct Courier {
    rules: WitnessRules,
    file: PathBuf,
    /// What the witness has.
    kept: String,
    /// How often it has failed in a row.
    failed: u32,
    metrics: Arc<Metrics>,
    news: WitnessNews,
}

impl Courier {
    async fn run(&mut self, mut notes: watch::Receiver<Option<String>>, placed: &Notify) {
        let (stop, mut is_last) = (notes.clone(), false);
        tokio::select! {
            () = placed.notified() => {}
            () = stopped(stop.clone()) => {}
        }
        loop {
            let note = notes.borrow_and_update().clone().filter(|note| *note != self.kept);
            let Some(note) = note else {
                match notes.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            let late = async {
                stopped(stop.clone()).await;
                sleep(LAST).await;
            };
            let sent = tokio::select! {
                sent = self.send(&note) => sent,
                () = late => Err("the gateway stops".to_owned()),
            };
            if self.noted(note, sent) {
                continue;
            }
            if is_last {
                return;
            }
            tokio::select! {
                () = sleep(self.pause()) => {}
                () = stopped(stop.clone()) => is_last = true,
            }
        }
    }

    /// A POST of the signed note; any 2xx says that it is kept.
    async fn send(&self, note: &str) -> Result<(), String> {
        let to = &self.rules.to;
        let site = Site { secure: to.secure, host: to.host.clone(), port: to.port };
        let trust = self.rules.ca.clone().map_or(Trust::System, Trust::File);
        let dialler = Dialler { proxies: Proxies::of_environment(), trust };
        let media = "text/plain; charset=utf-8";
        let ask = Request { path: &to.path, body: Some(note), media, ..Request::default() };
        let answer = timeout(ANSWER, dialler.fetch(&site, &ask)).await;
        let answer = answer.map_err(|_| format!("{site}: no answer in {} s", ANSWER.as_secs()))?;
        match answer.map_err(|error| error.to_string())?.status {
            200..=299 => Ok(()),
            status => Err(format!("{site} answers with HTTP {status}")),
        }
    }

    /// Notes how it came out; returns whether it is there.
    fn noted(&mut self, note: String, sent: Result<(), String>) -> bool {
        match sent {
            Ok(()) => {
                self.metrics.audit_witnessed.set(size(&note));
                // If it is lost, the witness gets the same note again.
                let new = self.file.with_extension("new");
                let written = fs::write(&new, &note).and_then(|()| fs::rename(&new, &self.file));
                if let Err(error) = written {
                    tracing::debug!(file = %self.file.display(), "not noted: {error}");
                }
                self.kept = note;
                if std::mem::take(&mut self.failed) > 0 {
                    (self.news)(Ok(()));
                }
                true
            }
            Err(why) => {
                if self.failed == 0 {
                    (self.news)(Err(&why));
                }
                self.failed = self.failed.saturating_add(1);
                false
            }
        }
    }

    fn pause(&self) -> Duration {
        let (first, most) = AGAIN;
        first.saturating_mul(1 << self.failed.saturating_sub(1).min(16)).min(most)
    }
}

/// Returns when nobody gives checkpoints any more.
async fn stopped(mut notes: watch::Receiver<Option<String>>) {
    while notes.changed().await.is_ok() {}
}

/// Of how many lines a note is.
fn size(note: &str) -> u64 {
    note.parse::<SignedCheckpoint>().map_or(0, |note| note.checkpoint.size)
}

/// The newest checkpoint of a record, and the newest that its witness has; in lines, 0 for none.
pub(crate) fn witnessed(folder: &Path) -> (u64, u64) {
    let of = |note: Option<String>| note.as_deref().map_or(0, size);
    (of(files::newest_note(folder)), of(fs::read_to_string(folder.join(WITNESSED)).ok()))
}
