//! The controls of a port on another box: settings that are confirmed, modem lines, break,
//! counters.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};
use tracing::warn;

use super::{
    heard::{PeerRequest, PeerState, names},
    link::SharedConnection,
};
use crate::{
    settings::{ErrorCounts, Format, Inputs, Levels, Settings},
    stream::{Outstanding, Sample},
    target::{Caps, PortError},
    wire::telnet::{
        Role,
        comport::{self, ComPortCommand, ControlValue, Purge},
    },
};

/// The controls of a port on another box. Cheap to share; every call is safe during reads and
/// writes, and needs somebody to be reading.
#[derive(Debug)]
pub struct RemotePort {
    link: Arc<SharedConnection>,
    /// COM-PORT-OPTION was agreed.
    control: bool,
    /// The settings last requested, except where the peer said otherwise.
    set: Mutex<Settings>,
    /// How long a peer has to confirm. After that we assume that it did as told.
    patience: Duration,
    /// What it did not confirm in time, and how often it had confirmed that before: until it does
    /// so once more, nobody waits for it.
    silent: Mutex<Vec<(PeerRequest, u32)>>,
    /// One change of settings, and one wait for a purge, at a time: answers do not say what they
    /// answer.
    asking: Semaphore,
}

/// The result of a change of settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SettingsResult {
    /// The frame differs, so the two ends would not understand each other.
    pub(super) frame: Option<String>,
    /// The speed or the flow control differs.
    pub(super) rate: Vec<String>,
    /// What the peer said nothing about.
    pub(super) unconfirmed: Vec<PeerRequest>,
    /// Of these, what we waited for in vain.
    late: Vec<PeerRequest>,
}

impl RemotePort {
    /// `silent` is what the peer did not answer on an earlier connection.
    pub(super) fn new(
        link: Arc<SharedConnection>,
        control: bool,
        settings: Settings,
        patience: Duration,
        silent: &[PeerRequest],
    ) -> Self {
        let silent = Mutex::new(silent.iter().map(|asked| (*asked, 0)).collect());
        Self {
            link,
            control,
            set: Mutex::new(settings),
            patience,
            silent,
            asking: Semaphore::new(1),
        }
    }

    /// What we do not wait for.
    pub(super) fn silent(&self) -> Vec<PeerRequest> {
        let now = self.link.heard();
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent
            .iter()
            .filter(|(asked, times)| now.answers(*asked) == *times)
            .map(|(asked, _)| *asked)
            .collect()
    }

    pub(in crate::target) fn caps(&self) -> Caps {
        let can = self.control;
        // LINESTATE's "transmitter empty" comes unasked or not at all, so no drain can rely on it.
        Caps {
            settings: can,
            signals: can,
            brk: can,
            inputs: can,
            errors: can,
            drain: false,
            gap: false,
            datagrams: false,
        }
    }

    /// What the peer confirmed last; what was requested, if it confirms nothing.
    pub(in crate::target) fn settings(&self) -> Result<Settings, PortError> {
        self.controlled()?;
        Ok(self.got(&self.link.heard(), *self.set.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(in crate::target) async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        let old = self.settings()?;
        if old == settings {
            return Ok(());
        }
        let outcome = self.apply(settings).await?;
        self.tell(&outcome.late);
        // What was confirmed before this change says nothing about it.
        let SettingsResult { frame, rate, .. } = differences(settings, self.settings()?);
        let differences: Vec<_> = frame.into_iter().chain(rate).collect();
        if differences.is_empty() {
            return Ok(());
        }
        self.apply(old).await?;
        Err(PortError::BadSettings(differences.join("; ")))
    }

    /// Sends all settings in one write, and waits for what the peer makes of them.
    pub(super) async fn apply(&self, wanted: Settings) -> Result<SettingsResult, PortError> {
        let _one =
            self.asking.acquire().await.map_err(|error| PortError::Failed(error.to_string()))?;
        let mut wire = Vec::new();
        comport::encode_settings(wanted, Role::Client, &mut wire);
        let before = self.link.heard();
        self.send(&wire).await?;
        let (now, late) = self.answers(&before, &PeerRequest::SETTINGS).await?;
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        let got = self.got(&now, wanted);
        self.learn(&now, &late);
        let unconfirmed = now.unanswered(&before, &PeerRequest::SETTINGS);
        Ok(SettingsResult { unconfirmed, late, ..differences(wanted, got) })
    }

    /// Waits for answers to these, as far as the peer can be expected to answer. Returns what was
    /// heard by then, and what was not answered in time.
    async fn answers(
        &self,
        before: &PeerState,
        asked: &[PeerRequest],
    ) -> Result<(PeerState, Vec<PeerRequest>), PortError> {
        let answerable: Vec<_> =
            asked.iter().copied().filter(|asked| !self.is_silent(*asked, before)).collect();
        let mut heard = self.link.subscribe();
        let enough =
            |now: &PeerState| now.gone.is_some() || now.unanswered(before, &answerable).is_empty();
        let _ = timeout(self.patience, heard.wait_for(enough)).await;
        let now = self.link.heard();
        if let Some(why) = now.gone {
            return Err(PortError::Failed(why));
        }
        let late = now.unanswered(before, &answerable);
        Ok((now, late))
    }

    /// Notes what the peer did not answer in time.
    fn learn(&self, now: &PeerState, late: &[PeerRequest]) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|(asked, _)| !late.contains(asked));
        silent.extend(late.iter().map(|asked| (*asked, now.answers(*asked))));
    }

    /// Whether the peer failed to answer this the last time we waited for it, and has not answered
    /// since.
    fn is_silent(&self, asked: PeerRequest, now: &PeerState) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.contains(&(asked, now.answers(asked)))
    }

    /// Logs what we will not wait for any longer.
    fn tell(&self, late: &[PeerRequest]) {
        if !late.is_empty() {
            let (peer, what) = (self.link.place(), names(late));
            warn!(
                peer,
                "the peer did not answer {what}: taken as done, and not waited for until it answers again"
            );
        }
    }

    /// Sets DTR, RTS and break in one write. Not confirmed: a step of a sequence must not take a
    /// round trip.
    pub(in crate::target) async fn set(&self, levels: Levels) -> Result<(), PortError> {
        self.controlled()?;
        let Levels { dtr, rts, brk } = levels;
        let moves =
            [dtr.map(ControlValue::Dtr), rts.map(ControlValue::Rts), brk.map(ControlValue::Break)];
        let mut wire = Vec::new();
        for control in moves.into_iter().flatten() {
            ComPortCommand::Control(control).encode(Role::Client, &mut wire);
        }
        self.send(&wire).await
    }

    /// The lines as the peer last reported them; all down before it has.
    pub(in crate::target) fn inputs(&self) -> Result<Inputs, PortError> {
        self.controlled()?;
        Ok(self.link.heard().inputs)
    }

    pub(in crate::target) async fn inputs_changed(
        &self,
        last: Inputs,
    ) -> Result<Inputs, PortError> {
        self.controlled()?;
        let mut heard = self.link.subscribe();
        let now = heard.wait_for(|heard| heard.inputs != last || heard.gone.is_some()).await;
        let now = now.map_err(|error| PortError::Failed(error.to_string()))?;
        now.gone.as_ref().map_or(Ok(now.inputs), |why| Err(PortError::Failed(why.clone())))
    }

    /// What the peer has reported since the connection was made, and how often it broke telnet,
    /// whether or not we control the port.
    pub(in crate::target) fn errors(&self) -> ErrorCounts {
        self.link.heard().errors
    }

    /// Bytes that wait for the socket or for the peer's acknowledgement, commands included; those
    /// in the peer's own buffers are unknown.
    pub(in crate::target) fn unsent(&self) -> usize {
        self.link
            .queued()
            .saturating_add(usize::try_from(self.outstanding().bytes).unwrap_or(usize::MAX))
    }

    /// Data that the peer's kernel has not acknowledged.
    pub(in crate::target) fn outstanding(&self) -> Outstanding {
        self.link.outstanding()
    }

    /// The state of the connection.
    pub(in crate::target) fn sample(&self) -> Option<Sample> {
        self.link.sample()
    }

    /// PURGE-DATA, confirmed if the peer confirms it.
    pub(in crate::target) async fn flush(
        &self,
        input: bool,
        output: bool,
    ) -> Result<(), PortError> {
        let purge = match (input, output) {
            (false, false) => return Ok(()),
            (true, false) => Purge::Input,
            (false, true) => Purge::Output,
            (true, true) => Purge::Both,
        };
        if !self.control {
            return Ok(());
        }
        let _one =
            self.asking.acquire().await.map_err(|error| PortError::Failed(error.to_string()))?;
        let mut wire = Vec::new();
        ComPortCommand::Purge(purge).encode(Role::Client, &mut wire);
        let before = self.link.heard();
        self.send(&wire).await?;
        let (now, late) = self.answers(&before, &[PeerRequest::Purge]).await?;
        self.learn(&now, &late);
        self.tell(&late);
        Ok(())
    }

    /// Queues commands as one piece and waits until the socket has them.
    pub(super) async fn send(&self, wire: &[u8]) -> Result<(), PortError> {
        let failed = |error: io::Error| PortError::Failed(error.to_string());
        self.link.command(wire).map_err(failed)?;
        poll_fn(|cx| self.link.poll_sent(cx)).await.map_err(failed)
    }

    fn controlled(&self) -> Result<(), PortError> {
        self.control.then_some(()).ok_or(PortError::Unsupported)
    }

    /// What the peer confirmed, in place of what was set. What it said before it fell silent does
    /// not count now.
    fn got(&self, heard: &PeerState, set: Settings) -> Settings {
        fn told<T>(told: Option<T>, set: T, confirmed: bool) -> T {
            told.filter(|_| confirmed).unwrap_or(set)
        }
        let is = |asked: PeerRequest| heard.answers(asked) > 0 && !self.is_silent(asked, heard);
        Settings {
            baud: told(Some(heard.baud.value), set.baud, is(PeerRequest::Baud)),
            data: told(comport::data(heard.data.value), set.data, is(PeerRequest::Data)),
            parity: told(comport::parity(heard.parity.value), set.parity, is(PeerRequest::Parity)),
            stop: told(comport::stop(heard.stop.value), set.stop, is(PeerRequest::Stop)),
            flow: told(heard.flow.value, set.flow, is(PeerRequest::Flow)),
        }
    }
}

/// What differs; a speed within 5 % is the closest its divisor gets.
fn differences(wanted: Settings, got: Settings) -> SettingsResult {
    let format = |Settings { data, parity, stop, .. }| Format { data, parity, stop };
    let frame = (format(wanted) != format(got)).then(|| {
        // The frame is the middle word of the settings' text.
        let words = [wanted, got].map(|settings| settings.to_string());
        let [asked, set] = words.each_ref().map(|text| text.split(' ').nth(1).unwrap_or_default());
        format!("asked for {asked}, the peer set {set}")
    });
    let mut rate = Vec::new();
    if u64::from(wanted.baud.abs_diff(got.baud)) * 20 > u64::from(wanted.baud) {
        rate.push(format!("asked for {} baud, the peer set {}", wanted.baud, got.baud));
    }
    if wanted.flow != got.flow {
        let (asked, set) = (wanted.flow.text(), got.flow.text());
        rate.push(format!("asked for {asked} flow control, the peer set {set}"));
    }
    SettingsResult { frame, rate, ..SettingsResult::default() }
}
