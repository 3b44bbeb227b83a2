//! The controls of a port on another box: settings that are confirmed, modem lines, break, counters.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};

use super::{heard::Heard, link::Link};
use crate::{
    settings::{ErrorCounts, Format, Inputs, Levels, Settings},
    target::{Caps, PortError},
    wire::telnet::comport::{self, Command, Control, Purge},
};

/// The controls of a port on another box. Cheap to share; every call is safe beside reads and writes, and needs
/// somebody to read.
#[derive(Debug)]
pub struct Port {
    link: Arc<Link>,
    /// COM-PORT-OPTION was agreed.
    control: bool,
    /// What was last set, as far as the peer did not say otherwise.
    set: Mutex<Settings>,
    /// How long a peer has to confirm. One that does not is taken to have done as told.
    patience: Duration,
    /// One change of settings, and one wait for a purge, at a time: answers do not say what they answer.
    asking: Semaphore,
}

/// What became of settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The frame is another: another language.
    pub(super) frame: Option<String>,
    /// Speed or flow control is another.
    pub(super) rate: Vec<String>,
    /// What the peer said nothing of.
    pub(super) unconfirmed: Vec<&'static str>,
}

impl Port {
    pub(super) fn new(link: Arc<Link>, control: bool, settings: Settings, patience: Duration) -> Self {
        Self { link, control, set: Mutex::new(settings), patience, asking: Semaphore::new(1) }
    }

    pub(in crate::target) fn caps(&self) -> Caps {
        let can = self.control;
        // LINESTATE's "transmitter empty" comes unasked or not at all, so that no drain can rest on it.
        Caps { settings: can, signals: can, brk: can, inputs: can, errors: can, drain: false }
    }

    /// What the peer confirmed last; what was set where it confirms nothing.
    pub(in crate::target) fn settings(&self) -> Result<Settings, PortError> {
        self.controlled()?;
        Ok(got(&self.link.heard(), *self.set.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(in crate::target) async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        let old = self.settings()?;
        if old == settings {
            return Ok(());
        }
        let outcome = self.apply(settings).await?;
        let differences: Vec<_> = outcome.frame.into_iter().chain(outcome.rate).collect();
        if differences.is_empty() {
            return Ok(());
        }
        self.apply(old).await?;
        Err(PortError::BadSettings(differences.join("; ")))
    }

    /// Sends all settings in one write, and waits for what the peer makes of them.
    pub(super) async fn apply(&self, wanted: Settings) -> Result<Outcome, PortError> {
        let _one = self.asking.acquire().await.map_err(|error| PortError::Failed(error.to_string()))?;
        let mut wire = Vec::new();
        comport::encode_settings(wanted, &mut wire);
        let mut heard = self.link.subscribe();
        let before = heard.borrow_and_update().clone();
        self.send(&wire).await?;
        let confirmed = |now: &Heard| now.gone.is_some() || unconfirmed(&before, now).is_empty();
        let _ = timeout(self.patience, heard.wait_for(confirmed)).await;
        let now = self.link.heard();
        if let Some(why) = now.gone {
            return Err(PortError::Failed(why));
        }
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        let unconfirmed = unconfirmed(&before, &now);
        let got = got(&now, wanted);
        Ok(outcome(wanted, got, unconfirmed))
    }

    /// DTR, RTS and break in one write. Not confirmed: a step of a sequence must not take a round trip.
    pub(in crate::target) async fn set(&self, levels: Levels) -> Result<(), PortError> {
        self.controlled()?;
        let Levels { dtr, rts, brk } = levels;
        let moves = [dtr.map(Control::Dtr), rts.map(Control::Rts), brk.map(Control::Break)];
        let mut wire = Vec::new();
        moves.into_iter().flatten().for_each(|control| Command::Control(control).encode(&mut wire));
        self.send(&wire).await
    }

    /// As the peer told them last; all down before it has.
    pub(in crate::target) fn inputs(&self) -> Result<Inputs, PortError> {
        self.controlled()?;
        Ok(self.link.heard().inputs)
    }

    pub(in crate::target) async fn inputs_changed(&self, last: Inputs) -> Result<Inputs, PortError> {
        self.controlled()?;
        let mut heard = self.link.subscribe();
        let now = heard.wait_for(|heard| heard.inputs != last || heard.gone.is_some()).await;
        let now = now.map_err(|error| PortError::Failed(error.to_string()))?;
        now.gone.as_ref().map_or(Ok(now.inputs), |why| Err(PortError::Failed(why.clone())))
    }

    /// What the peer told since the connection was made.
    pub(in crate::target) fn errors(&self) -> Result<ErrorCounts, PortError> {
        self.controlled()?;
        Ok(self.link.heard().errors)
    }

    /// Bytes that wait for the socket; those in the peer's buffers are not known.
    pub(in crate::target) fn unsent(&self) -> usize {
        self.link.queued()
    }

    /// PURGE-DATA, confirmed where the peer confirms.
    pub(in crate::target) async fn flush(&self, input: bool, output: bool) -> Result<(), PortError> {
        let purge = match (input, output) {
            (false, false) => return Ok(()),
            (true, false) => Purge::Input,
            (false, true) => Purge::Output,
            (true, true) => Purge::Both,
        };
        if !self.control {
            return Ok(());
        }
        let _one = self.asking.acquire().await.map_err(|error| PortError::Failed(error.to_string()))?;
        let mut wire = Vec::new();
        Command::Purge(purge).encode(&mut wire);
        let mut heard = self.link.subscribe();
        let before = heard.borrow_and_update().purge;
        self.send(&wire).await?;
        let done = |now: &Heard| now.gone.is_some() || now.purge != before;
        let _ = timeout(self.patience, heard.wait_for(done)).await;
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
}

/// What the peer confirmed, over what was set.
fn got(heard: &Heard, set: Settings) -> Settings {
    fn or<T>(times: u32, told: Option<T>, set: T) -> T {
        told.filter(|_| times > 0).unwrap_or(set)
    }
    Settings {
        baud: or(heard.baud.times, Some(heard.baud.value), set.baud),
        data: or(heard.data.times, comport::data(heard.data.value), set.data),
        parity: or(heard.parity.times, comport::parity(heard.parity.value), set.parity),
        stop: or(heard.stop.times, comport::stop(heard.stop.value), set.stop),
        flow: or(heard.flow.times, heard.flow.value, set.flow),
    }
}

/// What the peer has said nothing of since `before`.
fn unconfirmed(before: &Heard, now: &Heard) -> Vec<&'static str> {
    [
        ("baud", before.baud.times == now.baud.times),
        ("data bits", before.data.times == now.data.times),
        ("parity", before.parity.times == now.parity.times),
        ("stop bits", before.stop.times == now.stop.times),
        ("flow control", before.flow.times == now.flow.times),
    ]
    .into_iter()
    .filter(|(_, silent)| *silent)
    .map(|(name, _)| name)
    .collect()
}

/// What differs; a speed within 5 % is the divisor's nearest.
fn outcome(wanted: Settings, got: Settings, unconfirmed: Vec<&'static str>) -> Outcome {
    let format = |Settings { data, parity, stop, .. }| Format { data, parity, stop };
    let frame = (format(wanted) != format(got)).then(|| {
        // The frame's text is the middle of the settings'.
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
    Outcome { frame, rate, unconfirmed }
}
